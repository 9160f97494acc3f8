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

from connectors.folder import Folder, etag_of, modified_at
from syncengine.core.ical.href import href_for
from syncengine.errors import AlreadyThere, ChangedMeanwhile, ItemError, NotThere
from syncengine.model.pim import CALENDAR_KINDS, Fetched, Kind, Missing, PimChanges, Resource, Unreadable, Written

SUFFIX = ".ics"
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class VdirPim:
    """One such folder; it implements `ports.Pim`. There are no sync tokens: every listing is complete."""

    mails_attendees = False

    def __init__(self, path: str | Path, *, kinds: frozenset[Kind] = CALENDAR_KINDS) -> None:
        self.path = Path(path)
        self._folder = Folder(path, SUFFIX)
        self.kinds = kinds

    def changes(self, token: str | None) -> PimChanges:
        return PimChanges(dict(self._folder.listing()), frozenset(), None, complete=True)

    def fetch(self, hrefs: Sequence[str]) -> Iterator[Fetched]:
        for href in dict.fromkeys(hrefs):
            try:
                yield self._read(href)
            except ItemError as error:
                yield Unreadable(href, error.problem)

    def create(self, href: str, text: str) -> Written:
        target = self._folder.file(href)
        with self._temporary(text) as (temporary, etag):
            _claim(temporary, target)
        return Written(etag, exact=True)

    def update(self, href: str, text: str, etag: str) -> Written:
        target = self._folder.file(href)
        mode = self._expect(target, etag)
        with self._temporary(text, mode) as (temporary, new_etag):
            self._expect(target, etag)  # again, as late as can be: files have no If-Match
            os.replace(temporary, target)
        return Written(new_etag, exact=True)

    def delete(self, href: str, etag: str) -> None:
        target = self._folder.file(href)
        self._expect(target, etag)
        with self._folder.in_words(target):
            target.unlink()
            self._settle()

    def href_for(self, uid: str) -> str:
        return href_for(uid)

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _read(self, href: str) -> Fetched:
        try:
            with self._folder.opened(href) as (file, status):
                text = _decoded(file.read(), self.path / href)
                return Resource(href, etag_of(status), text, modified_at(status))
        except NotThere:
            return Missing(href)

    def _expect(self, target: Path, etag: str) -> int:
        """Check that the file is still the revision `etag`, and return its permissions."""
        with self._folder.in_words(target):
            status = target.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise ItemError(
                "The item is a link to another file, and links are not written through.",
                where=str(target),
                fix="Change it where it is stored, or replace the link by a copy.",
            )
        if etag_of(status) != etag:
            raise ChangedMeanwhile("The item was changed meanwhile.", where=str(target))
        return stat.S_IMODE(status.st_mode)

    @contextlib.contextmanager
    def _temporary(self, text: str, mode: int | None = None) -> Iterator[tuple[Path, str]]:
        """A file with the text, safely on disk, and the etag it will keep under its final name. It is gone at the
        end unless it got that name."""
        temporary = self.path / f".{secrets.token_hex(8)}.tmp"
        try:
            with self._folder.in_words(self.path):
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


def _write(path: Path, content: bytes, mode: int | None) -> str:
    with open(os.open(path, WRITE, 0o666), "wb") as file:
        if mode is not None:
            os.chmod(file.fileno() if os.chmod in os.supports_fd else path, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return etag_of(os.fstat(file.fileno()))


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


def _decoded(content: bytes, where: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ItemError(
            f"The file is not UTF-8 text (byte {error.start}).",
            where=str(where),
            fix="Save it as UTF-8 in the calendar program it comes from.",
        ) from error
