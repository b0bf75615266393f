"""The Lambda functions: a handler a module, and pure cores beside them."""
