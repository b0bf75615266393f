"""Arrived files by the very job: JSON lines and CSV, odd keys, and what is refused; nothing is lost on the way."""

import gzip
import hashlib
import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest
from contracts_anew import read_contracts_anew
from json_cases import MALFORMED, document_of, row
from spark_session import quiet, spark  # noqa: F401

from contracts import contract as contracts
from contracts import releases
from spark_jobs import delta_log, entry
from spark_jobs.request import parse_request
from spark_jobs.storage import FolderStore

pytestmark = quiet

THURSDAY, SATURDAY = date(2026, 7, 30), date(2026, 8, 1)
CSV_PROPERTIES = {
    "day": {"type": "string", "format": "date"},
    "rate": {"type": ["number", "null"]},
    "note": {"type": ["string", "null"]},
}


class Landing:
    """A lake in a folder, contracts of the test's own, and the job that takes files."""

    def __init__(self, spark, folder, tree):  # noqa: F811
        self.spark, self.folder, self.tree, self.store = spark, folder, tree, FolderStore(folder)

    def release(self, document):
        dataset = document["$id"].split(":")[-2]
        path = self.tree / dataset / "1-0-0.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        read_contracts_anew()
        contracts.verify(dataset, "1-0-0")

    def put(self, key, content):
        self.store.put(key, content)
        moment = datetime(2026, 7, 30, 16, tzinfo=UTC).isoformat()
        return {"key": key, "etag": None, "size": len(content), "modified_at": moment}

    def ingest(self, source, *files, day=THURSDAY, attempt=1):
        """The receipt of the job that takes the files."""
        run_id = f"{day + timedelta(days=1):%Y%m%d}T060000Z-0000"
        receipt_key = f"runs/{run_id}/ingest/{source}/{attempt}.json"
        document = {
            "run_id": run_id, "step": "ingest", "subject": source, "attempt": attempt, "round": 0, "redrive_count": 0,
            "data_date": str(day), "interval": {"start": f"{day}T00:00:00Z", "end": f"{day + timedelta(days=1)}T00:00:00Z"},
            "lake": str(self.folder), "receipt_key": receipt_key, "inputs": {"receipts": [], "files": list(files)},
            "secret_arn": None, "fail_from": {"error": 1},
            "input_digest": hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12],
        }  # fmt: skip
        code = entry.perform(parse_request(json.dumps(document).encode()), self.store, self.spark)
        receipt = json.loads(self.store.get(receipt_key))
        assert code == (0 if receipt["status"] == "SUCCEEDED" else 1)
        return receipt

    def rows(self, table, *columns):
        frame = self.spark.read.format("delta").load(str(self.folder / table))
        return sorted(tuple(each) for each in frame.select(*columns).collect())

    def version(self, table):
        return delta_log.latest_version(self.store, table)


@pytest.fixture
def landing(spark, tmp_path, monkeypatch):  # noqa: F811
    tree = tmp_path / "schemas"
    tree.mkdir()
    monkeypatch.setattr(contracts, "_schemas", lambda: tree)
    yield Landing(spark, tmp_path / "lake", tree)
    read_contracts_anew()


def csv_document(**about):
    document = document_of(name="rates", pattern="^[^.]+([.]csv|[.]csv[.]gz|[.]zip|[.]csv[.]zip)$")
    document |= {"properties": CSV_PROPERTIES, "required": ["day", "rate"]}
    parse = {
        "layout": "csv",
        "delimiter": ";",
        "null_tokens": ["N/A"],
        "trailing_empty_column": False,
        "minimum_rows": 1,
    }
    document["x-assay"] |= {"key": ["day"], "parse": parse} | about
    return document


# As the vendor may name a file; Hadoop and Spark have a meaning of their own for many of these characters.
ODD_KEYS = [
    "landing/events/a b.jsonl",
    "landing/events/a+b.jsonl",
    "landing/events/a%2Fb%20.jsonl",
    "landing/events/\u00fc\U0001f600.jsonl",
    "landing/events/u\u0308.jsonl",
    "landing/events/[x]{y,z}*?\\.jsonl",
    "landing/events/'; DROP TABLE x; --.jsonl",
    "landing/events/2026/07/#1&2=3.jsonl",
    "landing/events/" + "x" * 240 + ".jsonl",
]


