"""Letters handed to the sendmail command, as every mail system of Unix has it.

The command takes the message to be complete when its input ends, whoever ended it; so a message cut off by a crash of
ours would leave as half of one. `begun` is therefore called before the first byte, and what goes wrong on our side
afterwards kills the command, with all it started, before its input ends. It has one exit code for all recipients.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from typing import IO

from connectors.mail_sender import Mailing
from syncengine.core.outbound.replies import MOST_TEXT, all_alike
from syncengine.core.outbound.sysexits import MEANING
from syncengine.core.printable import one_line
from syncengine.errors import SideError
from syncengine.model.outbound import Reply, Verdict
from syncengine.model.profile import Offer

SECONDS = 300.0


class SendmailTransport:
    """command: the program, and its own first arguments where it needs any. seconds: that it may take."""

    def __init__(self, *command: str, seconds: float = SECONDS) -> None:
        self._command, self._seconds = command, seconds

    def ready(self) -> Offer:
        """What it will refuse is known only when it does. Raises SideError where there is no such program."""
        if not os.access(self._command[0], os.X_OK):
            raise self._failed("it cannot be run")
        return Offer(smtputf8=True, dsn=True, command=self._command[0])

    def deliver(self, mailing: Mailing, begun: Callable[[], None]) -> Mapping[str, Reply]:
        recipients = [m.address for m in mailing.recipients]
        notify = ["-N", ",".join(mailing.notify)] if mailing.notify else []
        words = [*self._command, "-i", *notify, "-f", mailing.letter.sender, "--", *recipients]
        begun()
        with tempfile.TemporaryFile() as said:
            process = self._started(words, said)
            try:
                cut_off = self._fed(process, mailing)
            except BaseException:
                _kill(process)
                raise
            said.seek(0)
            return all_alike(recipients, cut_off or self._judged(process.returncode, said.read(4096)))

    def close(self) -> None:
        """Nothing stays open between letters."""

    def _started(self, words: list[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except (OSError, ValueError) as e:
            raise self._failed(f"it cannot be started ({type(e).__name__})") from None

    def _fed(self, process: subprocess.Popen[bytes], mailing: Mailing) -> Reply | None:
        """Give it the message and wait for its end. None: its exit code says all there is to say."""
        late = Event()

        def end() -> None:
            late.set()
            _kill(process)

        watch = Timer(self._seconds, end)
        watch.start()
        try:
            complete = _poured(process, mailing)
            process.wait()
        finally:
            watch.cancel()
        if process.returncode >= 0 and not late.is_set():
            return None if complete or process.returncode else Reply(Verdict.LATER, 0, f"{self._name} did not read on")
        why = f"took longer than {self._seconds:g} s" if late.is_set() else f"was ended by signal {-process.returncode}"
        return Reply(Verdict.UNKNOWN if complete else Verdict.LATER, 0, f"{self._name} {why}")

    def _judged(self, code: int, said: bytes) -> Reply:
        """Raises SideError for what concerns all letters."""
        verdict, meaning = MEANING.get(code, (Verdict.LATER, f"it ended with {code}"))
        words = one_line(said.decode("utf-8", "replace")).strip()
        if verdict is Verdict.STOP:
            raise self._failed(f"{meaning}{f': {words[:MOST_TEXT]}' if words else ''}")
        return Reply(verdict, 0, f"{self._name}: {words or meaning}"[:MOST_TEXT])

    @property
    def _name(self) -> str:
        return Path(self._command[0]).name

    def _failed(self, why: str) -> SideError:
        return SideError(
            f"The command {self._command[0]} cannot be used: {why}.",
            where=" ".join(self._command),
            fix='Check smtp = "sendmail:…" in the profile, and the mail system of this machine.',
        )


def _poured(process: subprocess.Popen[bytes], mailing: Mailing) -> bool:
    """With the line ends of Unix. False: the command did not want all of it."""
    assert process.stdin is not None
    try:
        for piece in mailing.letter.pieces():
            process.stdin.write(piece.replace(b"\r\n", b"\n"))
        process.stdin.close()
    except OSError:
        with suppress(OSError):
            process.stdin.close()
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all it has started, so that nobody takes the end of its input for the end of the message."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
