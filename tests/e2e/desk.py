"""One user's desk: a configuration, a calendar folder, a directory, and the command line to work with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from syncengine import bootstrap
from syncengine.config import load
from syncengine.core.activity_values import normal
from syncengine.model.activity import Origin
from syncengine.model.commands import Insert, Stored
from syncengine.ports import ActivityServer
from syncengine.render import activity_json
from syncengine.services import activity_editing

ROOT = Path(__file__).parents[2]
ME, OTHER, GENERIC = "user.one@example.com", "user.two@example.com", "generic.owner@example.com"

DIRECTORY = {
    "employees": [
        {"id": "e1", "name": "User One", "addresses": [ME], "user": True},
        {"id": "e2", "name": "User Two", "addresses": [OTHER], "user": True},
        {"id": "g", "name": "Nobody", "addresses": [GENERIC]},
    ],
    "contacts": [{"id": "c1", "name": "Con Tact", "addresses": ["con@example.net"], "account": "a1"}],
    "accounts": [{"id": "a1", "name": "Example Ltd"}],
    "opportunities": [],
}

CONFIG = """[user]
employee = "{user}"
timezone = "Europe/Berlin"
[state]
path = "state.db"
[server]
url = "{server}"
generic_owner = "generic.owner@example.com"
{more_server}
{pims}
"""
FOLDER = """[[pim]]
name = "work"
connector = "vdir"
path = "calendar"
"""


@dataclass(frozen=True)
class Done:
    """What a command ended with; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)


