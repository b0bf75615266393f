"""`assay report`: what a person finds on the page, and what never gets onto it."""

import copy
import html
import json
import re

import pytest
import report_world as world
from browser import console, in_a_browser, measured, pages_on_paper
from hypothesis import given, settings
from hypothesis import strategies as st
from report_world import CANARY, DATE, ORDERS, RATES, RUN, WAIVER, broken, order, receipt, result, rows

from contracts import contract as contracts
from ops.report import gather, masking, page, pictures
from ops.report.evidence import evidence
from ops.report.model import Head

HEAD = Head(
    run_id=RUN, data_date=DATE, status="SUCCEEDED", execution_arn="arn:aws:states:eu-west-1:000000000000:execution:assay-dev-daily:x",
    started="2026-07-31 06:00:09", ended="2026-07-31 07:12:40", redrives=1,
)  # fmt: skip
EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The lake's tables as a folder; opens them."""
    folder = tmp_path_factory.mktemp("lake")
    world.fill(str(folder))
    return world.opener(folder)


def collected(open_table, receipts=None):
    quarantined = {path: gather.quarantined(open_table, path, RUN) for path in world.quarantine()}
    measurements = gather.measurements(open_table, DATE)
    return evidence(HEAD, receipts or world.receipts(), quarantined, measurements, gather.contract_of)


@pytest.fixture(scope="module")
def shown(lake):
    return page.render(collected(lake))


def of(receipts=(), quarantined=(), measurements=None, contract_of=gather.contract_of, head=HEAD):
    table = {"quarantine/some": [each | {"rows": len(quarantined)} for each in quarantined]}
    return evidence(head, dict(receipts), table, measurements, contract_of)


def text(markup):
    """What a reader reads, spaces made one; the titles of drawings included."""
    without = re.sub(r"<style>.*?</style>", "", markup, flags=re.DOTALL)
    said = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", without)))
    return re.sub(r" ([,;:.)])", r"\1", said)


def checked(*results, **more):
    return of([receipt("check_silver", results=list(results), verdict="FAIL", **more)])


def test_rejected_rows_are_on_the_page_with_who_and_why():
    name = "expect_column_values_to_not_be_null"
    seen = result(RATES, name, "USD", {"rows": 1, "unexpected": 0, "rejected": 2}, {})
    rejection = {
        "run_id": RUN, "expectation": f"{RATES}:{name}:USD", "by": "Ada (on call)", "reason": "no dollars that day",
        "made_at": "2026-07-31T07:00:00Z", "rows": 2,
    }  # fmt: skip
    said = text(page.render(of([receipt("check_bronze", results=[seen], verdict="PASS", rejections=[rejection])])))
    assert (
        f"rejected 2 rows that failed {RATES}:{name}:USD, by Ada (on call) at 2026-07-31T07:00:00Z: no dollars that day"
        in said
    )
    assert "0 of 1 rows unexpected, 2 rejected before" in said


def only(found):
    """The one result of the one check."""
    (group,) = next(gate for gate in found.gates if gate.checks).checks[0].groups
    (one,) = group.seen + group.folded
    return one


# the page


