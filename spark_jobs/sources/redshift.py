"""A Redshift relation read over JDBC: the query pushed down, a range of the key's first column a partition.

The driver asks first, over one connection: which columns there are, how many rows the interval holds, and between
which keys. Spark's tasks then each read a range of keys over a connection of their own. Ranges are of the key, not of
the cursor, because rows that were loaded together share a moment: all of a table can lie at one. The first and the
last range are open, so a row that appears between the two questions is in one of them, and never in two.

A read of more than UNLOAD_ROWS goes by way of S3 instead, where the secret names a role to unload with: what a
connection brings passes through the cluster's leader node, an UNLOAD is written by all its nodes at once.

The driver's ring buffer bounds what a connection holds in memory, so there is no fetch size: it counts only where the
buffer is off, and then takes cursors, which materialise the whole result on the leader node.

Source: Amazon Redshift Database Developer Guide, "Setting the JDBC fetch size parameter", "DECLARE" (constraints);
Management Guide, "Options for JDBC driver version 2.x"; Spark's "JDBC To Other Databases".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import DataType

from contracts.contract import Contract
from contracts.errors import ContractViolationError, InvalidRequestError, SourceUnavailableError
from spark_jobs.lake import Lake
from spark_jobs.row_rules import received_schema
from spark_jobs.sources import unload
from spark_jobs.sources.credentials import CredentialsRefusedError, signed_in
from spark_jobs.sources.snowflake import check_columns
from spark_jobs.sources.sql_types import holds

SYSTEM = "Redshift"
DRIVER = "com.amazon.redshift.Driver"
PARTITION_ROWS = 100_000
MOST_PARTITIONS = 8  # connections at once: a cluster's default queue runs five queries, and others wait behind them
UNLOAD_ROWS = 1_000_000
LOOPBACK = "127.0.0.1"
_HOST, _DATABASE = re.compile(r"[A-Za-z0-9.-]+"), re.compile(r"[A-Za-z0-9_$-]+")
_WHOLE_NUMBERS = ("int", "bigint")
_REFUSED, _CANNOT_CONNECT, _SHUT_DOWN, _NO_RESOURCES = "28", "08", "57", "53"
_HINTS = {
    "3F000": "there is no such schema, or the user may not use it",
    "42P01": "there is no such relation, or the user may not see it",
    "42501": "the user may not read it",
}


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where a database is and who asks; never printed."""

    url: str
    properties: Mapping[str, str]
    unload_role: str | None

    def __repr__(self) -> str:
        return f"Login(url={self.url!r})"


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How many rows an interval holds, and between which whole numbers its key's first column lies, where it is one."""

    rows: int
    lowest: int | None = None
    highest: int | None = None


class Session:
    """One connection of the driver."""

    def __init__(self, connection: Any, login: Login) -> None:
        self._connection = connection
        self.login = login

    def columns(self, query: str) -> list[str]:
        """The names of a query's columns; it runs, so it should find nothing."""
        with self._answer(query) as rows:
            about = rows.getMetaData()
            return [str(about.getColumnName(index)) for index in range(1, about.getColumnCount() + 1)]

    def row(self, query: str) -> list[str | None]:
        """The first row of a query, as text."""
        with self._answer(query) as rows:
            rows.next()
            return [rows.getString(index) for index in range(1, rows.getMetaData().getColumnCount() + 1)]

    def execute(self, statement: str) -> None:
        """Run a statement that gives no rows."""
        asked = self._connection.createStatement()
        try:
            asked.execute(statement)
        finally:
            asked.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextmanager
    def _answer(self, query: str) -> Iterator[Any]:
        asked = self._connection.createStatement()
        try:
            yield asked.executeQuery(query)
        finally:
            asked.close()


