"""A message on its way to whoever reads it: in memory while it is small, in a temporary file when it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

PIECE = 256 * 1024
"""Bytes that are moved at a time."""
IN_MEMORY = 4 * PIECE


@contextmanager
def spooled(pieces: Iterable[bytes]) -> Iterator[BinaryIO]:
    """The pieces as one file, to be read from its beginning."""
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        for piece in pieces:
            file.write(piece)
        file.seek(0)
        yield cast(BinaryIO, file)


def pieces_of(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """The first `limit` bytes of a file."""
    while limit > 0 and (piece := file.read(min(PIECE, limit))):
        limit -= len(piece)
        yield piece
