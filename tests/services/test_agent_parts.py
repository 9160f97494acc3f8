"""The agent's parts: watches, signals, its folder, sides that are spared or opened later, secrets that are compared."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from connectors.imap.watch import ImapWatch
from connectors.watching import watch_suffix
from syncengine.agent.secrets_seen import SecretsSeen
from syncengine.agent.watchers import Watcher
from syncengine.config import load
from syncengine.errors import ConfigError, LoginRefused, NotNow, NotThere, SideError, Unreachable, Vanished
from syncengine.ports import ActivityServer, Pim, Watch
from syncengine.process import signals
from syncengine.secrets import Secret
from syncengine.services.later import later, unhurried
from syncengine.store.agent_folder import AgentFolder
from tests import imap_server

LONG, SHORT = 30.0, 0.2


def until_it_raises(kind: type[SideError], watch: Watch) -> None:
    """What was noticed before comes first."""
    with pytest.raises(kind):
        [watch.wait(SHORT) for _ in range(5)]


class TestFolderWatch:
    @pytest.fixture
    def watched(self, tmp_path: Path) -> Iterator[tuple[Path, Watch]]:
        folder = tmp_path / "calendar"
        folder.mkdir()
        (folder / "old.ics").write_text("old")
        watch = watch_suffix(folder, ".ics")
        assert not watch.wait(SHORT)
        yield folder, watch
        watch.close()

    @pytest.mark.parametrize(
        "change",
        [
            lambda f: (f / "new.ics").write_text("x"),
            lambda f: (f / "old.ics").write_text("changed"),
            lambda f: (f / "old.ics").unlink(),
            lambda f: (f / "old.ics").rename(f / "renamed.ics"),
            lambda f: (f / "old.ics").rename(f / "gone"),
        ],
        ids=["made", "changed", "deleted", "renamed", "taken away"],
    )
    def test_a_change_of_an_item_is_noticed(self, watched: tuple[Path, Watch], change: Callable[[Path], Any]) -> None:
        folder, watch = watched
        change(folder)
        assert watch.wait(LONG)

    def test_what_is_no_change_of_an_item_is_not(self, watched: tuple[Path, Watch]) -> None:
        folder, watch = watched
        (folder / "old.ics").read_text()
        (folder / ".new.ics.tmp").write_text("x")
        (folder / ".hidden.ics").write_text("x")
        (folder / "notes.txt").write_text("x")
        list(folder.iterdir())
        assert not watch.wait(1.0)

    def test_a_folder_that_goes_and_comes_back_is_news(self, watched: tuple[Path, Watch], tmp_path: Path) -> None:
        folder, watch = watched
        folder.rename(tmp_path / "away")
        until_it_raises(Vanished, watch)
        folder.mkdir()
        assert watch.wait(LONG)
        (folder / "new.ics").write_text("x")
        assert watch.wait(LONG)

    def test_a_folder_put_in_the_place_of_another_is_news(self, watched: tuple[Path, Watch], tmp_path: Path) -> None:
        folder, watch = watched
        folder.rename(tmp_path / "away")
        folder.mkdir()
        while watch.wait(SHORT):
            """what was still noticed of the old one"""
        (folder / "new.ics").write_text("x")
        assert watch.wait(LONG)

    def test_closing_ends_the_wait(self, watched: tuple[Path, Watch]) -> None:
        _, watch = watched
        threading.Timer(SHORT, watch.close).start()
        assert not watch.wait(LONG)


@pytest.fixture(scope="module")
def server() -> Iterator[imap_server.ImapServer]:
    server = imap_server.start()
    yield server
    server.stop()


class TestImapWatch:
    def test_a_new_message_is_news_and_a_read_one_is_not(self, server: imap_server.ImapServer) -> None:
        server.drop("INBOX", b"Subject: one\n\nx")
        watch = ImapWatch(server.url, "alice", "secret")
        assert not watch.wait(SHORT)
        with server.as_user() as other:
            other.select_folder("INBOX")
            other.add_flags([1], [b"\\Seen"])
        assert not watch.wait(1.0)
        threading.Timer(SHORT, server.drop, ["INBOX", b"Subject: two\n\nx"]).start()
        assert watch.wait(LONG)
        watch.close()

    def test_a_connection_that_broke_is_news_once_there_is_another(self, server: imap_server.ImapServer) -> None:
        watch = ImapWatch(server.url, "alice", "secret")
        assert not watch.wait(SHORT)
        threading.Timer(SHORT, watch._wire.abandon).start()
        with pytest.raises(Unreachable):
            watch.wait(LONG)
        assert watch.wait(LONG)
        assert not watch.wait(SHORT)
        watch.close()

    def test_closing_ends_the_wait(self, server: imap_server.ImapServer) -> None:
        watch = ImapWatch(server.url, "alice", "secret")
        assert not watch.wait(SHORT)
        threading.Timer(SHORT, watch.close).start()
        assert not watch.wait(LONG)

    def test_what_is_wrong_is_told_apart(self, server: imap_server.ImapServer) -> None:
        with pytest.raises(LoginRefused):
            ImapWatch(server.url, "alice", "wrong").wait(SHORT)
        with pytest.raises(SideError, match="cannot be watched"):
            ImapWatch(server.url, "alice", "secret", folder="Nowhere").wait(SHORT)

    def test_a_server_without_it_says_so(self) -> None:
        server = imap_server.start("imap_capability = IMAP4rev1\n")
        try:
            with pytest.raises(NotThere):
                ImapWatch(server.url, "alice", "secret").wait(SHORT)
        finally:
            server.stop()


class TestWatcher:
    def test_it_tells_until_it_is_stopped_and_survives_what_goes_wrong(self) -> None:
        told, closed = threading.Semaphore(0), threading.Event()

        script = [True, Unreachable("gone"), ValueError("nobody has foreseen this"), True]

        class Moody:
            def wait(self, seconds: float) -> bool:
                step = script.pop(0) if script else closed.wait(seconds)
                if isinstance(step, Exception):
                    raise step
                return bool(step) and not closed.is_set()

            def close(self) -> None:
                closed.set()

        watcher = Watcher("work", Moody, told.release)
        watcher.start()
        assert told.acquire(timeout=LONG)
        while not told.acquire(timeout=0.05):
            watcher.wake()
        watcher.stop()
        assert closed.is_set()


class TestSignals:
    def test_the_first_ends_and_the_second_changes_nothing(self) -> None:
        heard: list[str] = []
        before = signal.getsignal(signal.SIGTERM)
        with signals.handled(lambda: heard.append("hangup")):
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(signals.Ended):
                os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == ["hangup"]
        assert signal.getsignal(signal.SIGTERM) is before

    def test_who_does_not_end_in_time_is_ended(self) -> None:
        left = threading.Event()
        codes: list[int] = []

        def leave(code: int) -> None:
            codes.append(code)
            left.set()

        with signals.handled(lambda: None, grace=0.1, leave=leave):
            with pytest.raises(signals.Ended):
                os.kill(os.getpid(), signal.SIGTERM)
            assert left.wait(LONG)
        assert codes == [0]


class TestFolder:
    def test_there_is_one_agent_and_who_looks_disturbs_nobody(self, tmp_path: Path) -> None:
        folder = AgentFolder(str(tmp_path / "state.db"))
        assert not folder.running()
        with folder.hold():
            folder.tell({"pid": 7})
            assert folder.running()
            with pytest.raises(NotNow, match="process 7"), AgentFolder(str(tmp_path / "state.db")).hold():
                pytest.fail("two")
        assert not folder.running()

    def test_requests_are_for_the_user_alone_and_a_damaged_one_is_dropped(self, tmp_path: Path) -> None:
        folder = AgentFolder(str(tmp_path / "state.db"))
        with folder.hold():
            request = folder.ask(["work"], waits=True)
            (file,) = folder.path.glob("now-*")
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, folder.path)]
            assert modes == [0o600, 0o700]
            (folder.path / "now-x.json").write_text("{")
            (folder.path / "now-y.json").write_text("[]")
            assert folder.requests() == {request: {"pims": ["work"], "waits": True}}
            assert not list(folder.path.glob("now-[xy]*"))
            folder.answer(request, {"pims": {}})
            assert folder.requests() == {}
            assert [folder.answered(request), folder.answered(request)] == [{"pims": {}}, None]


class Counted:
    """A server, or a PIM, that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.asked.append(f"{name}{args}") or name


