"""A rule from its DTSTART on, as pairs of a day and a time of day (RFC 5545 3.3.10).

Rules that repeat by days or longer (`ByDay`) choose days and put the same times on each; those that repeat within a
day (`ByClock`) step from period to period on the clock and leap over what their day and time parts exclude.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import product
from math import gcd
from typing import NamedTuple, Protocol

from syncengine.core.recurrence.days import (
    DayParts,
    Days,
    Meter,
    month_start,
    new_year,
    week_year_start,
    weekday,
)
from syncengine.core.recurrence.rule import Rule
from syncengine.times import Moment

Pair = tuple[int, time]
_MIDNIGHT = time()
_PERIOD_STEPS = 4
"""What looking at a period costs, beside an occurrence found in it."""
_MINUTES, _SECONDS = 60, 60
_PER_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}


class Start(NamedTuple):
    """Where a series begins. day: its ordinal; time: midnight when all_day."""

    day: int
    time: time
    all_day: bool

    @classmethod
    def of(cls, dtstart: Moment) -> Start:
        if isinstance(dtstart, datetime):
            return cls(dtstart.toordinal(), dtstart.time().replace(microsecond=0, fold=0), False)
        return cls(dtstart.toordinal(), _MIDNIGHT, True)


class Periods(Protocol):
    """low, high: days, the first and the last that matter; `low` is not before the start's day."""

    def pairs(self, low: int, high: int) -> Iterator[Pair]:
        """Sorted, strictly increasing, none before the start."""

    def count(self, low: int) -> int:
        """How many pairs there are before the day `low`."""


def periods(rule: Rule, dtstart: Moment, meter: Meter) -> Periods:
    """The way to expand a rule. Raises TooCostly when its times of one day alone exceed the meter."""
    start = Start.of(dtstart)
    clock = _clock(rule, start)
    days = Days(_day_parts(rule, dtstart), meter)
    if rule.freq in _PER_DAY:
        return ByClock(rule, start, days, clock, meter)
    return ByDay(rule, start, days, clock, meter)


def _day_parts(rule: Rule, dtstart: date) -> DayParts:
    """What chooses days; what the rule does not say is taken from DTSTART.

    A month day without a month is one of DTSTART's month in a yearly rule, unless other parts reach over the year."""
    months, month_days = rule.by_month, rule.by_month_day
    by_day: tuple[tuple[int, int], ...] = rule.by_day
    said = by_day or rule.by_year_day or month_days
    if rule.by_week_no or rule.freq == "WEEKLY":
        if not said and rule.freq in ("YEARLY", "MONTHLY", "WEEKLY"):
            by_day = ((0, dtstart.weekday()),)
    elif rule.freq == "MONTHLY" and not said:
        month_days = (dtstart.day,)
    elif rule.freq == "YEARLY" and not by_day and not rule.by_year_day:
        months, month_days = months or (dtstart.month,), month_days or (dtstart.day,)
    # Ordinals mean something within a month or a year only; elsewhere the weekday alone counts.
    ordinals = rule.freq in ("YEARLY", "MONTHLY") and not rule.by_week_no
    return DayParts(
        months,
        month_days,
        rule.by_year_day,
        rule.by_week_no,
        weekdays=tuple(sorted({day for n, day in by_day if not (n and ordinals)})),
        nth=tuple((n, day) for n, day in by_day if n and ordinals),
        nth_of_month=rule.freq == "MONTHLY" or bool(rule.by_month),
        week_start=rule.week_start,
    )


class _Clock(NamedTuple):
    """Hours, minutes and seconds, each sorted; None: any."""

    hours: list[int] | None
    minutes: list[int] | None
    seconds: list[int] | None


def _clock(rule: Rule, start: Start) -> _Clock:
    """The time parts. Those longer than the period are limits, shorter ones missing from the rule are DTSTART's."""
    if start.all_day:
        parts: tuple[tuple[int, ...], ...] = ((), (), ())
    else:
        parts = (rule.by_hour, rule.by_minute, rule.by_second)
    own = (start.time.hour, start.time.minute, start.time.second)
    free = (("HOURLY", "MINUTELY", "SECONDLY"), ("MINUTELY", "SECONDLY"), ("SECONDLY",))
    chosen = [
        # A 60th second exists in leap seconds only, which no clock here shows.
        sorted(set(said) - {60}) if said else (None if rule.freq in any_in else [value])
        for said, value, any_in in zip(parts, own, free, strict=True)
    ]
    return _Clock(*chosen)


def _picked(positions: tuple[int, ...], size: int) -> list[int]:
    """Indexes of BYSETPOS in a set of that size, sorted."""
    return sorted({p - 1 if p > 0 else size + p for p in positions if abs(p) <= size})


