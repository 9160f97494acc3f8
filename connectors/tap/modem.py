"""A Hayes compatible modem on a serial port: commands, dialling, key presses (PAG-1).

What the modem says is words on lines (`V1`), perhaps with an echo of the command; whatever is no result of what was
asked is passed over. After CONNECT every byte belongs to the far end, and none is thrown away: its prompt may come at
once.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Mapping
from enum import Enum

import serial

from connectors.tap.blocks import with_even_parity, without_parity
from syncengine.errors import SideError, Unreachable
from syncengine.model.paging import Line, ModemSettings


class Result(Enum):
    """What became of a command. NOTHING: no answer in time."""

    OK = "OK"
    CONNECT = "CONNECT"
    BUSY = "BUSY"
    NO_CARRIER = "NO CARRIER"
    NO_ANSWER = "NO ANSWER"
    NO_DIALTONE = "NO DIALTONE"
    ERROR = "ERROR"
    NOTHING = ""


_RESULTS: Mapping[str, Result] = {
    **{result.value: result for result in Result if result.value},
    "NO DIAL TONE": Result.NO_DIALTONE,
    "VOICE": Result.NO_CARRIER,  # somebody answered, and no modem
}
_ANY = frozenset(Result) - {Result.NOTHING}
_OF_CALLS = _ANY - {Result.OK}
_OF_COMMANDS = frozenset({Result.OK, Result.ERROR})
"""What may be the answer. Others come late, from what was before: a NO CARRIER after ATH, an OK after +++."""
_CONNECT = re.compile("CONNECT( [0-9A-Z/ .:+-]*)?")
_LINE_END = re.compile(rb"[\r\n]")
try:
    from termios import error as _termios_error
except ImportError:  # there is none on Windows
    _termios_error = OSError  # type: ignore[assignment,misc]
_GONE = (OSError, TypeError, _termios_error)
"""What pyserial raises when a port goes away; TypeError where it was closed beneath it."""
_READ, _MOST = 256, 4096
_LEAST_WAIT, _LOOK_AGAIN = 0.001, 0.5
_IN_USE = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY})


class Modem:
    """Opens the port and prepares the modem at once. pause: waits so many seconds; now: seconds of a clock that only
    goes forward. Raises Unreachable where there is no modem, it is in use, or does not answer."""

    def __init__(
        self,
        settings: ModemSettings,
        *,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self.now, self._pause = settings, now, pause
        self._here = settings.line is Line.SEVEN_EVEN_HERE
        self._kept = b""  # read, and not used yet
        self._port = self._opened()
        try:
            self._prepare()
        except BaseException:
            self._port.close()
            raise

    def _opened(self) -> serial.SerialBase:
        """Another batch of ours may have the modem, and will be done soon."""
        end = self.now() + self._settings.call
        while True:
            try:
                return self._port_opened()
            except (*_GONE, ValueError) as e:
                if getattr(e, "errno", None) not in _IN_USE or self.now() >= end:
                    raise Unreachable(
                        f"The modem cannot be used: {_words(e)}.",
                        where=f"modem port {self._settings.port}",
                        fix="Connect it, or correct modem_port in [[pager]]; the pages wait.",
                    ) from e
                self._pause(_LOOK_AGAIN)

    def _port_opened(self) -> serial.SerialBase:
        even = self._settings.line is Line.SEVEN_EVEN
        # Everything at once: a port that refuses one setting may refuse all later ones.
        return serial.serial_for_url(
            self._settings.port,
            baudrate=self._settings.speed,
            bytesize=serial.SEVENBITS if even else serial.EIGHTBITS,
            parity=serial.PARITY_EVEN if even else serial.PARITY_NONE,
            stopbits=serial.STOPBITS_ONE,
            xonxoff=True,
            timeout=self._settings.answer,
            write_timeout=self._settings.call,
            exclusive=True if "://" not in self._settings.port else None,
        )

    def _prepare(self) -> None:
        for command in (self._settings.reset, self._settings.init):
            if command and (result := self.command(command)) is not Result.OK:
                raise self.trouble(
                    "does not answer" if result is Result.NOTHING else f"answered {result.value} to {command}"
                )

    # --- commands ---

    def command(self, text: str) -> Result:
        """Give a command, and wait for its result. Raises Unreachable where the modem is gone."""
        return self._command(text, self._settings.answer, _OF_COMMANDS)

    def _command(self, text: str, seconds: float, results: frozenset[Result]) -> Result:
        self._forget()
        self.write(text.encode("ascii") + b"\r")
        return self._result(seconds, results)

    def _forget(self) -> None:
        """What is left of an earlier command or call, such as a late NO CARRIER."""
        self._kept = b""
        try:
            self._port.reset_input_buffer()
        except _GONE as e:
            raise self.trouble(f"is gone ({_words(e)})") from e

    def dial(self, number: str) -> Result:
        """Call a far modem. What is read after CONNECT is the call's."""
        result = self._command(self._settings.dial + number, self._settings.call, _OF_CALLS)
        if result is Result.NOTHING:
            self.write(b"\r")  # any character ends the attempt
            self._result(self._settings.answer, _ANY)
        return result

    def call(self, number: str) -> Result:
        """Dial, and stay in command mode; OK once that is done."""
        return self._command(f"{self._settings.dial}{number};", self._settings.call, _ANY)

    def press(self, keys: str) -> Result:
        return self._command(f"{self._settings.keys}{keys};", self._settings.call, _ANY)

    def wait(self, seconds: float) -> None:
        self._pause(seconds)

    def answers(self) -> bool:
        return self.command("AT") is Result.OK

    def hang_up(self, *, online: bool) -> None:
        """End a call. online: in one that was connected, the modem is brought back to commands first."""
        if online:
            self._pause(self._settings.guard)
            self.write(b"+++")
            self._pause(self._settings.guard)
            self._result(self._settings.answer, _ANY)  # OK, or NO CARRIER where the far end was quicker
        self.command(self._settings.hangup)

    def close(self) -> None:
        """Restore the modem's settings, as far as it is still there."""
        try:
            if self._settings.restore:
                self.command(self._settings.restore)
        except SideError:
            pass
        finally:
            self._port.close()

    def trouble(self, what: str) -> Unreachable:
        return Unreachable(
            f"The modem {what}.",
            where=f"modem port {self._settings.port}",
            fix="Look at the modem, its line and its commands in [[pager]]; the pages wait.",
        )

    # --- bytes ---

    def read(self, seconds: float) -> bytes:
        """What has come, as soon as anything has; nothing after so many seconds. Raises Unreachable."""
        if self._kept:
            found, self._kept = self._kept, b""
            return found
        try:
            self._port.timeout = max(seconds, _LEAST_WAIT)
            first = self._port.read(1)
            raw = first + self._port.read(min(self._port.in_waiting, _READ)) if first else first
        except _GONE as e:
            raise self.trouble(f"is gone ({_words(e)})") from e
        return without_parity(raw) if self._here else bytes(raw)

    def write(self, data: bytes) -> None:
        """Returns when it has gone out. Raises Unreachable."""
        try:
            self._port.write(with_even_parity(data) if self._here else data)
            self._port.flush()
        except _GONE as e:
            raise self.trouble(f"is gone ({_words(e)})") from e

    def _result(self, seconds: float, results: frozenset[Result]) -> Result:
        """The next of these results; what comes after its line is kept for `read`."""
        end, heard = self.now() + seconds, b""
        while (left := end - self.now()) > 0:
            heard = (heard + self.read(left))[-_MOST:]
            while cut := _LINE_END.search(heard):
                line, heard = heard[: cut.start()], heard[cut.end() :]
                if (result := _known(line)) in results:
                    self._kept = heard
                    return result
        return Result.NOTHING


def _known(line: bytes) -> Result:
    text = line.decode("ascii", "replace").strip().upper()
    return Result.CONNECT if _CONNECT.fullmatch(text) else _RESULTS.get(text, Result.NOTHING)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
