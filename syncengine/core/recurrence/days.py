"""Which days a rule's day parts allow, a calendar year at a time (RFC 5545 3.3.10), and the work that may cost.

Days are counted as `date.toordinal` does. What of a year is allowed depends on its first weekday and on which of it
and its neighbours is a leap year, nothing else: 28 kinds of years, each worked out once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from syncengine.core.recurrence.rule import Rule, describe

LAST_DAY = date.max.toordinal()
LAST_YEAR = date.max.year
_LONGEST_WORDS = 200
_YEAR_STEPS = 3
"""What looking at a year costs, beside an occurrence found in it."""
_CYCLE = 400
"""Years after which the calendar repeats itself, weekdays included: what is not found in so many never comes."""


class TooCostly(ValueError):
    """Expanding the rule takes more steps than allowed. The text is for people and names the rule."""


class Meter:
    """Counts steps down. `take` raises TooCostly when more are taken than there were."""

    __slots__ = ("_rule", "_steps", "left")

    def __init__(self, steps: int, rule: Rule) -> None:
        self.left = self._steps = steps
        self._rule = rule

    def take(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            words = describe(self._rule)
            words = words if len(words) <= _LONGEST_WORDS else words[:_LONGEST_WORDS] + "…"
            raise TooCostly(f"a series that repeats {words} takes more than {self._steps} steps to expand")


def new_year(year: int) -> int:
    """The ordinal of 1 January; any whole number is a year, also those `date` does not know."""
    before = year - 1
    return 365 * before + before // 4 - before // 100 + before // 400 + 1


def weekday(ordinal: int) -> int:
    """0 = Monday, as `date.weekday`."""
    return (ordinal + 6) % 7


def month_start(month: int) -> int:
    """The ordinal of a month's first day; months are counted through, 12 to a year: January of year 1 is 12."""
    year, number = divmod(month, 12)
    return new_year(year) + _MONTHS[_is_leap(year)][number][0]


def week_year_start(year: int, week_start: int) -> int:
    """The ordinal of the first day of week 1: the first week with at least four days in the year."""
    first = new_year(year)
    return first + _to_week_one(weekday(first), week_start)


def _to_week_one(first_weekday: int, week_start: int) -> int:
    """Days from 1 January to week 1's first day; negative when that lies in the old year."""
    back = (first_weekday - week_start) % 7
    return -back if back <= 3 else 7 - back


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _months(leap: bool) -> tuple[tuple[int, int], ...]:
    ends = accumulate((31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), initial=0)
    return tuple(pairwise(ends))


_MONTHS = (_months(False), _months(True))
"""First day and day after the last of each month, as days since 1 January, of a common and a leap year."""


class DayParts(NamedTuple):
    """The parts of a rule that choose days. Empty: that part is not there.

    nth: pairs (ordinal, weekday), counted within the month if `nth_of_month`, else within the year. A day must pass
    every part that is there; `weekdays` and `nth` are one part together."""

    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    week_numbers: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    nth: tuple[tuple[int, int], ...] = ()
    nth_of_month: bool = True
    week_start: int = 0

    @property
    def allow_all(self) -> bool:
        return not any(self[:6])

    @property
    def weekdays_only(self) -> bool:
        return bool(self.weekdays) and not any(self[:4]) and not self.nth


class _Kind(NamedTuple):
    """All of a year that its allowed days depend on. leap: the year before, this one, the next."""

    first_weekday: int
    leap: tuple[bool, bool, bool]

    @property
    def length(self) -> int:
        return 365 + self.leap[1]


