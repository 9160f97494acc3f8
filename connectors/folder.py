"""Files of a folder, one item each, read with care: for the connectors whose collections are folders.

Hidden files, subfolders, pipes and names without the suffix do not belong to the collection. A link is followed when
read; one that leads nowhere is an unreadable item, not a deleted one. A folder that is not there is never empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from syncengine.errors import ItemError, NotThere, SideError, Vanished

NOT_IN_A_NAME = frozenset("/\\\0")
LONGEST_NAME = 255
"""Bytes; what every common file system takes."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MAY_NOT = {errno.EACCES, errno.EPERM, errno.EROFS}
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a named pipe must not block


class Folder:
    """The files of `path` that end in `suffix`; an href is a file's name. Errors are about the folder, in words."""

    def __init__(self, path: str | Path, suffix: str) -> None:
        self.path, self.suffix = Path(path), suffix

    def listing(self) -> Iterator[tuple[str, str]]:
        """(href, etag) of each item."""
        with self.in_words(self.path), os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(self.suffix) and not name.startswith(".") and (etag := _entry_etag(entry)):
                    yield name if name.isascii() else _printable(name), etag

    @contextlib.contextmanager
    def opened(self, href: str) -> Iterator[tuple[BinaryIO, os.stat_result]]:
        """The file an href names, and its status before it is read: a later change is then seen as one.
        Raises NotThere, and ItemError when it cannot be read."""
        target = self.file(href)
        try:
            with open(target, "rb", opener=lambda name, _flags: os.open(name, READ)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise _not_there(target)
                yield file, status
        except IsADirectoryError:
            raise _not_there(target) from None
        except FileNotFoundError:
            raise self._missing(target) from None
        except OSError as error:
            self.demand()
            raise ItemError(
                f"The file cannot be read: {error.strerror}.", where=str(target), fix="Mend its permissions."
            ) from error

    def _missing(self, target: Path) -> ItemError:
        self.demand()
        if target.is_symlink():
            return ItemError("The file is a link that leads nowhere.", where=str(target), fix="Mend or remove it.")
        return _not_there(target)

    def demand(self) -> None:
        """Tell a missing item from a missing folder, an unreadable item from an unreadable folder."""
        with self.in_words(self.path), os.scandir(self.path):
            pass

    def file(self, href: str) -> Path:
        """The file an href names. Raises ItemError when it could lead out of the folder or not be listed again."""
        size = len(href.encode("utf-8", "surrogatepass"))
        if NOT_IN_A_NAME & set(href) or href.startswith(".") or not href.endswith(self.suffix) or size > LONGEST_NAME:
            raise ItemError(
                "This is not a file name an item can have.",
                where=f"{self.path}: {href!r}",
                fix=f"Rename the file to letters, digits and {self.suffix} at the end.",
            )
        return self.path / href

    @contextlib.contextmanager
    def in_words(self, where: Path) -> Iterator[None]:
        """What the system refuses, as an error about the folder that a person can act on."""
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR} and not self.path.is_dir():
                raise Vanished(
                    "The folder is not there.",
                    where=str(self.path),
                    fix="Bring it back (is a disk not mounted?) or name another one in the configuration.",
                ) from error
            if error.errno == errno.ENOENT:
                raise _not_there(where) from error
            what, fix = _words(error)
            raise SideError(what, where=str(where), fix=fix) from error


def etag_of(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def modified_at(status: os.stat_result) -> datetime | None:
    """When the file was changed last; None for a time no calendar has."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _not_there(where: Path) -> NotThere:
    return NotThere("The item is not there any more.", where=str(where))


def _words(error: OSError) -> tuple[str, str]:
    if error.errno in NO_ROOM:
        return "There is no room left to write the item; nothing was changed.", "Free some space on the disk."
    if error.errno in MAY_NOT:
        return "The folder may not be read or written.", "Give the user who runs this the permission."
    return f"The folder cannot be used: {error.strerror}.", "Look at the disk."


def _entry_etag(entry: os.DirEntry[str]) -> str | None:
    """The etag of what can be an item; None for a folder and for what vanished while the folder was read.
    A link that leads nowhere is listed: it is unreadable, not deleted."""
    try:
        status = entry.stat()
    except OSError:
        return etag_of(entry.stat(follow_symlinks=False)) if entry.is_symlink() else None
    return etag_of(status) if stat.S_ISREG(status.st_mode) else None


def _printable(name: str) -> str:
    r"""A name that is not UTF-8, written with `\x` escapes: it cannot be fetched, but it can be reported."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
