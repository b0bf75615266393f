"""A Snowflake relation as a Spark data source: Snowflake's own result batches, one a partition, as Arrow.

The query runs once, where Spark plans the read; each task then fetches its batch from where Snowflake left it. The
secret is read by its ARN at use, so neither plan nor log holds it.

Source: Spark's Python Data Source API; Snowflake connector, "Distributing Result Set Processing" (ResultBatch).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from contracts.contract import Contract
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

FORMAT = "assay_snowflake"
_CREDENTIAL_ERRORS = (250001, 251005, 390100, 390101, 390144)  # refused at login: perhaps rotated just now


def read_relation(
    lake: Lake, contract: Contract, secret_arn: str | None, start: datetime | None, end: datetime
) -> DataFrame:
    """The relation's rows whose cursor lies in [start, end), typed as the contract says.

    Args:
        lake: the job's lake.
        contract: names the relation, its cursor and its columns.
        secret_arn: the secret with the connection's parameters, as JSON.
        start: UTC; None for the whole history.
        end: UTC.
    Returns:
        The contract's columns in lower case, `_file` (null) and `_received_at` (the cursor).
    Raises:
        ContractViolationError: the relation lacks a column, or has one that the contract does not know.
        SourceUnavailableError: Snowflake did not answer, or refused the secret twice.
    """
    if not secret_arn:
        raise InvalidRequestError(f"{contract.source_name}: the request names no secret")
    source = contract.source or {}
    _check_columns(contract, secret_arn)
    lake.spark.dataSource.register(SnowflakeSource)
    reader = lake.spark.read.format(FORMAT).schema(received_schema(contract))
    options = {"secret_arn": secret_arn, "relation": source["relation"], "cursor": source["cursor"]}
    options["end"] = _literal(end)
    if start is not None:
        options["start"] = _literal(start)
    rows = reader.options(**options).load()
    return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col(source["cursor"])})


class SnowflakeSource(DataSource):
    """`spark.read.format("assay_snowflake")`, with options secret_arn, relation, cursor, end and perhaps start."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return FORMAT

    def reader(self, schema: StructType) -> DataSourceReader:
        """What reads the relation in the given schema."""
        return SnowflakeReader(schema, dict(self.options))


class SnowflakeReader(DataSourceReader):
    """Runs the query when Spark plans, and fetches a result batch a task."""

    def __init__(self, schema: StructType, options: Mapping[str, str]) -> None:
        self._schema = schema
        self._options = options

    def partitions(self) -> Sequence[InputPartition]:
        """One partition a result batch."""
        columns = ", ".join(field.name.upper() for field in self._schema.fields)
        cursor = self._options["cursor"].upper()
        # every name here comes from a released contract, and the moments are bound
        query = f"SELECT {columns} FROM {self._options['relation']} WHERE {cursor} < %s::timestamp_ntz"  # noqa: S608
        moments = [self._options["end"]]
        if "start" in self._options:
            query += f" AND {cursor} >= %s::timestamp_ntz"
            moments.append(self._options["start"])
        with closing(connect(self._options["secret_arn"])) as connection, closing(connection.cursor()) as statement:
            statement.execute(query, moments)
            return [InputPartition(batch) for batch in statement.get_result_batches() or []]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The batch's rows, in the types of the schema."""
        import pyarrow as pa
        from pyspark.sql.pandas.types import to_arrow_schema

        table = partition.value.to_arrow()
        if table is None:
            return
        wanted = to_arrow_schema(self._schema, timestamp_utc=True)
        named = table.rename_columns([name.lower() for name in table.column_names]).select(wanted.names)
        columns = [_cast(named.column(field.name), field.type) for field in wanted]
        yield from pa.Table.from_arrays(columns, schema=wanted).to_batches()


def connect(secret_arn: str) -> Any:
    """A connection with the secret as it is now; refused, it is read once more, for it may just have been rotated.

    Raises:
        SourceUnavailableError: Snowflake cannot be reached or refuses; names the error's number, never the secret.
    """
    from snowflake.connector import errors

    for last in (False, True):
        try:
            return _connect(_secret(secret_arn))
        except errors.Error as error:
            if last or error.errno not in _CREDENTIAL_ERRORS:
                number = error.errno or type(error).__name__
                raise SourceUnavailableError(f"Snowflake did not let us in (error {number})") from None
    raise AssertionError("unreachable")


def _connect(secret: Mapping[str, Any]) -> Any:
    import snowflake.connector

    # it would ask the cloud's metadata address where it runs, and wait for an answer
    return snowflake.connector.connect(**secret, platform_detection_timeout_seconds=0.0, login_timeout=60)


def _secret(secret_arn: str) -> dict[str, Any]:
    import boto3

    answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret_arn)
    secret: dict[str, Any] = json.loads(answer["SecretString"])
    return secret


def _check_columns(contract: Contract, secret_arn: str) -> None:
    from snowflake.connector import errors

    relation = contract.location
    try:
        with closing(connect(secret_arn)) as connection, closing(connection.cursor()) as statement:
            described = statement.describe(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608 (a released contract)
    except errors.Error as error:
        raise SourceUnavailableError(f"{relation}: Snowflake answered with error {error.errno}") from None
    check_columns(contract, [column.name.lower() for column in described])


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
