"""What sources of records behind an HTTP API share.

Windows of time as partitions, fields that the contract knows, and values in the contract's types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from contracts.contract import Contract
from contracts.errors import ContractViolationError
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema
from spark_jobs.sources.rest import PATIENCE, Patience, told_to_the_driver

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

BATCH_RECORDS = 10_000
_EXACT = Context(prec=38, traps=[Inexact])  # a value with more places than its column breaks the contract


@dataclass(frozen=True, kw_only=True)
class Window:
    """The records that changed in [start, end)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is read: an object's fields, for a source, with the secret at an ARN."""

    source: str
    secret_arn: str | None
    object: str
    fields: tuple[str, ...]
    dataset: str
    version: str
    patience: Patience = PATIENCE

    @classmethod
    def of(cls, contract: Contract, secret_arn: str | None, patience: Patience) -> Wanted:
        """What a contract describes."""
        return cls(
            source=contract.source_name,
            secret_arn=secret_arn,
            object=(contract.source or {})["object"],
            fields=tuple(field.name for field in contract.fields),
            dataset=contract.dataset,
            version=contract.version,
            patience=patience,
        )


# Reads one part, such as a window, in a task; it has to sign in for itself.
ReadPart = Callable[[Wanted, Any], Iterable[Mapping[str, Any]]]


class RecordReader(DataSourceReader):
    """Reads a part a task."""

    def __init__(self, schema: StructType, wanted: Wanted, parts: Sequence[Any], read_part: ReadPart) -> None:
        self._schema = schema
        self._wanted = wanted
        self._parts = parts
        self._read_part = read_part

    def partitions(self) -> Sequence[InputPartition]:
        """One partition a part."""
        return [InputPartition(part) for part in self._parts]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The part's records, in the types of the schema."""
        with told_to_the_driver():
            yield from _batches(self._wanted, self._schema, list(self._read_part(self._wanted, partition.value)))


def source_of(name: str, wanted: Wanted, parts: Sequence[Any], read_part: ReadPart) -> type[DataSource]:
    """The data source of one reading; what it reads travels inside the class, for options would show in the plan."""

    class RecordSource(DataSource):
        @classmethod
        def name(cls) -> str:
            return name

        def reader(self, schema: StructType) -> DataSourceReader:
            return RecordReader(schema, wanted, parts, read_part)

    return RecordSource


def load(
    lake: Lake, contract: Contract, name: str, wanted: Wanted, parts: Sequence[Any], read_part: ReadPart
) -> DataFrame:
    """The records of all parts, in the contract's columns.

    Args:
        lake: the job's lake.
        contract: of the source.
        name: of the data source, in the plan.
        wanted: what is read.
        parts: what each task reads.
        read_part: reads one of them.
    """
    lake.spark.dataSource.register(source_of(name, wanted, parts, read_part))
    return lake.spark.read.format(name).schema(received_schema(contract)).load()


def windows_of(
    count: Callable[[Window], int], start: datetime, end: datetime, *, records: int, shortest: timedelta
) -> list[Window]:
    """An interval in windows that hold so many records at most; empty ones are left out.

    A window is halved by time until it is small enough, or cannot be halved: more records than that share a moment only
    where they were changed in bulk, and paging has to read them all the same.

    Args:
        count: how many records a window holds.
        start: UTC, a multiple of `shortest`.
        end: UTC.
        records: the most in a window.
        shortest: how finely the source tells moments apart.
    """
    found, left = [], [Window(start=start, end=end)]
    while left:
        window = left.pop()
        held = count(window)
        if held == 0:
            continue
        middle = window.start + (window.end - window.start) // (2 * shortest) * shortest
        if held <= records or middle == window.start:
            found.append(window)
            continue
        left += [Window(start=middle, end=window.end), Window(start=window.start, end=middle)]
    return found


def check_fields(contract: Contract, names: Sequence[str], own: Sequence[str]) -> None:
    """Nothing, when a system has the contract's fields, and no custom field that the contract does not know.

    A system's standard fields are many, come with its releases, and are left out unless a contract names them.

    Args:
        contract: of the source.
        names: all fields that its user may see.
        own: those of them that somebody added.
    Raises:
        ContractViolationError: names the first field that is missing or unknown.
    """
    todo = "Have the system's owner put it right, or release a new version of the contract; then redrive."
    known = [field.name for field in contract.fields]
    for name in known:
        if name not in names:
            detail = f"{contract.location}: the field is missing, or the user may not see it. {todo}"
            raise ContractViolationError(contract.dataset, contract.version, name, "required", detail)
    for name in own:
        if name not in known:
            detail = f"{contract.location}: the field is not in the contract. {todo}"
            raise ContractViolationError(contract.dataset, contract.version, name, "additionalProperties", detail)


def _batches(wanted: Wanted, schema: StructType, records: Sequence[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    columns = to_arrow_schema(schema, timestamp_utc=True)
    arrays = [
        pa.array([_typed(wanted, field.name, field.type, record.get(field.name)) for record in records], field.type)
        for field in columns
    ]
    yield from pa.Table.from_arrays(arrays, schema=columns).to_batches(max_chunksize=BATCH_RECORDS)


def _typed(wanted: Wanted, name: str, kind: pa.DataType, value: Any) -> Any:
    """A JSON value as its column's type holds it."""
    import pyarrow as pa

    try:
        if value is None:
            return None
        if pa.types.is_timestamp(kind):
            return datetime.fromisoformat(value)
        if pa.types.is_date(kind):
            return date.fromisoformat(value)
        if pa.types.is_decimal(kind):
            return Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale), context=_EXACT)
        if pa.types.is_boolean(kind) != isinstance(value, bool) or pa.types.is_string(kind) != isinstance(value, str):
            raise TypeError
        return value
    except (TypeError, ValueError, ArithmeticError):
        detail = f"{wanted.object}: a value is no {kind}. Have the system's owner put it right; then redrive."
        raise ContractViolationError(wanted.dataset, wanted.version, name, "type", detail) from None
