"""What is kept of a message nobody shares: its header block as text, and what the mailbox knows besides.

Connectors make it (`envelope`), `core.mime.read` reads it. The fields the connector adds stand on top, under names no
message can bring along: such fields of its own are dropped.
"""

from __future__ import annotations

import re
from datetime import datetime

RECEIVED = "X-Syncengine-Received"
"""When the mailbox got it, RFC 3339: what `planned` is where the message has no usable date."""
SIZE = "X-Syncengine-Size"
"""Bytes of the whole message."""
KEY = "X-Syncengine-Key"
"""Its key from what it says (`core.mime.content`), only where it has no Message-ID: the header block cannot tell."""

MOST = 200_000
"""Characters of a header block that are kept; what comes after is no longer about one message."""

_ADDED = re.compile(r"(?im)^x-syncengine-[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*(?:\r?\n|\Z)")


def envelope(head: bytes, *, received: datetime | None, size: int, key: str = "") -> str:
    """The text of a message's resource: `head` is its header block, with or without the empty line that ends it."""
    lines = _decoded(head).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip("\n")
    block = _ADDED.sub("", lines)[:MOST]
    added = {RECEIVED: received.isoformat() if received else "", SIZE: str(size), KEY: key}
    return "".join(f"{name}: {value}\n" for name, value in added.items() if value) + block + "\n"


def _decoded(head: bytes) -> str:
    """Raw octets are UTF-8 (RFC 6532), or else whatever they are: every octet stays one character."""
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError:
        return head.decode("latin-1")
