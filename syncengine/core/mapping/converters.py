"""Converters: the pairs (up, down) a mapping row names.

`up` reads an item's properties and gives the activity field's value; `down` reads an activity's fields and gives the
value of the row's property. Neither raises, whatever the values are. Two conventions hold throughout:

* Going up, instants are in UTC without fractions, all-day values are dates, lists are sorted, and what is not there
  is the field type's empty value.
* Going down, None means "the item has no such property", and `SILENT` means "this row has nothing to say about it".

Times, people, attachments and series have modules of their own; the table at the end holds all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from syncengine.core.mapping import attachments, messages, moments, people, series
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.properties import INTEGERS
from syncengine.core.mapping.silence import SILENT, Silent
from syncengine.model.item import PimValue, PimValues
from syncengine.model.mapping import Direction, FieldMap, ValueMap
from syncengine.model.values import FieldType, Value, Values

Up = Callable[[PimValues, FieldMap, Context], Value]
Down = Callable[[Values, FieldMap, Context], PimValue | Silent]
T = FieldType


@dataclass(frozen=True, slots=True)
class Converter:
    """A pair. `gives`: types of field it can serve; properties, fields: the only ones it serves (empty: any).

    joint: other rows may write the same property as well. recurring: it is one of several that say together when a
    series takes place, so `series.moved_down` changes an item there. moved: what a list of the item's becomes when the
    activity's changed (there, old, new); without, it becomes the activity's. value_map: whether a row must (True), may
    (None) or must not (False) name one."""

    gives: frozenset[FieldType]
    up: Up | None = None
    down: Down | None = None
    properties: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    joint: bool = False
    recurring: bool = False
    moved: Callable[[object, object, object], tuple[str, ...]] | None = None
    value_map: bool | None = False


def text_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    value = values.get(row.pim)
    return None if value is None or value == "" else str(value)


def text_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    value = values.get(row.field)
    return None if value is None or value == "" else str(value)


def integer_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _whole(values.get(row.pim))


def integer_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    return _whole(values.get(row.field))


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def mapped_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """Through the rows of the value map. An absent number counts as 0, as RFC 5545 3.8.1.9 has it for PRIORITY."""
    value = values.get(row.pim)
    return _server_word(_map(row, context), "" if value is None else str(value))


def mapped_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    word = _pim_word(_map(row, context), values, row.field)
    return _whole(word) if row.pim in INTEGERS else word or None


def _map(row: FieldMap, context: Context) -> ValueMap:
    return context.value_maps[row.value_map or ""]


def _server_word(value_map: ValueMap, pim: str) -> str | None:
    found = (
        r.server for r in value_map.rows if r.direction is not Direction.DOWN and r.pim.casefold() == pim.casefold()
    )
    return next(found, value_map.otherwise_up) or None


def _pim_word(value_map: ValueMap, values: Values, field: str) -> str:
    server = str(values.get(field) or "").casefold()
    found = (r.pim for r in value_map.rows if r.direction is not Direction.UP and r.server.casefold() == server)
    word = next(found, value_map.otherwise)
    return _status_of(_whole(values.get("percent_complete"))) if word == "percent" else word


def _status_of(percent: int | None) -> str:
    """FLD-1: what a status nobody knows shows as: 0 NEEDS-ACTION, 1 to 99 IN-PROCESS, 100 COMPLETED."""
    return "NEEDS-ACTION" if not percent or percent < 0 else "IN-PROCESS" if percent < 100 else "COMPLETED"


def _status(values: PimValues) -> str:
    """The to-do's status; where STATUS is not written, what COMPLETED and PERCENT-COMPLETE say (RFC 5545 3.8.1.11)."""
    if word := str(values.get("status") or "").upper():
        return word
    return "COMPLETED" if values.get("completed") else _status_of(_whole(values.get("percent-complete")))


def status_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _server_word(_map(row, context), _status(values))


def done_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return _status(values) == "COMPLETED"


def done_down(values: Values, row: FieldMap, context: Context) -> PimValue | Silent:
    """Ticked off shows as completed; not ticked leaves the word to the status."""
    return "COMPLETED" if values.get(row.field) else SILENT


def percent_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """A completed to-do is at 100 whatever is written, because many programs never touch PERCENT-COMPLETE."""
    if _status(values) == "COMPLETED":
        return 100
    percent = _whole(values.get(row.pim))
    return None if percent is None else max(0, min(100, percent))


