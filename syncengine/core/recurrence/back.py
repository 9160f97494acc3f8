"""A server's series → a PIM's recurrence, with the least change (REC-5, REC-6).

What the item already says stays, byte for byte, as long as it can mean what the server has: its own rule, then its own
rule with another end, and only then the rule of the server's pattern, each with the EXDATE and RDATE that make the
days exactly the server's. Of these the one that needs the fewest is taken.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from syncengine.core.recurrence.expand import TooCostly, wall_clock
from syncengine.core.recurrence.pattern import named, period_of, to_rrule, until_text
from syncengine.core.recurrence.rule import parse_rule
from syncengine.core.recurrence.translate import translate
from syncengine.core.recurrence.wall import day_of, instant, like, named_days, on_day, same_occurrence
from syncengine.model.mapping import Pattern
from syncengine.model.recurrence import YEARS, Limits, Recurrence, Series, Translation
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
    None when the server's pattern is unknown, so that nothing can be said. Extra dates that are activities of their
    own stay whatever becomes of the series."""
    met = [m for m in item.rdates if was and _is_met(m, was, patterns)]
    apart = tuple(m for m in item.rdates if m not in met)
    if wanted is None:
        return replace(item, rrule="", exdates=(), rdates=apart)
    pattern = named(wanted.type, patterns)
    if pattern is None:
        return None
    if was is not None and _within(was) == _within(wanted):
        return item
    wanted = _within(wanted)
    old = was.start if was else item.start
    rule = replace(
        item,
        start=wanted.start,
        exdates=_follow(item.exdates, old, wanted.start),
        changed=_follow(item.changed, old, wanted.start),
    )
    changed = named_days(rule.changed, wanted.start)
    best = min(_candidates(item, was, wanted, patterns, changed), key=lambda c: c.cost)
    exdates = _named_again(rule.exdates, best.out, wanted.start, changed, apart)
    extra = _named_again(_follow(tuple(met), old, wanted.start), best.extra, wanted.start, (), ())
    return replace(rule, rrule=best.rrule, exdates=exdates, rdates=(*apart, *extra))


def _within(series: Series) -> Series:
    """The series without the exceptions after its end; a server that ends a series may leave them there."""
    start, end = series.start, series.expires
    return replace(series, exceptions=tuple(m for m in series.exceptions if end is None or day_of(m, start) <= end))


def _is_met(moment: Moment, series: Series, patterns: tuple[Pattern, ...]) -> bool:
    """Whether an extra date is an occurrence of the series itself."""
    pattern, day = named(series.type, patterns), same_occurrence(moment, series.start)
    if pattern is None or day is None or (series.expires is not None and day > series.expires):
        return False
    return period_of(pattern).meets(day_of(series.start, series.start), day)


def _follow(moments: tuple[Moment, ...], old: Moment, new: Moment) -> tuple[Moment, ...]:
    """Moments that name occurrences of a series, where it has moved; what names none of them stays."""
    if old == new and type(old) is type(new):
        return moments
    shift = day_of(new, new) - day_of(old, old)
    days = ((m, same_occurrence(m, old)) for m in moments)
    return tuple(m if day is None else on_day(new, day + shift) for m, day in days)


# --- candidates ------------------------------------------------------------------------------------------------------


def _candidates(
    item: Recurrence, was: Series | None, wanted: Series, patterns: tuple[Pattern, ...], changed: set[date]
) -> Iterator[_Candidate]:
    pattern = named(wanted.type, patterns)
    assert pattern is not None
    if item.rrule:
        goes_on = was is not None and was.expires == wanted.expires and _goes_on(item, was)
        until = _until(_END.sub("", item.rrule).strip(";"), wanted)
        for rrule in dict.fromkeys((item.rrule, until)):
            cut = goes_on and rrule == item.rrule
            told = _told(rrule, wanted, patterns, changed) or _compared(rrule, wanted, pattern, changed, cut=cut)
            if told is not None:
                yield told
    gone = frozenset(named_days(wanted.exceptions, wanted.start) - changed)
    yield _Candidate(to_rrule(pattern, wanted.expires, wanted.start), gone, frozenset())


def _goes_on(item: Recurrence, was: Series) -> bool:
    """Whether the item's rule goes on where the server's series was cut for the time being (REC-4)."""
    if was.expires is None:
        return False
    try:
        rest = wall_clock(parse_rule(item.rrule), item.start, since=was.expires + timedelta(days=1))
        return next(iter(rest), None) is not None
    except TooCostly:
        return True
    except (ValueError, OverflowError):
        return False


def _until(rrule: str, wanted: Series) -> str:
    return rrule if wanted.expires is None else f"{rrule};UNTIL={until_text(wanted.expires, wanted.start)}"


def _told(rrule: str, wanted: Series, patterns: tuple[Pattern, ...], changed: set[date]) -> _Candidate | None:
    """A rule that means the wanted series but for its exceptions."""
    found = translate(Recurrence(wanted.start, rrule), patterns, Limits(day_of(wanted.start, wanted.start), YEARS))
    series = found.series if isinstance(found, Translation) and found.horizon is None else None
    if series is None or (series.type, series.start, series.expires) != (wanted.type, wanted.start, wanted.expires):
        return None
    gone, absent = (named_days(s.exceptions, wanted.start) for s in (wanted, series))
    return _Candidate(rrule, frozenset(gone - absent - changed), frozenset(absent - gone))


def _compared(rrule: str, wanted: Series, pattern: Pattern, changed: set[date], *, cut: bool) -> _Candidate | None:
    """What has to be left out of and added to a rule so that it means the wanted series; None where that has no end,
    or hardly an occurrence would be the rule's. `cut`: the rule goes on where the series was cut; only what lies before
    counts."""
    if wanted.expires is None:
        return None
    start, own = wanted.start, period_of(pattern)
    first, gone = day_of(start, start), named_days(wanted.exceptions, start)
    try:
        days = _days(wall_clock(parse_rule(rrule), start, until=wanted.expires if cut else None), start)
    except (TooCostly, ValueError, OverflowError):
        return None
    if days is None or first not in days or len(days) < 2:
        return None
    there = {day for day in own.days(first, wanted.expires) if day not in gone}
    return _Candidate(rrule, frozenset(days - there - changed), frozenset(there - days))


def _days(moments: Iterable[Moment], start: Moment) -> set[date] | None:
    """The days a rule falls on; None where it does not keep to the start's time of day, or hardly ends."""
    days: set[date] = set()
    for moment in moments:
        if isinstance(moment, datetime) and isinstance(start, datetime) and moment.time() != start.time():
            return None
        days.add(moment.date() if isinstance(moment, datetime) else moment)
        if len(days) > MOST_DAYS:
            return None
    return days


def _named_again(
    moments: tuple[Moment, ...],
    days: frozenset[date],
    start: Moment,
    changed: Collection[date],
    apart: tuple[Moment, ...],
) -> tuple[Moment, ...]:
    """Moments that name just these days: those there are, as they are written, and new ones for the rest. What names
    no occurrence, a changed one, or one of the extra dates that stand apart, stays."""
    others = {instant(like(m, start)) for m in apart}
    kept: list[Moment] = []
    named_by: set[date] = set()
    for moment in moments:
        day = same_occurrence(moment, start)
        if day is None or day in days or day in changed or instant(like(moment, start)) in others:
            kept.append(moment)
            named_by.update({day} if day else ())
    return (*kept, *(on_day(start, day) for day in sorted(days - named_by)))
