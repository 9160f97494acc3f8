"""Reads the whole of messages that are about to be told to the server: text and files (EML-4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from syncengine.core.mime.decompose import files_of
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.messages import Contents, concerned, contents, is_to_be_read, with_contents
from syncengine.errors import SideError
from syncengine.model.attachment import Attachment
from syncengine.model.proxy import Proxy
from syncengine.ports import Mailbox
from syncengine.services.sync.health import side_of
from syncengine.services.sync.server_side import PROBLEMS
from syncengine.services.sync.work import ODD, Collection, Work, as_item_error

PIECE = 1_000_000
MOST_ELSE = 4_000_000
"""Bytes of a message that are read beside its largest file, which is longer while it is encoded: its text first."""


def _limit(collection: Collection) -> int:
    return 2 * collection.most_bytes + MOST_ELSE


def whole_of(collection: Collection, href: str) -> bytes:
    """A message's own bytes, as many as are ever looked at. Raises ItemError, SideError."""
    pieces: list[bytes] = []
    with cast(Mailbox, collection.pim).open(href, _limit(collection)) as stream:
        while piece := stream.read(PIECE):
            pieces.append(piece)
    return b"".join(pieces)


def content_in_mailbox(work: Work, proxy: Proxy, attachment: Attachment) -> bytes | None:
    """The content of a file of a message, or of the message itself; None where it has no such file, or lies nowhere.
    Raises ItemError, SideError."""
    if proxy.item is None or (collection := work.collection(proxy.item.pim)) is None:
        return None
    place = (collection.name, proxy.item.href)
    files = work.recent.get(place)
    if files is None:
        raw = whole_of(collection, proxy.item.href)
        work.recent.put(place, files_of(raw))
        files = work.recent.get(place)
    return files.get(attachment.digest) if files else None


class Messages:
    """`failed`: what kept whole mailboxes from being read; their messages wait for the next run."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.read = 0
        self.failed: list[SideError] = []

    def complete(self, batch: Sequence[Proxy]) -> list[Proxy]:
        """The batch, its shared messages with their contents; without those that cannot be read now. A dry run does
        not read them: what would be told is known without."""
        if self.work.dry_run:
            return list(batch)
        read = {p.id: self._complete(p) for p in batch if is_to_be_read(p)}
        if not read:
            return list(batch)
        found = [read.get(p.id, p) for p in batch]
        with self.work.state.transaction():  # a run that is cut short must know what it told
            self.work.save([p for p in read.values() if p is not None], dirty=True)
        return [p for p in found if p is not None]

    def read_again(self, proxy: Proxy) -> Proxy | None:
        """A shared message with its contents once more; None where it cannot be read now."""
        return self._complete(proxy)

    def _complete(self, proxy: Proxy) -> Proxy | None:
        assert proxy.item is not None
        collection = self.work.collection(proxy.item.pim)
        type_map = self.work.type_of(proxy)
        if collection is None or type_map is None or collection.name in self.work.failed:
            return None
        try:
            found = self._read(collection, proxy)
            self._say(proxy, found, collection)
            return with_contents(proxy, found, type_map, self.work.me(collection.mapping))
        except ODD as e:
            error = as_item_error(e)
            where = f"{collection.name}/{proxy.item.href}"
            with self.work.state.transaction():
                self.work.fail(PROBLEMS, proxy.id, replace(error.problem, where=where))
        except SideError as e:
            e.where = e.where or collection.name
            self.work.health.failed(side_of(collection.name), e)
            self.work.failed.add(collection.name)
            self.failed.append(e)
        return None

    def _read(self, collection: Collection, proxy: Proxy) -> Contents:
        assert proxy.item is not None
        self.read += 1
        self.work.progress(f"reading messages of {collection.name}", self.read)
        raw = whole_of(collection, proxy.item.href)
        found = contents(
            raw,
            complete=len(raw) < _limit(collection),
            save=collection.save_mail,
            most_bytes=collection.most_bytes,
            subject=str(proxy.values.get("description") or ""),
        )
        self.work.recent.put((collection.name, proxy.item.href), found.files)
        return found

    def _say(self, proxy: Proxy, found: Contents, collection: Collection) -> None:
        """What a person should know of it: files that are not saved, and addresses whose owner was not guessed."""
        subject = f"{proxy.key} ({proxy.values.get('description') or 'no subject'})"
        for name in found.left_out:
            self.work.notice(
                f"The file {name!r} is not saved: it is larger than {collection.most_bytes / 1_000_000:g} MB, or its "
                "message has too much before it.",
                subject,
                "Raise max_attachment_mb of this [[pim]] before the next such message is shared.",
            )
        type_map = self.work.type_of(proxy)
        item = snapshot(proxy, type_map) if type_map else None
        for address in concerned(item, self.work.me(collection.mapping)).doubtful if item else ():
            self.work.notice(
                f"{address} is the address of several contacts: none of them is related.",
                subject,
                f'Relate the right one with "syncengine share {proxy.key} --contact ID", or give it the address alone.',
            )
