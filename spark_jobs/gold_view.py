"""What the builders of gold see: silver as it will be once the run is published, and gold as it stands.

Silver is read only on the days that the run touches: the days of its orders, and for each of its rates the days until
the next rate. What other runs put into silver since gold was last published whole counts like the run's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property, reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from spark_jobs.bronze_to_silver import silver_tables
from spark_jobs.days import Span, in_spans, merge_spans, single_days
from spark_jobs.job import BRONZE_TO_SILVER, Job
from spark_jobs.silver_changes import since
from spark_jobs.transforms import accounts, contacts, customer_segments, orders, rates
from spark_jobs.transforms.daily_revenue import daily_revenue
from spark_jobs.transforms.newest import overlay
from spark_jobs.transforms.order_facts import order_facts

ORDERS, RATES = "silver/orders", "silver/fx_rates"
ACCOUNTS, CONTACTS = "silver/accounts", "silver/contacts"
FACTS, CUSTOMERS = "gold/fct_orders", "gold/customer_segments"
# The ECB never paused longer for a currency it still quotes; one that it ceased to quote needs the second pass.
RATE_WINDOW = timedelta(days=31)
_FIRST, _NEVER = date(1, 1, 1), date(9999, 12, 31)


class GoldView:
    """The lake as the builders of a run see it.

    Attributes:
        bases: the versions of the silver and gold tables that are read; None for one that is not there.
        sealed: the versions of these tables when gold was last published whole; None when it never was.
        spans: the days on which gold may differ from what it should hold; None for all days.
    """

    def __init__(self, job: Job, bases: Mapping[str, int | None], sealed: Mapping[str, int] | None) -> None:
        self.job = job
        self.bases = bases
        known = sealed is not None and all(name in sealed for name in bases if name.startswith("gold/"))
        self.sealed = sealed if known else None
        self.spans = _Touched(self).spans() if self.sealed is not None else None
        self._rate_window: timedelta | None = RATE_WINDOW

    def look_at_all_rates(self) -> None:
        """Take the rates from however long ago: a currency's last quote is older than the window."""
        self._rate_window = None
        self.daily_revenue.unpersist()
        del self.daily_revenue, self.rates

    def current(self, table: str, day: str | None, spans: list[Span] | None) -> DataFrame | None:
        """The rows of a gold table as it stands, on some days; None when there are none."""
        return self.job.lake.read_days(table, self.bases[table], day, spans)

    @cached_property
    def orders(self) -> DataFrame:
        """The orders of the touched days, in the columns of orders_silver."""
        return self._silver(ORDERS, orders.ORDER, "order_date", self.spans).persist()

    @cached_property
    def rates(self) -> DataFrame:
        """The rates that can stand on the touched days, in the columns of fx_rates_silver."""
        return self._silver(RATES, rates.ORDER, "rate_date", _rates_needed(self.spans, self._rate_window))

    @cached_property
    def accounts(self) -> DataFrame:
        """Every state of every account, in the columns of accounts_silver."""
        return self._silver(ACCOUNTS, accounts.ORDER, "updated_on", None).persist()

    @cached_property
    def contacts(self) -> DataFrame:
        """Every state of every contact, in the columns of contacts_silver."""
        return self._silver(CONTACTS, contacts.ORDER, "updated_on", None).persist()

    @cached_property
    def daily_revenue(self) -> DataFrame:
        """Revenue of the touched days, in the columns of `daily_revenue`."""
        return daily_revenue(self.orders, self.rates).persist()

    @cached_property
    def facts(self) -> DataFrame:
        """The orders of the touched days with their amounts in euro, in the columns of `order_facts`."""
        return order_facts(self.orders, self.daily_revenue).persist()

    @cached_property
    def customers(self) -> DataFrame:
        """What every customer has ordered, in the columns of `totals`."""
        return self._customers[0]

    @cached_property
    def days_of_new_customers(self) -> list[Span]:
        """Days beside the touched ones on which other customers than before are new."""
        return self._customers[1]

    @cached_property
    def _customers(self) -> tuple[DataFrame, list[Span]]:
        if self.sealed is None:
            return customer_segments.totals(self.facts).persist(), []
        counted = customer_segments.counted_on(self._sealed(CUSTOMERS), self._sealed(FACTS), self.facts).persist()
        first, known_first = sf.col("first_order_date"), sf.col("_known_first")
        unknown = first.isNull() | sf.col("last_order_date").isNull()
        moved = counted.where(unknown | (known_first != first)).select(
            "customer_id", "_known_first", unknown.alias("u")
        )
        found = moved.collect()
        days = [row["_known_first"] for row in found]
        customers = counted.drop("_known_first")
        if lost := [row["customer_id"] for row in found if row["u"]]:
            dates = self._dates_of(lost)
            days += [row["_first"] for row in dates.collect()]
            customers = (
                customers.join(dates, "customer_id", how="left")
                .withColumn("first_order_date", sf.coalesce("_first", "first_order_date"))
                .withColumn("last_order_date", sf.coalesce("_last", "last_order_date"))
                .select(*customers.columns)
                .persist()
            )
        return customers, single_days(day for day in days if day is not None)

    def _dates_of(self, customers: Sequence[int]) -> DataFrame:
        """The first and last dates of some customers, looked up among all of their orders."""
        theirs = self._silver(ORDERS, orders.ORDER, "order_date", None).where(sf.col("customer_id").isin(*customers))
        first, last = sf.min("order_date").alias("_first"), sf.max("order_date").alias("_last")
        return theirs.groupBy("customer_id").agg(first, last).persist()

    def _sealed(self, table: str) -> DataFrame:
        """A gold table as it was when gold was last published whole; of facts, the touched days."""
        version = (self.sealed or {})[table]
        found = self.job.lake.read(table, version)
        return found.where(in_spans("order_date", self.spans or [])) if table == FACTS else found

    def _silver(self, table: str, order: tuple[str, ...], day: str, spans: list[Span] | None) -> DataFrame:
        """The rows of a silver table as it will be on the given days; the day of a key never changes."""
        contract = contracts.of_table(table)
        candidates = candidates_of(self.job, contract)
        if spans is not None:
            candidates = candidates.where(in_spans(day, spans))
        current = self.job.lake.read_days(table, self.bases[table], day, spans)
        return candidates if current is None else overlay(current, candidates, contract.key, order)