def test_json_lines_of_odd_keys_are_kept_as_they_are_written(landing):
    landing.release(document_of(pattern="^[^.]+[.]jsonl$"))
    files = [landing.put(key, row(id=f'"{n}"') + b"\n") for n, key in enumerate(ODD_KEYS)]
    more = (
        b"\xef\xbb\xbf" + row(amount="1E+2", note='"caf\\u00e9"', id='"100"') + b"\r\n\n" + row(id='"101"', flag="true")
    )
    files.append(landing.put("landing/events/more.jsonl", more))
    receipt = landing.ingest("events", *files)
    assert receipt["status"] == "SUCCEEDED", receipt
    assert receipt["rows"] == {"received": 11, "accepted": 11, "quarantined": 0}
    kept = landing.rows("bronze/events", "_file", "id", "amount", "count", "flag", "note")
    expected = [(key, str(n), "1.10", None, None, None) for n, key in enumerate(ODD_KEYS)]
    more = "landing/events/more.jsonl"
    expected += [(more, "100", "1E+2", None, None, "caf\u00e9"), (more, "101", "1.10", None, "true", None)]
    assert kept == sorted(expected)


def test_a_malformed_line_is_quarantined_as_it_stands_and_the_corrected_file_goes_through(landing):
    landing.release(document_of())
    key = "landing/events/1.jsonl"
    bad = landing.put(key, row() + b"\n" + MALFORMED["key-twice"] + b"\n" + MALFORMED["latin-1"] + b"\n")
    receipt = landing.ingest("events", bad)
    assert (receipt["error"], receipt["dataset"]) == ("ContractViolationError", "events_bronze")
    assert (receipt["column"], receipt["rule"]) == ("*", "layout")
    assert f"{key}: line 2: 2 of 3 rows break it (expected one flat object of strict JSON)" in receipt["cause"]
    assert landing.version("bronze/events") is None
    lines = sorted([MALFORMED["key-twice"].decode(), MALFORMED["latin-1"].decode(errors="replace")])
    assert landing.rows("quarantine/events", "rule", "row") == [("layout", line) for line in lines]
    receipt = landing.ingest("events", landing.put(key, row() + b"\n" + row(id='"8"') + b"\n"), attempt=2)
    assert receipt["rows"] == {"received": 2, "accepted": 2, "quarantined": 0}


@pytest.mark.parametrize(
    ("line", "column", "rule"),
    [
        pytest.param(row(extra="1"), "*", "additionalProperties", id="a-column-more"),
        pytest.param(b'{"id":"7","amount":1}', "day", "required", id="a-column-less"),
        pytest.param(row(amount='"1.10"'), "amount", "type", id="another-type"),
        pytest.param(row(day='"30.07.2026"'), "day", "format", id="another-layout"),
    ],
)
def test_drift_upstream_names_the_field_and_loses_no_row(landing, line, column, rule):
    landing.release(document_of(tolerance=0.5))
    file = landing.put("landing/events/1.jsonl", b"\n".join([row(), row(id='"8"'), line]) + b"\n")
    receipt = landing.ingest("events", file)
    assert receipt["rows"] == {"received": 3, "accepted": 2, "quarantined": 1}
    assert landing.rows("quarantine/events", "column", "rule", "row") == [(column, rule, line.decode())]
    landing.release(document_of())
    receipt = landing.ingest("events", landing.put("landing/events/2.jsonl", row() + b"\n" + line), attempt=2)
    assert (receipt["error"], receipt["column"], receipt["rule"]) == ("ContractViolationError", column, rule)
    assert "landing/events/2.jsonl: line 2: 1 of 2 rows break it" in receipt["cause"]


