"""Every gold table equals DuckDB's computation over the sources' own rows, whatever the days brought, and in any order."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import gold_lines
import pyarrow as pa
import pytest
from contracts_anew import read_contracts_anew
from gold_lines import GOLD, Shop
from spark_day import World
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs import publish
from spark_jobs.delta_log import latest_version
from spark_jobs.gold_tables import GOLD_TABLES
from spark_jobs.transforms import customer_segments
from spark_jobs.transforms.currencies import NAMES

pytestmark = quiet
START = date(2026, 4, 1)
HISTORY, NEXT, LATER = START + timedelta(days=70), START + timedelta(days=71), START + timedelta(days=72)
CURRENCIES = ("USD", "GBP", "EUR")


def moment(day, hour=9):
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def sold(number, customer, day, currency, price, changed=None):
    return (
        number,
        customer,
        "O",
        Decimal(price),
        day,
        "1-URGENT",
        "Clerk#1",
        0,
        None,
        currency,
        moment(changed or day),
    )


def sample(seed):
    """Orders of 40 customers on the days until HISTORY, fewer and fewer as a customer's number grows."""
    chance = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    days = [START + timedelta(days=each) for each in range((HISTORY - START).days + 1)]
    return [
        sold(
            number,
            1 + int(chance.random() ** 2 * 40),
            chance.choice(days),
            chance.choice(CURRENCIES),
            f"{chance.uniform(1, 400_000):.2f}",
        )
        for number in range(1, 400)
    ]


def quotes(first, last, factor=1.0):
    """Rates of the working days, newest first."""
    days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
    return [
        {
            "Date": f"{day}",
            "USD": f"{1.1 * factor + day.day / 1000:.4f}",
            "GBP": f"{0.85 * factor + day.day / 2000:.4f}",
        }
        for day in reversed(days)
        if day.weekday() < 5
    ]


def replaced(rows, new, key):
    """The rows, those with a key of the new ones given up for them; a key is a row's first values."""
    keys = {row[:key] for row in new}
    return [row for row in rows if row[:key] not in keys] + list(new)


