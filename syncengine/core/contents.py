"""What the activity server decides about the contents of attachments (ATT-1). Pure, like `core.activities`.

A digest alone gives nobody anything: an activity may list what it listed before and what the caller has uploaded, and
whoever is refused hears the same whether the content exists or not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from syncengine.errors import ItemError, NotThere
from syncengine.model.attachment import Attachment
from syncengine.model.values import Value

MOST_BYTES = 100_000_000
"""Of one attachment, unless the server is configured otherwise."""
MOST_LISTED = 200
"""Attachments of one activity."""

UPLOAD_COUNTS = timedelta(hours=12)
"""For how long an upload need not be repeated before it is listed; well below `UNLISTED_KEPT`."""
UNLISTED_KEPT = timedelta(days=1)
"""How long a content waits for an activity that lists it."""
ONCE_LISTED_KEPT = timedelta(days=90)
"""How long a content stays after the last activity that listed it: as long as lost answers can be asked for."""

_DIGEST = re.compile("[0-9a-f]{64}")


def attachments_of(value: Value) -> list[Attachment]:
    """The attachments a field's value stands for; texts that are none are left out."""
    found = []
    for text in value if isinstance(value, tuple) else ():
        try:
            found.append(Attachment.parse(str(text)))
        except ValueError:
            continue
    return found


def sizes_of(value: Value) -> dict[str, int]:
    """Digest → size of the contents the attachments have; links have none."""
    return {a.digest: a.size for a in attachments_of(value) if a.digest}


def check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise ItemError("This is no digest of a content.", fix="send its SHA-256 as 64 lower-case hex digits")


def check_size(size: int, limit: int) -> None:
    """Refuses what is larger than the server takes, before any of it is read."""
    if size > limit:
        raise ItemError(
            f"The attachment is too large: {shown_size(size)}, and the server takes {shown_size(limit)} at most.",
            fix="make it smaller, attach a link to it instead, or ask the server's administrator to raise [server] "
            "max_attachment_mb",
        )


def check_listed(new: Value, before: Value, held: Mapping[str, int]) -> None:
    """Refuses attachments whose content the caller may not list. held: digest → size of the caller's uploads."""
    listed = attachments_of(new)
    if len(listed) > MOST_LISTED:
        raise ItemError(
            f"{len(listed)} attachments are too many.", fix=f"attach up to {MOST_LISTED}; a folder can be one link"
        )
    known = sizes_of(before) | dict(held)
    for attachment in listed:
        if attachment.digest and known.get(attachment.digest) != attachment.size:
            raise ItemError(
                f"You have not uploaded the content of the attachment {attachment.name!r}.", fix="upload it first"
            )


def another_content() -> ItemError:
    return ItemError(
        "The content is not the one that was announced: it changed on its way.", fix="attach it again, once it rests"
    )


def no_content() -> NotThere:
    return NotThere(
        "There is no such attachment that you can see.", fix='"syncengine attachments ID" lists those there are'
    )


def shown_size(size: int) -> str:
    """A size for people: `300 bytes`, `12 kB`, `1.5 MB`."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
