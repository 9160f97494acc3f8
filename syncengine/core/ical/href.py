"""The name a new item gets inside its collection: made from its UID alone, so a retry or a second client makes the
same one, and safe as a file name, as a part of a URL and on a file system that ignores case."""

from __future__ import annotations

import hashlib
import re

SAFE_UID = re.compile(r"[A-Za-z0-9@_-][A-Za-z0-9@._-]{0,99}", re.ASCII)


def href_for(uid: str) -> str:
    """`<uid>.ics` where the UID is short and harmless, else a name made from its SHA-256."""
    safe = SAFE_UID.fullmatch(uid) is not None
    return f"{uid if safe else hashlib.sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()}.ics"