class ByDay:
    """DAILY to YEARLY."""

    def __init__(self, rule: Rule, start: Start, days: Days, clock: _Clock, meter: Meter) -> None:
        self._rule, self._start, self._days, self._meter = rule, start, days, meter
        parts = [part or [] for part in clock]
        meter.take(len(parts[0]) * len(parts[1]) * len(parts[2]))
        self._times = [time(hour, minute, second) for hour, minute, second in product(*parts)]
        self._cut = bisect_left(self._times, start.time)
        self._first_month = _month(start.day)

    def pairs(self, low: int, high: int) -> Iterator[Pair]:
        if not self._times:
            return
        if self._rule.by_set_pos:
            yield from self._positioned(low, high)
            return
        for group in self._groups(low, high):
            for day in group[bisect_left(group, low) : bisect_right(group, high)]:
                for at in self._times[self._cut :] if day == self._start.day else self._times:
                    yield day, at

    def count(self, low: int) -> int:
        start = self._start.day
        if self._rule.by_set_pos or not self._times:
            return sum(1 for _ in self.pairs(start, low - 1))
        total = 0
        for group in self._groups(start, low - 1):
            first = bisect_left(group, start)
            total += (bisect_left(group, low) - first) * len(self._times)
            if first < len(group) and group[first] == start:
                total -= self._cut
        return total

    def _positioned(self, low: int, high: int) -> Iterator[Pair]:
        """BYSETPOS counts in the whole period, also before DTSTART. The set is indexed, never built."""
        positions, times = self._rule.by_set_pos, self._times
        begin = (self._start.day, self._start.time)
        for group in self._groups(low, high):
            self._meter.take(len(positions) // 4)
            for index in _picked(positions, len(group) * len(times)):
                pair = group[index // len(times)], times[index % len(times)]
                if low <= pair[0] <= high and pair >= begin:
                    yield pair

    def _groups(self, low: int, high: int) -> Iterator[Sequence[int]]:
        """The allowed days of each period that is due and reaches into low … high, in order; may reach over both."""
        rule, parts = self._rule, self._days.parts
        if not rule.by_set_pos:
            if rule.freq == "DAILY" and parts.allow_all:
                yield range(self._due_day(low)[0], high + 1, rule.interval)
                return
            if rule.freq == "WEEKLY" and parts.weekdays_only:
                yield from self._weeks(low, high)
                return
            if rule.interval == 1:  # then it does not matter where a period ends
                yield from self._each_year(low, high)
                return
        yield from self._each_period(low, high)

    def _weeks(self, low: int, high: int) -> Iterator[Sequence[int]]:
        week, _ = self._due_week(low)
        offsets = sorted((day - self._rule.week_start) % 7 for day in self._days.parts.weekdays)
        step = 7 * self._rule.interval
        if len(offsets) == 1:
            yield range(week + offsets[0], high + 1, step)
            return
        for begin in range(week, high + 1, step):
            self._meter.take()
            yield [begin + offset for offset in offsets]

    def _each_year(self, low: int, high: int) -> Iterator[Sequence[int]]:
        at = low
        while (day := self._days.next_from(at)) is not None and day <= high:
            year = date.fromordinal(day).year
            yield self._days.of_year(year)
            at = new_year(year + 1)

    def _each_period(self, low: int, high: int) -> Iterator[Sequence[int]]:
        by_weeks = self._rule.freq == "YEARLY" and self._rule.by_week_no
        due = _DUE["week years" if by_weeks else self._rule.freq]
        at = low
        while at <= high:
            self._meter.take(_PERIOD_STEPS)
            day = self._days.next_from(at)
            if day is None or day > high:
                return
            begin, at = due(self, day)
            if group := self._days.within(begin, at):
                yield group

    # Each of these finds the first period due that ends after `day`: its first day, and the day after its last.

    def _up(self, periods_on: int) -> int:
        return -(-periods_on // self._rule.interval) * self._rule.interval

    def _due_day(self, day: int) -> tuple[int, int]:
        begin = self._start.day + self._up(day - self._start.day)
        return begin, begin + 1

    def _due_week(self, day: int) -> tuple[int, int]:
        first = self._start.day - (weekday(self._start.day) - self._rule.week_start) % 7
        begin = first + 7 * self._up((day - first) // 7)
        return begin, begin + 7

    def _due_month(self, day: int) -> tuple[int, int]:
        month = self._first_month + self._up(_month(day) - self._first_month)
        return month_start(month), month_start(month + 1)

    def _due_year(self, day: int) -> tuple[int, int]:
        first = date.fromordinal(self._start.day).year
        year = first + self._up(date.fromordinal(day).year - first)
        return new_year(year), new_year(year + 1)

    def _due_week_year(self, day: int) -> tuple[int, int]:
        """A rule with week numbers repeats by week years: week 1 may begin in December."""
        wkst = self._rule.week_start
        first = _week_year(self._start.day, wkst)
        year = first + self._up(_week_year(day, wkst) - first)
        return week_year_start(year, wkst), week_year_start(year + 1, wkst)


_DUE: dict[str, Callable[[ByDay, int], tuple[int, int]]] = {
    "DAILY": ByDay._due_day,
    "WEEKLY": ByDay._due_week,
    "MONTHLY": ByDay._due_month,
    "YEARLY": ByDay._due_year,
    "week years": ByDay._due_week_year,
}


def _month(day: int) -> int:
    """Months counted through, as `month_start` takes them."""
    at = date.fromordinal(day)
    return at.year * 12 + at.month - 1


def _week_year(day: int, week_start: int) -> int:
    year = date.fromordinal(day).year
    if day < week_year_start(year, week_start):
        return year - 1
    return year + 1 if day >= week_year_start(year + 1, week_start) else year


class ByClock:
    """HOURLY, MINUTELY, SECONDLY. Periods are counted through from ordinal 0, so a day holds `_per_day` of them."""

    def __init__(self, rule: Rule, start: Start, days: Days, clock: _Clock, meter: Meter) -> None:
        self._start, self._days, self._meter = start, days, meter
        self._step = rule.interval
        self._per_day = _PER_DAY[rule.freq]
        self._seconds = 24 * 60 * 60 // self._per_day
        at = start.time
        seconds = at.hour * 3600 + at.minute * 60 + at.second
        self._first = start.day * self._per_day + seconds // self._seconds
        self._levels = [level for level in self._tables(clock) if level]
        within = [
            minute * 60 + second
            for minute, second in product(
                (clock.minutes or ()) if rule.freq == "HOURLY" else (0,),
                (clock.seconds or ()) if rule.freq != "SECONDLY" else (0,),
            )
        ]
        chosen = _picked(rule.by_set_pos, len(within)) if rule.by_set_pos else range(len(within))
        self._within = [within[index] for index in chosen]

    def _tables(self, clock: _Clock) -> Iterator[tuple[int, int, list[int]] | None]:
        """For each part that limits: periods in one of its units, in the next longer one, and a table that gives the
        next allowed value for each; what INTERVAL never reaches is not allowed."""
        longer = self._per_day
        for values, count in zip(clock, (24, _MINUTES, _SECONDS), strict=True):
            size = longer // count
            if size == 0:
                return
            if values is not None:
                common = gcd(self._step, longer)
                reached = [v for v in values if (self._first - v * size) % common < size]
                index = [bisect_left(reached, v) for v in range(count)]
                yield size, longer, [reached[i] if i < len(reached) else count for i in index]
            longer = size

    def pairs(self, low: int, high: int) -> Iterator[Pair]:
        begin = (self._start.day, self._start.time)
        # A part without any value left excludes everything.
        if not self._within or any(table[0] == longer // size for size, longer, table in self._levels):
            return
        for day, seconds in self._due(low, high):
            for offset in self._within:
                minute, second = divmod(seconds + offset, 60)
                pair = day, time(minute // 60, minute % 60, second)
                if pair >= begin:
                    yield pair

    def count(self, low: int) -> int:
        if self._levels or not self._days.parts.allow_all or self._start.all_day:
            return sum(1 for _ in self.pairs(self._start.day, low - 1))
        at = self._start.time
        early = bisect_left(self._within, (at.hour * 3600 + at.minute * 60 + at.second) % self._seconds)
        due = (self._up(low * self._per_day) - self._first) // self._step
        return due * len(self._within) - early

    def _up(self, period: int) -> int:
        """The first due period not before this one."""
        return self._first - (self._first - period) // self._step * self._step

    def _due(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Day and seconds since midnight at which each due and allowed period begins."""
        period = self._up(max(low * self._per_day, self._first))
        allowed = 0  # the last day found to be allowed
        while True:
            self._meter.take()
            day, rest = divmod(period, self._per_day)
            if day > high:
                return
            if day != allowed:
                found = self._days.next_from(day)
                if found is None:
                    return
                allowed = found
                if found != day:
                    period = self._up(found * self._per_day)
                    continue
            if leap := self._to_allowed(rest):
                period = self._up(period + leap)
                continue
            yield day, rest * self._seconds
            # An all-day series has one occurrence a day at most.
            period = self._up((day + 1) * self._per_day) if self._start.all_day else period + self._step

    def _to_allowed(self, rest: int) -> int:
        """Periods to the next one of the day, or the next day, that the time parts allow; 0 when this one is."""
        for size, longer, table in self._levels:
            value, into = divmod(rest % longer, size)
            if leap := table[value] - value:
                return leap * size - into
        return 0