def test_an_optional_column_may_be_left_out_of_a_csv_file(landing):
    landing.release(csv_document())
    whole = landing.put("landing/rates/1.csv", b"day;rate;note\n2026-07-30;1.10;x\n")
    part = landing.put("landing/rates/2.csv", b"rate;day\nN/A;2026-07-29\n")
    assert landing.ingest("rates", whole, part)["rows"]["accepted"] == 2
    kept = landing.rows("bronze/rates", "day", "rate", "note")
    assert kept == [("2026-07-29", "N/A", None), ("2026-07-30", "1.10", "x")]
    broken = landing.put("landing/rates/3.csv", b"rate;day\n1;2026-07-31\nx;2026-07-31\n")
    assert "3.csv: line 3: 1 of 2 rows break it" in landing.ingest("rates", broken, attempt=2)["cause"]


def test_a_header_of_2000_columns_is_refused_by_the_first_that_is_too_many(landing):
    landing.release(csv_document())
    names = [f"c{n}" for n in range(2000)]
    file = landing.put("landing/rates/1.csv", (";".join(["day", "rate", *names]) + "\n").encode())
    receipt = landing.ingest("rates", file)
    assert (receipt["error"], receipt["column"]) == ("ContractViolationError", "c0")
    assert receipt["rule"] == "additionalProperties"
    assert len(receipt["cause"]) < 400


def test_a_header_alone_is_nothing_new_at_the_weekend_and_a_fault_on_a_working_day(landing):
    source = document_of(name="rates", pattern="^[^.]+[.]csv$")["x-assay"]["source"]
    expected = {"weekdays": ["thursday", "friday"], "holidays": [], "file": "r-%Y-%m-%d.csv"}
    landing.release(csv_document(source=source | {"expected": expected}))
    header = b"day;rate;note\n"
    receipt = landing.ingest("rates", landing.put("landing/rates/r-2026-08-01.csv", header), day=SATURDAY)
    assert (receipt["status"], receipt["rows"]["received"]) == ("SUCCEEDED", 0)
    receipt = landing.ingest("rates", landing.put("landing/rates/r-2026-07-30.csv", header), day=SATURDAY, attempt=2)
    assert (receipt["error"], receipt["rule"]) == ("ContractViolationError", "minimum_rows")


@pytest.mark.parametrize(
    "name",
    ["../../gold/x.jsonl", "a/../b.jsonl", "a//b.jsonl", "./a.jsonl", "_a.jsonl", ".a.jsonl", "a:b.jsonl", "a\nb.jsonl",
     "a\u2028b.jsonl", "x" * 1010 + ".jsonl", "a.jsonl.tmp", "b/_temporary/a.jsonl"],
)  # fmt: skip
def test_a_key_that_spark_would_read_otherwise_or_not_at_all_is_refused(landing, name):
    landing.release(document_of(pattern="^(?:[^.]*[.]){1,9}jsonl$"))
    file = {"key": f"landing/events/{name}", "etag": None, "size": 1, "modified_at": "2026-07-30T16:00:00Z"}
    receipt = landing.ingest("events", file)
    assert receipt["error"] == "InvalidRequestError"
    assert "not a file of events; expected" in receipt["cause"]
    assert "\n" not in receipt["cause"]


def test_a_contract_that_two_readers_could_read_in_two_ways_is_refused(landing):
    landing.release(document_of())
    assert [each for each in releases.problems({}) if "events" in each] == []
    optional = document_of()
    optional["properties"] = optional["properties"] | {"count": {"type": "integer"}}
    with pytest.raises(contracts.ContractError, match="column count may be left out of a file, so it must allow null"):
        landing.release(optional)
    source = document_of()["x-assay"]["source"]
    expected = {"weekdays": ["friday"], "holidays": [], "file": "%Y-%m-%d.csv"}
    with pytest.raises(contracts.ContractError, match=r"%Y-%m-%d\.csv does not match source\.pattern"):
        landing.release(document_of(source=source | {"expected": expected}))
    for pattern, words in (("^.*[.]jsonl$", "can match what follows"), (".+", r"begin the pattern with \^")):
        with pytest.raises(contracts.ContractError, match=rf"source\.pattern .*{words}"):
            landing.release(document_of(pattern=pattern))
    with pytest.raises(contracts.ContractError, match=r"parse\.delimiter '\"' quotes a cell or ends a line"):
        landing.release(csv_document(parse=csv_document()["x-assay"]["parse"] | {"delimiter": '"'}))
    parse = document_of()["x-assay"]["parse"] | {"delimiter": ","}
    with pytest.raises(contracts.ContractError, match=r"parse: 'delimiter' is not one of \['layout', "):
        landing.release(document_of(parse=parse))


