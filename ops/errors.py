"""What goes wrong under the `assay` command.

OpsError: anything that a person can put right; its text is one sentence that says what, where and what to do next.
"""


class OpsError(Exception):
    """An error that the command prints as one sentence, with exit code 1."""
