"""Put a deleted occurrence back into the series it was taken out of, touching nothing else (SYN-4)."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from syncengine.core.ical.lines import parse
from syncengine.core.ical.occurrences import extra_occurrence, key_of
from syncengine.core.ical.read import items_in, parts_of, read
from syncengine.core.ical.write import find, write
from syncengine.errors import ItemError
from syncengine.model.item import Item, PimValue
from syncengine.times import Moment


def put_back(text: str, snapshot: str, key: str, zone: ZoneInfo) -> str:
    """`text`, a resource as it is now, with the part of that key as `snapshot` last held it: its own component, or an
    extra date. The series leaves it out no longer. Unchanged where the part is there. Raises ItemError."""
    if find(text, key) is not None:
        return text
    changed = parts_of(snapshot).get(key)
    original = changed.original if changed else _extra(snapshot, key)
    text = _not_left_out(text, key, zone)
    if changed is None:
        return _with_date(text, original, zone)
    newline = "\r\n" if "\r\n" in text else "\n"
    component = snapshot[changed.component.start : changed.component.end].replace("\r\n", "\n").replace("\n", newline)
    at = items_in(parse(text))[-1].end
    return text[:at] + newline + component.removesuffix(newline) + text[at:]


def _extra(snapshot: str, key: str) -> Moment:
    series = read(snapshot)
    own = extra_occurrence(dict(series.values), key) if isinstance(series, Item) else None
    original = own.get("dtstart") if own else None
    if not isinstance(original, date):
        raise ItemError(
            "The occurrence cannot be put back: what it was is not known any more.",
            fix="Make it in the calendar; the next sync shares it again.",
        )
    return original


def _not_left_out(text: str, key: str, zone: ZoneInfo) -> str:
    start, out = _of_series(text, "exdate")
    kept = tuple(one for one in out if key_of(one, start) != key)
    return write(text, {"exdate": kept or None}, zone) if len(kept) < len(out) else text


def _with_date(text: str, original: Moment, zone: ZoneInfo) -> str:
    start, there = _of_series(text, "rdate")
    if any(key_of(one, start) == key_of(original, start) for one in there):
        return text
    together: PimValue = (*there, original)
    return write(text, {"rdate": together}, zone)


def _of_series(text: str, name: str) -> tuple[Moment | None, tuple[Moment, ...]]:
    """The series' start, and its dates of that name; none where there is no series."""
    if find(text) is None:
        return None, ()
    series = read(text)
    if not isinstance(series, Item):
        return None, ()
    start, found = series.values.get("dtstart"), series.values.get(name)
    dates = tuple(one for one in found if isinstance(one, date)) if isinstance(found, tuple) else ()
    return start if isinstance(start, date) else None, dates
