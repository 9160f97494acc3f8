"""A PIM's recurrence → a server's series and single activities, exactly (REC-2…REC-4, REC-7).

1. The days the rule falls on, before EXDATE. An endless rule that equals a pattern needs none; another one is looked
   at up to a horizon (REC-4).
2. The pattern: of those that meet every one of these days, the one with the longest interval, so that none would need
   fewer exceptions.
3. The exceptions: the pattern's days on which nothing takes place after EXDATE, or something of its own does.
4. The singles: what takes place, by RDATE, where the pattern has no occurrence.

Everything happens on the wall clock of the start's zone, so an hour stays the hour when the clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from syncengine.core.recurrence.expand import TooCostly, wall_clock
from syncengine.core.recurrence.pattern import Period, by_length, period, period_of
from syncengine.core.recurrence.rule import Rule, describe, parse_rule
from syncengine.core.recurrence.wall import day_of, instant, like, named_days, on_day, same_occurrence
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import Limits, NotTranslated, Recurrence, Series, Translation
from syncengine.times import Moment

MOST_EXCEPTIONS = 5000
"""A rule that would need more is translated as if it had no end: thirteen years of one a day, and more than any
server takes at once."""
MOST_SINGLES = 500
"""Extra dates of one series; each may become an activity of its own."""
STEP = timedelta(days=30)
"""By how much the horizon of an endless rule moves at least: each move is a write for each such series."""
PROOF_YEARS = 40
"""For how long a rule must keep to a pattern to equal it: weekdays, leap years and long week years have all met by
then (Gregorian weekdays repeat every 28 years from 1901 to 2099)."""
FEWEST_DATES = 3
"""A bare list of dates (RDATE without a rule, as Notes writes it) is a series from this length on."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The days a rule falls on. `start`: the first occurrence. `days`: all of them where `whole`, else only the
    first: then they are the pattern's. `end`: the last day the series may run to, None for no end. `horizon`: where
    looking ended although the rule did not."""

    start: Moment
    days: tuple[date, ...]
    pattern: Pattern | None
    end: date | None
    words: str
    whole: bool = True
    horizon: date | None = None
    more_from: date | None = None


def translate(recurrence: Recurrence, patterns: tuple[Pattern, ...], limits: Limits) -> Translation | NotTranslated:
    """What a recurrence means to a server with these patterns. Never raises."""
    try:
        found = _find(recurrence, patterns, limits)
        return found if isinstance(found, NotTranslated) else _told(found, recurrence)
    except TooCostly as e:
        return NotTranslated(str(e))
    except ValueError as e:
        return NotTranslated(f"the recurrence rule cannot be read: {e}")
    except OverflowError:
        return NotTranslated("the recurrence runs past the end of the calendar, the year 9999")


# --- which days ------------------------------------------------------------------------------------------------------


def _find(recurrence: Recurrence, patterns: tuple[Pattern, ...], limits: Limits) -> _Found | NotTranslated:
    if not recurrence.rrule:
        return _listed(recurrence, patterns)
    moved_to = recurrence.moved_to
    if moved_to is not None and isinstance(moved_to, datetime) != isinstance(recurrence.start, datetime):
        return NotTranslated("the later part of a series is all-day, or has a time, where the series is not so")
    rule = _in_days(parse_rule(recurrence.rrule))
    part = recurrence.first is not None or recurrence.before is not None
    equal = None if part else _equal(rule, recurrence.start, patterns)
    if rule.count is None and rule.until is None and recurrence.before is None:
        return _equals(equal, rule, recurrence.start) if equal else _capped(rule, recurrence, patterns, limits)
    try:
        return _finite(rule, recurrence, patterns)
    except (TooCostly, _TooMany):  # told whole where it equals a pattern, else as if it had no end
        return _equals(equal, rule, recurrence.start) if equal else _capped(rule, recurrence, patterns, limits)


_UNITS_A_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}


def _in_days(rule: Rule) -> Rule:
    """A rule that counts hours, minutes or seconds and means days, said in days."""
    units = _UNITS_A_DAY.get(rule.freq)
    said = (rule.by_hour, rule.by_minute, rule.by_second)
    if units is None or rule.by_set_pos:
        return rule
    if rule.interval % units == 0 and not any(said):
        return replace(rule, freq="DAILY", interval=rule.interval // units)
    counted = said[: list(_UNITS_A_DAY).index(rule.freq) + 1]
    once_a_day = rule.interval == 1 and all(len(set(parts)) == 1 for parts in counted)
    return replace(rule, freq="DAILY") if once_a_day else rule


class _TooMany(Exception):
    """More exceptions than a server takes at once."""


def _equal(rule: Rule, start: Moment, patterns: tuple[Pattern, ...]) -> Pattern | None:
    """The pattern the rule, its end aside, equals."""
    own = period(rule, start)
    return next((p for p in patterns if period_of(p) == own), None)


def _equals(pattern: Pattern, rule: Rule, start: Moment) -> _Found:
    """A rule that falls on the pattern's days and on no others, told without looking at them."""
    first, own = day_of(start, start), period_of(pattern)
    ends = [own.last(first, rule.count)] if rule.count is not None else []
    ends += [_until_day(rule.until, start, own, first)] if rule.until is not None else []
    end = min((end for end in ends if end), default=None)
    return _Found(start, (first,), pattern, end, describe(rule), whole=False)


