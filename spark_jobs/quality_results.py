"""The audit: every result of every attempt at a check, appended to `quality/results` and never rewritten.

Checks of several runs may append at once. delta-rs commits with S3's conditional put, so no two of them take the same
version and no lease is needed; Spark's own log store on S3 overwrites, and its append costs seconds more. The commit
carries the attempt's transaction id: the same attempt run twice adds its rows once, while another attempt is another
measurement with rows of its own.

Source: contracts/schemas/quality_results
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from contracts import contract as contracts
from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from spark_jobs.expectations import Result
from spark_jobs.job import Job
from spark_jobs.request import Request
from spark_jobs.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]
    from deltalake import DeltaTable

DATASET = "quality_results"
TRIES = 10
WHOLE_FILE_BYTES = 8 << 20
FEWEST_FILES = 30  # ten days of checks
PROPERTIES = {
    "delta.appendOnly": "true",
    "delta.checkpointInterval": "10",
    # nobody may delete under this prefix, so the log is kept whole, and with it who wrote what
    "delta.enableExpiredLogCleanup": "false",
}


def record(job: Job, judged: Sequence[Contract], results: Sequence[Result], verdict: str) -> None:
    """Append the results of this attempt, once.

    Raises:
        SourceUnavailableError: they could not be written: without its audit a check is none.
    """
    versions = {contract.dataset: contract.version for contract in judged}
    rows = [
        {
            **_attempt(job.request),
            **{name: result[name] for name in ("dataset", "expectation", "column", "severity", "success", "waived")},
            "version": versions[result["dataset"]],
            "verdict": verdict,
            "observed": _json(result["observed"]),
            "expected": _json(result["expected"]),
            "measured_at": job.started_at,
        }
        for result in results
    ]
    append(job.lake.store, job.request, rows)


def append(store: Store, request: Request, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows in one commit under the attempt's transaction id; nothing when the table has it already.

    Raises:
        SourceUnavailableError: the table cannot be read or written.
    """
    # a fifth of a second to import, and needed by checks only
    from deltalake import CommitProperties, PostCommitHookProperties, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    contract = contracts.load(DATASET)
    transaction = f"{request.transaction(contract.table)}:{request.attempt}"
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            table = _open(f"{store.root}/{contract.table}", store.options(), contract)
            if table.transaction_version(transaction) is not None:
                return
            # to the version that was looked at: delta-rs refuses the commit if the same transaction came since
            write_deltalake(
                table,
                _table(contract, rows),
                mode="append",
                commit_properties=CommitProperties(
                    custom_metadata={"userMetadata": json.dumps(request.heading())},
                    app_transactions=[Transaction(app_id=transaction, version=1)],
                ),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        except CommitFailedError as error:  # another made the table, or wrote this very attempt: look again
            problem = error
        except (DeltaError, OSError) as error:
            problem = error
            break
        else:
            return
    raise SourceUnavailableError(
        f"{contract.table}: the results of {request.step}, attempt {request.attempt}, could not be written, and a "
        f"check without its audit is none: {problem}"
    )


def pack(store: Store, request: Request) -> bool:
    """Pack the small files of the audit, one for each check there was; False when there are few. Appends may go on.

    By delta-rs too, for the same reason: its commit is conditional. Nothing is deleted, as nobody may delete here.

    Raises:
        SourceUnavailableError: the table cannot be read or written.
    """
    from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
    from deltalake.exceptions import DeltaError, TableNotFoundError

    uri = f"{store.root}/{contracts.load(DATASET).table}"
    try:
        table = DeltaTable(uri, storage_options=store.options())
        if len(table.file_uris()) < FEWEST_FILES:
            return False
        table.optimize.compact(
            target_size=WHOLE_FILE_BYTES,
            commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(request.heading())}),
            post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
        )
    except TableNotFoundError:
        return False
    except (DeltaError, OSError) as error:
        raise SourceUnavailableError(f"{uri}: its small files could not be packed: {error}") from error
    return True


def _open(uri: str, options: dict[str, str], contract: Contract) -> DeltaTable:
    """The table as it is now, made by an empty commit if it is not there.

    An append that makes the table has read no version, so nothing would hold its transaction against a twin's.
    """
    from deltalake import CommitProperties, DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return DeltaTable(uri, storage_options=options)
    except TableNotFoundError:
        DeltaTable.create(
            uri,
            schema=_schema(contract),
            mode="ignore",
            configuration=PROPERTIES,
            storage_options=options,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
        return DeltaTable(uri, storage_options=options)


def _table(contract: Contract, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), _schema(contract))


def _schema(contract: Contract) -> pa.Schema:
    """The columns and types of the contract."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, types[kind]) for name, kind in contract.columns])


def _attempt(request: Request) -> dict[str, Any]:
    return {
        "run_id": request.run_id,
        "data_date": request.data_date,
        "step": request.step,
        "round": request.round,
        "attempt": request.attempt,
    }


def _json(value: Any) -> str:
    """A value as JSON, which has no word for NaN and infinity; exact numbers and dates keep their text."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value
