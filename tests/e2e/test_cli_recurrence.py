"""`syncengine recurrence` as a script sees it: a line in, a line out, at once, whatever the line holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import ROOT

PROGRAM = [sys.executable, "-c", "from syncengine.cli.main import main; main()", "recurrence"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict"}
FORTNIGHTLY = '{"dtstart":"2026-03-02T09:00:00","tzid":"Europe/Berlin","rrule":"FREQ=WEEKLY;INTERVAL=2"}'
DAILY = '{"dtstart":"2026-03-02","rrule":"FREQ=DAILY"}'


def _start(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*PROGRAM, *options], stdin=pipe, stdout=pipe, stderr=pipe, env={**ENVIRONMENT, **environment}
    )


def _answers(code: int, given: bytes, *options: str, **environment: str) -> list[dict[str, Any]]:
    out, err = (process := _start(*options, **environment)).communicate(given, timeout=60)
    assert (process.returncode, err) == (code, b"")
    return [json.loads(line) for line in out.splitlines()]


def test_each_line_is_answered_with_a_line() -> None:
    lines = [FORTNIGHTLY.replace("=2", "=2;UNTIL=20260426T120000Z"), DAILY, DAILY.replace("DAILY", "HOURLY;COUNT=X")]
    fortnightly, daily, refused = _answers(0, "\n".join(lines).encode())
    assert (fortnightly["pattern"], fortnightly["expires"], len(fortnightly["exceptions"])) == (
        "Weekly",
        "2026-04-26",
        4,
    )
    assert daily == {
        "pattern": "Daily",
        "start": "2026-03-02",
        "expires": None,
        "exceptions": [],
        "singles": [],
        "losses": [],
        "because": "every day: equals Daily",
    }
    assert (refused["pattern"], refused["because"]) == (
        None,
        "the recurrence rule cannot be read: COUNT=X is not valid",
    )
    assert _answers(0, b"") == []


def test_a_malformed_line_is_answered_with_an_error_and_the_others_go_on() -> None:
    given = b'\n{"dtstart":\n\xff\xfe\n{"dtstart":"2026-03-02","rule":"FREQ=DAILY"}\n' + DAILY.encode() + b"\r\n"
    *malformed, last = _answers(1, given)
    assert [list(told) for told in malformed] == [["error"]] * 4
    assert malformed[0]["error"] == "The line is empty."
    assert "'rrule'" in malformed[3]["error"]
    assert last["pattern"] == "Daily"


@pytest.mark.parametrize(
    ("rule", "encoding"), [("\\ud800", "utf-8:strict"), ("FREQ=TÄGLICH", "ascii:strict"), ("FREQ=日", "latin-1:strict")]
)
def test_letters_the_output_cannot_show_do_not_stop_the_others(rule: str, encoding: str) -> None:
    strange = DAILY.replace("FREQ=DAILY", rule)
    told, daily = _answers(0, f"{strange}\n{DAILY}\n".encode(), PYTHONIOENCODING=encoding)
    assert (told["pattern"], daily["pattern"]) == (None, "Daily")


def test_the_horizon_and_the_mapping_can_be_chosen(tmp_path: Path) -> None:
    (told,) = _answers(0, FORTNIGHTLY.encode(), "--horizon", "2026-04-13")
    assert told["expires"] == "2026-04-13"
    assert told["losses"]
    mapping = tmp_path / "fortnights.xml"
    shipped = (ROOT / "mappings" / "default.xml").read_text(encoding="utf-8")
    mapping.write_text(
        shipped.replace('name="Weekly" unit="week"', 'name="Fortnight" unit="week" interval="2"'), encoding="utf-8"
    )
    (told,) = _answers(0, FORTNIGHTLY.encode(), "--mapping", str(mapping))
    assert (told["pattern"], told["exceptions"], told["expires"]) == ("Fortnight", [], None)
    (told,) = _answers(0, FORTNIGHTLY.encode(), "--mapping", "siebel", "--horizon", "2026-04-13")
    assert told["pattern"] == "Weekly"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--horizon", "soon"], "'soon' is no date like 2027-03-02"),
        (["--mapping", "nowhere"], "The mapping cannot be read"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(options: list[str], words: str) -> None:
    out, err = (process := _start(*options)).communicate(DAILY.encode(), timeout=60)
    assert (process.returncode, out) == (2, b"")
    assert words in err.decode()
    assert "Traceback" not in err.decode()


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    process = _start()
    assert process.stdin is not None
    assert process.stdout is not None
    for rule, name in (("DAILY", "Daily"), ("WEEKLY", "Weekly")):
        process.stdin.write(DAILY.replace("DAILY", rule).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["pattern"] == name
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text(f"{DAILY}\n" * 3_000, encoding="utf-8")
    with lines.open("rb") as given:
        pipe = subprocess.PIPE
        process = subprocess.Popen(PROGRAM, stdin=given, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_help_shows_a_line_that_works() -> None:
    done = subprocess.run([*PROGRAM, "--help"], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)
    example = next(line.strip() for line in done.stdout.splitlines() if line.strip().startswith("{"))
    (told,) = _answers(0, example.encode())
    assert told["pattern"] == "Weekly"