def _finite(rule: Rule, recurrence: Recurrence, patterns: tuple[Pattern, ...]) -> _Found | NotTranslated:
    found = _days(rule, recurrence, date.max)
    if isinstance(found, NotTranslated):
        return found
    start, days = found
    pattern = _longest(days, patterns)
    end = _end(rule, recurrence, start, days, pattern)
    most = len(days) + MOST_EXCEPTIONS
    if pattern is not None and len(days) > 1 and period_of(pattern).how_many(days[0], end) > most:
        raise _TooMany
    return _Found(start, days, pattern, end, describe(rule))


def _end(rule: Rule, recurrence: Recurrence, start: Moment, days: tuple[date, ...], pattern: Pattern | None) -> date:
    """The last occurrence; with UNTIL the day of UNTIL on the start's wall clock."""
    if rule.until is None or pattern is None or recurrence.before is not None or recurrence.first is not None:
        return days[-1]
    until = _until_day(rule.until, start, period_of(pattern), days[0])
    return days[-1] if rule.count is not None and days[-1] < until else max(until, days[-1])


def _until_day(until: Moment, start: Moment, own: Period, first: date) -> date:
    """The day of UNTIL; the day before where the pattern would have an occurrence that day, after UNTIL."""
    day = day_of(until, start)
    if not isinstance(until, datetime) or not isinstance(start, datetime) or not own.meets(first, day):
        return day
    occurrence = datetime.combine(day, start.time(), start.tzinfo)
    digits = (until.tzinfo is None) != (start.tzinfo is None)
    after = occurrence.time() > until.time() if digits else instant(occurrence) > instant(until)
    return day - timedelta(days=1) if after else day


def _capped(
    rule: Rule, recurrence: Recurrence, patterns: tuple[Pattern, ...], limits: Limits
) -> _Found | NotTranslated:
    """What an endless rule falls on up to the horizon, or the pattern it turns out to equal."""
    first = _days(rule, recurrence, date.max, most=1)
    if isinstance(first, NotTranslated):
        return first
    begins = recurrence.moved_to or recurrence.start
    counted_from = max(day_of(begins, recurrence.start), limits.this_day)
    horizon = limits.horizon or years_later(counted_from, limits.of(rule.freq))
    found = _days(rule, recurrence, max(horizon, first[1][0]))
    if isinstance(found, NotTranslated):
        return found
    start, days = found
    pattern = _longest(days, patterns)
    if pattern and len(days) > 1 and _keeps_to(pattern, rule, recurrence, days):
        return _Found(start, days[:1], pattern, None, describe(rule), whole=False)
    horizon = max(horizon, days[0])
    if not _goes_on(rule, recurrence, horizon):
        return _Found(start, days, pattern, horizon, describe(rule))
    more_from = counted_from + STEP
    return _Found(start, days, pattern, horizon, describe(rule), horizon=horizon, more_from=more_from)


def _goes_on(rule: Rule, recurrence: Recurrence, horizon: date) -> bool:
    """Whether the rule has an occurrence after the horizon at all."""
    try:
        since = horizon + timedelta(days=1)
        return _shift(recurrence) is not None or any(True for _ in wall_clock(rule, recurrence.start, since=since))
    except (TooCostly, OverflowError):
        return True


