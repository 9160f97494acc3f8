"""A person with a calendar in memory that has sync tokens, a server in the same process, and a state in a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.memory.pim import Collection as Calendar
from connectors.memory.pim import MemoryPim
from syncengine.bootstrap import embedded, open_store, shipped_mapping
from syncengine.core.activity_values import normal
from syncengine.core.directory_file import parse_directory
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Insert, Stored
from syncengine.model.pim import CALENDAR_KINDS
from syncengine.model.report import Report
from syncengine.ports import Pim
from syncengine.services.sync import Collection, Sync, Work
from syncengine.store.engine import files_of
from syncengine.store.state import State

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
GENERIC = "generic@example.com"


def directory(contacts: int = 0) -> str:
    people = [
        {"id": "me", "name": "Me", "addresses": ["me@example.com"], "user": True},
        {"id": "generic", "name": "Generic", "addresses": [GENERIC]},
    ]
    known = [{"id": f"c{n}", "name": f"Contact {n}", "addresses": [f"c{n}@client.test"]} for n in range(contacts)]
    return json.dumps({"employees": people, "contacts": known, "accounts": [], "opportunities": []})


class MemoryDesk:
    """`pim`: instead of the calendar in memory."""

    def __init__(self, home: Path, *, contacts: int = 0, pim: Pim | None = None) -> None:
        self.home, self.calendar = home, Calendar()
        self.pim = pim or MemoryPim(self.calendar)
        self.ids = count(1)
        self.store = open_store(f"sqlite:///{home}/activities.db")
        with self.store.transaction(write=True):
            self.store.put_directory(parse_directory(directory(contacts)))
        self.server = embedded(self.store, "me@example.com", GENERIC, lambda: NOW)
        self.state = State(str(home / "state.db"))

    def close(self) -> None:
        self.state.close()
        self.store.close()

    def lose_state(self) -> None:
        self.state.close()
        for file in files_of(self.state.path):
            file.unlink(missing_ok=True)
        self.state = State(str(self.home / "state.db"))

    def new_id(self) -> str:
        return f"id-{next(self.ids):08d}"

    def sync(self) -> Report:
        work = Work(
            state=self.state,
            server=self.server,
            collections=[Collection("calendar", self.pim, shipped_mapping("default"), CALENDAR_KINDS, CALENDAR_KINDS)],
            addresses=("me@example.com",),
            zone=ZoneInfo("UTC"),
            clock=lambda: NOW,
            new_id=self.new_id,
        )
        return Sync(work).run()

    def put(self, uid: str, text: str) -> None:
        self.calendar.put(f"{uid}.ics", text)

    def items(self) -> dict[str, str]:
        return {href: stored.text for href, stored in self.calendar.items.items()}

    def add(self, records: list[dict[str, Any]]) -> None:
        """Activities somebody made on the server."""
        inserts = [
            Insert(self.new_id(), self.new_id(), normal({"owner": "me", **r}), keys=(), origin=Origin.SERVER)
            for r in records
        ]
        for at in range(0, len(inserts), 200):
            assert all(isinstance(o, Stored) for o in self.server.apply(inserts[at : at + 200]))

    def activities(self) -> list[Activity]:
        return list(self.server.activities())


def start(number: int) -> datetime:
    return NOW + timedelta(hours=number)


def event(uid: str, summary: str, number: int, *more: str) -> str:
    at = f"{start(number):%Y%m%dT%H%M%SZ}"
    end = f"{start(number) + timedelta(hours=1):%Y%m%dT%H%M%SZ}"
    said = [f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}", f"DTSTART:{at}", f"DTEND:{end}", *more]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", *said, "END:VEVENT", "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in lines)
