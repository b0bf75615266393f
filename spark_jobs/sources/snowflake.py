"""A Snowflake relation as a Spark data source: Snowflake's own result batches, one a partition, as Arrow.

The driver runs the query, once; each task then fetches its batch from where Snowflake left it. The secret is read by
its ARN at use, so neither plan nor log holds it.

Source: Spark's Python Data Source API; Snowflake connector, "Distributing Result Set Processing" (ResultBatch).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from contracts.contract import Contract
from contracts.errors import ContractViolationError, SourceFailedError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema
from spark_jobs.sources.credentials import CredentialsRefusedError, signed_in
from spark_jobs.sources.rest import PATIENCE, Patience, TemporaryError, patiently

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

FORMAT = "assay_snowflake"
LOGIN_SECONDS = 60
NETWORK_SECONDS = 120
_CREDENTIAL_ERRORS = (250001, 251005, 390100, 390101, 390144)  # refused at login: perhaps rotated just now


def read_relation(
    lake: Lake,
    contract: Contract,
    secret_arn: str | None,
    start: datetime | None,
    end: datetime,
    patience: Patience = PATIENCE,
) -> DataFrame | None:
    """The relation's rows whose cursor lies in [start, end), typed as the contract says; None when there are none.

    Args:
        lake: the job's lake.
        contract: names the relation, its cursor and its columns.
        secret_arn: the secret with the connection's parameters, as JSON.
        start: UTC; None for the whole history.
        end: UTC.
        patience: with a Snowflake that does not answer.
    Returns:
        The contract's columns in lower case, `_file` (null) and `_received_at` (the cursor).
    Raises:
        ContractViolationError: the relation lacks a column, or has one that the contract does not know.
        SourceUnavailableError: Snowflake did not take the query.
        SourceFailedError: it did not answer, or refused the secret twice.
    """
    batches = _query(contract, _Door(contract.source_name, secret_arn, patience), start, end)
    if not batches:
        return None
    lake.spark.dataSource.register(source_of(batches))
    rows = lake.spark.read.format(FORMAT).schema(received_schema(contract)).load()
    cursor = (contract.source or {})["cursor"]
    return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col(cursor)})


def source_of(batches: Sequence[bytes]) -> type[DataSource]:
    """The data source of one query's result, `spark.read.format("assay_snowflake")`.

    Args:
        batches: pickled result batches. They hold keys to where Snowflake left the rows, so they travel inside the
            class: options would show in the plan.
    """

    class SnowflakeSource(DataSource):
        @classmethod
        def name(cls) -> str:
            return FORMAT

        def reader(self, schema: StructType) -> DataSourceReader:
            return SnowflakeReader(schema, batches)

    return SnowflakeSource


class SnowflakeReader(DataSourceReader):
    """Fetches a result batch a task."""

    def __init__(self, schema: StructType, batches: Sequence[bytes]) -> None:
        self._schema = schema
        self._batches = batches

    def partitions(self) -> Sequence[InputPartition]:
        """One partition a result batch."""
        return [InputPartition(batch) for batch in self._batches]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The batch's rows, in the types of the schema."""
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        table = pickle.loads(partition.value).to_arrow()  # noqa: S301 (pickled by this job's own driver)
        wanted = to_arrow_schema(self._schema, timestamp_utc=True)
        named = table.rename_columns([name.lower() for name in table.column_names]).select(wanted.names)
        columns = [_cast(named.column(field.name), field.type) for field in wanted]
        yield from pa.Table.from_arrays(columns, schema=wanted).to_batches()


@dataclass(frozen=True)
class _Door:
    """The way into Snowflake."""

    source: str
    secret_arn: str | None
    patience: Patience

    def opened(self) -> Any:
        """A connection; the connector itself gives up within seconds where nothing answers."""
        return signed_in(
            self.source,
            self.secret_arn,
            lambda secret: patiently(self.source, lambda: connect(secret), self.patience),
        )


