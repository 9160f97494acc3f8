"""What only an IMAP connector meets: flags, folders, expunged messages, lesser servers, broken connections."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.imap import known
from connectors.imap.known import Ask, Status
from connectors.imap.mailbox import ImapMailbox
from syncengine.core.mime.envelope import SIZE
from syncengine.errors import (
    ConfigError,
    ItemError,
    LoginRefused,
    NotThere,
    SideError,
    SyncEngineError,
    Unreachable,
    Vanished,
)
from syncengine.model.pim import Missing, PimChanges, Resource, Unreadable
from tests.imap_server import WITHOUT_CONDSTORE, ImapServer, Relay, start, token

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def mail(number: int) -> bytes:
    return f"Message-ID: <{number}@example.com>\r\nSubject: Number {number}\r\n\r\nText of {number}\r\n".encode()


def put(server: ImapServer, *numbers: int, folder: str = "INBOX", flags: tuple[bytes, ...] = ()) -> None:
    with server.as_user() as client:
        for number in numbers:
            client.append(folder, mail(number), flags)


def flag(server: ImapServer, add: bool, name: bytes, *uids: int, folder: str = "INBOX") -> None:
    with server.as_user() as client:
        client.select_folder(folder)
        (client.add_flags if add else client.remove_flags)(uids, [name])


def delete(server: ImapServer, *uids: int, folder: str = "INBOX") -> None:
    with server.as_user() as client:
        client.select_folder(folder)
        client.delete_messages(uids)
        client.expunge()


def messages(mailbox: ImapMailbox, changes: PimChanges) -> set[int]:
    """The numbers of the messages that a listing tells of."""
    found = list(mailbox.fetch(sorted(changes.etags)))
    texts = [one.text for one in found if isinstance(one, Resource)]
    assert len(texts) == len(found), found
    return {int(text.partition("Subject: Number ")[2].split()[0]) for text in texts}


@pytest.fixture
def mailbox(relay: Relay) -> Iterator[ImapMailbox]:
    """Alice's mailbox as a user gets it who says nothing about folders."""
    connection = ImapMailbox(relay.url, "alice", "secret")
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def running_without_condstore() -> Iterator[ImapServer]:
    server = start(WITHOUT_CONDSTORE)
    yield server
    server.stop()


@pytest.fixture(params=["dovecot", "without CONDSTORE"])
def either(request: pytest.FixtureRequest) -> ImapServer:
    if request.param == "dovecot":
        return request.getfixturevalue("dovecot")
    server: ImapServer = request.getfixturevalue("running_without_condstore")
    server.emptied()
    return server


@pytest.fixture
def plain(either: ImapServer) -> Iterator[tuple[ImapMailbox, Relay]]:
    """A mailbox on a server that numbers changes, and on one that does not."""
    relay = Relay(either)
    connection = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX"])
    yield connection, relay
    connection.close()
    relay.close()


