"""The parts of a resource: occurrences of its series that are items of their own (KEY-8, REC-3).

A part is known by its key, the day of its original start on the series' wall clock: `20260309`, with the time behind
it where that is not the series' (`20260309T143000`). Occurrences of a series fall on different days, and a day stays
when the whole series moves to another hour. Three kinds of part exist:

* a changed occurrence: a component with RECURRENCE-ID;
* a changed occurrence with RANGE=THISANDFUTURE, which is a series of its own from there on;
* an extra date (RDATE): it has no component until somebody changes it.

A component that changes nothing the mapping looks at (an alarm, somebody's answer) is no part: the occurrence is the
series'. A cancelled one is none either: the occurrence is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from syncengine.core.ical.lines import Component
from syncengine.core.ical.values import parts
from syncengine.core.recurrence.wall import after, day_of, instant, length, like, named_days
from syncengine.errors import ItemError
from syncengine.model.item import PimValue, PimValues
from syncengine.times import Moment

Own = dict[str, PimValue]
_OF_THE_SERIES = frozenset({"uid", "rrule", "rdate", "exdate", "recurrence-id", "sequence", "dtstamp", "declined"})
_TIMES = frozenset({"dtstart", "dtend", "due", "duration"})


@dataclass(frozen=True, slots=True)
class Changed:
    """A component with RECURRENCE-ID. `original`: the start it replaces, of the kind of the series' start.
    later: it stands for all that follow, too."""

    component: Component
    values: Own
    original: Moment
    later: bool
    cancelled: bool
    idle: bool  # it changes nothing


def changed_occurrences(text: str, found: Sequence[tuple[Component, Own]], own: Own | None) -> list[Changed]:
    """Raises ItemError where two stand for the same occurrence."""
    changed = [_changed(text, component, values, own) for component, values in found]
    changed.sort(key=lambda c: str(instant(c.original)))
    for one, other in pairwise(changed):
        if instant(one.original) == instant(other.original):
            raise ItemError(
                f"The occurrence of {one.original} is changed twice.",
                fix="Keep one item for each RECURRENCE-ID; take the other out.",
            )
    return changed


def _changed(text: str, component: Component, values: Own, own: Own | None) -> Changed:
    original, start = values.get("recurrence-id"), (own or values).get("dtstart")
    assert isinstance(original, date)
    original = like(original, start) if isinstance(start, date) else original
    values["recurrence-id"] = original
    line = next(component.named("RECURRENCE-ID"))
    later = str(parts(text, line)[1].get("RANGE", "")).upper() == "THISANDFUTURE"
    cancelled = str(values.get("status") or "").upper() == "CANCELLED"
    idle = own is not None and not later and not cancelled and _changes_nothing(values, own, original)
    return Changed(component, values, original, later, cancelled, idle)


def _changes_nothing(values: Own, own: Own, original: Moment) -> bool:
    start, own_start = values.get("dtstart"), own.get("dtstart")
    if not isinstance(start, date) or not isinstance(own_start, date) or instant(start) != instant(original):
        return False
    out = own.get("exdate")
    if isinstance(out, tuple) and day_of(original, own_start) in named_days(out, own_start):  # type: ignore[arg-type]
        return False  # left out of the series and here all the same: it stands apart
    if any(_length(values, name) != _length(own, name) for name in ("dtend", "due")):
        return False
    names = (values.keys() | own.keys()) - _OF_THE_SERIES - _TIMES
    return all(_unordered(values.get(name)) == _unordered(own.get(name)) for name in names)


def _unordered(value: PimValue) -> object:
    return frozenset(value) if isinstance(value, tuple) else value


def _length(values: PimValues, name: str) -> object:
    """How long it is from the start to that time; the time itself where the two cannot be compared."""
    long = length(values.get("dtstart"), values.get(name))
    return values.get(name) if long is None else long


def key_of(original: Moment, start: Moment | None) -> str:
    """The key of the occurrence that originally began then; `start` is the series' own."""
    original = original if start is None else like(original, start)
    timed = isinstance(original, datetime) and isinstance(start, datetime) and original.time() != start.time()
    return f"{original:%Y%m%dT%H%M%S}" if timed else f"{original:%Y%m%d}"


def keys(others: Sequence[Changed], own: Own | None, *, idle: bool = False) -> dict[str, Changed]:
    """The parts that have a component, by key, in order; `idle`: also the components that are no parts because they
    change nothing."""
    start = own.get("dtstart") if own else None
    found: dict[str, Changed] = {}
    for changed in others:
        if changed.cancelled or (changed.idle and not idle):
            continue
        key = key_of(changed.original, start if isinstance(start, date) else None)
        if key in found and isinstance(changed.original, datetime):
            key = f"{changed.original:%Y%m%dT%H%M%S}"
        found[key] = changed
    return found


def master_values(own: Own, others: Sequence[Changed]) -> Own:
    """The series' values, with what the others take away from it."""
    values = dict(own)
    if taken := _taken(others):
        values["changed"] = taken
    if later := [c.original for c in others if c.later]:
        values["before"] = later[0]
    return values


def _taken(others: Sequence[Changed]) -> tuple[Moment, ...]:
    """The occurrences the series has no more: changed or cancelled ones."""
    return tuple(c.original for c in others if not c.idle and not c.later)


def later_part(changed: Changed, own: Own, others: Sequence[Changed]) -> Own:
    """The values of the part of the series that begins with `changed`: its own, and the series' rule."""
    values = {name: own[name] for name in ("rrule", "rdate") if name in own} | changed.values
    values["series-start"] = own.get("dtstart")
    out = (*_moments(own.get("exdate")), *_moments(changed.values.get("exdate")))
    if out:
        values["exdate"] = out
    if taken := _taken(others):
        values["changed"] = taken
    mine = str(instant(changed.original))
    following = [c.original for c in others if c.later and str(instant(c.original)) > mine]
    if following:
        values["before"] = following[0]
    return values


def _moments(value: PimValue) -> tuple[Moment, ...]:
    return tuple(m for m in value if isinstance(m, date)) if isinstance(value, tuple) else ()


def extra_occurrence(own: Own, key: str) -> Own | None:
    """The values of the occurrence an RDATE adds: the series' own, at that time."""
    start, rdates = own.get("dtstart"), own.get("rdate")
    if not isinstance(start, date) or not isinstance(rdates, tuple):
        return None
    found = [m for raw in rdates if isinstance(raw, date) and key_of(m := like(raw, start), start) == key]
    return occurrence_at(own, found[0]) if found else None


def occurrence_at(own: Own, original: Moment) -> Own:
    """The values of the occurrence that begins then: the series' own, as long, exactly (RFC 5545 3.8.5.3)."""
    start = own.get("dtstart")
    assert isinstance(start, date)
    original = like(original, start)
    values = {name: value for name, value in own.items() if name not in _OF_THE_SERIES}
    values |= {"dtstart": original, "recurrence-id": original}
    for name in ("dtend", "due"):
        if (long := length(start, own.get(name))) is not None:
            values[name] = after(original, long)
    return values
