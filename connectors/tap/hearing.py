"""What a paging terminal says, found in a stream of bytes that may be cut anywhere.

A terminal mixes words for people with control characters: `110 1.8<CR>` announces, `211 Page accepted<CR><ACK><CR>`
answers. CR, LF, CRLF and LFCR end a line alike, because an empty line says nothing. A prompt `ID=` needs no line of its
own and no end. Words gather until a control character gives them their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from connectors.tap.blocks import ACK, CR, EOT, ESC, GARBAGE, LF, NAK, RS

MOST_LINE, MOST_LINES = 500, 20
"""Characters, and lines, that are kept between two answers: a terminal that never stops talking costs nothing."""
_PROMPT = b"ID="
_GO = b"[p"
_LAST_ASCII = 0x7F
_CODE_DIGITS = 3
_HUNG_UP = frozenset({"NO CARRIER"})
"""What a modem says, in the middle of all, when the call has ended."""


class Heard(Enum):
    """What a terminal can say, and what can happen instead."""

    PROMPT = auto()  # ID=
    ACK = auto()
    NAK = auto()
    RS = auto()
    GO = auto()  # ESC [p
    GOODBYE = auto()  # ESC EOT
    TIMEOUT = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True)
class Said:
    """One answer with the words that led to it. code: of the last line that has one; 0 for none."""

    heard: Heard
    code: int = 0
    text: str = ""


_SINGLE = {ACK: Heard.ACK, NAK: Heard.NAK, RS: Heard.RS}


class Ear:
    """Bytes in, answers out. What is not complete waits for the next bytes."""

    def __init__(self) -> None:
        self._line, self._lines = bytearray(), list[str]()
        self._escape = b""  # the beginning of an escape sequence, ESC included

    def hear(self, data: bytes) -> Iterator[Said]:
        """7-bit characters; others, as those with wrong parity, spoil what they stand in and say nothing."""
        for value in data:
            heard = self._in_escape(value) if self._escape else self._plain(value)
            if heard is not None:
                yield self.said(heard)

    def said(self, heard: Heard) -> Said:
        """That, with the words that came before it."""
        self._end_line()
        lines, self._lines = self._lines, []
        codes = [int(line[:_CODE_DIGITS]) for line in lines if _has_code(line)]
        return Said(heard, codes[-1] if codes else 0, " / ".join(lines))

    def _in_escape(self, value: int) -> Heard | None:
        begun, self._escape = self._escape, b""
        if begun == bytes([ESC]) and value == EOT:
            return Heard.GOODBYE
        sequence = begun[1:] + bytes([value])
        if sequence == _GO:
            return Heard.GO
        if _GO.startswith(sequence):
            self._escape = begun + bytes([value])
            return None
        return self._plain(value)

    def _plain(self, value: int) -> Heard | None:
        if value in _SINGLE:
            return _SINGLE[value]
        if value == ESC:
            self._escape = bytes([ESC])
        elif value in (CR, LF):
            return Heard.LOST if self._end_line() in _HUNG_UP else None
        else:
            self._line.append(value if value <= _LAST_ASCII else GARBAGE)
            if self._line.endswith(_PROMPT):
                del self._line[-len(_PROMPT) :]
                return Heard.PROMPT
            del self._line[:-MOST_LINE]
        return None

    def _end_line(self) -> str:
        line = self._line.decode("ascii", "replace").replace("\ufffd", "?")
        text = "".join(c for c in line if c.isprintable()).strip()
        self._line.clear()
        if text and len(self._lines) < MOST_LINES:
            self._lines.append(text)
        return text


def _has_code(line: str) -> bool:
    return line[:_CODE_DIGITS].isdecimal() and len(line) >= _CODE_DIGITS and not line[_CODE_DIGITS:][:1].isdecimal()
