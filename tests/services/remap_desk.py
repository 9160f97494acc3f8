"""A person with one folder, a server in the same process, and a mapping file that can be edited between runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from syncengine import bootstrap
from syncengine.config import load
from syncengine.core.directory_file import parse_directory
from syncengine.errors import Stopped
from syncengine.model.activity import Activity
from syncengine.model.brakes import Brakes
from syncengine.model.report import Report
from syncengine.ports import ActivityServer, ClientState
from syncengine.services import activity_editing
from syncengine.services.sync import Sync, Work, braking
from syncengine.store.state import State

CONFIG = """
[user]
employee = "me@example.com"
addresses = {addresses}
timezone = "{zone}"
[server]
url = "{server}"
generic_owner = "generic@example.com"
[[pim]]
name = "work"
connector = "vdir"
path = "calendar"
mapping = "my.xml"
"""
DIRECTORY = {
    "employees": [
        {"id": "me", "name": "Me", "addresses": ["me@example.com"], "user": True},
        {"id": "generic", "name": "Generic", "addresses": ["generic@example.com"]},
    ],
    "contacts": [],
    "accounts": [],
    "opportunities": [],
}
ROOT = Path(__file__).parents[2]
LOCATION = '<field activity="location" pim="location" converter="text" private=""/>'
"""The row of calendar entries in the shipped mapping that the stories take out and put back."""


class RemapDesk:
    def __init__(self, home: Path, **settings: Any) -> None:
        self.home, self.settings = home, {"addresses": ["me@example.com"], "zone": "UTC", **settings}
        (home / "calendar").mkdir()
        (home / "mapping.xsd").write_bytes((ROOT / "mappings" / "mapping.xsd").read_bytes())
        self.shipped = (ROOT / "mappings" / "default.xml").read_text()
        self.map()
        self.use_server("activities.db")

    # --- settings ---

    def map(self, *edits: tuple[str, str]) -> None:
        """The shipped mapping with these edits, from now on."""
        text = self.shipped
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new, 1)
        (self.home / "my.xml").write_text(text)

    def set(self, **settings: Any) -> None:
        self.settings.update(settings)
        addresses = json.dumps(self.settings["addresses"])
        text = CONFIG.format(addresses=addresses, zone=self.settings["zone"], server=self.settings["server"])
        (self.home / "config.toml").write_text(text)
        self.config = load(self.home / "config.toml")

    def use_server(self, file: str) -> None:
        self.set(server=f"sqlite:///{file}")
        store = bootstrap.open_store(self.config.server.url)
        with store.transaction(write=True):
            store.put_directory(parse_directory(json.dumps(DIRECTORY)))
        store.close()

    # --- runs ---

    def sync(self, *, dry_run: bool = False, at_work: Callable[[Work], None] = lambda _work: None) -> Report:
        with ExitStack() as stack:
            work = bootstrap.open_work(self.config, stack, dry_run=dry_run)
            at_work(work)
            return Sync(work).run()

    def stopped(self) -> Report:
        with ExitStack() as stack:
            work = bootstrap.open_work(self.config, stack)
            with pytest.raises(Stopped):
                Sync(work).run()
            return work.report

    def accept(self, report: Report) -> None:
        with self.state() as state:
            braking.accept(state, report.run, Brakes())

    @contextmanager
    def state(self) -> Iterator[ClientState]:
        state = State(self.config.state)
        try:
            yield state
        finally:
            state.close()

    # --- the calendar ---

    def put(self, uid: str, summary: str, *lines: str, start: str = "20260302T090000Z") -> None:
        end = start.replace("T09", "T10")
        said = [f"UID:{uid}", f"SUMMARY:{summary}", f"DTSTART:{start}", f"DTEND:{end}", *lines]
        self._write(uid, "VEVENT", said)

    def put_todo(self, uid: str, summary: str, *lines: str) -> None:
        self._write(uid, "VTODO", [f"UID:{uid}", f"SUMMARY:{summary}", *lines])

    def _write(self, uid: str, kind: str, lines: list[str]) -> None:
        head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", f"BEGIN:{kind}", "DTSTAMP:20260101T000000Z"]
        text = "".join(f"{line}\r\n" for line in [*head, *lines, f"END:{kind}", "END:VCALENDAR"])
        (self.home / "calendar" / f"{uid}.ics").write_bytes(text.encode())

    def text(self, uid: str) -> str:
        return (self.home / "calendar" / f"{uid}.ics").read_bytes().decode()

    def items(self) -> dict[str, str]:
        return {path.name: path.read_bytes().decode() for path in sorted((self.home / "calendar").glob("*.ics"))}

    # --- the server ---

    @contextmanager
    def server(self) -> Iterator[ActivityServer]:
        server = bootstrap.open_server(self.config)
        try:
            yield server
        finally:
            server.close()

    def activities(self) -> dict[str, Activity]:
        """By subject."""
        with self.server() as server:
            return {str(a["description"]): a for a in server.activities()}

    def change(self, subject: str, **values: Any) -> None:
        identity = self.activities()[subject].id
        with self.server() as server:
            activity_editing.edit(server, identity, values, bootstrap.new_id)

    def add(self, **values: Any) -> str:
        with self.server() as server:
            return activity_editing.create(server, values, bootstrap.new_id).id


def written(report: Report) -> int:
    """How much a run wrote and linked."""
    return report.writes.total() + report.linked
