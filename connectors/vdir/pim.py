"""A folder of `.ics` files as a collection: one file is one item, its name is the href.

The format is vdir (https://vdirsyncer.pimutils.org/en/stable/vdir.html): hidden files, `.tmp` files, subfolders and
anything not ending in `.ics` do not belong to it. Other programs write to the folder at the same time, so every
write goes to a temporary file first and gets its name in one step: a reader sees the old item or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncengine.core.ical.href import href_for
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, NotThere, SideError, Vanished
from syncengine.model.pim import CALENDAR_KINDS, Fetched, Kind, Missing, PimChanges, Resource, Unreadable, Written

SUFFIX = ".ics"
NOT_IN_A_NAME = frozenset("/\\\0")
LONGEST_NAME = 255
"""Bytes; what every common file system takes."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MAY_NOT = {errno.EACCES, errno.EPERM, errno.EROFS}
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # a named pipe must not block
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class VdirPim:
    """One such folder; it implements `ports.Pim`. There are no sync tokens: every listing is complete."""

    mails_attendees = False

    def __init__(self, path: str | Path, *, kinds: frozenset[Kind] = CALENDAR_KINDS) -> None:
        self.path = Path(path)
        self.kinds = kinds

    def changes(self, token: str | None) -> PimChanges:
        return PimChanges(dict(self._listing()), frozenset(), None, complete=True)

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        for href in dict.fromkeys(hrefs):
            try:
                yield self._read(href)
            except ItemError as error:
                yield Unreadable(href, error.problem)

    def create(self, href: str, text: str) -> Written:
        target = self._file(href)
        with self._temporary(text) as (temporary, etag):
            _claim(temporary, target)
        return Written(etag, exact=True)

    def update(self, href: str, text: str, etag: str) -> Written:
        target = self._file(href)
        mode = self._expect(target, etag)
        with self._temporary(text, mode) as (temporary, new_etag):
            self._expect(target, etag)  # again, as late as can be: files have no If-Match
            os.replace(temporary, target)
        return Written(new_etag, exact=True)

    def delete(self, href: str, etag: str) -> None:
        target = self._file(href)
        self._expect(target, etag)
        with self._in_words(target):
            target.unlink()
            self._settle()

    def href_for(self, uid: str) -> str:
        return href_for(uid)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _listing(self) -> Iterator[tuple[str, str]]:
        with self._in_words(self.path), os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name
                if name.endswith(SUFFIX) and not name.startswith(".") and (etag := _entry_etag(entry)):
                    yield name if name.isascii() else _printable(name), etag

    def _read(self, href: str) -> Fetched:
        target = self._file(href)
        try:
            with open(target, "rb", opener=lambda name, _flags: os.open(name, READ)) as file:
                status = os.fstat(file.fileno())  # before reading: a later change is then seen as one
                if not stat.S_ISREG(status.st_mode):
                    return Missing(href)
                return Resource(href, _etag(status), _decoded(file.read(), target))
        except IsADirectoryError:
            return Missing(href)
        except FileNotFoundError:
            return self._missing(target)
        except OSError as error:
            self._demand_folder()
            raise ItemError(
                f"The file cannot be read: {error.strerror}.", where=str(target), fix="Mend its permissions."
            ) from error

    def _missing(self, target: Path) -> Missing:
        self._demand_folder()
        if target.is_symlink():
            raise ItemError("The file is a link that leads nowhere.", where=str(target), fix="Mend or remove it.")
        return Missing(target.name)

    def _demand_folder(self) -> None:
        """Tell a missing item from a missing folder, an unreadable item from an unreadable folder."""
        with self._in_words(self.path), os.scandir(self.path):
            pass

    def _file(self, href: str) -> Path:
        """The file an href names. Raises ItemError when it could lead out of the folder or not be listed again."""
        size = len(href.encode("utf-8", "surrogatepass"))
        if NOT_IN_A_NAME & set(href) or href.startswith(".") or not href.endswith(SUFFIX) or size > LONGEST_NAME:
            raise ItemError(
                "This is not a file name an item can have.",
                where=f"{self.path}: {href!r}",
                fix="Rename the file to letters, digits and .ics at the end.",
            )
        return self.path / href

    def _expect(self, target: Path, etag: str) -> int:
        """Check that the file is still the revision `etag`, and return its permissions."""
        with self._in_words(target):
            status = target.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise ItemError(
                "The item is a link to another file, and links are not written through.",
                where=str(target),
                fix="Change it where it is stored, or replace the link by a copy.",
            )
        if _etag(status) != etag:
            raise ChangedMeanwhile("The item was changed meanwhile.", where=str(target))
        return stat.S_IMODE(status.st_mode)

    @contextlib.contextmanager
    def _temporary(self, text: str, mode: int | None = None) -> Iterator[tuple[Path, str]]:
        """A file with the text, safely on disk, and the etag it will keep under its final name. It is gone at the
        end unless it got that name."""
        temporary = self.path / f".{secrets.token_hex(8)}.tmp"
        try:
            with self._in_words(self.path):
                etag = _write(temporary, text.encode("utf-8"), mode)
                yield temporary, etag
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        self._settle()

    def _settle(self) -> None:
        """Make names durable. Not every system can open a folder; then the system decides when."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _in_words(self, where: Path) -> Iterator[None]:
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
                raise NotThere("The item is not there any more.", where=str(where)) from error
            what, fix = _words(error)
            raise SideError(what, where=str(where), fix=fix) from error


def _words(error: OSError) -> tuple[str, str]:
    if error.errno in NO_ROOM:
        return "There is no room left to write the item; nothing was changed.", "Free some space on the disk."
    if error.errno in MAY_NOT:
        return "The folder may not be read or written.", "Give the user who runs this the permission."
    return f"The folder cannot be used: {error.strerror}.", "Look at the disk."


def _write(path: Path, content: bytes, mode: int | None) -> str:
    with open(os.open(path, WRITE, 0o666), "wb") as file:
        if mode is not None:
            os.chmod(file.fileno() if os.chmod in os.supports_fd else path, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return _etag(os.fstat(file.fileno()))


def _claim(temporary: Path, target: Path) -> None:
    """Give the file its name only if nobody has it: `link` refuses a name in use, `rename` would replace it."""
    try:
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            os.close(os.open(target, WRITE, 0o666))  # FAT and some network folders have no links: reserve the name
            os.replace(temporary, target)
    except FileExistsError:
        raise AlreadyThere("A file with this name is there already.", where=str(target)) from None


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _entry_etag(entry: os.DirEntry[str]) -> str | None:
    """The etag of what can be an item; None for a folder and for what vanished while the folder was read.
    A link that leads nowhere is listed: it is unreadable, not deleted."""
    try:
        status = entry.stat()
    except OSError:
        return _etag(entry.stat(follow_symlinks=False)) if entry.is_symlink() else None
    return _etag(status) if stat.S_ISREG(status.st_mode) else None


def _printable(name: str) -> str:
    r"""A name that is not UTF-8, written with `\x` escapes: it cannot be fetched, but it can be reported."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _decoded(content: bytes, where: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ItemError(
            f"The file is not UTF-8 text (byte {error.start}).",
            where=str(where),
            fix="Save it as UTF-8 in the calendar program it comes from.",
        ) from error
