"""What every handler shares: the log with its run_id, the metrics, and one way for errors to get out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from contracts.errors import SourceUnavailableError
from lambdas import aws
from lambdas.aws import is_transient
from lambdas.ledger import Ledger
from lambdas.payloads import Json, encoded
from lambdas.settings import LedgerSettings, Settings
from lambdas.store import Store

NAMESPACE = "Assay"
# Keys that may appear in a log line: names, counts and pointers, never a row's values, a token or a secret.
LOGGED = frozenset(
    {
        "action",
        "arrival_set",
        "attempt",
        "code_digest",
        "contracts_digest",
        "data_date",
        "disposition",
        "error",
        "execution_arn",
        "files",
        "gate",
        "input_digest",
        "job_run_id",
        "ledger_status",
        "object_version",
        "receipt",
        "redrive_count",
        "round",
        "rows",
        "run_id",
        "sets",
        "size_bytes",
        "source",
        "state",
        "status",
        "step",
        "subject",
        "table",
        "tables",
        "tables_changed",
        "verdict",
    }
)

logger = Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "assay"))
metrics = Metrics(namespace=NAMESPACE, service=os.environ.get("POWERTOOLS_SERVICE_NAME", "assay"))

SettingsT = TypeVar("SettingsT", bound=Settings)
Work = Callable[[Mapping[str, Any]], Json]


def log(message: str, **fields: object) -> None:
    """Write a log line with those of the fields that are allowed there."""
    allowed = {name: value for name, value in fields.items() if name in LOGGED}
    logger.info(message, extra=allowed, stacklevel=3)


def identify(run_id: str) -> None:
    """Put a run's id on every log line of this invocation from here on."""
    logger.append_keys(run_id=run_id)


def count(name: str, value: float = 1) -> None:
    """Add to a metric of this invocation."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def settings(kind: type[SettingsT]) -> SettingsT:
    """The function's settings, from its environment."""
    return kind.read(os.environ)


def ledger() -> Ledger:
    """The ledger of this stage."""
    return Ledger(Store(aws.dynamodb(), settings(LedgerSettings).ledger_table))


def handler(work: Work) -> Callable[[Json, object], Json]:
    """The Lambda entry point around a function from event to answer.

    What AWS refused for load, or did not answer, after the client's own retries becomes SourceUnavailableError, which
    the states retry; every other error keeps its name.
    """

    @wraps(work)
    def lambda_handler(event: Json, _context: object) -> Json:
        run_id = event.get("run_id")
        if isinstance(run_id, str):
            identify(run_id)
        try:
            answer = work(event)
            encoded(answer)
            return answer
        except (ClientError, BotoCoreError) as error:
            if is_transient(error):
                raise SourceUnavailableError(f"AWS did not answer in time or refused for load: {error}") from error
            raise
        finally:
            logger.remove_keys(["run_id"])
            if metrics.provider.metric_set:
                metrics.flush_metrics()

    return lambda_handler
