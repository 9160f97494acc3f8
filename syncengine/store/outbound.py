"""The queue of what leaves, in the activity server's database (OUT-1).

A request belongs to the batch that took it: every move of an active request is an update of the row *as long as
`taken_by` is that batch*. A worker that was believed dead and wakes up again finds that its requests are not its own
any more, and sends nothing. On PostgreSQL batches take side by side (SKIP LOCKED); on SQLite a writer is alone.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from syncengine.core.outbound.codec import content_from_json, content_to_json
from syncengine.core.outbound.moves import FINAL, Event, moved
from syncengine.core.outbound.retry import Step
from syncengine.errors import NotThere
from syncengine.model.outbound import (
    Count,
    Entry,
    Group,
    Kind,
    Move,
    Reply,
    Request,
    Standing,
    State,
    Stop,
    Verdict,
    Wanted,
    Worker,
)
from syncengine.store import engine as db
from syncengine.store import outbound_tables as t
from syncengine.store.server_directory import insert, upsert
from syncengine.store.views import among
from syncengine.times import iso, parse_moment

r = t.request.c
WAITING = sa.and_(r.state == State.QUEUED, r.held.is_(False))


def add(connection: sa.Connection, requests: Iterable[Request], at: datetime) -> list[Request]:
    """Put requests into the queue, as part of the caller's transaction. Those whose id is there already change
    nothing; the others are returned."""
    found = [request for request in requests if _insert(connection, request, at)]
    _keep_move(connection, [request.id for request in found], at, State.QUEUED, "asked for")
    return found


def _insert(connection: sa.Connection, request: Request, at: datetime) -> bool:
    row = {
        "id": request.id,
        "kind": request.kind.value,
        "profile": request.profile,
        "key": request.key,
        "state": State.QUEUED.value,
        "held": False,
        "priority": request.priority,
        "not_before": _text(max(at, request.not_before or at)),
        "number": time.time_ns() // 1000,  # only the order of coming: many come in one second of the clock
        "tries": 0,
        "possibly_sent": False,
        "handed": False,
        "taken_by": "",
        "asked_by": request.asked_by,
        "message_id": request.message_id,
        "content": json.dumps(content_to_json(request.content), ensure_ascii=False),
        "because": "",
        "created": _text(at),
        "changed": _text(at),
    }
    fresh = insert(t.request, connection.dialect.name).on_conflict_do_nothing().returning(r.id)
    return connection.execute(fresh, row).scalar_one_or_none() is not None


class Outbound:
    """Implements `ports.OutboundStore`. May be used by many threads; each method but `add` is one transaction."""

    def __init__(self, url: str) -> None:
        """Open the database, making or updating its tables. Raises StorageError, Unreachable, LoginRefused."""
        self._engine = db.open_engine(url)
        db.migrate(self._engine, "server")

    def close(self) -> None:
        db.close(self._engine)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        with db.transaction(self._engine, write=True) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with db.transaction(self._engine, write=False) as connection:
            yield connection

    def add(self, transaction: Any, requests: Iterable[Request], at: datetime) -> list[Request]:
        return add(transaction, requests, at)

    # --- a batch ---

    def take(self, group: Group, batch: str, at: datetime, limit: int) -> list[Entry]:
        with self.transaction() as connection:
            due = (
                sa.select(r.id)
                .where(WAITING, *_of(group), r.not_before <= _text(at))
                .order_by(r.priority, r.number)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            ids = connection.execute(due).scalars().all()
            if not ids:
                return []
            values = {"state": State.ACTIVE.value, "taken_by": batch, "handed": False, "changed": _text(at)}
            connection.execute(sa.update(t.request).where(among(connection, r.id, ids)).values(values))
            _keep_move(connection, ids, at, State.ACTIVE, "", batch)
            found = _entries(connection, among(connection, r.id, ids))
        return sorted(found, key=lambda one: ids.index(one.request.id))

    def begun(self, request: str, batch: str) -> bool:
        values = {"handed": True, "tries": r.tries + 1}
        begun = sa.update(t.request).where(*_held_by(request, batch), r.handed.is_(False)).values(values)
        with self.transaction() as connection:
            return connection.execute(begun).rowcount == 1

    def note(self, request: str, batch: str, step: Step, at: datetime, *, handed: bool | None = None) -> bool:
        to = moved(State.ACTIVE, step.event, request)
        counted = r.tries + 1 if step.counts else r.tries
        values = {
            "state": to.value,
            "because": step.because,
            "possibly_sent": step.possibly_sent,
            "taken_by": "",
            "handed": False,
            "tries": sa.case((r.handed, r.tries), else_=counted),  # `begun` has counted it
            "changed": _text(at),
            **({"not_before": _text(step.not_before)} if step.not_before else {}),
        }
        as_seen = () if handed is None else (r.handed.is_(handed),)
        noted = sa.update(t.request).where(*_held_by(request, batch), *as_seen).values(values)
        with self.transaction() as connection:
            if connection.execute(noted).rowcount != 1:
                return False
            _keep_replies(connection, request, step.replies)
            _keep_move(connection, [request], at, to, step.because, batch)
        return True

    def batches(self) -> Sequence[str]:
        query = sa.select(r.taken_by).where(r.taken_by != "", r.state == State.ACTIVE).distinct()
        with self._reading() as connection:
            return connection.execute(query).scalars().all()

    def taken_by(self, batch: str) -> list[Entry]:
        with self._reading() as connection:
            return _entries(connection, sa.and_(r.taken_by == batch, r.state == State.ACTIVE))

    def due(self, keys: Collection[str] | None, at: datetime) -> list[tuple[Group, int]]:
        query = (
            sa.select(r.kind, r.profile, r.key, sa.func.count().label("number"))
            .where(WAITING, r.not_before <= _text(at), ~_resting(at))
            .group_by(r.kind, r.profile, r.key)
        )
        if keys is not None:
            query = query.where(r.key.in_(sorted(keys)))
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return [(Group(Kind(row.kind), row.profile, row.key), row.number) for row in rows]

    # --- what people do ---

    def act(self, request: str, event: Event, because: str, by: str, at: datetime) -> Entry:
        with self.transaction() as connection:
            state = connection.execute(sa.select(r.state).where(r.id == request).with_for_update()).scalar()
            if state is None:
                raise _unknown(request)
            to = moved(State(state), event, request)
            values = {"state": to.value, "changed": _text(at), **_of_event(event, because, at)}
            connection.execute(sa.update(t.request).where(r.id == request).values(values))
            _keep_move(connection, [request], at, to if to != state else None, because, by)
            return _entries(connection, r.id == request)[0]

    def entry(self, request: str) -> Entry:
        with self._reading() as connection:
            found = _entries(connection, r.id == request)
        if not found:
            raise _unknown(request)
        return found[0]

    def moves(self, request: str) -> tuple[Move, ...]:
        query = sa.select(t.move).where(t.move.c.request_id == request).order_by(t.move.c.position)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Move(_moment(row.at), State(row.to) if row.to else None, row.because, row.by) for row in rows)

    def find(self, wanted: Wanted, limit: int) -> list[Entry]:
        conditions = [
            r[name] == value
            for name in ("state", "kind", "profile", "key", "asked_by", "held", "possibly_sent")
            if (value := getattr(wanted, name)) is not None
        ]
        with self._reading() as connection:
            if wanted.before:
                number = connection.execute(sa.select(r.number).where(r.id == wanted.before)).scalar()
                if number is None:
                    raise _unknown(wanted.before)
                conditions.append(sa.tuple_(r.number, r.id) < sa.tuple_(sa.literal(number), sa.literal(wanted.before)))
            query = sa.select(r.id).where(*conditions).order_by(r.number.desc(), r.id.desc()).limit(limit)
            ids = connection.execute(query).scalars().all()
            found = _entries(connection, among(connection, r.id, ids)) if ids else []
        return sorted(found, key=lambda one: ids.index(one.request.id))

    def purge(self, before: datetime, limit: int) -> int:
        old = sa.select(r.id).where(r.state.in_(sorted(FINAL)), r.changed < _text(before)).limit(limit)
        with self.transaction() as connection:
            ids = connection.execute(old).scalars().all()
            return connection.execute(sa.delete(t.request).where(among(connection, r.id, ids))).rowcount

    # --- profiles that stopped ---

    def stop(self, kind: Kind, profile: str) -> Stop | None:
        with self._reading() as connection:
            row = connection.execute(sa.select(t.stop).where(*_of_stop(kind, profile))).first()
        return _stop(row) if row else None

    def put_stop(self, stop: Stop) -> bool:
        row = {
            "kind": stop.kind.value,
            "profile": stop.profile,
            "because": stop.because,
            "since": _text(stop.since),
            "tries": stop.tries,
            "next_try": _text(stop.next_try),
        }
        fresh = insert(t.stop, self._engine.dialect.name).on_conflict_do_nothing().returning(t.stop.c.kind)
        with self.transaction() as connection:
            if connection.execute(fresh, row).first() is not None:
                return True
            upsert(connection, t.stop, [row])
            return False

    def claim_probe(self, stop: Stop, until: datetime) -> bool:
        mine = _of_stop(stop.kind, stop.profile)
        claimed = sa.update(t.stop).where(*mine, t.stop.c.next_try == _text(stop.next_try))
        with self.transaction() as connection:
            return connection.execute(claimed.values(next_try=_text(until))).rowcount == 1

    def lift_stop(self, kind: Kind, profile: str) -> bool:
        with self.transaction() as connection:
            return connection.execute(sa.delete(t.stop).where(*_of_stop(kind, profile))).rowcount > 0

    # --- workers ---

    def alive(self, worker: Worker) -> None:
        row = {
            "executor": worker.executor,
            "keys": json.dumps(worker.keys),
            "seen": _text(worker.seen),
            "started": _text(worker.started),
        }
        with self.transaction() as connection:
            upsert(connection, t.worker, [row])

    def workers(self) -> list[Worker]:
        with self._reading() as connection:
            return _workers(connection)

    def drop_worker(self, executor: str, seen_before: datetime | None = None) -> bool:
        gone = sa.delete(t.worker).where(t.worker.c.executor == executor)
        if seen_before is not None:
            gone = gone.where(t.worker.c.seen < _text(seen_before))
        with self.transaction() as connection:
            return connection.execute(gone).rowcount > 0

    # --- how it stands ---

    def standing(self) -> Standing:
        counted = (r.kind, r.profile, r.key, r.state, r.held)
        with self._reading() as connection:
            rows = connection.execute(sa.select(*counted, sa.func.count().label("number")).group_by(*counted)).all()
            oldest = connection.execute(sa.select(sa.func.min(r.not_before)).where(WAITING)).scalar()
            stops = connection.execute(sa.select(t.stop).order_by(t.stop.c.kind, t.stop.c.profile)).all()
            counts = [
                Count(Group(Kind(one.kind), one.profile, one.key), State(one.state), one.held, one.number)
                for one in rows
            ]
            ordered = sorted(counts, key=lambda one: (one.group, one.state, one.held))
            return Standing(
                tuple(ordered),
                _moment(oldest) if oldest else None,
                tuple(_stop(one) for one in stops),
                tuple(_workers(connection)),
            )


def _of(group: Group) -> tuple[sa.ColumnElement[bool], ...]:
    return r.kind == group.kind.value, r.profile == group.profile, r.key == group.key


def _held_by(request: str, batch: str) -> tuple[sa.ColumnElement[bool], ...]:
    return r.id == request, r.state == State.ACTIVE.value, r.taken_by == batch


def _of_stop(kind: Kind, profile: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.stop.c.kind == kind.value, t.stop.c.profile == profile


def _resting(at: datetime) -> sa.ColumnElement[bool]:
    s = t.stop.c
    resting = sa.select(s.kind).where(s.kind == r.kind, s.profile == r.profile, s.next_try > _text(at))
    return resting.exists()


_CHANGES: Mapping[Event, Callable[[str, datetime], dict[str, Any]]] = {
    Event.HELD: lambda _because, _at: {"held": True},
    Event.RELEASED: lambda _because, _at: {"held": False},
    Event.CANCELLED: lambda because, _at: {"because": because, "held": False},
    Event.RETRIED: lambda _because, at: {"because": "", "tries": 0, "not_before": _text(at), "held": False},
}


def _of_event(event: Event, because: str, at: datetime) -> dict[str, Any]:
    """What changes with a person's deed beside the state."""
    return _CHANGES[event](because, at)


