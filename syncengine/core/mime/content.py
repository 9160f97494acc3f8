"""Which message it is, told from what it says: for mail without a usable Message-ID (MID-4).

Only what two copies of one message share is looked at: sender, date, subject, recipients, text, attachments. Not what
mail systems write on top (Received, Return-Path, X-…), nor how they spell it: folding, encodings, line ends, time zone,
display names. A list that adds a footer makes another text, and nothing here can know that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TypeVar

from syncengine.core.mime.text import composed, decoded, in_charset, legible, one_line

T = TypeVar("T")
MOST_PARTS = 1000
MOST_CONTENT = 10_000_000
"""Bytes of content that are read, over all parts. What comes after does not count: a key must not cost the machine."""

_SHARED = ("from", "date", "subject", "to", "cc")
_BETWEEN_ADDRESSES = re.compile(r"[\s<>()\",;:]+")
_LONGEST_DATE = 200


def content_key(message: Message) -> str | None:
    """`content:` and 32 hex digits, None for a message that says nothing at all. Never raises."""
    headers: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        headers.setdefault(name.lower(), []).append(str(value))
    sender, sent, subject, to, cc = (", ".join(headers.get(name, ())) for name in _SHARED)
    said = [
        " ".join(_addresses(sender)) or _words(sender),  # a machine may sign without an address
        _instant(sent),
        _words(subject),
        " ".join(_addresses(to)),
        " ".join(_addresses(cc)),
        *_contents(message),
    ]
    return "content:" + _digest(json.dumps(said).encode())[:32] if any(said) else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _words(value: str) -> str:
    return composed(one_line(decoded(legible(value))))


def _addresses(value: str) -> list[str]:
    """The addresses of a header, in lower case, each once, in order."""
    pieces = _BETWEEN_ADDRESSES.split(legible(value).lower())
    return sorted({piece for piece in pieces if "@" in piece})


def _instant(value: str) -> str:
    """The same instant in every time zone; what is no date counts as it is written."""
    text = one_line(legible(value))[:_LONGEST_DATE]
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except Exception:  # the library tells of ValueError alone, strange dates raise others, too
        return text


def _contents(message: Message) -> list[str]:
    """A digest of each part that says something, in order. Of an attached message its headers are content, too."""
    found: list[str] = []
    waiting, left = [(message, False)], MOST_CONTENT
    for _ in range(MOST_PARTS):
        if not waiting or left <= 0:
            break
        part, attached = waiting.pop()
        if attached:
            found.append(_digest(json.dumps([[name.lower(), _words(str(v))] for name, v in part.raw_items()]).encode()))
        if inner := _inner(part):
            waiting += [(one, _main_type(part) == "message") for one in reversed(inner)]
        elif content := _content(part, left):
            found.append(_digest(content))
            left -= len(content)
    return found


def _inner(part: Message) -> list[Message]:
    payload: object = part.get_payload() if part.is_multipart() else None
    several = payload[:MOST_PARTS] if isinstance(payload, list) else []
    return [one for one in several if isinstance(one, Message)]


def _content(part: Message, most: int) -> bytes:
    """What a part says: of a text its characters, whatever they were sent in, else its bytes."""
    payload = _asked(lambda: part.get_payload(decode=True), None)
    octets = payload[:most] if isinstance(payload, bytes) else b""
    if _main_type(part) not in ("text", "multipart"):
        return octets
    charset = _asked(part.get_content_charset, None)
    return _even(in_charset(octets, charset or "utf-8")).encode("utf-8", "surrogatepass")


def _main_type(part: Message) -> str:
    return _asked(part.get_content_maintype, "text")


def _asked(question: Callable[[], T], otherwise: T) -> T:
    """An answer of the mail library, which reads headers anew for each question and raises whatever their damage makes
    it stumble over."""
    try:
        return question()
    except Exception:
        return otherwise


def _even(text: str) -> str:
    """Without what transport changes: line ends, blanks at their ends, empty lines at the end."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")
