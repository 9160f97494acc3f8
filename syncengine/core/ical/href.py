"""Names of items inside their collection.

A new item's is made from its UID alone, so a retry or a second client makes the same one, and safe as a file name, as
a part of a URL and on a file system that ignores case. A changed occurrence inside a resource goes by the resource's
name and its own key."""

from __future__ import annotations

import hashlib
import re

_PART = re.compile(r"(.+)#occurrence=(\d{8}(?:T\d{6})?)", re.DOTALL)
SAFE_UID = re.compile(r"[A-Za-z0-9@_-][A-Za-z0-9@._-]{0,99}", re.ASCII)


def href_for(uid: str) -> str:
    """`<uid>.ics` where the UID is short and harmless, else a name made from its SHA-256."""
    safe = SAFE_UID.fullmatch(uid) is not None
    return f"{uid if safe else hashlib.sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()}.ics"


def part_href(href: str, key: str) -> str:
    """The name of a part of a resource: `series.ics#occurrence=20260309`."""
    return f"{href}#occurrence={key}"


def split_href(href: str) -> tuple[str, str]:
    """The resource's own name and the key of the part, empty for the whole."""
    match = _PART.fullmatch(href)
    return (match[1], match[2]) if match else (href, "")
