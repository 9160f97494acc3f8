"""Activity servers for the tests: embedded on SQLite, embedded on PostgreSQL, and over HTTP on the loopback.

Ann, Bob and Carol are users; `nobody@example.com` is the generic owner; Dora is a contact.
"""

from __future__ import annotations

import itertools
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from connectors.http.server import HttpActivityServer
from syncengine.core.names import OURS
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Insert, Linked, Outcome, Stored, Update
from syncengine.model.directory import Account, Contact, Directory, Employee, Opportunity
from syncengine.model.mapping import ServerNames
from syncengine.ports import ActivityServer
from syncengine.services import tokens
from syncengine.services.activities import Activities
from syncengine.store.activities import Activities as Store
from syncengine.store.contents import Contents
from syncengine.web.app import create_app

GENERIC = "nobody@example.com"
KEY_1, KEY_2 = ("integration_id", "owner"), ("owner", "description", "planned")
KEYS = (KEY_1, KEY_2)
MOST_BYTES = 2_000_000
"""Of one attachment on these servers."""
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)

PEOPLE = Directory(
    employees=(
        Employee("e-ann", "Ann", ("ann@example.com", "ann@home.example"), user=True),
        Employee("e-bob", "Bob", ("bob@example.com",), user=True),
        Employee("e-carol", "Carol", ("carol@example.com",), user=True),
        Employee("e-nobody", "Nobody", (GENERIC,)),
    ),
    contacts=(Contact("c-dora", "Dora", ("dora@client.example",), account="a-1"),),
    accounts=(Account("a-1", "Client Inc."),),
    opportunities=(Opportunity("o-1", "A big sale", "a-1", 5000.0),),
)


def ticking() -> Callable[[], datetime]:
    """A clock that moves on by a second whenever it is read."""
    seconds = itertools.count()
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))


class World:
    """A server with its people, and what a user does there most often."""

    def __init__(self, store: Store, connect: Callable[[str], ActivityServer]) -> None:
        self.store, self._connect = store, connect

    def as_user(self, name: str) -> ActivityServer:
        return self._connect(f"e-{name}")

    def meet(self, name: str, /, keys: tuple[tuple[str, ...], ...] = KEYS, **values: Any) -> Outcome:
        """The user shares a meeting from the calendar."""
        activity_id = values.pop("activity_id", new_id())
        filled = meeting(name) | values
        return self.as_user(name).apply([Insert(new_id(), activity_id, filled, keys)])[0]

    def stored(self, name: str, /, **values: Any) -> Activity:
        outcome = self.meet(name, **values)
        assert isinstance(outcome, (Stored, Linked)), outcome
        return outcome.activity

    def made_on_server(self, name: str, **values: Any) -> Activity:
        filled = {"owner": f"e-{name}", "display_in": "Calendar and Activities"} | values
        outcome = self.as_user(name).apply([Insert(new_id(), new_id(), filled, (), Origin.SERVER)])[0]
        assert isinstance(outcome, Stored), outcome
        return outcome.activity

    def set(self, name: str, activity: Activity, /, **values: Any) -> Outcome:
        return self.as_user(name).apply([Update(new_id(), activity.id, activity.version, values)])[0]


def new_id() -> str:
    return uuid.uuid4().hex


def meeting(owner: str) -> dict[str, Any]:
    return {
        "integration_id": "uid-1",
        "owner": f"e-{owner}",
        "display_in": "Calendar and Activities",
        "description": "Site visit",
        "planned": NINE,
        "planned_completion": NINE + HOUR,
    }


def embedded(store: Store, files: Contents | None = None) -> World:
    clock = ticking()
    return World(store, lambda employee_id: Activities(store, employee_id, GENERIC, clock, files))


def filled_store(url: str) -> Store:
    """A database with the people in it. On SQLite it is a copy of one made before, which is faster."""
    if not url.startswith("sqlite:///"):
        return _filled(url)
    Path(url.removeprefix("sqlite:///")).write_bytes(_filled_file())
    return Store(url)


@lru_cache(maxsize=1)
def _filled_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _filled(f"sqlite:///{folder}/server.db").close()
        return Path(folder, "server.db").read_bytes()


def _filled(url: str) -> Store:
    store = Store(url)
    with store.transaction(write=True):
        store.put_directory(PEOPLE)
    return store


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app behind a real socket on the loopback; its address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # TCP named: asyncio then sends
    listener.bind(("127.0.0.1", 0))  # without delay
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def app_for(store: Store, names: ServerNames = OURS, files: Contents | None = None) -> Any:
    clock = ticking()

    def open_activities(token: str) -> Activities | None:
        employee = tokens.recognise(store, token)
        return Activities(store, employee.id, GENERIC, clock, files) if employee else None

    return create_app(open_activities, names, MOST_BYTES)


def tokens_for(store: Store) -> Mapping[str, str]:
    return {e.id: tokens.issue(store, e.id, "test", ticking()) for e in PEOPLE.employees if e.user}


@contextmanager
def over_http(store: Store, names: ServerNames = OURS, files: Contents | None = None) -> Iterator[World]:
    issued = tokens_for(store)
    with serving(app_for(store, names, files)) as url:
        clients = {who: HttpActivityServer(url, token, names) for who, token in issued.items()}
        yield World(store, clients.__getitem__)
        for client in clients.values():
            client.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/server.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, of both kinds in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgresql", "http"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A server with its people, in all three shapes in turn."""
    files = Contents(tmp_path / "contents", MOST_BYTES)
    kind = "sqlite" if request.param == "http" else request.param
    store = filled_store(request.getfixturevalue(f"{kind}_url"))
    if request.param == "http":
        with over_http(store, files=files) as found:
            yield found
    else:
        yield embedded(store, files)
    store.close()


@pytest.fixture
def web(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Store, str, Mapping[str, str]]]:
    """A store, the address it is served at, and a token for each user."""
    store = filled_store(sqlite_url)
    issued = tokens_for(store)
    with serving(app_for(store, files=Contents(tmp_path / "contents", MOST_BYTES))) as url:
        yield store, url, issued
    store.close()