class Company(Shop):
    """The world, its vendor's rates, what it sells by the line, and what DuckDB makes of it."""

    def __init__(self, spark, folder, patch):  # noqa: F811
        super().__init__(spark, folder, patch)
        self.orders, self.quoted = [], {}

    def day(
        self, day, orders=(), rates=(), *, lines=(), prices=(), products=(), history=False, run="0000", publish=True
    ):
        """A day that brings orders, rates and what Redshift holds; the receipts that its publish needs."""
        self.orders = replaced(self.orders, orders, 1)
        found = self.redshift
        found["redshift_order_lines"] = replaced(found["redshift_order_lines"], lines, 2)
        found["redshift_products"] = replaced(found["redshift_products"], products, 1)
        found["redshift_part_supply"] = [*found["redshift_part_supply"], *prices]  # an oracle needs those before too
        self.quoted |= {row["Date"]: row for row in rates}
        files = [self.deliver(day, rates)] if rates else []
        keys, verdicts = self.until_publish(day, files, history=history, run=run)
        assert set(verdicts) <= {"PASS", "WARN"}
        if publish:
            assert self.job(day, "publish_gold", receipts=keys, history=history, run=run)["published"] is True
        return keys

    def begin(self, day, orders, rates, **how):
        """The history until a day."""
        self.day(
            day,
            orders,
            rates,
            lines=gold_lines.lines_of(orders, 1),
            prices=gold_lines.prices_from(START),
            products=[gold_lines.product(number, START) for number in gold_lines.PRODUCTS],
            history=True,
            **how,
        )

    def table(self, name):
        columns = [column for column, _ in contracts.of_table(name).columns if column != "_run_id"]
        return self.rows(name, *columns)

    def changed(self, name, before):
        """How many rows of a gold table are not those of a version: another run wrote them, or they are gone."""
        key = next(table.key for table in GOLD_TABLES if table.name == name)
        old, new = ({tuple(row[:-1]): row[-1] for row in self.stamped(name, key, at)} for at in (before, None))
        updated = [each for each in new.keys() & old.keys() if new[each] != old[each]]
        return Counter(
            {"Inserted": len(new.keys() - old.keys()), "Updated": len(updated), "Deleted": len(old.keys() - new.keys())}
        )

    def stamped(self, name, key, version):
        """The keys of a table's rows, each with the run that wrote it; at a version, or now."""
        reader = self.spark.read.format("delta")
        reader = reader if version is None else reader.option("versionAsOf", version)
        return reader.load(str(self.folder / name)).select(*key, "_run_id").collect()

    def state(self):
        """The rows of every gold table, and the versions."""
        return {name: (self.table(name), latest_version(self.store, name)) for name in GOLD}

    def differences(self, before):
        """The keys of the rows that differ from before, by table; no more rows than these were written."""
        found = {}
        for table in (each for each in GOLD_TABLES if each.name in GOLD):
            rows, version = before[table.name]
            changed = set(rows) ^ set(self.table(table.name))
            columns = [column for column, _ in contracts.of_table(table.name).columns]
            places = [columns.index(name) for name in table.key]
            keys = {tuple(row[place] for place in places) for row in changed}
            assert self.changed(table.name, version).total() == len(keys), table.name
            if keys:
                found[table.name] = keys
        return found

    def expected(self):
        """Each gold table by DuckDB over the newest orders and rates."""
        db = duckdb.connect()
        names = ("order_id", "customer_id", "order_status", "amount", "order_date", "order_priority", "currency")
        picked = [[row[i] for row in self.orders] for i in (0, 1, 2, 3, 4, 5, 9)]
        db.register("o", pa.table(dict(zip(names, picked, strict=True))))
        long = [(day, c, row[c]) for day, row in self.quoted.items() for c in ("USD", "GBP")]
        db.register(
            "q", pa.table(dict(zip(("day", "currency", "rate"), map(list, zip(*long, strict=True)), strict=True)))
        )
        db.register("n", pa.table({"currency": list(NAMES), "name": list(NAMES.values())}))
        db.execute(
            """
            CREATE TABLE rates AS
            SELECT CAST(day AS DATE) AS rate_date, currency, CAST(rate AS DECIMAL(18,8)) AS rate FROM q;
            CREATE TABLE facts AS
            SELECT order_id, customer_id, order_date, order_status, order_priority, o.currency, amount,
                   CASE o.currency WHEN 'EUR' THEN 1 ELSE r.rate END AS rate,
                   CASE o.currency WHEN 'EUR' THEN order_date ELSE r.rate_date END AS rate_date
            FROM o ASOF LEFT JOIN rates r ON o.currency = r.currency AND o.order_date >= r.rate_date;
            """
        )
        for source, rows in self.redshift.items():
            gold_lines.register(db, source, rows)
        db.sql("CREATE VIEW orders AS FROM o")
        db.execute(gold_lines.ORACLE.read_text())
        exact = [(*row, cents(row[6], row[7])) for row in db.sql("FROM facts").fetchall()]
        db.execute("ALTER TABLE facts ADD COLUMN amount_eur DECIMAL(15,2)")
        db.executemany("UPDATE facts SET amount_eur = ? WHERE order_id = ?", [(row[9], row[0]) for row in exact])
        revenue = db.sql(
            "SELECT order_date, currency, COUNT(*), CAST(SUM(amount) AS DECIMAL(18,2)), any_value(rate), "
            "any_value(rate_date) FROM facts GROUP BY ALL"
        ).fetchall()
        customers = db.sql(
            """
            SELECT customer_id, MIN(order_date) AS first_date, MAX(order_date) AS last_date, COUNT(*) AS orders,
                   CAST(SUM(amount_eur) AS DECIMAL(18,2)) AS revenue, (SELECT MAX(order_date) FROM facts) AS as_of
            FROM facts GROUP BY customer_id
            """
        )
        kpis = db.sql(
            """
            WITH firsts AS (SELECT customer_id, MIN(order_date) AS first_date FROM facts GROUP BY ALL)
            SELECT order_date, COUNT(*), COUNT(DISTINCT customer_id),
                   COUNT(DISTINCT customer_id) FILTER (first_date = order_date), CAST(SUM(amount_eur) AS DECIMAL(18,2)),
                   any_value(margin_eur)
            FROM facts JOIN firsts USING (customer_id) LEFT JOIN margins USING (order_date) GROUP BY order_date
            """
        ).fetchall()
        return {
            "gold/fct_orders": sorted(exact),
            "gold/fct_daily_revenue": sorted((*row, cents(row[3], row[4])) for row in revenue),
            "gold/customer_segments": sorted(map(scored, customers.fetchall())),
            "gold/kpi_daily": sorted(
                (
                    *row[:4],
                    rounded(Decimal(row[2] - row[3]) / row[2], "0.000001"),
                    row[4],
                    cents(row[4], row[1]),
                    row[5],
                )
                for row in kpis
            ),
            **{
                name: db.sql(f"FROM {name.replace('/', '_')} ORDER BY ALL").fetchall()
                for name in ("gold/fct_order_lines", "gold/dim_product", "gold/product_performance")
            },
            "gold/dim_date": db.sql(
                """
                SELECT CAST(d AS DATE), year(d), quarter(d), month(d), weekofyear(d), isodow(d), isodow(d) >= 6,
                       last_day(d) = d
                FROM (SELECT unnest(generate_series(
                    make_date((SELECT min(year(order_date)) FROM facts), 1, 1),
                    make_date((SELECT max(year(order_date)) FROM facts), 12, 31), INTERVAL 1 DAY)) AS d) ORDER BY 1
                """
            ).fetchall(),
            "gold/dim_currency": db.sql(
                """
                SELECT currency, name, min(rate_date), max(rate_date)
                FROM (SELECT currency FROM facts UNION SELECT currency FROM rates)
                LEFT JOIN n USING (currency) LEFT JOIN rates USING (currency) GROUP BY ALL ORDER BY 1
                """
            ).fetchall(),
        }

    def assert_gold_is_right(self):
        wanted = self.expected()
        assert set(wanted) == set(GOLD)
        for name, rows in wanted.items():
            assert self.table(name) == rows, name