def _query(contract: Contract, door: _Door, start: datetime | None, end: datetime) -> list[bytes]:
    """Run the query; its result batches that hold rows, pickled for the tasks that fetch them."""
    from snowflake.connector import errors

    relation, cursor = contract.location, (contract.source or {})["cursor"].upper()
    columns = ", ".join(field.name.upper() for field in contract.fields)
    # every name here comes from a released contract, and the moments are bound
    query = f"SELECT {columns} FROM {relation} WHERE {cursor} < %s::timestamp_ntz"  # noqa: S608
    moments = [_literal(end)]
    if start is not None:
        query += f" AND {cursor} >= %s::timestamp_ntz"
        moments.append(_literal(start))
    try:
        with (
            closing(door.opened()) as connection,
            closing(connection.cursor()) as statement,
        ):
            described = statement.describe(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608
            check_columns(contract, [column.name.lower() for column in described])
            statement.execute(query, moments)
            return [pickle.dumps(batch) for batch in statement.get_result_batches() or [] if batch.rowcount]
    except errors.Error as error:
        number = error.errno or type(error).__name__
        if not _answered(error):  # the connector has asked again for NETWORK_SECONDS
            raise SourceFailedError(
                f"{contract.source_name}: {relation}: no whole answer from Snowflake (error {number}); redrive the"
                " execution once it answers again"
            ) from None
        raise SourceUnavailableError(
            f"{contract.source_name}: {relation}: Snowflake answered with error {number}"
        ) from None


def connect(secret: Mapping[str, Any]) -> Any:
    """A connection with the parameters that the secret holds.

    Raises:
        CredentialsRefusedError: Snowflake did not let us in.
        TemporaryError: it did not answer. Both name the error's number, never the secret.
    Source: Snowflake connector 4.8.1, auth/_auth.py and auth/by_plugin.py, whose number 250001 means a refused login
        when it comes as a DatabaseError, no answer when it comes as another.
    """
    import snowflake.connector
    from snowflake.connector import errors

    try:
        return snowflake.connector.connect(
            **secret,
            # it would ask the cloud's metadata address where it runs, and wait for an answer
            platform_detection_timeout_seconds=0.0,
            login_timeout=LOGIN_SECONDS,
            # of a query's requests: without it the connector asks for ever
            network_timeout=NETWORK_SECONDS,
        )
    except errors.Error as error:
        number = error.errno or type(error).__name__
        if isinstance(error, errors.ForbiddenError) or (_answered(error) and error.errno in _CREDENTIAL_ERRORS):
            raise CredentialsRefusedError(f"Snowflake did not let us in (error {number})") from None
        raise TemporaryError(f"none from Snowflake (error {number})") from None


def _answered(error: Exception) -> bool:
    """Whether Snowflake itself said no, where it might not have answered at all."""
    from snowflake.connector import errors

    return isinstance(error, errors.DatabaseError) and not isinstance(error, errors.OperationalError)


def check_columns(contract: Contract, names: Sequence[str]) -> None:
    """Nothing, when a relation has the contract's columns and no others.

    Raises:
        ContractViolationError: names the first column that is missing or unknown.
    """
    todo = "Have the owner of the relation put it right, or release a new version of the contract; then redrive."
    for field in contract.fields:
        if field.required and field.name not in names:
            detail = f"{contract.location}: the column is missing. {todo}"
            raise ContractViolationError(contract.dataset, contract.version, field.name, "required", detail)
    known = {field.name for field in contract.fields}
    for name in names:
        if name not in known:
            detail = f"{contract.location}: the column is not in the contract. {todo}"
            raise ContractViolationError(contract.dataset, contract.version, name, "additionalProperties", detail)


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """The column in the wanted type; Snowflake's TIMESTAMP_NTZ comes without a zone and in nanoseconds, and is UTC."""
    import pyarrow as pa

    if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(wanted)
    return column.cast(wanted)


def _literal(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