def test_the_page_says_what_the_run_was_and_how_each_gate_stands(shown):
    said = text(shown)
    for words in (
        "2026-07-30 SUCCEEDED All gates passed, with 1 warning and 1 waived.",
        "bronze WARN 1 of 6 failed silver PASS 0 of 11 failed gold PASS WITH WAIVER 0 of 5 failed",
        "2 rounds, redriven 1 time",
        "10, 1 of them of a failure",
        "snowflake_orders 6,352 6,312 40 6,352 rows received, 6,312 accepted, 40 quarantined",
        "failed ContractViolationError fx_rates_bronze, GBP, exclusiveMinimum round 0, attempt 1",
        "failed warn expect_column_values_to_not_be_null GBP 1 of 1 rows unexpected (100 %)",
        "expect_column_mean_to_be_between amount 151,820.4471 151,820.4471; expected at least 100,000, at most 200,000",
        "more than 0",
        f"waiver {WAIVER['expectation']} by Ada (on call) until 2026-07-31T18:00:00Z: half the shops were closed",
        "waived error expect_column_mean_to_be_between revenue_eur 18,911,000.25",
        "earlier: FAIL round 0, attempt 1, 2026-07-31 06:10:27 UTC, 17.6 s; 2 of 5 failed",
        "quarantine/snowflake_orders 40 rows, judged by snowflake_orders_bronze 1-0-0; personal data masked: clerk, comment",
        "GBP breaks exclusiveMinimum 0 1 row",
        "total_price breaks minimum 0 26 rows a sample of 10",
        "currency breaks pattern ^[A-Z]{3}$ 14 rows",
        "30 runs, 2026-07-01 to 2026-07-30: lowest",
    ):
        assert words in said


def test_the_page_stands_alone(shown):
    assert not re.search(r"<(script|link|img|iframe|object)\b|url\(|@import|https?://|\s(src|on[a-z]+)=", shown)


def test_no_personal_data_of_quarantine_nor_of_a_cause_is_on_the_page(lake, shown):
    assert any(CANARY in row["row"] for row in gather.quarantined(lake, "quarantine/snowflake_orders", RUN))
    assert CANARY not in shown
    assert "masked" in text(shown)
    assert "other run" not in shown


def test_a_closed_gate_is_the_first_thing_said():
    results = [result("orders_silver", "expect_column_values_to_be_unique", "order_id", rows(9, 2), {}, success=False)]
    found = of(
        [receipt("check_bronze", results=[], verdict="PASS"), receipt("check_silver", results=results, verdict="FAIL")]
    )
    assert page.lead(found) == "The silver gate is closed: 1 of 1 expectation failed."
    assert [gate.verdict for gate in found.gates] == ["PASS", "FAIL", "not reached"]
    assert "row" in text(page.render(found))


@pytest.mark.parametrize(
    ("head", "receipts", "sentence"),
    [
        pytest.param({}, [], "Passed so far: no gate.", id="nothing yet"),
        pytest.param({"status": "FAILED", "failed_in": "IngestSource", "error": "ContractViolationError"}, [], "Failed in IngestSource: ContractViolationError.", id="before any gate"),
        pytest.param({}, [receipt("check_gold", status="FAILED", error="UnsupportedKeywordError", dataset="orders_silver", rule="oneOf")], "The gold gate has no verdict: its check ended in UnsupportedKeywordError (orders_silver, oneOf).", id="a check that failed"),
    ],
)  # fmt: skip
def test_the_first_sentence_says_how_the_run_stands(head, receipts, sentence):
    found = of(receipts, head=Head(**{**vars(HEAD), **head}))
    assert page.lead(found) == sentence
    assert sentence in text(page.render(found))


def test_without_the_audit_table_the_page_says_so_and_has_no_trend():
    found = of(world.receipts().items())
    said = page.render(found)
    assert "No trend: nothing was ever written to quality/results." in text(said)
    assert "<polyline" not in said


def test_a_receipt_that_cannot_be_read_is_named():
    found = of([(f"runs/{RUN}/check_gold/all/1.json", None)])
    assert f"Not read, as it is not a JSON object: runs/{RUN}/check_gold/all/1.json" in text(page.render(found))


# values


