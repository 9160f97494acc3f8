"""Guards: a run that cannot be sure of clock, server or collection asks before it believes anything (SYN-4)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.eml.mailbox import EmlFolder
from connectors.memory.mailbox import MemoryMailbox
from connectors.memory.pim import Collection as Calendar
from syncengine.bootstrap import open_store
from syncengine.core.directory_file import parse_directory
from syncengine.errors import Stopped, Vanished
from syncengine.model.commands import Greeting
from syncengine.model.report import Question
from syncengine.ports import Pim
from syncengine.services.activities import Activities
from syncengine.services.scenario import DIRECTORY
from syncengine.services.sync import Collection, Sync, Work, braking
from tests.e2e.desk import event
from tests.property.world import World, mapping

ME = "one"
SAVED = """{"contacts": [
    {"id": "saved", "name": "Saved", "addresses": ["saved@client.test"], "save_correspondence": true}
]}"""


@pytest.fixture
def world() -> Iterator[World]:
    world = World(names=(ME,), more=SAVED)
    yield world
    world.close()


def put(world: World, *names: str) -> None:
    for name in names:
        world.put(ME, name, event(name, name))


def asks(world: World, kind: str, words: str) -> Question:
    with pytest.raises(Stopped, match=words):
        world.run(ME)
    question = braking.asked(world.state(ME), "")
    assert question is not None
    assert question.kind == kind
    return question


def accept(world: World) -> None:
    braking.accept(world.state(ME), "", world.brakes)


def told(world: World) -> set[str]:
    return {str(a["description"]) for a in world.activities().values()}


# --- another collection under the same name --------------------------------------------------------------------------


def test_a_replaced_calendar_with_many_other_items_uploads_none(world: World) -> None:
    put(world, "a", "b", "c")
    world.run(ME)
    world.users[ME].calendar = Calendar()  # its token means nothing to us
    put(world, *(f"new {n}" for n in range(300)))
    for _ in range(2):
        with pytest.raises(Stopped, match="emptied or replaced"):
            world.run(ME)
    assert told(world) == {"a", "b", "c"}


def test_a_partly_replaced_calendar_uploads_nothing_before_the_stop(world: World) -> None:
    names = [f"old {n}" for n in range(8)]
    put(world, *names)
    world.run(ME)
    world.users[ME].calendar = Calendar()
    put(world, names[0], *(f"new {n}" for n in range(300)))
    with pytest.raises(Stopped, match="7 of 8"):
        world.run(ME)
    assert told(world) == set(names)


def test_other_items_under_the_same_names_are_taken_for_no_edits(world: World) -> None:
    put(world, "a", "b", "c")
    world.run(ME)
    calendar = world.users[ME].calendar
    before = {href: stored.text for href, stored in calendar.items.items()}
    for n, href in enumerate(before):
        calendar.put(href, event(f"other {n}", f"somebody else's {n}"))
    asks(world, "collection", "another collection seems to answer")
    asks(world, "collection", "another collection seems to answer")
    assert told(world) == {"a", "b", "c"}
    for href, text in before.items():
        calendar.put(href, text)
    assert world.run(ME).quiet, "the right calendar is back"


def test_all_items_edited_at_once_are_edits(world: World) -> None:
    put(world, "a", "b")
    world.run(ME)
    for name in ("a", "b"):
        world.put(ME, name, event(name, f"{name}, edited"))
    world.run(ME)
    assert told(world) == {"a, edited", "b, edited"}


MESSAGE = "Message-ID: <{0}@x>\r\nFrom: one@example.com\r\nTo: saved@client.test\r\nSubject: {0}\r\n\r\nText\r\n"


def read_mail(world: World, mailbox: Pim) -> None:
    """A run with this mailbox, whose every message is shared."""
    mails = Collection("mail", mailbox, mapping(), mailbox.kinds, mailbox.kinds)
    sides = world.state(ME), world.server(ME), [mails]
    Sync(Work(*sides, ("one@example.com",), ZoneInfo("UTC"), world.clock, world.new_id)).run()


def _save_messages(folder: Path, names: list[str]) -> None:
    for file in folder.glob("*.eml"):
        file.unlink()
    for name in names:
        (folder / f"{name}.eml").write_text(MESSAGE.format(name), encoding="utf-8", newline="")


def test_another_folder_of_messages_uploads_none(world: World, tmp_path: Path) -> None:
    mailbox = EmlFolder(tmp_path)
    _save_messages(tmp_path, [f"m{n}" for n in range(7)])
    read_mail(world, mailbox)
    known = told(world)
    assert len(known) == 7
    _save_messages(tmp_path, [f"somebody else's {n}" for n in range(9)])
    for _ in range(2):
        with pytest.raises(Stopped, match="another collection seems to answer"):
            read_mail(world, mailbox)
    assert told(world) == known
    accept(world)
    read_mail(world, mailbox)
    assert len(told(world)) == 16


def test_an_inbox_that_was_cleared_is_the_same_mailbox(world: World) -> None:
    mailbox = MemoryMailbox()
    hrefs = [mailbox.deliver(MESSAGE.format(f"m{n}").encode()) for n in range(7)]
    read_mail(world, mailbox)
    for href in hrefs:
        mailbox.remove(href)
    mailbox.deliver(MESSAGE.format("new").encode())
    read_mail(world, mailbox)
    assert "new" in told(world)


def test_a_mailbox_numbered_anew_is_the_same(world: World) -> None:
    mailbox = MemoryMailbox()
    for n in range(7):
        mailbox.deliver(MESSAGE.format(f"m{n}").encode())
    read_mail(world, mailbox)
    mailbox.renumber()
    read_mail(world, mailbox)
    assert len(world.activities()) == 7


# --- the clock -------------------------------------------------------------------------------------------------------


def test_a_clock_that_went_back_is_asked_about_and_then_remembered(world: World) -> None:
    put(world, "a")
    world.run(ME)
    world.now -= timedelta(days=30)
    put(world, "b")
    asks(world, "clock", "the last run ended")
    assert told(world) == {"a"}
    accept(world)
    world.run(ME)
    assert told(world) == {"a", "b"}
    world.run(ME)


def test_what_was_confirmed_is_not_confirmed_for_ever(world: World) -> None:
    world.run(ME)
    end = world.now
    world.now -= timedelta(days=30)
    asks(world, "clock", "the last run ended")
    accept(world)
    world.run(ME)
    world.now = end
    world.run(ME)
    world.now -= timedelta(days=30)
    asks(world, "clock", "the last run ended")


def test_an_old_state_is_no_jump(world: World) -> None:
    put(world, "a")
    world.run(ME)
    world.now += timedelta(days=400)
    assert world.run(ME).quiet


class _Dated:
    """A server with a clock of its own."""

    def __init__(self, inner: Activities, now: datetime) -> None:
        self._inner, self._now = inner, now

    def greet(self) -> Greeting:
        g = self._inner.greet()
        return Greeting(g.identity, g.user, g.generic_owner, g.directory_version, g.addresses, self._now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_server_whose_clock_differs_is_asked_about_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = world.server
    monkeypatch.setattr(world, "server", lambda name: _Dated(real(name), world.now - timedelta(days=9)))
    put(world, "a")
    with pytest.raises(Stopped, match="the activity server's"):
        world.run(ME)
    monkeypatch.undo()
    assert told(world) == set()
    monkeypatch.setattr(world, "server", lambda name: _Dated(real(name), world.now - timedelta(days=9)))
    accept(world)
    world.run(ME)
    world.run(ME)
    monkeypatch.setattr(world, "server", lambda name: _Dated(real(name), world.now - timedelta(days=19)))
    asks(world, "clock", "the activity server's")


# --- the server ------------------------------------------------------------------------------------------------------


def restore(world: World, backup: Path) -> None:
    """The server's database is as it was then."""
    world.store.close()
    for file in world.folder.glob("activities.db*"):
        file.unlink()
    shutil.copy(backup, world.folder / "activities.db")
    world.store = open_store(f"sqlite:///{world.folder}/activities.db")


