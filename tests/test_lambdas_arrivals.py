import dataclasses
import gzip
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambdas_world import BUCKET, Faults, World
from moto import mock_aws

from contracts import contract as contracts
from contracts import packing
from contracts.errors import ContractViolationError, SourceUnavailableError
from contracts.landing import check_arrived
from lambdas.arrivals import Claim, Landed, claim, decide_claim, held_by_others, list_landed, matching
from lambdas.judging import HEAD_BYTES, head, judge
from lambdas.ledger import Ledger
from lambdas.names import SET_PREFIX
from lambdas.records import Arrival, ArrivalSet

FX = contracts.of_source("fx_rates")
COLUMNS = [field.name for field in FX.fields]
THURSDAY = date(2026, 7, 30)


def landed(name: str = "eurofxref-1.csv", etag: str = "e1") -> Landed:
    return Landed(key=f"landing/fx/{name}", etag=etag, size=3, modified_at=datetime(2026, 7, 31, tzinfo=UTC))


def held(run_id: str, etag: str = "e1") -> Arrival:
    return Arrival(source="fx_rates", object_key="landing/fx/eurofxref-1.csv", etag=etag, run_id=run_id)


@pytest.mark.parametrize(
    ("arrival", "holder_status", "expected"),
    [
        pytest.param(None, "", Claim.TAKE, id="nobody-has-it"),
        pytest.param(held("dead"), "", Claim.TAKE, id="of-the-run-it-superseded"),
        pytest.param(held("mine"), "", Claim.KEEP, id="mine-already"),
        pytest.param(held("mine", "e0"), "", Claim.TAKE, id="mine-put-right"),
        pytest.param(held("theirs"), "OPEN", Claim.LEAVE, id="theirs"),
        pytest.param(held("theirs"), "SUCCEEDED", Claim.LEAVE, id="theirs-and-published"),
        pytest.param(held("theirs", "e0"), "OPEN", Claim.LEAVE, id="put-right-for-a-run-that-waits-for-it"),
        pytest.param(held("theirs", "e0"), "SUCCEEDED", Claim.TAKE, id="new-version-after-theirs-was-published"),
    ],
)
def test_who_takes_a_file(arrival: Arrival | None, holder_status: str, expected: Claim) -> None:
    assert decide_claim(landed(), arrival, "mine", ["dead"], lambda _: holder_status) is expected


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        pytest.param("eurofxref-2026-07-30.csv", True, id="as-agreed"),
        pytest.param("eurofxref-hist.csv", True, id="history"),
        pytest.param("other-2026-07-30.csv", False, id="other-name"),
        pytest.param("eurofxref-2026.csv.tmp", False, id="half-written"),
        pytest.param("sub/eurofxref-1.csv", False, id="folder-below"),
        pytest.param("eurofxref-1.csv/../../gold/x.csv", False, id="path-tricks"),
        pytest.param("eurofxref-ü+ 1.csv", False, id="odd-characters"),
        pytest.param("", False, id="the-folder-itself"),
    ],
)
def test_only_files_of_the_contracts_pattern_are_taken(name: str, taken: bool) -> None:
    assert [each.key for each in matching(FX, [landed(name)])] == (["landing/fx/" + name] if taken else [])


def test_a_file_is_taken_by_one_run() -> None:
    w = World()
    files = [landed("eurofxref-1.csv"), landed("eurofxref-2.csv")]
    one, two = w.open_run("2026-07-30", "one"), w.open_run("2026-07-31", "two")
    assert claim(w.ledger, FX, files[:1], one) == files[:1]
    assert claim(w.ledger, FX, files, two) == files[1:]
    assert claim(w.ledger, FX, files, one) == files[:1]


def test_two_runs_that_claim_at_once_do_not_both_get_it() -> None:
    w = World()
    one, two = w.open_run("2026-07-30", "one"), w.open_run("2026-07-31", "two")
    write = w.store.write
    taken: list[list[Landed]] = []

    def write_after_another(*writes: Any) -> bool:
        if not taken:
            taken.append([])
            taken[0] = claim(w.ledger, FX, [landed()], two)
        return write(*writes)

    w.store.write = write_after_another  # type: ignore[method-assign]
    assert claim(w.ledger, FX, [landed()], one) == []
    assert taken[0] == [landed()]