def test_values_are_only_text_on_the_page():
    results = [
        result(
            EVIL,
            EVIL,
            EVIL,
            EVIL,
            {EVIL: EVIL, "value_set": [EVIL, "\ud800", "\u202egnp.exe", "a\x00b\r\n"]},
            success=False,
        )
    ]
    receipts = [
        receipt(
            "check_gold",
            results=results,
            verdict=EVIL,
            waivers=[dict.fromkeys(WAIVER, EVIL)],
            rejections=[dict.fromkeys(("expectation", "by", "reason", "made_at", "rows"), EVIL)],
        ),
        receipt("ingest", "fx_rates", status=EVIL, error=EVIL, dataset=EVIL, column=EVIL, rule=EVIL),
    ]
    lines = [
        broken(RATES, column, rule, EVIL + "\ud800\u202e", file=EVIL)
        for column, rule in (("*", "layout"), (EVIL, EVIL))
    ]
    no_pii = lambda dataset, version: contracts.load(RATES)  # noqa: E731, ARG005
    markup = page.render(of(receipts, lines, contract_of=no_pii))
    assert not re.search(r"<(script|img)", markup)
    assert "&lt;script&gt;" in markup
    assert not re.search(r"[\u202e\x00\ud800]", markup)
    assert r"\u202egnp.exe" in markup
    assert r"a\x00b\r\n" in markup
    markup.encode()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("x" * 200, "x" * 200, id="as long as may be"),
        pytest.param("x" * 5000, "x" * 200 + "… (5,000 characters)", id="too long"),
        pytest.param("", '""', id="empty"),
        pytest.param("שלום", "שלום", id="right to left"),
        pytest.param("a\tb\u00a0c\u200d", r"a\tb\xa0c\u200d", id="what cannot be seen"),
        pytest.param(1234567, "1,234,567", id="whole"),
        pytest.param(True, "true", id="boolean"),
        pytest.param(None, "null", id="null"),
        pytest.param(0.1 + 0.2, "0.3", id="float"),
        pytest.param(18911000.25, "18,911,000.25", id="millions"),
        pytest.param(1e-9, "1e-09", id="tiny"),
        pytest.param(float("nan"), "nan", id="no number"),
        pytest.param(["A", None, 2.0], "A, null, 2", id="list"),
        pytest.param({"a": 1}, '{"a": 1}', id="object"),
    ],
)
def test_a_value_is_shown_short_and_whole(value, words):
    assert masking.shown(value).text == words


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.99999999, "99.999999 %"), (1e-7, "1e-05 %")]
)
def test_a_share_is_never_rounded_to_all_or_nothing(share, words):
    assert masking.percent(share) == words


def test_a_row_s_numbers_are_as_they_were_written():
    row = order(12345678, customer_id=42, total_price=-1).replace("-1,", "-0.100000000000000005,")
    cells = masking.cells(contracts.load(ORDERS), "total_price", "minimum", row)
    assert [(cell.name, cell.value.text, cell.broken) for cell in cells[:3]] == [
        ("total_price", "-0.100000000000000005", True), ("order_id", "12345678", False), ("customer_id", "42", False),
    ]  # fmt: skip


# personal data


def delimited(pii):
    """Rates as a contract of a CSV file with a name and a city in it."""
    document = copy.deepcopy(json.loads(contracts._file(RATES, "1-0-0").read_bytes()))
    keep = ("Date", "USD")
    document["properties"] = {name: document["properties"][name] for name in keep}
    document["properties"] |= {"Name": {"type": "string"}, "City": {"type": ["string", "null"], "maxLength": 5}}
    document["required"] = list(document["properties"])
    document["x-assay"] |= {"classification": {"pii": pii}, "expectations": []}
    return contracts.parse_document(RATES, "1-0-0", json.dumps(document).encode())


def line(**values):
    return json.dumps({"Date": "2026-07-30", "USD": "1.08", "Name": "Robin", "City": "Delft"} | values)


