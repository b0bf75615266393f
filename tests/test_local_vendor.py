import datetime

import pytest

from local.standins import vendor

LINES = ["Date,USD,", "2026-07-31,1.15,", "2026-07-30,1.14,", "2026-07-24,1.13,", "1999-01-04,1.18,"]
FRIDAY, SATURDAY = datetime.date(2026, 7, 31), datetime.date(2026, 8, 1)


@pytest.mark.parametrize(
    ("day", "delivered", "expected"),
    [
        pytest.param(
            FRIDAY,
            [],
            ("landing/fx/eurofxref-2026-07-31.csv", "\n".join(LINES) + "\n"),
            id="the first file holds all history",
        ),
        pytest.param(
            FRIDAY,
            ["landing/fx/eurofxref-2026-07-30.csv", "landing/fx/other.csv"],
            ("landing/fx/eurofxref-2026-07-31.csv", "Date,USD,\n2026-07-31,1.15,\n"),
            id="a later file holds the days since",
        ),
        pytest.param(
            FRIDAY,
            ["landing/fx/eurofxref-2026-07-24.csv"],
            ("landing/fx/eurofxref-2026-07-31.csv", "Date,USD,\n2026-07-31,1.15,\n2026-07-30,1.14,\n"),
            id="days that were left out are made up for",
        ),
        pytest.param(FRIDAY, ["landing/fx/eurofxref-2026-07-31.csv.gz"], None, id="gzip lies there"),
        pytest.param(FRIDAY, ["landing/fx/eurofxref-2026-07-31.zip"], None, id="a zip lies there"),
        pytest.param(SATURDAY, ["landing/fx/eurofxref-2026-07-31.csv"], None, id="no file at a weekend"),
        pytest.param(FRIDAY, ["landing/fx/eurofxref-2026-07-31.csv"], None, id="what lies there is never replaced"),
    ],
)
def test_the_vendor_delivers_the_days_since_the_file_before(day, delivered, expected):
    assert vendor.file_of(day, delivered, LINES) == expected


def test_the_history_is_the_real_one():
    lines = vendor.history()
    assert len(lines) == 1 + 7126
    assert sum(line.split(",").count("N/A") for line in lines) == 70_464
    assert lines[0].startswith("Date,USD,JPY,")
