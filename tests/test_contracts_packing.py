"""Files that come packed: what they hold, and every way in which they cannot be taken."""

import gzip
import io
import zipfile
from datetime import date

import pytest

from contracts import contract as contracts
from contracts import landing, packing
from contracts.errors import ContractViolationError

FX = contracts.load("fx_rates_bronze")
TEXT = b"Date,USD,\n2026-07-31,1.1,\n"
KEY = "landing/fx/eurofxref-2026-07-31"
MIB = 1024**2


def zipped(*entries, method=zipfile.ZIP_DEFLATED):
    """A zip archive of names and contents."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return target.getvalue()


def encrypted():
    """An archive whose file says that it is encrypted, in both of the places that say so."""
    data = bytearray(zipped(("a.csv", TEXT)))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        pytest.param(".csv.gz", gzip.compress(TEXT), id="gzip"),
        pytest.param(".csv.gz", gzip.compress(TEXT[:12]) + gzip.compress(TEXT[12:]), id="gzip-of-two-members"),
        pytest.param(".zip", zipped(("eurofxref-hist.csv", TEXT)), id="zip"),
        pytest.param(".csv.zip", zipped(("A.CSV", TEXT), method=zipfile.ZIP_STORED), id="zip-stored"),
    ],
)
def test_a_packed_file_is_the_file_that_it_holds(ending, data):
    assert packing.is_packed(KEY + ending)
    assert landing.takes(FX, KEY + ending)
    assert packing.unpacked(FX, KEY + ending, data) == TEXT


@pytest.mark.parametrize(
    ("ending", "data", "words"),
    [
        pytest.param(".csv.gz", TEXT, "not a whole gzip file", id="not-gzip"),
        pytest.param(".csv.gz", gzip.compress(TEXT)[:-9], "not a whole gzip file", id="gzip-cut-short"),
        pytest.param(".csv.gz", gzip.compress(TEXT)[:-8] + bytes(8), "not a whole gzip file", id="gzip-check-sum"),
        pytest.param(".csv.gz", gzip.compress(bytes(64 * MIB + 1)), "unpacks to more than 64 MiB", id="gzip-bomb"),
        pytest.param(".zip", TEXT, "not a whole zip archive", id="not-zip"),
        pytest.param(".zip", zipped(("a.csv", TEXT))[:-5], "not a whole zip archive", id="zip-cut-short"),
        pytest.param(
            ".zip", zipped(("a.csv", TEXT), method=zipfile.ZIP_STORED).replace(b"1.1", b"9.9"), "not a whole", id="crc"
        ),
        pytest.param(".zip", zipped(("a.csv", bytes(64 * MIB + 1))), "unpacks to more than 64 MiB", id="zip-bomb"),
        pytest.param(".zip", zipped(), "holds 0 entries; expected one file, .csv", id="zip-of-nothing"),
        pytest.param(".zip", zipped(("a.csv", TEXT), ("b.csv", TEXT)), "holds 2 entries", id="zip-of-two"),
        pytest.param(".zip", zipped(("x/", b""), ("x/a.csv", TEXT)), "holds 2 entries", id="zip-with-a-folder"),
        pytest.param(".zip", zipped(("a.zip", zipped(("a.csv", TEXT)))), "expected one file, .csv", id="zip-in-zip"),
        pytest.param(".zip", encrypted(), "encrypted", id="zip-encrypted"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_rule_and_file(ending, data, words):
    with pytest.raises(ContractViolationError, match=words) as refused:
        packing.unpacked(FX, KEY + ending, data)
    assert (refused.value.column, refused.value.rule) == ("*", "packing")
    assert f"{KEY}{ending}: " in refused.value.detail
    assert "then redrive" in refused.value.detail


def test_a_file_too_large_to_be_unpacked_in_memory_is_refused_by_its_size():
    packing.check_size(FX, "x.gz", 64 * MIB)
    with pytest.raises(ContractViolationError, match="67108865 bytes, packed; at most 64 MiB"):
        packing.check_size(FX, "x.gz", 64 * MIB + 1)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        pytest.param("eurofxref-2026-07-31.csv", date(2026, 7, 31), id="plain"),
        pytest.param("eurofxref-2026-07-31.csv.gz", date(2026, 7, 31), id="gzip"),
        pytest.param("eurofxref-2026-07-31.zip", date(2026, 7, 31), id="zip"),
        pytest.param("eurofxref-2026-07-31.csv.zip", date(2026, 7, 31), id="csv-zip"),
        pytest.param("eurofxref-2026-07-31.gz", None, id="gzip-of-what"),
        pytest.param("eurofxref-hist.zip", None, id="history"),
    ],
)
def test_a_packed_file_is_that_of_the_day_in_its_name(name, day):
    assert FX.expected_days.day_of(name) == day


def test_a_plain_name_with_another_ending_is_not_taken():
    for name in ("eurofxref-2026-07-31.gz", "eurofxref-2026-07-31.csv.bz2", "eurofxref-2026-07-31.zip.csv.gz"):
        assert not landing.takes(FX, f"landing/fx/{name}")