def key_of(day: date) -> str:
    return f"landing/fx/eurofxref-{day}.csv"


def history(w: World, days: int) -> None:
    """Each day before Thursday had a file, a set and a run of its own."""
    for back in range(1, days + 1):
        hold(w, THURSDAY - timedelta(days=back), "opened")


def hold(w: World, day: date, by: str) -> None:
    """A claim on the file of a day by a run, or by a set whose run is opened or not."""
    name = by if by in ("theirs", "mine") else f"{SET_PREFIX}{day}"
    w.ledger.add(Arrival(source="fx_rates", object_key=key_of(day), etag="e1", run_id=name))
    if name != by:
        run_id = f"run-{day}" if by == "opened" else None
        w.ledger.add(ArrivalSet(name=name, status="SEALED", data_date=f"{day}", sources=["fx_rates"], run_id=run_id))


@pytest.mark.parametrize("days", [2, 200])
def test_what_a_day_reads_of_claims_does_not_grow_with_history(days: int) -> None:
    w, faults = World(), Faults()
    history(w, days)
    run = w.open_run()
    ledger = Ledger(faults.around(w.store))
    seen: list[int] = []
    between = w.store.between

    def counted(*keys: str) -> list[dict[str, Any]]:
        seen.append(len(found := between(*keys)))
        return found

    w.store.between = counted  # type: ignore[method-assign]
    friday = landed(f"eurofxref-{THURSDAY + timedelta(days=1)}.csv")
    assert claim(ledger, FX, [landed(f"eurofxref-{THURSDAY}.csv"), friday], run)
    assert (faults.calls, seen) == (["between", "write", "write"], [0])
    other = w.open_run("2026-07-29", "other")
    faults.calls.clear()
    assert held_by_others(ledger, FX, other, THURSDAY, THURSDAY).taken == [key_of(THURSDAY)]
    assert faults.calls == ["get"]


@pytest.mark.parametrize("days", [2, 200])
def test_one_set_is_looked_up_for_a_day_whose_file_nobody_has(days: int) -> None:
    w, faults = World(), Faults()
    history(w, days)
    run = w.open_run()
    elsewhere = held_by_others(Ledger(faults.around(w.store)), FX, run, THURSDAY, THURSDAY)
    assert (elsewhere.taken, elsewhere.waiting) == ([key_of(THURSDAY - timedelta(days=days))], [])
    assert faults.calls == ["get", "items", "get"]


def came(own: list[str], others: list[str], first: date) -> bool:
    try:
        check_arrived(FX, first=first, data_date=THURSDAY, own=own, others=others)
    except ContractViolationError:
        return False
    return True


@given(
    held=st.dictionaries(st.integers(-9, 5), st.sampled_from(["theirs", "mine", "opened", "waiting"]), max_size=6),
    first=st.integers(-6, 0),
)
def test_the_claims_that_are_read_tell_as_much_as_all_of_them(held: dict[int, str], first: int) -> None:
    w, start = World(), THURSDAY + timedelta(days=first)
    run = dataclasses.replace(w.open_run(), run_id="mine")
    by_kind: dict[str, list[str]] = {"theirs": [], "mine": [], "opened": [], "waiting": []}
    for ahead, by in held.items():
        day = THURSDAY + timedelta(days=ahead)
        hold(w, day, by)
        by_kind[by].append(key_of(day))
    own, all_taken = by_kind["mine"], by_kind["theirs"] + by_kind["opened"]
    if came(own, [], start):
        return  # nobody asks for the others
    elsewhere = held_by_others(w.ledger, FX, run, start, THURSDAY)
    assert came(own, elsewhere.taken, start) == came(own, all_taken, start)
    if not came(own, all_taken, start):
        assert came(own, elsewhere.taken + elsewhere.waiting, start) == came(own, all_taken + by_kind["waiting"], start)


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        client.create_bucket(Bucket=BUCKET)
        yield client


def put(s3: Any, body: bytes, ending: str = ".csv") -> Landed:
    s3.put_object(Bucket=BUCKET, Key=f"landing/fx/eurofxref-1{ending}", Body=body)
    return list_landed(s3, BUCKET, FX)[0]