class Days:
    """The allowed days, as ordinals. Every year that is looked at takes steps from the meter."""

    def __init__(self, parts: DayParts, meter: Meter) -> None:
        self.parts = parts
        self._all = parts.allow_all
        self._meter = meter
        # The year looked at last: its number, its first day, the next year's first day, its allowed days.
        self._number, self._first, self._end = 0, 0, 0
        self._days: list[int] = []

    def of_year(self, year: int) -> list[int]:
        """Sorted."""
        if year != self._number:
            first = new_year(year)
            leap = _is_leap(year)
            kind = _Kind(weekday(first), (_is_leap(year - 1), leap, _is_leap(year + 1)))
            offsets = _allowed(self.parts, kind)
            self._meter.take(_YEAR_STEPS + len(offsets) // 16)
            self._number, self._first, self._end = year, first, first + 365 + leap
            self._days = [first + offset for offset in offsets]
        return self._days

    def next_from(self, ordinal: int) -> int | None:
        """The first allowed day on `ordinal` or later; None when there is none to the end of year 9999."""
        if ordinal > LAST_DAY:
            return None
        if self._all:
            return ordinal
        begin = self._number if self._first <= ordinal < self._end else date.fromordinal(ordinal).year
        for year in range(begin, min(begin + _CYCLE, LAST_YEAR) + 1):
            days = self.of_year(year)
            if days and days[-1] >= ordinal:
                return days[bisect_left(days, ordinal)]
        return None

    def within(self, begin: int, end: int) -> list[int]:
        """Those from `begin` to the day before `end`; both may lie outside what `date` knows."""
        begin, end = max(begin, 1), min(end, LAST_DAY + 1)
        if self._all or begin >= end:
            return list(range(begin, end))
        found: list[int] = []
        while begin < end:
            if not self._first <= begin < self._end:
                self.of_year(date.fromordinal(begin).year)
            days = self._days
            found += days[bisect_left(days, begin) : bisect_left(days, end)]
            begin = self._end
        return found


@lru_cache(maxsize=512)
def _allowed(parts: DayParts, kind: _Kind) -> tuple[int, ...]:
    """The allowed days of a year of this kind, as days since 1 January, sorted."""
    tests = (
        (parts.months and not parts.month_days, _in_months),
        (parts.month_days, _on_month_days),
        (parts.year_days, _on_year_days),
        (parts.week_numbers, _in_weeks),
        (parts.weekdays or parts.nth, _on_weekdays),
    )
    sets = [set(find(parts, kind)) for there, find in tests if there]
    return tuple(sorted(set.intersection(*sets))) if sets else tuple(range(kind.length))


def _chosen_months(parts: DayParts, kind: _Kind) -> list[tuple[int, int]]:
    months = _MONTHS[kind.leap[1]]
    return [months[number - 1] for number in set(parts.months)] if parts.months else list(months)


def _in_months(parts: DayParts, kind: _Kind) -> Iterable[int]:
    return (day for begin, end in _chosen_months(parts, kind) for day in range(begin, end))


def _on_month_days(parts: DayParts, kind: _Kind) -> Iterable[int]:
    for begin, end in _chosen_months(parts, kind):
        yield from _counted(parts.month_days, begin, end)


def _on_year_days(parts: DayParts, kind: _Kind) -> Iterable[int]:
    return _counted(parts.year_days, 0, kind.length)


def _counted(numbers: tuple[int, ...], begin: int, end: int, step: int = 1) -> Iterable[int]:
    """The nth of begin, begin + step, … before `end`; negative n count from the last."""
    candidates = range(begin, end, step)
    size = len(candidates)
    return (candidates[n - 1 if n > 0 else n] for n in numbers if abs(n) <= size)


def _in_weeks(parts: DayParts, kind: _Kind) -> Iterable[int]:
    """The year's first days may lie in the old week year, its last ones in the new: all three are looked at."""
    before, this, after = (365 + leap for leap in kind.leap)
    new_years = (-before, 0, this, this + after)
    starts = [at + _to_week_one((kind.first_weekday + at) % 7, parts.week_start) for at in new_years]
    for begin, end in pairwise(starts):
        for week in _counted(parts.week_numbers, begin, end, 7):
            yield from range(max(week, 0), min(week + 7, kind.length))


def _on_weekdays(parts: DayParts, kind: _Kind) -> Iterable[int]:
    for day in parts.weekdays:
        yield from range((day - kind.first_weekday) % 7, kind.length, 7)
    if parts.nth:
        spans = _chosen_months(parts, kind) if parts.nth_of_month else [(0, kind.length)]
        for begin, end in spans:
            for n, day in parts.nth:
                yield from _counted((n,), begin + (day - kind.first_weekday - begin) % 7, end, 7)
