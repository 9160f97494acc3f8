"""A post office for the tests: a mail server that counts, a queue on a real database, and worker processes that are
killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.controller import Controller

from syncengine.bootstrap.outbound import open_queue
from syncengine.config import Config, load
from syncengine.model.outbound import Email, Entry, Request, State, Wanted
from syncengine.services.outbound import Queue

T = TypeVar("T")
PATIENCE = 120.0


class Sink:
    """Takes every message, and counts them by Message-ID. Asked to, it keeps one answer back."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._keep_back, self.keeps_back = threading.Event(), threading.Event()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.counted[_message_id(envelope.content)] += 1
        if self._keep_back.is_set() and not self.keeps_back.is_set():
            self.keeps_back.set()
            while self._keep_back.is_set():
                await asyncio.sleep(0.005)
        return "250 taken"

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Inside, a message has been taken, and its sender waits for the answer in vain."""
        self._keep_back.set()
        until("a message is taken", self.keeps_back.is_set)
        try:
            yield
        finally:
            self._keep_back.clear()
            self.keeps_back.clear()


def _message_id(content: bytes) -> str:
    for line in content.splitlines():
        if line.lower().startswith(b"message-id:"):
            return line.partition(b":")[2].strip().decode()
    return ""


def until(what: str, found: Callable[[], T], patience: float = PATIENCE) -> T:
    """What is found when it is true; fails after so many seconds."""
    end = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.05)
    return answer


class Office:
    """The queue, its mail server, and its workers."""

    def __init__(self, folder: Path, url: str, port: int, queue: Queue, config: Config, sink: Sink) -> None:
        self.folder, self.url, self.port, self.queue, self.config, self.sink = folder, url, port, queue, config, sink
        self.running: list[subprocess.Popen[bytes]] = []

    @property
    def store(self) -> Any:
        return self.queue.store

    def ask(self, number: int, **more: Any) -> None:
        content = Email(("ann@example.com",), "Hello", "Text")
        for start in range(0, number, 500):
            some = range(start, min(number, start + 500))
            self.queue.ask(Request(f"r{n:05d}", content, "a test", **more) for n in some)

    def start(self, name: str, *more: str, module: str = "tests.e2e.run_command") -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("ab")
        command = [sys.executable, "-m", module, "worker", "--config", str(self.config.path), "--name", name, *more]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2])])}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.running.append(process)
        return process

    def entries(self) -> list[Entry]:
        return list(self.store.find(Wanted(), 100_000))

    def left(self) -> int:
        final = (State.SUCCEEDED, State.FAILED)
        return sum(one.number for one in self.store.standing().counts if one.state not in final)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                self.kill(process)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def dripping(at: bytes) -> Iterator[tuple[int, threading.Event]]:
    """A mail server that, when it has heard a line that begins like this (nothing: at once), answers by one character
    a second for ever; its port, and whether it does so."""
    begun, ended = threading.Event(), threading.Event()

    def converse(line: socket.socket) -> None:
        with line, suppress(OSError):
            if at:
                line.sendall(b"220 ready\r\n")
            for heard in line.makefile("rb") if at else ():
                if heard.upper().startswith(at):
                    break
                if heard[:4].upper() in (b"EHLO", b"MAIL", b"RCPT", b"RSET", b"DATA"):
                    line.sendall(b"354 go\r\n" if heard[:4].upper() == b"DATA" else b"250 fine\r\n")
            line.sendall(b"220-" if not at else b"250-")
            begun.set()
            while not ended.wait(1):
                line.sendall(b"x")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(listener.getsockname()[1]), begun
        finally:
            ended.set()


@contextmanager
def office(folder: Path, url: str, more: str = "", tick: int = 1) -> Iterator[Office]:
    """more: settings of [outbound]. tick: seconds between looks for what is due."""
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=(port := free_port()))
    controller.start()
    (folder / "config.toml").write_text(
        f"""[user]
employee = "me@example.com"
[server]
url = "{url}"
generic_owner = "nobody@example.com"
[outbound]
tick = {tick}
{more}
[[profile]]
name = "main"
from = "me@example.com"
smtp = "smtp://127.0.0.1:{port}"
[log]
level = "debug"
""",
        encoding="utf-8",
    )
    config = load(folder / "config.toml")
    with ExitStack() as stack:
        stack.callback(controller.stop)
        found = Office(folder, url, port, open_queue(config, stack), config, sink)
        stack.callback(found.close)
        yield found
