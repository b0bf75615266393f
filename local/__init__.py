"""The laptop cloud: the AWS services that the platform uses, on loopback, in one process."""