def test_a_server_restored_from_a_backup_loses_nothing(world: World, tmp_path: Path) -> None:
    put(world, "a", "b")
    world.run(ME)
    world.store.close()
    backup = Path(shutil.copy(world.folder / "activities.db", tmp_path / "backup.db"))
    restore(world, backup)
    put(world, "late")
    world.put(ME, "a", event("a", "a, edited"))
    world.drop(ME, "b")
    world.run(ME)
    world.run(ME)
    restore(world, backup)
    assert asks(world, "restored", "older than what was synchronized").subject
    assert sorted(world.items(ME)) == ["a", "late"]
    accept(world)
    report = world.run(ME)
    world.run(ME)
    assert world.run(ME).quiet
    assert sorted(world.items(ME)) == ["a", "late"]
    assert {"late", "b"} <= told(world), "told anew; what came back with the backup stays"
    assert report.writes["server", "deleted"] == report.writes["pim", "deleted"] == 0
    assert len(world.activities()) == 3
    assert [h.here for p in world.state(ME).held() for h in p.held] == ["a, edited"], "both values wait"


def test_another_server_is_a_first_contact_once_it_is_confirmed(world: World, tmp_path: Path) -> None:
    put(world, "a", "b")
    world.run(ME)
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    with other.transaction(write=True):
        other.put_directory(parse_directory(DIRECTORY, "the test's directory"))
    mine, world.store = world.store, other
    try:
        asks(world, "server", "another activity server")
        assert told(world) == set()
        accept(world)
        world.run(ME)
        assert world.run(ME).quiet
        assert told(world) == {"a", "b"}
        world.store = mine
        asks(world, "server", "another activity server")
        accept(world)
        world.run(ME)
        assert world.run(ME).quiet
        assert len(world.activities()) == 2, "paired, not doubled"
    finally:
        world.store = mine
        other.close()


# --- no question -----------------------------------------------------------------------------------------------------


def test_a_calendar_that_is_gone_is_said_and_nothing_is_deleted(world: World) -> None:
    put(world, "a")
    world.run(ME)
    world.users[ME].calendar.gone = True
    with pytest.raises(Vanished, match="not there any more"):
        world.run(ME)
    assert told(world) == {"a"}