@pytest.mark.parametrize(
    ("contract", "column", "rule", "row"),
    [
        pytest.param(contracts.load(ORDERS), "total_price", "minimum", order(1, comment=CANARY), id="a named column"),
        pytest.param(contracts.load(ORDERS), "comment", "type", order(1, comment={"deep": [CANARY]}), id="the broken column itself"),
        pytest.param(contracts.load(ORDERS), "*", "layout", f"1,2,{CANARY}", id="a malformed line"),
        pytest.param(contracts.load(ORDERS), "*", "layout", order(1, currency=CANARY), id="a malformed line that reads as JSON"),
        pytest.param(contracts.load(ORDERS), "currency", "layout", order(1, currency=CANARY), id="layout whatever the column"),
        pytest.param(contracts.load(ORDERS), "currency", "pattern", json.dumps({"currency": CANARY}), id="columns missing"),
        pytest.param(contracts.load(ORDERS), "currency", "pattern", order(1, **{CANARY: 1}), id="a column more"),
        pytest.param(contracts.load(ORDERS), "currency", "pattern", order(1)[:-3] + CANARY, id="cut"),
        pytest.param(contracts.load(ORDERS), "currency", "pattern", f'"{CANARY}"', id="not an object"),
        pytest.param(contracts.load(ORDERS), "currency", "pattern", "[" * 100_000 + CANARY, id="nested without end"),
        pytest.param(contracts.load(ORDERS), CANARY, f"{CANARY} broke", order(1), id="in the names"),
        pytest.param(None, "currency", "pattern", order(1, currency=CANARY), id="a contract that is not here"),
        pytest.param(delimited(["Name"]), "USD", "type", line(USD=CANARY), id="cells moved into a number"),
        pytest.param(delimited(["Name"]), "City", "maxLength", line(City=CANARY), id="cells moved into free text"),
        pytest.param(delimited(["Name"]), "USD", "exclusiveMinimum", line(USD="-1", Name=CANARY), id="a delimited row in its place"),
        pytest.param(delimited(["Name.first"]), "USD", "exclusiveMinimum", line(USD="-1", Name=CANARY), id="a part of a column"),
    ],
)  # fmt: skip
def test_personal_data_of_a_quarantined_row_is_masked(contract, column, rule, row):
    found = of(quarantined=[broken(ORDERS, column, rule, row, reason=CANARY)], contract_of=lambda *_: contract)
    markup = page.render(found)
    assert CANARY not in markup
    assert '<span class="mask">masked</span>' in markup
    assert CANARY not in json.dumps(page_data(found))


def page_data(found):
    from ops import show

    return show.as_json(found)


@pytest.mark.parametrize(
    ("column", "rule", "row", "words"),
    [
        pytest.param("USD", "exclusiveMinimum", line(USD="-1", City="Delft"), "USD -1 Date 2026-07-30 Name masked City Delft", id="in its place"),
        pytest.param("USD", "type", line(USD=None), "USD null Date 2026-07-30 Name masked City Delft", id="a null has moved nowhere"),
        pytest.param("City", "type", line(City=None), "City null Date 2026-07-30 USD 1.08 Name masked", id="nor has one in free text"),
    ],
)  # fmt: skip
def test_what_is_not_personal_is_shown(column, rule, row, words):
    found = of(quarantined=[broken(RATES, column, rule, row)], contract_of=lambda *_: delimited(["Name"]))
    assert words in text(page.render(found))


def test_without_personal_data_a_malformed_line_is_shown():
    found = of(quarantined=[broken(RATES, "*", "layout", "2026-07-30,1.08,<b>", file="landing/fx/ä b+c.csv")])
    said = text(page.render(found))
    assert "the row breaks layout" in said
    assert "2026-07-30,1.08,<b>" in said
    assert "landing/fx/ä b+c.csv" in said


