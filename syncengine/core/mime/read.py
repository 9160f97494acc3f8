"""The header block of a message (`core.mime.envelope`) → `Item`. Never raises: mail holds anything.

Each header is read by itself; one that says nothing usable is as if it were not there. Of headers that may stand only
once and stand several times, the first counts; several From, To, Cc or Bcc are read as one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime

from syncengine.core.mime.envelope import KEY, RECEIVED, SIZE
from syncengine.core.mime.message_id import ID_HEADERS, parse
from syncengine.core.mime.text import decoded, legible, one_line
from syncengine.model.directory import canonical_address
from syncengine.model.item import Item, PimValue
from syncengine.model.pim import Kind

MOST_ADDRESSES = 1000
"""Of one header: who writes to more writes to a list."""
_LONGEST_LINE = 60_000
_LONGEST_DATE = 200
_LONGEST_ADDRESS = 320  # RFC 5321 4.5.3.1
_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_BLANKS = re.compile(r"\s")

_SENDER, _RECIPIENTS = "from", ("to", "cc", "bcc")
PEOPLE = (_SENDER, *_RECIPIENTS)
"""Properties that hold addresses, in the order in which contacts are looked for (OWN-7)."""


def read_message(text: str) -> Item:
    """`uid` is the message's key (MID-1), empty where it has none. Values, each only where the header says something:

    * `from`, `to`, `cc`, `bcc`: canonical addresses as written, each once. `from-name`: the first sender's name.
    * `subject`, `message-id`: text. `date`: when it was sent, else received, in UTC.
    * `importance`: asap, high, normal or low. `sensitivity`: what the sender asks, in lower case. `size`: bytes."""
    headers = fields(text)
    values: dict[str, PimValue] = {name: _addresses(headers.get(name, ())) for name in PEOPLE}
    values["from-name"] = _name(headers.get(_SENDER, ()))
    values["subject"] = _line(headers, "subject")
    values["message-id"] = _line(headers, "message-id")
    values["date"] = _date(_raw(headers, "date")) or _received(_raw(headers, RECEIVED))
    values["importance"] = _importance(headers)
    values["sensitivity"] = _line(headers, "sensitivity").lower()
    values["size"] = _size(_raw(headers, SIZE))
    return Item(Kind.EMAIL, _key(headers), {name: value for name, value in values.items() if value})


def fields(block: str) -> dict[str, list[str]]:
    """A header block's fields by lower-case name, unfolded but not decoded, in their order."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    name = ""
    for line in [*block.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line[:1] in (" ", "\t") and current is not None:
            current.append(line)
            continue
        if current is not None:
            found.setdefault(name, []).append("".join(current)[:_LONGEST_LINE])
            current = None
        if match := _FIELD.fullmatch(line):
            name, current = match[1].lower(), [match[2]]
        elif not line:
            break
    return found


def _raw(headers: Mapping[str, list[str]], name: str) -> str:
    return next(iter(headers.get(name.lower(), ())), "").strip()


def _line(headers: Mapping[str, list[str]], name: str) -> str:
    return one_line(decoded(legible(_raw(headers, name))))


def _key(headers: Mapping[str, list[str]]) -> str:
    keys = (parse(value).key for name in ID_HEADERS for value in headers.get(name, ()))
    return next((key for key in keys if key), None) or _raw(headers, KEY)


def _pairs(values: list[str] | tuple[str, ...]) -> list[tuple[str, str]]:
    """(display name, address) of header values. The names may be encoded, and an encoded word may hold a comma, so the
    structure is read first (RFC 2047 6.2)."""
    text = ", ".join(legible(value) for value in values)[:_LONGEST_LINE]
    try:
        return getaddresses([_without_groups(text)], strict=False)
    except TypeError:  # a Python that does not know the argument
        return _lenient(text)
    except Exception:  # the library stumbles over some damage
        return []


def _lenient(text: str) -> list[tuple[str, str]]:
    try:
        return getaddresses([_without_groups(text)])
    except Exception:
        return []


_GROUP = re.compile(r'(?:^|[,;])\s*+(?:"[^"]*"|[^",:;<>@()]*+):')


def _without_groups(text: str) -> str:
    """`Team: a@x, b@x;` as its members (RFC 5322 3.4)."""
    return _GROUP.sub(",", text).replace(";", ",") if ":" in text or ";" in text else text


def _addresses(values: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for _, written in _pairs(values):
        address = _BLANKS.sub("", canonical_address(written))
        if "@" in address.strip("@") and len(address) <= _LONGEST_ADDRESS:
            found[address] = None
            if len(found) == MOST_ADDRESSES:
                break
    return tuple(found)


def _name(values: list[str] | tuple[str, ...]) -> str:
    pairs = _pairs(values)
    return one_line(decoded(pairs[0][0])) if pairs else ""


def _date(text: str) -> datetime | None:
    """A date without a zone, or with the zone nobody knows (-0000), is UTC (RFC 5322 3.3)."""
    try:
        moment = parsedate_to_datetime(one_line(text)[:_LONGEST_DATE])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except Exception:  # the library tells of ValueError alone, strange dates raise others, too
        return None


def _received(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_WORDS = {"asap": "asap", "high": "high", "normal": "normal", "low": "low"}
_X_PRIORITY = {"1": "asap", "2": "high", "3": "normal", "4": "low", "5": "low"}
_PRIORITY = {"urgent": "high", "normal": "normal", "non-urgent": "low"}
_IMPORTANCE: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("importance", _WORDS),
    ("x-msmail-priority", _WORDS),
    ("x-priority", _X_PRIORITY),
    ("priority", _PRIORITY),
)
"""Which header tells, the first that does. Outlook writes all of them, and `X-Priority: 1` for a plain *high*; alone,
that is the highest there is."""


def _importance(headers: Mapping[str, list[str]]) -> str:
    for name, words in _IMPORTANCE:
        said = _line(headers, name).lower().split(" ")[0]
        if word := words.get(said):
            return word
    return ""


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