def _keep_move(
    connection: sa.Connection, ids: Sequence[str], at: datetime, to: State | None, because: str, by: str = ""
) -> None:
    if not ids:
        return
    m = t.move.c
    last = sa.select(sa.func.coalesce(sa.func.max(m.position), 0) + 1).where(m.request_id == r.id).scalar_subquery()
    said = [sa.literal(_text(at)), sa.literal(to.value if to else None, sa.Text), sa.literal(because), sa.literal(by)]
    rows = sa.select(r.id, last, *said).where(among(connection, r.id, ids))
    names = ["request_id", "position", "at", "to", "because", "by"]
    connection.execute(sa.insert(t.move).from_select(names, rows))


def _keep_replies(connection: sa.Connection, request: str, replies: Mapping[str, Reply]) -> None:
    rows = [
        {
            "request_id": request,
            "recipient": name,
            "verdict": reply.verdict.value,
            "code": reply.code,
            "text": reply.text,
        }
        for name, reply in replies.items()
    ]
    upsert(connection, t.recipient, rows)


def _entries(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Entry]:
    rows = connection.execute(sa.select(t.request).where(condition).order_by(r.priority, r.number)).all()
    replies: dict[str, dict[str, Reply]] = defaultdict(dict)
    of_these = sa.select(t.recipient).where(among(connection, t.recipient.c.request_id, [row.id for row in rows]))
    for one in connection.execute(of_these.order_by(t.recipient.c.recipient)):
        replies[one.request_id][one.recipient] = Reply(Verdict(one.verdict), one.code, one.text)
    return [_entry(row, replies[row.id]) for row in rows]