class TestHowMuchIsAsked:
    def test_nothing_new_costs_a_status_for_each_folder(self, dovecot: ImapServer, relay: Relay) -> None:
        put(dovecot, *range(5))
        first = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX", "Sent"])
        token = first.changes(None).token
        first.close()
        relay.asked()
        second = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX", "Sent"])
        changes = second.changes(token)
        second.close()
        assert (dict(changes.etags), changes.removed, changes.token) == ({}, frozenset(), token)
        what = "(UIDVALIDITY UIDNEXT MESSAGES HIGHESTMODSEQ)"
        assert relay.asked() == [f'STATUS "INBOX" {what}', f'STATUS "Sent" {what}']

    def test_the_default_folders_cost_one_list_more(self, mailbox: ImapMailbox, relay: Relay) -> None:
        token = mailbox.changes(None).token
        mailbox.close()
        relay.asked()
        mailbox.changes(token)
        assert [line.split()[0] for line in relay.asked()] == ["LIST", "STATUS", "STATUS"]

    def test_the_open_folder_is_closed_before_its_status_is_asked(
        self, mailbox: ImapMailbox, dovecot: ImapServer, relay: Relay
    ) -> None:
        put(dovecot, 1)
        changes = mailbox.changes(None)
        list(mailbox.fetch(sorted(changes.etags)))
        relay.asked()
        mailbox.changes(changes.token)
        assert [line.split()[0] for line in relay.asked()] == ["LIST", "CLOSE", "STATUS", "STATUS"]

    def test_new_mail_is_asked_for_by_its_number(self, plain: tuple[ImapMailbox, Relay], either: ImapServer) -> None:
        mailbox, relay = plain
        put(either, *range(20))
        token = mailbox.changes(None).token
        put(either, 20)
        relay.asked()
        changes = mailbox.changes(token)
        assert messages(mailbox, changes) == {20}
        searches = [line for line in relay.asked() if "SEARCH" in line]
        assert searches
        assert all("UID 21:*" in line or "MODSEQ" in line for line in searches)

    def test_two_thousand_messages_take_a_dozen_questions(
        self, mailbox: ImapMailbox, dovecot: ImapServer, relay: Relay
    ) -> None:
        for number in range(2000):
            dovecot.drop("INBOX", mail(number))
        relay.asked()
        changes = mailbox.changes(None)
        assert messages(mailbox, changes) == set(range(2000))
        asked = [line.split()[0:2] for line in relay.asked()]
        assert sum(line == ["UID", "FETCH"] for line in asked) == 10
        assert len(asked) <= 20

    def test_a_listing_is_asked_for_in_parts(self, dovecot: ImapServer) -> None:
        put(dovecot, *range(11))
        delete(dovecot, 3, 4)
        mailbox = ImapMailbox(dovecot.url, "alice", "secret", folders=["INBOX"], searched=3)
        assert messages(mailbox, mailbox.changes(None)) == set(range(11)) - {2, 3}
        mailbox.close()


