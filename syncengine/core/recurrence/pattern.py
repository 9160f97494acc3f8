"""A server's patterns as arithmetic: every n days or every n months, anchored on the series' start (REC-1).

So is every rule that equals one, however it is spelled: `WEEKLY;BYDAY=MO`, `DAILY;INTERVAL=7` and `MONTHLY;BYDAY=MO`
from a Monday are all "every 7 days". Both are reduced to such a `Period` and compared, which costs no more than
reading the rule. A month without the start's day has no occurrence (RFC 5545 3.3.10).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from syncengine.core.recurrence.rule import Rule
from syncengine.core.recurrence.wall import instant
from syncengine.model.mapping import Pattern
from syncengine.times import Moment


class Period(NamedTuple):
    """Every `length` days or months; `unit` is `day` or `month`."""

    unit: str
    length: int

    def days(self, first: date, last: date) -> Iterator[date]:
        """The days of a series that starts on `first`, up to `last`."""
        if self.unit == "day":
            yield from map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1, self.length))
            return
        for index in range(_month(first), _month(last) + 1, self.length):
            year, month = divmod(index, 12)
            if first.day <= 28 or first.day <= monthrange(year, month + 1)[1]:
                day = date(year, month + 1, first.day)
                if day > last:
                    return
                yield day

    def how_many(self, first: date, last: date) -> int:
        """How many days `days` gives."""
        if self.unit == "day":
            return max(0, (last.toordinal() - first.toordinal()) // self.length + 1)
        return sum(1 for _ in self.days(first, last))

    def meets(self, first: date, day: date) -> bool:
        """Whether a series that starts on `first` has an occurrence on `day`."""
        if day < first:
            return False
        if self.unit == "day":
            return (day.toordinal() - first.toordinal()) % self.length == 0
        return day.day == first.day and (_month(day) - _month(first)) % self.length == 0

    def last(self, first: date, count: int) -> date | None:
        """Day of the count-th occurrence; None when it lies beyond the calendar (year 9999), which is no end."""
        try:
            if self.unit == "day":
                return first + timedelta(days=self.length * (count - 1))
            if first.day <= 28:
                year, month = divmod(_month(first) + self.length * (count - 1), 12)
                return date(year, month + 1, first.day)
        except (OverflowError, ValueError):
            return None
        return next((day for n, day in enumerate(self.days(first, date.max), start=1) if n == count), None)


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


_PERIODS = {"day": Period("day", 1), "week": Period("day", 7), "month": Period("month", 1), "year": Period("month", 12)}
_FREQUENCIES = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}
_FREQ_OF = {unit: freq for freq, unit in _FREQUENCIES.items()}
_ALL_MONTHS, _ALL_MONTH_DAYS, _ALL_WEEKDAYS = frozenset(range(1, 13)), frozenset(range(1, 32)), frozenset(range(7))
_DAYS_OF_A_MONTH = 365.2425 / 12


def period_of(pattern: Pattern) -> Period:
    unit, length = _PERIODS[pattern.unit]
    return Period(unit, length * pattern.interval)


def by_length(patterns: tuple[Pattern, ...]) -> list[Pattern]:
    """The patterns, the longest interval first."""

    def days(pattern: Pattern) -> float:
        unit, length = period_of(pattern)
        return length * (_DAYS_OF_A_MONTH if unit == "month" else 1)

    return sorted(patterns, key=days, reverse=True)


def named(name: str, patterns: tuple[Pattern, ...]) -> Pattern | None:
    return next((p for p in patterns if p.name.casefold() == name.casefold()), None)


def to_rrule(pattern: Pattern, expires: date | None, start: Moment) -> str:
    """The rule of a server's series (REC-6).

    UNTIL has the form RFC 5545 asks for: a date for all-day, local time for floating, else UTC. It is the end of the
    last day in the start's zone, whatever the time of the start, so that moving the start does not lose the end."""
    rule = f"FREQ={_FREQ_OF[pattern.unit]}" + (f";INTERVAL={pattern.interval}" if pattern.interval > 1 else "")
    return rule if expires is None else f"{rule};UNTIL={until_text(expires, start)}"


def until_text(expires: date, start: Moment) -> str:
    if not isinstance(start, datetime):
        return expires.strftime("%Y%m%d")
    end = datetime.combine(expires, time(23, 59, 59), start.tzinfo)
    in_utc = instant(end)
    return in_utc.strftime("%Y%m%dT%H%M%SZ") if end.tzinfo else end.strftime("%Y%m%dT%H%M%S")


def period(rule: Rule, start: Moment) -> Period | None:
    """The period an endless rule equals from this start, None when it is no plain period."""
    if rule.freq not in _FREQUENCIES or not _plain(rule) or not _at_start_time(rule, start):
        return None
    once = _filtered(rule, start.date() if isinstance(start, datetime) else start)
    if rule.interval == 1 or once is None:
        return once
    own = _PERIODS[_FREQUENCIES[rule.freq]]
    return Period(own.unit, own.length * rule.interval) if once == own else None


def _plain(rule: Rule) -> bool:
    special = rule.by_set_pos or rule.by_year_day or rule.by_week_no or any(ordinal for ordinal, _ in rule.by_day)
    monthly_in_week = rule.freq == "WEEKLY" and rule.by_month_day  # not allowed by RFC 5545 3.3.10
    both_kinds = rule.freq == "YEARLY" and rule.by_month_day and rule.by_day  # of which months is for the expander
    return not special and not monthly_in_week and not both_kinds


def _at_start_time(rule: Rule, start: Moment) -> bool:
    if not isinstance(start, datetime):
        return True  # BYHOUR, BYMINUTE and BYSECOND say nothing about dates
    own = ((rule.by_hour, start.hour), (rule.by_minute, start.minute), (rule.by_second, start.second))
    return all(set(said) <= {value} for said, value in own)


def _filtered(rule: Rule, first: date) -> Period | None:
    """What the rule means with INTERVAL=1: then it is a filter on days (RFC 5545's table of BY parts)."""
    months = frozenset(rule.by_month) or _ALL_MONTHS
    month_days = frozenset(rule.by_month_day) or _ALL_MONTH_DAYS
    weekdays = frozenset(day for _, day in rule.by_day) or _ALL_WEEKDAYS
    if not rule.by_day and not rule.by_month_day:  # what is not said is taken from the start
        weekdays = frozenset({first.weekday()}) if rule.freq == "WEEKLY" else weekdays
        month_days = frozenset({first.day}) if rule.freq in ("MONTHLY", "YEARLY") else month_days
    if rule.freq == "YEARLY" and not rule.by_day:
        months = frozenset(rule.by_month or {first.month})
    if weekdays == _ALL_WEEKDAYS and month_days == {first.day}:
        return _every_months(months, first.month)
    if months != _ALL_MONTHS or month_days != _ALL_MONTH_DAYS:
        return None
    return (
        Period("day", 1) if weekdays == _ALL_WEEKDAYS else Period("day", 7) if weekdays == {first.weekday()} else None
    )


def _every_months(months: frozenset[int], first: int) -> Period | None:
    lengths = (n for n in (1, 2, 3, 4, 6, 12) if months == {m for m in _ALL_MONTHS if (m - first) % n == 0})
    return next((Period("month", n) for n in lengths), None)