def read_table(
    lake: Lake, contract: Contract, secret_arn: str | None, start: datetime | None, end: datetime
) -> DataFrame | None:
    """The relation's rows whose cursor lies in [start, end), typed as the contract says; None when there are none.

    Args:
        lake: the job's lake.
        contract: names the relation, its cursor (a timestamp in UTC) and its columns.
        secret_arn: the secret, in the form that Secrets Manager rotates for Redshift: host, port, dbname, username,
            password; and unload_role_arn, where large reads may go by way of S3.
        start: UTC; None for the whole history.
        end: UTC.
    Returns:
        The contract's columns, `_file` (null) and `_received_at` (the cursor).
    Raises:
        ContractViolationError: the relation lacks a column, has one that the contract does not know, or one of a type
            whose values the contract's type cannot all hold.
        SourceUnavailableError: Redshift did not answer, or refused the secret twice.
    """
    spark, source = lake.spark, contract.source or {}
    session = signed_in(contract.source_name, secret_arn, lambda secret: connect(spark, contract, secret))
    query = query_of(contract, start, end)
    try:
        check_columns(contract, session.columns(f"SELECT * FROM {contract.location} WHERE FALSE"))  # noqa: S608
        extent = _extent(session, contract, query)
        if extent.rows == 0:
            return None
        role = session.login.unload_role
        if role is not None and extent.rows > UNLOAD_ROWS:
            received = unload.unloaded(lake, contract, session.execute, query, role)
        else:
            received = _by_ranges(spark, session.login, query, _ranges(contract, extent))
    except Py4JJavaError as error:
        raise told_by_jdbc(error, contract) or error from None
    finally:
        session.close()
    rows = typed(contract, received)
    return rows.withColumns({"_file": sf.lit(None).cast("string"), "_received_at": sf.col(source["cursor"])})


def query_of(contract: Contract, start: datetime | None, end: datetime) -> str:
    """The query for the contract's columns of the rows whose cursor lies in [start, end).

    Every name in it comes from a released contract.
    """
    cursor = _quoted((contract.source or {})["cursor"])
    columns = ", ".join(_quoted(field.name) for field in contract.fields)
    condition = f"{cursor} < {_literal(end)}"
    if start is not None:
        condition += f" AND {cursor} >= {_literal(start)}"
    return f"SELECT {columns} FROM {contract.location} WHERE {condition}"  # noqa: S608


