"""The occurrences of a series (RFC 5545 3.3.10, 3.8.5; REC-4, REC-7), with bounded work.

Where the RFC leaves a choice:

- What a rule does not say comes from DTSTART: a yearly rule's week number takes its weekday, a yearly rule's month day
  its month (unless BYDAY, BYYEARDAY or BYWEEKNO reach over the year).
- A DTSTART that its own rule does not produce is no occurrence.
- A yearly rule with week numbers repeats by week years as WKST divides them.
- BYSETPOS counts in the whole period, also what lies before DTSTART.
- A 60th second and, for all-day series, all parts of the clock say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from syncengine.core.recurrence.days import LAST_DAY, Meter, TooCostly
from syncengine.core.recurrence.periods import periods
from syncengine.core.recurrence.rule import Rule
from syncengine.times import Moment

__all__ = ["BUDGET", "TooCostly", "between", "wall_clock"]

BUDGET = 20_000
"""Steps an expansion may take: years, periods and days looked at, and occurrences found. Enough for two years of an
hourly series or fifty of a daily one; the dearest rules reach it in about a tenth of a second on a slow machine."""

_FAR = 2
"""Days; more than any zone's clock is ever moved or away from UTC. Farther apart, local times order as instants do."""

_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 - local times


def wall_clock(
    rule: Rule, dtstart: Moment, *, since: date | None = None, until: date | None = None, budget: int = BUDGET
) -> Iterator[Moment]:
    """The occurrences, sorted and strictly increasing, up to year 9999: dates for a date; otherwise naive datetimes,
    the nominal local times in DTSTART's zone, also those that a change of the clock leaves out.

    since, until: only occurrences on these days or between them; without COUNT, what lies before costs nothing.
    UNTIL in UTC is an instant (its digits are local when DTSTART has no zone), without zone a local time, a date
    includes that day. Raises TooCostly once more than `budget` steps were taken."""
    return _nominal(rule, dtstart, None, since or date.min, until or date.max, Meter(budget, rule))


def _nominal(
    rule: Rule, dtstart: Moment, zone: tzinfo | None, since: date, until: date, meter: Meter
) -> Iterator[Moment]:
    """As `wall_clock`, with times that already carry `zone` but still are the nominal ones."""
    series = periods(rule, dtstart, meter)
    last, asked_from, is_open = _closing(rule.until, dtstart)
    begin = dtstart.toordinal()
    low, high = max(begin, since.toordinal()), min(last, until.toordinal())
    left = -1 if rule.count is None else rule.count
    if left > 0 and begin < low <= high:
        left = max(left - series.count(low), 0)
    timed = isinstance(dtstart, datetime)
    if left == 0 or low > high:
        return
    for day, at in series.pairs(low, high):
        meter.take()
        on = date.fromordinal(day)
        if day >= asked_from and not is_open(datetime.combine(on, at)):
            continue
        yield datetime.combine(on, at, zone) if timed else on
        left -= 1
        if left == 0:
            return


_Closing = tuple[int, int, Callable[[datetime], bool]]


def _closing(until: Moment | None, dtstart: Moment) -> _Closing:
    """UNTIL as the last day that can have an occurrence, the first one whose occurrences must be asked, and what to
    ask their local times."""
    if until is None:
        return LAST_DAY, LAST_DAY + 1, _always
    if not isinstance(until, datetime) or not isinstance(dtstart, datetime):
        return until.toordinal(), LAST_DAY + 1, _always
    day, zone, instant = until.toordinal(), dtstart.tzinfo, until
    if zone is None or until.tzinfo is None:
        local = until.replace(tzinfo=None)
        return day, day, lambda found: found <= local
    return min(day + _FAR, LAST_DAY), day - _FAR, lambda found: found.replace(tzinfo=zone) <= instant


def _always(found: datetime) -> bool:
    return True