def packed(content, name):
    """The content as a vendor packs it who gives the file this name."""
    if name.endswith(".gz"):
        return gzip.compress(content)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv" if ".csv" in name or name.endswith(".zip") else "data.jsonl", content)
    return target.getvalue()


RATES = "\n".join(["day;rate;note", *(f'2026-07-{n:02};1.{n};"a;{n}"' for n in range(1, 31)), ""]).encode()


@pytest.mark.parametrize("name", ["rates.csv.gz", "rates.zip", "rates.csv.zip"])
def test_a_packed_csv_of_another_vendor_by_its_contract_alone_is_kept_as_the_plain_one(landing, name):
    landing.release(csv_document())
    plain = landing.ingest("rates", landing.put("landing/rates/plain.csv", RATES))
    assert plain["status"] == "SUCCEEDED", plain
    key = f"landing/rates/{name}"
    receipt = landing.ingest("rates", landing.put(key, packed(RATES, name)))
    assert receipt["rows"] == plain["rows"] == {"received": 30, "accepted": 30, "quarantined": 0}
    kept = landing.rows("bronze/rates", "day", "rate", "note", "_file")
    assert [each[:3] for each in kept if each[3] == key] == [each[:3] for each in kept if each[3] != key]
    assert kept[0][:3] == ("2026-07-01", "1.1", "a;1")


def test_a_packed_file_s_violation_names_the_line_in_the_file_it_holds(landing):
    landing.release(csv_document())
    key = "landing/rates/rates.csv.gz"
    lines = RATES.splitlines()
    lines[20] = b"2026-07-20;twenty;x"
    receipt = landing.ingest("rates", landing.put(key, packed(b"\xef\xbb\xbf" + b"\r\n".join(lines), key)))
    assert (receipt["error"], receipt["column"], receipt["rule"]) == ("ContractViolationError", "rate", "type")
    assert f"{key}: line 21: 1 of 30 rows break it" in receipt["cause"]
    receipt = landing.ingest("rates", landing.put(key, packed(RATES, key)), attempt=2)
    assert receipt["rows"] == {"received": 30, "accepted": 30, "quarantined": 0}


def test_packed_json_lines_keep_every_byte(landing):
    landing.release(document_of(pattern="^[^.]+[.]jsonl([.]gz)?$"))
    key = "landing/events/1.jsonl.gz"
    content = b"\xef\xbb\xbf" + row(amount="1E+2") + b"\r\n\n" + MALFORMED["latin-1"] + b"\n"
    receipt = landing.ingest("events", landing.put(key, packed(content, key)))
    assert (receipt["error"], receipt["rule"]) == ("ContractViolationError", "layout")
    assert f"{key}: line 3: 1 of 2 rows break it" in receipt["cause"]
    assert landing.rows("quarantine/events", "row") == [(MALFORMED["latin-1"].decode(errors="replace"),)]


def test_a_bomb_is_refused_by_the_job_too(landing):
    landing.release(csv_document())
    key = "landing/rates/bomb.csv.gz"
    receipt = landing.ingest("rates", landing.put(key, gzip.compress(b"day;rate;note\n" * (5 * 1024**2))))
    assert (receipt["error"], receipt["column"], receipt["rule"]) == ("ContractViolationError", "*", "packing")
    assert f"{key}: unpacks to more than 64 MiB" in receipt["cause"]
    assert landing.version("bronze/rates") is None
