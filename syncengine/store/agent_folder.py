"""The folder beside a state through which its agent and commands meet: who is at work, what is asked, how it stands.

    lock          held by the agent; the system releases it when the process dies
    status.json   what the agent tells of itself, replaced as a whole
    now-ID.json   a request to run PIMs now; the agent deletes it when it is done
    done-ID.json  what became of a request somebody waits for

Only the user may look inside. Files instead of a socket: they work the same on every system, whatever the length of
the path, and nothing listens.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syncengine.errors import NotNow, StorageError

_PATIENCE = 1.0
"""Seconds: somebody may just be looking whether an agent runs."""
_LONGEST = 1_000_000
"""Characters of one file; what is longer is cut, and so damaged."""
_REQUEST, _ANSWER = "now-", "done-"


class AgentFolder:
    """That of the state at a path. Made when an agent starts."""

    def __init__(self, state: str) -> None:
        self.path = Path(f"{state}.agent")

    # --- who is at work --------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """One agent for a state. Raises NotNow when there is one, StorageError where nothing can be written."""
        guard = self._connected()
        try:
            try:
                guard.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as e:
                raise self._taken() from e
            yield
        finally:
            guard.close()

    def running(self) -> bool:
        """Whether an agent is at work."""
        if not (self.path / "lock").exists():
            return False
        guard = self._connected(patience=0)
        try:
            guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        finally:
            guard.close()
        return False

    def _connected(self, patience: float = _PATIENCE) -> sqlite3.Connection:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return sqlite3.connect(self.path / "lock", timeout=patience, isolation_level=None)
        except (OSError, sqlite3.Error) as e:
            raise StorageError(
                f"The agent's folder cannot be used: {e}.", where=str(self.path), fix="Allow writing there."
            ) from e

    def _taken(self) -> NotNow:
        process = (self.status() or {}).get("pid")
        named = f" (process {process})" if process else ""
        return NotNow(
            f"An agent is running already for this state{named}.", where=str(self.path), fix="Stop that one first."
        )

    # --- how it stands ---------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        return _read(self.path / "status.json")

    def tell(self, status: Mapping[str, Any]) -> None:
        self._write("status.json", status)

    # --- what is asked ---------------------------------------------------------------------------------------------

    def ask(self, pims: Sequence[str], *, waits: bool) -> str:
        """Ask for a run of these PIMs, or all; the request's id."""
        request = uuid.uuid4().hex
        self._write(f"{_REQUEST}{request}.json", {"pims": list(pims), "waits": waits})
        return request

    def requests(self) -> dict[str, dict[str, Any]]:
        """By id. One that cannot be read is dropped."""
        found = {}
        for file in sorted(self.path.glob(f"{_REQUEST}*.json")):
            content = _read(file)
            if content is not None and _is_request(content):
                found[file.stem.removeprefix(_REQUEST)] = content
            else:
                _drop(file)
        return found

    def answer(self, request: str, answer: Mapping[str, Any] | None) -> None:
        """The request is done; `answer` for whoever waits."""
        if answer is not None:
            self._write(f"{_ANSWER}{request}.json", answer)
        _drop(self.path / f"{_REQUEST}{request}.json")

    def answered(self, request: str) -> dict[str, Any] | None:
        """What became of a request; told once."""
        found = _read(file := self.path / f"{_ANSWER}{request}.json")
        if found is not None:
            _drop(file)
        return found

    def withdraw(self, request: str) -> None:
        _drop(self.path / f"{_REQUEST}{request}.json")

    def tidy(self) -> None:
        """Drop what an earlier agent left: answers nobody has fetched, files half written."""
        for file in [*self.path.glob(f"{_ANSWER}*"), *self.path.glob("*.tmp")]:
            _drop(file)

    def files(self) -> list[Path]:
        """All there is, the folder last, in an order in which it may be deleted."""
        if not self.path.is_dir():
            return []
        return [*sorted({*self.path.iterdir(), self.path / "lock-journal"}), self.path]

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        temporary = self.path / f"{name}.{uuid.uuid4().hex}.tmp"
        try:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                json.dump(content, file)
            os.replace(temporary, self.path / name)
        except OSError as e:
            _drop(temporary)
            raise StorageError(
                f"The agent's folder cannot be written: {e.strerror}.", where=str(self.path), fix="Free some space."
            ) from e


def _is_request(content: dict[str, Any]) -> bool:
    names = content.get("pims", [])
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        if not file.is_file():  # a pipe would be waited for
            return None
        with file.open(encoding="utf-8") as opened:
            found = json.loads(opened.read(_LONGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _drop(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
