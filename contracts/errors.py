"""Every error that the platform raises on purpose, as one tree.

The class names are part of the interface: the state machine's retriers, failure receipts and `assay explain` know them
by name, so renaming one is a change of the workflow.

AssayError
    ContractError                 a contract file itself is wrong
        UnknownContractError      no such dataset or version
        UnsupportedKeywordError   a keyword that cannot be judged the same way everywhere
    ContractViolationError        data broke its contract
    BreakingContractChangeError   a contract changed under a run in a way that old data cannot follow
    QualityGateClosedError        a check failed and the gate holds the run
    LeaseHeldError                another run writes the same table
    LeaseWaitOverError            it did so for longer than the stage's runs wait
    CommitLostError               a commit that was acknowledged is no longer in the table's log
    ReceiptMissingError           a step's receipt, or a table it names, is not there
    SparkJobFailedError           a job run ended without saying why
    SourceUnavailableError        a source did not answer, or changed while it was read
        SourceFailedError         it did so for as long as its reader waits, or refused: asking again does not help
    RunSupersededError            another run has taken this one's place
    InvalidRequestError           the request names something that does not exist or is not allowed
"""

from __future__ import annotations


class AssayError(Exception):
    """Root of the errors that the platform raises on purpose."""


class ContractError(AssayError):
    """A contract file is wrong; its author must mend it."""


class UnknownContractError(ContractError):
    """There is no contract of that dataset or version."""


class UnsupportedKeywordError(ContractError):
    """A contract uses a keyword, or a value of one, that cannot be judged the same way everywhere."""


class ContractViolationError(AssayError):
    """Data broke its contract.

    Args:
        dataset: the contract's dataset, such as fx_rates_bronze.
        version: the contract's version, such as 1-0-0.
        column: the column at fault, `*` when the whole row or file is.
        rule: the rule that was broken, such as exclusiveMinimum.
        detail: where (file, line, count), what was found, and what to do next.
    """

    def __init__(self, dataset: str, version: str, column: str, rule: str, detail: str) -> None:
        super().__init__(f"{dataset} {version}: column {column} breaks rule {rule}: {detail}")
        self.dataset = dataset
        self.version = version
        self.column = column
        self.rule = rule
        self.detail = detail

    def __reduce__(self) -> tuple[type[ContractViolationError], tuple[str, ...]]:
        return type(self), (self.dataset, self.version, self.column, self.rule, self.detail)


class BreakingContractChangeError(AssayError):
    """A contract changed under a run in a way that the run's data cannot follow."""


class QualityGateClosedError(AssayError):
    """A check failed and the gate holds the run; nothing went to the next layer."""


class LeaseHeldError(AssayError):
    """Another run holds the lease of a table this run wants to write."""


class LeaseWaitOverError(AssayError):
    """Another run held a lease for longer than the stage's runs wait for one; a redrive waits anew."""


class CommitLostError(AssayError):
    """A commit that was acknowledged is no longer in the table's log."""


class ReceiptMissingError(AssayError):
    """A step's receipt, or a table that it names, is not there."""


class SparkJobFailedError(AssayError):
    """A job run ended without leaving a receipt that says why."""


class SourceUnavailableError(AssayError):
    """A source did not answer, or changed while it was read."""


class SourceFailedError(SourceUnavailableError):
    """A source stayed silent for as long as its reader waits, or refused: a person is told at once.

    No state retries it: the reader has waited, nearer to the fault and without reading again what it had.
    """


class RunSupersededError(AssayError):
    """Another run has taken the place of this one, which may write nothing more."""


class InvalidRequestError(AssayError):
    """A request names something that does not exist or is not allowed."""