def candidates_of(job: Job, contract: Contract) -> DataFrame:
    """What the run is to put into a silver table."""
    written = job.receipts.of(BRONZE_TO_SILVER).table(contract.table)
    return job.lake.read_candidates(contract, written.path)


def _rates_needed(spans: list[Span] | None, window: timedelta | None) -> list[Span] | None:
    """The days whose rates can stand on the given days: from a window before each, up to its last day."""
    if not spans:
        return spans
    if window is None:
        return [(_FIRST, spans[-1][1])]
    return merge_spans((first - window, last) for first, last in spans)


class _Touched:
    """The days whose gold may differ from what it should hold, from one small Spark job."""

    def __init__(self, view: GoldView) -> None:
        self._job, self._bases, self._sealed = view.job, view.bases, view.sealed

    def spans(self) -> list[Span]:
        parts = []
        sold, _ = self._new_rows(ORDERS, "order_date")
        if sold is not None:
            day = sf.col("order_date")
            parts.append(sold.select(day.alias("first"), day.alias("last")).distinct())
        quoted, spans = self._new_rows(RATES, "rate_date")
        if quoted is not None:
            parts.append(self._days_of_rates(quoted, spans))
        if not parts:
            return []
        found = reduce(DataFrame.unionByName, parts).collect()
        return merge_spans((row["first"], row["last"]) for row in found)

    def _new_rows(self, table: str, column: str) -> tuple[DataFrame | None, list[Span] | None]:
        """The run's candidates for a silver table and what others put there since, None when both are empty.

        With them the days that they are about; None when that is not known.
        """
        contract, frames = contracts.of_table(table), []
        written = self._job.receipts.of(BRONZE_TO_SILVER).table(table)
        spans: list[Span] | None = []
        if written.rows:
            frames.append(candidates_of(self._job, contract))
            spans = None
            if written.first_day and written.last_day:
                spans = [(date.fromisoformat(written.first_day), date.fromisoformat(written.last_day))]
        changes = since(self._job.lake, (self._sealed or {}).get(table), table, self._bases[table])
        missed = changes.rows(self._job.lake, table, self._bases[table], column) if changes else None
        if changes and missed is not None:
            self._job.log.write("silver_changed_since_gold", table=table)
            frames.append(missed)
            spans = None if spans is None or changes.spans is None else [*spans, *changes.spans]
        names = [name for name, _ in contract.columns]
        return (reduce(DataFrame.unionByName, (each.select(*names) for each in frames)) if frames else None), spans

    def _days_of_rates(self, new: DataFrame, spans: list[Span] | None) -> DataFrame:
        """For each day of new rates, until when they stand: to the next quote; null where none is in sight."""
        quotes = new.select("currency", "rate_date", sf.lit(True).alias("_new"))
        known = None
        if spans:
            horizons = [(first, None if last is None else last + RATE_WINDOW) for first, last in spans]
            known = self._job.lake.read_days(RATES, self._bases[RATES], "rate_date", merge_spans(horizons))
        if known is not None:
            quotes = quotes.unionByName(known.select("currency", "rate_date", sf.lit(False).alias("_new")))
        quotes = quotes.groupBy("currency", "rate_date").agg(sf.max("_new").alias("_new"))
        by_day = Window.partitionBy("currency").orderBy("rate_date")
        stands_until = sf.coalesce(sf.date_sub(sf.lead("rate_date").over(by_day), 1), sf.lit(_NEVER))
        return (
            quotes.withColumn("last", stands_until)
            .where("_new")
            .groupBy(sf.col("rate_date").alias("first"))
            .agg(sf.max("last").alias("last"))
            .withColumn("last", sf.when(sf.col("last") < sf.lit(_NEVER), sf.col("last")))
        )


def versions(job: Job, gold: Iterable[str]) -> dict[str, int | None]:
    """The versions now of the silver tables that the run makes, and of these gold tables."""
    return {name: job.lake.version(name) for name in (*(each.name for each in silver_tables(job)), *gold)}
