"""Mailboxes over several runs: what is read, what is kept in mind, and what a mailbox may do without any harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pytest

from connectors.memory.mailbox import MemoryMailbox
from syncengine import bootstrap
from syncengine.errors import ConfigError
from syncengine.model.attachment import Attachment
from syncengine.model.directory import Account, Contact, Directory, Employee, Opportunity
from syncengine.model.pim import Kind
from syncengine.model.proxy import Share
from syncengine.model.report import Report
from syncengine.services.sharing import Picks, set_shared, suggest
from syncengine.services.sync import Collection, Sync, Work
from syncengine.services.sync.messages import content_in_mailbox
from syncengine.store.contents import Contents
from syncengine.store.state import State

ME, EMAILS = "me@example.com", frozenset({Kind.EMAIL})
PEOPLE = Directory(
    employees=(Employee("me", "Me", (ME,), user=True), Employee("generic", "Generic", ("generic@example.com",))),
    contacts=(
        Contact("ann", "Ann", ("ann@client.test",), "acme", save_correspondence=True),
        Contact("ben", "Ben", ("ben@client.test",), "acme"),
    ),
    accounts=(Account("acme", "Acme"),),
    opportunities=(Opportunity("deal", "Big deal", "acme"),),
)


def mail(number: int, sender: str = "ann@client.test") -> bytes:
    return (
        f"Message-ID: <m.{number}@x.test>\r\nFrom: {sender}\r\nTo: {ME}\r\nSubject: Mail {number}\r\n\r\nwords".encode()
    )


class Box(MemoryMailbox):
    """A mailbox that counts what is read of it as a whole, and may lose a message just before."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.lost = ""

    @contextmanager
    def open(self, href: str, limit: int) -> Iterator[BinaryIO]:
        self.opened.append(href)
        if href == self.lost:
            self.remove(href)
        with super().open(href, limit) as stream:
            yield stream


class Desk:
    """A person with two mailboxes and a server."""

    def __init__(self, home: Path) -> None:
        store = bootstrap.open_store(f"sqlite:///{home}/activities.db")
        with store.transaction(write=True):
            store.put_directory(PEOPLE)
        files = Contents(home / "files", 1_000_000)
        self.server = bootstrap.embedded(store, ME, "generic@example.com", files=files)
        self.state = State(str(home / "state.db"))
        self.inbox, self.archive = Box(), Box()
        self.existing, self.ids = EMAILS, count()

    def sync(self) -> Report:
        return Sync(self.work()).run()

    def work(self) -> Work:
        mapping = bootstrap.shipped_mapping("default")
        boxes = {"inbox": self.inbox, "archive": self.archive}
        return Work(
            state=self.state,
            server=self.server,
            collections=[Collection(name, box, mapping, EMAILS, self.existing) for name, box in boxes.items()],
            addresses=(ME,),
            zone=ZoneInfo("UTC"),
            clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
            new_id=lambda: f"{next(self.ids):08d}",
        )

    def subjects(self) -> list[str]:
        return sorted(str(a["description"]) for a in self.server.activities())

    def close(self) -> None:
        self.state.close()
        self.server.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_only_what_is_shared_is_ever_read_as_a_whole_and_only_once(desk: Desk) -> None:
    shared = desk.inbox.deliver(mail(1))
    desk.inbox.deliver(mail(2, "ben@client.test"))
    desk.sync()
    desk.sync()
    assert (desk.inbox.opened, desk.subjects()) == ([shared], ["Mail 1"])


def test_mail_that_was_there_before_is_not_shared_because_the_server_numbers_anew(desk: Desk) -> None:
    desk.existing = frozenset()
    for number in range(10):
        desk.inbox.deliver(mail(number))
    desk.sync()
    desk.inbox.renumber()
    report = desk.sync()
    assert (desk.subjects(), report.problems) == ([], [])


