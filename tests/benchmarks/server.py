"""A Radicale with calendars written straight into its folder, and a relay before it that counts bytes.

Radicale reads 10,000 new files for about a minute before it answers its first question; it is asked once before
anything is measured, and a copy of a calendar takes what it has learnt along.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

from tests.benchmarks import calendars

SETTINGS = """[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[logging]
level = error
"""
USER, PASSWORD = "alice", "secret"
EVERYTHING = (
    '<D:sync-collection xmlns:D="DAV:"><D:sync-token/><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>'
    "</D:sync-collection>"
)


class Relay:
    """Passes connections on to a port of this machine; `down` counts the bytes that came back."""

    def __init__(self, port: int) -> None:
        self.down, self._target = 0, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, counts in ((client, server, False), (server, client, True)):
                    Thread(target=self._pass, args=(source, sink, counts), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                if counts:
                    self.down += len(block)
                sink.sendall(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Radicale:
    """A running server; its calendars belong to one user."""

    def __init__(self, folder: Path, relay: Relay) -> None:
        self._root = folder / "collections" / "collection-root" / USER
        self.relay = relay

    def url(self, calendar: str) -> str:
        return f"http://127.0.0.1:{self.relay.port}/{USER}/{calendar}/"

    def fill(self, calendar: str, items: int) -> None:
        """A new calendar with so many items, which the server knows afterwards."""
        folder = self._root / calendar
        folder.mkdir(parents=True)
        (folder / ".Radicale.props").write_text(json.dumps({"tag": "VCALENDAR"}))
        for number in range(items):
            (folder / calendars.name(number)).write_bytes(calendars.text(number).encode())
        self.learn(calendar)

    def learn(self, calendar: str) -> None:
        login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        connection = HTTPConnection("127.0.0.1", self.relay.port, timeout=1800)
        headers = {"Authorization": f"Basic {login}", "Content-Type": "text/xml", "Depth": "0"}
        connection.request("REPORT", f"/{USER}/{calendar}/", EVERYTHING, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        if answer.status != 207:
            raise RuntimeError(f"Radicale answers {answer.status}")

    def copy(self, calendar: str, name: str) -> None:
        shutil.copytree(self._root / calendar, self._root / name)
        self.learn(name)

    def edit(self, calendar: str, numbers: Sequence[int], word: str) -> None:
        """As if another program had changed the items; the server takes notice of them."""
        for number in numbers:
            rename(self._root / calendar / calendars.name(number), word)
        self.learn(calendar)


def rename(file: Path, word: str) -> None:
    """Put a word before the subject of the item in a file."""
    file.write_bytes(calendars.renamed(file.read_bytes().decode(), word).encode())


@contextmanager
def radicale(folder: Path) -> Iterator[Radicale]:
    folder.mkdir()
    port = _free_port()
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    (folder / "config").write_text(SETTINGS.format(port=port, folder=folder))
    command = [sys.executable, "-m", "radicale", "--config", str(folder / "config")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    relay = Relay(port)
    try:
        _wait_for(port, process, folder / "log")
        yield Radicale(folder, relay)
    finally:
        relay.close()
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Radicale did not start:\n{log.read_text(errors='replace')[-2000:]}")
