"""What workflow policies keep in the activity server's database: how far each group has read the change log, what each
policy waits for and has acted on, and a log of what it did (POL-1).

**Exactly once.** A pass of a group is one transaction: it locks the group's row, reads the log from the group's
cursor, writes the new state, the requests and the log, and moves the cursor. Another monitor of the group waits for
the lock and then finds the cursor moved; a killed one has done nothing. Writers of activities are not kept waiting.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from syncengine.model.directory import Directory, RecordKey, RecordType, key_of
from syncengine.model.policies import Change, Did, Group, Kept, Line, PolicyState, Waiting
from syncengine.model.values import Json
from syncengine.store import change_log, server_directory
from syncengine.store import engine as db
from syncengine.store import policy_tables as p
from syncengine.store import server_tables as t
from syncengine.store.change_log import moment
from syncengine.times import iso

PAGE = 500


class Policies:
    """Implements `services.policies.PolicyStore`. One may serve many threads."""

    def __init__(self, url: str, page: int = PAGE) -> None:
        """Open the database, making or updating its tables. page: activities a batch reads at a time.
        Raises StorageError, Unreachable, LoginRefused."""
        self._page = page
        self._engine = db.open_engine(url)
        db.migrate(self._engine, "server")

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Pass]:
        with db.transaction(self._engine, write=write) as connection:
            yield Pass(connection, self._page)

    def close(self) -> None:
        db.close(self._engine)


class Pass:
    """One transaction."""

    def __init__(self, connection: sa.Connection, page: int) -> None:
        self._connection, self._page = connection, page

    # --- groups ---

    def groups(self) -> dict[str, Group]:
        rows = self._connection.execute(sa.select(p.group).order_by(p.group.c.name)).mappings()
        return {row["name"]: _group(row) for row in rows}

    def enter(self, name: str, at: datetime) -> Group:
        """The group, locked to the end of the transaction. A new one begins after everything there is, and from then
        on changes are logged."""
        query = sa.select(p.group).where(p.group.c.name == name).with_for_update()
        found = self._connection.execute(query).mappings().first()
        if found is None:
            self._begin(name, at)
            found = self._connection.execute(query).mappings().one()
        return _group(found)

    def _begin(self, name: str, at: datetime) -> None:
        """Takes the lock of the writers: all before this number is committed, all after it is logged."""
        logging = sa.update(t.meta).values(logging=1, number=t.meta.c.number + 1).returning(t.meta.c.number)
        number = self._connection.execute(logging).scalar_one()
        row = {"name": name, "cursor": number, "clock": iso(at), "wake": None, "seen": iso(at)}
        fresh = server_directory.insert(p.group, self._connection.dialect.name).on_conflict_do_nothing()
        self._connection.execute(fresh, row)

    def move(self, group: Group) -> None:
        """Where the group has come to."""
        row = {
            "cursor": group.cursor,
            "clock": iso(group.clock),
            "wake": iso(group.wake) if group.wake else None,
            "seen": iso(group.seen),
        }
        self._connection.execute(sa.update(p.group).where(p.group.c.name == group.name).values(row))

    def end(self, names: Iterable[str]) -> None:
        """Forget groups with all they keep. Where none is left, nothing is logged any more.

        Takes the lock of the writers first, as `_begin` does: a group that begins meanwhile must be seen."""
        if not (gone := list(names)):
            return
        self._connection.execute(sa.update(t.meta).values(number=t.meta.c.number))
        self._connection.execute(sa.delete(p.group).where(p.group.c.name.in_(gone)))
        if not self.groups():
            self._connection.execute(sa.update(t.meta).values(logging=0))
            self._connection.execute(sa.delete(p.change))

    # --- the change log ---

    def newest(self) -> int:
        """The number of the newest change that is logged; 0 for none."""
        return int(self._connection.execute(sa.select(sa.func.max(p.change.c.number))).scalar_one() or 0)

    def changes(self, after: int, limit: int) -> tuple[list[Change], bool]:
        return change_log.read(self._connection, after, limit)

    def changes_since(self, at: datetime) -> list[Change]:
        return change_log.read_since(self._connection, at)

    def last_change(self, key: RecordKey) -> Change | None:
        return change_log.last_of(self._connection, key)

    def prune(self, before: datetime) -> int:
        """Drop changes made before a moment that every group has read, and what the log of policies holds from before
        it. How many changes."""
        passed = sa.select(sa.func.min(p.group.c.cursor)).scalar_subquery()
        old = sa.delete(p.change).where(p.change.c.at < iso(before), p.change.c.number <= passed)
        self._connection.execute(sa.delete(p.log).where(p.log.c.at < iso(before)))
        return self._connection.execute(old).rowcount

    # --- what policies keep ---

    def digests(self, group: str) -> dict[str, str]:
        """How the policies of a group were worded at its last pass, by name."""
        query = sa.select(p.policy.c.name, p.policy.c.digest).where(p.policy.c.group == group)
        return {row.name: row.digest for row in self._connection.execute(query)}

    def kept(self, group: str) -> dict[str, Kept]:
        """Every policy of a group, by name, with its state."""
        here = sa.select(p.policy).where(p.policy.c.group == group)
        rows = self._connection.execute(here).mappings().all()
        waiting, acted = self._by_policy(p.waiting, group), self._by_policy(p.acted, group)
        return {
            row["name"]: Kept(
                row["digest"],
                moment(row["begun"]),
                PolicyState(
                    moment(row["clock"]),
                    {one["record_id"]: _waiting(one) for one in waiting.get(row["name"], ())},
                    {one["record_id"]: moment(one["at"]) for one in acted.get(row["name"], ())},
                ),
            )
            for row in rows
        }

    def _by_policy(self, table: sa.Table, group: str) -> Mapping[str, Sequence[sa.RowMapping]]:
        ours = sa.select(p.policy.c.name).where(p.policy.c.group == group)
        found: dict[str, list[sa.RowMapping]] = {}
        for row in self._connection.execute(sa.select(table).where(table.c.policy.in_(ours))).mappings():
            found.setdefault(row["policy"], []).append(row)
        return found

    def forget(self, policy: str) -> None:
        for table in (p.waiting, p.acted):
            self._connection.execute(sa.delete(table).where(table.c.policy == policy))
        self._connection.execute(sa.delete(p.policy).where(p.policy.c.name == policy))

    def keep(self, policy: str, group: str, old: Kept | None, new: Kept) -> None:
        """Write what differs."""
        if old is None:
            self.forget(policy)  # another group may have had one of this name
        row = {
            "name": policy,
            "group": group,
            "digest": new.digest,
            "clock": iso(new.state.clock),
            "begun": iso(new.begun),
        }
        if old is None or old.state.clock != new.state.clock:
            server_directory.upsert(self._connection, p.policy, [row])
        before = old.state if old else PolicyState(new.state.clock)
        waits = {
            r: _wait_row(policy, r, wait) for r, wait in new.state.waiting.items() if before.waiting.get(r) != wait
        }
        acts = {
            r: {"policy": policy, "record_id": r, "at": iso(at)}
            for r, at in new.state.acted.items()
            if before.acted.get(r) != at
        }
        self._drop(p.waiting, policy, before.waiting.keys() - new.state.waiting.keys())
        self._drop(p.acted, policy, before.acted.keys() - new.state.acted.keys())
        server_directory.upsert(self._connection, p.waiting, list(waits.values()))
        server_directory.upsert(self._connection, p.acted, list(acts.values()))

    def _drop(self, table: sa.Table, policy: str, records: Iterable[str]) -> None:
        gone = [{"this": policy, "record": record} for record in sorted(records)]
        if gone:
            here = (table.c.policy == sa.bindparam("this"), table.c.record_id == sa.bindparam("record"))
            self._connection.execute(sa.delete(table).where(*here), gone)

    # --- what they do ---

    @property
    def transaction(self) -> sa.Connection:
        return self._connection

    def note(self, lines: Iterable[Line]) -> None:
        rows = [
            {
                "policy": line.policy,
                "at": iso(line.at),
                "what": line.what.value,
                "because": line.because,
                "records": json.dumps(line.records),
                "requests": json.dumps(line.requests),
                "faults": json.dumps(line.faults, ensure_ascii=False),
            }
            for line in lines
        ]
        if rows:
            self._connection.execute(sa.insert(p.log), rows)

    def lines(self, policies: Iterable[str], limit: int) -> list[Line]:
        """What these policies have done, newest first."""
        query = sa.select(p.log).where(p.log.c.policy.in_(list(policies))).order_by(p.log.c.id.desc()).limit(limit)
        return [_line(row) for row in self._connection.execute(query).mappings()]

    # --- records ---

    def directory(self) -> Directory:
        version = self._connection.execute(sa.select(t.meta.c.directory_version)).scalar_one()
        return server_directory.read(self._connection, int(version))

    def records(self, kind: RecordType) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Every record of a type that a policy can be about, as the change log has its values."""
        if kind is not RecordType.ACTIVITY:
            for key, record in self.directory().records.items():
                if key_of(record)[0] is kind:
                    yield key[1], change_log.values_in_log(record)
            return
        last = ""
        while True:
            page = sa.select(t.activity).where(t.activity.c.deleted == 0, t.activity.c.id > last)
            rows = self._connection.execute(page.order_by(t.activity.c.id).limit(self._page)).mappings().all()
            yield from ((row["id"], change_log.filled(t.to_values(dict(row)))) for row in rows)
            if len(rows) < self._page:
                return
            last = rows[-1]["id"]

    def record(self, key: RecordKey) -> Mapping[str, Json] | None:
        """One record, in the same way; None where there is none."""
        if key[0] is not RecordType.ACTIVITY:
            found = self.directory().records.get(key)
            return change_log.values_in_log(found) if found else None
        here = sa.select(t.activity).where(t.activity.c.id == key[1], t.activity.c.deleted == 0)
        row = self._connection.execute(here).mappings().first()
        return change_log.filled(t.to_values(dict(row))) if row else None


def _group(row: sa.RowMapping) -> Group:
    wake = moment(row["wake"]) if row["wake"] else None
    return Group(row["name"], row["cursor"], moment(row["clock"]), wake, moment(row["seen"]))


def _waiting(row: sa.RowMapping) -> Waiting:
    chain, values = tuple(json.loads(row["chain"])), json.loads(row["values"])
    return Waiting(moment(row["since"]), row["number"], row["position"], chain, values)


def _wait_row(policy: str, record: str, wait: Waiting) -> dict[str, object]:
    return {
        "policy": policy,
        "record_id": record,
        "since": iso(wait.since),
        "number": wait.number,
        "position": wait.position,
        "chain": json.dumps(wait.chain, ensure_ascii=False),
        "values": json.dumps(wait.values, ensure_ascii=False),
    }


def _line(row: sa.RowMapping) -> Line:
    records, requests, faults = (tuple(json.loads(row[n])) for n in ("records", "requests", "faults"))
    return Line(row["policy"], moment(row["at"]), Did(row["what"]), row["because"], records, requests, faults)