@pytest.mark.parametrize("back", [False, True])
def test_a_message_moved_to_another_mailbox_keeps_what_was_decided(desk: Desk, back: bool) -> None:
    desk.existing = frozenset()
    here, there = (desk.archive, desk.inbox) if back else (desk.inbox, desk.archive)
    href = here.deliver(mail(1))
    desk.sync()
    here.remove(href)
    there.deliver(mail(1))
    report = desk.sync()
    assert (desk.subjects(), report.linked, report.failed) == ([], 0, 0)
    (proxy,) = desk.state.find("m.1@x.test")
    assert (proxy.share, proxy.has_item) == (Share.NEVER, True)


def test_messages_that_are_gone_leave_nothing_behind(desk: Desk) -> None:
    hrefs = [desk.inbox.deliver(mail(n, "ben@client.test")) for n in range(3)]
    desk.sync()
    for href in hrefs:
        desk.inbox.remove(href)
    desk.sync()
    assert [desk.state.find(f"m.{n}@x.test") for n in range(3)] == [[], [], []]


def test_a_message_that_goes_while_it_is_to_be_read_fails_alone(desk: Desk) -> None:
    desk.inbox.lost = desk.inbox.deliver(mail(1))
    desk.inbox.deliver(mail(2))
    report = desk.sync()
    assert (desk.subjects(), report.failed) == (["Mail 2"], 1)
    report = desk.sync()
    assert (desk.subjects(), report.failed) == (["Mail 2"], 0)


def test_a_copy_takes_over_when_the_one_that_was_shared_is_gone(desk: Desk) -> None:
    first = desk.inbox.deliver(mail(1))
    desk.archive.deliver(mail(1))
    desk.sync()
    desk.inbox.remove(first)
    report = desk.sync()
    assert report.quiet
    (proxy,) = desk.state.find("m.1@x.test")
    assert proxy.item is not None
    assert (proxy.item.pim, proxy.share, desk.subjects()) == ("archive", Share.SHARED, ["Mail 1"])


def test_of_two_copies_one_is_shared_by_hand(desk: Desk) -> None:
    desk.inbox.deliver(mail(1, "ben@client.test"))
    desk.archive.deliver(mail(1, "ben@client.test"))
    desk.sync()
    set_shared(desk.state, "<m.1@x.test>", shared=True)
    report = desk.sync()
    assert (report.failed, desk.subjects()) == (0, ["Mail 1"])
    set_shared(desk.state, "<m.1@x.test>", shared=False)
    desk.sync()
    assert desk.subjects() == []
    assert desk.sync().quiet


def test_what_nobody_knows_cannot_be_picked_and_the_nearest_is_named(desk: Desk) -> None:
    desk.inbox.deliver(mail(1, "ben@client.test"))
    desk.sync()
    with pytest.raises(ConfigError, match="no account 'acmee'") as error:
        set_shared(desk.state, "m.1@x.test", shared=True, picks=Picks(account="acmee"))
    assert error.value.fix == "Did you mean acme (Acme)?"
    assert desk.state.find("m.1@x.test")[0].share is Share.NEVER
    (proxy,) = set_shared(desk.state, "m.1@x.test", shared=True, picks=Picks(contacts=("Ann@Client.test",)))
    assert proxy.values["contacts"] == ("ann", "ben")


def test_a_file_that_was_told_is_found_in_its_message(desk: Desk) -> None:
    href = desk.inbox.deliver(
        mail(1).replace(b"\r\n\r\nwords", b"\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nwords")
    )
    desk.sync()
    (proxy,) = desk.state.find("m.1@x.test")
    told = proxy.server["attachments"] if proxy.server else ()
    assert isinstance(told, tuple)
    (file,) = (Attachment.parse(str(text)) for text in told)
    work = desk.work()
    assert content_in_mailbox(work, proxy, file) == b"words"
    assert content_in_mailbox(work, proxy, replace(file, digest="0" * 64)) is None
    assert desk.inbox.opened == [href, href]  # once by the run, which uploads, and once by this


def test_suggesting_changes_nothing(desk: Desk) -> None:
    desk.inbox.deliver(mail(1, "ben@client.test"))
    desk.sync()
    found = suggest(desk.state, "<m.1@x.test>", (ME,))
    assert [r.id for r in (*found.contacts, *found.accounts, *found.opportunities)] == ["ben", "acme", "deal"]
    assert desk.sync().quiet
    assert desk.subjects() == []