def _entry(row: Any, replies: Mapping[str, Reply]) -> Entry:
    request = Request(
        id=row.id,
        content=content_from_json(Kind(row.kind), json.loads(row.content)),
        asked_by=row.asked_by,
        profile=row.profile,
        key=row.key,
        priority=row.priority,
        not_before=_moment(row.not_before),
        message_id=row.message_id,
    )
    return Entry(
        request=request,
        state=State(row.state),
        created=_moment(row.created),
        changed=_moment(row.changed),
        because=row.because,
        tries=row.tries,
        not_before=_moment(row.not_before),
        held=row.held,
        possibly_sent=row.possibly_sent,
        handed=row.handed,
        taken_by=row.taken_by,
        replies=replies,
    )


def _stop(row: Any) -> Stop:
    return Stop(Kind(row.kind), row.profile, row.because, _moment(row.since), row.tries, _moment(row.next_try))


def _workers(connection: sa.Connection) -> list[Worker]:
    rows = connection.execute(sa.select(t.worker).order_by(t.worker.c.executor)).all()
    return [Worker(row.executor, tuple(json.loads(row.keys)), _moment(row.started), _moment(row.seen)) for row in rows]


def _text(moment: datetime) -> str:
    """Whole seconds in UTC: texts of one length are ordered as the moments are."""
    return iso(moment.astimezone(UTC).replace(microsecond=0))


def _moment(text: str) -> datetime:
    found = parse_moment(text)
    assert isinstance(found, datetime)
    return found


def _unknown(request: str) -> NotThere:
    return NotThere(f"There is no request {request!r}.", fix='"syncengine outbound list" tells which there are')
