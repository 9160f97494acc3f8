"""The two programs, each as its user would run it: a configuration in a folder, and a command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from syncengine import bootstrap
from syncengine.config import load
from syncengine.model.commands import Stored, Update
from syncengine.model.directory import Directory, Employee
from tests.benchmarks import calendars
from tests.benchmarks.server import PASSWORD, USER, Relay, rename

OURS = """[user]
employee = "alice@example.org"
timezone = "Europe/Berlin"
[server]
url = "sqlite:///activities.db"
generic_owner = "office@example.org"
[[pim]]
name = "calendar"
connector = "caldav"
url = "{url}"
username = "{user}"
password = "{password}"
"""
PEER = """[general]
status_path = "{folder}/status/"
[pair bench]
a = "dav"
b = "files"
collections = null
[storage dav]
type = "caldav"
url = "{url}"
username = "{user}"
password = "{password}"
[storage files]
type = "filesystem"
path = "{folder}/files/"
fileext = ".ics"
"""
PEOPLE = Directory(
    employees=(
        Employee("E1", "Alice", ("alice@example.org",), user=True),
        Employee("E2", "Office", ("office@example.org",)),
    )
)


@dataclass(frozen=True)
class Cost:
    """What one run cost: seconds on the clock and of the client's CPU, MB of its memory at the peak, KB received."""

    wall: float
    cpu: float
    peak: float
    down: float


class Client(Protocol):
    name: str

    def sync(self) -> Cost: ...

    def edit_locally(self, numbers: Sequence[int], word: str) -> None:
        """Change items on the side that is not the calendar."""


class Ours:
    """`syncengine sync`: calendar ↔ activity server in the same process, both in SQLite files."""

    name = "syncengine"

    def __init__(self, folder: Path, url: str, relay: Relay) -> None:
        folder.mkdir()
        self._config, self._relay = folder / "config.toml", relay
        self._config.write_text(OURS.format(url=url, user=USER, password=PASSWORD))
        store = bootstrap.open_store(load(self._config).server.url)
        with store.transaction(write=True):
            store.put_directory(PEOPLE)
        store.close()

    def sync(self) -> Cost:
        # the same as the installed script, whichever folder that is in
        start = "from syncengine.cli.main import main; main()"
        return measure([sys.executable, "-c", start, "sync", "--config", str(self._config)], self._relay)

    def edit_locally(self, numbers: Sequence[int], word: str) -> None:
        server = bootstrap.open_server(load(self._config))
        uids = {calendars.uid(number) for number in numbers}
        found = [a for a in server.activities() if a["integration_id"] in uids]
        commands = [Update(str(uuid4()), a.id, a.version, {"description": f"{word} {a['description']}"}) for a in found]
        outcomes = server.apply(commands)
        server.close()
        if [type(o) for o in outcomes] != [Stored] * len(numbers):
            raise RuntimeError("the activity server refused an edit")


class Peer:
    """`vdirsyncer sync`: calendar ↔ folder of files."""

    name = "vdirsyncer"

    def __init__(self, folder: Path, url: str, relay: Relay) -> None:
        self._files = folder / "files"
        self._files.mkdir(parents=True)
        self._config, self._relay = folder / "config", relay
        self._config.write_text(PEER.format(folder=folder, url=url, user=USER, password=PASSWORD))
        measure([*self._command, "discover"], relay)

    @property
    def _command(self) -> list[str]:
        return [sys.executable, "-m", "vdirsyncer", "-c", str(self._config)]

    def sync(self) -> Cost:
        return measure([*self._command, "sync"], self._relay)

    def edit_locally(self, numbers: Sequence[int], word: str) -> None:
        uids = {calendars.uid(number) for number in numbers}
        by_uid = {calendars.uid_of(file.read_bytes().decode()): file for file in self._files.iterdir()}
        for uid in uids:
            rename(by_uid[uid], word)


def measure(command: Sequence[str], relay: Relay) -> Cost:
    """Run to the end. Raises RuntimeError with what the program said when it fails."""
    before, start = relay.down, time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    wall = time.monotonic() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said.decode(errors='replace')[-2000:]}")
    kilobytes = 1024 if sys.platform == "darwin" else 1
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / kilobytes / 1024, (relay.down - before) / 1024)
