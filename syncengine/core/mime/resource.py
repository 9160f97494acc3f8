"""A message's bytes → the text of its resource: what every connector that reads mail does alike.

`envelope` says what the text holds. A message without a Message-ID is told by what it says, so all of it is read, up to
MOST_WHOLE bytes; of every other one the header block is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes
from typing import BinaryIO

from syncengine.core.mime.envelope import MOST, envelope
from syncengine.core.mime.message_id import ID_HEADERS, key_of, parse

MOST_HEAD = 256 * 1024
"""Bytes of a message in which its header block must end; what comes after is not read."""
MOST_WHOLE = 10_000_000
"""Bytes of a message without an id that are read to tell which one it is."""


def text_of(head: bytes, *, received: datetime | None, size: int, whole: Callable[[int], bytes]) -> str:
    """The text for a header block. `whole`: asked for the first bytes of the message, at most so many."""
    return envelope(
        head, received=received, size=size, key="" if names_itself(head) else content_key(whole(MOST_WHOLE))
    )


def names_itself(head: bytes) -> bool:
    """Whether the part of a header block that is kept holds an id."""
    fields = message_from_bytes(head[:MOST].replace(b"\0", b"") + b"\n\n").raw_items()
    return any(parse(str(value)).key for name, value in fields if name.lower() in ID_HEADERS)


def content_key(message: bytes) -> str:
    """Its key, empty for a message that says nothing or that nobody can take apart."""
    try:
        return key_of(message_from_bytes(message)).key or ""
    except RecursionError:  # parts within parts within parts: the library goes as deep as they say
        return ""


def header_block(message: BinaryIO) -> bytes:
    """What comes before the first empty line. No more than that is read, and at most MOST_HEAD bytes."""
    lines, left = [], MOST_HEAD
    while (line := message.readline(left)).strip(b"\r\n"):
        lines.append(line)
        left -= len(line)
        if left <= 0:
            break
    return b"".join(lines)