def rounded(value, unit):
    return value.quantize(Decimal(unit), rounding="ROUND_HALF_UP")


def cents(amount, divisor):
    return rounded(Decimal(amount) / Decimal(divisor), "0.01")


def scored(row):
    """A customer's row with its scores and segment, from the stated cut-offs."""
    customer, first, last, orders, revenue, as_of = row
    recency = 5 - sum((as_of - last).days > days for days in customer_segments.RECENCY_DAYS)
    frequency = 1 + sum(orders >= least for least in customer_segments.FREQUENCY_ORDERS)
    monetary = 1 + sum(revenue >= least for least in customer_segments.MONETARY_EUR)
    rules = (
        ("champions", min(recency, frequency, monetary) >= 4),
        ("new", recency >= 4 and orders <= 2),
        ("loyal", recency >= 3 and frequency >= 4),
        ("at_risk", recency <= 2 and frequency >= 3),
        ("lost", recency == 1),
        ("regular", True),
    )
    segment = next(name for name, holds in rules if holds)
    return (customer, first, last, orders, revenue, recency, frequency, monetary, segment)


@pytest.fixture(scope="module")
def company(spark, tmp_path_factory):  # noqa: F811
    """The history and one more day."""
    patch = pytest.MonkeyPatch()
    found = Company(spark, tmp_path_factory.mktemp("company"), patch)
    found.begin(HISTORY, sample(1), quotes(START, HISTORY))
    orders = [sold(900, 3, NEXT, "USD", "10.01"), sold(901, 77, NEXT, "EUR", "9.99")]
    found.day(NEXT, orders, quotes(NEXT, NEXT), lines=gold_lines.lines_of(orders, 2))
    yield found
    patch.undo()


def test_the_history_and_a_day_equal_the_sources(company):
    company.assert_gold_is_right()


def test_a_correction_of_an_old_order_changes_exactly_the_rows_that_it_must(company):
    customers = Counter(row[1] for row in company.orders)
    firsts = {customer: min(row[4] for row in company.orders if row[1] == customer) for customer in customers}
    old = next(
        row
        for row in sorted(company.orders, key=lambda row: row[4])
        if customers[row[1]] > 2 and row[4] == firsts[row[1]] and row[4] < LATER - timedelta(days=61)
    )
    before = {name: latest_version(company.store, name) for name in GOLD}
    # the customer's first order was another's: that one's first day moves to a day that the run does not touch
    company.day(LATER, [sold(old[0], 78, old[4], old[9], "1.00", changed=LATER)])
    company.assert_gold_is_right()
    changed = {name: company.changed(name, version) for name, version in before.items()}
    assert changed["gold/fct_orders"] == Counter({"Updated": 1, "Inserted": 0, "Deleted": 0})
    assert changed["gold/fct_daily_revenue"].total() == 1
    assert changed["gold/customer_segments"] == Counter({"Updated": 1, "Inserted": 1, "Deleted": 0})
    assert changed["gold/kpi_daily"].total() <= 2
    assert changed["gold/dim_date"].total() == changed["gold/dim_currency"].total() == 0
    # the order's lines belong to another customer now; they earn what they did
    lines = [row for row in company.redshift["redshift_order_lines"] if row[0] == old[0]]
    assert changed["gold/fct_order_lines"] == Counter({"Updated": len(lines), "Inserted": 0, "Deleted": 0})
    assert changed["gold/dim_product"].total() == changed["gold/product_performance"].total() == 0


