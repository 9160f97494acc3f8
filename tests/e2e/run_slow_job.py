"""A worker with a job of its own: on the host `dead` it never ends. It notes in a file which hosts began it."""

import sys
import time
from pathlib import Path

from syncengine.bootstrap import outbound
from syncengine.cli.main import main


def add(_config: object, _queue: object, jobs: outbound.Jobs, *_: object) -> None:
    jobs.named["slow"] = slow


def slow(argument: str) -> None:
    host = sys.argv[sys.argv.index("--name") + 1]
    with Path(argument).open("a", encoding="utf-8") as file:
        file.write(f"{host}\n")
        file.flush()
        while host == "dead":
            time.sleep(1)
        file.write("done\n")


if __name__ == "__main__":
    outbound.FEATURES.append("tests.e2e.run_slow_job:add")
    main(prog_name="syncengine")
