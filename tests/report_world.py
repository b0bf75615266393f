"""A run that a report is made of: receipts, quarantine and audit as the pipeline writes them, in real Delta tables."""

import datetime
import json

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

RUN = "20260731T060012Z-0f6c1d8e4b7a4c52a9d3e1f20b6c7d84"
DATE = "2026-07-30"
ORDERS, RATES = "snowflake_orders_bronze", "fx_rates_bronze"
CANARY = "Canary-Wren-4711"
UTC = datetime.UTC


def run_id(days_ago):
    day = datetime.datetime(2026, 7, 31, 6, 0, 12, tzinfo=UTC) - datetime.timedelta(days=days_ago)
    return RUN if days_ago == 0 else f"{day:%Y%m%dT%H%M%SZ}-{days_ago:032x}"


def receipt(step, subject="all", attempt=1, round_=0, status="SUCCEEDED", **more):
    minute = 2 * ["ingest", "check_bronze", "bronze_to_silver", "check_silver", "silver_to_gold", "check_gold"].index(
        step
    )
    return f"runs/{RUN}/{step}/{subject}/{attempt}.json", {
        "status": status, "run_id": RUN, "step": step, "subject": subject, "attempt": attempt, "round": round_,
        "redrive_count": round_, "started_at": f"2026-07-31T{6 + round_:02}:{minute:02}:10.250000+00:00",
        "ended_at": f"2026-07-31T{6 + round_:02}:{minute:02}:27.900000+00:00", **more,
    }  # fmt: skip


def result(dataset, expectation, column, observed, expected, *, success=True, severity="error", **more):
    return {
        "dataset": dataset, "expectation": expectation, "column": column, "severity": severity,
        "observed": observed, "expected": expected, "success": success, **more,
    }  # fmt: skip


def rows(total, unexpected):
    return {"rows": total, "unexpected": unexpected}


BRONZE = [
    result(RATES, "expect_table_row_count_to_be_between", None, 1, {"min_value": 1}, severity="warn"),
    result(RATES, "expect_column_values_to_not_be_null", "USD", rows(1, 0), {}),
    result(RATES, "expect_column_values_to_not_be_null", "GBP", rows(1, 1), {}, success=False, severity="warn"),
    result(ORDERS, "expect_table_row_count_to_be_between", None, 6312, {"min_value": 1}, severity="warn"),
    result(ORDERS, "expect_column_values_to_be_unique", "order_id", rows(6312, 0), {}, severity="warn"),
    result(ORDERS, "expect_column_values_to_be_between", "total_price", rows(6312, 21), {"min_value": 1, "max_value": 10000000, "mostly": 0.99}),
]  # fmt: skip
SILVER = [
    *(result("orders_silver", f"row_rule_{rule}", column, 0, bound) for column, rule, bound in [
        ("order_id", "minimum", 1), ("customer_id", "minimum", 1), ("order_status", "enum", ["F", "O", "P"]),
        ("currency", "pattern", "^[A-Z]{3}$"), ("amount", "minimum", 0),
    ]),
    result("orders_silver", "expect_column_values_to_be_unique", "order_id", rows(6290, 0), {}),
    result("orders_silver", "expect_column_max_to_be_between", "order_date", "2026-07-30", {"max_value": DATE}, severity="warn"),
    result("orders_silver", "expect_column_mean_to_be_between", "amount", 151820.4471, {"min_value": 100000, "max_value": 200000}),
    result("orders_silver", "expect_table_row_count_to_be_between", None, 6290, {"min_value": 5000, "max_value": 9000}),
    result("fx_rates_silver", "expect_compound_columns_to_be_unique", "rate_date, currency", rows(31, 0), {}),
    result("fx_rates_silver", "expect_column_values_to_be_between", "rate", rows(31, 0), {"min_value": 0, "strict_min": True}),
]  # fmt: skip


def gold(mean, share, **waived):
    fact = "fct_daily_revenue_gold"
    return [
        result(fact, "expect_column_values_to_not_be_null", "rate", rows(25, 0), {}),
        result(fact, "expect_compound_columns_to_be_unique", "revenue_date, currency", rows(25, 0), {}),
        result(fact, "expect_column_mean_to_be_between", "revenue_eur", mean, {"min_value": 20000000, "max_value": 60000000}, success=False, **waived),
        result(fact, "expect_column_values_to_be_between", "orders", rows(25, share), {"min_value": 1, "max_value": 5000, "mostly": 0.9}, success=share < 3),
        result(fact, "expect_column_distinct_values_to_be_in_set", "currency", ["AUD", "CHF", "EUR", "GBP", "JPY", "USD"], {"value_set": ["AUD", "CHF", "EUR", "GBP", "JPY", "USD"]}),
    ]  # fmt: skip


WAIVER = {
    "id": "w-1", "expectation": "fct_daily_revenue_gold:expect_column_mean_to_be_between:revenue_eur", "by": "Ada (on call)",
    "reason": "half the shops were closed on Friday; sales confirmed the figures", "until": "2026-07-31T18:00:00Z",
}  # fmt: skip


def receipts():
    violation = {
        "error": "ContractViolationError",
        "cause": f"{CANARY} is not a number",
        "dataset": RATES,
        "column": "GBP",
        "rule": "exclusiveMinimum",
    }
    return dict([
        receipt("ingest", "fx_rates", 1, status="FAILED", **violation),
        receipt("ingest", "fx_rates", 2, rows={"received": 1, "accepted": 1, "quarantined": 0}),
        receipt("ingest", "snowflake_orders", 1, rows={"received": 6352, "accepted": 6312, "quarantined": 40}),
        receipt("check_bronze", results=BRONZE, verdict="WARN"),
        receipt("bronze_to_silver"),
        receipt("check_silver", results=SILVER, verdict="PASS"),
        receipt("silver_to_gold"),
        receipt("check_gold", results=gold(11250000.5, 4), verdict="FAIL"),
        receipt("ingest", "fx_rates", 3, 1, rows={"received": 0, "accepted": 0, "quarantined": 0}),
        receipt("check_gold", attempt=2, round_=1, results=gold(18911000.25, 1, waived=True), verdict="PASS_WITH_WAIVER", waivers=[WAIVER]),
    ])  # fmt: skip


