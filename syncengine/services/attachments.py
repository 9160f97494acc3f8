"""Attachments by hand: attaching a file to an activity, taking one off, listing and saving them (ATT-1).

Works alike on the embedded server and over the network, with files of any size: they are read in pieces, and as often
as they have to be sent.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syncengine.core.contents import attachments_of
from syncengine.core.ical.uid import normalise
from syncengine.errors import ChangedMeanwhile, ItemError, NotThere
from syncengine.model.activity import DERIVED, Activity
from syncengine.model.attachment import LONGEST_NAME, Attachment
from syncengine.ports import ActivityServer
from syncengine.services import activity_editing
from syncengine.services.activity_editing import NewId

PIECE = 256 * 1024
_TRIES = 3
"""How often a list that somebody else changes in this moment is read again."""
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST_FILE = 150


def find(server: ActivityServer, key: str) -> Activity:
    """The activity with this id, or whose item has this UID. Raises NotThere."""
    named = [key, key.removeprefix(DERIVED)]
    if found := next(iter(server.fetch(named[:1]) or server.fetch(named[1:])), None):
        return found
    uid = normalise(key).key
    by_uid = (a for a in server.activities() if uid and a["integration_id"] == uid)
    if found := next(by_uid, None):
        return found
    raise NotThere(
        f"There is no activity {key!r} that you can see.", fix='"syncengine activities" lists those there are'
    )


def of(activity: Activity) -> list[Attachment]:
    """By name."""
    return sorted(attachments_of(activity["attachments"]), key=lambda a: (a.name.casefold(), a))


@dataclass(frozen=True)
class _Pieces:
    """A file that is read anew each time it is sent."""

    path: Path

    def __iter__(self) -> Iterator[bytes]:
        with _readable(self.path), self.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def attach(server: ActivityServer, key: str, path: Path, new_id: NewId, name: str = "") -> Attachment:
    """Attach a file; the same file under the same name is attached once. Raises ItemError, NotThere."""
    activity = find(server, key)
    digest, size = _measured(path)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    attachment = Attachment((name or path.name)[:LONGEST_NAME], media_type, digest, size)
    if digest in server.missing([digest]):
        server.upload(digest, size, _Pieces(path))
    _relist(server, activity, lambda listed: {**listed, attachment.text: attachment}, new_id)
    return attachment


def detach(server: ActivityServer, key: str, which: str, new_id: NewId) -> Attachment:
    """Take off the attachment of this name, digest (or how it begins) or link. Raises ItemError, NotThere."""
    activity = find(server, key)
    meant = [a for a in of(activity) if which in (a.name, a.uri) or (len(which) >= 6 and a.digest.startswith(which))]
    if not meant:
        raise NotThere(
            f"The activity has no attachment {which!r}.", fix=f'"syncengine attachments {key}" lists those there are'
        )
    if len(meant) > 1:
        digests = ", ".join(a.digest[:12] or a.uri for a in meant)
        raise ItemError(f"The activity has {len(meant)} attachments {which!r}.", fix=f"name one by {digests}")
    _relist(server, activity, lambda listed: {t: a for t, a in listed.items() if t != meant[0].text}, new_id)
    return meant[0]


Listed = Mapping[str, Attachment]


def _relist(server: ActivityServer, activity: Activity, change: Callable[[Listed], Listed], new_id: NewId) -> None:
    """Change the list, looking again where somebody else changes the activity in this moment."""
    for left in reversed(range(_TRIES)):
        try:
            texts = sorted(change({a.text: a for a in of(activity)}))
            activity_editing.edit(server, activity.id, {"attachments": texts}, new_id)
            return
        except ChangedMeanwhile:
            if not left:
                raise
            activity = find(server, activity.id)


def save(server: ActivityServer, activity: Activity, folder: Path) -> list[Path]:
    """Save the contents of an activity's attachments, overwriting nothing; links stay links. Raises ItemError for a
    folder that cannot be written."""
    saved = []
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for attachment in of(activity):
            if attachment.digest:
                saved.append(_save(server, activity.id, attachment, folder))
    return saved


def _save(server: ActivityServer, activity_id: str, attachment: Attachment, folder: Path) -> Path:
    for name in _names(attachment.name):
        path = folder / name
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        try:
            with file, server.download(activity_id, attachment.digest) as chunks:
                for chunk in chunks:
                    file.write(chunk)
        except BaseException:  # half a file would look like a whole one
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError("there is always another name")


def _names(name: str) -> Iterator[str]:
    """`plan.txt`, `plan (2).txt`, …"""
    safe = safe_name(name)
    yield safe
    stem, dot, ending = safe.rpartition(".")
    number = 1
    while True:
        number += 1
        yield f"{stem} ({number}).{ending}" if stem and dot else f"{safe} ({number})"


def safe_name(name: str) -> str:
    """A name as one part of a path, harmless on every system: no folders, nothing hidden, nothing reserved."""
    plain = _UNSAFE.sub("_", name).strip().strip(".").strip()
    if len(plain.encode()) > _LONGEST_FILE:
        stem, dot, ending = plain.rpartition(".")
        ending = f"{dot}{ending}" if stem and len(ending) <= 10 else ""
        plain = plain.encode()[: _LONGEST_FILE - len(ending.encode())].decode(errors="ignore") + ending
    return f"_{plain}" if not plain or _RESERVED.fullmatch(plain) else plain


def _measured(path: Path) -> tuple[str, int]:
    """Digest and size of a file."""
    hashed, size = hashlib.sha256(), 0
    for piece in _Pieces(path):
        hashed.update(piece)
        size += len(piece)
    return hashed.hexdigest(), size


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ItemError(
            f"The file cannot be read: {e.strerror}.", where=str(path), fix="name a file you may read"
        ) from e


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise ItemError(
            f"The attachments cannot be saved: {e.strerror}.", where=str(folder), fix="name a folder you may write to"
        ) from e
