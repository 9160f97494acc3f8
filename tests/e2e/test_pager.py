"""`syncengine pager` from the outside: a modem on a pseudo-terminal, a directory with pagers, pages that arrive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from syncengine.bootstrap.senders_page import open_pager
from syncengine.config import load
from syncengine.errors import ConfigError
from syncengine.model.outbound import Page, Request, Verdict
from tests.e2e.desk import DIRECTORY, FOLDER, ME, OTHER, ROOT, Desk, Done
from tests.tap_terminal import RS, Exchange, Terminal

PIN = "7632140090"
SERVICE = """[[pager]]
name = "beeper"
connector = "tap"
modem_port = "{port}"
line = "7E1-software"
guard_seconds = 0
default = true
[[pager]]
name = "sms"
connector = "webhook"
url = "http://127.0.0.1:9/page?key=hush"
secret = "hush hush"
"""


def with_pagers(**pagers: Mapping[str, Any]) -> dict[str, Any]:
    directory = deepcopy(DIRECTORY)
    for employee in directory["employees"]:
        if employee["id"] in pagers:
            employee["pager"] = dict(pagers[employee["id"]])
    return directory


@pytest.fixture
def paging(desk: Desk) -> Desk:
    desk.pims = FOLDER + SERVICE.format(port="/nowhere/modem")
    desk.set_up()
    desk.import_directory(with_pagers(e1={"type": "alphanumeric", "number": "415 555 0100", "pin": PIN}))
    return desk


def plug_in(desk: Desk, exchange: Exchange) -> None:
    desk.pims = FOLDER + SERVICE.format(port=exchange.port)
    desk.configure()


def test_services_are_listed_without_their_secrets(paging: Desk) -> None:
    done = paging.good("pager", "list", "--json")
    assert done.json == [
        {"name": "beeper", "connector": "tap", "place": "/nowhere/modem", "default": True},
        {"name": "sms", "connector": "webhook", "place": "http://127.0.0.1:9/page", "default": False},
    ]
    assert "hush" not in done.out + paging.good("pager", "list").out


def test_a_modem_that_is_missing_is_said_with_its_port(paging: Desk) -> None:
    done = paging.do("pager", "test")
    assert done.code == 4
    assert "/nowhere/modem" in done.err
    assert "Connect it" in done.err
    failed = paging.do("pager", "test", "sms", "--json")
    assert (failed.code, failed.json["state"]) == (4, "failed")
    assert "hush" not in failed.out + failed.err
    unknown = paging.do("pager", "test", "beper")
    assert (unknown.code, 'did you mean "beeper"?' in unknown.err) == (2, True)


def test_a_modem_that_answers_is_said_to(paging: Desk) -> None:
    with Exchange() as exchange:
        plug_in(paging, exchange)
        done = paging.good("pager", "test", "beeper", "--json")
    assert done.json == {"name": "beeper", "answer": f"the modem at {exchange.port} answers", "page": None}
    assert exchange.commands == ["ATZ", "AT&FQ0V1", "AT&F"]


def test_a_test_page_arrives(paging: Desk) -> None:
    terminal = Terminal()
    with Exchange(terminal) as exchange:
        plug_in(paging, exchange)
        done = paging.good("pager", "test", "--page", ME, "--text", "he0921484b2g", "--json")
    assert done.json["page"] == {"verdict": "sent", "because": "accepted by the terminal"}
    assert terminal.blocks == [b"\x027632140090\rhe0921484b2g\r\x03553\r"]
    assert PIN not in done.out + done.err


def test_what_is_refused_is_said(paging: Desk) -> None:
    with Exchange(Terminal(answers=[b"511 nobody\r" + RS])) as exchange:
        plug_in(paging, exchange)
        refused = paging.do("pager", "test", "--page", "e1")
        nobody = paging.do("pager", "test", "--page", OTHER)
        stranger = paging.do("pager", "test", "--page", "stranger@example.com")
    assert (refused.code, "never: there is no pager with this id (511)" in refused.out) == (1, True)
    assert (nobody.code, "The employee has no pager." in nobody.out) == (1, True)
    assert (stranger.code, "knows no employee" in stranger.err) == (2, True)


def test_pagers_leave_the_server_by_no_command(paging: Desk) -> None:
    paging.good("sync")
    for words in (("lookup", "Con", "--json"), ("activities", "--json")):
        assert PIN not in paging.good(*words).out
    state = (paging.folder / "state.db").read_bytes()
    for beside in paging.folder.glob("state.db-*"):
        state += beside.read_bytes()
    assert PIN.encode() not in state
    assert PIN.encode() in b"".join(f.read_bytes() for f in paging.folder.glob("activities.db*"))


def test_a_wrong_pager_is_named_and_nothing_is_imported(paging: Desk) -> None:
    wrong = with_pagers(e1={"type": "beeper", "number": "415"})
    (paging.folder / "wrong.json").write_text(json.dumps(wrong))
    done = paging.do("directory", "import", "wrong.json")
    assert done.code == 2
    assert "employees[0].pager.type: must be one of alphanumeric, numeric, mobile" in done.err


def test_a_sender_is_opened_by_name_and_looks_into_the_servers_database(paging: Desk) -> None:
    terminal = Terminal()
    with Exchange(terminal) as exchange:
        plug_in(paging, exchange)
        sender = open_pager(load(paging.config))
        begun: list[int] = []
        outcome = sender.send(Request("r", Page("e1", "hello"), "test"), {}, lambda: begun.append(1))
        sender.close()
    assert (outcome.verdict, begun) == (Verdict.SENT, [1])
    assert terminal.pages == [[PIN.encode(), b"hello"]]


def test_pages_leave_on_the_server_alone(tmp_path: Path) -> None:
    text = '[user]\nemployee = "me@example.com"\n[server]\nurl = "https://x.example.com"\ntoken = "t"\n'
    text += 'generic_owner = "g@example.com"\n' + SERVICE.format(port="/nowhere")
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match="leave on the server itself"):
        open_pager(load(tmp_path / "config.toml"))


def test_the_secret_of_a_service_can_be_kept_in_the_keyring(paging: Desk) -> None:
    ring = paging.folder / "keyring.json"
    paging.env |= {"PYTHON_KEYRING_BACKEND": "tests.e2e.keyring_file.FileKeyring", "KEYRING_FILE": str(ring)}
    untried = log_in(paging, "sms")
    assert (untried.code, "cannot be tried without a page" in untried.err) == (2, True)
    assert not ring.exists()
    done = log_in(paging, "sms", "--no-check")
    assert done.code == 0
    assert 'Write into the [[pager]] named "sms"' in done.out
    assert 'secret = { keyring = "sms" }' in done.out
    assert "whsec" not in done.out + done.err
    assert "whsec_AAAA" in ring.read_text()
    assert 'password = { keyring = "beeper" }' in log_in(paging, "beeper", "--no-check").out


def log_in(desk: Desk, *args: str) -> Done:
    environment = {**os.environ, **desk.env, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "syncengine.cli.main", "login", *args, "--stdin", "--config", "config.toml"]
    done = subprocess.run(
        command, cwd=desk.folder, env=environment, input="whsec_AAAA\n", capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_text_for_nobody_is_refused(paging: Desk) -> None:
    done = paging.do("pager", "test", "beeper", "--text", "Hello")
    assert (done.code, "Nobody is named whom to page." in done.err) == (2, True)
