"""Contents of attachments on the activity server: who may list, store and read them, and when they go (ATT-1).

A content is noted in the database before it gets its name on the disk, and held by its uploader after. So whatever is
cut short leaves nothing that would never be found again, and a content somebody may list is always there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from syncengine.core import activities as rules
from syncengine.core import contents as content_rules
from syncengine.errors import ItemError
from syncengine.model.values import Values
from syncengine.ports import ActivityStore, ContentFiles
from syncengine.times import Clock

_SWEPT = 20
"""Contents that one call removes at most."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class Contents:
    """Part of `services.activities`. All but `upload` and `open` are called inside a transaction."""

    def __init__(self, store: ActivityStore, files: ContentFiles | None, clock: Clock) -> None:
        self._store, self._files, self._clock = store, files, clock

    def missing(self, digests: Collection[str], caller: rules.Caller) -> frozenset[str]:
        """An upload of long ago is asked for again: it may be swept before it is listed."""
        for digest in digests:
            content_rules.check_digest(digest)
        since = self._clock() - content_rules.UPLOAD_COUNTS
        return frozenset(digests) - self._held(digests, caller, since).keys()

    def upload(self, digest: str, size: int, chunks: Iterable[bytes], caller: rules.Caller) -> None:
        files = self._kept_in()
        with files.received(digest, size, chunks) as keep:
            now = self._clock()
            with self._store.transaction(write=True):
                self._store.expect_content(digest, size, now, now + content_rules.UNLISTED_KEPT)
            with self._store.transaction(write=True):
                keep()
                self._store.hold_content(digest, caller.id, now)
        files.drop_leftovers(now - content_rules.UNLISTED_KEPT)

    def check(self, values: Values, before: Values, caller: rules.Caller) -> None:
        """Refuses what the caller may not list."""
        new, old = values.get("attachments"), before.get("attachments")
        if new == old or not new:
            return
        added = content_rules.sizes_of(new).keys() - content_rules.sizes_of(old).keys()
        content_rules.check_listed(new, old, self._held(added, caller, _EVER))

    def _held(self, digests: Collection[str], caller: rules.Caller, since: datetime) -> dict[str, int]:
        if not digests or self._files is None:
            return {}
        found = self._store.held_contents(digests, caller.id, since)
        return {digest: size for digest, size in found.items() if self._files.has(digest)}

    def check_listed_in(self, activity_id: str, digest: str, caller: rules.Caller) -> None:
        """Refuses, always in the same words, what no activity the caller may see lists."""
        found = self._store.get(activity_id)
        if found is None or not found[1] or not rules.may_see(found[0], caller):
            raise content_rules.no_content()
        if self._files is None or digest not in content_rules.sizes_of(found[0]["attachments"]):
            raise content_rules.no_content()

    def open(self, digest: str) -> AbstractContextManager[Iterator[bytes]]:
        return self._kept_in().open(digest)

    def sweep(self, now: datetime) -> None:
        """Remove some of what nothing lists any more. The files go first: a row without its file is found again, a
        file without its row would not be."""
        if self._files is None:
            return
        if gone := self._store.expired_contents(now, _SWEPT):
            for digest in gone:
                self._files.remove(digest)
            self._store.forget_contents(gone)

    def _kept_in(self) -> ContentFiles:
        if self._files is None:
            raise ItemError(
                "This activity server keeps no attachments.",
                fix='its administrator sets [server] attachments = "…" to a folder that stays, and backs it up with '
                "the database",
            )
        return self._files
