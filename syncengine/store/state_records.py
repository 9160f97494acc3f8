"""The records in a client's state: people, companies, activities to look at, and edits that wait (VIS-4, VIS-6).

What the server gives is stored as it was given; an edit that waits stands beside its record and is laid over it when
records are read, so that the user sees it at once and the server's own values are not lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from syncengine.core.directory_file import record_from_json, record_to_json
from syncengine.core.record_edit import pending
from syncengine.core.record_wire import edit_to_json, read_edit
from syncengine.core.visibility import stands_under
from syncengine.core.wire import activity_from_json, activity_to_json
from syncengine.model.activity import Activity
from syncengine.model.directory import Directory, Record, RecordKey, RecordType, directory_of, key_of
from syncengine.model.proxy import Proxy, There
from syncengine.model.visibility import RecordEdit
from syncengine.store import state_tables as t
from syncengine.store.state_part import StatePart


class StateRecords(StatePart):
    """Part of `store.state.State`."""

    def _select(self, where: sa.ColumnElement[bool], limit: int | None) -> list[Proxy]:
        raise NotImplementedError

    def directory(self) -> Directory:
        """Everybody and everything kept here, with the edits that wait."""
        r = t.record.c
        query = sa.select(r.type, r.complete, r.doc).where(r.type != RecordType.ACTIVITY.value)
        rows = [(_record(row.type, row.doc), row.complete) for row in self._rows(query)]
        edits = {edit.key: edit for edit in self.edits()}
        known = [(key_of(record), record, complete) for record, complete in rows]
        shown = [pending(record, edits[key]) if key in edits else record for key, record, _ in known]
        return directory_of(shown, (key for key, _, complete in known if not complete))

    def record(self, key: RecordKey) -> tuple[Record, bool] | None:
        """A record as the server gave it, and whether it is complete."""
        r = t.record.c
        rows = self._rows(sa.select(r.complete, r.doc).where(r.type == key[0].value, r.id == key[1]))
        return (_record(key[0].value, rows[0].doc), bool(rows[0].complete)) if rows else None

    def keep_records(self, given: Iterable[tuple[Record, bool]], gone: Iterable[RecordKey]) -> None:
        """Take over what the server gives, and what it gives no more."""
        rows = [_row(key_of(record), complete, record_to_json(record)) for record, complete in given]
        if rows:
            self._write(_PUT, rows)
        self._drop(gone)

    def forget_records(self) -> None:
        """All of them, and the activities to look at; edits that wait stay."""
        self._write(sa.delete(t.record))

    # --- activities to look at ---

    def keep_looked_at(self, activities: Iterable[Activity]) -> None:
        """Incomplete activities: they never get an item, and nothing of them is ever sent."""
        rows = [_row((RecordType.ACTIVITY, one.id), False, activity_to_json(one)) for one in activities]
        if rows:
            self._write(_PUT, rows)

    def forget_looked_at(self, ids: Iterable[str]) -> None:
        self._drop((RecordType.ACTIVITY, one) for one in ids)

    def activities_under(self, record_id: str | None) -> list[Activity]:
        """The live activities kept here, complete and to look at, that stand under a record or employee; None: all."""
        r = t.record.c
        looked_at = self._rows(sa.select(r.doc).where(r.type == RecordType.ACTIVITY.value))
        own = [proxy.server for proxy in self._select(t.proxy.c.there == There.LIVE.value, None)]
        found = [one for one in own if one is not None]
        found += [activity_from_json(json.loads(row.doc)) for row in looked_at]
        if record_id is None:
            return found
        return [one for one in found if stands_under(one, record_id)]

    # --- edits that wait ---

    def edits(self) -> list[RecordEdit]:
        e = t.record_edit.c
        rows = self._rows(sa.select(e.doc).order_by(e.type, e.id))
        return [read_edit(json.loads(row.doc)) for row in rows]

    def put_edit(self, edit: RecordEdit) -> None:
        row = {"type": edit.key[0].value, "id": edit.key[1], "doc": json.dumps(edit_to_json(edit), ensure_ascii=False)}
        self._write(sa.insert(t.record_edit).prefix_with("OR REPLACE"), row)

    def drop_edit(self, key: RecordKey) -> bool:
        """False when there was none."""
        e = t.record_edit.c
        return self._write(sa.delete(t.record_edit).where(e.type == key[0].value, e.id == key[1])) > 0

    def _drop(self, keys: Iterable[RecordKey]) -> None:
        if rows := [{"of": key[0].value, "one": key[1]} for key in keys]:
            self._write(_DROP, rows)


_PUT = sa.insert(t.record).prefix_with("OR REPLACE")
_DROP = sa.delete(t.record).where(t.record.c.type == sa.bindparam("of"), t.record.c.id == sa.bindparam("one"))


def _row(key: RecordKey, complete: bool, doc: Any) -> dict[str, Any]:
    text = json.dumps(doc, ensure_ascii=False)
    return {"type": key[0].value, "id": key[1], "complete": int(complete), "doc": text}


def _record(kind: str, doc: str) -> Record:
    return record_from_json(RecordType(kind), json.loads(doc))