@pytest.mark.parametrize(
    ("of_result", "masked"),
    [
        pytest.param(result(ORDERS, "expect_column_distinct_values_to_be_in_set", "clerk", [CANARY], {"value_set": [CANARY]}), (True, [True]), id="values"),
        pytest.param(result(ORDERS, "expect_column_max_to_be_between", "comment", CANARY, {"max_value": CANARY}), (True, [True]), id="the largest"),
        pytest.param(result(ORDERS, "expect_compound_columns_to_be_unique", "order_id, clerk", {"example": CANARY}, {}), (True, []), id="one of several columns"),
        pytest.param(result(ORDERS, "expect_column_pair_values_to_be_equal", None, [CANARY], {"column_A": "clerk", "column_B": "comment"}), (True, [False, False]), id="a pair"),
        pytest.param(result(ORDERS, "expect_table_row_count_to_be_between", None, 5, {"min_value": 1, "row_condition": f"clerk = '{CANARY}'"}), (False, [False, True]), id="a condition"),
        pytest.param(result(ORDERS, "row_rule_enum", "clerk", 3, [CANARY]), (False, [True]), id="a rule's values"),
        pytest.param(result(ORDERS, "expect_column_values_to_match_regex", "clerk", rows(5, 1), {"regex": CANARY, "mostly": 0.5}), (False, [True, False]), id="counts are nobody's"),
        pytest.param(result(ORDERS, "expect_column_value_lengths_to_be_between", "clerk", rows(5, 0), {"min_value": 1}), (False, [False]), id="lengths are nobody's"),
        pytest.param(result(ORDERS, "expect_column_sum_to_be_between", "clerk", 4711, {"min_value": 1}), (True, [True]), id="a number may be somebody's"),
        pytest.param(result("no_such_dataset", "expect_column_max_to_be_between", "x", CANARY, {"max_value": CANARY}), (True, [True]), id="a contract that is not here"),
    ],
)  # fmt: skip
def test_results_never_show_values_of_personal_columns(of_result, masked):
    one = only(checked(of_result))
    assert (one.observed.masked, [bound.masked for _, bound in one.expected]) == masked
    assert CANARY not in page.render(checked(of_result))
    assert one.drawing is None or not one.observed.masked


# pictures


@pytest.mark.parametrize(
    ("of_result", "drawn"),
    [
        pytest.param(result("d", "e", "c", 50, {"min_value": 0, "max_value": 100}), ((11.54, 76.92), 50.0), id="in the middle"),
        pytest.param(result("d", "e", "c", 150, {"min_value": 0, "max_value": 100}), ((11.54, 51.28), 88.46), id="beyond"),
        pytest.param(result("d", "e", "c", 5, {"min_value": 5}), ((50.0, 50.0), 50.0), id="open above"),
        pytest.param(result("d", "e", "c", 5, {"max_value": 10}), ((0.0, 88.46), 50.0), id="open below begins at nothing"),
        pytest.param(result("d", "e", "c", 7, {"value": 7}), ((50.0, 1.5), 50.0), id="equal"),
        pytest.param(result("d", "e", "c", rows(100, 5), {"mostly": 0.9}), ((0.0, 88.46), 50.0), id="the share that may fail"),
        pytest.param(result("d", "e", "c", "2026-07-30", {"max_value": "2026-07-30"}), None, id="no numbers"),
        pytest.param(result("d", "e", "c", 5, {}), None, id="no bound"),
        pytest.param(result("d", "e", "c", float("nan"), {"min_value": 1}), None, id="not a number"),
    ],
)  # fmt: skip
def test_a_number_is_drawn_against_its_range(of_result, drawn):
    gauge = pictures.drawing(of_result)
    assert (gauge and (gauge.band, gauge.at)) == drawn


@pytest.mark.parametrize(("unexpected", "width"), [(0, 0.0), (1, 2.0), (500, 50.0), (1000, 100.0)])
def test_where_no_row_may_fail_those_that_do_can_be_seen(unexpected, width):
    assert pictures.drawing(result("d", "e", "c", rows(1000, unexpected), {})).width == width


def audited(run, value, minute=0, date="2026-07-01", **more):
    return {
        "run_id": run, "data_date": date, "step": "check_silver", "round": 0, "attempt": 1, "dataset": "orders_silver",
        "expectation": "expect_column_mean_to_be_between", "column": "amount", "success": True, "observed": json.dumps(value),
        "expected": '{"min_value": 1}', "measured_at": f"2026-07-01T06:{minute:02}:00Z", **more,
    }  # fmt: skip


