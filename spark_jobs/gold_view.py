"""What the builders of gold see: silver as it will be once the run is published, and gold as it stands.

Silver is read only on the days that the run touches: the days of its orders, and for each of its rates the days until
the next rate; of order lines besides the days of the run's lines, and those on which one of its prices stood. What
other runs put into silver since gold was last published whole counts like the run's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property, reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from contracts import contract as contracts
from contracts.contract import Contract
from spark_jobs.bronze_to_silver import silver_tables
from spark_jobs.days import Span, in_spans, merge_spans, quarters_of, single_days
from spark_jobs.job import BRONZE_TO_SILVER, Job
from spark_jobs.silver_changes import restored_since, since
from spark_jobs.transforms import (
    accounts,
    contacts,
    customer_segments,
    daily_kpis,
    line_facts,
    order_lines,
    orders,
    part_supply,
    product_performance,
    products,
    rates,
)
from spark_jobs.transforms.daily_revenue import daily_revenue, rates_of_days
from spark_jobs.transforms.newest import newest, overlay
from spark_jobs.transforms.order_facts import order_facts

ORDERS, RATES = "silver/orders", "silver/fx_rates"
LINES, PRICES, PRODUCTS = "silver/order_lines", "silver/part_supply", "silver/products"
ACCOUNTS, CONTACTS = "silver/accounts", "silver/contacts"
FACTS, CUSTOMERS = "gold/fct_orders", "gold/customer_segments"
LINE_FACTS, PERFORMANCE = "gold/fct_order_lines", "gold/product_performance"
# The ECB never paused longer for a currency it still quotes; one that it ceased to quote needs the second pass.
RATE_WINDOW = timedelta(days=31)
BROADCAST_ROWS = 2_000_000  # of a few numbers each: some 100 MB
_FIRST, _NEVER = date(1, 1, 1), date(9999, 12, 31)


class GoldView:
    """The lake as the builders of a run see it.

    Attributes:
        bases: the versions of the silver and gold tables that are read; None for one that is not there.
        sealed: the versions of these tables when gold was last published whole; None when it never was, or when a
            silver table was restored since, as gold may hold what has no row in silver any more.
        spans: the days on which gold may differ from what it should hold; None for all days.
        line_spans: the same for what is computed from order lines; they hold `spans`.
    """

    def __init__(self, job: Job, bases: Mapping[str, int | None], sealed: Mapping[str, int] | None) -> None:
        self.job = job
        self.bases = bases
        known = sealed is not None and all(name in sealed for name in bases if name.startswith("gold/"))
        self.sealed = sealed if known and not self._is_restored(sealed) else None
        self.takes_lines = LINE_FACTS in bases
        self.spans: list[Span] | None = None
        self.line_spans: list[Span] | None = None
        if self.sealed is not None:
            self.spans, self.line_spans = _Touched(self).spans()
        self._rate_window: timedelta | None = RATE_WINDOW

    def _is_restored(self, sealed: Mapping[str, int] | None) -> bool:
        silver = [name for name in self.bases if name.startswith("silver/")]
        found = [
            each for each in silver if restored_since(self.job.lake, (sealed or {}).get(each), each, self.bases[each])
        ]
        for name in found:
            self.job.log.write("silver_restored_since_gold", table=name)
        return bool(found)

    def look_at_all_rates(self) -> None:
        """Take the rates from however long ago: a currency's last quote is older than the window."""
        self._rate_window = None
        self.daily_revenue.unpersist()
        del self.daily_revenue, self.rates
        if "line_rates" in self.__dict__:
            self.line_rates.unpersist()
            del self.line_rates

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
    def line_rates(self) -> DataFrame:
        """The rate of each day and currency of the touched days' lines, in the columns of `rates_of_days`."""
        spans = _rates_needed(self.line_spans, self._rate_window)
        quoted = self.rates if self.line_spans == self.spans else self._silver(RATES, rates.ORDER, "rate_date", spans)
        return rates_of_days(self._lines.select("order_date", "currency").distinct(), quoted).persist()

    @cached_property
    def line_facts(self) -> DataFrame:
        """The order lines of the touched days, in the columns of `line_facts`."""
        spans, lines = self.line_spans, self._lines
        sold = self.orders if spans == self.spans else self._silver(ORDERS, orders.ORDER, "order_date", spans)
        sold = sold.select("order_id", "customer_id")
        prices = self._silver(PRICES, part_supply.ORDER, "valid_from", None)
        if spans is not None:
            # a day's lines are few, and so are their prices: those of all products need not be sorted
            priced = ["product_id", "supplier_id"]
            prices = prices.join(lines.select(*priced).distinct(), priced, how="semi")
        facts = line_facts.line_facts(lines, self._small(ORDERS, sold), self.line_rates, self._small(PRICES, prices))
        # those of a history are read back from where they are written
        return facts if self.bases[LINE_FACTS] is None else facts.persist()

    def _small(self, table: str, rows: DataFrame) -> DataFrame:
        """The rows of a history, to be broadcast when they are few enough: Spark would shuffle all lines instead."""
        few = self.job.receipts.of(BRONZE_TO_SILVER).table(table).rows <= BROADCAST_ROWS
        return sf.broadcast(rows) if few and self.bases[table] is None else rows

    def take_line_facts(self, path: str) -> None:
        """Read the lines of a table that there was not yet from its candidates, which are all of its rows."""
        self.line_facts = self.job.lake.read_candidates(contracts.of_table(LINE_FACTS), path)

    @cached_property
    def _lines(self) -> DataFrame:
        lines = self._silver(LINES, order_lines.ORDER, "order_date", self.line_spans)
        return lines if self.line_spans is None else lines.persist()

    @cached_property
    def margins(self) -> DataFrame:
        """The margins of the touched days, in the columns of `margins`."""
        return daily_kpis.margins(self.line_facts)

    @cached_property
    def quarters(self) -> list[Span] | None:
        """The first days of the quarters whose products may have sold otherwise, or grown otherwise; None for all."""
        return None if self.line_spans is None else quarters_of(self.line_spans, after=1)

    @cached_property
    def products_sold(self) -> DataFrame:
        """What each product sold in the quarters in question, in the columns of `performance`."""
        if self.quarters is None or self.line_spans is None:
            return product_performance.performance(product_performance.sums(self.line_facts))
        needed = in_spans("quarter_start", quarters_of(self.line_spans, before=1, after=1))
        known = self._sealed(PERFORMANCE).where(needed)
        counted = product_performance.counted_on(known, self._sealed(LINE_FACTS), self.line_facts)
        return product_performance.performance(counted).where(in_spans("quarter_start", self.quarters))

    @cached_property
    def changed_products(self) -> DataFrame:
        """The products that are new or changed since gold was last published whole, in the columns of products_silver.

        All of them when it never was.
        """
        if self.sealed is None:
            return self._silver(PRODUCTS, products.ORDER, "product_id", None)
        contract = contracts.of_table(PRODUCTS)
        found, _ = new_rows(self, PRODUCTS, None)
        if found is None:
            return candidates_of(self.job, contract)
        return newest(found, contract.key, products.ORDER).persist()

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
        spans = {FACTS: self.spans, LINE_FACTS: self.line_spans}
        found = self.job.lake.read_days(table, version, "order_date", spans.get(table))
        return self.job.lake.read(table, version).where("false") if found is None else found

    def _silver(self, table: str, order: tuple[str, ...], day: str, spans: list[Span] | None) -> DataFrame:
        """The rows of a silver table as it will be on the given days; the day of a key never changes."""
        contract = contracts.of_table(table)
        candidates = candidates_of(self.job, contract)
        if spans is not None:
            candidates = candidates.where(in_spans(day, spans))
        current = self.job.lake.read_days(table, self.bases[table], day, spans)
        if current is None:
            return candidates
        if not self.job.receipts.of(BRONZE_TO_SILVER).table(table).rows:
            return current.select(*candidates.columns)
        return overlay(current, candidates, contract.key, order)


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