def between(
    rule: Rule,
    dtstart: Moment,
    first: Moment,
    last: Moment,
    rdates: Iterable[Moment] = (),
    exdates: Iterable[Moment] = (),
    budget: int = BUDGET,
) -> list[Moment]:
    """The occurrences from `first` to `last`, both included, RDATE added and EXDATE taken away (RFC 5545 3.8.5), once
    each, sorted by instant: dates, naive datetimes, or datetimes in DTSTART's zone, as DTSTART is.

    A local time left out when the clock goes forward is read with the offset before (02:30 is 03:30), one that comes
    twice is the first (RFC 5545 3.3.5). A date as `first` or `last` is that whole day on DTSTART's wall clock; a time
    of a kind other than DTSTART's is read by its digits, without zone in DTSTART's zone. A date among `exdates` takes
    away that day's occurrences, one among `rdates` is at DTSTART's time. Raises TooCostly, see `wall_clock`."""
    if not isinstance(dtstart, datetime):
        days = wall_clock(rule, dtstart, since=_day(first), until=_day(last), budget=budget)
        added = [day for day in map(_day, rdates) if _day(first) <= day <= _day(last)]
        removed = set(map(_day, exdates))
        return [day for day in (sorted({*days, *added}) if added else days) if day not in removed]
    begin, end = _read(first, dtstart.tzinfo, time.min), _read(last, dtstart.tzinfo, _LAST.time())
    nominal = _nominal(rule, dtstart, dtstart.tzinfo, _near(begin, -1), _near(end, 1), Meter(budget, rule))
    found = _real(nominal, dtstart.tzinfo, begin, end)
    if more := [_read(value, dtstart.tzinfo, dtstart.time().replace(microsecond=0)) for value in rdates]:
        found += [value for value in more if _key(begin) <= _key(value) <= _key(end)]
        found = _sorted(found)
    return list(_without(found, list(exdates), dtstart.tzinfo) if exdates else found)


def _day(value: Moment) -> date:
    return value.date() if isinstance(value, datetime) else value


def _near(value: datetime, days: int) -> date:
    """A day before or after, for local times that a change of the clock moves over midnight."""
    return date.fromordinal(min(max(value.toordinal() + days, 1), LAST_DAY))


def _read(value: Moment, zone: tzinfo | None, at: time) -> datetime:
    """`value` in the zone, or naive where there is none; a date is at that time of day."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, at.replace(tzinfo=None, fold=0))
    if zone is None:
        return value.replace(tzinfo=None)
    if value.tzinfo is None:
        return _forward(value.replace(tzinfo=zone))
    try:
        return value.astimezone(zone)
    except OverflowError:  # at the very ends of the calendar
        return _FIRST.replace(tzinfo=zone) if value.year == _FIRST.year else _LAST.replace(tzinfo=zone)


def _forward(value: datetime) -> datetime:
    """The same, out of the gap that the clock going forward leaves (RFC 5545 3.3.5: the offset before counts)."""
    before, after = value.utcoffset(), value.replace(fold=1).utcoffset()
    if before is not None and after is not None and after > before:
        return value + (after - before)
    return value


def _key(value: datetime) -> float:
    """Orders instants: datetimes of one zone compare by their digits, which come twice when the clock goes back."""
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _sorted(moments: list[datetime]) -> list[datetime]:
    return [m for _, m in sorted({_key(m): m for m in moments}.items())]


def _real(nominal: Iterator[Moment], zone: tzinfo | None, begin: datetime, end: datetime) -> list[datetime]:
    """The moments that nominal local times are, from `begin` to `end`."""
    first, last = _key(begin), _key(end)
    within = range(begin.toordinal() + _FAR, end.toordinal() - _FAR)
    steady = _steady if isinstance(zone, ZoneInfo) else _unknown
    moments: list[datetime] = []
    moved = False
    for local in nominal:
        assert isinstance(local, datetime)
        moment = local
        if zone is not None and not steady(zone, local.year, local.month):
            moment = _forward(local)
            moved = moved or moment is not local
        if moment.toordinal() in within or first <= _key(moment) <= last:
            moments.append(moment)
    return _sorted(moments) if moved else moments


@lru_cache(maxsize=4096)
def _steady(zone: tzinfo, year: int, month: int) -> bool:
    """Whether the zone's clock is not changed in that month: asking for every occurrence would be dear. No zone ever
    took a change back within five days."""
    begin = datetime(year, month, 1, tzinfo=zone)
    end = LAST_DAY - begin.toordinal()
    return len({(begin + timedelta(days=min(n, end))).utcoffset() for n in range(0, 36, 5)}) == 1


def _unknown(zone: tzinfo, year: int, month: int) -> bool:
    return False


def _without(moments: list[datetime], exdates: list[Moment], zone: tzinfo | None) -> Iterator[datetime]:
    days = {value for value in exdates if not isinstance(value, datetime)}
    instants = {_key(_read(value, zone, time.min)) for value in exdates if isinstance(value, datetime)}
    return (m for m in moments if _key(m) not in instants and m.date() not in days)
