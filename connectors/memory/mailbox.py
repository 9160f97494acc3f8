"""A mailbox in RAM: a `Collection` whose resources are messages, and connections to it that only read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from typing import BinaryIO, NoReturn

from connectors.memory.pim import Collection, Faults, MemoryPim
from syncengine.core.mime.envelope import envelope
from syncengine.core.mime.message_id import key_of
from syncengine.errors import ItemError, NotThere
from syncengine.model.pim import Kind


@dataclass(slots=True)
class Mails:
    """What the server stores. `messages`: href → the message's own bytes and when it came."""

    collection: Collection = field(default_factory=Collection)
    messages: dict[str, tuple[bytes, datetime | None]] = field(default_factory=dict)
    validity: int = 1
    next: int = 1


class MemoryMailbox(MemoryPim):
    """One connection to a mailbox; it implements `ports.Mailbox`. Several may share the same `mails`."""

    def __init__(self, mails: Mails | None = None, *, faults: Faults | None = None) -> None:
        self.mails = mails if mails is not None else Mails()
        super().__init__(self.mails.collection, kinds=frozenset({Kind.EMAIL}), faults=faults)

    def deliver(self, message: bytes, received: datetime | None = None) -> str:
        """A message arrives; its href."""
        mails = self.mails
        href = f"INBOX/{mails.validity}/{mails.next}"
        mails.next += 1
        mails.messages[href] = (message, received)
        head = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        found = key_of(message_from_bytes(message))
        key = (found.key or "") if found.family == "content" else ""
        mails.collection.put(href, envelope(head, received=received, size=len(message), key=key))
        return href

    def remove(self, href: str) -> None:
        """The message is deleted or moved away."""
        del self.mails.messages[href]
        self.mails.collection.drop(href)

    def renumber(self) -> None:
        """The server numbers all messages anew: another UIDVALIDITY."""
        there = list(self.mails.messages.items())
        self.mails.validity, self.mails.next = self.mails.validity + 1, 1
        for href, (message, received) in there:
            self.remove(href)
            self.deliver(message, received)

    @contextmanager
    def open(self, href: str, limit: int) -> Iterator[BinaryIO]:
        self._begin("open", href)
        if href not in self.mails.messages:
            raise NotThere("The message is not there any more.", where=href)
        yield io.BytesIO(self.mails.messages[href][0][:limit])

    def create(self, href: str, text: str) -> NoReturn:
        raise _read_only(href)

    def update(self, href: str, text: str, etag: str) -> NoReturn:
        raise _read_only(href)

    def delete(self, href: str, etag: str) -> NoReturn:
        raise _read_only(href)

    def href_for(self, uid: str) -> NoReturn:
        raise _read_only(uid)


def _read_only(where: str) -> ItemError:
    return ItemError("A mailbox is only read.", where=where)