MEAN = result("orders_silver", "expect_column_mean_to_be_between", "amount", 7, {"min_value": 1})


def trend_of(measurements, *results):
    return (
        of([receipt("check_silver", results=list(results or [MEAN]), verdict="PASS")], measurements=measurements)
        .gates[1]
        .checks[0]
        .groups[0]
        .seen
    )


def test_a_trend_takes_the_last_measurement_of_each_run_by_data_date():
    measurements = [
        audited("b", 5, date="2026-07-02"), audited("a", 9, minute=1), audited("a", 3, minute=8, round=1), audited("a", 4, minute=2),
        audited("c", 8, date="2026-07-03", success=False), audited("d", "text", date="2026-07-04"), audited("e", None, date="2026-07-05"),
        audited("f", 1, column="other"), audited("g", 1, step="check_gold"),
    ]  # fmt: skip
    (one,) = trend_of(measurements)
    assert one.trend.words == "3 runs, 2026-07-01 to 2026-07-03: lowest 3, highest 8, last 8; 1 failed"
    assert [point.success for point in one.trend.points] == [True, True, False]
    # 8 is on top; at least 1, which is near enough to be in the picture, at the bottom
    assert one.trend.line == "3,18.7 60,12.4 117,3"
    assert one.trend.band == (0.0, 28.0)


def test_a_trend_has_thirty_runs_at_most():
    (one,) = trend_of(
        [audited(f"run{n:02}", n, date=f"2026-06-{n:02}" if n <= 30 else f"2026-07-{n - 30:02}") for n in range(1, 36)]
    )
    assert one.trend.words.startswith("30 runs, 2026-06-06 to 2026-07-05: lowest 6, highest 35")


def test_two_expectations_of_one_name_have_a_trend_each():
    measurements = [
        audited(run, value, expected=json.dumps(expected), date=f"2026-07-0{day}")
        for day, run in enumerate("ab", start=1)
        for value, expected in ((day, {"row_condition": "x", "min_value": 1}), (100 * day, {"min_value": 1}))
    ]
    conditional = result("orders_silver", MEAN["expectation"], "amount", 2, {"min_value": 1, "row_condition": "x"})
    one, other = trend_of(measurements, MEAN, conditional)
    assert "lowest 100, highest 200" in one.trend.words
    assert "lowest 1, highest 2" in other.trend.words


def test_the_first_run_is_a_point():
    (one,) = trend_of([audited("a", 7)])
    assert one.trend.words == "one run, 2026-07-01: 7"
    assert "<polyline" not in page.render(
        of([receipt("check_silver", results=[MEAN], verdict="PASS")], measurements=[audited("a", 7)])
    )


# what is read


def test_a_sample_has_ten_rows_a_rule_and_tells_how_many_there_are(lake):
    found = gather.quarantined(lake, "quarantine/snowflake_orders", RUN)
    by_rule = {}
    for row in found:
        by_rule.setdefault((row["column"], row["rule"], row["rows"]), []).append(row)
    assert {about: len(sample) for about, sample in by_rule.items()} == {
        ("total_price", "minimum", 26): 10,
        ("currency", "pattern", 14): 10,
    }
    assert gather.quarantined(lake, "quarantine/snowflake_orders", world.run_id(2)) == ()
    assert gather.quarantined(lake, "quarantine/hubspot_contacts", RUN) == ()


def test_the_audit_is_read_up_to_the_run_s_day_and_no_further_than_thirty_runs(lake):
    found = gather.measurements(lake, DATE)
    assert len({row["run_id"] for row in found}) == 30
    assert (min(row["data_date"] for row in found), max(row["data_date"] for row in found)) == ("2026-07-01", DATE)
    earlier = gather.measurements(lake, "2026-07-10")
    assert max(row["data_date"] for row in earlier) == "2026-07-10"
    assert len(gather.measurements(lake, None)) == len(found)


def test_without_a_table_there_are_no_measurements(tmp_path):
    assert gather.measurements(world.opener(tmp_path), DATE) is None


