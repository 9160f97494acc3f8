"""An agent as a process, and what it is seen to do: by its log, its status file, and what is on the sides."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from syncengine.store.agent_folder import AgentFolder
from tests.e2e.desk import ROOT, Desk

T = TypeVar("T")
PATIENCE = 40.0
COMMAND = [sys.executable, "-c", "from syncengine.cli.main import main; main()", "agent", "--verbose"]


def until(what: str, found: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first answer that is one. Fails when there is none for so many seconds."""
    end = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < end, f"it never came: {what}"
        time.sleep(0.03)
    return answer


@dataclass(frozen=True)
class Line:
    """One of the log: when (seconds), and its parts."""

    at: float
    parts: dict[str, str]

    def says(self, **parts: str) -> bool:
        return all(value in self.parts.get(name, "") for name, value in parts.items())


@dataclass
class Agent:
    desk: Desk
    process: subprocess.Popen[bytes]
    log: Path
    _seen: int = field(default=0)

    @property
    def folder(self) -> AgentFolder:
        return AgentFolder(str(self.desk.folder / "state.db"))

    def lines(self, **parts: str) -> list[Line]:
        """Those of the log that say so."""
        found = []
        for text in self.log.read_text(errors="replace").splitlines():
            if "event=" in text:
                stamp = time.mktime(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S")) + int(text[20:23]) / 1000
                pairs = re.findall(r'(\w+)=("[^"]*"|\S+)', text)
                found.append(Line(stamp, {name: value.strip('"') for name, value in pairs}))
        return [line for line in found if line.says(**parts)]

    def told(self, times: int = 1, **parts: str) -> list[Line]:
        """Wait until the log has said so that often."""
        try:
            return until(f"{parts}", lambda: ((n := self.lines(**parts)) and len(n) >= times and n) or [])
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log.read_text(errors='replace')}") from None

    def pim(self, name: str = "work") -> dict[str, Any]:
        status = self.folder.status() or {"pims": []}
        return next((dict(p) for p in status["pims"] if p["name"] == name), {})

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self) -> int:
        """Its exit code; it ends within the time the issue gives it."""
        return self.process.wait(5)


@contextmanager
def agent(desk: Desk, name: str = "agent") -> Iterator[Agent]:
    """One at work on a desk; told to end at the end, where it still runs."""
    log = desk.folder / f"{name}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **desk.env}
    with log.open("wb") as file:
        process = subprocess.Popen([*COMMAND, "--config", str(desk.config)], stderr=file, env=environment)
    found = Agent(desk, process, log)
    try:
        yield found
        if process.poll() is None:
            process.terminate()
            assert found.ends() == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def every(seconds: float, **more: str) -> str:
    """The configuration of an agent with this interval."""
    return "\n".join(["[agent]", f"interval = {seconds / 60:.5f}", *(f"{name} = {v}" for name, v in more.items()), ""])