def _keeps_to(pattern: Pattern, rule: Rule, recurrence: Recurrence, days: tuple[date, ...]) -> bool:
    """Whether an endless rule equals the pattern, in whatever words it says so."""
    own = period_of(pattern)
    if rule.count is not None or rule.until is not None or own.how_many(days[0], days[-1]) != len(days):
        return False
    try:
        proof = years_later(days[0], PROOF_YEARS)
        found = _days(rule, recurrence, proof)
    except TooCostly:
        return False
    return not isinstance(found, NotTranslated) and tuple(own.days(days[0], proof)) == found[1]


def years_later(day: date, years: int) -> date:
    """The same date that many years on; of 29 February the 28th where there is none, and never past year 9999."""
    year = min(day.year + years, date.max.year)
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def _days(
    rule: Rule, recurrence: Recurrence, last: date, most: int = 0
) -> tuple[Moment, tuple[date, ...]] | NotTranslated:
    """The first occurrence and the days of all up to `last` (of the `most` first), or why they are no series."""
    shift = _shift(recurrence)
    days: list[date] = []
    at: Moment | None = None
    looked_at = wall_clock(rule, recurrence.start, until=last if shift is None else date.max)
    for moment in looked_at:
        if _is_past(moment, recurrence):
            break
        if _is_early(moment, recurrence):
            continue
        here = moment + shift if shift else moment
        day = here.date() if isinstance(here, datetime) else here
        if day > last:
            break
        if days and day <= days[-1]:
            return NotTranslated(f"more than one occurrence a day: {describe(rule)}")
        if isinstance(here, datetime) and isinstance(at, datetime) and here.time() != at.time():
            return NotTranslated(f"its occurrences fall at different times of the day: {describe(rule)}")
        at = here if at is None else at
        days.append(day)
        if len(days) == most:
            break
    if at is None:
        return NotTranslated(f"the rule yields no occurrence: {describe(rule)}")
    return _zoned(at, recurrence.start), tuple(days)


def _zoned(wall: Moment, start: Moment) -> Moment:
    return wall.replace(tzinfo=start.tzinfo) if isinstance(wall, datetime) and isinstance(start, datetime) else wall


def _wall(moment: Moment, start: Moment) -> Moment:
    """A moment as the expander gives them: naive, on the start's wall clock; a date where the start is one."""
    here = like(moment, start)
    return here.replace(tzinfo=None) if isinstance(here, datetime) else here


def _shift(recurrence: Recurrence) -> timedelta | None:
    if recurrence.first is None or recurrence.moved_to is None:
        return None
    one, other = (_wall(m, recurrence.start) for m in (recurrence.first, recurrence.moved_to))
    return other - one


def _is_early(wall: Moment, recurrence: Recurrence) -> bool:
    first = recurrence.first
    return first is not None and wall < _wall(first, recurrence.start)


def _is_past(wall: Moment, recurrence: Recurrence) -> bool:
    before = recurrence.before
    return before is not None and wall >= _wall(before, recurrence.start)


def _listed(recurrence: Recurrence, patterns: tuple[Pattern, ...]) -> _Found:
    """Dates without a rule: the start and what RDATE adds. They are a series only where they equal one."""
    start = recurrence.start
    first = day_of(start, start)
    days = tuple(sorted({first, *named_days(recurrence.rdates, start)}))
    words = f"{len(recurrence.rdates) + 1} listed dates" if recurrence.rdates else "no rule"
    pattern = _longest(days, patterns) if len(days) >= FEWEST_DATES and days[0] == first else None
    if pattern and tuple(period_of(pattern).days(first, days[-1])) == days:
        return _Found(start, days, pattern, days[-1], words)
    return _Found(start, (first,), patterns[0] if patterns else None, first, words)


def _longest(days: tuple[date, ...], patterns: tuple[Pattern, ...]) -> Pattern | None:
    """The pattern with the longest interval that meets every day."""
    fitting = ((p, period_of(p)) for p in by_length(patterns))
    return next((p for p, own in fitting if all(own.meets(days[0], day) for day in days)), None)


# --- what is told ----------------------------------------------------------------------------------------------------