# much, and odd


def test_of_thousands_of_results_the_failures_are_seen_and_the_rest_is_folded():
    results = [
        result(
            "orders_silver",
            f"expect_{n}",
            "amount",
            rows(10, n % 2),
            {},
            success=n % 50 > 1,
            severity="warn" if n % 50 else "error",
        )
        for n in range(4000)
    ]
    found = checked(*results)
    (group,) = found.gates[1].checks[0].groups
    assert (group.failed, group.passed, len(group.seen), len(group.folded)) == (160, 3840, 62, 3938)
    assert {each.outcome for each in group.seen[:50]} == {"failed"}
    assert {each.severity for each in group.seen[:50]} == {"error"}
    markup = page.render(found)
    assert markup.index("<details><summary>3,938 more results") < markup.index("expect_3999<")
    assert len(markup) < 4_000_000


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([10**400, "2026-07-31T06:00:00+00:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["min_value", "max_value", "value", "mostly", "rows", "unexpected", "x"]), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
ODD_RESULT = st.fixed_dictionaries({}, optional={
    "dataset": st.sampled_from([ORDERS, "gone"]) | ODD, "expectation": st.sampled_from(["row_rule_enum", "expect_column_mean_to_be_between"]) | ODD,
    "column": st.sampled_from(["clerk", "total_price"]) | ODD, "observed": ODD, "expected": ODD, "success": ODD, "severity": ODD, "version": ODD,
})  # fmt: skip
ODD_RECEIPT = st.fixed_dictionaries({"step": st.sampled_from(["ingest", "check_bronze"]) | ODD}, optional={
    "subject": ODD, "attempt": ODD, "round": ODD, "status": ODD, "verdict": ODD, "rows": ODD, "error": ODD, "started_at": ODD, "ended_at": ODD,
    "results": st.lists(ODD_RESULT | ODD, max_size=3) | ODD, "waivers": st.lists(ODD_RESULT, max_size=2) | ODD, "rejections": st.lists(ODD_RESULT, max_size=2) | ODD,
})  # fmt: skip


@settings(deadline=None, max_examples=150)  # the first page compiles the templates
@given(
    ODD_RECEIPT,
    st.lists(
        st.fixed_dictionaries({"observed": st.none() | ODD.map(json.dumps), "expected": ODD.map(json.dumps)}),
        max_size=2,
    ),
)
def test_whatever_a_receipt_holds_there_is_a_page(odd, measured_before):
    measurements = [audited("a", 1) | each for each in measured_before]
    markup = page.render(of([("runs/r/s/all/1.json", odd)], measurements=measurements))
    assert markup.rstrip().endswith("</html>")
    markup.encode()


# in a browser


@pytest.fixture(scope="module")
def file(shown, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(shown, encoding="utf-8")
    return path


@in_a_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_shows_it_whole_and_loads_nothing(shown, tmp_path, width):
    assert measured(shown, tmp_path, width) == (f"Run {RUN}", width, True, 0)


@in_a_browser
def test_names_without_a_space_do_not_widen_the_page(tmp_path):
    long = "x" * 190
    results = [result(long, long, long, long, {long: long}, success=False)]
    found = of(
        [
            receipt("check_gold", results=results, verdict="FAIL"),
            receipt("ingest", long, rows=dict.fromkeys(("received", "accepted", "quarantined"), 10**15)),
        ]
    )
    assert measured(page.render(found), tmp_path, 400)[1:3] == (400, True)


@in_a_browser
def test_the_console_stays_silent(file, tmp_path):
    assert console(file, tmp_path / "profile") == []
    noisy = tmp_path / "noisy.html"
    noisy.write_text("<script>console.error('heard')</script>")
    assert "heard" in console(noisy, tmp_path / "profile")[0]


@in_a_browser
def test_it_prints(file, tmp_path):
    assert 2 <= pages_on_paper(file, tmp_path) <= 8
