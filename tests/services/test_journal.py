"""The agent's log as a file: bounded, its user's alone, and harmless whatever it is told."""

from __future__ import annotations

import contextlib
import json
import logging
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest

from syncengine.agent import journal
from syncengine.config import LogConfig
from syncengine.errors import Unreachable
from syncengine.model.agent import Event, EventKind, Outcome
from syncengine.process import log as process_log

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log of JSON lines; afterwards the process logs as before."""
    ours = logging.getLogger(process_log.ALL)
    before = (ours.handlers, ours.propagate, ours.level)
    file = tmp_path / "log" / "agent.log"
    process_log.open_log(LogConfig("json", str(file), "debug", 1))
    yield file
    for handler in ours.handlers:
        with contextlib.suppress(ValueError):  # one test breaks it
            handler.close()
    ours.handlers, ours.propagate = before[:2]
    ours.setLevel(before[2])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def run(**more: Any) -> Event:
    return Event(EventKind.RUN, NOW, "work", Outcome.OFFLINE, failures=1, **more)


def test_an_event_leaves_nothing_it_quotes(log: Path) -> None:
    journal.write(
        run(
            what="No 'Merker' of \"Merker\" for merker@example.com",
            where="https://Merker:Merker@host.example.com/Merker",
            fix='Say "syncengine login work".',
            reason="it changed 'Merker'",
            run="r-1",
            counts={"writes": 3, "held": 0, "seconds": 0.12345},
            wait=599.7,
        )
    )
    (said,) = lines(log)
    assert "merker" not in log.read_text().lower()
    assert said | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "run",
        "pim": "work",
        "outcome": "offline",
        "run": "r-1",
        "reason": "it changed …",
        "what": "No … of … for …",
        "where": "https://…",
        "fix": 'Say "syncengine login work".',
        "writes": 3,
        "seconds": 0.123,
        "failures": 1,
        "wait": 600,
    }


def test_of_a_wrong_configuration_what_is_wrong_is_named(log: Path) -> None:
    journal.write(Event(EventKind.TOLD, NOW, "", Outcome.CONFIG, "connector: 'vdri' is none; ask me@example.com"))
    assert lines(log)[0]["what"] == "connector: 'vdri' is none; ask …"


def test_an_error_of_the_program_leaves_its_kind_and_place_alone(log: Path) -> None:
    try:
        raise ValueError("SUMMARY:Merker")
    except ValueError:
        logging.getLogger("syncengine.anything").exception("A hook failed for %r.", "Merker")
    process_log.complain(Unreachable("No answer from 'Merker'.", where="Merker"))
    first, second = lines(log)
    assert (first["error"], first["what"]) == ("ValueError", "A hook failed for ….")
    assert first["place"].startswith("test_journal.py:")
    assert (second["error"], second["what"]) == ("Unreachable", "No answer from ….")
    assert "Merker" not in log.read_text()


def test_what_libraries_say_is_not_heard(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("caldav").error("BEGIN:VCALENDAR SUMMARY:Merker")
    assert "Merker" not in log.read_text() + "".join(capfd.readouterr())


def test_a_full_file_gives_way_to_a_new_one_and_old_ones_go(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_log, "MEGABYTE", 10_000)
    process_log.open_log(LogConfig("json", str(log), "debug", 1))
    for _ in range(120):
        journal.write(run(what="x" * 400))
    files = sorted(log.parent.iterdir())
    assert [f.name for f in files] == ["agent.log", "agent.log.1", "agent.log.2", "agent.log.3"]
    assert all(f.stat().st_size <= process_log.MEGABYTE for f in files)
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}


def test_a_log_that_breaks_keeps_nobody_from_the_work(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (handler,) = (h for h in logging.getLogger(process_log.ALL).handlers if isinstance(h, RotatingFileHandler))
    handler.stream.close()
    journal.write(run(what="still at work"))
    assert capfd.readouterr().err == ""


def test_a_line_of_text_is_one_line_whatever_was_said(log: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.log"
    process_log.open_log(LogConfig("text", str(file), "debug", 1))
    journal.write(run(what="a\nevent=run \x1b[31m"))
    (line,) = file.read_text().splitlines()
    assert "\x1b" not in line
    assert 'what="a event=run [31m"' in line, "what was said stays inside its quotes"
