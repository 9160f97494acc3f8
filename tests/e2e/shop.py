"""A user's calendar on a real Radicale, their activities in an embedded server, and runs between them in this very
process: cheap enough to have hundreds. All of it is copied in a moment, to tell one story in many ways."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests

from connectors.caldav.pim import CaldavPim
from syncengine import bootstrap
from syncengine.core.activity_values import normal
from syncengine.core.directory_file import parse_directory
from syncengine.errors import SyncEngineError
from syncengine.model.activity import Origin
from syncengine.model.commands import Insert
from syncengine.model.mapping import Mapping as MappingFile
from syncengine.model.pim import CALENDAR_KINDS
from syncengine.model.report import Report
from syncengine.ports import ActivityServer
from syncengine.render import activity_json
from syncengine.services import activity_editing
from syncengine.services.sync import Collection, Sync, Work
from syncengine.store.state import State
from syncengine.times import Clock, system_clock
from tests.dav_servers import DavServer
from tests.e2e.desk import DIRECTORY, GENERIC, ME

ITEM = re.compile(r"<(?:\w+:)?href>[^<]*/([^</]+\.ics)</")


@cache
def mapping() -> MappingFile:
    return bootstrap.shipped_mapping("default")


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    report: Report
    error: SyncEngineError | None

    @property
    def writes(self) -> int:
        return self.report.writes.total() + self.report.linked

    @property
    def words(self) -> list[str]:
        """All it says to people about what went wrong."""
        problems = [f"{p.what}\n{p.where}\n{p.fix}" for p in (*self.report.problems, *self.report.notices)]
        return [*problems, *([str(self.error)] if self.error else [])]


@dataclass(frozen=True)
class End:
    """Both sides, and what the state counts, without what differs from run to run."""

    items: list[str]
    activities: list[str]
    counts: dict[str, int]


class Shop:
    """`folder` holds the databases, `url` is the calendar's."""

    def __init__(self, folder: Path, server: DavServer, url: str) -> None:
        self.folder, self.server, self.url = folder, server, url
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, folder: Path, server: DavServer) -> Shop:
        """A new one, with a directory, and nothing in it."""
        found = cls(folder, server, server.make_collection())
        store = found._store()
        with store.transaction(write=True):
            store.put_directory(parse_directory(json.dumps(DIRECTORY)))
        store.close()
        return found

    def copy(self, folder: Path) -> Shop:
        """Another one just like this, whose calendar has the same sync tokens."""
        folder.mkdir(parents=True)
        for file in self.folder.glob("*.db"):
            shutil.copy(file, folder)
        name = uuid.uuid4().hex
        home, old = self._collection.parent, self._collection
        shutil.copytree(old, home / name)
        return Shop(folder, self.server, f"{self.server.home_of()}{name}/")

    def drop(self) -> None:
        shutil.rmtree(self._collection)
        shutil.rmtree(self.folder)

    @property
    def _collection(self) -> Path:
        name = self.url.rstrip("/").rsplit("/", 1)[-1]
        return self.server.folder / "collections" / "collection-root" / self.server.username / name

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder}/activities.db"

    def _store(self) -> Any:
        return bootstrap.open_store(self.database)

    # --- runs ---

    def run(
        self,
        url: str = "",
        *,
        timeout: float = 60.0,
        clock: Clock = system_clock,
        activities: Callable[[], ActivityServer] | None = None,
    ) -> Ended:
        """One run; `url`: the calendar through a proxy. `activities`: another way to the activity server."""
        with ExitStack() as stack:
            state = State(str(self.folder / "state.db"))
            stack.callback(state.close)
            stack.enter_context(state.lock())
            pim = CaldavPim(
                url or self.url,
                self.server.username,
                self.server.password,
                timeout=timeout,
                sleep=lambda _seconds: None,
            )
            stack.callback(pim.close)
            server = activities() if activities else self._as_user(clock)
            stack.callback(server.close)
            work = Work(
                state,
                server,
                [Collection("dav", pim, mapping(), CALENDAR_KINDS, CALENDAR_KINDS)],
                (ME,),
                ZoneInfo("Europe/Berlin"),
                clock,
                bootstrap.new_id,
            )
            try:
                Sync(work).run()
            except SyncEngineError as e:
                return Ended(work.report, e)
            return Ended(work.report, None)

    def good(self) -> Ended:
        """A run that must end well."""
        ended = self.run()
        assert ended.error is None, str(ended.error)
        return ended

    def still(self) -> End:
        """Both sides once there is nothing left to do; at most three runs get there."""
        for _ in range(3):
            ended = self.good()
            if not ended.writes:
                break
        assert not ended.writes, f"every run still writes: {ended.report.actions}"
        report = ended.report
        counts = {"held": report.held, "failed": report.failed, "unchanged": report.unchanged}
        return End(sorted(map(plain, self.texts().values())), sorted(map(_plain_activity, self.activities())), counts)

    # --- the calendar ---

    def texts(self) -> dict[str, str]:
        """href → text of all items."""
        body = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        answer = self._request("PROPFIND", "", body, {"Depth": "1"})
        return {name: self._request("GET", name).text for name in sorted(ITEM.findall(answer.text))}

    def put(self, name: str, text: str) -> None:
        self._request("PUT", f"{name}.ics", text, {"Content-Type": "text/calendar; charset=utf-8"})

    def edit(self, name: str, old: str, new: str) -> None:
        text = self._request("GET", f"{name}.ics").text
        assert old in text, f"{old!r} is not in {name}:\n{text}"
        self.put(name, text.replace(old, new))

    def remove(self, name: str) -> None:
        self._request("DELETE", f"{name}.ics")

    def _request(self, method: str, name: str, body: str = "", headers: Mapping[str, str] | None = None) -> Any:
        auth = (self.server.username, self.server.password)
        url = self.url + name
        answer = requests.request(method, url, data=body.encode(), headers=dict(headers or {}), auth=auth, timeout=60)
        answer.raise_for_status()
        answer.encoding = "utf-8"
        return answer

    # --- the activity server ---

    def _as_user(self, clock: Clock = system_clock) -> ActivityServer:
        return bootstrap.embedded(self._store(), ME, GENERIC, clock)

    def activities(self) -> list[dict[str, Any]]:
        server = self._as_user()
        try:
            directory = server.directory()
            return [dict(activity_json(a, directory)) for a in server.activities()]
        finally:
            server.close()

    def ids(self) -> dict[str, str]:
        """description → id."""
        return {a["description"]: a["id"] for a in self.activities()}

    def add(self, **fields: Any) -> str:
        server = self._as_user()
        try:
            insert = Insert(
                bootstrap.new_id(), bootstrap.new_id(), normal({"owner": "e1", **fields}), keys=(), origin=Origin.SERVER
            )
            server.apply([insert])
        finally:
            server.close()
        return insert.activity_id

    def change(self, activity_id: str, **values: Any) -> None:
        server = self._as_user()
        try:
            activity_editing.edit(server, activity_id, values, bootstrap.new_id)
        finally:
            server.close()

    def delete(self, activity_id: str) -> None:
        server = self._as_user()
        try:
            activity_editing.delete(server, activity_id, bootstrap.new_id)
        finally:
            server.close()


def plain(text: str) -> str:
    return "\n".join(sorted(re.sub(r"DTSTAMP:\S+", "DTSTAMP", text).splitlines()))


def _plain_activity(activity: Mapping[str, Any]) -> str:
    return json.dumps({n: v for n, v in sorted(activity.items()) if v and n not in {"id", "version"}})


def difference(found: End, expected: End) -> str:
    """What is wrong with an end, in words; empty when nothing is."""
    lines = list(unified_diff(expected.items, found.items, "expected", "found", lineterm="", n=0))
    lines += unified_diff(expected.activities, found.activities, "expected", "found", lineterm="", n=0)
    if found.counts != expected.counts:
        lines.append(f"counts {found.counts} instead of {expected.counts}")
    return "\n".join(line.replace("\n", " ") for line in lines)
