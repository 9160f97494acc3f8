"""A paging terminal behind a modem on a pseudo-terminal, written from the description of TAP 1.8 alone.

`Terminal` is the far end: bytes in, bytes out, with its answers given beforehand. `Exchange` is the modem and the line
to it, on a pseudo-terminal whose name a serial port can be opened by. A pseudo-terminal has eight bits and no parity,
so parity is counted here, bit by bit.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

ACK, NAK, RS = b"\x06\r", b"\x15\r", b"\x1e\r"
GO, GOODBYE = b"\x1b[p\r", b"\x1b\x04\r"
PROMPT = b"ID="
SILENCE = b""


def sum_of(text: bytes) -> bytes:
    """The checksum, as somebody would do it on paper."""
    total = 0
    for character in text:
        total += character % 128
    total %= 4096
    return bytes([48 + total // 256, 48 + total // 16 % 16, 48 + total % 16])


def ones(value: int) -> int:
    return format(value, "b").count("1")


def evened(text: bytes) -> bytes:
    return bytes(c if ones(c) % 2 == 0 else c + 128 for c in text)


class Terminal:
    """opening: what it says as soon as it is called. prompts: its answers to a lone CR. logons: to what follows ESC.
    answers: to blocks; where there is none left, ACK or, where the checksum is wrong, NAK. ending: to EOT."""

    def __init__(
        self,
        *,
        opening: bytes = b"",
        prompts: Sequence[bytes] = (PROMPT,),
        logons: Sequence[bytes] = (ACK + GO,),
        answers: Sequence[bytes] = (),
        ending: bytes = GOODBYE,
    ) -> None:
        self.opening, self.ending = opening, ending
        self._prompts, self._logons, self._answers = list(prompts), list(logons), list(answers)
        self._at, self._got, self._wanted = "called", b"", 0
        self._parts: list[bytes] = []
        self.crs = 0
        self.logons: list[bytes] = []
        self.blocks: list[bytes] = []
        self.pages: list[list[bytes]] = []

    def hear(self, data: bytes) -> bytes:
        return b"".join(self._character(bytes([c])) for c in data)

    def _character(self, c: bytes) -> bytes:
        self._got += c
        if self._got[:1] == b"\x02":
            return self._block(c)
        if c != b"\r":
            return b""
        line, self._got = self._got[:-1], b""
        if line == b"":
            self.crs += 1
            return self._prompts.pop(0) if self._prompts else SILENCE
        if line == b"\x04":
            return self.ending
        if line.startswith(b"\x1b"):
            self.logons.append(line)
            return self._logons.pop(0) if self._logons else SILENCE
        return b""

    def _block(self, c: bytes) -> bytes:
        if self._wanted == 0:
            if c in (b"\x03", b"\x17", b"\x1f"):
                self._wanted = 4
            return b""
        self._wanted -= 1
        if self._wanted:
            return b""
        block, self._got = self._got, b""
        self.blocks.append(block)
        text, given, end = block[:-4], block[-4:-1], block[-1:]
        right = given == sum_of(text) and end == b"\r" and len(block) <= 256
        answer = self._answers.pop(0) if self._answers else (ACK if right else NAK)
        if right and b"\x06" in answer:
            self._take(text)
        elif b"\x15" not in answer:
            self._parts = []
        return answer

    def _take(self, text: bytes) -> None:
        self._parts.append(text[1:-1])
        if text[-1:] == b"\x03":
            whole, self._parts = b"".join(self._parts), []
            fields = whole.split(b"\r")
            assert fields.pop() == b"", "every field ends with CR"
            self.pages.append([unescaped(field) for field in fields])


def unescaped(field: bytes) -> bytes:
    found, escaped = b"", False
    for c in field:
        if escaped:
            found, escaped = found + bytes([c - 64]), False
        elif c == 26:
            escaped = True
        else:
            found += bytes([c])
    assert not escaped, "a pair was split"
    return found


class Exchange:
    """A modem, and whom it reaches: `terminals` one after the other, one for each call. results: what the modem says
    to each dialling, where that is not CONNECT; `None` says nothing. spoil: positions, among all characters sent in
    calls, that arrive with the wrong parity. cut: how many bytes go out at once; 0 for all.

    `commands` has what the modem was told; `gone` takes the modem away."""

    def __init__(
        self,
        *terminals: Terminal,
        results: Iterable[str | None] = (),
        keys: Iterable[str | None] = (),
        deaf: bool = False,
        even: bool = True,
        echo: bool = False,
        spoil: Iterable[int] = (),
        cut: int = 0,
    ) -> None:
        self._terminals, self._results, self._keys = list(terminals), list(results), list(keys)
        self.deaf, self.even, self._echo, self._cut = deaf, even, echo, cut
        self._spoil, self._said = frozenset(spoil), 0
        self.commands: list[str] = []
        self.parity_errors = 0
        self.on_block: Callable[[Terminal], None] = lambda _: None
        self._line: Terminal | None = None
        self._typed, self._quiet, self._ringing = b"", True, False
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._open = True

    def __enter__(self) -> Exchange:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone()

    def gone(self) -> None:
        """Pull the plug."""
        if self._open:
            self._open = False
            with suppress(OSError):  # what ended the thread is told by itself
                os.write(self._stopped, b"x")
            if threading.current_thread() is not self._thread:
                self._thread.join(10)

    @property
    def dialled(self) -> list[str]:
        return [c.removeprefix("ATDT") for c in self.commands if c.startswith("ATDT")]

    @property
    def idle(self) -> bool:
        """No call is under way, and all was said of the last one."""
        return self._line is None and self._quiet

    def _serve(self) -> None:
        try:
            while self._open:
                ready, _, _ = select.select([self._master, self._stop], [], [])
                if self._stop in ready or not self._open:
                    break
                self._hear(os.read(self._master, 4096))
        except OSError:
            if self._open:  # nobody pulled the plug
                raise
        finally:
            for file in (self._master, self._slave, self._stop, self._stopped):
                with suppress(OSError):
                    os.close(file)

    def _hear(self, raw: bytes) -> None:
        for value in raw:
            if self.even and ones(value) % 2:
                self.parity_errors += 1
                continue
            c = bytes([value % 128 if self.even else value])
            if self._line is None:
                self._key(c)
            else:
                self._online(self._line, c)

    def _online(self, terminal: Terminal, c: bytes) -> None:
        self._typed = (self._typed + c)[-3:]
        if self._typed == b"+++":
            self._line, self._typed = None, b""
            self._say("OK")
            return
        before = len(terminal.blocks)
        answer = terminal.hear(c)
        if len(terminal.blocks) > before:
            self.on_block(terminal)
            if not self._open:
                raise OSError
        self._write(answer, call=True)
        if GOODBYE in answer:
            self._line, self._typed = None, b""
            self._say("NO CARRIER")
            self._quiet = True

    def _key(self, c: bytes) -> None:
        if self._echo:
            self._write(c)
        if c != b"\r":
            self._typed += c
            return
        typed, self._typed = self._typed.decode("ascii"), b""
        command = typed.removeprefix("+++")  # a modem waits for AT
        self.commands.append(command)
        if self.deaf:
            return
        if self._ringing:  # any character ends it
            self._ringing = False
            self._say("NO CARRIER")
            return
        if command.startswith("ATX1DT"):
            self._say(self._keys.pop(0) if self._keys else "OK")
        elif command.startswith("ATDT"):
            self._dial(command)
        elif command.startswith("AT"):
            self._say("OK")

    def _dial(self, command: str) -> None:
        otherwise = "OK" if command.endswith(";") else "CONNECT 1200/NONE"
        result = self._results.pop(0) if self._results else otherwise
        self._ringing = result is None
        if result is None or not result.startswith("CONNECT"):
            self._say(result)
            return
        self._line, self._quiet = self._terminals.pop(0), False
        self._write(f"\r\n{result}\r\n".encode() + b"")
        self._write(self._line.opening, call=True)

    def _say(self, result: str | None) -> None:
        if result is not None:
            self._write(f"\r\n{result}\r\n".encode())

    def _write(self, text: bytes, *, call: bool = False) -> None:
        out = evened(text) if self.even else text
        if call:
            out = bytes(c ^ 128 if self._said + n in self._spoil else c for n, c in enumerate(out))
            self._said += len(out)
        size = self._cut or max(len(out), 1)
        for start in range(0, len(out), size):
            os.write(self._master, out[start : start + size])
