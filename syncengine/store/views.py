"""Views in the activity server's database: which records and activities each employee is given, and since when.

**Both feeds are index ranges.** `act_view_record` holds, for every employee who has told the server a view, how each
record is given and the number of the last change the employee should hear of; `act_member` the same for activities.
They are kept up to date with every change of a record, an activity or a view, so that what a user's sync costs is what
changed for that user. Who has told no view is given every record, by the records' own numbers, and their team's
activities.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from syncengine.core.filters import RECORDS, view_from_json, view_to_json
from syncengine.core.visibility import Eyes, given_activity, parents, touched
from syncengine.model.activity import Activity
from syncengine.model.directory import Directory, RecordKey, RecordType
from syncengine.model.filters import View
from syncengine.model.values import ids
from syncengine.model.visibility import Given
from syncengine.store import server_tables as t
from syncengine.store.server_directory import upsert

Position = tuple[int, str, str]
"""Where a page of the records' feed ends: number, type, id."""
MANY = 500


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """`column` is one of `values`, which travel as one parameter however many they are."""
    if connection.dialect.name == "postgresql":
        wanted = sa.bindparam("among", list(values), type_=sa.ARRAY(sa.Text), unique=True)
        return column == sa.any_(wanted)
    return column.in_(sa.select(sa.func.json_each(json.dumps(list(values))).table_valued("value").c.value))


