"""The client state: proxies, item snapshots, tokens and intents, in one SQLite file (WAL). Its records and its
journal are in modules of their own.

Every step of a run is one transaction, so a run can be killed at any instant (SYN-2). The class speaks in values of
the model; what it costs grows with what is asked for, never with what is there.

A step saves its proxies one by one; they are written together, before the next statement that could see them or with
the end of the step: a statement for each table and batch instead of seven for each proxy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from syncengine.core.ical.href import split_href
from syncengine.core.ical.uid import normal
from syncengine.core.mime.message_id import parse
from syncengine.core.sync import codec
from syncengine.errors import UnderWay
from syncengine.model.issue import IssueState
from syncengine.model.pim import Kind, Resource
from syncengine.model.proxy import ItemState, KnownItem, Proxy, Share, There
from syncengine.store import engine as db
from syncengine.store import state_tables as t
from syncengine.store.state_brakes import StateBrakes, in_pims
from syncengine.store.state_issues import StateIssues, rests
from syncengine.store.state_journal import StateJournal
from syncengine.store.state_records import StateRecords

MANY = 500
"""How many ids go into one statement."""


class State(StateRecords, StateBrakes, StateJournal, StateIssues):
    """One user's client state. Opened by one process at a time for writing (`lock`)."""

    def __init__(self, path: str, *, engine: sa.Engine | None = None) -> None:
        """`path` of the file, made when missing. Raises StorageError: unreadable, damaged, or of a newer version."""
        super().__init__()
        self.path = path
        self._engine = engine or db.open_engine(f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}")
        self._connection: sa.Connection | None = None
        self._unsaved: dict[str, _Unsaved] = {}
        self.touched: set[str] = set()
        if engine is None:
            db.migrate(self._engine, "state")

    def close(self) -> None:
        db.close(self._engine)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One run at a time, across processes; released by the system when a process dies.
        Raises UnderWay when another run holds it."""
        guard = sqlite3.connect(f"{self.path}.lock", timeout=0, isolation_level=None)
        try:
            try:
                guard.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as e:
                raise UnderWay(
                    "Another run is under way for this state.", where=self.path, fix="Wait until it has finished."
                ) from e
            yield
        finally:
            guard.close()

    def rehearsal(self) -> State:
        """A copy in memory, for a run that changes nothing (SYN-5)."""
        target = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        source, copy = self._engine.raw_connection(), target.raw_connection()
        try:
            driver: sqlite3.Connection = source.driver_connection  # type: ignore[assignment]
            driver.backup(copy.driver_connection)  # type: ignore[arg-type]
        finally:
            source.close()
            copy.close()
        return State(self.path, engine=target)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One step. Left by an exception, nothing of it has happened."""
        with db.transaction(self._engine, write=True) as connection:
            self._connection = connection
            try:
                yield
                self._write_out()
            finally:
                self._connection = None
                self._unsaved, self._solved, self._traces = {}, {}, []

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        if self._connection is not None:
            self._write_out()
            yield self._connection
            return
        with db.transaction(self._engine, write=False) as connection:
            yield connection

    def _write(self, statement: sa.Executable, rows: Sequence[dict[str, Any]] | dict[str, Any] | None = None) -> int:
        assert self._connection is not None, "writes belong into a transaction"
        self._write_out()
        return int(self._connection.execute(statement, rows).rowcount)

    def _write_out(self) -> None:
        """Write what was saved, solved and traced since the last statement."""
        unsaved, self._unsaved = list(self._unsaved.values()), {}
        if unsaved:
            self._write_proxies(unsaved)
        self._write_solved()
        self._write_traces()

    def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._reading() as connection:
            return connection.execute(statement).all()

    # --- proxies ---------------------------------------------------------------------------------------------------

    def proxies(self, ids: Iterable[str]) -> dict[str, Proxy]:
        return {p.id: p for p in self._load(t.proxy.c.id, ids)}

    def by_activity(self, ids: Iterable[str]) -> dict[str, Proxy]:
        return {p.activity_id: p for p in self._load(t.proxy.c.activity_id, ids)}

    def dirty(
        self, after: str, limit: int, pims: Sequence[str] | None = None, now: datetime | None = None
    ) -> list[Proxy]:
        """Proxies to be decided, in the order of their ids. `pims`: only those without an item or with one there.
        `now`: without those that have failed and whose pause is not over then."""
        where = [t.proxy.c.dirty == 1, t.proxy.c.id > after]
        if now is not None:
            where.append(sa.not_(rests(now)))
        if pims is not None:
            where.append(in_pims(pims))
        return self._select(sa.and_(*where), limit)

    def is_dirty(self, proxy_id: str) -> bool:
        return bool(self._rows(sa.select(t.proxy.c.id).where(t.proxy.c.id == proxy_id, t.proxy.c.dirty == 1)))

    def all(self, after: str, limit: int) -> list[Proxy]:
        """All proxies, in the order of their ids."""
        return self._select(t.proxy.c.id > after, limit)

    def held(self) -> list[Proxy]:
        return self._select(t.proxy.c.held > 0, None)

    def owned_by(self, employee: str) -> list[Proxy]:
        return self._select(t.proxy.c.owner == employee, None)

    def find(self, key: str) -> list[Proxy]:
        """Proxies people would call by this: item UID, Message-ID, integration id, activity id, proxy id or href."""
        by_item = sa.select(t.item.c.proxy_id).where(sa.or_(t.item.c.uid.in_(_spellings(key)), t.item.c.href == key))
        c = t.proxy.c
        by_integration_id = [sa.func.json_extract(c.doc, f"$.{part}values.integration_id") for part in ("", "server.")]
        named = [column == key for column in (c.id, c.activity_id)]
        named += [column.in_(_spellings(key)) for column in by_integration_id]
        return self._select(sa.or_(*named, c.id.in_(by_item)), None)

    def versions(self, activity_ids: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Activity id → (version last seen, what is known of it)."""
        found: dict[str, tuple[int, str]] = {}
        for some in _chunks(activity_ids):
            c = t.proxy.c
            statement = sa.select(c.activity_id, c.version, c.there).where(c.activity_id.in_(some))
            found |= {row.activity_id: (row.version, row.there) for row in self._rows(statement)}
        return found

    def _load(self, column: sa.ColumnElement[Any], ids: Iterable[str]) -> Iterator[Proxy]:
        for some in _chunks(ids):
            yield from self._select(column.in_(some), None)

    def _select(self, where: sa.ColumnElement[bool], limit: int | None) -> list[Proxy]:
        statement = (
            sa.select(t.proxy, t.item)
            .select_from(t.proxy.outerjoin(t.item, t.item.c.proxy_id == t.proxy.c.id))
            .where(where)
            .order_by(t.proxy.c.id)
            .limit(limit)
        )
        return [_proxy(row) for row in self._rows(statement)]

    def save(self, proxies: Sequence[Proxy], *, dirty: bool, keys: dict[str, tuple[str, ...]] | None = None) -> None:
        """Insert or replace proxies with their items. `keys`: by proxy id, the texts under which one waits for its
        partner; a proxy that has both sides, or is not in `keys`, waits for nobody."""
        assert self._connection is not None, "writes belong into a transaction"
        self.touched.update(p.id for p in proxies)
        for proxy in proxies:
            self._unsaved.pop(proxy.id, None)
            self._unsaved[proxy.id] = _Unsaved(proxy, dirty, (keys or {}).get(proxy.id, ()))

    def _write_proxies(self, unsaved: Sequence[_Unsaved]) -> None:
        ids = [{"of": one.proxy.id} for one in unsaved]
        self._write(_PUT[t.proxy], [_row(one.proxy, one.dirty) for one in unsaved])
        self._write(_DROP[t.item], ids)
        self._write(_DROP[t.waiting], ids)
        if items := [_item_row(one.proxy.id, one.proxy.item) for one in unsaved if one.proxy.item is not None]:
            self._write(_PUT[t.item], items)
        if waiting := [row for one in unsaved for row in one.waiting()]:
            self._write(_PUT[t.waiting], waiting)

    def set_share(self, ids: Iterable[str], share: Share) -> None:
        """What the user decided; to be carried out by the next run. Whom an item waits for stays as it is, except
        that an unshared one waits for nobody."""
        for some in _chunks(ids):
            self._write(sa.update(t.proxy).where(t.proxy.c.id.in_(some)).values(share=share.value, dirty=1))
            self.wake("proxy", some)
            if share is not Share.SHARED:
                self._write(sa.delete(t.waiting).where(t.waiting.c.proxy_id.in_(some)))

    def amend(self, proxies: Iterable[Proxy]) -> None:
        """What the user decided or related; to be carried out by the next run. Whom they wait for stays as it is."""
        for proxy in proxies:
            self._write(sa.update(t.proxy).where(t.proxy.c.id == proxy.id).values(_row(proxy, dirty=True)))

    def forget(self, ids: Iterable[str]) -> None:
        for some in _chunks(ids):
            self.touched.update(some)
            for table, column in (
                (t.proxy, t.proxy.c.id),
                (t.item, t.item.c.proxy_id),
                (t.waiting, t.waiting.c.proxy_id),
                (t.accepted, t.accepted.c.proxy_id),
            ):
                self._write(sa.delete(table).where(column.in_(some)))
            self._write(sa.delete(t.problem).where(t.problem.c.scope == "proxy", t.problem.c.subject.in_(some)))

    def waiting(self, keys: Iterable[str], has: str) -> list[tuple[str, str]]:
        """(key text, proxy id) of proxies that have an `item` or an `activity` and wait for the other."""
        found: list[tuple[str, str]] = []
        for some in _chunks(keys):
            c = t.waiting.c
            statement = sa.select(c.key, c.proxy_id).where(c.key.in_(some), c.has == has)
            found += [(row.key, row.proxy_id) for row in self._rows(statement)]
        return found

    # --- items -----------------------------------------------------------------------------------------------------

    def etags(self, pim: str) -> dict[str, str]:
        """href → etag of every resource known in a collection and not gone."""
        c = t.item.c
        statement = sa.select(c.href, c.etag).where(c.pim == pim, c.gone == 0, c.part_of.is_(None))
        return {row.href: row.etag for row in self._rows(statement)}

    def uids(self, pim: str, limit: int) -> dict[str, str]:
        """href → UID of up to so many items known in a collection and not gone."""
        c = t.item.c
        here = sa.and_(c.pim == pim, c.gone == 0, c.part_of.is_(None))
        return {row.href: row.uid for row in self._rows(sa.select(c.href, c.uid).where(here).limit(limit))}

    def known(self, pim: str, hrefs: Iterable[str]) -> dict[str, KnownItem]:
        found: dict[str, KnownItem] = {}
        for some in _chunks(hrefs):
            found |= {k.href: k for k in self._known(sa.and_(t.item.c.pim == pim, t.item.c.href.in_(some)))}
        return found

    def parts(self, pim: str, hrefs: Iterable[str]) -> list[KnownItem]:
        """The occurrences known in these resources that are items of their own."""
        c, found = t.item.c, []
        for some in _chunks(hrefs):
            found += self._known(sa.and_(c.pim == pim, c.part_of.in_(some)))
        return found

    def resource(self, pim: str, href: str) -> Resource | None:
        """A resource as last read or written."""
        c = t.item.c
        rows = self._rows(sa.select(c.etag, c.text).where(c.pim == pim, c.href == href))
        return Resource(href, rows[0].etag, rows[0].text) if rows else None

    def rewrite(self, pim: str, href: str, etag: str, text: str) -> None:
        """Note what a resource holds now that a part of it was written."""
        where = sa.and_(t.item.c.pim == pim, t.item.c.href == href)
        self._write(sa.update(t.item).where(where).values(etag=etag, text=text))

    def due(self, today: date, now: datetime) -> list[Proxy]:
        """Shared proxies of endless series of which more can be told today (REC-4), without those that have failed and
        whose pause is not over."""
        c = t.proxy.c
        more = sa.and_(c.more_from <= today.isoformat(), c.share == Share.SHARED, t.item.c.gone == 0)
        return self._select(sa.and_(more, sa.not_(rests(now))), None)

    def with_uid(self, uids: Iterable[str]) -> list[tuple[str, KnownItem]]:
        """(collection, item) of all items with one of the UIDs."""
        found: list[tuple[str, KnownItem]] = []
        for some in _chunks(uids):
            c = t.item.c
            statement = sa.select(c.pim, c.href, c.etag, c.uid, c.proxy_id, c.gone).where(c.uid.in_(some))
            found += [(row.pim, _known(row)) for row in self._rows(statement)]
        return found

    def _known(self, where: sa.ColumnElement[bool]) -> list[KnownItem]:
        c = t.item.c
        statement = sa.select(c.href, c.etag, c.uid, c.proxy_id, c.gone).where(where)
        return [_known(row) for row in self._rows(statement)]

    def remember_unshareable(self, pim: str, href: str, etag: str, text: str = "") -> None:
        """A resource without an item of its own. `text`: it holds parts that are, which are written into it."""
        row = {"pim": pim, "href": href, "etag": etag, "uid": "", "made": 0, "gone": 0, "text": text}
        self._write(sa.insert(t.item).prefix_with("OR REPLACE"), row)

    def touch(self, pim: str, etags: dict[str, str]) -> None:
        """Note new etags of items whose content is as known."""
        for href, etag in etags.items():
            self._write(sa.update(t.item).where(t.item.c.pim == pim, t.item.c.href == href).values(etag=etag))

    def forget_unshareable(self, pim: str) -> None:
        """Forget the items of kinds that could not be shared: they can be now, and are to be read."""
        c = t.item.c
        self._write(sa.delete(t.item).where(c.pim == pim, c.proxy_id.is_(None), c.text == ""))

    def drop_items(self, pim: str, hrefs: Iterable[str]) -> None:
        """Forget items no proxy belongs to."""
        for some in _chunks(hrefs):
            self._write(sa.delete(t.item).where(t.item.c.pim == pim, t.item.c.href.in_(some)))

    # --- tokens and facts ------------------------------------------------------------------------------------------

    def token(self, side: str) -> str | None:
        rows = self._rows(sa.select(t.token.c.value).where(t.token.c.side == side))
        return rows[0].value if rows else None

    def set_token(self, side: str, value: str | None) -> None:
        if value is None:
            self._write(sa.delete(t.token).where(t.token.c.side == side))
        else:
            self._write(sa.insert(t.token).prefix_with("OR REPLACE"), {"side": side, "value": value})

    def fact(self, name: str) -> Any:
        rows = self._rows(sa.select(t.fact.c.value).where(t.fact.c.name == name))
        return json.loads(rows[0].value) if rows else None

    def set_fact(self, name: str, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False)
        self._write(sa.insert(t.fact).prefix_with("OR REPLACE"), {"name": name, "value": text})

    # --- intents: recorded before a write, removed with its result -------------------------------------------------

    def intents(self, side: str) -> list[tuple[str, str, Any]]:
        """(intent id, proxy id, document), oldest first."""
        c = t.intent.c
        statement = sa.select(c.id, c.proxy_id, c.doc).where(c.side == side).order_by(sa.literal_column("rowid"))
        return [(row.id, row.proxy_id, json.loads(row.doc)) for row in self._rows(statement)]

    def intend(self, side: str, intents: Sequence[tuple[str, str, Any]]) -> None:
        rows = [{"id": i, "proxy_id": p, "side": side, "doc": json.dumps(d, ensure_ascii=False)} for i, p, d in intents]
        if rows:
            self._write(sa.insert(t.intent).prefix_with("OR REPLACE"), rows)

    def done(self, ids: Iterable[str]) -> None:
        for some in _chunks(ids):
            self._write(sa.delete(t.intent).where(t.intent.c.id.in_(some)))

    # --- counts -----------------------------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """linked: shared items with their activity. held: records that wait for a person. waiting: activities
        without an item. unshared and unshareable items. failed: those nobody ignores."""
        linked = sa.select(sa.func.count()).select_from(t.item.join(t.proxy, t.item.c.proxy_id == t.proxy.c.id))
        return {
            "linked": self._count(linked.where(t.proxy.c.share == Share.SHARED, t.proxy.c.there == There.LIVE)),
            "held": self._count(sa.select(sa.func.count()).select_from(t.proxy).where(t.proxy.c.held > 0)),
            "failed": self._count(_FAILED.where(t.problem.c.state != IssueState.IGNORED)),
            "unshared": self._count(linked.where(t.proxy.c.share != Share.SHARED, t.item.c.gone == 0)),
            "not_shareable": self._count(
                sa.select(sa.func.count()).select_from(t.item).where(t.item.c.proxy_id.is_(None), t.item.c.text == "")
            ),
        }


@dataclass(frozen=True, slots=True)
class _Unsaved:
    """A proxy to be written at the end of the step. `keys`: under which it waits for its partner."""

    proxy: Proxy
    dirty: bool
    keys: tuple[str, ...]

    def waiting(self) -> Iterator[dict[str, Any]]:
        has = "activity" if self.proxy.item is None else "item"
        return ({"key": key, "proxy_id": self.proxy.id, "has": has} for key in dict.fromkeys(self.keys))


# Statements are built once: building one costs as much as running it.
_PUT = {table: sa.insert(table).prefix_with("OR REPLACE") for table in (t.proxy, t.item, t.waiting)}
_DROP = {table: sa.delete(table).where(table.c.proxy_id == sa.bindparam("of")) for table in (t.item, t.waiting)}
_FAILED = sa.select(sa.func.count()).select_from(t.problem)


def _spellings(key: str) -> tuple[str, ...]:
    """The forms in which an id that somebody wrote may be kept."""
    return (key, normal(key), parse(key).key or key)


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    everything = list(ids)
    for start in range(0, len(everything), MANY):
        yield everything[start : start + MANY]


def _known(row: sa.Row[Any]) -> KnownItem:
    return KnownItem(row.href, row.etag, row.uid, row.proxy_id, bool(row.gone))


def _row(proxy: Proxy, dirty: bool) -> dict[str, Any]:
    return {
        "id": proxy.id,
        "kind": proxy.kind.value if isinstance(proxy.kind, Kind) else None,
        "share": proxy.share.value,
        "there": proxy.there.value,
        "activity_id": proxy.activity_id,
        "version": proxy.server.version if proxy.server else 0,
        "dirty": int(dirty),
        "held": len(proxy.held),
        "owner": proxy.values.get("owner"),
        "more_from": proxy.more_from.isoformat() if proxy.more_from else None,
        "doc": codec.dump(proxy),
    }


def _item_row(proxy_id: str, item: ItemState) -> dict[str, Any]:
    return {
        "pim": item.pim,
        "href": item.href,
        "proxy_id": proxy_id,
        "etag": item.etag,
        "uid": item.uid,
        "made": int(item.made),
        "gone": int(item.gone),
        "text": item.text,
        "part_of": split_href(item.href)[0] if split_href(item.href)[1] else None,
    }


def _proxy(row: sa.Row[Any]) -> Proxy:
    item = None
    if row.pim is not None:
        item = ItemState(row.pim, row.href, row.etag, row.text, row.uid, bool(row.made), bool(row.gone))
    return codec.load(row.id, row.kind, row.share, row.there, row.doc, item)