def percent_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    """A row that names the status map shows 100 for whatever shows as completed."""
    if row.value_map and _pim_word(_map(row, context), values, "status") == "COMPLETED":
        return 100
    percent = _whole(values.get(row.field))
    return None if percent is None else max(0, min(100, percent))


def private_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """RFC 5545 3.8.1.3: CONFIDENTIAL, and every class we do not know, is treated as private."""
    return is_private(values)


def private_down(values: Values, row: FieldMap, context: Context) -> PimValue:
    return "PRIVATE" if values.get(row.field) else None


def is_private(values: PimValues) -> bool:
    """Whether the item is for its owner's eyes only (PRV-1)."""
    return str(values.get("class") or "PUBLIC").upper() != "PUBLIC"


N = TypeVar("N", bound=str)


def _only(*names: N) -> frozenset[N]:
    return frozenset(names)


CONVERTERS: Mapping[str, Converter] = {
    "text": Converter(_only(T.TEXT), text_up, text_down),
    "integer": Converter(_only(T.INTEGER), integer_up, integer_down, INTEGERS),
    "value-map": Converter(_only(T.TEXT), mapped_up, mapped_down, value_map=True),
    "status": Converter(_only(T.TEXT), status_up, mapped_down, _only("status"), value_map=True),
    "done": Converter(_only(T.FLAG), done_up, done_down, _only("status"), joint=True),
    "percent": Converter(_only(T.INTEGER), percent_up, percent_down, _only("percent-complete"), value_map=None),
    "private": Converter(_only(T.FLAG), private_up, private_down, _only("class")),
    "start": Converter(_only(T.MOMENT), moments.moment_up, moments.moment_down, _only("dtstart")),
    "end": Converter(_only(T.MOMENT), moments.end_up, moments.end_down, _only("dtend")),
    "moment": Converter(_only(T.MOMENT), moments.moment_up, moments.moment_down, _only("due")),
    "instant": Converter(_only(T.MOMENT), moments.instant_up, moments.instant_down, _only("completed", "date")),
    "duration": Converter(_only(T.INTEGER), moments.duration_up, properties=_only("dtend")),
    "all-day": Converter(_only(T.FLAG), moments.all_day_up, properties=_only("dtstart", "due")),
    "zone": Converter(_only(T.TEXT), moments.zone_up, properties=_only("dtstart", "due")),
    "owner": Converter(_only(T.TEXT), people.owner_up, properties=_only("organizer")),
    "creator": Converter(_only(T.TEXT), people.creator_up, properties=_only("organizer")),
    "assignee": Converter(_only(T.TEXT), people.assignee_up, properties=_only("organizer")),
    "revision": Converter(_only(T.TEXT), people.revision_up, properties=_only("dtstamp")),
    "employees": Converter(_only(T.IDS), people.employees_up, properties=_only("attendee")),
    "contacts": Converter(_only(T.IDS), people.contacts_up, properties=_only("attendee")),
    "participants": Converter(_only(T.ADDRESSES), people.participants_up, properties=_only("attendee")),
    "attachments": Converter(
        _only(T.ATTACHMENTS),
        attachments.attachments_up,
        attachments.attachments_down,
        _only("attach"),
        moved=attachments.moved,
    ),
    "message-owner": Converter(_only(T.TEXT), messages.owner_up, properties=_only("from")),
    "message-type": Converter(_only(T.TEXT), messages.type_up, properties=_only("from")),
    "message-employees": Converter(_only(T.IDS), messages.employees_up, properties=_only("from")),
    "message-contacts": Converter(_only(T.IDS), messages.contacts_up, properties=_only("from")),
    "addresses": Converter(_only(T.ADDRESSES), messages.addresses_up, properties=_only("to", "cc", "bcc")),
    "address": Converter(_only(T.TEXT), messages.address_up, properties=_only("from")),
    "name": Converter(_only(T.TEXT), messages.name_up, properties=_only("from-name")),
    "files": Converter(_only(T.ATTACHMENTS), messages.files_up, properties=_only("files")),
    "repeating": Converter(
        _only(T.FLAG, T.TEXT, T.DATE),
        series.rule_up,
        series.rule_down,
        _only("rrule"),
        _only("repeating", "repeating_type", "repeating_expires"),
        joint=True,
        recurring=True,
    ),
    "exceptions": Converter(
        _only(T.MOMENTS),
        series.exceptions_up,
        series.exceptions_down,
        _only("exdate"),
        _only("exceptions"),
        recurring=True,
    ),
}
"""Every converter a mapping file may name."""