def test_a_correction_of_an_old_line_changes_exactly_the_rows_that_it_must(company):
    found = sorted(company.redshift["redshift_order_lines"], key=lambda row: row[4])
    old = next(row for row in found if row[4] >= LATER - timedelta(days=61))
    before = company.state()
    company.day(
        LATER + timedelta(days=2), lines=[(*old[:6], old[6] + 7, *old[7:-1], moment(LATER + timedelta(days=2)))]
    )
    company.assert_gold_is_right()
    differ = company.differences(before)
    assert set(differ) == {"gold/fct_order_lines", "gold/kpi_daily", "gold/product_performance"}
    assert differ["gold/fct_order_lines"] == {old[:2]}
    assert differ["gold/kpi_daily"] == {(old[4],)}
    # its revenue is as it was, and so are ranks and growth
    assert differ["gold/product_performance"] == {(old[2], date(2026, 4, 1))}


@pytest.mark.slow
def test_a_price_that_is_dated_back_changes_the_lines_until_the_next_price(company):
    day, next_price = HISTORY - timedelta(days=40), HISTORY - timedelta(days=15)
    company.day(next_price, prices=[gold_lines.price(5, 1, "7.77", next_price)])
    company.assert_gold_is_right()
    before = company.state()
    # two changes of a day: the later one counts
    company.day(day, prices=[gold_lines.price(5, 1, "6.66", day, hour=9), gold_lines.price(5, 1, "9.99", day, hour=8)])
    company.assert_gold_is_right()
    lines = {
        row[:2]: row[4]
        for row in company.redshift["redshift_order_lines"]
        if row[2:4] == (5, 1) and day <= row[4] < next_price
    }
    differ = company.differences(before)
    assert set(differ) == {"gold/fct_order_lines", "gold/kpi_daily", "gold/product_performance"}
    assert differ["gold/fct_order_lines"] == set(lines)
    assert differ["gold/kpi_daily"] == {(each,) for each in lines.values()}
    assert differ["gold/product_performance"] == {(5, date(2026, 4, 1))}


def test_a_line_that_comes_before_its_order_finds_it_later(company):
    day = LATER + timedelta(days=3)
    orders = [sold(number, 5, day, CURRENCIES[number % 2], "50.00") for number in range(1000, 1030)]
    late = sold(1030, 6, day, "EUR", "5.00")  # no other order of that day is in euro
    lines = [gold_lines.line(row, 1, 1 + row[0] % 7) for row in [*orders, late]]
    company.day(day, orders, quotes(day, day), lines=lines)
    company.assert_gold_is_right()
    customers = {row[0]: row[3] for row in company.table("gold/fct_order_lines")}
    assert (customers[1030], customers[1029]) == (None, 5)
    company.day(day + timedelta(days=1), [(*late[:-1], moment(day + timedelta(days=1)))])
    company.assert_gold_is_right()


@pytest.mark.slow
def test_a_product_is_as_it_is_now(company):
    day = LATER + timedelta(days=5)
    before = company.state()
    company.day(day, products=[gold_lines.product(3, day, name="renamed "), gold_lines.product(13, day)])
    company.assert_gold_is_right()
    assert company.differences(before) == {"gold/dim_product": {(3,), (13,)}}


def test_a_day_that_brings_nothing_leaves_gold_as_it_is(company):
    before = {name: company.table(name) for name in GOLD}
    versions = {name: latest_version(company.store, name) for name in before}
    company.day(LATER + timedelta(days=6))
    assert {name: company.table(name) for name in before} == before
    assert {name: latest_version(company.store, name) for name in before} == versions


