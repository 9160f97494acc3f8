"""A folder that is watched: whether something changed in it that a collection would notice.

The system's own notices (inotify, FSEvents, ReadDirectoryChangesW) through the watchdog library, whose threads sleep
until there are any. They are hints: what happened before, on another machine or while nothing listened is found by the
next regular run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from syncengine.errors import SideError, Vanished

LOOK_SECONDS = 30.0
"""How often the folder itself is looked at: one that is put in its place is not noticed."""
_CHANGES = frozenset({"created", "modified", "moved", "deleted"})
"""Kinds of notices that are changes; a file that is only read makes others."""


class FolderWatch:
    """Implements `ports.Watch` for the files of a folder, not of those below it, whose name `counts`."""

    def __init__(self, path: str | Path, counts: Callable[[str], bool]) -> None:
        self._path, self._counts = Path(path), counts
        self._news = threading.Event()
        self._observer: Any = None
        self._folder: tuple[int, int] | None = None  # the one that is watched; another may take its name
        self._closed, self._lost = False, False

    def wait(self, seconds: float) -> bool:
        """A folder that was not there, or gave its name to another, counts as news once there is one again."""
        if self._observer is not None and self._identity() != self._folder:
            self._end()
            self._lost = True
        if self._observer is None:
            self._begin()
            if self._lost:
                self._lost = False
                return True
        found = self._news.wait(min(seconds, LOOK_SECONDS)) and not self._closed
        self._news.clear()
        return found

    def close(self) -> None:
        self._closed = True
        self._news.set()
        self._end()

    def dispatch(self, event: Any) -> None:
        """Called by the library, in a thread of its own."""
        names = (os.path.basename(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path)
        own = event.is_directory and os.fsdecode(event.src_path) == str(self._path) and event.event_type == "deleted"
        if event.event_type in _CHANGES and (own or any(self._counts(name) for name in names)):
            self._news.set()

    def _begin(self) -> None:
        from watchdog.observers import Observer  # noqa: PLC0415 - only where something is watched

        self._folder, lost, self._lost = self._identity(), self._lost, True
        observer = Observer()
        observer.daemon = True
        try:
            observer.schedule(self, str(self._path))  # type: ignore[arg-type]
            observer.start()
        except FileNotFoundError as e:
            raise Vanished("The folder is not there.", where=str(self._path), fix="Bring it back.") from e
        except OSError as e:  # the system's limit of watches, for one
            raise SideError(
                f"The folder cannot be watched: {e.strerror or e}.", where=str(self._path), fix="Runs go on regularly."
            ) from e
        self._observer, self._lost = observer, lost

    def _end(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            with suppress(Exception):
                observer.stop()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def watch_suffix(path: str | Path, suffix: str) -> FolderWatch:
    """Watches what a collection of files counts among its items."""
    return FolderWatch(path, lambda name: name.endswith(suffix) and not name.startswith("."))