def order(number, **values):
    return json.dumps({
        "order_id": number, "customer_id": 7 * number % 1499, "order_status": "O", "total_price": 1234.5,
        "order_date": "2026-07-30", "order_priority": "1-URGENT", "clerk": f"{CANARY} {number}", "ship_priority": 0,
        "comment": f"call {CANARY}", "currency": "EUR", "updated_at": "2026-07-30T21:14:05.000Z", **values,
    })  # fmt: skip


def rate(**values):
    from contracts import contract as contracts

    names = [field.name for field in contracts.load(RATES).fields]
    return json.dumps(dict.fromkeys(names, "1.0847") | {"Date": "2026-07-30"} | values)


def broken(dataset, column, rule, row, run=RUN, version="1-0-0", reason="", file=None, attempt=1):
    return {
        "dataset": dataset, "version": version, "column": column, "rule": rule, "reason": reason or f"{column} breaks {rule}",
        "row": row, "_run_id": run, "_attempt": attempt, "_source": dataset.removesuffix("_bronze"),
        "_ingested_at": datetime.datetime(2026, 7, 31, 6, 1, tzinfo=UTC), "_file": file, "_received_at": None,
    }  # fmt: skip


QUARANTINE_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "version", "column", "rule", "reason", "row", "_run_id")]
    + [("_attempt", pa.int32()), ("_source", pa.string()), ("_ingested_at", pa.timestamp("us", "UTC"))]
    + [("_file", pa.string()), ("_received_at", pa.timestamp("us", "UTC"))]
)
RESULTS_SCHEMA = pa.schema(
    [("run_id", pa.string()), ("data_date", pa.date32()), ("step", pa.string()), ("round", pa.int32()), ("attempt", pa.int32())]
    + [(name, pa.string()) for name in ("dataset", "version", "expectation", "column", "severity")]
    + [("success", pa.bool_()), ("waived", pa.bool_()), ("verdict", pa.string()), ("observed", pa.string()), ("expected", pa.string())]
    + [("measured_at", pa.timestamp("us", "UTC"))]
)  # fmt: skip


def put_rows(uri, found, schema, **storage):
    write_deltalake(uri, pa.Table.from_pylist(found, schema=schema), mode="append", **storage)


def quarantine():
    """Rows of quarantine by source; 26 orders below the minimum, 14 of an odd currency, one broken rate."""
    return {
        "quarantine/snowflake_orders": [
            *(broken(ORDERS, "total_price", "minimum", order(n, total_price=-n / 4), reason=f"{CANARY} is too low") for n in range(1, 27)),
            *(broken(ORDERS, "currency", "pattern", order(100 + n, currency="eur\u202e<b>" if n % 2 else "€")) for n in range(14)),
            broken(ORDERS, "currency", "pattern", order(1, currency="other run"), run=run_id(1)),
        ],
        "quarantine/fx_rates": [broken(RATES, "GBP", "exclusiveMinimum", rate(GBP="-0.8"), file="landing/fx/eurofxref-2026-07-30.csv")],
    }  # fmt: skip


def audit(days=34, now=gold(18911000.25, 1, waived=True)):  # noqa: B008  read, never written
    """Rows of quality/results: each earlier run's, and this one's two rounds."""

    def measured(each, step, days_ago, minute, round_=0, attempt=1):
        day = datetime.date(2026, 7, 30) - datetime.timedelta(days=days_ago)
        return {
            "run_id": run_id(days_ago), "data_date": day, "step": step, "round": round_, "attempt": attempt, "version": "1-0-0",
            **each, "waived": each.get("waived", False), "verdict": "WARN",
            "observed": json.dumps(each["observed"]), "expected": json.dumps(each["expected"]),
            "measured_at": datetime.datetime.combine(day, datetime.time(6 + round_, minute), UTC),
        }  # fmt: skip

    found = []
    for ago in range(days, -1, -1):
        swing = 1 + ((ago * 37) % 11 - 5) / 28
        for step, of_step in (("check_bronze", BRONZE), ("check_silver", SILVER), ("check_gold", gold(11250000.5, 4))):
            for each in of_step:
                observed = each["observed"]
                if ago and isinstance(observed, int | float):
                    observed = type(observed)(observed * swing * (3.4 if "revenue" in str(each["column"]) else 1))
                if ago and isinstance(observed, dict):
                    observed = rows(observed["rows"], round(observed["unexpected"] * swing) if ago % 3 else 0)
                success = bool(each["success"] or (ago and ago % 9))
                found.append(measured(each | {"observed": observed, "success": success}, step, ago, 5))
    found += [measured(each, "check_gold", 0, 31, 1, 2) for each in now]
    return found


def fill(uri, **storage):
    """The tables of the lake at `uri`, a folder or a bucket."""
    for path, found in quarantine().items():
        put_rows(f"{uri}/{path}", found, QUARANTINE_SCHEMA, **storage)
    put_rows(f"{uri}/quality/results", audit(), RESULTS_SCHEMA, **storage)


def opener(folder):
    """Opens tables of a folder, as the platform's opener does those of a bucket."""

    def open_table(path):
        if not (folder / path / "_delta_log").exists():
            raise TableNotFoundError(path)
        return DeltaTable(str(folder / path))

    return open_table