@pytest.mark.slow
@pytest.mark.parametrize(
    "table", ["gold/customer_segments", "gold/fct_order_lines", "gold/product_performance", "silver/order_lines"]
)
def test_a_publish_cut_in_half_and_left_so_counts_nothing_twice(spark, tmp_path, monkeypatch, table):  # noqa: F811
    company = Company(spark, tmp_path, monkeypatch)
    company.begin(HISTORY, sample(2), quotes(START, HISTORY))
    orders = [sold(900, 3, NEXT, "USD", "10.01")]
    brought = {"lines": gold_lines.lines_of(orders, 1), "prices": [gold_lines.price(2, 1, "1.11", NEXT)]}
    keys = company.day(NEXT, orders, quotes(NEXT, NEXT), **brought, publish=False)
    cut_after(table, company, NEXT, keys, monkeypatch)
    # nobody redrives it: the next day's run finds silver and some of gold ahead of the rest. Silver's own cut would
    # lose what was not published
    if table.startswith("silver"):
        assert company.job(NEXT, "publish_gold", receipts=keys, attempt=2)["published"] is True
        company.assert_gold_is_right()
    orders = [sold(902, 3, LATER, "GBP", "5.55")]
    company.day(LATER, orders, lines=gold_lines.lines_of(orders, 1))
    company.assert_gold_is_right()


@pytest.mark.slow
def test_a_stage_that_takes_lines_later_gains_their_tables_and_the_margin(spark, tmp_path, monkeypatch):  # noqa: F811
    """The lake was published under a contract of kpi_daily that did not have the column yet."""
    company = Company(spark, tmp_path, monkeypatch)
    company.sources = World.sources
    with monkeypatch.context() as older:
        released = contracts.versions
        older.setattr(
            contracts, "versions", lambda dataset: ("1-0-0",) if dataset == "kpi_daily_gold" else released(dataset)
        )
        read_contracts_anew()
        company.begin(HISTORY, sample(3), quotes(START, HISTORY))
        kpis = spark.read.format("delta").load(str(tmp_path / "gold/kpi_daily"))
        assert "margin_eur" not in kpis.columns
        known = {tuple(row) for row in kpis.drop("_run_id").collect()}
    read_contracts_anew()
    # first without lines: the new column is there, and null
    company.day(NEXT, [sold(900, 3, NEXT, "USD", "10.01")], quotes(NEXT, NEXT))
    without = company.table("gold/kpi_daily")
    assert {row[:-1] for row in without} > known
    assert {row[-1] for row in without} == {None}
    company.sources = Company.sources
    company.day(LATER, [sold(901, 3, LATER, "GBP", "5.55")])
    company.assert_gold_is_right()
    columns = spark.read.format("delta").load(str(tmp_path / "gold/kpi_daily")).columns
    assert sorted(columns) == sorted(name for name, _ in contracts.of_table("gold/kpi_daily").columns)
    assert sum(row[-1] is not None for row in company.table("gold/kpi_daily")) > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_days_gives_the_same_gold(spark, tmp_path, monkeypatch, seed):  # noqa: F811
    company = Company(spark, tmp_path, monkeypatch)
    orders, days = sample(seed), [HISTORY - timedelta(days=each) for each in range(4)]
    older = [row for row in orders if row[4] < days[-1]]
    company.begin(days[-1] - timedelta(days=1), older, quotes(START, days[-1] - timedelta(days=1)))
    random.Random(seed).shuffle(days)  # noqa: S311 (an order of days)
    for day in days:
        of_day = [row for row in orders if row[4] == day]
        prices = [gold_lines.price(product, 1, f"{day.day}.{product:02}", day) for product in (1, 2, 3)]
        company.day(day, of_day, quotes(day, day), lines=gold_lines.lines_of(of_day, seed), prices=prices)
    company.assert_gold_is_right()


def cut_after(table, company, day, keys, monkeypatch):
    """Publish, and die right after the commit to a table."""

    class Killed(BaseException):
        pass

    commit = publish._commit

    def dying(job, publication, *rest):
        done = commit(job, publication, *rest)
        if publication.table == table:
            raise Killed
        return done

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_commit", dying)
        with pytest.raises(Killed):
            company.job(day, "publish_gold", receipts=keys)
