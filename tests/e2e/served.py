"""One activity server for several users: `syncengine serve` as a process of its own, and its users' desks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.desk import FOLDER, ROOT, Desk


@contextmanager
def served(desk: Desk, *options: str) -> Iterator[str]:
    """`syncengine serve` on the desk's database; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    program = "from syncengine.cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve", "--config", str(desk.config), "--port", port, *options]
    log = desk.folder / "serve.log"
    with log.open("wb") as output:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/openapi.json", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            requests.get(url, timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail(f"serve did not start:\n{log.read_text()}")


def client_of(folder: Path, owner: Desk, user: str, url: str, pims: str = FOLDER) -> Desk:
    """A user of the served server, with a token of their own."""
    token = owner.good("token", user, "--label", "test").out.strip()
    return Desk(folder, owner.commands, user, url, f'token = "{token}"', pims).set_up(directory=False)
