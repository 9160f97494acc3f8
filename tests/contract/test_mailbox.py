"""What every mailbox promises, as stories told to each of them. A new connector adds one row to `SIDES` and one
fixture."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from itertools import count
from pathlib import Path

import pytest

from connectors.eml.mailbox import EmlFolder
from connectors.imap.mailbox import ImapMailbox
from connectors.memory.mailbox import Mails, MemoryMailbox
from syncengine.core.mime.envelope import KEY, MOST, RECEIVED, SIZE
from syncengine.core.mime.message_id import key_of
from syncengine.core.mime.resource import MOST_HEAD
from syncengine.errors import ItemError, NotThere, Vanished
from syncengine.model.pim import Fetched, Kind, Missing, Resource
from syncengine.ports import Mailbox
from tests.imap_server import ImapServer

STRANGE = {
    "empty": b"",
    "only an empty line": b"\r\n",
    "no end of the header block": b"Message-ID: <1@example.com>\r\nSubject: No end",
    "no fields": b"this is no message at all\r\n",
    "octets of no charset": b"Message-ID: <1@example.com>\r\nSubject: Gr\xfc\xdfe \xff\xfe\r\n\r\nText\r\n",
    "octets of UTF-8": "Message-ID: <1@example.com>\r\nSubject: Grüße ☃\r\n\r\nText\r\n".encode(),
    "fields of our own": b"X-Syncengine-Key: content:stolen\r\nMessage-ID: <1@example.com>\r\n\r\nText\r\n",
    "no such boundary": b'Message-ID: <1@example.com>\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n',
}


@dataclass(frozen=True)
class Side:
    """A fresh, empty mailbox. `connect` gives another connection to it, `deliver` a message that arrives, `remove`
    one that is deleted, `destroy` deletes the mailbox. `renumber`: the server numbers all messages anew."""

    connect: Callable[[], Mailbox]
    deliver: Callable[[bytes], None]
    remove: Callable[[str], None]
    destroy: Callable[[], None]
    renumber: Callable[[], None] | None
    has_tokens: bool


@pytest.fixture
def memory() -> Side:
    mails = Mails()
    connection = MemoryMailbox(mails)

    def destroy() -> None:
        mails.collection.gone = True

    return Side(
        lambda: MemoryMailbox(mails),
        lambda message: void(connection.deliver(message)),
        connection.remove,
        destroy,
        connection.renumber,
        has_tokens=True,
    )


@pytest.fixture
def eml(tmp_path: Path) -> Side:
    folder, numbers = tmp_path / "mail", count(1)
    folder.mkdir()
    return Side(
        lambda: EmlFolder(folder),
        lambda message: void((folder / f"{next(numbers)}.eml").write_bytes(message)),
        lambda href: (folder / href).unlink(),
        lambda: shutil.rmtree(folder),
        renumber=None,
        has_tokens=False,
    )


@pytest.fixture
def on_dovecot(dovecot: ImapServer) -> Side:
    with dovecot.as_user() as client:
        client.create_folder("Work/Grüße & more")

    def deliver(message: bytes) -> None:
        if message and b"\0" not in message:
            with dovecot.as_user() as client:
                client.append("Work/Grüße & more", message)
        else:  # what IMAP cannot say comes by other ways
            dovecot.drop("Work/Grüße & more", message)

    def remove(href: str) -> None:
        with dovecot.as_user() as client:
            client.select_folder("Work/Grüße & more")
            client.delete_messages([int(href.rpartition("/")[2])])
            client.expunge()

    def destroy() -> None:
        with dovecot.as_user() as client:
            client.delete_folder("Work/Grüße & more")

    def renumber() -> None:
        """The folder is deleted and comes back with its messages, as when a backup is played back."""
        with dovecot.as_user() as client:
            client.select_folder("Work/Grüße & more")
            kept = client.fetch(client.search(), ["BODY.PEEK[]"])
        destroy()
        with dovecot.as_user() as client:
            client.create_folder("Work/Grüße & more")
        for _, answer in sorted(kept.items()):
            deliver(answer[b"BODY[]"])

    def connect() -> Mailbox:
        return ImapMailbox(dovecot.url, "alice", "secret", folders=["Work/Grüße & more"])

    return Side(connect, deliver, remove, destroy, renumber, has_tokens=True)


def void(_: object) -> None: ...


SIDES = ("memory", "eml", "on_dovecot")


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return request.getfixturevalue(request.param)


@pytest.fixture
def mailbox(side: Side) -> Iterator[Mailbox]:
    connection = side.connect()
    yield connection
    connection.close()


def mail(number: int = 1, subject: str = "Offer", text: str = "Dear all,\r\n") -> bytes:
    return (
        f"From: ada@example.com\r\nTo: bob@example.com\r\nSubject: {subject}\r\n"
        f"Date: Mon, 2 Mar 2026 08:00:00 +0000\r\nMessage-ID: <{number}@example.com>\r\n\r\n{text}"
    ).encode()


def anonymous(text: str = "Dear all,", *on_the_way: str) -> bytes:
    """A message without an id, with what mail systems wrote on top."""
    head = ("From: ada@example.com", "Subject: Offer", "Date: Mon, 2 Mar 2026 08:00:00 +0000")
    return "\r\n".join([*on_the_way, *head, "", text, ""]).encode()


def only(answers: Iterator[Fetched]) -> Fetched:
    (answer,) = answers
    return answer


def read(mailbox: Mailbox, href: str) -> Resource:
    answer = only(mailbox.fetch([href]))
    assert isinstance(answer, Resource), answer
    return answer


def arrive(side: Side, mailbox: Mailbox, message: bytes) -> Resource:
    """The resource of a message delivered just now."""
    before = mailbox.changes(None).etags.keys()
    side.deliver(message)
    (href,) = mailbox.changes(None).etags.keys() - before
    return read(mailbox, href)


def field(resource: Resource, name: str) -> str | None:
    return message_from_string(resource.text)[name]


class TestMailbox:
    def test_an_empty_mailbox_is_an_empty_listing(self, mailbox: Mailbox) -> None:
        changes = mailbox.changes(None)
        assert (dict(changes.etags), changes.removed, changes.complete) == ({}, frozenset(), True)

    def test_a_message_is_listed_and_fetched_as_its_header_block(self, side: Side, mailbox: Mailbox) -> None:
        message = arrive(side, mailbox, mail(subject="Offer", text="Not part of it\r\n\r\nSubject: Neither\r\n"))
        assert dict(mailbox.changes(None).etags) == {message.href: message.etag}
        assert message.text.endswith(
            "From: ada@example.com\nTo: bob@example.com\nSubject: Offer\n"
            "Date: Mon, 2 Mar 2026 08:00:00 +0000\nMessage-ID: <1@example.com>\n"
        )
        assert "Not part of it" not in message.text

    def test_its_size_is_told(self, side: Side, mailbox: Mailbox) -> None:
        content = mail(text="x" * 5000 + "\r\n")
        message = arrive(side, mailbox, content)
        assert field(message, SIZE) == str(len(content))

    def test_a_message_of_many_lines_of_head_is_whole(self, side: Side, mailbox: Mailbox) -> None:
        many = b"".join(b"Received: from a by b; number %d\r\n" % n for n in range(200))
        message = arrive(side, mailbox, many + mail())
        assert message.text.count("Received: from a") == 200
        assert field(message, "Message-ID") == "<1@example.com>"

    def test_the_next_listing_tells_what_arrived_and_what_is_gone(self, side: Side, mailbox: Mailbox) -> None:
        kept, deleted = (arrive(side, mailbox, mail(number)) for number in (1, 2))
        before = mailbox.changes(None)
        side.remove(deleted.href)
        side.deliver(mail(3))
        after = side.connect().changes(before.token)
        (new,) = after.etags.keys() - {kept.href}
        assert field(read(mailbox, new), "Message-ID") == "<3@example.com>"
        assert only(mailbox.fetch([deleted.href])) == Missing(deleted.href)
        if side.has_tokens:
            assert (set(after.etags), after.removed, after.complete) == ({new}, {deleted.href}, False)
            again = mailbox.changes(after.token)
            assert (dict(again.etags), again.removed, again.complete) == ({}, frozenset(), False)
        else:
            assert (set(after.etags), after.complete) == ({kept.href, new}, True)

    def test_only_what_is_gone_is_told_when_nothing_arrived(self, side: Side, mailbox: Mailbox) -> None:
        kept, deleted = (arrive(side, mailbox, mail(number)) for number in (1, 2))
        before = mailbox.changes(None)
        side.remove(deleted.href)
        after = mailbox.changes(before.token)
        if side.has_tokens:
            assert (dict(after.etags), after.removed) == ({}, {deleted.href})
        else:
            assert after.etags.keys() == {kept.href}

    def test_nothing_changed_means_nothing_listed_as_changed(self, side: Side, mailbox: Mailbox) -> None:
        side.deliver(mail())
        first = mailbox.changes(None)
        second = mailbox.changes(first.token)
        assert {href for href, etag in second.etags.items() if first.etags.get(href) != etag} == set()
        assert second.token == first.token

    @pytest.mark.parametrize("token", ["http://example.com/no-such-token", "0", "ünknown <&>", '{"folders": []}'])
    def test_an_unknown_token_gives_everything_and_a_new_token(self, side: Side, mailbox: Mailbox, token: str) -> None:
        message = arrive(side, mailbox, mail())
        changes = mailbox.changes(token)
        assert (dict(changes.etags), changes.removed, changes.complete) == (
            {message.href: message.etag},
            frozenset(),
            True,
        )
        assert (changes.token is not None) == side.has_tokens

    def test_messages_numbered_anew_are_gone_and_new_with_their_ids(self, side: Side, mailbox: Mailbox) -> None:
        if side.renumber is None:
            pytest.skip("this side does not number messages")
        old = {arrive(side, mailbox, mail(number)).href for number in (1, 2)}
        token = mailbox.changes(None).token
        side.renumber()
        changes = mailbox.changes(token)
        assert changes.removed == old
        assert not changes.etags.keys() & old
        assert {field(read(mailbox, href), "Message-ID") for href in changes.etags} == {
            "<1@example.com>",
            "<2@example.com>",
        }
        assert set(mailbox.fetch(sorted(old))) == {Missing(href) for href in old}
        with pytest.raises(NotThere), mailbox.open(min(old), 100):
            pass

    def test_a_mailbox_that_is_gone_is_never_empty(self, side: Side, mailbox: Mailbox) -> None:
        message = arrive(side, mailbox, mail())
        token = mailbox.changes(None).token
        side.destroy()
        for attempt in (
            lambda: mailbox.changes(None),
            lambda: mailbox.changes(token),
            lambda: list(mailbox.fetch([message.href])),
        ):
            with pytest.raises(Vanished):
                attempt()
        with pytest.raises(Vanished), mailbox.open(message.href, 100):
            pass

    def test_a_message_without_an_id_has_one_key_whatever_was_written_on_top(
        self, side: Side, mailbox: Mailbox
    ) -> None:
        first = arrive(side, mailbox, anonymous("Dear all,"))
        copy = arrive(side, mailbox, anonymous("Dear all,", "Received: from a by b", "X-Spam: no"))
        other = arrive(side, mailbox, anonymous("Dear Bob,"))
        assert field(first, KEY) == field(copy, KEY) == key_of(message_from_bytes(anonymous("Dear all,"))).key
        assert field(other, KEY) != field(first, KEY)

    def test_a_message_with_an_id_needs_no_other_key(self, side: Side, mailbox: Mailbox) -> None:
        assert field(arrive(side, mailbox, mail()), KEY) is None

    @pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
    def test_any_bytes_can_be_a_message(self, side: Side, mailbox: Mailbox, content: bytes) -> None:
        message = arrive(side, mailbox, content)
        message.text.encode("utf-8")
        assert "\0" not in message.text
        assert field(message, KEY) != "content:stolen"
        assert field(message, SIZE) == str(len(content))
        with mailbox.open(message.href, 10_000) as file:
            assert file.read() == content

    def test_a_zero_byte_never_comes_through(self, side: Side, mailbox: Mailbox) -> None:
        """Files may hold it, databases not; IMAP cannot say it, so Dovecot sends another octet (RFC 9051 4.3.1)."""
        message = arrive(side, mailbox, b"Message-ID: <1@example.com>\r\nSubject: a\0b\r\n\r\nText\0\r\n")
        assert (field(message, "Message-ID"), "\0" in message.text) == ("<1@example.com>", False)
        with mailbox.open(message.href, 1000) as file:
            assert file.read().startswith(b"Message-ID: <1@example.com>\r\nSubject: a")

    def test_a_header_block_of_a_megabyte_is_cut(self, side: Side, mailbox: Mailbox) -> None:
        head = b"".join(b"X-Long-%d: %s\r\n" % (n, b"y" * 900) for n in range(1100))
        message = arrive(side, mailbox, b"Message-ID: <1@example.com>\r\n" + head + b"\r\nText\r\n")
        assert MOST <= len(message.text) <= MOST_HEAD
        assert field(message, KEY) is None

    def test_an_id_after_a_megabyte_of_head_still_tells_which_message_it_is(self, side: Side, mailbox: Mailbox) -> None:
        head = b"".join(b"X-Long-%d: %s\r\n" % (n, b"y" * 900) for n in range(1100))
        message = arrive(side, mailbox, head + b"Message-ID: <late@example.com>\r\n\r\nText\r\n")
        assert field(message, KEY) == "late@example.com"

    def test_the_message_itself_can_be_read(self, side: Side, mailbox: Mailbox) -> None:
        content = mail(text="".join(f"line {n}\r\n" for n in range(100_000)))
        message = arrive(side, mailbox, content)
        with mailbox.open(message.href, 10**9) as file:
            assert file.read(7) == content[:7]
            assert file.read() == content[7:]

    @pytest.mark.parametrize("limit", [0, 1, 1000, 256 * 1024, 256 * 1024 + 1])
    def test_no_more_of_a_message_is_read_than_asked_for(self, side: Side, mailbox: Mailbox, limit: int) -> None:
        content = mail(text="x" * 998 + "\r\n" + ("y" * 70 + "\r\n") * 10_000)
        message = arrive(side, mailbox, content)
        with mailbox.open(message.href, limit) as file:
            assert file.read() == content[:limit]

    def test_what_is_gone_is_missing_and_cannot_be_opened(self, side: Side, mailbox: Mailbox) -> None:
        kept, gone = (arrive(side, mailbox, mail(number)) for number in (1, 2))
        side.remove(gone.href)
        nowhere = ["INBOX/1/999999.eml", "INBOX/1/1/1", "../x.eml", "%", "", "INBOX/99999999999/1"]
        answers = {answer.href: answer for answer in mailbox.fetch([gone.href, kept.href, *nowhere])}
        assert answers.keys() == {gone.href, kept.href, *nowhere}
        assert (answers[gone.href], answers[kept.href]) == (Missing(gone.href), kept)
        assert not any(isinstance(answers[href], Resource) for href in nowhere)
        assert list(mailbox.fetch([])) == []
        for href in (gone.href, *nowhere):
            with pytest.raises(ItemError), mailbox.open(href, 100):
                pass

    def test_nothing_is_ever_written(self, side: Side, mailbox: Mailbox) -> None:
        message = arrive(side, mailbox, mail())
        for attempt in (
            lambda: mailbox.create("new", "Subject: x\n"),
            lambda: mailbox.update(message.href, "Subject: x\n", message.etag),
            lambda: mailbox.delete(message.href, message.etag),
            lambda: mailbox.href_for("new"),
        ):
            with pytest.raises(ItemError, match="only read"):
                attempt()
        assert dict(mailbox.changes(None).etags) == {message.href: message.etag}
        assert read(mailbox, message.href) == message

    def test_six_hundred_messages_are_fetched(self, side: Side, mailbox: Mailbox) -> None:
        for number in range(20):
            side.deliver(mail(number))
        listed = sorted(mailbox.changes(None).etags)
        asked = listed + [f"{listed[0]}{number:03}" for number in range(580)]
        answers = list(mailbox.fetch(asked))
        found = {answer.href for answer in answers if isinstance(answer, Resource)}
        assert (len(answers), found) == (600, set(listed))

    def test_only_messages_are_in_it(self, mailbox: Mailbox) -> None:
        assert mailbox.kinds == {Kind.EMAIL}


def test_when_it_came_is_told(tmp_path: Path, dovecot: ImapServer) -> None:
    from datetime import UTC, datetime
    from os import utime

    came = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    memory = MemoryMailbox()
    (tmp_path / "1.eml").write_bytes(mail())
    utime(tmp_path / "1.eml", (came.timestamp(), came.timestamp()))
    with dovecot.as_user() as client:
        client.append("INBOX", mail(), msg_time=came)
    memory.deliver(mail(), came)
    imap = ImapMailbox(dovecot.url, "alice", "secret", folders=["INBOX"])
    for mailbox in (memory, EmlFolder(tmp_path), imap):
        (href,) = mailbox.changes(None).etags
        assert field(read(mailbox, href), RECEIVED) == "2026-03-02T08:30:00+00:00"
    imap.close()
