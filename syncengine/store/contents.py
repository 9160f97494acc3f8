"""Contents of attachments in a folder, each under its SHA-256: `ab/cdef…`.

A content is written to a file of its own in `incoming/`, hashed on its way, and given its name in one step once all of
it is on the disk. So a name stands for a whole content or for none, whoever is killed when; two who store the same
content at once store it twice, and the second takes the first one's place, which is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from syncengine.core.contents import MOST_BYTES, another_content, check_digest, check_size, no_content
from syncengine.errors import StorageError

PIECE = 256 * 1024
"""Bytes read at a time."""
_LEFTOVERS = 100
"""How many abandoned files one call removes at most."""


class Contents:
    """Implements `ports.ContentFiles`. The folder is made with the first content, for its user alone."""

    def __init__(self, folder: Path, limit: int = MOST_BYTES) -> None:
        """limit: bytes of one content."""
        self.folder, self.limit = folder, limit

    @contextmanager
    def received(self, digest: str, size: int, chunks: Iterable[bytes]) -> Iterator[Callable[[], None]]:
        """Write what comes to the disk. Inside, call what is given to keep it; otherwise it goes again.

        Raises ItemError for too much, or for another content than announced; StorageError where it cannot be
        written."""
        check_digest(digest)
        check_size(size, self.limit)
        with self._explained():
            incoming = self.folder / "incoming"
            incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=incoming)
        temporary = Path(name)
        try:
            with self._explained(), os.fdopen(descriptor, "wb") as file:
                self._write(file, digest, size, chunks)
            yield lambda: self._keep(temporary, digest)
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, file: BinaryIO, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        hashed, read = hashlib.sha256(), 0
        for chunk in chunks:
            read += len(chunk)
            check_size(read, self.limit)
            if read > size:
                break
            hashed.update(chunk)
            file.write(chunk)
        if read != size or hashed.hexdigest() != digest:
            raise another_content()
        file.flush()
        os.fsync(file.fileno())

    def _keep(self, temporary: Path, digest: str) -> None:
        path = self._path(digest)
        with self._explained():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary.replace(path)
            _flush_folder(path.parent)

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    @contextmanager
    def open(self, digest: str) -> Iterator[Iterator[bytes]]:
        """The content piece by piece. Raises NotThere."""
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError:
            raise no_content() from None
        except OSError as e:
            raise self._broken(e) from e
        with file:
            yield iter(lambda: file.read(PIECE), b"")

    def remove(self, digest: str) -> None:
        with self._explained():
            self._path(digest).unlink(missing_ok=True)

    def drop_leftovers(self, before: datetime) -> None:
        """Remove what was begun before this instant and never kept: its writer was killed."""
        with self._explained(), contextlib.suppress(FileNotFoundError), os.scandir(self.folder / "incoming") as found:
            for entry in islice(found, _LEFTOVERS):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat().st_mtime < before.timestamp():
                        Path(entry.path).unlink()

    def _path(self, digest: str) -> Path:
        check_digest(digest)
        return self.folder / digest[:2] / digest[2:]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise self._broken(e) from e

    def _broken(self, error: OSError) -> StorageError:
        return StorageError(
            f"The folder of the attachments cannot be used: {error.strerror or error}.",
            where=str(self.folder),
            fix="make room there and allow reading and writing it, or set [server] attachments to another folder",
        )


def _flush_folder(folder: Path) -> None:
    """A new name is on the disk only once its folder is. Where folders cannot be opened, the system sees to it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