def test_a_server_is_spared_on_the_days_that_say_so() -> None:
    server, slept = Counted(), list[float]()
    day = [datetime(2026, 3, 1, 22, 30, tzinfo=UTC)]  # Sunday
    slow = unhurried(cast(ActivityServer, server), {0: 0.2}, ZoneInfo("Europe/Berlin"), lambda: day[0], slept.append)
    slow.greet()
    assert slept == []
    day[0] = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # Monday where the user is
    assert slow.fetch(["a"]) == "fetch"  # type: ignore[comparison-overlap]
    slow.close()
    assert slept == [0.2]
    assert server.asked == ["greet()", "fetch(['a'],)", "close()"]


def test_a_server_nobody_spares_is_itself() -> None:
    server = cast(ActivityServer, Counted())
    assert unhurried(server, {0: 0.0}, ZoneInfo("UTC"), lambda: datetime.now(UTC)) is server


def test_a_pim_is_opened_with_the_first_thing_asked_and_its_secret_is_its_own_trouble() -> None:
    opened = list[int]()

    def opening() -> Pim:
        opened.append(1)
        return cast(Pim, Counted())

    never = later(opening)
    never.close()
    assert opened == []
    pim = later(opening)
    pim.changes(None)
    pim.changes(None)
    pim.close()
    assert opened == [1]

    def locked() -> Pim:
        raise ConfigError("The keyring is locked.", where="pim[mail].password")

    with pytest.raises(LoginRefused, match="locked"):
        _ = later(locked).kinds


