"""The change log `act_change`: every change of an activity or record, written in the transaction that makes it (POL-1).

It holds what policies are fed with. Nothing is written before somebody asks for it (`act_meta.logging`, which comes
with the change number, so that asking costs nothing). As numbers become visible in their order (`store.activities`),
who reads on from a number misses none. Lines are kept until the transaction ends: a savepoint that is undone takes
its own back, and one statement writes them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from syncengine.core.record_edit import values_of
from syncengine.model.activity import SERVER_ONLY, Activity
from syncengine.model.directory import Record, RecordKey, RecordType, key_of
from syncengine.model.policies import TYPES, Change, Deed
from syncengine.model.values import Json, Value, to_json
from syncengine.store import policy_tables as p
from syncengine.times import iso, parse_moment


class ChangeLog:
    """The lines of one transaction, where it is `on`. by: who makes the changes that follow."""

    def __init__(self, connection: sa.Connection, number: int, *, on: bool) -> None:
        self._connection, self._number, self.on = connection, number, on
        self.by = ""
        self.lines: list[dict[str, object]] = []

    def activity(self, deed: Deed, old: Activity | None, new: Activity, at: datetime) -> None:
        """old: as it was before an update."""
        before = filled({n: old[n] for n in {*old.values, *new.values}}) if old else {}
        after = filled({n: new[n] for n in new.values})
        self._line(RecordType.ACTIVITY, new.id, deed, before, after, at)

    def records(
        self, old: Mapping[RecordKey, Record], new: Mapping[RecordKey, Record], keys: Iterable[RecordKey], at: datetime
    ) -> None:
        """Those of the records with these keys that a policy can be about; what is not in `new` is deleted."""
        for key in sorted(keys):
            before, after = old.get(key), new.get(key)
            if key[0] in TYPES and (last := after or before):
                deed = Deed.DELETED if after is None else Deed.ADDED if before is None else Deed.UPDATED
                was = values_in_log(before) if before and after else {}
                self._line(key[0], key[1], deed, was, values_in_log(last), at)

    def _line(
        self,
        kind: RecordType,
        record_id: str,
        deed: Deed,
        before: Mapping[str, object],
        after: Mapping[str, object],
        at: datetime,
    ) -> None:
        names = sorted({*before, *after}) if deed is Deed.UPDATED else ()
        old = {name: before.get(name) for name in names if before.get(name) != after.get(name)}
        self.lines.append(
            {
                "number": self._number,
                "position": len(self.lines),
                "at": iso(at),
                "type": kind.value,
                "record_id": record_id,
                "deed": deed.value,
                "old": json.dumps(old, ensure_ascii=False),
                "new": json.dumps(after, ensure_ascii=False),
                "by": self.by,
            }
        )

    def write(self) -> None:
        """Write the lines; the transaction ends."""
        if self.lines:
            self._connection.execute(sa.insert(p.change), self.lines)


def filled(values: Mapping[str, Value]) -> dict[str, Json]:
    """The fields of an activity that hold something, as the log has them."""
    found = {name: to_json(value) for name, value in values.items() if name not in SERVER_ONLY}
    return {name: raw for name, raw in found.items() if raw not in (None, "", [])}


def values_in_log(record: Record) -> dict[str, Json]:
    """The same of a contact, account or opportunity."""
    return filled(values_of(record, key_of(record)[0]))


# --- reading ---------------------------------------------------------------------------------------------------------


def read(connection: sa.Connection, after: int, limit: int) -> tuple[list[Change], bool]:
    """Changes with higher numbers, oldest first, and whether there are more. Whole numbers only: one that the limit
    cuts waits for the next page, unless it is the only one; then the page is longer."""
    query = sa.select(p.change).order_by(p.change.c.number, p.change.c.position)
    rows = connection.execute(query.where(p.change.c.number > after).limit(limit + 1)).mappings().all()
    if len(rows) <= limit:
        return [_change(row) for row in rows], False
    first, cut = rows[0]["number"], rows[limit]["number"]
    if first < cut:
        return [_change(row) for row in rows if row["number"] < cut], True
    rows = connection.execute(query.where(p.change.c.number == first)).mappings().all()
    return [_change(row) for row in rows], True


def read_since(connection: sa.Connection, at: datetime) -> list[Change]:
    """All changes kept that were made at or after a moment."""
    query = sa.select(p.change).where(p.change.c.at >= iso(at)).order_by(p.change.c.number, p.change.c.position)
    return [_change(row) for row in connection.execute(query).mappings()]


def last_of(connection: sa.Connection, key: RecordKey) -> Change | None:
    """The last change of a record that is kept."""
    query = sa.select(p.change).where(p.change.c.type == key[0].value, p.change.c.record_id == key[1])
    newest = query.order_by(p.change.c.number.desc(), p.change.c.position.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return _change(row) if row else None


def _change(row: sa.RowMapping) -> Change:
    return Change(
        row["number"],
        row["position"],
        moment(row["at"]),
        RecordType(row["type"]),
        row["record_id"],
        Deed(row["deed"]),
        json.loads(row["old"]),
        json.loads(row["new"]),
        row["by"],
    )


def moment(text: str) -> datetime:
    """The inverse of `iso` for what is known to be an instant."""
    found = parse_moment(text)
    assert isinstance(found, datetime)
    return found