def _told(found: _Found, recurrence: Recurrence) -> Translation | NotTranslated:
    if found.pattern is None:
        return NotTranslated(f"no pattern of the server meets every occurrence: {found.words}")
    start = found.start
    out = named_days(_placed(recurrence.exdates, recurrence), start)
    changed = named_days(_placed(recurrence.changed, recurrence), start)
    extra = _extra(recurrence)
    if len(extra) > MOST_SINGLES:
        return NotTranslated(f"{len(extra)} extra dates are more than {MOST_SINGLES}: {found.words}")
    if found.whole and len(found.days) == 1 and (found.days[0] not in changed or extra):
        return _single(found, found.days[0] in out | changed, extra)
    own, first = period_of(found.pattern), found.days[0]
    met = {day for m in extra if (day := _met(m, own, found)) is not None}
    gone = sorted(day for day in _absent(found, own, out | changed) if day not in met or day in changed)
    singles = [m for m in extra if _met(m, own, found) is None]
    series = Series(found.pattern.name, start, found.end, tuple(on_day(start, day) for day in gone))
    left = changed or singles or not found.whole or len(gone) < own.how_many(first, found.end or first)
    if not left:
        return NotTranslated(f"no occurrence is left, all are excluded: {found.words}")
    return Translation(
        series, _in_order(singles), _losses(found), _because(found, series), found.horizon, found.more_from
    )


def _single(found: _Found, taken_out: bool, extra: list[Moment]) -> Translation | NotTranslated:
    own = [] if taken_out else [found.start]
    singles = _in_order([*own, *extra])
    if not singles:
        return NotTranslated(f"no occurrence is left, the only one is excluded: {found.words}")
    because = f"only one occurrence: {found.words}" if len(singles) == 1 else f"single activities: {found.words}"
    return Translation(None, singles, _losses(found), because, found.horizon, found.more_from)


def _absent(found: _Found, own: Period, taken_out: set[date]) -> set[date]:
    """The pattern's days on which the rule has no occurrence, or none any more."""
    first, end = found.days[0], found.end
    if not found.whole:
        return {day for day in taken_out if own.meets(first, day) and (end is None or day <= end)}
    assert end is not None
    held = set(found.days) - taken_out
    return {day for day in own.days(first, end) if day not in held}


def _met(moment: Moment, own: Period, found: _Found) -> date | None:
    """The day on which the series itself has this extra date, None where it has none."""
    day = same_occurrence(moment, found.start)
    met = day is not None and own.meets(found.days[0], day) and (found.end is None or day <= found.end)
    return day if met else None


def _extra(recurrence: Recurrence) -> list[Moment]:
    """The extra dates that are neither excluded again nor have a record of their own, in the form of the start."""
    start = recurrence.start
    taken = (*_placed(recurrence.exdates, recurrence), *_placed(recurrence.changed, recurrence))
    instants = {instant(like(m, start)) for m in taken if isinstance(m, datetime)}
    days = {m for m in taken if not isinstance(m, datetime)}
    placed = [like(m, start) for m in _placed(recurrence.rdates, recurrence)]
    return [m for m in placed if instant(m) not in instants and day_of(m, start) not in days]


def _placed(moments: tuple[Moment, ...], recurrence: Recurrence) -> tuple[Moment, ...]:
    """Exclusions and additions where the occurrences they name have been moved to, of those looked at."""
    if recurrence.first is None and recurrence.before is None:
        return moments
    walls = [w for m in moments if not _is_early(w := _wall(m, recurrence.start), recurrence)]
    shift = _shift(recurrence) or timedelta(0)
    return tuple(_zoned(w + shift, recurrence.start) for w in walls if not _is_past(w, recurrence))


def _in_order(moments: list[Moment]) -> tuple[Moment, ...]:
    once = {str(instant(m)): m for m in moments}
    return tuple(once[name] for name in sorted(once))


def _losses(found: _Found) -> tuple[str, ...]:
    if found.horizon is None:
        return ()
    return (f"it goes on after {found.horizon}, which is as far as it is told for now; later runs tell more",)


def _surplus(found: _Found) -> int:
    """How many days of the pattern the rule does not fall on."""
    assert found.pattern is not None
    return period_of(found.pattern).how_many(found.days[0], found.end or found.days[-1]) - len(found.days)


def _because(found: _Found, series: Series) -> str:
    """Why this pattern, in words."""
    number = len(series.exceptions)
    if not found.whole or _surplus(found) == 0:
        return f"{found.words}: equals {series.type}" + (f", {number} left out" if number else "")
    return (
        f"{found.words}: {series.type} is the longest interval of the server that meets every occurrence; "
        f"{number} exception{'s' * (number > 1)}"
    )
