"""A run that dies: `python -m tests.e2e.killed_run CONFIG STEP` synchronizes and kills itself at the given step.

Steps are the beginning, the end and the commit of every transaction of the state, and before and after each write to a
side. STEP 0 lives, and prints the steps it took. A third argument names a run: then the undoing of that run dies.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncengine import bootstrap
from syncengine.config import load
from syncengine.services.sync import Sync
from syncengine.services.undo import Undo


class Steps:
    def __init__(self, last: int) -> None:
        self.last = last
        self.taken: list[str] = []

    def take(self, what: str) -> None:
        self.taken.append(what)
        if len(self.taken) == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


class _Counted:
    """Something whose methods in `writes` are steps; all else is as it was."""

    writes: tuple[str, ...] = ()

    def __init__(self, real: Any, steps: Steps) -> None:
        self._real, self._steps = real, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in self.writes:
            return found

        def counted(*args: Any) -> Any:
            self._steps.take(f"before {name} {_words(args)}")
            answer = found(*args)
            self._steps.take(f"after {name} {_words(args)}")
            return answer

        return counted


class CountedPim(_Counted):
    writes = ("create", "update", "delete")


class CountedServer(_Counted):
    writes = ("apply", "upload")


class CountedState(_Counted):
    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._real.transaction():
            self._steps.take("in a transaction, nothing done")
            yield
            self._steps.take("in a transaction, all done")
        self._steps.take("after the commit")


def _words(args: Sequence[Any]) -> str:
    first = args[0]
    return first if isinstance(first, str) else ", ".join(type(command).__name__ for command in first)


def run(config: str, last: int, undo: str = "") -> int:
    steps = Steps(last)
    with ExitStack() as stack:
        work = bootstrap.open_work(load(Path(config)), stack)
        work.state = CountedState(work.state, steps)
        work.server = CountedServer(work.server, steps)
        work.collections = [replace(c, pim=CountedPim(c.pim, steps)) for c in work.collections]
        if undo:
            Undo(work, undo).run()
        else:
            Sync(work).run()
    print("\n".join(steps.taken))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1], int(sys.argv[2]), *sys.argv[3:4]))
