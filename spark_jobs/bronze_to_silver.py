"""Bronze to silver: this run's bronze rows typed, deduplicated, and only what is newer than silver, as candidates.

Nothing of a run that a gate may still hold goes into a shared table; publish merges the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as sf

from contracts import contract as contracts
from spark_jobs.bronze import run_rows
from spark_jobs.days import single_days
from spark_jobs.job import INGEST, Job
from spark_jobs.lake import distinct_dates, in_stretches
from spark_jobs.quarantine import as_json, run_columns
from spark_jobs.receipts import Lineage, Outcome, Rejected, TableReceipt
from spark_jobs.rejections import REJECTED_BY, mark, of_dataset, quarantine
from spark_jobs.tokens import with_tokens
from spark_jobs.transforms import accounts, contacts, opportunities, order_lines, orders, part_supply, products, rates
from spark_jobs.transforms.newest import EXISTING, newer_than, newest

AT_ONCE = 3  # small writes wait for the driver more than for a core


@dataclass(frozen=True, kw_only=True)
class SilverTable:
    """How one silver table comes from bronze.

    Attributes:
        date: a column of dates or moments that never changes for a key, so that it prunes; None for a table that is
            read whole.
        order: columns that say how new a row is, most significant first.
        standardise: bronze's rows named and typed as silver has them, all states of a key.
        personal: the kinds of personal values, which become tokens.
        as_silver: rows with tokens in the columns of silver.
    """

    name: str
    source: str
    date: str | None
    key: Sequence[str]
    order: Sequence[str]
    standardise: Callable[[DataFrame], DataFrame]
    lineage: Lineage
    personal: Sequence[str] = ()
    as_silver: Callable[[DataFrame], DataFrame] | None = None

    def settled(self, rows: DataFrame, secret_arn: str | None) -> DataFrame:
        """The newest row of each key, in the columns of the table's contract.

        Args:
            rows: as `standardise` gives them.
            secret_arn: the key of tokens; only tables with personal values need it.
        Raises:
            InvalidRequestError: it is needed and not there.
        """
        if self.as_silver is not None:
            rows = self.as_silver(with_tokens(rows, self.personal, secret_arn))
        return newest(rows, self.key, self.order).drop("_file")  # told apart rates that were received at once


def _rates(bronze: DataFrame) -> DataFrame:
    contract = contracts.of_source("fx_rates")
    currencies = [field.name for field in contract.fields if field.name != rates.DAY]
    return rates.standardise(bronze, currencies, contract.parse.null_tokens if contract.parse else ())


SILVER_TABLES = (
    SilverTable(
        name="silver/fx_rates",
        source="fx_rates",
        date="rate_date",
        key=rates.KEY,
        order=rates.ORDER,
        standardise=_rates,
        lineage=rates.LINEAGE,
    ),
    SilverTable(
        name="silver/orders",
        source="snowflake_orders",
        date="order_date",
        key=orders.KEY,
        order=orders.ORDER,
        standardise=orders.standardise,
        lineage=orders.LINEAGE,
    ),
    SilverTable(
        name="silver/opportunities",
        source="salesforce_opportunities",
        date="created_at",
        key=opportunities.KEY,
        order=opportunities.ORDER,
        standardise=opportunities.standardise,
        lineage=opportunities.LINEAGE,
    ),
    SilverTable(
        name="silver/products",
        source="redshift_products",
        date=None,
        key=products.KEY,
        order=products.ORDER,
        standardise=products.standardise,
        lineage=products.LINEAGE,
    ),
    SilverTable(
        name="silver/part_supply",
        source="redshift_part_supply",
        date="valid_from",
        key=part_supply.KEY,
        order=part_supply.ORDER,
        standardise=part_supply.standardise,
        lineage=part_supply.LINEAGE,
    ),
    SilverTable(
        name="silver/order_lines",
        source="redshift_order_lines",
        date="order_date",
        key=order_lines.KEY,
        order=order_lines.ORDER,
        standardise=order_lines.standardise,
        lineage=order_lines.LINEAGE,
    ),
    SilverTable(
        name="silver/accounts",
        source="salesforce_accounts",
        date="updated_on",
        key=accounts.KEY,
        order=accounts.ORDER,
        standardise=accounts.standardise,
        personal=accounts.PERSONAL,
        as_silver=accounts.as_silver,
        lineage=accounts.LINEAGE,
    ),
    SilverTable(
        name="silver/contacts",
        source="hubspot_contacts",
        date="updated_on",
        key=contacts.KEY,
        order=contacts.ORDER,
        standardise=contacts.standardise,
        personal=contacts.PERSONAL,
        as_silver=contacts.as_silver,
        lineage=contacts.LINEAGE,
    ),
)


def bronze_to_silver(job: Job) -> Outcome:
    """Write the candidates of every silver table that the run's sources make."""
    silver = silver_tables(job)
    largest_first = sorted(silver, key=lambda table: -_received(job, table))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        writes = {table.name: pool.submit(_write, job, table) for table in largest_first}
    written = [writes[table.name].result() for table in silver]
    tables = tuple(receipt for receipt, _ in written)
    rejections = tuple(each for _, rejected in written for each in rejected)
    return Outcome(
        tables=tables,
        rows=_counts(tables, rejections) if rejections else None,
        rejections=rejections,
        bases={each.table: each.version_before for each in tables},
        lineage=tuple(table.lineage for table in silver),
    )


