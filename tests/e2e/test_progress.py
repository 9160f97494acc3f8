"""Long work shows how far it is on a terminal and nowhere else, and Ctrl-C is safe at any time."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.desk import ROOT, Desk, Done, event, writes

INTERRUPTED = 130
MANY = 400


def start(desk: Desk, *args: str, stderr: int | None = None, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.e2e.run_command", *args, "--config", "config.toml"]
    environment = {**os.environ, **desk.env, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen(command, cwd=desk.folder, env=environment, stdout=stdout, stderr=stderr or subprocess.PIPE)


def interrupted(desk: Desk, at: int, *args: str) -> Done:
    command = [sys.executable, "-m", "tests.e2e.interrupted_command", str(at), *args, "--config", "config.toml"]
    environment = {**os.environ, **desk.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=desk.folder, env=environment, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def steps_of(desk: Desk, *args: str) -> int:
    """How many steps the command takes, done on a desk of its own."""
    done = interrupted(desk, 0, *args)
    found = re.search(r"steps: (\d+)", done.err)
    assert found is not None, done.err
    return int(found[1])


def some_of(steps: int, most: int) -> list[int]:
    """Some of the steps, the first and the last among them."""
    return sorted({1 + round(n * (steps - 1) / (most - 1)) for n in range(most)}) if steps > 1 else [1]


@pytest.fixture
def busy(desk: Desk) -> Desk:
    for number in range(MANY):
        desk.put(f"n{number}", event(f"n{number}", f"Entry {number}"))
    return desk


def read_all(terminal: int, until: bytes = b"") -> bytes:
    """What a terminal shows until the other end is closed, or says something."""
    shown = b""
    while not until or until not in shown:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        shown += piece
    return shown


def test_a_terminal_shows_what_is_done_and_is_clean_afterwards(busy: Desk) -> None:
    ours, theirs = pty.openpty()
    process = start(busy, "sync", "--json", stderr=theirs)
    os.close(theirs)
    shown = read_all(ours).decode()
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert f'"created": {MANY}'.encode() in out
    drawn = shown.split("\r\x1b[K")
    assert any(re.search(r"(reading work|telling the server) .*\d", one) for one in drawn), shown
    assert len({one[:1] for one in drawn[1:-1]}) > 1, "something moves"
    assert "\n" not in shown
    assert drawn[-1] == "", "the line is taken away at the end"


def test_a_pipe_gets_no_progress(busy: Desk) -> None:
    process = start(busy, "sync", "--json")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert b"\x1b" not in out


def test_ctrl_c_at_a_terminal_cleans_the_line_and_the_next_run_goes_on(busy: Desk) -> None:
    ours, theirs = pty.openpty()
    process = start(busy, "sync", "--json", stderr=theirs)
    os.close(theirs)
    shown = read_all(ours, b"\x1b[K")
    process.send_signal(signal.SIGINT)
    shown += read_all(ours)
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, out) == (INTERRUPTED, b"")
    assert "\r\x1b[KInterrupted; what was done is recorded" in shown.decode()
    busy.sync()
    assert sorted(a["description"] for a in busy.activities()) == sorted(f"Entry {n}" for n in range(MANY))
    assert writes(busy.sync()) == 0


def test_a_run_interrupted_at_any_step_is_made_up_for(desk: Desk, tmp_path: Path) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.add(
        description="visit",
        display_in="Calendar and Activities",
        planned="2026-04-01T07:00:00Z",
        planned_completion="2026-04-01T08:00:00Z",
    )
    steps = steps_of(desk.copy(tmp_path / "counted"), "sync")
    for at in some_of(steps, 8):
        here = desk.copy(tmp_path / str(at))
        done = interrupted(here, at, "sync")
        assert (done.code, done.out) == (INTERRUPTED, ""), at
        assert "the next run goes on" in done.err
        here.sync()
        assert sorted(a["description"] for a in here.activities()) == ["mine", "visit"], at
        assert len(here.items()) == 2, at
        assert writes(here.sync()) == 0, at


def test_sharing_and_adding_are_done_or_not(desk: Desk, tmp_path: Path) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.sync()
    desk.good("unshare", "mine")
    (desk.folder / "new.json").write_text('{"description": "new", "display_in": "Activities Only"}')
    for command in (("share", "mine"), ("activity", "add", "--json", "new.json")):
        steps = steps_of(desk.copy(tmp_path / command[0]), *command)
        for at in some_of(steps, 4):
            here = desk.copy(tmp_path / f"{command[0]}-{at}")
            assert interrupted(here, at, *command).code == INTERRUPTED
            here.sync()
            before = len(here.activities())
            here.good(*command)
            here.sync()
            assert len(here.activities()) - before in (0, 1), "done once by each call that was not cut short"
            assert writes(here.sync()) == 0


def test_a_removal_interrupted_at_any_step_is_finished_by_the_next(desk: Desk, tmp_path: Path) -> None:
    desk.put("mine", event("mine", "mine"))
    desk.add(
        description="visit",
        display_in="Calendar and Activities",
        planned="2026-04-01T07:00:00Z",
        planned_completion="2026-04-01T08:00:00Z",
    )
    desk.sync()
    activities = desk.activities()
    steps = steps_of(desk.copy(tmp_path / "counted"), "remove", "--yes")
    for at in some_of(steps, 4):
        here = desk.copy(tmp_path / str(at))
        assert interrupted(here, at, "remove", "--yes").code == INTERRUPTED
        assert here.do("remove", "--yes").code == 0
        assert (len(here.items()), here.activities()) == (1, activities)
        assert not (here.folder / "state.db").exists()
