"""Alarms on a real state: they survive restarts, wait for what is not known, and a broken channel hurts nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.alarm.command import tell_command
from syncengine.core.alarm import testing as a_test
from syncengine.errors import SideError
from syncengine.model.agent import Event, EventKind, Outcome
from syncengine.model.alarm import Message
from syncengine.services.alarm import ALARMS, HEALTH, Alarms, tell_all
from syncengine.store.state import State

START = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class World:
    """A state on disk, a clock to set, and a channel that keeps what it is told, or fails."""

    def __init__(self, folder: Path) -> None:
        self.file, self.now = str(folder / "state.db"), START
        self.told: list[str] = []
        self.works = True

    def channel(self, message: Message) -> None:
        if not self.works:
            raise SideError("No way.")
        self.told.append(message.subject.removeprefix("syncengine: ").removesuffix(" (desk)"))

    @contextmanager
    def state(self) -> Iterator[State]:
        with ExitStack() as stack:
            state = State(self.file)
            stack.callback(state.close)
            yield state

    def health(self, **sides: tuple[datetime | None, str]) -> None:
        def row(succeeded: datetime | None, kind: str) -> dict[str, Any]:
            error = {"kind": kind, "what": "", "where": "", "fix": "", "retry": False} if kind else None
            return {"tried": self.now.isoformat(), "succeeded": succeeded and succeeded.isoformat(), "error": error}

        facts = {("server" if name == "server" else f"pim:{name}"): row(*of) for name, of in sides.items()}
        with self.state() as state, state.transaction():
            state.set_fact(HEALTH, facts)

    def run(self, state_of_it: str) -> None:
        with self.state() as state, state.transaction():
            identity = f"run-{self.now.isoformat()}"
            state.start_run(identity, self.now)
            state.finish_run(identity, self.now, state_of_it, {})

    def alarms(self, do: Callable[[Alarms], Any]) -> list[str]:
        """With the state opened anew, as after a restart; what was told by it."""
        self.told.clear()
        with self.state() as state:
            do(Alarms(state, [self.channel], ["phone"], 24 * HOUR, lambda: self.now, "desk"))
        return list(self.told)

    def look(self) -> list[str]:
        return self.alarms(lambda alarms: alarms.look())

    def hear(self, kind: EventKind, outcome: Outcome | None, pim: str = "phone") -> None:
        self.alarms(lambda alarms: alarms.note(Event(kind, self.now, pim, outcome)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_silence_is_told_once_and_taken_back_once(world: World) -> None:
    world.health(phone=(START, ""), server=(START, ""))
    assert world.look() == []
    world.now += 24 * HOUR
    world.health(phone=(START, "Unreachable"), server=(world.now, ""))
    assert world.look() == ["nothing has succeeded for long on phone"]
    assert world.look() == []
    world.now += 24 * HOUR
    world.health(phone=(START, "Unreachable"), server=(world.now, ""))
    assert world.look() == []
    world.health(phone=(world.now, ""), server=(world.now, ""))
    assert world.look() == ["over: nothing has succeeded for long on phone"]
    assert world.look() == []


def test_what_never_succeeded_is_told_after_the_same_time(world: World) -> None:
    assert world.look() == []
    world.now += 25 * HOUR
    assert world.look() == ["nothing has succeeded for long on server", "nothing has succeeded for long on phone"]


def test_a_refused_login_is_not_over_because_the_network_is_gone(world: World) -> None:
    world.health(phone=(START - HOUR, "LoginRefused"), server=(START, ""))
    assert world.look() == ["the login is refused on phone"]
    world.health(phone=(START - HOUR, "Unreachable"), server=(START, ""))
    assert world.look() == []
    world.now += HOUR
    world.health(phone=(world.now, ""), server=(START, ""))
    assert world.look() == ["over: the login is refused on phone"]


def test_a_brake_is_told_until_a_run_is_done(world: World) -> None:
    world.run("stopped")
    assert world.look() == ["a run waits for you"]
    world.now += HOUR
    world.run("failed")
    assert world.look() == []
    world.now += HOUR
    world.run("done")
    assert world.look() == ["over: a run waits for you"]


def test_what_the_agent_tells_stands_until_it_is_mended(world: World) -> None:
    world.hear(EventKind.TOLD, Outcome.LOGIN)
    assert world.look() == ["the login is refused on phone"]
    world.hear(EventKind.RUN, Outcome.OFFLINE)
    assert world.look() == []
    world.now += HOUR
    world.health(phone=(world.now, ""), server=(world.now, ""))
    world.hear(EventKind.MENDED, None)
    assert world.look() == ["over: the login is refused on phone"]


def test_what_could_not_be_told_is_told_later(world: World) -> None:
    world.run("stopped")
    world.works = False
    assert world.look() == []
    world.works = True
    assert world.look() == ["a run waits for you"]
    with world.state() as state:
        assert list(state.fact(ALARMS)) == ["brake:"]


def test_one_broken_channel_keeps_the_others_from_nothing(world: World) -> None:
    def broken(message: Message) -> None:
        raise SideError("No way.")

    failed = tell_all([broken, world.channel], a_test("desk"))
    assert ([str(e) for e in failed], world.told) == (["No way."], ["a test"])


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_command_gets_the_text_and_the_facts_and_nothing_in_its_arguments_but_the_subject(tmp_path: Path) -> None:
    script = f'echo "$0" > {tmp_path}/subject; cat > {tmp_path}/text; env > {tmp_path}/env'
    tell_command(["sh", "-c", script], a_test("desk"))
    assert (tmp_path / "subject").read_text() == "syncengine: a test (desk)\n"
    assert (tmp_path / "text").read_text() == "This is a test: alarms arrive.\n"
    assert "SYNCENGINE_ALARM_KIND=test" in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [(["false"], "ended with 1"), (["/does/not/exist"], "cannot be started"), (["sh", "-c", "exit 3"], "ended with 3")],
)
def test_a_command_that_fails_is_said(command: list[str], words: str) -> None:
    with pytest.raises(SideError, match=words):
        tell_command(command, a_test("desk"))


def test_a_command_that_hangs_ends_with_all_it_has_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(SideError, match="took longer"):
        tell_command(["sh", "-c", script], a_test("desk"), seconds=1)
    child = int((tmp_path / "child").read_text())
    assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z" and os.kill(process, signal.SIGKILL) is None
