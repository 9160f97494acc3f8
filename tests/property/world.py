"""A small world to break: people with calendars on unreliable lines, one activity server, clients that may be killed.

Everything is real but the lines: the activity server is the embedded one on SQLite, each client has its state in a
file, the calendars are the memory connector. What goes wrong, and when, is decided by the caller and never by chance,
so a failing run can be replayed.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from connectors.memory.pim import Collection as Calendar
from connectors.memory.pim import Fault, Faults, MemoryPim
from syncengine.bootstrap import open_store, read_mapping
from syncengine.config import mapping_folder
from syncengine.core.directory_file import parse_directory
from syncengine.core.ical.read import NotShareable, read
from syncengine.core.sync.absorb import properties
from syncengine.core.wire import greeting_from_json
from syncengine.errors import ConfigError, ItemError, SyncEngineError, Unreachable
from syncengine.model.activity import Activity
from syncengine.model.brakes import Brakes
from syncengine.model.commands import Command, Feed, Greeting, Insert, Outcome, Update
from syncengine.model.directory import Directory
from syncengine.model.filters import View
from syncengine.model.item import Item
from syncengine.model.mapping import Mapping
from syncengine.model.pim import CALENDAR_KINDS, Resource, Written
from syncengine.model.proxy import Proxy
from syncengine.model.report import Report
from syncengine.model.visibility import EditAnswer, RecordEdit, RecordFeed
from syncengine.ports import ActivityServer, ActivityStore
from syncengine.services import activity_editing
from syncengine.services.activities import Activities
from syncengine.services.client_activities import ClientActivities
from syncengine.services.conflicts import NO_PIM, Conflicts, Wish
from syncengine.services.removal import NO_SERVER
from syncengine.services.scenario import DIRECTORY, GENERIC_OWNER, START
from syncengine.services.sync import Collection, Sync, Work
from syncengine.services.sync.reverting import revert
from syncengine.services.undo import Undo
from syncengine.store.state import State

T = TypeVar("T")
ROUND = 12
"""A server, or calendar, that rounds keeps so many characters of a text."""
LONG = " and a long tail"


class Killed(BaseException):
    """The process ended here, as by a power cut. Nothing may catch it."""


@dataclass
class Fuse:
    """Kills at the n-th point a run comes past; never, with `at` None. A dead process does nothing any more."""

    at: int | None = None
    dead: bool = False
    meanwhile: tuple[int, Callable[[], None]] | None = None

    def point(self) -> None:
        self._meanwhile()
        if self.at is not None and not self.dead:
            self.at -= 1
            self.dead = self.at < 0
        if self.dead:
            raise Killed

    def _meanwhile(self) -> None:
        """What somebody else does while this run is on its way, once."""
        if self.meanwhile is None:
            return
        left, deed = self.meanwhile
        self.meanwhile = (left - 1, deed) if left else None
        if not left:
            deed()


@dataclass
class Trouble:
    """What goes wrong during one run: per kind of call, the faults of its first calls, one after the other.
    `meanwhile`: at the n-th point of the run, somebody else does something.

    server: "fine", "before" (the request is lost) or "after" (carried out, and the answer is lost)."""

    changes: Sequence[frozenset[Fault]] = ()
    fetch: Sequence[frozenset[Fault]] = ()
    writes: Sequence[frozenset[Fault]] = ()
    server: Sequence[str] = ()
    kill_at: int | None = None
    meanwhile: tuple[int, Callable[[], None]] | None = None

    @property
    def none(self) -> bool:
        return not any((self.changes, self.fetch, self.writes, self.server)) and self.kill_at is None


QUIET = Trouble()


class ShakyPim(MemoryPim):
    """A connection to a calendar that can be killed, and that refuses to delete what the user made (ACT-7). `mails`:
    its server would mail attendees, so no entry that has any may be written."""

    def __init__(
        self, calendar: Calendar, trouble: Trouble, fuse: Fuse, rewrite: Callable[[str], str], *, mails: bool = False
    ) -> None:
        calls: dict[str, Iterator[frozenset[Fault]]] = {
            "changes": iter(trouble.changes),
            "fetch": iter(trouble.fetch),
            "create": iter(trouble.writes),
        }
        calls["update"] = calls["delete"] = calls["create"]

        def decide(call: str, _href: str) -> frozenset[Fault]:
            fuse.point()
            return next(calls[call], frozenset())

        super().__init__(calendar, faults=Faults(decide, rewrite), mails_attendees=mails)
        self.fuse = fuse

    def create(self, href: str, text: str) -> Written:
        self._mails_nobody(text)
        return self._done(super().create(href, text))

    def update(self, href: str, text: str, etag: str) -> Written:
        stored = self.collection.items.get(href)
        self._mails_nobody(text + (stored.text if stored else ""))
        return self._done(super().update(href, text, etag))

    def delete(self, href: str, etag: str) -> None:
        stored = self.collection.items.get(href)
        assert stored is None or "UID:activity-" in stored.text, f"the product deletes an item it did not make: {href}"
        self._done(super().delete(href, etag))

    def _mails_nobody(self, text: str) -> None:
        assert not (self.mails_attendees and "ATTENDEE" in text), f"this would mail its attendees: {text}"

    def _done(self, answer: T) -> T:
        self.fuse.point()
        return answer


class ShakyServer:
    """A line to the activity server that breaks as told. `rounds`: the server keeps the start of long comments."""

    def __init__(self, inner: ActivityServer, trouble: Trouble, fuse: Fuse, rounds: bool) -> None:
        self.inner, self.fuse, self.rounds = inner, fuse, rounds
        self.trouble = iter(trouble.server)

    def greet(self) -> Greeting:
        return self._over_the_line(self.inner.greet)

    def directory(self) -> Directory:
        return self._over_the_line(self.inner.directory)

    def records(self, token: str | None, limit: int = 1000) -> RecordFeed:
        return self._over_the_line(lambda: self.inner.records(token, limit))

    def see(self, view: View) -> None:
        self._over_the_line(lambda: self.inner.see(view))

    def edit_record(self, edit: RecordEdit) -> EditAnswer:
        return self._over_the_line(lambda: self.inner.edit_record(edit))

    def changes(self, token: str | None, limit: int = 1000) -> Feed:
        return self._over_the_line(lambda: self.inner.changes(token, limit))

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        return self._over_the_line(lambda: self.inner.fetch(ids))

    def activities(self) -> Iterator[Activity]:
        return self.inner.activities()

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        sent = [self._rounded(c) for c in commands]
        return self._over_the_line(lambda: self.inner.apply(sent))

    def close(self) -> None:
        """The database stays open for the others."""

    def _over_the_line(self, call: Callable[[], T]) -> T:
        self.fuse.point()
        broken = next(self.trouble, "fine")
        if broken == "before":
            raise Unreachable("The server does not answer.")
        answer = call()
        self.fuse.point()
        if broken == "after":
            raise Unreachable("The connection broke before the answer came.")
        return answer

    def _rounded(self, command: Command) -> Command:
        if not self.rounds or not isinstance(command, Insert | Update) or not command.values.get("comments"):
            return command
        return replace(command, values={**command.values, "comments": str(command.values["comments"])[:ROUND]})


class MortalState(State):
    """A client state whose process can be killed before, inside and after each of its transactions."""

    fuse = Fuse()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.fuse.point()
        with super().transaction():
            yield
            self.fuse.point()
        self.fuse.point()


def keeps(text: str) -> str:
    return text.replace("END:VCALENDAR", "X-REWRITTEN:1\r\nEND:VCALENDAR", 1)


def shortens(text: str) -> str:
    """A calendar that keeps the start of a long place."""
    return "\r\n".join(
        line[: len("LOCATION:") + ROUND] if line.startswith("LOCATION:") else line for line in text.split("\r\n")
    )


REWRITES = {"keeps": keeps, "shortens": shortens}


@dataclass
class User:
    name: str
    address: str
    state_file: Path
    calendar: Calendar = field(default_factory=Calendar)
    rewrite: Callable[[str], str] = keeps
    mails_attendees: bool = False
    state: MortalState | None = None


@cache
def _templates() -> Path:
    """Databases with their tables made, to be copied: making tables takes longer than a whole story."""
    folder = Path(tempfile.mkdtemp(prefix="syncengine-template-"))
    store = open_store(f"sqlite:///{folder}/activities.db")
    with store.transaction(write=True):
        store.put_directory(parse_directory(DIRECTORY, "the test's directory"))
    store.close()
    State(str(folder / "state.db")).close()

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def mapping(edits: tuple[tuple[str, str], ...] = ()) -> Mapping:
    return read_mapping(mapping_folder() / "default.xml", edits)


class World:
    """The users, one and two unless said otherwise, the server, and what can happen to them."""

    def __init__(
        self,
        *,
        rounds: bool = False,
        rewrite: str = "keeps",
        names: Sequence[str] = ("one", "two"),
        more: str = "",
        mails: bool = False,
        addresses: dict[str, str] | None = None,
        clients: Sequence[tuple[str, str]] = (),
        edits: Sequence[tuple[str, str]] = (),
        brakes: Brakes | None = None,
    ) -> None:
        """more: a directory, as JSON, of people beyond those of the scenarios. mails: calendar servers that would mail
        attendees. addresses: whom users are in the directory, where not themselves. clients: (name, user) of further
        clients of users, on the same calendars. edits: what an admin has changed in the mapping, (old, new) texts."""
        self.mails = mails
        self.mapping = mapping(tuple(edits))
        self.folder = Path(tempfile.mkdtemp(prefix="syncengine-world-"))
        shutil.copy(_templates() / "activities.db", self.folder / "activities.db")
        self.store: ActivityStore = open_store(f"sqlite:///{self.folder}/activities.db")
        self.rounds = rounds
        self.now = START
        self.brakes = brakes or Brakes()
        self.ids = count(1)
        self.users = {
            name: User(
                name,
                f"{(addresses or {}).get(name, name)}@example.com",
                self.folder / f"{name}.db",
                rewrite=REWRITES[rewrite],
            )
            for name in names
        }
        for name, of in clients:
            user = self.users[of]
            self.users[name] = replace(user, name=name, state_file=self.folder / f"{name}.db")
        if more:
            with self.store.transaction(write=True):
                self.store.put_directory(parse_directory(more, "the test's directory"))

    def close(self) -> None:
        for user in self.users.values():
            if user.state:
                user.state.close()
        self.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_id(self) -> str:
        return f"id-{next(self.ids):06d}"

    def clock(self) -> datetime:
        return self.now

    # --- clients ---

    def state(self, name: str) -> MortalState:
        user = self.users[name]
        if user.state is None:
            if not user.state_file.exists():
                shutil.copy(_templates() / "state.db", user.state_file)
            user.state = MortalState(str(user.state_file))
        return user.state

    def lose_state(self, name: str) -> None:
        self._stop(name)
        for file in self.folder.glob(f"{name}.db*"):
            file.unlink()

    def _stop(self, name: str) -> None:
        user = self.users[name]
        if user.state:
            user.state.close()
        user.state = None

    def run(self, name: str, trouble: Trouble = QUIET, undo: str = "", *, local_only: bool = False) -> Report:
        """One run of a client just started, or the undoing of one. Raises what the run raises, and Killed."""
        user = self.users[name]
        self.now += timedelta(minutes=1)
        fuse = Fuse(trouble.kill_at, meanwhile=trouble.meanwhile)
        state = self.state(name)
        state.fuse = fuse
        pim = ShakyPim(user.calendar, trouble, fuse, user.rewrite, mails=self.mails)
        both = CALENDAR_KINDS
        work = Work(
            state=state,
            server=ShakyServer(self.server(name), trouble, fuse, self.rounds),
            collections=[Collection("calendar", pim, self.mapping, both, both)],
            addresses=(user.address,),
            zone=ZoneInfo("Europe/Berlin"),
            clock=self.clock,
            new_id=self.new_id,
            brakes=self.brakes,
            local_only=local_only,
        )
        try:
            report = Undo(work, undo).run() if undo else Sync(work).run()
            assert not local_only or not any(side == "pim" for side, _ in report.writes), "it only carries up"
            return report
        except Killed:
            self._stop(name)
            raise
        finally:
            state.fuse = Fuse()

    def accept(self, name: str) -> None:
        """A person confirms the deletions a brake has stopped."""
        state = self.state(name)
        with state.transaction():
            state.accept([identity for identity, _, _ in state.doomed()])

    def revert(self, name: str) -> None:
        """A person takes back the deletions a run has asked about, if one has."""
        state = self.state(name)
        with suppress(ConfigError):
            revert(state, "", ClientActivities(state, self.new_id, ZoneInfo("Europe/Berlin")).me, self.new_id)

    def answer(self, name: str, pick: int, wish: Wish) -> None:
        """A person answers one of the conflicts that wait, if any does and it can be answered so."""
        state = self.state(name)
        if not (greeting := state.fact("greeting")):
            return
        calendar = Collection("calendar", NO_PIM, self.mapping, frozenset(), frozenset())
        sides, address = (state, NO_SERVER, [calendar]), self.users[name].address
        work = Work(*sides, (address,), ZoneInfo("Europe/Berlin"), self.clock, self.new_id)
        work.know(greeting_from_json(greeting))
        use = Conflicts(work)
        if waiting := use.waiting():
            with suppress(ConfigError, ItemError):
                use.resolve(waiting[pick % len(waiting)].id, wish)

    def proxies(self, name: str) -> list[Proxy]:
        state = self.state(name)
        return list(state.proxies(row[0] for row in _rows(state, "select id from proxy")).values())

    # --- the calendar, as its user handles it ---

    def items(self, name: str) -> dict[str, tuple[Resource, Item]]:
        """UID → item, of everything in a user's calendar."""
        pim = MemoryPim(self.users[name].calendar)
        found = {}
        for href in sorted(pim.collection.items):
            one = next(pim.fetch([href]))
            assert isinstance(one, Resource)
            item = read(one.text, properties(mapping()) | {"x-keep"})
            assert not isinstance(item, NotShareable)
            assert item.uid not in found, f"{name} has two items {item.uid}"
            found[item.uid] = (one, item)
        return found

    def put(self, name: str, uid: str, text: str, *, lags: bool = False) -> None:
        """The user saves; a listing that lags shows it only the time after next."""
        calendar = self.users[name].calendar
        href = MemoryPim(calendar).href_for(uid)
        calendar.put(href, text)
        if lags:
            calendar.lagging.add(href)

    def drop(self, name: str, uid: str) -> None:
        calendar = self.users[name].calendar
        calendar.drop(self.items(name)[uid][0].href)

    # --- the server, as its users handle it ---

    def server(self, name: str) -> Activities:
        address = self.users[name].address if name in self.users else f"{name}@example.com"
        return Activities(self.store, address, GENERIC_OWNER, self.clock)

    def activities(self) -> dict[str, Activity]:
        """Every live activity somebody sees, by id."""
        people = dict.fromkeys(("one", "two", "three", "generic", *self.users))
        return {a.id: a for name in people for a in self.server(name).activities()}

    def with_integration_id(self, uid: str) -> list[Activity]:
        with self.store.transaction(write=False):
            return list(self.store.find(("integration_id",), {"integration_id": uid}))

    def add(self, name: str, **values: Any) -> Activity:
        return activity_editing.create(self.server(name), values, self.new_id)

    def edit(self, name: str, identity: str, **values: Any) -> Activity:
        return activity_editing.edit(self.server(name), identity, values, self.new_id)

    def remove(self, name: str, identity: str) -> None:
        activity_editing.delete(self.server(name), identity, self.new_id)

    def kept(self, name: str) -> str:
        """All of a client's history, as text to search in."""

        return json.dumps(_rows(self.state(name), "select old from history"), ensure_ascii=False)


def _rows(state: State, query: str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(state.path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def at(minute: int) -> datetime:
    """A start of its own for every number."""
    return datetime(2026, 3, 2, 8, 0, tzinfo=UTC) + timedelta(minutes=minute)


__all__ = ["LONG", "QUIET", "Killed", "SyncEngineError", "Trouble", "User", "World", "at", "mapping"]
