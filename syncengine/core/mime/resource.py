"""A message's bytes → the text of its resource: what every connector that reads mail does alike.

`envelope` says what the text holds. A message without a Message-ID is told by what it says, so all of it is read, up to
MOST_WHOLE bytes; of every other one the header block is enough.
"""

from __future__ import annotations

import re
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
MOST_BODY = MOST_WHOLE - 2 * MOST_HEAD
"""Bytes of its body that are looked at; less than what is read, as heads differ in length."""
MOST_LINES = 1_000_000
"""Lines of its body, divided by its parts: what takes a message apart needs time for both."""
MOST_BOUNDARIES = 20_000
MOST_HEAD_LINES = 20_000

_END_OF_HEAD = re.compile(rb"(?:\A|\n)\r?\n")


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
        return key_of(message_from_bytes(_bounded(message))).key or ""
    except RecursionError:  # parts within parts within parts: the library goes as deep as they say
        return ""


def _bounded(message: bytes) -> bytes:
    """As much of a message as is worth taking apart. It is cut in the body, counted from its own beginning: so two
    copies of one message stay alike, whatever mail systems wrote on top."""
    end = match.start() if (match := _END_OF_HEAD.search(message)) else len(message)
    body = message[end : end + MOST_BODY]
    lines = MOST_LINES // (1 + body.lower().count(b"content-type"))  # each line is held against all open parts
    return _until(message[:end], b"\n", MOST_HEAD_LINES) + _until(_until(body, b"\n", lines), b"\n--", MOST_BOUNDARIES)


def _until(text: bytes, mark: bytes, count: int) -> bytes:
    """All before the mark that comes after so many others."""
    at = -1
    for _ in range(count + 1):
        at = text.find(mark, at + 1)
        if at < 0:
            return text
    return text[:at]


def header_block(message: BinaryIO) -> bytes:
    """What comes before the first empty line. No more than that is read, and at most MOST_HEAD bytes."""
    lines, left = [], MOST_HEAD
    while (line := message.readline(left)).strip(b"\r\n"):
        lines.append(line)
        left -= len(line)
        if left <= 0:
            break
    return b"".join(lines)
