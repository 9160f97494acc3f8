"""A folder of `.eml` files as a mailbox: one file is one message (RFC 5322), its name is the href.

What belongs to the folder is what `connectors.folder` says. Nothing is ever written. Of a message no more than its
header block is read, unless it has no Message-ID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from connectors.folder import Folder, etag_of
from connectors.read_only import ReadOnly
from connectors.spool import pieces_of, spooled
from syncengine.core.mime.resource import header_block, text_of
from syncengine.errors import ItemError, NotThere
from syncengine.model.pim import Fetched, Kind, Missing, PimChanges, Resource, Unreadable

SUFFIX = ".eml"


class EmlFolder(ReadOnly):
    """One such folder; it implements `ports.Mailbox`. There are no sync tokens: every listing is complete.

    A message was received when its file was last written."""

    kinds = frozenset({Kind.EMAIL})

    def __init__(self, path: str | Path) -> None:
        self._folder = Folder(path, SUFFIX)

    def changes(self, token: str | None) -> PimChanges:
        return PimChanges(dict(self._folder.listing()), frozenset(), None, complete=True)

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        for href in dict.fromkeys(hrefs):
            try:
                yield self._read(href)
            except ItemError as error:
                yield Unreadable(href, error.problem)

    def open(self, href: str, limit: int) -> AbstractContextManager[BinaryIO]:
        return spooled(self._pieces(href, limit))

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _read(self, href: str) -> Fetched:
        try:
            with self._folder.opened(href) as (file, status):
                text = text_of(
                    header_block(file),
                    received=_moment(status.st_mtime),
                    size=status.st_size,
                    whole=lambda most: _from_the_start(file, most),
                )
                return Resource(href, etag_of(status), text)
        except NotThere:
            return Missing(href)

    def _pieces(self, href: str, limit: int) -> Iterator[bytes]:
        with self._folder.opened(href) as (file, _status):
            yield from pieces_of(file, limit)


def _from_the_start(file: BinaryIO, most: int) -> bytes:
    file.seek(0)
    return file.read(most)


def _moment(timestamp: float) -> datetime | None:
    """None for a time no calendar has: a file system keeps whatever it was told."""
    try:
        return datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError, OSError):
        return None