class Views:
    """The views inside one transaction. number: that of its change; 0 for a reader."""

    def __init__(self, connection: sa.Connection, number: int) -> None:
        self._connection, self._number = connection, number
        self._read: dict[str, View | None] = {}
        self._members: list[dict[str, object]] = []

    @cached_property
    def _texts(self) -> dict[str, str]:
        """Employee id → the view told last, as JSON, of all who have told one."""
        rows = self._connection.execute(sa.select(t.view.c.employee_id, t.view.c.view))
        return {row.employee_id: row.view for row in rows if row.view}

    def of(self, employee_id: str) -> View | None:
        """The view an employee has told last."""
        if employee_id not in self._read:
            text = self._texts.get(employee_id)
            self._read[employee_id] = view_from_json(json.loads(text)) if text else None
        return self._read[employee_id]

    @property
    def any(self) -> bool:
        """Whether anybody has told one."""
        return bool(self._texts)

    def has(self, employee_id: str) -> bool:
        return employee_id in self._texts

    def changes(self, employee_id: str) -> int:
        query = sa.select(t.view.c.changes).where(t.view.c.employee_id == employee_id)
        return int(self._connection.execute(query).scalar_one_or_none() or 0)

    def pins(self, employee_id: str) -> frozenset[RecordKey]:
        query = sa.select(t.pin.c.type, t.pin.c.record_id).where(t.pin.c.employee_id == employee_id)
        return frozenset((RecordType(row.type), row.record_id) for row in self._connection.execute(query))

    # --- telling -----------------------------------------------------------------------------------------------------

    def tell(self, employee_id: str, view: View, directory: Directory) -> list[RecordKey]:
        """Take over a view. The records that have become complete, or are so no more.

        An employee who had no view was given everything, and may not have heard yet of what was removed since: so all
        that is not given any more has left."""
        first, text = not self.has(employee_id), json.dumps(view_to_json(view), ensure_ascii=False)
        self._note(employee_id, text)
        self._texts[employee_id], self._read[employee_id] = text, view
        eyes = Eyes(directory, view, employee_id, self.pins(employee_id))
        wanted = eyes.everything() | (dict.fromkeys(self._removed(), Given.NOT) if first else {})
        return self._give(employee_id, wanted, self._given(employee_id, None), even_nothing=first)

    def _removed(self) -> Iterator[RecordKey]:
        for kind, table in zip(RECORDS, (t.account, t.contact, t.opportunity), strict=True):
            for row in self._connection.execute(sa.select(table.c.id).where(table.c.deleted == 1)):
                yield kind, row.id

    def set_pin(self, employee_id: str, key: RecordKey, directory: Directory, *, pinned: bool) -> None:
        row = {"employee_id": employee_id, "type": key[0].value, "record_id": key[1]}
        if pinned and key not in self.pins(employee_id):
            self._connection.execute(sa.insert(t.pin), row)
        elif not pinned:
            self._connection.execute(sa.delete(t.pin).where(*(t.pin.c[name] == value for name, value in row.items())))
        self._note(employee_id, None)
        if view := self.of(employee_id):
            eyes = Eyes(directory, view, employee_id, self.pins(employee_id))
            self._give(employee_id, {key: eyes.given(key)}, self._given(employee_id, [key]))

    def _note(self, employee_id: str, view: str | None) -> None:
        """Count the change; None leaves the view as it is."""
        known = self._connection.execute(
            sa.select(t.view.c.view).where(t.view.c.employee_id == employee_id)
        ).scalar_one_or_none()
        row = {"employee_id": employee_id, "view": view or known, "changes": self.changes(employee_id) + 1}
        upsert(self._connection, t.view, [row])

    # --- records -----------------------------------------------------------------------------------------------------

    def records_changed(
        self, old: Directory, new: Directory, changed: Collection[RecordKey]
    ) -> dict[str, list[RecordKey]]:
        """Keep every view up to date with changed records. Per employee, those that have become complete, or are so
        no more."""
        found = {}
        for employee_id in self._texts:
            view, pins = self.of(employee_id), self.pins(employee_id)
            assert view is not None
            before, after = Eyes(old, view, employee_id, pins), Eyes(new, view, employee_id, pins)
            keys = sorted(key for key in touched(before, after, changed) if key[0] in RECORDS)
            wanted = {key: after.given(key) for key in keys}
            moved = self._give(employee_id, wanted, self._given(employee_id, keys), told_anew=changed)
            if moved:
                found[employee_id] = moved
        return found

    def _give(
        self,
        employee_id: str,
        wanted: Mapping[RecordKey, Given],
        known: Mapping[RecordKey, Given],
        *,
        told_anew: Collection[RecordKey] = (),
        even_nothing: bool = False,
    ) -> list[RecordKey]:
        """Store how records are given, where it differs or the record itself has changed."""
        again, rows, moved = set(told_anew), [], []
        for key, given in wanted.items():
            before = known.get(key)
            same = (before or Given.NOT) is given
            if same and not (key in again and given) and not (even_nothing and before is None):
                continue
            rows.append(
                {
                    "employee_id": employee_id,
                    "type": key[0].value,
                    "record_id": key[1],
                    "given": int(given),
                    "number": self._number,
                }
            )
            if Given.COMPLETE in (given, before) and given is not before:
                moved.append(key)
        upsert(self._connection, t.view_record, rows)
        return moved

    def _given(self, employee_id: str, keys: Sequence[RecordKey] | None) -> dict[RecordKey, Given]:
        """How the records are given now, where a row says so. keys None: all."""
        r = t.view_record.c
        query = sa.select(r.type, r.record_id, r.given).where(r.employee_id == employee_id)
        if keys is not None:
            query = query.where(among(self._connection, r.record_id, sorted({key[1] for key in keys})))
        rows = self._connection.execute(query)
        return {(RecordType(row.type), row.record_id): Given(row.given) for row in rows}

    def given(self, employee_id: str) -> dict[RecordKey, Given] | None:
        """Every record the employee is given, complete or not; None: all there are."""
        if not self.has(employee_id):
            return None
        return {key: how for key, how in self._given(employee_id, None).items() if how}

    def given_of(self, employee_id: str, key: RecordKey) -> Given:
        """How one record that is there is given."""
        if key[0] not in RECORDS or not self.has(employee_id):
            return Given.COMPLETE
        return self._given(employee_id, [key]).get(key, Given.NOT)

    def feed(self, employee_id: str, after: Position, limit: int) -> list[tuple[Position, Given]]:
        """What is given in another way, or changed, since a position."""
        parts = [_own_numbers(t.employee, RecordType.EMPLOYEE)]
        if self.has(employee_id):
            r = t.view_record.c
            mine = sa.select(r.number, r.type, r.record_id.label("id"), r.given).where(r.employee_id == employee_id)
            parts.append(mine)
        else:
            tables = (t.account, t.contact, t.opportunity)
            parts += [_own_numbers(table, kind) for table, kind in zip(tables, RECORDS, strict=True)]
        number, kind, record_id = after
        found: list[tuple[Position, Given]] = []
        for part in parts:  # each by its own index, then the earliest of them all
            rows = part.subquery().c
            kinds, ids = self._as_texts(rows.type), self._as_texts(rows.id)
            later = sa.or_(
                rows.number > number,
                sa.and_(rows.number == number, kinds > kind),
                sa.and_(rows.number == number, rows.type == kind, ids > record_id),
            )
            query = sa.select(*rows).where(rows.number >= number, later).order_by(rows.number, kinds, ids)
            answer = self._connection.execute(query.limit(limit))
            found += [((row.number, row.type, row.id), Given(row.given)) for row in answer]
        return sorted(found)[:limit]

    def _as_texts(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Ordered as Python orders texts, whatever language the database speaks."""
        return sa.collate(column, "C") if self._connection.dialect.name == "postgresql" else column

    # --- activities --------------------------------------------------------------------------------------------------

    def activity_changed(self, activity: Activity, *, new: bool) -> None:
        """Tell everybody who is given the activity, or was until now."""
        rows: dict[str, tuple[int, int]] = {}
        if not new:
            m = t.member.c
            query = sa.select(m.employee_id, m.live, m.complete).where(m.activity_id == activity.id)
            rows = {row.employee_id: (row.live, row.complete) for row in self._connection.execute(query)}
        self._relate(activity, new=new)
        near = self._complete_for_whom(activity) if self._texts else {}
        for one in sorted({*ids(activity["employees"]), *rows, *near}):
            given = given_activity(activity, one, self.of(one), near.get(one, ()))
            self._give_activity(activity, one, given, rows.get(one), again=True)
        self._write()

    def _relate(self, activity: Activity, *, new: bool) -> None:
        contacts = sorted(ids(activity["contacts"]))
        c = t.activity_contact.c
        if not new:
            stays = among(self._connection, c.contact_id, contacts)
            self._connection.execute(sa.delete(t.activity_contact).where(c.activity_id == activity.id, sa.not_(stays)))
            known = {row.contact_id for row in self._connection.execute(
                sa.select(c.contact_id).where(c.activity_id == activity.id)
            )}  # fmt: skip
            contacts = [one for one in contacts if one not in known]
        if contacts:
            rows = [{"activity_id": activity.id, "contact_id": one} for one in contacts]
            self._connection.execute(sa.insert(t.activity_contact), rows)

    def _complete_for_whom(self, activity: Activity) -> dict[str, set[RecordKey]]:
        """Per employee, which of the activity's parents are complete."""
        found: dict[str, set[RecordKey]] = {}
        r = t.view_record.c
        for kind, record_id in parents(activity):
            query = sa.select(r.employee_id).where(
                r.type == kind.value, r.record_id == record_id, r.given == int(Given.COMPLETE)
            )
            for row in self._connection.execute(query):
                found.setdefault(row.employee_id, set()).add((kind, record_id))
        return found

    def complete_of(self, employee_id: str, keys: Iterable[RecordKey]) -> frozenset[RecordKey]:
        """Those of the records that are complete for an employee who has a view."""
        wanted = sorted(set(keys))
        if not wanted:
            return frozenset()
        known = self._given(employee_id, wanted)
        return frozenset(key for key in wanted if known.get(key) is Given.COMPLETE)

    def look_again(self, employee_id: str, activities: Iterable[Sequence[Activity]]) -> None:
        """Decide anew how these live activities are given to one employee whose view has changed."""
        view = self.of(employee_id)
        for some in activities:
            near = self.complete_of(employee_id, (key for one in some for key in parents(one)))
            m = t.member.c
            query = sa.select(m.activity_id, m.live, m.complete).where(
                m.employee_id == employee_id, among(self._connection, m.activity_id, [one.id for one in some])
            )
            rows = {row.activity_id: (row.live, row.complete) for row in self._connection.execute(query)}
            for one in sorted(some, key=lambda activity: activity.id):
                given = given_activity(one, employee_id, view, near)
                self._give_activity(one, employee_id, given, rows.get(one.id), again=False)
            self._write()

    def _give_activity(
        self, activity: Activity, employee_id: str, given: Given, before: tuple[int, int] | None, *, again: bool
    ) -> None:
        """Note how an employee is given an activity, for `_write`. before: live and complete, as stored.

        again: it has changed, so who is given it hears of it in any case; and so does a member of the team whose own
        view leaves it out, for whom it may just have been stored."""
        now = (int(given is not Given.NOT), int(given is Given.COMPLETE))
        on_team = employee_id in ids(activity["employees"])
        was_live = before is not None and before[0] == 1
        if not now[0] and not was_live and not on_team:
            return
        if not again and before is not None and (before == now or not (now[0] or was_live)):
            return
        self._members.append(
            {
                "activity_id": activity.id,
                "employee_id": employee_id,
                "live": now[0],
                "number": self._number,
                "complete": now[1] if now[0] else 1,
            }
        )

    def _write(self) -> None:
        rows, self._members = self._members, []
        upsert(self._connection, t.member, rows)

    def under(self, keys: Collection[RecordKey]) -> Iterator[list[str]]:
        """Ids of the live activities under any of the records, some at a time."""
        a, c = t.activity.c, t.activity_contact.c
        columns: Mapping[RecordType, tuple[sa.Column[Any], sa.ColumnElement[Any]]] = {
            RecordType.ACCOUNT: (a.account, a.id),
            RecordType.OPPORTUNITY: (a.opportunity, a.id),
            RecordType.CONTACT: (c.contact_id, c.activity_id),
        }
        seen: set[str] = set()
        for kind, (column, found) in columns.items():
            wanted = sorted(key[1] for key in keys if key[0] is kind)
            for some in _chunks(wanted):
                query = sa.select(found).where(among(self._connection, column, some))
                ids = {row[0] for row in self._connection.execute(query)} - seen
                seen |= ids
                yield from _chunks(sorted(ids))


def _own_numbers(table: sa.Table, kind: RecordType) -> sa.Select[Any]:
    given = sa.case((table.c.deleted == 1, 0), else_=2) if "deleted" in table.c else sa.literal(2)
    return sa.select(table.c.number, sa.literal(kind.value).label("type"), table.c.id, given.label("given"))


def _chunks(values: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), MANY):
        yield list(values[start : start + MANY])
