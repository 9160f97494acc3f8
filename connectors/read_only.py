"""What every mailbox answers to an attempt to write: messages are only ever read (EML-2)."""

from __future__ import annotations

from typing import NoReturn

from syncengine.errors import ItemError


class ReadOnly:
    """The writing half of `ports.Pim`, refused."""

    mails_attendees = False

    def create(self, href: str, text: str) -> NoReturn:
        raise _refusal(href)

    def update(self, href: str, text: str, etag: str) -> NoReturn:
        raise _refusal(href)

    def delete(self, href: str, etag: str) -> NoReturn:
        raise _refusal(href)

    def href_for(self, uid: str) -> NoReturn:
        raise _refusal(uid)


def _refusal(where: str) -> ItemError:
    return ItemError(
        "Messages are only read: nothing is written into a mailbox.",
        where=where,
        fix="Move or delete the message in the mail program.",
    )
