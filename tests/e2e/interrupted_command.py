"""A command that is interrupted: `python -m tests.e2e.interrupted_command STEP ARGUMENTS` sends itself what Ctrl-C
sends at the given step. Steps are the beginning, the end and the commit of every transaction of a database. STEP 0
goes to its end and prints on standard error how many steps it took."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from syncengine.cli.main import main
from syncengine.store.activities import Activities
from syncengine.store.state import State

last, taken = int(sys.argv.pop(1)), 0


def step() -> None:
    global taken  # noqa: PLW0603
    taken += 1
    if taken == last:
        os.kill(os.getpid(), signal.SIGINT)


def counted(kind: Any) -> None:
    real: Callable[..., AbstractContextManager[None]] = kind.transaction

    @contextmanager
    def transaction(self: Any, **how: Any) -> Iterator[None]:
        with real(self, **how):
            step()
            yield
            step()
        step()

    kind.transaction = transaction


if __name__ == "__main__":
    counted(State)
    counted(Activities)
    try:
        main(prog_name="syncengine")
    finally:
        if last == 0:
            print(f"steps: {taken}", file=sys.stderr)
