"""A type map at work: items become activity fields, and activities become what items show.

Never move a whole decoded item: what one side cannot hold would be lost by an unrelated edit. `moved_up` and
`moved_down` give only what changed. Each takes the past of its own side, never the other side's present.

The shadow rule (FLD-1): the server may hold a value an item can show only coarsely (`1-ASAP` shows as high). When
the user sets the item to just what that value shows as, the value itself goes up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

from syncengine.core.filters import passes
from syncengine.core.ical.uid import normalise
from syncengine.core.mapping import series
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.converters import CONVERTERS, is_private
from syncengine.core.mapping.silence import SILENT, Silent
from syncengine.model.activity import field_type
from syncengine.model.filters import Filter
from syncengine.model.item import Item, PimValue, PimValues
from syncengine.model.mapping import Direction, FieldMap, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.recurrence import NotTranslated, Translation
from syncengine.model.values import SETS, Value, Values, empty, from_json
from syncengine.times import to_utc


def up(item: Item, type_map: TypeMap, context: Context) -> dict[str, Value]:
    """Every field of the activity the item speaks for, with its id and where it shows. Defaults are not included.

    A private item's fields that have a stand-in give that instead (PRV-1)."""
    fixed: dict[str, Value] = {"integration_id": unique_id(item, context), "display_in": type_map.display_in}
    series_uid, original = (None, None) if item.kind is Kind.EMAIL else _named(item)
    if original is not None:
        fixed["series"] = series_uid
    return fixed | _up_rows(item.values, type_map, context)


def unique_id(item: Item, context: Context) -> str | None:
    """The item's UID in the one form all programs' spellings of it share (KEY-1), of a message its key (MID-1); of a
    changed occurrence of a series, which has the series' UID, with its original start in UTC (KEY-8)."""
    if item.kind is Kind.EMAIL:
        return item.uid or None  # the key of its Message-ID already
    series, original = _named(item)
    if series is None or original is None:
        return series
    if isinstance(original, datetime):
        return f"{series}/{to_utc(original, context.zone):%Y%m%dT%H%M%SZ}"
    return f"{series}/{original:%Y%m%d}"


def _named(item: Item) -> tuple[str | None, date | None]:
    """The item's UID, and which occurrence of its series it is. Outlook says so in the UID itself where it invites to
    one occurrence only."""
    uid = normalise(item.uid)
    original = item.values.get("recurrence-id")
    if isinstance(original, date):
        return uid.key, original
    if uid.instance is None or item.values.get("rrule"):
        return uid.key, None
    start = item.values.get("dtstart")  # the id names the day alone; one that was not moved to another says the hour
    return uid.key, start if isinstance(start, datetime) and start.date() == uid.instance else uid.instance


def defaults(type_map: TypeMap) -> dict[str, Value]:
    """What else an item's activity gets when it is first made."""
    return {name: from_json(text, field_type(name)) for name, text in type_map.defaults.items()}


def down(values: Values, type_map: TypeMap, context: Context, private: bool = False) -> dict[str, PimValue]:
    """Every property the activity speaks for; None takes the property away. `private`: the item is private, so what
    has a stand-in stays as it is there. Where several rows write one property, the last that has a say wins."""
    images = ((row.pim, _image(row, values, context)) for row in _down_rows(type_map, private))
    return {pim: image for pim, image in images if image is not SILENT}


def moved_up(old: Item | None, new: Item, type_map: TypeMap, context: Context, shadow: Values) -> dict[str, Value]:
    """The fields a change of the item from `old` to `new` changes; all of them when there is no `old`.

    shadow: per field, the value the server last gave by itself."""
    if old is None:
        return up(new, type_map, context)
    before, after = _up_rows(old.values, type_map, context), _up_rows(new.values, type_map, context)
    return {
        row.field: _shadowed(row, after[row.field], context, shadow)
        for row in _moving(type_map, Direction.DOWN)
        if not same(row.field, before[row.field], after[row.field])
    }


def moved_down(old: Values, new: Values, item: Item | None, type_map: TypeMap, context: Context) -> dict[str, PimValue]:
    """The properties to set on the item so that it shows `new` where it showed `old`; None takes one away.

    Nothing is said about what the item shows already, in whatever spelling: PRIORITY 3 is as high as 1, and
    `COUNT=8` may be the same series as an UNTIL (REC-5).
    Without an item: everything, with the defaults of new items."""
    if item is None:
        shown = {name: image for name, image in down(new, type_map, context).items() if image is not None}
        return {**type_map.pim_defaults, **shown}
    rows = _down_rows(type_map, is_private(item.values))
    moved = [row for row in rows if _differ(row, old, new, context)]
    changed = [
        (row, _moved_image(row, old, new, item, context)) for row in moved if not CONVERTERS[row.converter].recurring
    ]
    whole = down(new, type_map, context)
    said = ((row.pim, whole.get(row.pim, SILENT) if image is SILENT else image) for row, image in changed)
    result = {pim: image for pim, image in said if image is not SILENT}
    result = {p: image for p, image in result.items() if not _shows(item, p, image, type_map.fields, context)}
    recurs = any(CONVERTERS[row.converter].recurring for row in rows)
    if recurs and any(row.pim == "dtstart" or CONVERTERS[row.converter].recurring for row in moved):
        result |= series.moved_down(item.values, old, new, context)
    return result


