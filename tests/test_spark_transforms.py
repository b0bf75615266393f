"""Transforms on literal frames: what goes in, what comes out."""

from datetime import UTC, date, datetime
from decimal import Decimal

from spark_session import quiet, spark  # noqa: F401

from spark_jobs.transforms import daily_revenue, orders, rates
from spark_jobs.transforms.changes import changed_rows
from spark_jobs.transforms.newest import newer_than, newest, overlay

pytestmark = quiet


def at(day, hour=12):
    return datetime(2026, 7, day, hour, tzinfo=UTC)


def naive(day, hour=12):
    return datetime(2026, 7, day, hour)


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def test_rates_become_one_row_a_quoted_currency_and_the_last_file_stands(spark):  # noqa: F811
    bronze = spark.createDataFrame(
        [
            ("2026-07-30", "1.1172", "N/A", "a.csv", at(30), "r1"),
            ("2026-07-30", "1.1173", "N/A", "b.csv", at(31), "r1"),
            ("2026-07-29", "1.12", "0.83", "a.csv", at(30), "r1"),
        ],
        "Date string, USD string, GBP string, _file string, _received_at timestamp, _run_id string",
    )
    silver = newest(rates.standardise(bronze, ["USD", "GBP"], ["N/A", ""]), rates.KEY, rates.ORDER)
    assert rows(silver.select("rate_date", "currency", "rate", "_run_id")) == [
        (date(2026, 7, 29), "GBP", Decimal("0.83000000"), "r1"),
        (date(2026, 7, 29), "USD", Decimal("1.12000000"), "r1"),
        (date(2026, 7, 30), "USD", Decimal("1.11730000"), "r1"),
    ]


ORDER_COLUMNS = (
    "order_id bigint, customer_id bigint, order_status string, total_price decimal(15,2), order_date date,"
    " order_priority string, currency string, updated_at timestamp, _run_id string"
)


def test_orders_keep_their_newest_state(spark):  # noqa: F811
    bronze = spark.createDataFrame(
        [
            (1, 7, "O", Decimal("10.00"), date(2026, 7, 30), "1-URGENT ", "EUR", at(30, 1), "r1"),
            (1, 7, "F", Decimal("11.00"), date(2026, 7, 30), "1-URGENT ", "EUR", at(30, 2), "r1"),
        ],
        ORDER_COLUMNS,
    )
    assert rows(newest(orders.standardise(bronze), orders.KEY, orders.ORDER)) == [
        (1, 7, "F", date(2026, 7, 30), "EUR", Decimal("11.00"), "1-URGENT", naive(30, 2), "r1")
    ]


def test_only_newer_rows_stand_against_the_table(spark):  # noqa: F811
    columns = "id int, v string, updated_at timestamp, _run_id string"
    current = spark.createDataFrame([(1, "old", at(1), "a"), (2, "kept", at(5), "a"), (3, "same", at(3), "b")], columns)
    new = spark.createDataFrame(
        [(1, "new", at(2), "b"), (2, "late", at(4), "b"), (3, "same", at(3), "b"), (4, "first", at(1), "b")], columns
    )
    assert rows(newer_than(new, current, ["id"], ["updated_at", "_run_id"]).select("id", "v", "_existing")) == [
        (1, "new", True),
        (4, "first", False),
    ]
    merged = overlay(current, new, ["id"], ["updated_at", "_run_id"])
    assert rows(merged.select("id", "v")) == [(1, "new"), (2, "kept"), (3, "same"), (4, "first")]


def test_keeping_the_newest_twice_changes_nothing(spark):  # noqa: F811
    frame = spark.createDataFrame([(1, "a", 1), (1, "b", 1), (2, "c", 3)], "id int, v string, n int")
    once = newest(frame, ["id"], ["n"])
    assert rows(once) == rows(newest(once, ["id"], ["n"])) == [(1, "b", 1), (2, "c", 3)]


def revenue_of(spark, order_rows, rate_rows):  # noqa: F811
    sold = spark.createDataFrame(order_rows, "order_date date, currency string, amount decimal(15,2)")
    quoted = spark.createDataFrame(rate_rows, "rate_date date, currency string, rate decimal(18,8)")
    return daily_revenue.daily_revenue(sold, quoted)


def test_revenue_takes_the_rate_of_the_day_or_the_last_earlier_one(spark):  # noqa: F811
    computed = revenue_of(
        spark,
        [
            (date(2026, 7, 31), "USD", Decimal("100.00")),
            (date(2026, 7, 31), "USD", Decimal("11.00")),
            (date(2026, 8, 1), "USD", Decimal("100.00")),
            (date(2026, 8, 1), "EUR", Decimal("5.00")),
            (date(2026, 7, 30), "GBP", Decimal("1.00")),
        ],
        [
            (date(2026, 7, 30), "USD", Decimal("1.0")),
            (date(2026, 7, 31), "USD", Decimal("1.1")),
            (date(2026, 7, 31), "GBP", Decimal("0.8")),
        ],
    )
    assert rows(computed) == [
        (date(2026, 7, 30), "GBP", 1, Decimal("1.00"), None, None, None),
        (date(2026, 7, 31), "USD", 2, Decimal("111.00"), Decimal("1.10000000"), date(2026, 7, 31), Decimal("100.91")),
        (date(2026, 8, 1), "EUR", 1, Decimal("5.00"), Decimal("1.00000000"), date(2026, 8, 1), Decimal("5.00")),
        (date(2026, 8, 1), "USD", 1, Decimal("100.00"), Decimal("1.10000000"), date(2026, 7, 31), Decimal("90.91")),
    ]


def test_euro_are_rounded_once(spark):  # noqa: F811
    [row] = revenue_of(
        spark, [(date(2026, 7, 31), "USD", Decimal("0.14"))], [(date(2026, 7, 31), "USD", Decimal("28.00000001"))]
    ).collect()
    assert row["revenue_eur"] == Decimal("0.00")  # 0.0049999999982 would round up if it were rounded twice


def test_gold_changes_where_it_differs_and_loses_what_is_gone(spark):  # noqa: F811
    columns = (
        "revenue_date date, currency string, orders bigint, revenue decimal(18,2), rate decimal(18,8), rate_date date,"
        " revenue_eur decimal(18,2)"
    )
    day = date(2026, 7, 31)

    def row(currency, revenue):
        return (day, currency, 1, Decimal(revenue), Decimal(1), day, Decimal(revenue))

    computed = spark.createDataFrame([row("USD", "1.00"), row("GBP", "2.00"), row("EUR", "3.00")], columns)
    current = spark.createDataFrame([row("USD", "1.00"), row("GBP", "9.00"), row("JPY", "4.00")], columns)
    changed = changed_rows(computed, current, daily_revenue.KEY)
    assert rows(changed.select("currency", "revenue", "_existing", "_removed")) == [
        ("EUR", Decimal("3.00"), False, False),
        ("GBP", Decimal("2.00"), True, False),
        ("JPY", Decimal("4.00"), True, True),
    ]
