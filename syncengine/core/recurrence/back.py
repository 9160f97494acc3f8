"""A server's series → a PIM's recurrence, with the least change (REC-5, REC-6).

What the item already says stays, byte for byte, as long as it can mean what the server has: its own rule, then its own
rule with another end, and only then the rule of the server's pattern, each with the EXDATE and RDATE that make the
days exactly the server's. Of these the one that needs the fewest is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from syncengine.core.recurrence.expand import TooCostly, wall_clock
from syncengine.core.recurrence.pattern import Period, named, period, period_of, to_rrule, until_text
from syncengine.core.recurrence.rule import parse_rule
from syncengine.core.recurrence.wall import day_of, named_days, on_day, same_occurrence
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import Recurrence, Series
from syncengine.times import Moment

_END = re.compile(r";?\b(COUNT|UNTIL)=[^;]*", re.IGNORECASE)
_RDATE_COSTS = 2
"""An extra date is odder than an excluded one: it counts as two."""
MOST_DAYS = 20_000


@dataclass(frozen=True, slots=True)
class _Candidate:
    rrule: str
    out: frozenset[date]  # to be excluded
    extra: frozenset[date]  # to be added

    @property
    def cost(self) -> int:
        return len(self.out) + _RDATE_COSTS * len(self.extra)


def back(
    item: Recurrence, was: Series | None, wanted: Series | None, patterns: tuple[Pattern, ...]
) -> Recurrence | None:
    """The item's recurrence so that it means `wanted`, at the wanted start.

    was: what the item means to the server now, None when it does not repeat there. wanted: None for a single activity.
    None when the server's pattern is unknown, so that nothing can be said."""
    if wanted is None:
        return replace(item, rrule="", exdates=(), rdates=_apart(item, was, patterns))
    pattern = named(wanted.type, patterns)
    if pattern is None:
        return None
    if was == wanted:
        return item
    moved = _moved(item, was, wanted.start)
    own = period_of(pattern)
    first = day_of(wanted.start, wanted.start)
    changed = named_days(moved.changed, wanted.start)
    met = [m for m in moved.rdates if _is_met(m, own, first, wanted)]
    kept = tuple(m for m in moved.rdates if m not in met)
    best = min(_candidates(moved, was, wanted, pattern, changed), key=lambda c: c.cost)
    exdates = _named_again(moved.exdates, best.out, wanted.start, changed)
    extra = _named_again(tuple(met), best.extra, wanted.start, frozenset())
    return replace(moved, rrule=best.rrule, exdates=exdates, rdates=(*kept, *extra))


def _apart(item: Recurrence, was: Series | None, patterns: tuple[Pattern, ...]) -> tuple[Moment, ...]:
    """The extra dates that are activities of their own; they stay when the series ends."""
    pattern = named(was.type, patterns) if was else None
    if was is None or pattern is None:
        return item.rdates
    own, first = period_of(pattern), day_of(was.start, was.start)
    return tuple(m for m in item.rdates if not _is_met(m, own, first, was))


def _is_met(moment: Moment, own: Period, first: date, series: Series) -> bool:
    day = same_occurrence(moment, series.start)
    return day is not None and own.meets(first, day) and (series.expires is None or day <= series.expires)


def _moved(item: Recurrence, was: Series | None, start: Moment) -> Recurrence:
    """The item with its occurrences at the new start's days and time of day; what names none of them stays."""
    old = was.start if was else item.start
    if old == start and type(old) is type(start):
        return replace(item, start=start)
    shift = timedelta(days=(day_of(start, start) - day_of(old, old)).days)

    def follow(moments: tuple[Moment, ...]) -> tuple[Moment, ...]:
        days = ((m, same_occurrence(m, old)) for m in moments)
        return tuple(m if day is None else on_day(start, day + shift) for m, day in days)

    return replace(
        item, start=start, exdates=follow(item.exdates), rdates=follow(item.rdates), changed=follow(item.changed)
    )


# --- candidates ------------------------------------------------------------------------------------------------------


def _candidates(
    item: Recurrence, was: Series | None, wanted: Series, pattern: Pattern, changed: set[date]
) -> Iterator[_Candidate]:
    if item.rrule:
        ends = _END.sub("", item.rrule).strip(";")
        open_ended = _is_endless(item.rrule) and was is not None and was.expires == wanted.expires
        for rrule in dict.fromkeys((item.rrule, _until(ends, wanted))):
            whole = open_ended and rrule == item.rrule
            if (found := _compared(rrule, wanted, pattern, changed, whole=whole)) is not None:
                yield found
    plain = to_rrule(pattern, wanted.expires, wanted.start)
    gone = frozenset(named_days(wanted.exceptions, wanted.start) - changed)
    yield _Candidate(plain, gone, frozenset())


def _is_endless(rrule: str) -> bool:
    return _END.search(rrule) is None


def _until(rrule: str, wanted: Series) -> str:
    return rrule if wanted.expires is None else f"{rrule};UNTIL={until_text(wanted.expires, wanted.start)}"


def _compared(rrule: str, wanted: Series, pattern: Pattern, changed: set[date], *, whole: bool) -> _Candidate | None:
    """What has to be left out of and added to a rule so that it means the wanted series; None where that has no end.
    `whole`: the rule goes on where the series was cut (REC-4); only what lies before counts."""
    start, own = wanted.start, period_of(pattern)
    first = day_of(start, start)
    gone = named_days(wanted.exceptions, start)
    try:
        rule = parse_rule(rrule)
        endless = rule.count is None and rule.until is None
        if endless and wanted.expires is None:
            same = period(rule, start) == own
            return _Candidate(rrule, frozenset(gone - changed), frozenset()) if same else None
        if wanted.expires is None or (endless and not whole):
            return None
        days = _days(wall_clock(rule, start, until=wanted.expires if whole else None), start)
    except (TooCostly, ValueError, OverflowError):
        return None
    if days is None:
        return None
    there = {day for day in own.days(first, wanted.expires) if day not in gone}
    return _Candidate(rrule, frozenset(days - there - changed), frozenset(there - days))


def _days(moments: Iterable[Moment], start: Moment) -> set[date] | None:
    """The days a rule falls on; None where it does not keep to the start's time of day, or never ends."""
    days: set[date] = set()
    for moment in moments:
        if isinstance(moment, datetime) and isinstance(start, datetime) and moment.time() != start.time():
            return None
        days.add(moment.date() if isinstance(moment, datetime) else moment)
        if len(days) > MOST_DAYS:
            return None
    return days


def _named_again(
    moments: tuple[Moment, ...], days: frozenset[date], start: Moment, changed: Iterable[date]
) -> tuple[Moment, ...]:
    """Moments that name just these days: those there are, as they are written, and new ones for the rest. What names
    no occurrence, or a changed one, excludes nothing and stays."""
    kept: list[Moment] = []
    named_by: set[date] = set()
    for moment in moments:
        day = same_occurrence(moment, start)
        if day is None or day in days or day in changed:
            kept.append(moment)
            named_by.update({day} if day else ())
    return (*kept, *(on_day(start, day) for day in sorted(days - named_by)))