def test_secrets_are_compared_and_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "password"
    secret = Secret("command", ("cat", str(file)))
    file.write_text("old")
    seen = SecretsSeen()
    seen.remember("work", [secret])
    assert not seen.differ("work", [secret])
    file.write_text("new")
    assert seen.differ("work", [secret])
    assert "old" not in repr(vars(seen))
    file.unlink()
    seen.remember("work", [secret])
    assert not seen.differ("work", [secret])


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("interval = 0", "agent.interval must be minutes"),
        ("interval = true", "agent.interval must be minutes"),
        ("interval = nan", "agent.interval must be minutes"),
        ('changes = "some"', 'agent.changes must be "all" or "local"'),
        ("delay = { monday = 1 }", "agent.delay must be seconds"),
        ("delay = { mon = -1 }", "agent.delay must be seconds"),
        ("delay = { mon = 1e9 }", "agent.delay must be seconds"),
        ("intervall = 5", 'did you mean "interval"'),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, line: str, word: str) -> None:
    file = tmp_path / "config.toml"
    user = '[user]\nemployee = "me@example.com"\n[server]\nurl = "sqlite:///a.db"\ngeneric_owner = "g@example.com"\n'
    file.write_text(f"{user}[agent]\ninterval = 0.5\ndelay = {{ sun = 2 }}\n")
    assert (load(file).agent.interval, load(file).agent.delay) == (0.5, {6: 2.0})
    file.write_text(f"{user}[agent]\n{line}\n")
    with pytest.raises(ConfigError) as wrong:
        load(file)
    assert word in str(wrong.value)
