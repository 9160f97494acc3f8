"""Logging in: a password or token goes from the keyboard or a pipe into the system keyring, and nowhere else."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import ME, ROOT, Desk, Done
from tests.e2e.served import client_of, served
from tests.imap_server import ImapServer, start
from tests.imap_server import token as access_token

RIGHT, WRONG = "secret", "mistyped-Geheim"
PHONE = """[[pim]]
name = "phone"
connector = "caldav"
url = "{url}"
username = "{username}"
password = {password}
"""
MAIL = """[[pim]]
name = "mail"
connector = "imap"
url = "{url}"
username = "alice"
password = {{ keyring = "mail box" }}
{more}
"""


@pytest.fixture
def ring(desk: Desk) -> Path:
    file = desk.folder / "keyring.json"
    desk.env |= {"PYTHON_KEYRING_BACKEND": "tests.e2e.keyring_file.FileKeyring", "KEYRING_FILE": str(file)}
    return file


@pytest.fixture
def phone(desk: Desk, radicale: DavServer, ring: Path) -> Desk:
    return with_phone(desk, radicale, '{ keyring = "my phone" }')


def with_phone(desk: Desk, radicale: DavServer, password: str) -> Desk:
    url, username = radicale.make_collection(), "alice" + radicale.suffix
    desk.pims = PHONE.format(url=url, username=username, password=password)
    desk.configure()
    return desk


def run(desk: Desk, *args: str, typed: str = "") -> Done:
    """A command as a process of its own, with something on its standard input."""
    command = [sys.executable, "-m", "tests.e2e.run_command", *args, "--config", "config.toml"]
    environment = {**os.environ, **desk.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=typed, capture_output=True, text=True, cwd=desk.folder, env=environment, check=False
    )
    for said in (done.stdout, done.stderr):
        assert not typed.strip() or typed.strip() not in said
    return Done(done.returncode, done.stdout, done.stderr)


def kept(ring: Path) -> dict[str, str]:
    return dict(json.loads(ring.read_text())) if ring.exists() else {}


def test_a_run_says_how_to_log_in_and_goes_on_after_it(phone: Desk, ring: Path) -> None:
    refused = phone.do("sync")
    assert refused.code == 2
    assert "syncengine login phone" in refused.err
    done = run(phone, "login", "phone", "--stdin", typed=f"{RIGHT}\n")
    assert (done.code, done.err) == (0, "")
    assert kept(ring) == {"syncengine/my phone": RIGHT}
    phone.sync()


def test_a_password_the_server_refuses_is_not_kept(phone: Desk, ring: Path) -> None:
    done = run(phone, "login", "phone", "--stdin", typed=WRONG)
    assert done.code == 4
    assert "The server refused the user name or password." in done.err
    assert "syncengine login phone" in done.err
    assert kept(ring) == {}
    unchecked = run(phone, "login", "phone", "--stdin", "--no-check", typed=WRONG)
    assert unchecked.code == 0
    assert kept(ring) == {"syncengine/my phone": WRONG}
    refused = phone.do("sync", "--json")
    assert refused.code == 4
    assert "syncengine login phone" in refused.json["problems"][0]["fix"]
    assert WRONG not in refused.out + refused.err


def test_at_a_terminal_it_is_asked_for_without_echo(phone: Desk, ring: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.e2e.run_command", "login", "phone", "--config", "config.toml"]
    environment = {**os.environ, **phone.env, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=phone.folder, env=environment, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while b"password of phone" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, f"{RIGHT}\n".encode())
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait(30) == 0, shown
    assert RIGHT.encode() not in shown
    assert kept(ring) == {"syncengine/my phone": RIGHT}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1000)
    except OSError:  # the other end is closed
        return b""


def test_without_a_terminal_and_without_stdin_nothing_is_asked(phone: Desk, ring: Path) -> None:
    done = run(phone, "login", "phone", typed=RIGHT)
    assert (done.code, kept(ring)) == (2, {})
    assert "--stdin" in done.err


@pytest.mark.parametrize("password", ['"mistyped"', '{ env = "NOT_SET" }', '{ command = ["false"] }'])
def test_it_says_what_to_write_where_the_configuration_has_another_source(
    desk: Desk, ring: Path, radicale: DavServer, password: str
) -> None:
    with_phone(desk, radicale, password)
    done = run(desk, "login", "phone", "--stdin", "--json", typed=RIGHT)
    assert done.json == {
        "name": "phone",
        "kept": True,
        "tried": True,
        "to_configure": 'password = { keyring = "phone" }',
    }
    assert kept(ring) == {"syncengine/phone": RIGHT}
    assert 'password = { keyring = "phone" }' in run(desk, "login", "phone", "--stdin", typed=RIGHT).out
    desk.pims = desk.pims.replace(f"password = {password}", 'password = { keyring = "phone" }')
    desk.configure()
    desk.sync()


def test_logging_out_deletes_it_and_nothing_else(phone: Desk, ring: Path) -> None:
    ring.write_text(json.dumps({"syncengine/my phone": RIGHT, "syncengine/other": "x", "mail/my phone": "y"}))
    assert phone.do("logout", "phone").code == 0
    assert kept(ring) == {"syncengine/other": "x", "mail/my phone": "y"}
    assert phone.do("logout", "phone", "--json").json == {"name": "phone", "deleted": False}
    assert phone.do("logout", "phone").code == 1


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_a_machine_without_a_keyring_gets_plain_words(phone: Desk, ring: Path, backend: str) -> None:
    phone.env["PYTHON_KEYRING_BACKEND"] = backend
    done = run(phone, "login", "phone", "--stdin", "--no-check", typed=WRONG)
    assert done.code == 2
    assert "no system keyring" in done.err
    assert 'password = { command = ["pass", "phone"] }' in done.err
    assert 'password = { env = "SYNCENGINE_PHONE" }' in done.err


def test_a_keyring_that_is_locked(phone: Desk, ring: Path) -> None:
    ring.write_text("locked")
    done = run(phone, "login", "phone", "--stdin", "--no-check", typed=WRONG)
    assert done.code == 2
    assert "The system keyring cannot be used: it is locked." in done.err


def test_what_needs_no_login(desk: Desk, ring: Path) -> None:
    for name, words in (("work", "is a folder"), ("server", "is a database"), ("wrok", "There is no PIM named 'wrok'")):
        done = run(desk, "login", name, "--stdin", typed=WRONG)
        assert done.code == 2
        assert words in done.err
    assert kept(ring) == {}


@pytest.fixture
def tokens() -> Iterator[ImapServer]:
    server = start(tokens="xoauth2 oauthbearer")
    yield server
    server.stop()


def test_a_token_of_the_server_is_tried_and_must_be_the_users_own(desk: Desk, ring: Path, tmp_path: Path) -> None:
    with served(desk) as url:
        mine = client_of(tmp_path / "mine", desk, ME, url)
        token = mine.more_server.partition('"')[2].rpartition('"')[0]
        mine.env |= desk.env
        mine.more_server = 'token = { keyring = "server" }'
        mine.configure()
        missing = mine.do("sync")
        assert "syncengine login server" in missing.err
        refused = run(mine, "login", "server", "--stdin", typed="not-a-token")
        assert refused.code == 4
        assert "syncengine login server" in refused.err
        other = desk.good("token", "user.two@example.com", "--label", "test").out.strip()
        assert run(mine, "login", "server", "--stdin", typed=other).code == 2
        assert kept(ring) == {}
        assert run(mine, "login", "server", "--stdin", typed=token).code == 0
        assert kept(ring) == {"syncengine/server": token}
        mine.sync()


def test_a_mailbox_with_a_password(desk: Desk, ring: Path, dovecot: ImapServer) -> None:
    desk.pims = MAIL.format(url=dovecot.url, more="")
    desk.configure()
    refused = run(desk, "login", "mail", "--stdin", typed=WRONG)
    assert refused.code == 4
    assert "syncengine login mail" in refused.err
    assert run(desk, "login", "mail", "--stdin", typed=RIGHT).code == 0
    assert kept(ring) == {"syncengine/mail box": RIGHT}


def test_a_mailbox_with_an_access_token(desk: Desk, ring: Path, tokens: ImapServer) -> None:
    desk.pims = MAIL.format(url=tokens.url, more='auth = "oauth2"')
    desk.configure()
    expired = run(desk, "login", "mail", "--stdin", typed=access_token("alice", valid_until=1))
    assert expired.code == 4
    assert "syncengine login mail" in expired.err
    good = access_token("alice")
    done = run(desk, "login", "mail", "--stdin", typed=good)
    assert done.out.startswith("The token of mail is accepted")
    assert kept(ring) == {"syncengine/mail box": good}
