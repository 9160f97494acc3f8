"""What was seen of a folder, as a token between two runs, and what to ask the server because of it. No I/O.

An href is `FOLDER/UIDVALIDITY/UID`: the only name of a message that never means another one (RFC 9051 2.3.1.1).
The folder is percent-encoded, so that a slash in its name is none of the href's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import quote, unquote

MOST = 2**32 - 1
"""The largest UID and UIDVALIDITY (RFC 9051 9)."""
_HREF = re.compile(r"([^/]+)/([0-9]{1,10})/([0-9]{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Name:
    """A message's name, taken apart."""

    folder: str
    validity: int
    uid: int


def href(folder: str, validity: int, uid: int) -> str:
    return f"{quote(folder, safe='')}/{validity}/{uid}"


def split(text: str) -> Name | None:
    """What an href names, None when it is not one of ours."""
    if not (match := _HREF.fullmatch(text)):
        return None
    name = Name(unquote(match[1]), int(match[2]), int(match[3]))
    return name if 0 < name.uid <= MOST and href(name.folder, name.validity, name.uid) == text else None


@dataclass(frozen=True, slots=True)
class Status:
    """A folder's STATUS. `modseq`: of its newest change, None where the server numbers none (RFC 7162)."""

    validity: int
    next: int
    count: int
    modseq: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder at the end of a listing: its status from before, and the messages that have been told of."""

    status: Status
    uids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Token:
    """What `changes` gives to be handed in again. `since`: the window it was made with, in days."""

    since: int | None
    folders: Mapping[str, Seen]


class Ask(Enum):
    """What is to be asked about a folder."""

    NOTHING = auto()
    """It is as it was."""
    NEWS = auto()
    """What has arrived, and whose flags have changed; as long as that explains the number of messages."""
    ALL = auto()
    """Which messages there are."""


def ask(seen: Seen | None, now: Status, *, same_window: bool) -> Ask:
    if seen is None or seen.status.validity != now.validity or not same_window:
        return Ask.ALL
    if seen.status == now:
        return Ask.NOTHING
    backwards = now.next < seen.status.next or (seen.status.modseq or 0) > (now.modseq or MOST**2)
    lost = seen.status.next == now.next and seen.status.count != now.count
    return Ask.ALL if backwards or lost else Ask.NEWS


# --- tokens as text --------------------------------------------------------------------------------------------------


def write(token: Token) -> str:
    folders = {
        name: {
            "validity": seen.status.validity,
            "next": seen.status.next,
            "count": seen.status.count,
            "modseq": seen.status.modseq,
            "uids": _ranges(seen.uids),
        }
        for name, seen in sorted(token.folders.items())
    }
    return json.dumps({"since": token.since, "folders": folders}, ensure_ascii=False)


def read(text: str | None) -> Token | None:
    """None for what is no token of ours."""
    try:
        document = json.loads(text or "")
        since = document["since"]
        folders = {name: _seen(one) for name, one in document["folders"].items()}
        return Token(None if since is None else int(since), folders)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _seen(one: Mapping[str, Any]) -> Seen:
    modseq = one["modseq"]
    status = Status(int(one["validity"]), int(one["next"]), int(one["count"]), None if modseq is None else int(modseq))
    return Seen(status, frozenset(_uids(one["uids"])))


def _ranges(uids: Iterable[int]) -> str:
    """As IMAP writes sets of numbers: `1:5,8`."""
    found: list[list[int]] = []
    for uid in sorted(uids):
        if found and uid == found[-1][1] + 1:
            found[-1][1] = uid
        else:
            found.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in found)


def _uids(text: str) -> Iterator[int]:
    for part in text.split(",") if text else ():
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)