def silver_tables(job: Job) -> tuple[SilverTable, ...]:
    """The silver tables that the run's sources make; a receipt that leaves one of them out is incomplete."""
    return tuple(table for table in SILVER_TABLES if job.request.takes(table.source))


def _received(job: Job, table: SilverTable) -> int:
    """How many rows of its source the run has brought."""
    return job.receipts.of(INGEST, table.source).table(contracts.of_source(table.source).table).rows


def _counts(tables: Sequence[TableReceipt], rejections: Sequence[Rejected]) -> dict[str, int]:
    accepted, quarantined = sum(each.rows for each in tables), sum(each.rows for each in rejections)
    return {"received": accepted + quarantined, "accepted": accepted, "quarantined": quarantined}


def _write(job: Job, table: SilverTable) -> tuple[TableReceipt, tuple[Rejected, ...]]:
    """Write a table's candidates, and put those that a person has rejected into quarantine."""
    request, lake = job.request, job.lake
    contract = contracts.of_table(table.name)
    source = contracts.of_source(table.source)
    base = lake.version(table.name)
    states = table.standardise(run_rows(job, source))
    rows = table.settled(states, request.secret_arn)
    current = None
    if base is not None and _received(job, table):
        # read twice, once to know which of silver's days matter: a day's rows, so they fit
        rows = rows.persist()
        days = None if table.date is None else single_days(distinct_dates(rows, table.date))
        current = lake.read_days(table.name, base, table.date, days)
    if current is None:
        if base is None:
            rows = _in_stretches(table, states, rows)
        candidates = rows.withColumn(EXISTING, sf.lit(False))
    else:
        candidates = newer_than(rows, current, table.key, table.order)
    rejected: tuple[Rejected, ...] = ()
    if rejections := of_dataset(request, contract):
        marked = mark(candidates, contract, rejections, request).persist()
        # its key and the run lead to the row of bronze that a candidate comes from; only that one knows its file
        nothing = sf.lit(None)
        written_by = run_columns(job, table.source, nothing.cast("string"), nothing.cast("timestamp"))
        rejected = quarantine(job, contract, rejections, marked, as_json(contract), written_by)
        candidates = marked.where(sf.col(REJECTED_BY).isNull())
    path = f"candidates/{request.run_id}/{table.name}/{request.attempt}"
    counted = Observation(f"candidates of {table.name}")
    candidates = candidates.observe(
        counted,
        sf.count("*").alias("rows"),
        sf.count(sf.when(sf.col(EXISTING), 1)).alias("replaces"),
        *_days(table),
    )
    lake.write_candidates(candidates.select(*(name for name, _ in contract.columns)), path)
    count = counted.get
    job.log.write("candidates_written", table=table.name, rows=count["rows"], path=path)
    receipt = TableReceipt(
        table=table.name,
        version_before=base,
        version_after=base,
        path=path,
        **count,
    )
    return receipt, rejected


def _in_stretches(table: SilverTable, states: DataFrame, rows: DataFrame) -> DataFrame:
    """A history of many rows in files of a stretch of days each, which become the table as they are.

    All its states tell about as well as the newest ones which days there are, and nothing is sorted to ask them.
    """
    if table.date is None:
        return rows
    day = sf.col(table.date).cast("date")
    held = states.agg(sf.min(day), sf.max(day), sf.count("*")).first()
    assert held is not None  # noqa: S101 (an aggregate has a row)
    first, last, count = held
    return rows if first is None else in_stretches(rows, table.date, first, last, count)


def _days(table: SilverTable) -> list[Column]:
    if table.date is None:
        return []
    return [
        sf.min(table.date).cast("date").cast("string").alias("first_day"),
        sf.max(table.date).cast("date").cast("string").alias("last_day"),
    ]