def ranges(column: str, extent: Extent, most: int) -> list[str]:
    """Conditions on a column of whole numbers that share its rows out; each row, null too, meets exactly one."""
    if extent.lowest is None or extent.highest is None:
        return ["TRUE"]
    width = extent.highest - extent.lowest + 1
    count = min(most, width)
    edges = [extent.lowest + width * index // count for index in range(1, count)]
    if not edges:
        return ["TRUE"]
    name = _quoted(column)
    between = [f"{name} >= {low} AND {name} < {high}" for low, high in pairwise(edges)]
    return [f"({name} < {edges[0]} OR {name} IS NULL)", *between, f"{name} >= {edges[-1]}"]


def login_of(secret: Mapping[str, Any]) -> Login:
    """Where and how to sign in, from what Secrets Manager holds.

    Raises:
        CredentialsRefusedError: names what the secret lacks, never what it holds.
    Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """
    wanted = ("host", "port", "dbname", "username", "password")
    if missing := [name for name in wanted if not secret.get(name)]:
        raise CredentialsRefusedError(f"{SYSTEM}'s secret has no {', '.join(missing)}")
    host, port, database = str(secret["host"]), str(secret["port"]), str(secret["dbname"])
    if not _HOST.fullmatch(host) or not port.isdecimal() or not _DATABASE.fullmatch(database):
        raise CredentialsRefusedError(f"host, port or dbname in {SYSTEM}'s secret is not one")
    # only what never leaves the machine may go without TLS
    tls = {"ssl": "false"} if host == LOOPBACK else {"ssl": "true", "sslmode": "verify-full"}
    return Login(
        url=f"jdbc:redshift://{host}:{port}/{database}",
        properties={
            "user": str(secret["username"]),
            "password": str(secret["password"]),
            "driver": DRIVER,
            "ApplicationName": "assay",
            "loginTimeout": "30",
            "tcpKeepAlive": "true",
            "fetchRingBufferSize": "32M",
            **tls,
        },
        unload_role=secret.get("unload_role_arn") or None,
    )


def connect(spark: SparkSession, contract: Contract, secret: Mapping[str, Any]) -> Session:
    """A connection of the driver, by what the secret holds.

    Raises:
        CredentialsRefusedError, SourceUnavailableError: name SQL's state, never the secret.
        InvalidRequestError: Spark has no driver for Redshift.
    """
    login = login_of(secret)
    jvm: Any = spark._jvm
    properties = jvm.java.util.Properties()
    for name, value in login.properties.items():
        if name != "driver":
            properties.setProperty(name, value)
    try:
        # not by DriverManager: it does not see jars that came with the job
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        connection = loader.loadClass(DRIVER).newInstance().connect(login.url, properties)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() == "ClassNotFoundException":
            raise InvalidRequestError(f"{DRIVER} is not on Spark's class path; see spark.conf of the stage") from None
        raise told_by_jdbc(error, contract) or error from None
    return Session(connection, login)


def told_by_jdbc(error: BaseException, contract: Contract) -> Exception | None:
    """What a failure of Spark or of a connection says of the database; None when it was not the database's.

    Its own message is never quoted: it can hold a row's values.

    Args:
        error: py4j's or Spark's.
        contract: what was asked for, for the sentence.
    Returns:
        CredentialsRefusedError where a sign-in was refused, else SourceUnavailableError.
    Source: PostgreSQL 18, Appendix A, "Error Codes"
    """
    state = _sql_state(error)
    if state is None:
        return None
    what = f"{contract.source_name} ({contract.location})"
    if state.startswith(_REFUSED):
        return CredentialsRefusedError(f"{SYSTEM} did not let us in (SQL state {state})")
    if state.startswith((_CANNOT_CONNECT, _SHUT_DOWN, _NO_RESOURCES)):
        return SourceUnavailableError(
            f"{what}: {SYSTEM} did not answer, or broke off (SQL state {state}); redrive the execution once it answers"
        )
    hint = _HINTS.get(state, "see its log for the query")
    return SourceUnavailableError(f"{what}: {SYSTEM} answered with SQL state {state}: {hint}; then redrive")


def typed(contract: Contract, received: DataFrame) -> DataFrame:
    """The rows in the contract's types.

    Raises:
        ContractViolationError: a column's type has values that the contract's cannot hold.
    """
    wanted = received_schema(contract)
    for field in wanted.fields:
        given: DataType = received.schema[field.name].dataType
        if not holds(field.dataType, given):
            detail = (
                f"{contract.location}: its type is {given.simpleString()}, whose values {field.dataType.simpleString()}"
                " cannot all hold. Have the owner of the relation put it right, or release a new version of the"
                " contract; then redrive."
            )
            raise ContractViolationError(contract.dataset, contract.version, field.name, "type", detail)
    # timestamps come without a zone and are UTC, as the session's time zone is
    return received.select(*(sf.col(field.name).cast(field.dataType).alias(field.name) for field in wanted.fields))


def _extent(session: Session, contract: Contract, query: str) -> Extent:
    column = _partition_column(contract)
    more = f", MIN({_quoted(column)}), MAX({_quoted(column)})" if column else ""
    count, *bounds = session.row(f"SELECT COUNT(*){more} FROM ({query}) AS asked")  # noqa: S608
    lowest, highest = (int(each) if each is not None else None for each in bounds or (None, None))
    return Extent(rows=int(count or 0), lowest=lowest, highest=highest)


def _partition_column(contract: Contract) -> str | None:
    first = contract.field(contract.key[0])
    return first.name if first.type in _WHOLE_NUMBERS else None


def _ranges(contract: Contract, extent: Extent) -> list[str]:
    column = _partition_column(contract)
    wanted = min(MOST_PARTITIONS, -(-extent.rows // PARTITION_ROWS))
    return ranges(column, extent, wanted) if column else ["TRUE"]


def _by_ranges(spark: SparkSession, login: Login, query: str, conditions: Sequence[str]) -> DataFrame:
    properties = {**login.properties, "preferTimestampNTZ": "true"}
    return spark.read.jdbc(login.url, f"({query}) AS asked", predicates=list(conditions), properties=properties)


def _sql_state(error: BaseException) -> str | None:
    cause = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while cause is not None:
        name = str(cause.getClass().getName())
        if name.startswith(("com.amazon.redshift.", "java.sql.")):
            return str(cause.getSQLState() or "08000") if "Exception" in name else "08000"
        cause = cause.getCause()
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
