"""A mailbox in RAM: a `Collection` whose resources are messages, and connections to it that only read.

Hrefs are `INBOX/UIDVALIDITY/UID`, as an IMAP server numbers messages (RFC 9051 2.3.1.1).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from connectors.memory.pim import Collection, Faults, MemoryPim
from connectors.read_only import ReadOnly
from syncengine.core.mime.resource import header_block, text_of
from syncengine.errors import NotThere
from syncengine.model.pim import Kind


@dataclass(slots=True)
class Mails:
    """What the server stores. `messages`: href → the message's own bytes and when it came."""

    collection: Collection = field(default_factory=Collection)
    messages: dict[str, tuple[bytes, datetime | None]] = field(default_factory=dict)
    validity: int = 1
    next: int = 1


class MemoryMailbox(ReadOnly, MemoryPim):
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
        head = header_block(io.BytesIO(message))
        text = text_of(head, received=received, size=len(message), whole=lambda most: message[:most])
        mails.collection.put(href, text)
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
