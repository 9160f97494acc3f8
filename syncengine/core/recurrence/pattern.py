"""Rules that equal one of the server's patterns, and the way back (REC-1, REC-2, REC-6).

A server pattern is "every n days" or "every n months", anchored on the series' start. So is every rule that equals
one, however it is spelled: `WEEKLY;BYDAY=MO`, `DAILY;INTERVAL=7` and `MONTHLY;BYDAY=MO` from a Monday are all
"every 7 days". Both sides are reduced to such a `Period` and compared; nothing is ever expanded, so no rule, however
hostile, costs more than reading it.

Occurrences of one series fall on different days, so a day names an occurrence.
A month without the start's day has no occurrence (RFC 5545 3.3.10).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import NamedTuple

from syncengine.core.recurrence.rule import Rule, describe, parse_rule
from syncengine.model.mapping import Pattern
from syncengine.times import Moment, iso


@dataclass(frozen=True, slots=True)
class Series:
    """How the server stores a series. `type` names the pattern; `expires` is the last day an occurrence may fall on,
    on the wall clock of the start's zone, None for no end; exceptions: excluded occurrences, dates or UTC instants
    as the start is all-day or timed (local times when it is floating), sorted."""

    type: str
    expires: date | None = None
    exceptions: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class NotTranslated:
    """The series cannot be said in the server's patterns. `reason` is for people."""

    reason: str


class Period(NamedTuple):
    """Every `length` days or months; `unit` is `day` or `month`."""

    unit: str
    length: int


_PERIODS = {"day": Period("day", 1), "week": Period("day", 7), "month": Period("month", 1), "year": Period("month", 12)}
_FREQUENCIES = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}
_FREQ_OF = {unit: freq for freq, unit in _FREQUENCIES.items()}
_ALL_MONTHS, _ALL_MONTH_DAYS, _ALL_WEEKDAYS = frozenset(range(1, 13)), frozenset(range(1, 32)), frozenset(range(7))


def to_pattern(
    rrule: str,
    dtstart: Moment,
    exdates: tuple[Moment, ...],
    rdates: tuple[Moment, ...],
    overrides: int,
    patterns: tuple[Pattern, ...],
) -> Series | NotTranslated | None:
    """The series a rule means to the server; None when only one occurrence is left, so that it is no series.

    dtstart: all-day, floating, or aware in the zone the series was made in (its wall clock decides the days).
    An EXDATE that meets no occurrence excludes nothing and is not passed on."""
    if overrides or rdates:
        changed = f"{overrides} changed occurrence{'s' * (overrides > 1)}" if overrides else "extra dates (RDATE)"
        return NotTranslated(f"not yet translated: a series with {changed}")
    try:
        rule = parse_rule(rrule)
    except ValueError as e:
        return NotTranslated(f"the recurrence rule cannot be read: {e}")
    first = _day(dtstart)
    period = _period(rule, dtstart)
    pattern = next((p for p in patterns if _period_of(p) == period), None)
    if period is None or pattern is None:
        return NotTranslated(f"not yet translated: {describe(rule)}")
    expires = _expires(rule, dtstart, period)
    exceptions = tuple(sorted(_exceptions(dtstart, exdates, period, expires), key=iso))
    if expires and not _second(first, period, expires):
        return NotTranslated("no occurrence is left: the only one is excluded") if exceptions else None
    return Series(pattern.name, expires, exceptions)


def to_rrule(type_name: str, expires: date | None, start: Moment, patterns: tuple[Pattern, ...]) -> str | None:
    """The rule of a server's series, None when the server's pattern is unknown.

    UNTIL has the form RFC 5545 asks for: a date for all-day, local time for floating, else UTC. It is the end of the
    last day in the start's zone, whatever the time of the start, so that moving the start does not lose the end."""
    pattern = next((p for p in patterns if p.name.casefold() == type_name.casefold()), None)
    if pattern is None:
        return None
    rule = f"FREQ={_FREQ_OF[pattern.unit]}" + (f";INTERVAL={pattern.interval}" if pattern.interval > 1 else "")
    return rule if expires is None else f"{rule};UNTIL={_until_text(expires, start)}"


def excluded(exceptions: tuple[Moment, ...], start: Moment) -> tuple[Moment, ...]:
    """EXDATE values for a series' exceptions: on the day of each, the start's own kind and time of day, sorted.

    Taking only the day lets exceptions follow when the server moves the whole series to another hour."""
    zone = _zone(start)
    days = {_day(e.astimezone(zone) if isinstance(e, datetime) and e.tzinfo and zone else e) for e in exceptions}
    return tuple(_on_day(start, day) for day in sorted(days))


def _aware(value: Moment) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _zone(value: Moment) -> tzinfo | None:
    return value.tzinfo if isinstance(value, datetime) else None


def _day(value: Moment) -> date:
    return value.date() if isinstance(value, datetime) else value


def _on_day(start: Moment, day: date) -> Moment:
    return datetime.combine(day, start.time(), start.tzinfo) if isinstance(start, datetime) else day


def _until_text(expires: date, start: Moment) -> str:
    if not isinstance(start, datetime):
        return expires.strftime("%Y%m%d")
    end = datetime.combine(expires, time(23, 59, 59), start.tzinfo)
    return end.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ") if end.tzinfo else end.strftime("%Y%m%dT%H%M%S")


