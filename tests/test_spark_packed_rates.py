"""Packed vendor files through a whole day: late, duplicated and corrected ones end as plain ones do."""

import gzip
import io
import zipfile
from datetime import UTC, datetime

import pytest
from spark_day import DAY_1, DAY_2, GOLD_1, RATES_2, World, first_day, gold_row
from spark_session import quiet, spark  # noqa: F401

pytestmark = [quiet, pytest.mark.slow]  # whole days, of rows that test_spark_arrived_files.py reads too


def packed(world, file, ending):
    """A delivered file, packed in its place; returns how a request names it."""
    content, key = world.store.get(file["key"]), file["key"].removesuffix(".csv") + ending
    if ending == ".zip":
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("eurofxref.csv", content)
        data = target.getvalue()
    else:
        data = gzip.compress(content)
    (world.folder / file["key"]).unlink()
    world.store.put(key, data)
    return {**file, "key": key, "size": len(data)}


def test_late_duplicated_and_corrected_packed_files_give_the_gold_of_the_newest(spark, tmp_path, monkeypatch):  # noqa: F811
    world: World = first_day(spark, tmp_path / "lake", monkeypatch)
    evening, morning = datetime(2026, 7, 29, 16, tzinfo=UTC), datetime(2026, 7, 30, 7, tzinfo=UTC)
    # the day's rates as gzip, the same again as a zip, and the day before's rate put right, late
    first = packed(world, world.deliver(DAY_2, RATES_2, received=evening), ".csv.gz")
    again = packed(world, world.deliver(DAY_2, RATES_2, received=evening), ".zip")
    late = world.deliver(DAY_1, [{"Date": "2026-07-28", "USD": "1.25", "GBP": "0.8"}], received=morning)
    keys, verdicts = world.until_publish(DAY_2, [first, again, packed(world, late, ".zip")])
    assert verdicts[1:] == ["PASS", "PASS"]
    assert world.job(DAY_2, "publish_gold", receipts=keys)["published"] is True
    assert len(world.rows("bronze/fx_rates", "_file")) == 5
    assert len(world.rows("silver/fx_rates", "rate_date", "currency")) == 5
    assert world.gold() == [
        *GOLD_1[:2],
        gold_row(28, "USD", 1, "1.25", 28, "88.00"),
        gold_row(29, "GBP", 1, "0.8", 28, "10.00"),
        gold_row(29, "USD", 1, "1.2", 29, "100.00"),
    ]
