"""Converters for recurrence, and an item's recurrence as the server is told it (REC-1…REC-6).

Beside the RFC's properties an item's values may hold the ones `core.ical.read` makes of a whole series: `changed`,
the original starts of changed and cancelled occurrences; `before`, where a later part of the series takes over; and,
in such a part, `series-start`, the DTSTART its rule is anchored on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import cast

from syncengine.core.mapping.context import Context
from syncengine.core.mapping.moments import shown
from syncengine.core.mapping.silence import SILENT, Silent
from syncengine.core.recurrence.back import back
from syncengine.core.recurrence.pattern import named, period_of, to_rrule
from syncengine.core.recurrence.translate import translate
from syncengine.core.recurrence.wall import after, day_of, instant, length, named_days, on_day
from syncengine.errors import ItemError
from syncengine.model.item import PimValue, PimValues
from syncengine.model.mapping import FieldMap, Pattern
from syncengine.model.recurrence import Limits, NotTranslated, Recurrence, Series, Translation
from syncengine.model.values import Value, Values
from syncengine.times import Moment, iso


class CannotShow(ItemError):
    """What the server says has no form in the item."""


def recurrence_of(values: PimValues, context: Context) -> Recurrence | None:
    """What the item says of its recurrence; None when it has none. Floating times are the context's zone's."""
    start = values.get("series-start") or values.get("dtstart")
    rrule = str(values.get("rrule") or "")
    if not isinstance(start, date) or not (rrule or values.get("rdate")):
        return None

    def moment(name: str) -> Moment | None:
        value = values.get(name)
        return _settled(value, context) if isinstance(value, date) else None

    def moments(name: str) -> tuple[Moment, ...]:
        return tuple(_settled(m, context) for m in _times(values.get(name)))

    part = values.get("series-start") is not None
    return Recurrence(
        _settled(start, context),
        rrule,
        moments("rdate"),
        moments("exdate"),
        moments("changed"),
        first=moment("recurrence-id") if part else None,
        before=moment("before"),
        moved_to=moment("dtstart") if part else None,
    )


def translation_of(values: PimValues, context: Context) -> Translation | NotTranslated | None:
    """The item's recurrence in the server's terms; None when it has none."""
    if values.get("rrule") and not isinstance(values.get("dtstart"), date):
        return NotTranslated("the series has no start (DTSTART)")
    recurrence = recurrence_of(values, context)
    if recurrence is None:
        return None
    return _remembered(_Key(recurrence), context.patterns, Limits(context.this_day, context.years, context.horizon))


class _Key:
    """A recurrence as a key: equal moments in different zones are not the same here, as they are in Python."""

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence = recurrence
        self._text = repr(recurrence)
        start = recurrence.start
        self._zone = start.tzinfo if isinstance(start, datetime) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._text == other._text and self._zone is other._zone

    def __hash__(self) -> int:
        return hash(self._text)


@lru_cache(maxsize=64)
def _remembered(key: _Key, patterns: tuple[Pattern, ...], limits: Limits) -> Translation | NotTranslated:
    """An item is asked field by field."""
    return translate(key.recurrence, patterns, limits)


def _settled(moment: Moment, context: Context) -> Moment:
    floating = isinstance(moment, datetime) and moment.tzinfo is None
    return moment.replace(tzinfo=context.zone) if floating else moment  # type: ignore[call-arg]


def _times(value: object) -> tuple[Moment, ...]:
    return cast("tuple[Moment, ...]", value) if isinstance(value, tuple) else ()


def at_first_occurrence(values: PimValues, context: Context) -> PimValues:
    """The values with start and end at the first occurrence that is told. It differs from DTSTART where the rule does
    not fall on DTSTART, or what it falls on is left out."""
    if not (values.get("rrule") or values.get("rdate")):
        return values
    told = translation_of(values, context)
    start, end = values.get("dtstart"), values.get("dtend")
    if not isinstance(told, Translation) or not isinstance(start, date):
        return values
    if instant(told.start) == instant(_settled(start, context)):
        return values
    moved: dict[str, PimValue] = {**values, "dtstart": told.start}
    if isinstance(end, date) and (long := length(_settled(start, context), _settled(end, context))) is not None:
        moved["dtend"] = after(told.start, long)
    return moved


# --- converters ------------------------------------------------------------------------------------------------------


def rule_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """What the row's field says of the series. A rule that cannot be translated says nothing; ask `untranslated`."""
    series = _series(values, context)
    if series is None:
        return False if row.field == "repeating" else None
    said: dict[str, Value] = {
        "repeating": True,
        "repeating_type": series.type,
        "repeating_expires": series.expires,
    }
    return said[row.field]


def exceptions_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    series = _series(values, context)
    return tuple(instant(m) for m in series.exceptions) if series else ()


def _series(values: PimValues, context: Context) -> Series | None:
    told = translation_of(values, context)
    return told.series if isinstance(told, Translation) else None


def rule_down(values: Values, row: FieldMap, context: Context) -> PimValue | Silent:
    """The rule; none for a single activity; nothing said about a pattern the mapping does not know."""
    series = series_in(values, _zone_shown(values, context), context)
    if series is None:
        return None
    pattern = named(series.type, context.patterns)
    return SILENT if pattern is None else to_rrule(pattern, series.expires, series.start)


def exceptions_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    series = series_in(values, _zone_shown(values, context), context)
    return series.exceptions if series and series.exceptions else None


def _zone_shown(values: Values, context: Context) -> tzinfo | None:
    start = shown(values.get("planned"), values, context)
    return start.tzinfo if isinstance(start, datetime) else None


