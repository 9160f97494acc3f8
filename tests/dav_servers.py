"""Real CalDAV servers for the tests: a process each per test session, on a free loopback port, with its own folder.

Users of Radicale: alice and bob, password "secret". Xandikos asks nobody for a password.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import requests

MKCALENDAR = """<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<C:supported-calendar-component-set>{}</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"""

RADICALE = """[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
type = multifilesystem
filesystem_folder = {folder}/collections
[logging]
level = error
"""


@dataclass(frozen=True)
class DavServer:
    """A running server. `home` is a pattern for the URL of a user's calendars; `folder` is where it keeps its files."""

    name: str
    home: str
    folder: Path
    username: str
    password: str
    checks_password: bool
    suffix: str = ""
    """What the names of the users of one test end with, where each has its own."""

    def home_of(self, user: str = "alice") -> str:
        return self.home.format(user=user + self.suffix)

    def make_collection(self, user: str = "alice", components: Sequence[str] = ("VEVENT", "VTODO")) -> str:
        """A new, empty calendar; its URL."""
        url = f"{self.home_of(user)}{uuid.uuid4().hex}/"
        body = MKCALENDAR.format("".join(f'<C:comp name="{name}"/>' for name in components))
        self.request("MKCALENDAR", url, user=user, body=body)
        return url

    def delete_collection(self, url: str, user: str = "alice") -> None:
        self.request("DELETE", url, user=user)

    def request(self, method: str, url: str, *, user: str = "alice", body: str = "") -> requests.Response:
        """Something done behind the connector's back."""
        kind = "text/calendar; charset=utf-8" if method == "PUT" else "text/xml; charset=utf-8"
        answer = requests.request(
            method,
            url,
            data=body.encode(),
            headers={"Content-Type": kind} if body else {},
            auth=(user + self.suffix, self.password) if self.checks_password else None,
            timeout=30,
        )
        answer.raise_for_status()
        return answer


@pytest.fixture(scope="session")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    _demand("radicale")
    folder, port = tmp_path_factory.mktemp("radicale"), free_port()
    (folder / "users").write_text("alice:secret\nbob:secret\n")
    (folder / "config").write_text(RADICALE.format(port=port, folder=folder))
    command = [sys.executable, "-m", "radicale", "--config", str(folder / "config")]
    with _running(command, folder, port):
        yield DavServer("radicale", f"http://127.0.0.1:{port}/{{user}}/", folder, "alice", "secret", True)


@pytest.fixture(scope="session")
def xandikos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    _demand("xandikos")
    folder, port = tmp_path_factory.mktemp("xandikos"), free_port()
    options = [
        "-d",
        str(folder),
        "-l",
        "127.0.0.1",
        "-p",
        str(port),
        "--defaults",
        "--current-user-principal",
        "/alice/",
    ]
    with _running([sys.executable, "-m", "xandikos", "serve", *options], folder, port):
        # no authentication of its own, and only alice's home is made: every user's calendars live there
        yield DavServer("xandikos", f"http://127.0.0.1:{port}/alice/calendars/", folder, "", "", False)


@contextmanager
def radicale_at(folder: Path, port: int) -> Iterator[DavServer]:
    """A Radicale of one's own, which finds again what an earlier one left in the folder. Its users are in the file
    `users` there, read anew with each request."""
    _demand("radicale")
    if not (folder / "users").exists():
        (folder / "users").write_text("alice:secret\nbob:secret\n")
    (folder / "config").write_text(RADICALE.format(port=port, folder=folder))
    with _running([sys.executable, "-m", "radicale", "--config", str(folder / "config")], folder, port):
        yield DavServer("radicale", f"http://127.0.0.1:{port}/{{user}}/", folder, "alice", "secret", True)


def _demand(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        missing(f"{package} is not installed (pip install syncengine[test])")


def missing(reason: str) -> NoReturn:
    """A server is missing: its tests are skipped, or fail where they must not be."""
    if os.environ.get("SYNCENGINE_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """The server's process, from when it answers; its log is shown when it does not."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        end = time.monotonic() + 30
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                said = (folder / "log").read_text(errors="replace")[-2000:]
                pytest.fail(f"{command[2]} did not start:\n{said}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code < 500
    except requests.ConnectionError:
        return False
