"""A page as TAP blocks: checksum, escapes, splitting (TAP 1.8), and even parity done by hand.

A block is STX, at most 250 characters of information, a terminator, three characters of checksum, CR: 256 in all. Each
field ends with CR. The terminator says how it goes on: ETX not at all, ETB with the next field, US inside the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

STX, ETX, EOT, ACK, CR, NAK, ETB, SUB, ESC, RS, US = b"\x02\x03\x04\x06\x0d\x15\x17\x1a\x1b\x1e\x1f"
LF = 0x0A
INFORMATION = 250
_ESCAPED = frozenset({CR, LF, ESC, STX, ETX, US, ETB, EOT, SUB})
_SPACE = 0x20
_FIRST_PRINTABLE, _DELETE = 0x20, 0x7F
GARBAGE = 0xFF
"""Stands for a character that came with the wrong parity. No character of TAP has the eighth bit."""


def checksum(block: Sequence[int]) -> bytes:
    """Of what goes from STX through the terminator: the low twelve bits of the sum of the 7-bit values, four at a
    time, high ones first, each as the character 0x30 and more."""
    total = sum(value & 0x7F for value in block)
    return bytes(0x30 + (total >> shift & 0xF) for shift in (8, 4, 0))


def blocks(fields: Sequence[str], *, escapes: bool) -> list[bytes]:
    """The fields of one page, ready to be sent. escapes: control characters become SUB and another one, or else spaces.
    Raises ValueError for a character TAP has no place for (not ASCII)."""
    parts = [bytearray()]
    for unit in _units(fields, escapes=escapes):
        if len(parts[-1]) + len(unit) > INFORMATION:
            parts.append(bytearray())
        parts[-1] += unit
    last = len(parts) - 1
    return [_framed(bytes(part), _terminator(part, last=number == last)) for number, part in enumerate(parts)]


def _terminator(information: Sequence[int], *, last: bool) -> int:
    if last:
        return ETX
    return ETB if information[-1] == CR else US  # an escaped CR is no CR


def _framed(information: bytes, terminator: int) -> bytes:
    block = bytes([STX, *information, terminator])
    return block + checksum(block) + bytes([CR])


def _units(fields: Sequence[str], *, escapes: bool) -> Iterator[bytes]:
    """What stands together in one block."""
    for field in fields:
        for value in field.encode("ascii"):
            if value in _ESCAPED and escapes:
                yield bytes([SUB, value + 0x40])
            else:
                yield bytes([value if _FIRST_PRINTABLE <= value < _DELETE else _SPACE])
        yield bytes([CR])


def with_even_parity(data: bytes) -> bytes:
    """The eighth bit makes the number of ones even."""
    return bytes(value & 0x7F | (value & 0x7F).bit_count() % 2 << 7 for value in data)


def without_parity(data: bytes) -> bytes:
    """What came with even parity, as 7-bit characters; GARBAGE for each that came with odd parity."""
    return bytes(GARBAGE if value.bit_count() % 2 else value & 0x7F for value in data)
