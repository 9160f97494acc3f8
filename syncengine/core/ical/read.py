"""iCalendar text → `Item`.

Only the properties that are asked for are interpreted. A resource that holds a series may hold changed occurrences
beside it (components with RECURRENCE-ID); each of these is an item of its own, a *part* of the resource, which is read
by its key. `occurrences` says what the keys are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from syncengine.core.ical.lines import Component, parse, unfold
from syncengine.core.ical.occurrences import (
    Changed,
    changed_occurrences,
    extra_occurrence,
    keys,
    later_part,
    master_values,
)
from syncengine.core.ical.uid import normal
from syncengine.core.ical.values import STRUCTURE, complete_end, values_of, zones_of
from syncengine.errors import ItemError
from syncengine.model.item import Item, PimValue
from syncengine.model.pim import Kind
from syncengine.times import Moment

KINDS = {"VEVENT": Kind.EVENT, "VTODO": Kind.TODO}


@dataclass(frozen=True, slots=True)
class NotShareable:
    """A sound calendar object of a kind that is left alone (ACT-9)."""

    reason: str


def read(text: str, wanted: Collection[str] = (), part: str = "") -> Item | NotShareable:
    """The item in `text`, or its part of that key, with the `wanted` properties (and those of STRUCTURE) as
    `model.item` describes them.

    Raises ItemError, without `where`, when the text is broken or a needed value cannot be understood. Without a part
    the item is the series itself; where there are only changed occurrences of one, it is `lone` and the first."""
    calendar = parse(text)
    components = items_in(calendar)
    if not components:
        others = sorted({c.name for c in calendar.children if c.name != "VTIMEZONE"})
        found = ", ".join(others) or "an empty calendar"
        return NotShareable(f"only calendar entries and to-dos are shared, not {found}")
    own, changed = _values(text, calendar, components, wanted)
    uid = str((own or changed[0].values).get("uid") or "").strip()
    there = keys(changed, own, idle=True) if part else {}
    values = _part_values(part, there, own, changed) if part else _whole(own, changed)
    return _GONE if values is None else _item(components[0], uid, values, tuple(keys(changed, own)), own)


_GONE = NotShareable("the occurrence is not there any more")


def _item(
    component: Component, uid: str, values: dict[str, PimValue], parts: tuple[str, ...], own: dict[str, PimValue] | None
) -> Item:
    return Item(KINDS[component.name], uid, {n: v for n, v in values.items() if n != "uid"}, parts, lone=own is None)


def parts_of(text: str) -> dict[str, Changed]:
    """The changed occurrences a resource has components for, by key. Raises ItemError."""
    calendar = parse(text)
    own, changed = _values(text, calendar, items_in(calendar), ())
    return keys(changed, own, idle=True)


def all_changed(text: str, wanted: Collection[str] = ()) -> list[Changed]:
    """Every component with RECURRENCE-ID; whether it is idle is judged by the `wanted` properties, too."""
    calendar = parse(text)
    return _values(text, calendar, items_in(calendar), wanted)[1]


def read_parts(text: str, wanted: Collection[str], keys_wanted: Iterable[str]) -> dict[str, Item | NotShareable]:
    """Several parts of a resource, the text read once. Raises ItemError."""
    calendar = parse(text)
    components = items_in(calendar)
    own, changed = _values(text, calendar, components, wanted)
    uid = str((own or changed[0].values).get("uid") or "").strip()
    there = keys(changed, own, idle=True)
    found: dict[str, Item | NotShareable] = {}
    for key in keys_wanted:
        values = _part_values(key, there, own, changed)
        found[key] = _GONE if values is None else _item(components[0], uid, values, (), own)
    return found


def find_time(text: str, component: Component, name: str) -> Moment:
    """A time of a component as it is written."""
    value = values_of(text, component, frozenset({name}), zones_of(text, parse(text)))[name]
    assert isinstance(value, date)
    return value


def _values(
    text: str, calendar: Component, components: list[Component], wanted: Collection[str]
) -> tuple[dict[str, PimValue] | None, list[Changed]]:
    """The values of the series itself, None where it is not there, and its changed occurrences."""
    master = master_of(text, components)
    names, zones = STRUCTURE | frozenset(wanted), zones_of(text, calendar)

    def values(component: Component) -> dict[str, PimValue]:
        found = values_of(text, component, names, zones)
        if component.name == "VEVENT":
            complete_end(found)
        return found

    own = values(master) if master else None
    others = [(c, values(c)) for c in components if c is not master]
    return own, changed_occurrences(text, others, own) if others else []


def items_in(calendar: Component) -> list[Component]:
    return [c for c in calendar.children if c.name in KINDS]


def _whole(own: dict[str, PimValue] | None, others: list[Changed]) -> dict[str, PimValue]:
    return master_values(own, others) if own is not None else dict(others[0].values)


def _part_values(
    part: str, there: dict[str, Changed], own: dict[str, PimValue] | None, others: list[Changed]
) -> dict[str, PimValue] | None:
    """The values of a part. What a private series does not say of an occurrence is private there, too (PRV-1)."""
    changed = there.get(part)
    if changed is None:
        return extra_occurrence(own, part) if own is not None else None
    values = later_part(changed, own, others) if changed.later and own else dict(changed.values)
    return {"class": own["class"], **values} if own and "class" in own else values


def master_of(text: str, components: list[Component]) -> Component | None:
    """The component without RECURRENCE-ID; None where there are only changed occurrences. Raises ItemError."""
    uids = {normal(unfold(text, line).partition(":")[2]) for c in components for line in c.named("UID")}
    if len(uids) > 1:
        shown = ", ".join(sorted(uids)[:3])
        raise ItemError(
            f"The file holds {len(uids)} different items ({shown}).",
            fix="Keep one item in each file; split this one.",
        )
    masters = [c for c in components if not any(c.named("RECURRENCE-ID"))]
    if len(masters) > 1:
        raise ItemError(
            f"The file holds {len(masters)} items with the same UID.",
            fix="Keep one item in each file; give the others UIDs of their own.",
        )
    return masters[0] if masters else None
