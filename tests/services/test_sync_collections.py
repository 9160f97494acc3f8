"""Several collections of one person: each does its part, whatever happens to the others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from syncengine import bootstrap
from syncengine.config import load
from syncengine.core.directory_file import parse_directory
from syncengine.errors import SideError, Stopped, Unreachable, Vanished
from syncengine.model.report import Report
from syncengine.services import activity_editing
from syncengine.services.sync import Sync

CONFIG = """
[user]
employee = "me@example.com"
timezone = "UTC"
[server]
url = "sqlite:///activities.db"
generic_owner = "generic@example.com"
[[pim]]
name = "a"
connector = "vdir"
path = "a"
[[pim]]
name = "b"
connector = "vdir"
path = "b"
"""
DIRECTORY = {
    "employees": [
        {"id": "me", "name": "Me", "addresses": ["me@example.com"], "user": True},
        {"id": "generic", "name": "Generic", "addresses": ["generic@example.com"]},
    ],
    "contacts": [],
    "accounts": [{"id": "acme", "name": "Acme"}],
    "opportunities": [],
}
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:20260302T090000Z\r\n"
    "DTEND:20260302T100000Z\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


class Desk:
    """A person with two folders and a server."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("a", "b"):
            (home / name).mkdir()
        (home / "config.toml").write_text(CONFIG, encoding="utf-8")
        self.config = load(home / "config.toml")
        self.import_directory()

    def import_directory(self) -> None:
        store = bootstrap.open_store(self.config.server.url)
        with store.transaction(write=True):
            store.put_directory(parse_directory(json.dumps(DIRECTORY)))
        store.close()

    def put(self, folder: str, uid: str, summary: str = "Meeting") -> Path:
        path = self.home / folder / f"{uid}.ics"
        path.write_bytes(EVENT.format(uid=uid, summary=summary).encode())
        return path

    def sync(self, *chosen: str, fails: type[SideError] | None = None) -> Report:
        with ExitStack() as stack:
            work = bootstrap.open_work(self.config, stack, chosen=chosen or None)
            if fails is None:
                return Sync(work).run()
            with pytest.raises(fails):
                Sync(work).run()
            return work.report

    def activities(self) -> dict[str, dict[str, object]]:
        server = bootstrap.open_server(self.config)
        try:
            return {str(a["integration_id"] or a.id): {"id": a.id, **a.values} for a in server.activities()}
        finally:
            server.close()

    def edit(self, uid: str, **values: str) -> None:
        server = bootstrap.open_server(self.config)
        try:
            activity_editing.edit(server, str(self.activities()[uid]["id"]), values, bootstrap.new_id)
        finally:
            server.close()

    def add(self, **values: str) -> str:
        server = bootstrap.open_server(self.config)
        try:
            return activity_editing.create(server, values, bootstrap.new_id).id
        finally:
            server.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("b", "a")])
def test_an_item_moved_to_another_folder_keeps_its_activity(desk: Desk, source: str, target: str) -> None:
    desk.put(source, "m@x")
    desk.put(source, "other@x")
    desk.sync()
    desk.edit("m@x", account="acme", type="Field Repair")
    desk.sync()
    before = desk.activities()["m@x"]["id"]
    (desk.home / source / "m@x.ics").rename(desk.home / target / "m@x.ics")
    report = desk.sync()
    assert report.writes[("server", "deleted")] == 0
    assert desk.activities()["m@x"]["id"] == before
    assert desk.activities()["m@x"]["account"] == "acme", "what no item can hold went along"
    assert desk.activities()["m@x"]["type"] == "Field Repair"
    assert desk.sync().quiet
    desk.put(target, "m@x", "Moved meeting")
    desk.sync()
    assert desk.activities()["m@x"]["description"] == "Moved meeting"


def test_a_folder_that_is_gone_does_not_keep_the_other_waiting(desk: Desk) -> None:
    desk.put("a", "one@x")
    desk.put("b", "two@x")
    desk.sync()
    (desk.home / "a").rename(desk.home / "away")
    desk.edit("two@x", description="Changed on the server")
    desk.put("b", "three@x")
    report = desk.sync(fails=Vanished)
    assert "Changed on the server" in (desk.home / "b" / "two@x.ics").read_text(encoding="utf-8")
    assert report.writes[("server", "created")] == 1
    (desk.home / "away").rename(desk.home / "a")
    assert desk.sync().quiet


def test_choosing_one_folder_does_not_redirect_what_belongs_into_the_other(desk: Desk) -> None:
    identity = desk.add(description="Visit", display_in="Calendar and Activities", planned="2026-03-02T09:00:00Z")
    desk.sync("b")
    assert list((desk.home / "b").iterdir()) == []
    desk.sync()
    assert [p.name for p in (desk.home / "a").iterdir()] == [f"activity-{identity}.ics"]


def test_the_same_item_in_both_folders_is_one_activity(desk: Desk) -> None:
    desk.put("a", "m@x")
    desk.put("b", "m@x")
    report = desk.sync()
    assert report.writes[("server", "created")] == 1
    assert report.failed == 0
    assert desk.sync().quiet


def test_a_foreign_file_in_the_way_of_a_new_item_is_reported(desk: Desk) -> None:
    identity = desk.add(description="Visit", display_in="Calendar and Activities", planned="2026-03-02T09:00:00Z")
    (desk.home / "a" / f"activity-{identity}.ics").write_text("not a calendar", encoding="utf-8")
    report = desk.sync()
    assert report.failed == 2, "the broken file, and the item that cannot be made because of it"
    (desk.home / "a" / f"activity-{identity}.ics").unlink()
    assert desk.sync().failed == 0


def test_what_was_on_its_way_is_not_sent_to_another_server(desk: Desk) -> None:
    desk.put("a", "kept@x")
    desk.sync()
    desk.put("a", "m@x")
    with ExitStack() as stack:
        work = bootstrap.open_work(desk.config, stack)
        work.server.apply = _no_answer  # type: ignore[method-assign]
        with pytest.raises(Unreachable):
            Sync(work).run()
    for file in desk.home.glob("activities.db*"):
        file.unlink()
    desk.import_directory()
    with ExitStack() as stack, pytest.raises(Stopped):
        Sync(bootstrap.open_work(desk.config, stack)).run()
    assert desk.activities() == {}


def _no_answer(commands: object) -> NoReturn:
    raise Unreachable("The answer is lost.")