def series_in(values: Values, zone: tzinfo | None, context: Context) -> Series | None:
    """The series an activity's fields say, on the wall clock of `zone`; None for a single one.

    An exception names a day: so exceptions follow when the server moves the whole series to another hour."""
    planned = values.get("planned")
    if not values.get("repeating") or not isinstance(planned, date):
        return None
    start = planned.astimezone(zone) if isinstance(planned, datetime) and zone else planned
    days = sorted({day_of(m, start) for m in _times(values.get("exceptions"))})
    expires = values.get("repeating_expires")
    return Series(
        str(values.get("repeating_type") or ""),
        start,
        expires if isinstance(expires, date) else None,
        tuple(on_day(start, day) for day in days),
    )


# --- what a change on the server makes of an item --------------------------------------------------------------------


def moved_down(item: PimValues, old: Values, new: Values, context: Context) -> dict[str, PimValue]:
    """RRULE, EXDATE and RDATE of an item that showed `old` and is to show `new`, as far as they change."""
    start = item.get("dtstart")
    if not isinstance(start, date):
        return {}
    settled = _settled(start, context)
    zone = settled.tzinfo if isinstance(settled, datetime) else None
    has = recurrence_of(item, context) or Recurrence(settled)
    was = series_in(old, zone, context)
    wanted = series_in(new, zone or _zone_shown(new, context), context)  # it may have been all-day before
    if has.first is not None:
        return _part_moved(item, has, was, wanted)
    if has.before is not None:
        return _front_moved(has, was, wanted, context)
    found = back(has, was, wanted, context.patterns)
    if found is None:
        return {}
    return _changed_values(has, found)


def exceptions_kept(item: PimValues, shown: Values, context: Context) -> tuple[Moment, ...]:
    """The exceptions an activity must have where an item with these values shows it: its own, and one for each changed
    occurrence, which is an activity of its own. UTC instants or dates, sorted."""
    start = item.get("dtstart")
    there = _times(shown.get("exceptions"))
    if not isinstance(start, date) or not item.get("changed"):
        return there
    settled = _settled(start, context)
    series = series_in(shown, settled.tzinfo if isinstance(settled, datetime) else None, context)
    pattern = named(series.type, context.patterns) if series else None
    if series is None or pattern is None:
        return there
    own, first = period_of(pattern), day_of(series.start, series.start)
    days = named_days(_times(item.get("changed")), series.start) - named_days(series.exceptions, series.start)
    missing = {d for d in days if own.meets(first, d) and (series.expires is None or d <= series.expires)}
    return tuple(sorted((*there, *(instant(on_day(series.start, d)) for d in missing)), key=iso))


def _changed_values(has: Recurrence, found: Recurrence) -> dict[str, PimValue]:
    said: dict[str, PimValue] = {}
    if found.rrule != has.rrule:
        said["rrule"] = found.rrule or None
    for name, old, new in (("exdate", has.exdates, found.exdates), ("rdate", has.rdates, found.rdates)):
        if [instant(m) for m in old] != [instant(m) for m in new]:
            said[name] = new or None
    return said


def _front_moved(has: Recurrence, was: Series | None, wanted: Series | None, context: Context) -> dict[str, PimValue]:
    """Of the part before a later one (RANGE=THISANDFUTURE), which shares its rule, only occurrences can be left out
    and let in again. Raises CannotShow for the rest."""
    pattern = named(was.type, context.patterns) if was else None
    own = named(wanted.type, context.patterns) if wanted else None
    if was is None or wanted is None or pattern is None or was.expires is None or was.start != wanted.start:
        raise CannotShow("in a calendar, a series whose later part is different cannot move or repeat otherwise")
    if own is None:
        return {}
    first, last = day_of(was.start, was.start), min(was.expires, wanted.expires or was.expires)
    took_place = set(period_of(pattern).days(first, was.expires)) - named_days(was.exceptions, was.start)
    takes_place = set(period_of(own).days(first, last)) - named_days(wanted.exceptions, was.start)
    excluded = named_days(has.exdates, was.start)
    if wanted.expires is None or wanted.expires > was.expires or not takes_place - took_place <= excluded:
        raise CannotShow("in a calendar, a series whose later part is different has no further occurrences")
    kept = tuple(m for m in has.exdates if not named_days((m,), was.start) & takes_place)
    out = took_place - takes_place - named_days(has.changed, was.start)
    return _changed_values(has, replace(has, exdates=(*kept, *(on_day(was.start, day) for day in sorted(out)))))


def _part_moved(item: PimValues, has: Recurrence, was: Series | None, wanted: Series | None) -> dict[str, PimValue]:
    """Of the later part of a series (RANGE=THISANDFUTURE) only more can be left out: it has no rule of its own.
    Raises CannotShow for the rest."""
    if was is None or wanted is None or replace(wanted, exceptions=()) != replace(was, exceptions=()):
        raise CannotShow(
            "in the calendar, the later part of a series cannot have another rule, start or end than the series"
        )
    old, new = ({day_of(m, s.start) for m in s.exceptions} for s in (was, wanted))
    if old - new:
        raise CannotShow("in a calendar, what the later part of a series leaves out cannot take place again")
    assert has.first is not None
    assert has.moved_to is not None
    shift = timedelta(days=(day_of(has.moved_to, has.start) - day_of(has.first, has.start)).days)
    added = tuple(on_day(has.first, day - shift) for day in sorted(new - old))
    return {"exdate": (*has.exdates, *added)} if added else {}
