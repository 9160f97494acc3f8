"""Editing accounts, contacts and opportunities (VIS-6): values from words, and a user's edit laid onto a record.

An edit carries what each of its fields was when the user set it. A field that is still so, or is what the user wants
already, is set; one that somebody else has changed meanwhile is a conflict, and then nothing of the edit is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from syncengine.core.directory_file import NO_TEXT, record_from_json, record_to_json
from syncengine.core.filters import RECORD_FIELDS, RECORDS
from syncengine.core.mapping.grammar import nearest
from syncengine.errors import ItemError
from syncengine.model.directory import Directory, Record, RecordKey, RecordType
from syncengine.model.values import SETS, FieldType, Value, from_json, to_json
from syncengine.model.visibility import EditAnswer, RecordEdit

LONGEST_TEXT, MOST_MEMBERS = 1000, 5000
"""Characters of a text, members of a list: everybody who is given the record reads it whole."""
_REFERS = {"account": RecordType.ACCOUNT, "contacts": RecordType.CONTACT, "team": RecordType.EMPLOYEE}


def values_of(record: Record, kind: RecordType) -> dict[str, Value]:
    """The record's fields as values, lists in the order of their members."""
    return {name: _value(getattr(record, name), kind_) for name, kind_ in RECORD_FIELDS[kind].items()}


def _value(value: Any, kind: FieldType) -> Value:
    return tuple(sorted(value)) if kind in SETS else value


def typed(kind: RecordType, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Field values from JSON or from words. Raises ItemError with the nearest right name."""
    if kind not in RECORDS:
        raise ItemError(f"Records of the type {kind} are not edited here.", fix=f"edit {', '.join(RECORDS)}")
    known = {name: type_ for name, type_ in RECORD_FIELDS[kind].items() if name != "id"}
    for name in raw:
        if name not in known:
            raise ItemError(f'{kind.capitalize()}s have no field "{name}".', fix=nearest(name, known, '"{}"'))
    try:
        return {name: _value(from_json(value, known[name]), known[name]) for name, value in raw.items()}
    except ValueError as e:
        raise ItemError(f"The value cannot be used: {e}.", fix="correct it") from e


def with_values(record: Record, kind: RecordType, values: Mapping[str, Value]) -> Record:
    """The record with these values. Raises ItemError for what a record cannot hold."""
    plain = record_to_json(record) | {name: to_json(value) for name, value in values.items()}
    try:
        return record_from_json(kind, plain)
    except ValueError as e:
        raise ItemError(f"The {kind} cannot be stored: {e}.", fix="correct that value") from e


def edited(record: Record, edit: RecordEdit, directory: Directory) -> EditAnswer:
    """What becomes of an edit of a record as it now is. Raises ItemError for values no record can hold."""
    kind, now = edit.key[0], values_of(record, edit.key[0])
    wanted, base = typed(kind, edit.values), typed(kind, edit.base)
    moved = {name: now[name] for name, value in wanted.items() if now[name] not in (value, base.get(name))}
    if moved:
        return EditAnswer(record, moved)
    _check_limits(wanted)
    new = with_values(record, kind, wanted)
    _check_relations(new, record, directory)
    return EditAnswer(new)


def _check_limits(values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        members = value if isinstance(value, tuple) else (value,)
        if len(members) > MOST_MEMBERS:
            raise ItemError(f"{name} has more than {MOST_MEMBERS} members.", fix=f"shorten {name}")
        if any(isinstance(one, str) and len(one) > LONGEST_TEXT for one in members):
            raise ItemError(f"{name} is longer than {LONGEST_TEXT} characters.", fix=f"shorten {name}")
        if any(isinstance(one, str) and NO_TEXT.search(one) for one in members):
            raise ItemError(f"{name} holds a character that is not text.", fix=f"remove it from {name}")


def _check_relations(new: Record, old: Record, directory: Directory) -> None:
    """What an edit relates must be there; what was related before is not questioned again."""
    for name, kind in _REFERS.items():
        for one in _ids(getattr(new, name, None)) - _ids(getattr(old, name, None)):
            if (kind, one) not in directory.records:
                raise ItemError(f"There is no {kind} {one!r}.", fix=f"use the id of an {kind} of the directory")


def _ids(value: object) -> frozenset[str]:
    if isinstance(value, tuple):
        return frozenset(str(v) for v in value)
    return frozenset({str(value)}) if value else frozenset()


def pending(record: Record, edit: RecordEdit) -> Record:
    """A record as its user sees it before the edit has reached the server; unchanged where it no longer fits."""
    try:
        return with_values(record, edit.key[0], edit.values)
    except ItemError:
        return record


def add(edit: RecordEdit | None, key: RecordKey, record: Record, values: Mapping[str, Value]) -> RecordEdit:
    """A further edit of the same record. The base of a field stays what it was before the first."""
    now = values_of(record, key[0])
    before, base = (edit.values, edit.base) if edit else ({}, {})
    return RecordEdit(key, {**before, **values}, {**{n: now[n] for n in values}, **base})


def settled_for_mine(edit: RecordEdit, conflicts: Mapping[str, Value]) -> RecordEdit:
    """The edit once its user, who knows the server's values, wants their own all the same."""
    return replace(edit, base={**edit.base, **conflicts})