class Commands:
    """Runs commands as processes, through `fork_server`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers, self._one_at_a_time = folder, count(), threading.Lock()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def run(
        self,
        args: Sequence[str],
        cwd: Path,
        *,
        env: Mapping[str, str] | None = None,
        kill_at: int | None = None,
        kill_after: float | None = None,
        largest_file: int | None = None,
    ) -> Done:
        number = next(self._numbers)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        job = {
            "args": [str(a) for a in args],
            "cwd": str(cwd),
            "env": dict(env or {}),
            "out": str(out),
            "err": str(err),
            "kill_at": kill_at,
            "kill_after": kill_after,
            "largest_file": largest_file,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
        return Done(code, *(file.read_text() if file.exists() else "" for file in (out, err)))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@dataclass
class Desk:
    folder: Path
    commands: Commands
    user: str = ME
    server: str = "sqlite:///activities.db"
    more_server: str = ""
    pims: str = FOLDER
    env: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def calendar(self) -> Path:
        return self.folder / "calendar"

    def set_up(self, *, directory: bool = True) -> Desk:
        self.calendar.mkdir(parents=True, exist_ok=True)
        self.configure()
        if directory:
            self.import_directory()
        return self

    def configure(self) -> None:
        self.config.write_text(
            CONFIG.format(user=self.user, server=self.server, more_server=self.more_server, pims=self.pims)
        )

    def import_directory(self, content: Mapping[str, Any] = DIRECTORY) -> Done:
        (self.folder / "directory.json").write_text(json.dumps(content))
        return self.good("directory", "import", "directory.json")

    # --- commands ---

    def do(self, *args: str, **how: Any) -> Done:
        """A command with this desk's configuration, however it ends."""
        return self.commands.run([*args, "--config", "config.toml"], self.folder, env=self.env, **how)

    def good(self, *args: str) -> Done:
        done = self.do(*args)
        assert done.code == 0, f"{args} ended with {done.code}:\n{done.out}{done.err}"
        return done

    def sync(self, *options: str) -> dict[str, Any]:
        """A run that must end well; its report."""
        report: dict[str, Any] = self.good("sync", "--json", *options).json
        return report

    @contextmanager
    def as_server_user(self) -> Iterator[ActivityServer]:
        """The activity server as its user sees it, without the command line: quicker where there is much to do."""
        config = load(self.config)
        server = bootstrap.open_server(config, bootstrap.load_mapping(config.pims[0].mapping, config).names)
        try:
            yield server
        finally:
            server.close()

    def activities(self) -> list[dict[str, Any]]:
        """What the command `activities --json` prints."""
        with self.as_server_user() as server:
            directory = server.directory()
            return [dict(activity_json(a, directory)) for a in server.activities()]

    def change(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Set fields of activities, by id, on the server."""
        with self.as_server_user() as server:
            for activity_id, values in changes.items():
                activity_editing.edit(server, activity_id, values, bootstrap.new_id)

    def activity(self, description: str) -> dict[str, Any]:
        (found,) = [a for a in self.activities() if a["description"] == description]
        return found

    def add(self, **fields: Any) -> str:
        """An activity made on the server; its id."""
        return self.add_all([fields])[0]

    def add_all(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        with self.as_server_user() as server:
            me = server.greet().user
            inserts = [_insert({"owner": me, **record}) for record in records]
            outcomes = server.apply(inserts)
        assert all(isinstance(outcome, Stored) for outcome in outcomes), outcomes
        return [insert.activity_id for insert in inserts]

    # --- the calendar ---

    def put(self, name: str, text: str) -> None:
        """Save an item, as a calendar program does: a new file takes the place of the old one."""
        new = self.calendar / f".{name}.new"
        new.write_bytes(text.encode())
        new.replace(self.calendar / f"{name}.ics")

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.text(name)
        assert old in text, f"{old!r} is not in {name}:\n{text}"
        self.put(name, text.replace(old, new))

    def text(self, name: str) -> str:
        return (self.calendar / f"{name}.ics").read_bytes().decode()

    def remove(self, *names: str) -> None:
        for name in names:
            (self.calendar / f"{name}.ics").unlink()

    def items(self) -> list[str]:
        """The texts of all items."""
        return sorted(path.read_bytes().decode() for path in self.calendar.glob("*.ics"))

    def copy(self, folder: Path) -> Desk:
        """Another desk just like this. Items are hard links, so that their etags are the same."""
        folder.mkdir(parents=True)
        shutil.copytree(self.calendar, folder / "calendar", copy_function=os.link)
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.copy2(path, folder)
            elif path.name.endswith(".attachments"):
                shutil.copytree(path, folder / path.name)
        return Desk(folder, self.commands, self.user, self.server, self.more_server, self.pims, self.env)


def _insert(record: Mapping[str, Any]) -> Insert:
    """What `activity add` sends for a record; several fit into one transaction."""
    return Insert(bootstrap.new_id(), bootstrap.new_id(), normal(record), keys=(), origin=Origin.SERVER)


def writes(report: Mapping[str, Any]) -> int:
    """How much a run wrote and linked."""
    counts = [n for side in ("pim", "server") for n in report[side].values()]
    return int(sum(counts) + report["linked"])


# --- items -----------------------------------------------------------------------------------------------------------


def event(uid: str, summary: str, start: str = "20260302T090000Z", end: str = "20260302T100000Z", *more: str) -> str:
    """A calendar entry. Times stand as in iCalendar; a date makes it all-day."""
    kind = ";VALUE=DATE" if len(start) == 8 else ""
    lines = [f"UID:{uid}", f"SUMMARY:{summary}", f"DTSTART{kind}:{start}", f"DTEND{kind}:{end}", *more]
    return _calendar("VEVENT", lines)


def todo(uid: str, summary: str, *more: str) -> str:
    return _calendar("VTODO", [f"UID:{uid}", f"SUMMARY:{summary}", *more])


def _calendar(component: str, lines: Sequence[str]) -> str:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", f"BEGIN:{component}", "DTSTAMP:20260101T000000Z"]
    return "".join(f"{line}\r\n" for line in [*head, *lines, f"END:{component}", "END:VCALENDAR"])


# --- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


@pytest.fixture
def desk(tmp_path: Path, commands: Commands) -> Desk:
    """A desk with an empty calendar, an empty server and its directory."""
    return Desk(tmp_path / "desk", commands).set_up()
