"""Progress of long work, on a terminal only: one line that is drawn anew ten times a second, so that something moves
whatever the work waits for, and that leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from types import TracebackType

from syncengine.core.progress import Step, line, moved

FIRST_SECONDS = 0.4
"""Shorter work shows nothing."""
SECONDS = 0.1
CLEAR = "\r\x1b[K"


class Progress:
    """A context; what is called inside is shown until it ends. Does nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        self._plain = "utf" not in encoding.lower()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, what: str, done: int, total: int | None = None, /) -> None:
        if self._thread is not None:
            self._step = moved(self._step, what, done, total, time.monotonic())

    def _draw(self) -> None:
        """The one thread that writes the line takes it away at the end, too."""
        turn, shown = 0, False
        pause = FIRST_SECONDS
        with contextlib.suppress(OSError, ValueError):  # the terminal is gone: nobody looks any more
            while not self._over.wait(pause):
                if (step := self._step) is not None:
                    sys.stderr.write(CLEAR + line(step, time.monotonic(), turn, _width(), plain=self._plain))
                    sys.stderr.flush()
                    turn, shown = turn + 1, True
                pause = SECONDS
            if shown:
                sys.stderr.write(CLEAR)
                sys.stderr.flush()


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
