"""Which days must bring a file: an absent file at a weekend is no fault, one on a working day is.

Source: the contract's `source.expected`; for the ECB's days, https://www.ecb.europa.eu/ecb/contacts/working-hours
(TARGET closing days).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOVABLE = {"good_friday": -2, "easter_monday": 1}  # days after Easter Sunday


@dataclass(frozen=True, kw_only=True)
class ExpectedDays:
    """The days whose file must have arrived before their run.

    Attributes:
        weekdays: their English names, in lower case.
        holidays: exceptions: MM-DD of every year, YYYY-MM-DD, good_friday, easter_monday.
        file: the name, after the prefix, of a day's file, with %Y, %m and %d.
    """

    weekdays: tuple[str, ...]
    holidays: tuple[str, ...]
    file: str

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """The days that a contract's `source.expected` means."""
        return cls(weekdays=tuple(said["weekdays"]), holidays=tuple(said["holidays"]), file=said["file"])

    def __contains__(self, day: date) -> bool:
        if WEEKDAYS[day.weekday()] not in self.weekdays:
            return False
        if {day.isoformat(), f"{day:%m-%d}"} & set(self.holidays):
            return False
        movable = {easter(day.year) + timedelta(days=MOVABLE[each]) for each in self.holidays if each in MOVABLE}
        return day not in movable

    def name_of(self, day: date) -> str:
        """The name of the day's file, after the prefix."""
        return self.file.replace("%Y", f"{day.year:04}").replace("%m", f"{day:%m}").replace("%d", f"{day:%d}")

    def day_of(self, name: str) -> date | None:
        """The day that a file's name states, after the prefix, packed or not; None when it states none."""
        plain = name.removesuffix(".gz")
        if name.endswith(".zip"):  # with the file's own ending or instead of it
            ending = self.file[self.file.rfind(".") :] if "." in self.file else ""
            plain = name.removesuffix(".zip").removesuffix(ending) + ending
        pattern = re.escape(self.file)
        for code, digits in (("%Y", 4), ("%m", 2), ("%d", 2)):
            pattern = pattern.replace(re.escape(code), f"(?P<{code[1]}>[0-9]{{{digits}}})")
        found = re.fullmatch(pattern, plain)
        try:
            return date(int(found["Y"]), int(found["m"]), int(found["d"])) if found else None
        except ValueError:
            return None

    def asked_for(self, first: date, last: date) -> date | None:
        """The last of some days that must bring a file; None when none of them must."""
        days = (last - timedelta(days=back) for back in range((last - first).days + 1))
        return next((each for each in days if each in self), None)

    def without_file(self, first: date, last: date, own: Iterable[str], others: Sequence[str]) -> date | None:
        """The day that should have brought a file to a run and did not; None when nothing is missing.

        A vendor's file also covers days before its own that brought none, so only the last day in question is asked
        for. It has its file when one that came is named for it or for a later day of the run, when the run took one
        whose name states no day (a history), or when every file that other runs took is for a later day: then it lies
        in the history that came before the first.

        Args:
            first: the first day of the run.
            last: its data date.
            own: names, after the prefix, of the files that the run took.
            others: names of those that other runs took.
        """
        day = self.asked_for(first, last)
        if day is None:
            return None
        own_days, other_days = [self.day_of(name) for name in own], [self.day_of(name) for name in others]
        if None in own_days or any(each and day <= each <= last for each in (*own_days, *other_days)):
            return None
        known = [each for each in other_days if each]
        return None if known and day < min(known) else day


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar.

    Source: Meeus, Astronomical Algorithms, chapter 8 (1991).
    """
    century, of_century = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
