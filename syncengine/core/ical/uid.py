"""Calendar UIDs: which entries are one entry, however Outlook, Exchange and Notes spell its UID (KEY-1, KEY-8).

    family            key                                  because
    outlook           hex in upper case, no instance date  an invitation to one occurrence carries its date in the id
    outlook-wrapped   the UID inside                       Exchange wraps UIDs of other programs into its own form
    domino            the entry's id                       Notes adds a suffix when it writes iCalendar
    other             the UID, trimmed, its case kept      UIDs are opaque (RFC 5545 3.8.4.7)
    none              -                                    there is none

What was inside a wrapping or before a suffix is read again, because programs wrap what others have wrapped. A REST
interface names an occurrence `<UID>/<start in UTC>`; the start stays part of the key.

Decision: 32 hex digits without suffix are a Notes id when they are in upper case, as Notes always writes them, and then
they are already the key. In lower case they are kept: those are UUIDs of other programs, which look them up as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from syncengine.core.mime.text import legible

FAMILIES = {
    "outlook": "written by Outlook or Exchange; the key has no instance date",
    "outlook-wrapped": "written by another program, wrapped by Exchange; the key is the UID inside",
    "domino": "written by Notes or Domino; the key has no suffix",
    "other": "any other UID; the key is the UID without blanks around it",
    "none": "no UID could be found",
}
"""Family → what it means, for people."""


@dataclass(frozen=True, slots=True)
class Uid:
    """key: what all copies of an entry share, None when there is no UID. family: one of FAMILIES. uid: as given, but
    trimmed. instance: the original date of the occurrence that an Outlook id is about."""

    key: str | None
    family: str
    uid: str | None = None
    instance: date | None = None


NO_UID = Uid(None, "none")


def normal(uid: str) -> str:
    """The key alone, empty when there is none. Never raises."""
    return normalise(uid).key or ""


@lru_cache(maxsize=1024)
def normalise(uid: str) -> Uid:
    """What is to be known of a UID; NO_UID for a blank one. Never raises."""
    text = _trimmed(uid)
    if not text:
        return NO_UID
    series, _, start = text.rpartition("/")
    if series.strip() and _START.fullmatch(start):
        of = _read(series.strip())
        return replace(of, key=f"{of.key}/{start}", uid=text)
    return replace(_read(text), uid=text)


DEEPEST = 4
"""Wrappings that are taken off. Real ones are two deep: a foreign UID in Outlook's form with the suffix of Notes."""

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # RFC 5545 3.1 allows none
_FOLD = re.compile(r"\r?\n[ \t]")  # RFC 5545 3.1
_START = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SUFFIXED = re.compile(r"(.+)-Lotus_(?:Notes|Auto)_Generated", re.IGNORECASE | re.ASCII | re.DOTALL)
_UNIVERSAL_ID = re.compile(r"[0-9A-F]{32}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")

_HEADER = bytes.fromhex("040000008200E00074C5B7101A82E008")
_SHORTEST = 41
"""Bytes. MS-OXCICAL 2.1.3.1.1.20.26: the fixed part and one byte of data."""
_DATE, _SIZE, _DATA = slice(16, 20), slice(36, 40), 40
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"


def _trimmed(uid: str) -> str:
    return _CONTROLS.sub("", _FOLD.sub("", legible(uid))).strip().strip("\ufeff").strip()


def _read(text: str, depth: int = 0) -> Uid:
    if depth >= DEEPEST:
        return Uid(text, "other")
    if suffixed := _SUFFIXED.fullmatch(text):
        return _domino(suffixed[1].strip(), depth)
    if octets := _global_object_id(text):
        return _outlook(octets, depth)
    return Uid(text, "domino" if _UNIVERSAL_ID.fullmatch(text) else "other")


def _domino(text: str, depth: int) -> Uid:
    """An id that Notes made, or one of another program that it kept and put its suffix to."""
    if text.isascii() and _UNIVERSAL_ID.fullmatch(text.upper()):
        return Uid(text.upper(), "domino")
    inner = _read(text, depth + 1)
    return replace(inner, family="domino") if inner.family == "other" else inner


def _global_object_id(text: str) -> bytes | None:
    """The bytes of an Outlook id (MS-OXOCAL 2.2.1.27); None for a text that is none."""
    if len(text) < 2 * _SHORTEST or not _HEX.fullmatch(text):
        return None
    octets = bytes.fromhex(text)
    return octets if octets.startswith(_HEADER) else None


def _outlook(octets: bytes, depth: int) -> Uid:
    instance = _instance(octets[_DATE])
    foreign = _foreign(octets)
    if foreign is None:
        return Uid((octets[: _DATE.start] + bytes(4) + octets[_DATE.stop :]).hex().upper(), "outlook", None, instance)
    inner = _read(foreign, depth + 1)
    family = "outlook-wrapped" if inner.family == "other" else inner.family
    return replace(inner, family=family, instance=instance or inner.instance)


def _foreign(octets: bytes) -> str | None:
    """The UID of another program inside an Outlook id; None where there is none, or it cannot be trusted: the size is
    not that of the data, or the text is no text."""
    size = int.from_bytes(octets[_SIZE], "little")
    data, rest = octets[_DATA : _DATA + size], octets[_DATA + size :]
    if len(data) != size or rest.strip(b"\0") or not data.startswith(_FOREIGN):
        return None
    try:
        text = data[len(_FOREIGN) :].rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else _trimmed(text) or None


def _instance(octets: bytes) -> date | None:
    """Year in two bytes, month, day; all zero in the id of a whole series."""
    try:
        return date(int.from_bytes(octets[:2], "big"), octets[2], octets[3])
    except ValueError:
        return None
