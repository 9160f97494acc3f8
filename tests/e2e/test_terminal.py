"""What others have written is shown on a terminal, and steers none."""

from __future__ import annotations

import os
import pty
import re

import pytest

from tests.e2e.desk import Desk, event
from tests.e2e.test_progress import read_all, start

STEERING = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\x1b(?!\[\d*m)|\xe2\x80\xae|\xc2\x9b")
CSI, OVERRIDE = "\x9b", "\u202e"


@pytest.mark.parametrize("command", [["sync"], ["activities"], ["issues"], ["status"], ["explain", "evil"]])
def test_a_subject_or_a_file_name_cannot_steer_the_terminal(desk: Desk, command: list[str]) -> None:
    desk.put("evil", event("evil", f"Lunch\x1b]0;title\x07\x1b[2J{CSI}2J{OVERRIDE}"))
    desk.put("bro\x1b[2Jken", "nothing\x1b[2J")
    desk.do("sync")
    ours, theirs = pty.openpty()
    process = start(desk, *command, stderr=theirs, stdout=theirs)
    os.close(theirs)
    shown = read_all(ours)
    process.wait()
    assert b"en" in shown or b"Lunch" in shown, shown
    assert not STEERING.findall(shown), shown


def test_json_says_the_same_without_steering_either(desk: Desk) -> None:
    desk.put("evil", event("evil", f"Lunch{CSI}{OVERRIDE}"))
    desk.do("sync")
    done = desk.good("activities", "--json")
    assert not STEERING.findall(done.out.encode())
    assert done.json[0]["description"] == f"Lunch{CSI}{OVERRIDE}"
