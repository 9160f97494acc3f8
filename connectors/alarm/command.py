"""An alarm handed to a command of the user's: the text on its standard input, the facts in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from syncengine.errors import SideError
from syncengine.model.alarm import Message

SECONDS = 30.0
PREFIX = "SYNCENGINE_ALARM_"


def tell_command(command: Sequence[str], message: Message, *, seconds: float = SECONDS) -> None:
    """Run it, with the subject as its last argument. Raises SideError when it fails or takes longer than `seconds`;
    what it has started ends with it."""
    facts = {f"{PREFIX}{name}": value for name, value in (*message.facts, ("SUBJECT", message.subject))}
    try:
        process = subprocess.Popen(  # noqa: S603
            [*command, message.subject],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **facts},
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        raise _failed(command, f"it cannot be started ({type(e).__name__})") from None
    try:
        process.communicate(message.text, timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise _failed(command, f"it took longer than {seconds:g} s") from None
    if process.returncode:
        raise _failed(command, f"it ended with {process.returncode}")


def _end(process: subprocess.Popen[str]) -> None:
    """With all it has started, where the system knows how to say that."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failed(command: Sequence[str], why: str) -> SideError:
    return SideError(
        f"The command of the alarm failed: {why}.",
        where="[alarm] command",
        fix=f'Try it: "syncengine alarm test" runs {command[0]!r} in the same way.',
    )