def _period_of(pattern: Pattern) -> Period:
    unit, length = _PERIODS[pattern.unit]
    return Period(unit, length * pattern.interval)


def _period(rule: Rule, dtstart: Moment) -> Period | None:
    """The period a rule equals from this start, None when it is no plain period."""
    if rule.freq not in _FREQUENCIES or not _plain(rule) or not _at_start_time(rule, dtstart):
        return None
    once = _filtered(rule, _day(dtstart))
    if rule.interval == 1 or once is None:
        return once
    own = _PERIODS[_FREQUENCIES[rule.freq]]
    return Period(own.unit, own.length * rule.interval) if once == own else None


def _plain(rule: Rule) -> bool:
    special = rule.by_set_pos or rule.by_year_day or rule.by_week_no or any(ordinal for ordinal, _ in rule.by_day)
    monthly_in_week = rule.freq == "WEEKLY" and rule.by_month_day  # not allowed by RFC 5545 3.3.10
    return not special and not monthly_in_week


def _at_start_time(rule: Rule, dtstart: Moment) -> bool:
    at = dtstart.time() if isinstance(dtstart, datetime) else time()
    own = ((rule.by_hour, at.hour), (rule.by_minute, at.minute), (rule.by_second, at.second))
    return all(set(said) <= {value} for said, value in own)


def _filtered(rule: Rule, first: date) -> Period | None:
    """What the rule means with INTERVAL=1: then it is a filter on days (RFC 5545's table of BY parts)."""
    months = frozenset(rule.by_month) or _ALL_MONTHS
    month_days = frozenset(rule.by_month_day) or _ALL_MONTH_DAYS
    weekdays = frozenset(day for _, day in rule.by_day) or _ALL_WEEKDAYS
    if not rule.by_day and not rule.by_month_day:  # what is not said is taken from the start
        weekdays = frozenset({first.weekday()}) if rule.freq == "WEEKLY" else weekdays
        month_days = frozenset({first.day}) if rule.freq in ("MONTHLY", "YEARLY") else month_days
        months = frozenset(rule.by_month or {first.month}) if rule.freq == "YEARLY" else months
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


def _expires(rule: Rule, dtstart: Moment, period: Period) -> date | None:
    """The last day an occurrence may fall on. A rule with both COUNT and UNTIL (not allowed) ends at the earlier."""
    ends = [
        _until_day(rule.until, dtstart) if rule.until is not None else None,
        _last(_day(dtstart), period, rule.count) if rule.count is not None else None,
    ]
    return min((end for end in ends if end), default=None)


def _until_day(until: Moment, dtstart: Moment) -> date:
    """The day of UNTIL on the start's wall clock; the day before when UNTIL comes before that day's occurrence.
    A plain date closes a timed series at the end of that day, as programs that write it so mean it."""
    if not isinstance(until, datetime) or not isinstance(dtstart, datetime):
        return _day(until)
    local = until.astimezone(dtstart.tzinfo) if until.tzinfo and dtstart.tzinfo else until
    return local.date() - timedelta(days=1) if local.time() < dtstart.time() else local.date()


def _occurs(first: date, day: date, period: Period) -> bool:
    if day < first:
        return False
    if period.unit == "day":
        return (day - first).days % period.length == 0
    return day.day == first.day and _months_between(first, day) % period.length == 0


def _months_between(first: date, day: date) -> int:
    return (day.year - first.year) * 12 + day.month - first.month


def _last(first: date, period: Period, count: int) -> date | None:
    """Day of the count-th occurrence; None when it lies beyond the calendar (year 9999), which is no end at all."""
    try:
        if period.unit == "day":
            return first + timedelta(days=period.length * (count - 1))
        if first.day <= 28:
            return _month_later(first, period.length * (count - 1))
        return next((day for n, day in enumerate(_in_months(first, period), start=1) if n == count), None)
    except (OverflowError, ValueError):
        return None


def _month_later(first: date, months: int) -> date:
    index = first.year * 12 + first.month - 1 + months
    return date(index // 12, index % 12 + 1, first.day)


def _in_months(first: date, period: Period) -> Iterator[date]:
    for months in range(0, (9999 - first.year) * 12 + 13 - first.month, period.length):
        year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
        if first.day <= monthrange(year, month + 1)[1]:
            yield date(year, month + 1, first.day)


def _second(first: date, period: Period, expires: date) -> bool:
    """Whether there is a second occurrence up to `expires`."""
    if period.unit == "day":
        return (expires - first).days >= period.length
    second = next(islice(_in_months(first, period), 1, None), None)
    return second is not None and second <= expires


def _exceptions(dtstart: Moment, exdates: tuple[Moment, ...], period: Period, expires: date | None) -> Iterator[Moment]:
    for exdate in set(exdates):
        if isinstance(exdate, datetime) != isinstance(dtstart, datetime) or _aware(exdate) != _aware(dtstart):
            continue
        day = _day(exdate.astimezone(_zone(dtstart)) if isinstance(exdate, datetime) and exdate.tzinfo else exdate)
        hit = _occurs(_day(dtstart), day, period) and (expires is None or day <= expires)
        if hit and _in_utc(_on_day(dtstart, day)) == _in_utc(exdate):
            yield _in_utc(exdate)


def _in_utc(value: Moment) -> Moment:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value