def csv(*rows: str, columns: list[str] = COLUMNS) -> bytes:
    return "\n".join([",".join(columns) + ",", *rows, ""]).encode()


def row(usd: str = "1.1", date: str = "2026-07-30") -> str:
    return f"{date},{usd}," + ",".join(["N/A"] * (len(COLUMNS) - 2)) + ","


def test_good_file_is_judged_row_by_row(s3: Any) -> None:
    assert judge(s3, BUCKET, FX, put(s3, csv(row(), row(date="2026-07-29"))), THURSDAY) == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(csv(row("-1.1")), "fx_rates_bronze 1-2-0: column USD breaks rule exclusive", id="negative-rate"),
        pytest.param(csv(row(), columns=[*COLUMNS[:1], *COLUMNS[2:]]), "USD breaks rule required", id="missing"),
        pytest.param(csv(), "column \\* breaks rule minimum_rows", id="header-only"),
        pytest.param(b"", "column \\* breaks rule header: .*the file is empty", id="empty"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "column \\* breaks rule encoding", id="not-text"),
        pytest.param(b"<html><body>Service unavailable</body></html>", "column \\* breaks rule header", id="not-csv"),
    ],
)
def test_bad_file_is_refused_by_dataset_column_and_rule(s3: Any, body: bytes, words: str) -> None:
    with pytest.raises(ContractViolationError, match=words):
        judge(s3, BUCKET, FX, put(s3, body), THURSDAY)


def test_only_the_head_of_a_large_file_is_read(s3: Any) -> None:
    rows = [row() for _ in range(4_000)]
    file = put(s3, csv(*rows, row("-1.1")))
    assert file.size > 2 * HEAD_BYTES
    assert len(head(s3, BUCKET, file)) == HEAD_BYTES
    assert 1_000 < judge(s3, BUCKET, FX, file, THURSDAY) < 4_000


def test_a_packed_file_is_judged_as_the_file_it_holds(s3: Any) -> None:
    # further than a plain file's head, and the zip's list of contents lies at its end
    many = csv(*(row(f"{number}.5", f"{date(2000, 1, 1) + number * timedelta(1)}") for number in range(1, 8_000)))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("eurofxref.csv", many)
    assert len(archive.getvalue()) > HEAD_BYTES
    plain = judge(s3, BUCKET, FX, put(s3, many), THURSDAY)
    s3.delete_object(Bucket=BUCKET, Key="landing/fx/eurofxref-1.csv")
    assert judge(s3, BUCKET, FX, put(s3, archive.getvalue(), ".zip"), THURSDAY) == plain > 1_000
    s3.delete_object(Bucket=BUCKET, Key="landing/fx/eurofxref-1.zip")
    assert judge(s3, BUCKET, FX, put(s3, gzip.compress(many), ".csv.gz"), THURSDAY) == plain


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(gzip.compress(csv(row("-1.1"))), "USD breaks rule exclusiveMinimum: .*line 2", id="rate"),
        pytest.param(csv(row()), "breaks rule packing: landing/fx/eurofxref-1.csv.gz: not a whole gzip", id="plain"),
        pytest.param(b"", "breaks rule header: .*the file is empty", id="empty"),
        pytest.param(gzip.compress(bytes(packing.LARGEST_UNPACKED + 1)), "unpacks to more than 64 MiB", id="bomb"),
    ],
)
def test_a_bad_packed_file_is_refused_before_spark(s3: Any, body: bytes, words: str) -> None:
    with pytest.raises(ContractViolationError, match=words):
        judge(s3, BUCKET, FX, put(s3, body, ".csv.gz"), THURSDAY)


@pytest.mark.parametrize("change", [pytest.param(b"other", id="replaced"), pytest.param(None, id="deleted")])
def test_file_that_changes_while_it_is_judged_is_listed_again(s3: Any, change: bytes | None) -> None:
    file = put(s3, csv(row()))
    if change is None:
        s3.delete_object(Bucket=BUCKET, Key=file.key)
    else:
        s3.put_object(Bucket=BUCKET, Key=file.key, Body=change)
    with pytest.raises(SourceUnavailableError, match="changed since it was listed"):
        judge(s3, BUCKET, FX, file, THURSDAY)