class TestWhatChanged:
    def test_new_mail_is_told_once(self, plain: tuple[ImapMailbox, Relay], either: ImapServer) -> None:
        mailbox, _ = plain
        put(either, 1)
        first = mailbox.changes(None)
        put(either, 2, 3)
        second = mailbox.changes(first.token)
        third = mailbox.changes(second.token)
        assert [messages(mailbox, changes) for changes in (first, second, third)] == [{1}, {2, 3}, set()]
        assert not second.complete
        assert second.removed == frozenset()

    def test_the_last_message_is_not_told_again_because_a_set_ends_in_a_star(
        self, plain: tuple[ImapMailbox, Relay], either: ImapServer
    ) -> None:
        """After all that arrived was deleted UIDNEXT has grown, and `n:*` names the last message there is."""
        mailbox, relay = plain
        put(either, 1, 2)
        token = mailbox.changes(None).token
        put(either, 3)
        delete(either, 3)
        relay.asked()
        changes = mailbox.changes(token)
        assert not any("1:*" in line for line in relay.asked())  # nor is the folder listed anew
        assert (dict(changes.etags), changes.removed) == ({}, frozenset())
        assert (dict(mailbox.changes(changes.token).etags)) == {}

    def test_what_arrived_and_what_was_expunged_in_one_moment(
        self, plain: tuple[ImapMailbox, Relay], either: ImapServer
    ) -> None:
        mailbox, _ = plain
        put(either, 1, 2, 3)
        before = mailbox.changes(None)
        delete(either, 2)
        put(either, 4)
        after = mailbox.changes(before.token)
        assert messages(mailbox, after) == {4}
        assert {known.split(href).uid for href in after.removed} == {2}
        assert list(mailbox.fetch(sorted(after.removed))) == [Missing(href) for href in after.removed]
        again = mailbox.changes(after.token)
        assert (dict(again.etags), again.removed) == ({}, frozenset())

    def test_a_message_moved_to_another_folder_is_gone_here_and_new_there(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        put(dovecot, 1, 2)
        before = mailbox.changes(None)
        with dovecot.as_user() as client:
            client.select_folder("INBOX")
            client.move([1], "Sent")
        after = mailbox.changes(before.token)
        assert messages(mailbox, after) == {1}
        assert [href.split("/")[0] for href in after.etags] == ["Sent"]
        assert [href.split("/")[0] for href in after.removed] == ["INBOX"]

    def test_a_copy_in_two_folders_is_two_messages(self, mailbox: ImapMailbox, dovecot: ImapServer) -> None:
        put(dovecot, 1)
        put(dovecot, 1, folder="Sent")
        changes = mailbox.changes(None)
        assert len(changes.etags) == 2
        assert messages(mailbox, changes) == {1}

    def test_drafts_and_deleted_messages_are_left_out(
        self, plain: tuple[ImapMailbox, Relay], either: ImapServer
    ) -> None:
        mailbox, _ = plain
        put(either, 1)
        put(either, 2, flags=(b"\\Draft",))
        put(either, 3, flags=(b"\\Deleted",))
        first = mailbox.changes(None)
        put(either, 4, flags=(b"\\Draft",))
        put(either, 5)
        second = mailbox.changes(first.token)
        assert [messages(mailbox, changes) for changes in (first, second)] == [{1}, {5}]
        one = next(iter(first.etags))
        for uid in (2, 3, 4):
            hidden = one.rpartition("/")[0] + f"/{uid}"
            assert list(mailbox.fetch([hidden])) == [Missing(hidden)]

    def test_a_message_marked_as_deleted_is_gone_and_comes_back(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        """Where the server numbers changes; where not, it is seen when the folder is listed anew."""
        put(dovecot, 1, 2)
        first = mailbox.changes(None)
        flag(dovecot, True, b"\\Deleted", 1)
        second = mailbox.changes(first.token)
        flag(dovecot, False, b"\\Deleted", 1)
        third = mailbox.changes(second.token)
        assert ({known.split(href).uid for href in second.removed}, dict(second.etags)) == ({1}, {})
        assert (third.removed, messages(mailbox, third)) == (frozenset(), {1})

    def test_a_message_that_was_read_is_no_change(self, plain: tuple[ImapMailbox, Relay], either: ImapServer) -> None:
        mailbox, _ = plain
        put(either, 1, 2)
        token = mailbox.changes(None).token
        flag(either, True, b"\\Seen", 1)
        changes = mailbox.changes(token)
        assert (dict(changes.etags), changes.removed, changes.complete) == ({}, frozenset(), False)

    def test_nothing_on_the_server_is_touched(self, mailbox: ImapMailbox, dovecot: ImapServer, relay: Relay) -> None:
        put(dovecot, 1)
        (href,) = mailbox.changes(None).etags
        list(mailbox.fetch([href]))
        with mailbox.open(href, 10_000) as file:
            assert file.read() == mail(1)
        with dovecot.as_user() as client:
            client.select_folder("INBOX", readonly=True)
            assert client.get_flags([1])[1] == (b"\\Recent",)
        assert not any(line.startswith("SELECT") for line in relay.asked())


class TestWindow:
    @pytest.fixture
    def windowed(self, dovecot: ImapServer) -> list[datetime]:
        """Messages 0 … 9, so many days old; the clock of the mailbox."""
        with dovecot.as_user() as client:
            for days in range(10):
                client.append("INBOX", mail(days), msg_time=NOW - days * DAY)
        return [NOW]

    def test_only_what_came_lately_is_looked_at(self, dovecot: ImapServer, windowed: list[datetime]) -> None:
        mailbox = ImapMailbox(dovecot.url, "alice", "secret", since=5, clock=lambda: windowed[0])
        changes = mailbox.changes(None)
        assert set(range(6)) <= messages(mailbox, changes) <= set(range(7))
        mailbox.close()

    def test_what_leaves_the_window_is_not_gone(self, dovecot: ImapServer, windowed: list[datetime]) -> None:
        mailbox = ImapMailbox(dovecot.url, "alice", "secret", since=5, clock=lambda: windowed[0])
        first = mailbox.changes(None)
        windowed[0] = NOW + 4 * DAY
        second = mailbox.changes(first.token)
        delete(dovecot, 10)  # the folder is listed anew
        put(dovecot, 20)
        third = mailbox.changes(second.token)
        assert (dict(second.etags), second.removed) == ({}, frozenset())
        assert (messages(mailbox, third), third.removed) == ({20}, frozenset())
        old = sorted(first.etags)
        assert all(isinstance(one, Resource) for one in mailbox.fetch(old))
        delete(dovecot, 1, 6)
        gone = mailbox.changes(third.token).removed
        assert {known.split(href).uid for href in gone} == {1, 6}
        mailbox.close()

    def test_a_wider_window_shows_more_without_telling_anything_twice(
        self, dovecot: ImapServer, windowed: list[datetime]
    ) -> None:
        narrow = ImapMailbox(dovecot.url, "alice", "secret", since=1, clock=lambda: windowed[0])
        first = narrow.changes(None)
        wide = ImapMailbox(dovecot.url, "alice", "secret", clock=lambda: windowed[0])
        second = wide.changes(first.token)
        assert set(first.etags) | set(second.etags) == set(wide.changes(None).etags)
        assert not set(first.etags) & set(second.etags)
        assert second.removed == frozenset()
        narrow.close()
        wide.close()


class TestFolders:
    def test_sent_mail_belongs_to_the_mailbox_drafts_and_the_bin_do_not(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        with dovecot.as_user() as client:
            client.create_folder("Work")
        for number, folder in enumerate(("INBOX", "Sent", "Drafts", "Trash", "Work")):
            put(dovecot, number, folder=folder)
        assert messages(mailbox, mailbox.changes(None)) == {0, 1}

    def test_names_of_folders_are_told_from_the_slashes_of_an_href(self, dovecot: ImapServer) -> None:
        names = ["a/b", "a%2Fb", "Grüße", 'quote"d \\ and & so on', "1"]
        with dovecot.as_user() as client:
            for number, name in enumerate(names):
                client.create_folder(name)
                client.append(name, mail(number))
        mailbox = ImapMailbox(dovecot.url, "alice", "secret", folders=names)
        changes = mailbox.changes(None)
        assert messages(mailbox, changes) == set(range(5))
        assert {known.split(href).folder for href in changes.etags} == set(names)
        mailbox.close()

    def test_a_renamed_folder_has_vanished(self, dovecot: ImapServer) -> None:
        with dovecot.as_user() as client:
            client.create_folder("Work")
            client.append("Work", mail(1))
        mailbox = ImapMailbox(dovecot.url, "alice", "secret", folders=["INBOX", "Work"])
        changes = mailbox.changes(None)
        with dovecot.as_user() as client:
            client.rename_folder("Work", "Play")
        for attempt in (lambda: mailbox.changes(changes.token), lambda: list(mailbox.fetch(changes.etags.keys()))):
            with pytest.raises(Vanished, match="'Work'"):
                attempt()
        mailbox.close()

    def test_a_folder_for_sent_mail_that_is_gone_is_not_forgotten(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        """Dovecot makes one of its own when it is gone; then its messages are gone, too, but not before."""
        put(dovecot, 1, folder="Sent")
        token = mailbox.changes(None).token.replace('"Sent"', '"Sent Things"')
        with pytest.raises(Vanished, match="'Sent Things'"):
            mailbox.changes(token)

    def test_a_folder_no_longer_chosen_loses_nothing(self, dovecot: ImapServer) -> None:
        put(dovecot, 1)
        put(dovecot, 2, folder="Sent")
        both = ImapMailbox(dovecot.url, "alice", "secret", folders=["INBOX", "Sent"])
        first = both.changes(None)
        one = ImapMailbox(dovecot.url, "alice", "secret", folders=["inbox"])
        second = one.changes(first.token)
        assert (dict(second.etags), second.removed) == ({}, frozenset())
        assert all(isinstance(found, Resource) for found in one.fetch(sorted(first.etags)))
        both.close()
        one.close()

    def test_an_account_sees_its_own_mail_alone(self, dovecot: ImapServer) -> None:
        put(dovecot, 1)
        bob = ImapMailbox(dovecot.url, "bob", "secret")
        assert dict(bob.changes(None).etags) == {}
        bob.close()


class TestLargeAndDamaged:
    def test_a_message_of_two_hundred_megabytes_costs_little_memory(self, dovecot: ImapServer) -> None:
        """In a process of its own, whose peak can be told."""
        line = b"x" * 76 + b"\r\n"
        dovecot.drop("INBOX", b"Message-ID: <big@example.com>\r\nSubject: Big\r\n\r\n" + line * (200_000_000 // 78))
        done = subprocess.run(
            [sys.executable, "-c", READS_A_LARGE_ONE, dovecot.url], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        size, read, grown = map(int, done.stdout.split())
        assert size > 199_000_000
        assert read == 1_000_000
        assert grown < 20_000  # kilobytes

    def test_what_another_program_expunges_meanwhile_is_missing(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        put(dovecot, 1, 2, 3)
        hrefs = sorted(mailbox.changes(None).etags)
        delete(dovecot, 2)
        answers = list(mailbox.fetch(hrefs))
        assert [type(one) for one in answers] == [Resource, Missing, Resource]
        delete(dovecot, 1)
        with pytest.raises(NotThere), mailbox.open(hrefs[0], 100):
            pass

    def test_a_message_the_server_cannot_read_does_not_hide_the_others(
        self, mailbox: ImapMailbox, dovecot: ImapServer
    ) -> None:
        put(dovecot, 1, 2, 3)
        hrefs = sorted(mailbox.changes(None).etags)
        (broken,) = (p for p in (dovecot.home / "mail" / "alice").glob("[cn][ue][rw]/*") if b"<1@" in p.read_bytes())
        broken.chmod(0)
        answers = list(mailbox.fetch(hrefs))
        assert {type(one) for one in answers if one.href != hrefs[0]} == {Resource}
        assert isinstance(answers[[one.href for one in answers].index(hrefs[0])], Unreadable)
        with pytest.raises(ItemError, match="cannot give"), mailbox.open(hrefs[0], 100):
            pass


READS_A_LARGE_ONE = f"""
import pathlib, sys
from connectors.imap.mailbox import ImapMailbox
from syncengine.core.mime.envelope import SIZE

def most():  # not ru_maxrss: that begins with what the parent had
    return int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

mailbox = ImapMailbox(sys.argv[1], "alice", "secret")
changes = mailbox.changes(None)
before = most()
(message,) = mailbox.fetch(list(changes.etags))
(size,) = [line.split()[1] for line in message.text.splitlines() if line.startswith("{SIZE}:")]
with mailbox.open(message.href, 1_000_000) as file:
    read = len(file.read())
with mailbox.open(message.href, 30_000_000) as file:
    assert file.seek(0, 2) == 30_000_000
print(size, read, most() - before)
mailbox.close()
"""


class TestWhatGoesWrong:
    def test_a_wrong_password_is_refused_and_not_shown(self, dovecot: ImapServer) -> None:
        for password in ("not-the-right-one", "geheim-Grüße-☃", 'quo"te\\d'):
            mailbox = ImapMailbox(dovecot.url, "alice", password)
            with pytest.raises(LoginRefused) as refused:
                mailbox.changes(None)
            assert password not in str(refused.value)
            assert refused.value.__cause__ is None

    def test_a_connection_that_breaks_at_any_point_is_unreachable(self, dovecot: ImapServer, relay: Relay) -> None:
        put(dovecot, 1)
        whole = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX"])
        hrefs = sorted(whole.changes(None).etags)
        list(whole.fetch(hrefs))
        whole.close()
        total, broken = relay.received, 0
        for cut in range(0, total - 150, 151):  # the goodbye at the end may break without harm
            relay.received, relay.cut_at = 0, cut
            mailbox = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX"])
            with pytest.raises(Unreachable) as error:
                (mailbox.changes(None), list(mailbox.fetch(hrefs)))
            assert "secret" not in str(error.value)
            mailbox.close()
            broken += 1
        assert broken >= 10

    def test_a_connection_that_ended_between_two_calls_is_made_again(
        self, mailbox: ImapMailbox, dovecot: ImapServer, relay: Relay
    ) -> None:
        put(dovecot, 1)
        token = mailbox.changes(None).token
        relay.hang_up()
        put(dovecot, 2)
        changes = mailbox.changes(token)
        relay.hang_up()
        assert messages(mailbox, changes) == {2}
        relay.hang_up()
        with mailbox.open(next(iter(changes.etags)), 100) as file:
            assert file.read() == mail(2)

    def test_nobody_answers(self, relay: Relay) -> None:
        relay.close()
        with pytest.raises(Unreachable, match="cannot be reached"):
            ImapMailbox(relay.url, "alice", "secret").changes(None)

    @pytest.mark.parametrize(
        "said",
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0", b"* BYE too many\r\n", b"* OK hi\r\n* CAPABILITY\r\n", b""],
    )
    def test_something_else_answers(self, relay: Relay, said: bytes) -> None:
        relay.instead = said
        with pytest.raises(Unreachable):
            ImapMailbox(relay.url, "alice", "secret").changes(None)

    def test_a_literal_of_four_gigabytes_is_not_awaited(self, dovecot: ImapServer, relay: Relay) -> None:
        put(dovecot, 1)
        mailbox = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX"])
        hrefs = sorted(mailbox.changes(None).etags)
        size = mail(1).index(b"Text")
        relay.replaced = (b"<0> {%d}" % size, b"<0> {4000000000}")
        (answer,) = mailbox.fetch(hrefs)
        assert isinstance(answer, Unreadable)
        relay.replaced = (b"", b"")
        (answer,) = mailbox.fetch(hrefs)
        assert isinstance(answer, Resource)
        mailbox.close()

    def test_one_message_among_many_that_makes_the_server_hang_up_is_found(
        self, dovecot: ImapServer, relay: Relay
    ) -> None:
        for number in range(50):
            dovecot.drop("INBOX", mail(number))
        mailbox = ImapMailbox(relay.url, "alice", "secret", folders=["INBOX"])
        hrefs = sorted(mailbox.changes(None).etags)
        broken = sorted((dovecot.home / "mail" / "alice").glob("[cn][ue][rw]/*"))[17]
        broken.chmod(0)
        answers = list(mailbox.fetch(hrefs))
        assert {answer.href for answer in answers} == set(hrefs)
        assert sorted(type(answer).__name__ for answer in answers) == ["Resource"] * 49 + ["Unreadable"]
        mailbox.close()

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("https://example.com", "not the address of a mail server"),
            ("imaps://", "not the address of a mail server"),
            ("imaps://example.com:port", "not the address of a mail server"),
            ("imaps://example.com/INBOX", "not the address of a mail server"),
            ("imaps://alice:secret@example.com", "holds a user name or password"),
        ],
    )
    def test_an_address_that_is_none(self, url: str, words: str) -> None:
        with pytest.raises(ConfigError, match=words) as error:
            ImapMailbox(url, "alice", "secret")
        assert "secret" not in str(error.value)

    def test_a_way_to_log_in_that_is_none(self) -> None:
        with pytest.raises(ConfigError, match="no way to log in"):
            ImapMailbox("imaps://example.com", "alice", "secret", auth="kerberos")


@pytest.fixture(scope="module")
def encrypted() -> Iterator[ImapServer]:
    server = start(tls=True)
    yield server
    server.stop()


class TestEncryption:
    def test_a_certificate_that_is_known_is_trusted(self, encrypted: ImapServer) -> None:
        mailbox = ImapMailbox(encrypted.tls_url, "alice", "secret", verify=encrypted.certificate)
        assert dict(mailbox.changes(None).etags) == {}
        mailbox.close()

    def test_starttls_comes_before_the_password(self, encrypted: ImapServer) -> None:
        relay = Relay(encrypted)
        url = relay.url.replace("127.0.0.1", "localhost")
        mailbox = ImapMailbox(url, "alice", "secret", verify=encrypted.certificate)
        assert dict(mailbox.changes(None).etags) == {}
        assert [line.split()[1] for line in bytes(relay.said).splitlines()[:2]] == [b"CAPABILITY", b"STARTTLS"]
        assert b"AUTHENTICATE" not in relay.said
        mailbox.close()
        relay.close()

    @pytest.mark.parametrize("scheme", ["imap", "imaps"])
    def test_an_unknown_certificate_is_not_trusted(self, encrypted: ImapServer, scheme: str) -> None:
        port = encrypted.port if scheme == "imap" else encrypted.tls_port
        with pytest.raises(SideError, match="certificate is not trusted"):
            ImapMailbox(f"{scheme}://localhost:{port}", "alice", "secret").changes(None)

    def test_a_certificate_for_another_name_is_not_trusted(self, encrypted: ImapServer) -> None:
        url = encrypted.tls_url.replace("localhost", "127.0.0.1")
        with pytest.raises(SideError, match="certificate is not trusted"):
            ImapMailbox(url, "alice", "secret", verify=encrypted.certificate).changes(None)

    def test_tls_to_a_port_without_is_said_in_words(self, dovecot: ImapServer) -> None:
        with pytest.raises(SyncEngineError, match="No encrypted connection"):
            ImapMailbox(dovecot.url.replace("imap:", "imaps:"), "alice", "secret").changes(None)


class TestAccessTokens:
    @pytest.fixture(params=["xoauth2 oauthbearer", "xoauth2"])
    def server(self, request: pytest.FixtureRequest) -> Iterator[ImapServer]:
        server = start(tokens=request.param)
        yield server
        server.stop()

    def test_a_token_opens_the_mailbox_of_its_user_alone(self, server: ImapServer) -> None:
        put(server, 1)
        mailbox = ImapMailbox(server.url, "alice", token("alice"), auth="oauth2")
        assert messages(mailbox, mailbox.changes(None)) == {1}
        mailbox.close()
        for wrong in (token("bob"), token("alice", key=b"x" * 32), token("alice", valid_until=10**9), "none", "a\1b"):
            with pytest.raises(LoginRefused) as refused:
                ImapMailbox(server.url, "alice", wrong, auth="oauth2").changes(None)
            assert wrong not in str(refused.value)


class TestTokens:
    """What is asked because of what is known; the rows that Dovecot cannot be brought to show."""

    SEEN = known.Seen(Status(7, 10, 5, 100), frozenset({1, 2, 9}))

    @pytest.mark.parametrize(
        ("now", "asked"),
        [
            (Status(7, 10, 5, 100), Ask.NOTHING),
            (Status(7, 11, 6, 101), Ask.NEWS),
            (Status(7, 10, 5, 101), Ask.NEWS),
            (Status(7, 10, 4, 101), Ask.ALL),
            (Status(8, 10, 5, 100), Ask.ALL),
            (Status(7, 9, 5, 100), Ask.ALL),  # a backup was played back under the same UIDVALIDITY
            (Status(7, 10, 5, 99), Ask.ALL),
            (Status(7, 10, 5, None), Ask.NEWS),  # the server was replaced by one that numbers no changes
        ],
    )
    def test_what_is_asked(self, now: Status, asked: Ask) -> None:
        assert known.ask(self.SEEN, now, same_window=True) is asked
        assert known.ask(self.SEEN, now, same_window=False) is Ask.ALL
        assert known.ask(None, now, same_window=True) is Ask.ALL

    @pytest.mark.parametrize("uids", [set(), {1}, {1, 2, 3}, {1, 3, 5}, {1, 2, 4, 5, 4294967295}])
    def test_a_token_says_what_it_was_told(self, uids: set[int]) -> None:
        token = known.Token(30, {'a"/b ☃': known.Seen(Status(1, 2, 3, None), frozenset(uids))})
        assert known.read(known.write(token)) == token

    def test_what_is_no_token_of_ours_is_none(self) -> None:
        for text in (None, "", "0", "null", "[]", '"x"', '{"since": 1}', '{"since": 1, "folders": {"a": {}}}', "{"):
            assert known.read(text) is None
