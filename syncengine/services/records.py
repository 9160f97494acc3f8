"""The records a client keeps: looking them up and editing them, offline as well (VIS-2, VIS-4, VIS-6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.core import record_edit
from syncengine.core.filters import RECORDS
from syncengine.core.lookup import Candidate, closest
from syncengine.errors import ItemError, NotThere
from syncengine.model.directory import Directory, Record, RecordKey, RecordType
from syncengine.model.visibility import RecordEdit
from syncengine.ports import ClientState
from syncengine.services.sync.records_side import PROBLEMS, named


def look_up(directory: Directory, text: str, kind: RecordType | None = None, limit: int = 10) -> list[RecordKey]:
    """The closest matches among the records kept here, complete or not, by name or address; the best first."""
    wanted = (*RECORDS, RecordType.EMPLOYEE) if kind is None else (kind,)
    candidates = (
        Candidate(key, record.name, getattr(record, "addresses", ()))
        for key, record in directory.records.items()
        if key[0] in wanted
    )
    return [found.key for found in closest(text, candidates, limit)]  # type: ignore[misc]


def set_fields(state: ClientState, key: RecordKey, raw: Mapping[str, Any]) -> Record:
    """Change fields of a complete record; the next sync tells the server. Raises ItemError, NotThere."""
    values = record_edit.typed(key[0], raw)
    record = _complete(state, key)
    edit = record_edit.add(_edit(state, key), key, record, values)
    shown = record_edit.with_values(record, key[0], edit.values)
    with state.transaction():
        state.put_edit(edit)
    return shown


def undo(state: ClientState, key: RecordKey) -> None:
    """Take an edit back that waits: the server's values stand."""
    with state.transaction():
        if not state.drop_edit(key):
            raise NotThere(
                f"No edit of {named(key)} waits.", fix=f'"syncengine record show {named(key)}" tells what is there'
            )
        state.solve(PROBLEMS, [named(key)])
        state.set_fact("counts", None)  # a run that finds nothing new would repeat the old ones


def keep(state: ClientState, key: RecordKey) -> None:
    """Keep an edit although the server's values differ: the next sync puts it there."""
    edit = _edit(state, key)
    if edit is None:
        raise NotThere(
            f"No edit of {named(key)} waits.", fix=f'"syncengine record show {named(key)}" tells what is there'
        )
    theirs = record_edit.values_of(_complete(state, key), key[0])
    with state.transaction():
        state.put_edit(record_edit.settled_for_mine(edit, {name: theirs[name] for name in edit.values}))


def _edit(state: ClientState, key: RecordKey) -> RecordEdit | None:
    return next((edit for edit in state.edits() if edit.key == key), None)


def _complete(state: ClientState, key: RecordKey) -> Record:
    found = state.record(key)
    if found is None:
        raise NotThere(f"There is no {named(key)} here.", fix='"syncengine lookup" finds what there is')
    record, complete = found
    if not complete:
        raise ItemError(
            f"{record.name} is incomplete: it may be looked at, not changed.",
            fix="widen your filter so that it matches, or ask to be put on its team",
        )
    return record
