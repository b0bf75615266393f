"""What a run's gates saw, from receipts, rows of quarantine and the audit of earlier runs.

Nothing here reads from anywhere, and nothing that may not be shown leaves it: the page only lays it out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from contracts.contract import Contract
from lambdas.summary import seconds_of
from ops.report import masking, pictures
from ops.report.masking import Shown, printable, shown
from ops.report.model import (
    Attempt,
    BrokenRule,
    Check,
    Evidence,
    Gate,
    Group,
    Head,
    Intake,
    Quarantine,
    QuarantinedRow,
    Rejection,
    Result,
    Source,
    Waiver,
)
from ops.report.pictures import Measured, Share

LAYERS = ("bronze", "silver", "gold")
RUNS_IN_TREND = 30
SHOWN_FAILED, SHOWN_PASSED = 50, 12  # of a dataset; the rest is folded
Document = Mapping[str, Any]
ContractOf = Callable[[Any, Any], Contract | None]


def evidence(
    head: Head,
    receipts: Mapping[str, Document | None],
    quarantined: Mapping[str, Sequence[Document]],
    measurements: Sequence[Document] | None,
    contract_of: ContractOf,
) -> Evidence:
    """What the gates of a run saw.

    Args:
        head: the run.
        receipts: the run's receipts by key; None for one that is not a JSON object.
        quarantined: by table, a sample of its rows of this run; each also says how many broke its rule, as `rows`.
        measurements: rows of quality/results of this run and those before; None when there is no such table.
        contract_of: the contract of a dataset and version (None: the latest), or None when there is none.
    """
    known = [(key, each) for key, each in sorted(receipts.items()) if each is not None]
    by_step: dict[str, list[tuple[str, Document]]] = defaultdict(list)
    for key, receipt in known:
        by_step[str(receipt.get("step"))].append((key, receipt))
    series = _series(measurements or ())
    return Evidence(
        head=head,
        sources=_sources(by_step["ingest"]),
        quarantines=tuple(_quarantine(table, rows, contract_of) for table, rows in sorted(quarantined.items()) if rows),
        gates=tuple(_gate(layer, by_step[f"check_{layer}"], series, contract_of) for layer in LAYERS),
        rounds=len({_whole(receipt.get("round")) for _, receipt in known}),
        attempts=len(known),
        failed_attempts=sum(receipt.get("status") != "SUCCEEDED" for _, receipt in known),
        trend_note=None if measurements is not None else "No trend: nothing was ever written to quality/results.",
        unreadable=tuple(key for key, receipt in sorted(receipts.items()) if receipt is None),
    )


def _attempt(key: str, receipt: Document) -> Attempt:
    where = [receipt.get(name) for name in ("dataset", "column", "rule")]
    return Attempt(
        attempt=_whole(receipt.get("attempt")),
        round=_whole(receipt.get("round")),
        status=printable(str(receipt.get("status"))),
        ended=_moment(receipt.get("ended_at")),
        seconds=_seconds(receipt),
        receipt=key,
        error=printable(str(receipt["error"])) if receipt.get("error") else None,
        where=", ".join(printable(str(each)) for each in where if each) or None,
    )


def _latest_first(found: Iterable[tuple[str, Document]]) -> list[tuple[str, Document]]:
    return sorted(found, key=lambda pair: _whole(pair[1].get("attempt")), reverse=True)


def _sources(found: Iterable[tuple[str, Document]]) -> tuple[Source, ...]:
    by_source: dict[str, list[tuple[str, Document]]] = defaultdict(list)
    for key, receipt in found:
        by_source[str(receipt.get("subject"))].append((key, receipt))
    return tuple(
        Source(name=printable(name), intakes=tuple(_intake(*each) for each in _latest_first(own)))
        for name, own in sorted(by_source.items())
    )


def _intake(key: str, receipt: Document) -> Intake:
    counted = _mapping(receipt.get("rows"))
    counts = [counted.get(name) for name in ("received", "accepted", "quarantined")]
    known = all(type(each) is int for each in counts)
    received, accepted, quarantined = map(_whole, counts)
    picture = None
    if received:
        words = f"{received:,} rows received, {accepted:,} accepted, {quarantined:,} quarantined"
        width = round(max(100 * quarantined / received, 1.0), 2) if quarantined else 0.0
        picture = Share(width=width, words=words)
    return Intake(
        attempt=_attempt(key, receipt),
        received=received if known else None,
        accepted=accepted if known else None,
        quarantined=quarantined if known else None,
        picture=picture,
    )


def _gate(
    layer: str, found: Iterable[tuple[str, Document]], series: Mapping[Any, Any], contract_of: ContractOf
) -> Gate:
    checks = []
    for index, (key, receipt) in enumerate(_latest_first(found)):
        waivers = tuple(
            Waiver(**{name: printable(str(each.get(name) or "")) for name in Waiver.__dataclass_fields__})
            for each in _mappings(receipt.get("waivers"))
        )
        rejections = tuple(map(_rejection, _mappings(receipt.get("rejections"))))
        # the trend ends in the latest check, so it would say nothing about an earlier one
        groups = _groups(receipt, {} if index else series, contract_of)
        verdict = receipt.get("verdict")
        checks.append(
            Check(
                attempt=_attempt(key, receipt),
                verdict=printable(str(verdict)) if verdict else None,
                waivers=waivers,
                rejections=rejections,
                groups=groups,
            )
        )
    return Gate(layer=layer, checks=tuple(checks))


def _rejection(each: Document) -> Rejection:
    said = {name: printable(str(each.get(name) or "")) for name in ("expectation", "by", "reason", "made_at")}
    return Rejection(**said, rows=_whole(each.get("rows")))


def _groups(receipt: Document, series: Mapping[Any, Any], contract_of: ContractOf) -> tuple[Group, ...]:
    results = _mappings(receipt.get("results"))
    alike = Counter(map(_name, results))
    waived = {str(each.get("expectation")) for each in _mappings(receipt.get("waivers"))}
    by_dataset: dict[tuple[str, str | None], list[Result]] = defaultdict(list)
    for each in results:
        contract = contract_of(each.get("dataset"), each.get("version"))
        measured = series.get((str(receipt.get("step")), *_name(each)), ())
        if alike[_name(each)] > 1:
            measured = [one for one in measured if one[1] == _canonical(each.get("expected"))]
        runs = _last_of_each_run(measured)
        version = None if each.get("version") is None else str(each["version"])
        by_dataset[str(each.get("dataset")), version].append(_result(each, contract, runs, waived))
    groups = [_group(dataset, version, own) for (dataset, version), own in by_dataset.items()]
    return tuple(sorted(groups, key=lambda group: (-group.failed, -group.waived, group.dataset)))


def _group(dataset: str, version: str | None, results: Sequence[Result]) -> Group:
    by_outcome: dict[str, list[Result]] = {
        outcome: [each for each in results if each.outcome == outcome] for outcome in ("failed", "waived", "passed")
    }
    failed = sorted(by_outcome["failed"], key=lambda result: result.severity != "error") + by_outcome["waived"]
    # what every row must keep held for every row: of interest only when it did not
    plain = [each for each in by_outcome["passed"] if not each.expectation.startswith(masking.ROW_RULE)]
    rules = [each for each in by_outcome["passed"] if each.expectation.startswith(masking.ROW_RULE)]
    return Group(
        dataset=printable(dataset),
        version=printable(version) if version else None,
        failed=len(by_outcome["failed"]),
        waived=len(by_outcome["waived"]),
        passed=len(by_outcome["passed"]),
        seen=(*failed[:SHOWN_FAILED], *plain[:SHOWN_PASSED]),
        folded=(*failed[SHOWN_FAILED:], *plain[SHOWN_PASSED:], *rules),
    )


def _result(each: Document, contract: Contract | None, runs: Sequence[Measured], waived: set[str]) -> Result:
    observed = masking.observed(contract, each)
    outcome = "passed" if each.get("success") is True else "failed"
    name = ":".join(str(part) for part in _name(each) if part is not None)
    if outcome == "failed" and (each.get("waived") is True or ("waived" not in each and name in waived)):
        outcome = "waived"
    return Result(
        expectation=printable(str(each.get("expectation"))),
        column=shown(each["column"]) if each.get("column") else Shown(text="the table"),
        severity=printable(str(each.get("severity"))),
        outcome=outcome,
        observed=observed,
        expected=masking.expected(contract, each),
        drawing=None if observed.masked else pictures.drawing(each),
        trend=None if observed.masked else pictures.trend(runs, each),
    )


def _series(measurements: Iterable[Document]) -> dict[Any, list[tuple[Document, str, float]]]:
    """Rows of the audit by what they measured: the row, what was expected, and the number that was observed."""
    series: dict[Any, list[tuple[Document, str, float]]] = defaultdict(list)
    for row in measurements:
        value = pictures.measured_value(_json(row.get("observed")))
        if value is not None:
            series[str(row.get("step")), *_name(row)].append((row, _canonical(_json(row.get("expected"))), value))
    return series


def _last_of_each_run(measured: Iterable[tuple[Document, str, float]]) -> list[Measured]:
    last: dict[str, tuple[Any, Measured]] = {}
    for row, _, value in measured:
        order = (str(row.get("measured_at")), _whole(row.get("round")), _whole(row.get("attempt")))
        run_id, success = str(row.get("run_id")), bool(row.get("success"))
        each = Measured(run_id=run_id, data_date=str(row.get("data_date")), value=value, success=success)
        if run_id not in last or order >= last[run_id][0]:
            last[run_id] = (order, each)
    runs = sorted((each for _, each in last.values()), key=lambda each: (each.data_date, each.run_id))
    return runs[-RUNS_IN_TREND:]


def _quarantine(table: str, rows: Sequence[Document], contract_of: ContractOf) -> Quarantine:
    by_rule: dict[tuple[Any, ...], list[Document]] = defaultdict(list)
    for row in rows:
        by_rule[tuple(row.get(name) for name in ("dataset", "version", "column", "rule"))].append(row)
    counts = {about: _whole(own[0].get("rows")) or len(own) for about, own in by_rule.items()}
    judged = [contract_of(dataset, version) for dataset, version, *_ in by_rule]
    rules = [
        _broken_rule(about, own, contract_of(about[0], about[1]), counts[about], max(counts.values()))
        for about, own in sorted(by_rule.items(), key=lambda item: -counts[item[0]])
    ]
    return Quarantine(
        table=table,
        dataset=", ".join(sorted({f"{printable(str(each[0]))} {printable(str(each[1]))}" for each in by_rule})),
        rows=sum(counts.values()),
        masked=tuple(sorted({name for each in judged if each is not None for name in masking.personal(each)})),
        rules=tuple(rules),
    )


def _broken_rule(
    about: tuple[Any, ...], rows: Sequence[Document], contract: Contract | None, count: int, most: int
) -> BrokenRule:
    _, _, column, rule = about
    sample = []
    for row in rows:
        found = masking.cells(contract, column, rule, row.get("row"))
        line = found if isinstance(found, Shown) else None
        sample.append(
            QuarantinedRow(
                cells=() if isinstance(found, Shown) else found,
                line=line,
                file=printable(str(row["_file"])) if row.get("_file") else None,
                attempt=_whole(row.get("_attempt")),
            )
        )
    return BrokenRule(
        column=masking.column_of_rule(contract, column),
        rule=masking.name_of_rule(contract, rule),
        expected=masking.expected_by_rule(contract, column, rule),
        rows=count,
        width=round(max(100 * count / most, 1.0), 2),
        sample=tuple(sample),
    )


def _name(row: Document) -> tuple[str, str, str | None]:
    column = row.get("column")
    return str(row.get("dataset")), str(row.get("expectation")), None if column is None else str(column)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _seconds(receipt: Document) -> float:
    try:
        return seconds_of(receipt)
    except (TypeError, ValueError):
        return 0.0


def _mapping(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Document]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _moment(text: Any) -> str:
    return printable(str(text)[:19].replace("T", " ")) if text else ""