def untranslated(item: Item, type_map: TypeMap, context: Context) -> str | None:
    """Why the item's recurrence cannot go up, in words for people; None when it can or the map has no recurrence."""
    told = _told(item, type_map, context)
    return told.reason if isinstance(told, NotTranslated) else None


def _told(item: Item, type_map: TypeMap, context: Context) -> Translation | NotTranslated | None:
    maps_it = any(row.converter == "repeating" for row in _moving(type_map, Direction.DOWN))
    return series.translation_of(item.values, context) if maps_it else None


def recurring(type_map: TypeMap) -> frozenset[str]:
    """The fields that say together when a series takes place, its first occurrence included."""
    return recurring_among(type_map.fields)


def recurring_among(rows: Iterable[FieldMap]) -> frozenset[str]:
    """The same of the rows of a type."""
    up_rows = (row for row in rows if row.direction is not Direction.DOWN)
    return frozenset(r.field for r in up_rows if CONVERTERS[r.converter].recurring or r.pim in ("dtstart", "dtend"))


def told_before(item: Item, there: Values, type_map: TypeMap, context: Context) -> bool:
    """Whether an activity's series is the item's endless one, told up to an earlier day (REC-4)."""
    told, expires = series.translation_of(item.values, context), there.get("repeating_expires")
    if not isinstance(told, Translation) or told.horizon is None or not isinstance(expires, date):
        return False
    if expires >= told.horizon:
        return False
    then = _up_rows(item.values, type_map, replace(context, horizon=expires))
    return all(same(name, then.get(name), there.get(name)) for name in recurring(type_map) if name in then)


def more_from(item: Item, type_map: TypeMap, context: Context) -> date | None:
    """The day from which a later sync can tell more of an endless series; None where all of it is told (REC-4)."""
    told = _told(item, type_map, context)
    return told.more_from if isinstance(told, Translation) else None


def matches(chosen: Filter, values: Values) -> bool:
    """Whether an activity passes the filter; a filter without conditions lets everything pass.

    A list equals a value when it contains it. A date compares with an instant as its midnight in UTC."""
    return passes(chosen, values, field_type)


def same(name: str, one: Value, other: Value) -> bool:
    """Whether two values of a field mean the same: lists have no order, and empty is empty however it is written."""
    kind = field_type(name)
    one, other = (empty(kind) if v is None or v == "" else v for v in (one, other))
    if kind in SETS and isinstance(one, tuple) and isinstance(other, tuple):
        return frozenset(one) == frozenset(other)
    return one == other


def _moving(type_map: TypeMap, against: Direction) -> Iterator[FieldMap]:
    return (row for row in type_map.fields if row.direction is not against)


def _down_rows(type_map: TypeMap, private: bool) -> list[FieldMap]:
    return [row for row in _moving(type_map, Direction.UP) if not (private and row.private is not None)]


def _up_rows(values: PimValues, type_map: TypeMap, context: Context) -> dict[str, Value]:
    private = is_private(values)
    values = series.at_first_occurrence(values, context)
    return {row.field: _up_row(row, values, context, private) for row in _moving(type_map, Direction.DOWN)}


def _up_row(row: FieldMap, values: PimValues, context: Context, private: bool) -> Value:
    if private and row.private is not None:
        return from_json(row.private, field_type(row.field))
    convert = CONVERTERS[row.converter].up
    return convert(values, row, context) if convert else None


def _image(row: FieldMap, values: Values, context: Context) -> PimValue | Silent:
    convert = CONVERTERS[row.converter].down
    return convert(values, row, context) if convert else SILENT


def _moved_image(row: FieldMap, old: Values, new: Values, item: Item, context: Context) -> PimValue | Silent:
    image, moved = _image(row, new, context), CONVERTERS[row.converter].moved
    return moved(item.values.get(row.pim), _image(row, old, context), image) or None if moved else image


def _shadowed(row: FieldMap, value: Value, context: Context, shadow: Values) -> Value:
    kept = shadow.get(row.field)
    own_way = row.direction is not Direction.BOTH or CONVERTERS[row.converter].recurring
    if own_way or same(row.field, kept, None) or same(row.field, kept, value):
        return value
    image = _image(row, shadow, context)
    if image is SILENT:
        return value
    return kept if same(row.field, _up_row(row, {row.pim: image}, context, False), value) else value


def _differ(row: FieldMap, old: Values, new: Values, context: Context) -> bool:
    return _comparable(_image(row, old, context)) != _comparable(_image(row, new, context))


def _comparable(image: object) -> object:
    """Times by their instant: Python holds times in two zones for unequal near a clock change (PEP 495)."""
    if isinstance(image, tuple):
        return tuple(_comparable(i) for i in image)
    if isinstance(image, datetime):
        return ("instant", image.astimezone(UTC)) if image.tzinfo else ("floating", image)
    return image


def _shows(item: Item, pim: str, image: PimValue, rows: tuple[FieldMap, ...], context: Context) -> bool:
    """Whether the item has that value already, or one that means the same."""
    there = item.values.get(pim)
    if _comparable(there) == _comparable(image):
        return True
    both = [row for row in rows if row.pim == pim and row.direction is Direction.BOTH]
    one, other = {pim: there}, {pim: image}
    meant = (same(r.field, _up_row(r, one, context, False), _up_row(r, other, context, False)) for r in both)
    return bool(both) and all(meant)