def new_rows(view: GoldView, table: str, column: str | None) -> tuple[DataFrame | None, list[Span] | None]:
    """The run's candidates for a silver table and what others put there since, None when both are empty.

    With them the days of `column` that they are about; None when that is not known.
    """
    job, contract, frames = view.job, contracts.of_table(table), []
    written = job.receipts.of(BRONZE_TO_SILVER).table(table)
    spans: list[Span] | None = []
    if written.rows:
        frames.append(candidates_of(job, contract))
        spans = None
        if written.first_day and written.last_day:
            spans = [(date.fromisoformat(written.first_day), date.fromisoformat(written.last_day))]
    changes = since(job.lake, (view.sealed or {}).get(table), table, view.bases[table])
    missed = changes.rows(job.lake, table, view.bases[table], column) if changes else None
    if changes and missed is not None:
        job.log.write("silver_changed_since_gold", table=table)
        frames.append(missed)
        spans = None if spans is None or changes.spans is None else [*spans, *changes.spans]
    names = [name for name, _ in contract.columns]
    return (reduce(DataFrame.unionByName, (each.select(*names) for each in frames)) if frames else None), spans


class _Touched:
    """The days whose gold may differ from what it should hold, from one small Spark job."""

    def __init__(self, view: GoldView) -> None:
        self._view, self._job, self._bases = view, view.job, view.bases

    def spans(self) -> tuple[list[Span], list[Span]]:
        """The days of all tables, and those of the tables that are computed from order lines."""
        parts = []
        sold, _ = new_rows(self._view, ORDERS, "order_date")
        if sold is not None:
            parts.append(_each_day(sold).withColumn("_all", sf.lit(True)))
        quoted, spans = new_rows(self._view, RATES, "rate_date")
        if quoted is not None:
            parts.append(self._days_of_rates(quoted, spans).withColumn("_all", sf.lit(True)))
        if self._view.takes_lines:
            parts += [days.withColumn("_all", sf.lit(False)) for days in self._days_of_lines()]
        if not parts:
            return [], []
        found = reduce(DataFrame.unionByName, parts).collect()
        every, some = ([(row["first"], row["last"]) for row in found if row["_all"] or each] for each in (False, True))
        return merge_spans(every), merge_spans(some)

    def _days_of_lines(self) -> Iterator[DataFrame]:
        """The days of new lines, and of lines that new prices make cost other than before."""
        lines, _ = new_rows(self._view, LINES, "order_date")
        if lines is not None:
            yield _each_day(lines)
        priced, spans = new_rows(self._view, PRICES, "valid_from")
        if priced is None:
            return
        since_first = None if spans is None else [(min(first for first, _ in spans), None)]
        there = self._job.lake.read_days(LINES, self._bases[LINES], "order_date", since_first)
        if there is not None:
            known = self._job.lake.read_days(PRICES, self._bases[PRICES], "valid_from", since_first)
            yield _each_day(line_facts.days_priced(priced, known, there))

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


def _each_day(rows: DataFrame) -> DataFrame:
    day = sf.col("order_date")
    return rows.select(day.alias("first"), day.alias("last")).distinct()


def versions(job: Job, gold: Iterable[str]) -> dict[str, int | None]:
    """The versions now of the silver tables that the run makes, and of these gold tables."""
    return {name: job.lake.version(name) for name in (*(each.name for each in silver_tables(job)), *gold)}
