"""Conditions of policies: whether one holds, and what it was held against.

Values come as JSON and are compared in the field's type. A text is compared as text, a date as its midnight in UTC, a
list by its members: `eq` is met by one of them, `ne` by none. Nothing is less or more than an empty field.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from syncengine.core.filters import RECORD_FIELDS, comparable, members
from syncengine.model.directory import RecordType
from syncengine.model.policies import Change, Compare, Condition, Deed
from syncengine.model.values import FieldType, Json, from_json

Record = Mapping[str, Json]


def field_type(kind: RecordType, name: str) -> FieldType:
    """The type of a record's field; a field of the server's own is text."""
    return RECORD_FIELDS[kind].get(name, FieldType.TEXT)


def holds(condition: Condition, kind: RecordType, record: Record) -> bool:
    """Whether a condition about a value is met by a record. Not for conditions about changes."""
    return _compare(condition, field_type(kind, condition.field), record.get(condition.field))


def all_hold(conditions: tuple[Condition, ...], kind: RecordType, record: Record) -> bool:
    """Whether those of the conditions that are about values are met by a record."""
    return all(holds(c, kind, record) for c in conditions if not c.of_change)


def happens(condition: Condition, change: Change) -> bool:
    """Whether a condition about a change is met by it. An added record had no value before."""
    match condition.comparison:
        case Compare.ADDED:
            return change.deed is Deed.ADDED
        case Compare.DELETED:
            return change.deed is Deed.DELETED
        case Compare.UPDATED:
            touched = condition.field in change.old if condition.field else bool(change.old)
            return change.deed is Deed.UPDATED and touched
    return change.deed is not Deed.ADDED and holds(condition, change.type, before(change))


def before(change: Change) -> Record:
    """The record as it was before a change that did not add it."""
    return {**change.new, **change.old}


def _compare(condition: Condition, kind: FieldType, raw: Json) -> bool:
    actual = _read(raw, kind)
    filled = raw is not None and actual not in ((None,), ())
    how = condition.comparison
    if how in (Compare.NULL, Compare.NOT_NULL):
        empty = not filled or actual == (False,)
        return empty is (how is Compare.NULL)
    if how is Compare.CONTAINS:
        return filled and any(v.casefold() in str(a).casefold() for v in condition.values for a in actual)
    wanted = _wanted(condition, kind)
    if how in (Compare.EQ, Compare.IN):
        return any(a in wanted for a in actual)
    if how is Compare.NE:
        return not any(a in wanted for a in actual)
    return filled and all(_ordered(how, a, w) for a in actual for w in wanted)


def _ordered(how: Compare, actual: object, wanted: object) -> bool:
    try:
        return _ORDERS[how](actual, wanted)
    except TypeError:  # of a value that is not of its field's type
        return False


_ORDERS: Mapping[Compare, Callable[[Any, Any], bool]] = {
    Compare.LT: operator.lt,
    Compare.LE: operator.le,
    Compare.GT: operator.gt,
    Compare.GE: operator.ge,
}


@lru_cache(maxsize=1024)
def _wanted(condition: Condition, kind: FieldType) -> tuple[object, ...]:
    return tuple(v for text in condition.values for v in (_read(text, kind) or (None,)))


def _read(raw: Json, kind: FieldType) -> tuple[object, ...]:
    """The members of a value as they are compared; what cannot be read is its text."""
    try:
        return tuple(comparable(v) for v in members(from_json(raw, kind)))
    except ValueError:
        return (str(raw),)
