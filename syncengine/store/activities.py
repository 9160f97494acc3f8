"""The activity server's database, on SQLite or PostgreSQL.

**The change feed never skips a row.** Sequence numbers are handed out before the commit, so a reader could pass number
8 while 7 is still uncommitted, and never look back. Here a write transaction takes its one change number by
`UPDATE act_meta SET number = number + 1 … RETURNING` as its *first* statement. The lock on that row is held to the
commit, so the next writer waits for it and numbers become visible in their order. A reader on PostgreSQL reads in one
REPEATABLE READ snapshot: the token it is given and the rows it is given are of the same instant.

**The feed is one index range.** `act_member` holds, for every (activity, employee), whether the employee is given the
activity, complete or only to look at (`store.views`), and the number of the last change this employee should hear of.
A change of an activity lifts the number of its live members; leaving turns `live` off, which tells "left" from
"deleted". What a user's sync costs is what changed for that user.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa

from syncengine.core.contents import sizes_of
from syncengine.core.visibility import parents, to_look_at
from syncengine.errors import AlreadyThere, ItemError
from syncengine.model.activity import SERVER_ONLY, Activity, Origin, field_type
from syncengine.model.commands import NaturalKey
from syncengine.model.directory import Directory, Employee, Pager, Record, RecordKey
from syncengine.model.filters import View
from syncengine.model.policies import Deed
from syncengine.model.values import Json, Values, to_json
from syncengine.model.visibility import Given
from syncengine.store import engine as db
from syncengine.store import server_contents, server_directory
from syncengine.store import server_tables as t
from syncengine.store.change_log import ChangeLog
from syncengine.store.views import Position, Views, among
from syncengine.times import Clock, iso, system_clock

PAGE = 500
"""How many activities are looked at again at a time."""

Changes = tuple[list[tuple[int, Activity]], list[tuple[int, str]], list[tuple[int, str]]]


@dataclass(frozen=True)
class _Work:
    """The open transaction of a thread; `number` is 0 for a reader."""

    connection: sa.Connection
    number: int
    log: ChangeLog
    absent: set[tuple[str, ...]] = field(default_factory=set)
    """Ids, integration ids, and owners with digests of descriptions, that no activity has, as `expect` found out."""

    @cached_property
    def views(self) -> Views:
        return Views(self.connection, self.number)


class Activities:
    """Implements `ports.ActivityStore`. One may serve many threads; each has its own transaction."""

    def __init__(self, url: str, clock: Clock = system_clock) -> None:
        """Open the database, making or updating its tables. Raises StorageError, Unreachable, LoginRefused."""
        self._clock = clock
        self._engine = db.open_engine(url)
        self._thread = threading.local()
        self._directory = Directory(version=-1)
        db.migrate(self._engine, "server")

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        if getattr(self._thread, "work", None):
            raise RuntimeError("a transaction is open already")
        with db.transaction(self._engine, write=write) as connection:
            number, logging = _next_number(connection) if write else (0, False)
            self._thread.work = work = _Work(connection, number, ChangeLog(connection, number, on=logging))
            try:
                yield
                work.log.write()
            finally:
                self._thread.work = None

    @property
    def _work(self) -> _Work:
        work: _Work | None = getattr(self._thread, "work", None)
        if work is None:
            raise RuntimeError("no transaction is open")
        return work

    @property
    def _connection(self) -> sa.Connection:
        return self._work.connection

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        log = self._work.log
        here = len(log.lines)
        try:
            with self._connection.begin_nested():
                yield
        except BaseException as e:
            del log.lines[here:]
            if isinstance(e, sa.exc.DataError):
                raise ItemError("The database cannot hold one of the values.", fix="shorten or correct it") from e
            raise

    @contextmanager
    def _unique(self, activity: Activity) -> Iterator[None]:
        try:
            with self._connection.begin_nested():
                yield
        except sa.exc.IntegrityError as e:
            raise _already_there(activity) from e

    def signed(self, by: str) -> None:
        self._work.log.by = by

    # --- the server itself ---

    def identity(self) -> str:
        return str(self._connection.execute(sa.select(t.meta.c.identity)).scalar_one())

    def number(self) -> int:
        return int(self._connection.execute(sa.select(t.meta.c.number)).scalar_one())

    def directory_version(self) -> int:
        return int(self._connection.execute(sa.select(t.meta.c.directory_version)).scalar_one())

    def directory(self) -> Directory:
        version = self.directory_version()
        known = self._directory
        if known.version != version:
            known = server_directory.read(self._connection, version)
            if not self._work.number:  # what a writer sees may still be rolled back
                self._directory = known
        return known

    def put_directory(self, directory: Directory) -> bool:
        old = self.directory()
        changed = server_directory.put(self._connection, old, directory, self._work.number)
        paged = server_directory.put_pagers(self._connection, directory.employees)
        return self._records_changed(old, changed, directory.records) or paged

    def pager(self, employee_id: str) -> Pager | None:
        return server_directory.pagers(self._connection, [employee_id]).get(employee_id)

    def remove_record(self, key: RecordKey) -> bool:
        old = self.directory()
        if key not in old.records:
            return False
        server_directory.remove(self._connection, key, self._work.number)
        return self._records_changed(old, {key}, {})

    def _records_changed(self, old: Directory, changed: set[RecordKey], now: Mapping[RecordKey, Record]) -> bool:
        if not changed:
            return False
        grown = t.meta.c.directory_version + 1
        self._connection.execute(sa.update(t.meta).values(directory_version=grown))
        if self._work.log.on:
            self._work.log.records(old.records, now, changed, self._clock())
        if self._work.views.any:
            moved = self._work.views.records_changed(old, self.directory(), changed)
            for employee_id, keys in moved.items():
                self._look_again(employee_id, self._work.views.under(keys))
        return True

    # --- views ---

    def see(self, employee_id: str, view: View) -> None:
        views = self._work.views
        moved = views.tell(employee_id, view, self.directory())
        self._look_again(employee_id, itertools.chain(views.under(moved), self._own(employee_id)))

    def pin(self, employee_id: str, key: RecordKey, *, pinned: bool) -> None:
        self._work.views.set_pin(employee_id, key, self.directory(), pinned=pinned)

    def pins(self, employee_id: str) -> frozenset[RecordKey]:
        return self._work.views.pins(employee_id)

    def view_changes(self, employee_id: str) -> int:
        return self._work.views.changes(employee_id)

    def given_records(self, employee_id: str) -> Mapping[RecordKey, Given] | None:
        return self._work.views.given(employee_id)

    def record_given(self, employee_id: str, key: RecordKey) -> Given:
        return self._work.views.given_of(employee_id, key)

    def records(self, employee_id: str, after: Position, limit: int) -> list[tuple[Position, Given]]:
        return self._work.views.feed(employee_id, after, limit)

    def under(self, keys: Set[RecordKey]) -> Iterator[list[Activity]]:
        return (self._live(ids) for ids in self._work.views.under(keys))

    def of_team(self, employee_id: str) -> Iterator[list[Activity]]:
        """Only those the employee is on the team of."""
        for ids in self._own(employee_id):
            yield [one for one in self._live(ids) if employee_id in _team(one)]

    def _look_again(self, employee_id: str, ids: Iterator[list[str]]) -> None:
        self._work.views.look_again(employee_id, (self._live(some) for some in ids))

    def _live(self, ids: Sequence[str]) -> list[Activity]:
        query = sa.select(t.activity).where(self._among(t.activity.c.id, ids), t.activity.c.deleted == 0)
        return [_activity(row) for row in self._connection.execute(query).mappings()]

    def _own(self, employee_id: str) -> Iterator[list[str]]:
        """Ids of the activities the employee is given or has been, some at a time; of them all that the team's own
        are among, because a member always has a row."""
        ids = self._connection.execute(
            sa.select(t.member.c.activity_id).where(t.member.c.employee_id == employee_id)
        ).scalars()
        found = sorted(ids)
        yield from (found[start : start + PAGE] for start in range(0, len(found), PAGE))

    # --- tokens ---

    def employee_for_token(self, token_hash: str) -> Employee | None:
        query = sa.select(t.token.c.employee_id).where(t.token.c.hash == token_hash)
        employee_id = self._connection.execute(query).scalar_one_or_none()
        return self.directory().employee_by_id(employee_id) if employee_id else None

    def put_token(self, token_hash: str, employee_id: str, label: str, at: datetime, *, operator: bool = False) -> None:
        row = {"hash": token_hash, "employee_id": employee_id, "label": label, "created": iso(at)}
        self._connection.execute(sa.insert(t.token), row | {"operator": int(operator)})

    def is_operator(self, token_hash: str) -> bool:
        query = sa.select(t.token.c.operator).where(t.token.c.hash == token_hash)
        return self._connection.execute(query).scalar_one_or_none() == 1

    # --- reading activities ---

    def expect(self, ids: Sequence[str], values: Sequence[Values]) -> None:
        wanted = {("id", one) for one in ids} | {mark for record in values for mark in _marks(record)}
        texts = {kind: [mark[-1] for mark in wanted if mark[0] == kind] for kind in ("id", "integration_id", "subject")}
        owners = sorted({mark[1] for mark in wanted if mark[0] == "subject"})
        a = t.activity.c
        questions = (
            sa.select(sa.literal("id"), a.id).where(self._among(a.id, texts["id"])),
            sa.select(sa.literal("integration_id"), a.integration_id).where(
                self._among(a.integration_id, texts["integration_id"]), *_LIVE_AND_LINKED
            ),
            sa.select(sa.literal("subject"), a.owner, a.description_digest).where(
                self._among(a.owner, owners), self._among(a.description_digest, texts["subject"])
            ),
        )
        there = {tuple(row) for question in questions for row in self._connection.execute(question)}
        self._work.absent.update(wanted - there)

    def get(self, activity_id: str) -> tuple[Activity, bool] | None:
        if ("id", activity_id) in self._work.absent:
            return None
        row = self._connection.execute(_BY_ID, {"wanted": activity_id}).mappings().first()
        return (_activity(row), not row["deleted"]) if row else None

    def visible(self, ids: Sequence[str], employee_id: str) -> list[Activity]:
        query = (
            sa.select(t.activity, t.member.c.complete)
            .join(t.member, t.member.c.activity_id == t.activity.c.id)
            .where(self._among(t.activity.c.id, ids), t.activity.c.deleted == 0)
            .where(t.member.c.employee_id == employee_id, t.member.c.live == 1)
            .order_by(t.activity.c.id)
        )
        rows = self._connection.execute(query).mappings().all()
        return self._as_given([(_activity(row), bool(row["complete"])) for row in rows], employee_id)

    def given(self, ids: Sequence[str], employee_id: str) -> Set[str]:
        m = t.member.c
        query = sa.select(m.activity_id).where(self._among(m.activity_id, ids), m.employee_id == employee_id)
        return set(self._connection.execute(query).scalars())

    def _as_given(self, found: Sequence[tuple[Activity, bool]], employee_id: str) -> list[Activity]:
        """What is only to be looked at, without what it is related to."""
        related = (key for activity, complete in found if not complete for key in parents(activity))
        near = self._work.views.complete_of(employee_id, related)
        return [activity if complete else to_look_at(activity, near) for activity, complete in found]

    def _among(self, column: sa.Column[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
        return among(self._connection, column, values)

    def find(self, key: NaturalKey, values: Values) -> list[Activity]:
        if not self._work.absent.isdisjoint(_marks({name: values.get(name) for name in key})):
            return []
        wanted = {f"wanted_{name}": t.to_column(values.get(name), field_type(name)) for name in key}
        if "description" in key:
            wanted["wanted_digest"] = t.digest(values.get("description"))
        return [_activity(row) for row in self._connection.execute(_by_key(key), wanted).mappings()]

    # --- writing activities ---

    def add(self, activity: Activity, at: datetime) -> Activity:
        row = t.to_columns(activity.values) | {
            "id": activity.id,
            "version": activity.version,
            "origin": activity.origin.value,
            "provisional": activity.provisional,
            "created": iso(at),
            "created_by": activity["created_by"],
            "updated": iso(at),
        }
        stored = self._connection.execute(_insert(self._connection.dialect.name), row).mappings().first()
        if stored is None:
            raise _already_there(activity)
        self._now_there(activity)
        self._work.views.activity_changed(activity, new=True)
        self._relist(activity.id, {}, activity.values, at)
        added = _activity(stored)
        if self._work.log.on:
            self._work.log.activity(Deed.ADDED, None, added, at)
        return added

    def change(self, activity: Activity, at: datetime) -> None:
        found = self.get(activity.id)
        if found is None:
            raise LookupError(activity.id)
        old, _live = found
        row = t.to_columns(activity.values) | {
            "version": activity.version,
            "provisional": activity.provisional,
            "updated": iso(at),
        }
        self._now_there(activity)
        with self._unique(activity):
            self._connection.execute(sa.update(t.activity).where(t.activity.c.id == activity.id).values(row))
        self._keep_overwritten(old, activity, at)
        self._relist(activity.id, old.values, activity.values, at)
        self._work.views.activity_changed(activity, new=False)
        if self._work.log.on:
            self._work.log.activity(Deed.UPDATED, old, activity, at)

    def remove(self, activity_id: str, at: datetime) -> None:
        if self._work.log.on and (found := self.get(activity_id)) is not None and found[1]:
            self._work.log.activity(Deed.DELETED, None, found[0], at)
        tombstone = {"deleted": 1, "version": t.activity.c.version + 1, "updated": iso(at)}
        self._connection.execute(sa.update(t.activity).where(t.activity.c.id == activity_id).values(tombstone))
        server_contents.unlist(self._connection, activity_id, at)
        self._tell_members(activity_id)

    def _relist(self, activity_id: str, old: Values, new: Values, at: datetime) -> None:
        before, now = sizes_of(old.get("attachments")), sizes_of(new.get("attachments"))
        if before != now:
            server_contents.relist(self._connection, activity_id, before, now, at)

    def _now_there(self, activity: Activity) -> None:
        self._work.absent.difference_update([("id", activity.id), *_marks(activity.values)])

    def _keep_overwritten(self, old: Activity, new: Activity, at: datetime) -> None:
        names = sorted({*old.values, *new.values} - SERVER_ONLY)
        overwritten = {name: to_json(old[name]) for name in names if old[name] != new[name]}
        row = {"activity_id": old.id, "version": old.version, "overwritten": json.dumps(overwritten), "at": iso(at)}
        self._connection.execute(sa.insert(t.history), row)

    def _tell_members(self, activity_id: str) -> None:
        here = sa.and_(t.member.c.activity_id == activity_id, t.member.c.live == 1)
        self._connection.execute(sa.update(t.member).where(here).values(number=self._work.number))

    # --- the change feed ---

    def changes(self, employee_id: str, after: int, limit: int) -> Changes:
        changed: list[tuple[int, tuple[Activity, bool]]] = []
        deleted: list[tuple[int, str]] = []
        left: list[tuple[int, str]] = []
        for row in self._feed(employee_id, after, limit):
            if not row["live"]:
                left.append((row["number"], row["id"]))
            elif row["deleted"]:
                deleted.append((row["number"], row["id"]))
            else:
                changed.append((row["number"], (_activity(row), bool(row["complete"]))))
        given = self._as_given([one for _, one in changed], employee_id)
        return list(zip([number for number, _ in changed], given, strict=True)), deleted, left

    def _feed(self, employee_id: str, after: int, limit: int) -> Sequence[sa.RowMapping]:
        """Whole numbers only: when the limit falls inside one, that number waits for the next page, unless it is the
        only one on this page; then the page is longer than the limit."""
        query = (
            sa.select(t.activity, t.member.c.live, t.member.c.complete, t.member.c.number)
            .join(t.member, t.member.c.activity_id == t.activity.c.id)
            .where(t.member.c.employee_id == employee_id)
            .order_by(t.member.c.number, t.member.c.activity_id)
        )
        rows = self._connection.execute(query.where(t.member.c.number > after).limit(limit + 1)).mappings().all()
        if len(rows) <= limit:
            return rows
        first, cut = rows[0]["number"], rows[limit]["number"]
        if first < cut:
            return [row for row in rows if row["number"] < cut]
        return self._connection.execute(query.where(t.member.c.number == first)).mappings().all()

    # --- answers already given ---

    def answers(self, command_ids: Sequence[str], employee_id: str) -> Mapping[str, Json]:
        query = sa.select(t.command.c.id, t.command.c.answer).where(
            self._among(t.command.c.id, command_ids), t.command.c.employee_id == employee_id
        )
        return {row.id: json.loads(row.answer) for row in self._connection.execute(query)}

    def remember(self, answers: Mapping[str, Json], employee_id: str, at: datetime) -> None:
        rows = [
            {"id": one, "employee_id": employee_id, "answer": json.dumps(answer, ensure_ascii=False), "at": iso(at)}
            for one, answer in answers.items()
        ]
        if rows:
            self._connection.execute(sa.insert(t.command), rows)

    def forget_answers(self, before: datetime) -> None:
        self._connection.execute(sa.delete(t.command).where(t.command.c.at < iso(before)))

    # --- contents of attachments ---

    def expect_content(self, digest: str, size: int, at: datetime, until: datetime) -> None:
        server_contents.expect(self._connection, digest, size, at, until)

    def hold_content(self, digest: str, employee_id: str, at: datetime) -> None:
        server_contents.hold(self._connection, digest, employee_id, at)

    def held_contents(self, digests: Collection[str], employee_id: str, since: datetime) -> Mapping[str, int]:
        return server_contents.held(self._connection, digests, employee_id, since)

    def expired_contents(self, now: datetime, limit: int) -> Sequence[str]:
        return server_contents.expired(self._connection, now, limit)

    def forget_contents(self, digests: Collection[str]) -> None:
        server_contents.forget(self._connection, digests)

    def close(self) -> None:
        db.close(self._engine)


# Statements are built once: building one costs as much as running it.
_BY_ID = sa.select(t.activity).where(t.activity.c.id == sa.bindparam("wanted"))
_LIVE_AND_LINKED = (sa.text("integration_id <> ''"), sa.text("deleted = 0"))
"""In so many words, or the planner does not see that the unique index serves."""


@lru_cache(maxsize=64)
def _by_key(key: NaturalKey) -> sa.Select[Any]:
    """Live activities by the fields of a key, whose values are the parameters `wanted_…`."""
    query = sa.select(t.activity).where(t.activity.c.deleted == 0)
    for name in key:
        query = query.where(t.activity.c[name] == sa.bindparam(f"wanted_{name}"))
    if "description" in key:
        query = query.where(t.activity.c.description_digest == sa.bindparam("wanted_digest"))
    if "integration_id" in key:
        query = query.where(*_LIVE_AND_LINKED)
    return query.order_by(t.activity.c.created, t.activity.c.id)


@lru_cache(maxsize=2)
def _insert(dialect: str) -> sa.Insert:
    """Inserts an activity and returns its row, or nothing when a unique index objects."""
    found: sa.Insert = server_directory.insert(t.activity, dialect).on_conflict_do_nothing().returning(t.activity)
    return found


def _marks(values: Values) -> list[tuple[str, ...]]:
    """By what an activity with these values could be found."""
    linked, subject = values.get("integration_id"), t.digest(values.get("description"))
    found: list[tuple[str, ...]] = [("integration_id", str(linked))] if linked else []
    return [*found, ("subject", str(values.get("owner")), subject)] if subject else found


def _already_there(activity: Activity) -> AlreadyThere:
    return AlreadyThere(
        "Another activity of this owner has the same integration id.",
        where=f"activity {activity.id}",
        fix="change that one, or use another integration id",
    )


def _next_number(connection: sa.Connection) -> tuple[int, bool]:
    """The number of the change, and whether it is to be logged."""
    grown = sa.update(t.meta).values(number=t.meta.c.number + 1).returning(t.meta.c.number, t.meta.c.logging)
    number, logging = connection.execute(grown).one()
    return int(number), bool(logging)


def _activity(row: sa.RowMapping) -> Activity:
    values, origin = t.to_values(dict(row)), Origin(row["origin"])
    return Activity(row["id"], row["version"], values, origin, provisional=row["provisional"])


def _team(activity: Activity) -> set[str]:
    employees = activity["employees"]
    return {str(employee) for employee in employees} if isinstance(employees, tuple) else set()
