"""Runs commands in processes of their own without paying for the imports each time.

The program imports everything once and forks a child for each line of JSON it reads on standard input:

    {"args": [...], "cwd": "…", "env": {...}, "out": "file", "err": "file", "kill_at": null, "kill_after": null,
     "largest_file": null}

The child is a real process running the real command line: it has its own exit code, can be killed, and its locks and
files go with it. `kill_at` runs the command `sync` of `killed_run` instead, or the undoing of the run a second argument
names. `kill_after`: seconds it may live at most. `largest_file`: no file may grow beyond that many bytes, as on a full
disk. With `"remove"` as first argument, `kill_at` is a step of `killed_removal`. The answer is one line: the exit code,
negative for a signal.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any


def main() -> None:
    _preload()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _become(job)
        if job["kill_after"] is not None:
            signal.sigtimedwait({signal.SIGCHLD}, job["kill_after"])
            os.kill(child, signal.SIGKILL)  # one that has ended already is still there to be killed
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait({signal.SIGCHLD}, 0)  # it says nothing of the next one
        print(os.waitstatus_to_exitcode(status), flush=True)


def _preload() -> None:
    import importlib

    from syncengine.cli.main import COMMANDS

    wanted = {module for module, _ in COMMANDS.values()} | {
        "connectors.caldav.pim",
        "connectors.http.server",
        "connectors.vdir.pim",
        "httpx2",
        "syncengine.bootstrap",
        "syncengine.core.mapping.parse",
        "syncengine.services.activities",
        "syncengine.services.activity_editing",
        "syncengine.services.sync",
        "syncengine.store.activities",
        "syncengine.store.state",
    }
    for module in wanted:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # children then share the memory instead of copying it


def _become(job: dict[str, Any]) -> None:
    """Do the job as a process of its own; never returns."""
    code = 70
    try:
        os.chdir(job["cwd"])
        os.environ.update(job["env"])
        for number, name in ((1, "out"), (2, "err")):
            descriptor = os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, number)
        if job["largest_file"] is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest_file"], job["largest_file"]))
        code = _run(job)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 70
    except BaseException:  # as the interpreter would say it
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(job: dict[str, Any]) -> int:
    if job["kill_at"] is not None and job["args"][0] == "remove":
        from tests.e2e import killed_removal

        return killed_removal.run(job["args"][1], job["kill_at"])
    if job["kill_at"] is not None:
        from tests.e2e.killed_run import run

        return run(job["args"][0], job["kill_at"], *job["args"][1:])
    from syncengine.cli.main import main as command_line

    sys.argv = ["syncengine", *job["args"]]
    command_line()
    return 0


if __name__ == "__main__":
    main()
