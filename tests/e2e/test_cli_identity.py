"""`syncengine message-id` as a script sees it: a line in, a line out, at once, whatever the line holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import ROOT

PROGRAM = [sys.executable, "-c", "from syncengine.cli.main import main; main()", "message-id"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict"}


def _start(*options: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*PROGRAM, *options], stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT)


def _answers(given: bytes, *options: str) -> list[dict[str, Any]]:
    out, err = (process := _start(*options)).communicate(given, timeout=60)
    assert (process.returncode, err) == (0, b"")
    return [json.loads(line) for line in out.splitlines()]


def _answer(key: str | None, family: str, message_id: str | None) -> dict[str, Any]:
    return {"key": key, "family": family, "message_id": message_id}


def test_each_line_is_answered_with_a_line() -> None:
    given = b"""<01d2e3f4a5b6$c7d8e9f0$1a2b3c4d$@Miller@example.com>

<a@\\r\\n\\t B.example>\r
<"a\\\\\\\\b"@b.example>
<\xff\xc3\xbc@b.example>
<\x00@b.example>
there is no id here
last@line"""
    assert _answers(given) == [
        _answer("01d2e3f4a5b6$c7d8e9f0$1a2b3c4d$", "outlook", "01d2e3f4a5b6$c7d8e9f0$1a2b3c4d$@Miller@example.com"),
        _answer(None, "none", None),
        _answer("a@b.example", "other", "a@B.example"),
        _answer(r"a\b@b.example", "other", r'"a\\b"@b.example'),
        _answer("ÿü@b.example", "other", "ÿü@b.example"),
        _answer(None, "none", None),
        _answer(None, "none", None),
        _answer("last@line", "other", "last@line"),
    ]
    assert _answers(b"") == []


def test_uids_are_answered_in_the_same_shape() -> None:
    given = b"""1a2b3c4d5e6f7081c1257b100031a2c4-Lotus_Notes_Generated
 Ab77@Calendar.Example\\r\\n

\xff"""
    notes = "1a2b3c4d5e6f7081c1257b100031a2c4"
    assert _answers(given, "--uid") == [
        _answer(notes.upper(), "domino", f"{notes}-Lotus_Notes_Generated"),
        _answer("Ab77@Calendar.Example", "other", "Ab77@Calendar.Example"),
        _answer(None, "none", None),
        _answer("ÿ", "other", "ÿ"),
    ]


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    process = _start()
    assert process.stdin is not None
    assert process.stdout is not None
    for name in ("one", "two"):
        process.stdin.write(f"<{name}@a.example>\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["key"] == f"{name}@a.example"
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_bytes(b"<a@b.example>\n" * 20_000)
    with lines.open("rb") as given:
        process = subprocess.Popen(
            PROGRAM, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("family", ["domino", "webmail", "outlook", "outlook-wrapped", "other", "content", "none"])
def test_help_explains_every_family(family: str) -> None:
    done = subprocess.run([*PROGRAM, "--help"], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True)
    assert any(line.split()[:1] == [family] and len(line.split()) > 3 for line in done.stdout.splitlines())


def test_nothing_is_loaded_that_it_does_not_need() -> None:
    script = "import sys, syncengine.cli.identity; print([m for m in sys.modules if m.startswith('syncengine.')])"
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert "syncengine.core.mime.message_id" in done.stdout
    for heavy in ("bootstrap", "config", "store", "services", "render"):
        assert f"syncengine.{heavy}" not in done.stdout
