"""A removal that dies: it kills itself at the given step; step 0 lives, and prints the steps it took.

Steps are those of `killed_run`, and before and after each file that is deleted here.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from syncengine import bootstrap
from syncengine.config import load
from syncengine.model.removal import Removal
from syncengine.services.removal import forget_here
from tests.e2e.killed_run import CountedPim, CountedState, Steps


def run(config_path: str, last: int) -> int:
    steps, config = Steps(last), load(Path(config_path))
    local = bootstrap.local_records(config)

    def erase(file: Path) -> None:
        steps.take(f"before erasing {file.name}")
        local.erase(file)
        steps.take(f"after erasing {file.name}")

    found = Removal()
    with ExitStack() as stack:
        if Path(config.state).exists():
            remover = bootstrap.open_removal(config, stack)
            work = remover.work
            work.state = CountedState(work.state, steps)
            work.collections = [replace(c, pim=CountedPim(c.pim, steps)) for c in work.collections]
            found = remover.carry_out()
        if not found.unreachable:
            forget_here(replace(local, erase=erase), found)
    print("\n".join(steps.taken))
    return 0
