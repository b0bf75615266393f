"""Order lines by the line: which price stands, how amounts are rounded, and what a quarter's products come to."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from spark_jobs.days import quarters_of
from spark_jobs.row_rules import stored_schema
from spark_jobs.transforms import line_facts, part_supply, product_performance
from spark_jobs.transforms.newest import newest

pytestmark = quiet
MAY, JUNE = date(2026, 5, 4), date(2026, 6, 1)
LINE = "order_id bigint, line_number int, order_date date, product_id bigint, supplier_id bigint, currency string, "
LINE += "quantity decimal(15,2), discount decimal(5,4), tax decimal(5,4), gross_amount decimal(15,2), "
LINE += "line_status string, ship_date date, return_flag string"
PRICE = "product_id bigint, supplier_id bigint, valid_from date, supply_cost_eur decimal(15,2)"


def line(order, day, *, product=1, gross="10.00", discount="0.0500", quantity="1.00", currency="USD", flag="N"):
    return (
        order, 1, day, product, 1, currency, Decimal(quantity), Decimal(discount), Decimal("0.08"), Decimal(gross), "O", day, flag
    )  # fmt: skip


def facts(spark, lines, prices, rate="2.00000000"):  # noqa: F811
    days = {(row[2], row[5]) for row in lines}
    rates = spark.createDataFrame(
        [(*each, Decimal(rate)) for each in days], "order_date date, currency string, rate decimal(18,8)"
    )
    orders = spark.createDataFrame([(1, 71), (2, 72)], "order_id bigint, customer_id bigint")
    frame = line_facts.line_facts(
        spark.createDataFrame(lines, LINE), orders, rates, spark.createDataFrame(prices, PRICE)
    )
    return {row.order_id: row for row in frame.collect()}


def test_the_price_of_the_orders_day_or_the_last_before_stands(spark):  # noqa: F811
    prices = [
        (1, 1, MAY, Decimal("1.00")),
        (1, 1, JUNE, Decimal("2.00")),
        (1, 2, MAY, Decimal("9.00")),
        (2, 1, MAY, Decimal("8.00")),
    ]
    days = {1: date(2026, 5, 3), 2: MAY, 3: date(2026, 5, 31), 4: JUNE, 5: date(2026, 12, 31)}
    found = facts(spark, [line(order, day) for order, day in days.items()], prices)
    assert {order: row.supply_cost_eur for order, row in found.items()} == {
        1: None,
        2: Decimal("1.00"),
        3: Decimal("1.00"),
        4: Decimal("2.00"),
        5: Decimal("2.00"),
    }
    assert (found[1].cost_eur, found[1].margin_eur, found[1].net_amount_eur) == (None, None, Decimal("4.75"))
    assert [found[order].customer_id for order in (1, 2, 3)] == [71, 72, None]


@pytest.mark.parametrize(
    ("gross", "discount", "rate", "net", "net_eur", "gross_eur"),
    [
        pytest.param("0.10", "0.0500", "1", "0.10", "0.10", "0.10", id="half-a-cent-up"),  # 0.095
        pytest.param("0.10", "0.0501", "1", "0.09", "0.09", "0.10", id="less-than-half-down"),  # 0.09499
        # 0.145 / 1.5 = 0.0966...; the rounded 0.15 / 1.5 would be 0.10 as well, 0.149 / 1.4 would not
        pytest.param("0.29", "0.5000", "1.4", "0.15", "0.10", "0.21", id="0.145-at-1.4"),
        pytest.param("0.01", "0.5000", "0.1", "0.01", "0.05", "0.10", id="not-of-the-rounded-amount"),
        pytest.param("9999999999999.99", "0.0000", "1", *["9999999999999.99"] * 3, id="largest"),
    ],
)
def test_amounts_are_rounded_once(spark, gross, discount, rate, net, net_eur, gross_eur):  # noqa: F811
    found = facts(spark, [line(1, MAY, gross=gross, discount=discount)], [(1, 1, MAY, Decimal("0.33"))], rate)[1]
    assert (found.net_amount, found.net_amount_eur, found.gross_amount_eur) == (
        Decimal(net),
        Decimal(net_eur),
        Decimal(gross_eur),
    )
    assert found.margin_eur == Decimal(net_eur) - Decimal("0.33")


def test_a_part_of_a_piece_costs_its_part(spark):  # noqa: F811
    found = facts(spark, [line(1, MAY, quantity="1.50", flag="R")], [(1, 1, MAY, Decimal("0.33"))])[1]
    assert (found.cost_eur, found.is_returned) == (Decimal("0.50"), True)  # 0.495


def test_new_prices_touch_the_days_on_which_they_stand_and_lines_were_sold(spark):  # noqa: F811
    names = "product_id bigint, supplier_id bigint, valid_from date"
    lines = spark.createDataFrame(
        [(1, 1, date(2026, 5, day)) for day in (3, 4, 9, 10, 20)] + [(2, 1, MAY), (1, 2, date(2026, 5, 5))],
        "product_id bigint, supplier_id bigint, order_date date",
    )
    new = spark.createDataFrame([(1, 1, MAY)], names)
    known = spark.createDataFrame([(1, 1, MAY), (1, 1, date(2026, 5, 10)), (2, 1, date(2026, 1, 1))], names)
    assert sorted(row[0].day for row in line_facts.days_priced(new, known, lines).collect()) == [4, 9]
    assert sorted(row[0].day for row in line_facts.days_priced(new, None, lines).collect()) == [4, 9, 10, 20]


def test_products_of_equal_revenue_share_a_rank_and_growth_asks_for_the_quarter_before(spark):  # noqa: F811
    first, second, fourth = date(2026, 1, 1), date(2026, 4, 1), date(2026, 10, 1)
    sums = [
        (1, first, 1, 0, Decimal(4), Decimal("30.00"), Decimal(1), Decimal(1)),
        (2, first, 1, 0, Decimal(4), Decimal("30.00"), Decimal(1), Decimal(0)),
        (3, first, 1, 1, Decimal(0), Decimal("7.00"), Decimal(0), Decimal(0)),
        (4, first, 1, 0, Decimal(1), Decimal("0.00"), Decimal(0), Decimal(0)),
        (1, second, 1, 0, Decimal(3), Decimal("10.00"), Decimal(1), Decimal(1)),
        (4, second, 1, 0, Decimal(3), Decimal("10.00"), Decimal(1), Decimal(2)),
        (1, fourth, 1, 0, Decimal(3), Decimal("10.00"), Decimal(1), Decimal(3)),
    ]
    types = "product_id bigint, quarter_start date, lines bigint, lines_without_cost bigint, units decimal(18,2), "
    types += "revenue_eur decimal(18,2), margin_eur decimal(18,2), returned_units decimal(18,2)"
    found = product_performance.performance(spark.createDataFrame(sums, types)).collect()
    assert sorted((r.product_id, r.quarter_start, r.return_share, r.revenue_rank, r.growth) for r in found) == [
        (1, first, Decimal("0.25"), 1, None),
        (1, second, Decimal("0.333333"), 1, Decimal("-0.666667")),
        (1, fourth, Decimal(1), 1, None),  # nothing sold in the third quarter
        (2, first, Decimal(0), 1, None),
        (3, first, None, 3, None),
        (4, first, Decimal(0), 4, None),
        (4, second, Decimal("0.666667"), 1, None),  # from nothing
    ]


def test_a_price_list_has_one_price_a_day(spark):  # noqa: F811
    rows = [
        (1, 1, 5, Decimal("1.00"), datetime(2026, 5, 4, 0, 0), "r"),
        (1, 1, 4, Decimal("2.00"), datetime(2026, 5, 4, 23, 59), "r"),
        (1, 1, 3, Decimal("3.00"), datetime(2026, 5, 5, 0, 0), "r"),
    ]
    types = "product_id bigint, supplier_id bigint, available_quantity int, supply_cost decimal(15,2), "
    states = part_supply.standardise(spark.createDataFrame(rows, types + "updated_at timestamp, _run_id string"))
    silver = newest(states, part_supply.KEY, part_supply.ORDER)
    assert silver.schema == stored_schema(contracts.load("part_supply_silver"))
    assert sorted((row.valid_from.day, row.supply_cost_eur) for row in silver.collect()) == [
        (4, Decimal(2)),
        (5, Decimal(3)),
    ]


@pytest.mark.parametrize(
    ("span", "before", "after", "wanted"),
    [
        ((date(2026, 5, 4), date(2026, 5, 4)), 0, 0, (date(2026, 4, 1), date(2026, 4, 1))),
        ((date(2026, 3, 31), date(2026, 4, 1)), 0, 1, (date(2026, 1, 1), date(2026, 7, 1))),
        ((date(2026, 1, 1), date(2026, 12, 31)), 1, 1, (date(2025, 10, 1), date(2027, 1, 1))),
        ((date(2026, 12, 31), None), 1, 1, (date(2026, 7, 1), None)),
    ],
)
def test_quarters_of_days(span, before, after, wanted):
    assert quarters_of([span], before=before, after=after) == [wanted]
