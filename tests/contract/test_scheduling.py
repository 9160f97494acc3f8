"""Nothing the product writes makes a calendar server send an invitation, update, answer or cancellation.

On a real Cyrus, where a meeting that one saves is an invitation to the other: every write is looked at from both
sides, first with the server's scheduling let loose, to see that it would be noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from connectors.caldav.pim import CaldavPim
from syncengine.model.pim import Resource, Scheduling
from tests.cyrus import Mailboxes
from tests.dav_servers import DavServer
from tests.dav_stage import Reply, Stage

LOUD, SILENT = Scheduling.SEND, Scheduling.SILENT


@dataclass(frozen=True)
class Pair:
    """alice and bob on one server, with the calendars invitations go to."""

    server: DavServer
    mail: Mailboxes

    def pim(self, user: str, scheduling: Scheduling = SILENT) -> CaldavPim:
        return CaldavPim(
            f"{self.server.home_of(user)}Default/", user + self.server.suffix, "secret", scheduling=scheduling
        )

    def meeting(self, *more: str) -> str:
        alice, bob = (self.mail.address(name) for name in ("alice", "bob"))
        lines = [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", "BEGIN:VEVENT", "UID:meet",
            "DTSTAMP:20260101T000000Z", "DTSTART:20270302T090000Z", "DTEND:20270302T100000Z", "SUMMARY:Meeting",
            f"ORGANIZER:mailto:{alice}", f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{alice}",
            f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{bob}", *more, "END:VEVENT", "END:VCALENDAR",
        ]  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines)

    def invite(self) -> None:
        """alice's calendar program saves the meeting."""
        self.pim("alice", LOUD).create("meet.ics", self.meeting())

    def only(self, user: str) -> Resource:
        pim = self.pim(user)
        (found,) = pim.fetch(sorted(pim.changes(None).etags))
        assert isinstance(found, Resource), found
        return found

    def edit(self, user: str, scheduling: Scheduling, old: str, new: str) -> None:
        item = self.only(user)
        assert old in item.text, item.text
        self.pim(user, scheduling).update(item.href, item.text.replace(old, new), item.etag)

    def delete(self, user: str, scheduling: Scheduling) -> None:
        item = self.only(user)
        self.pim(user, scheduling).delete(item.href, item.etag)


@pytest.fixture
def pair(cyrus: DavServer) -> Pair:
    return Pair(cyrus, Mailboxes(cyrus))


def create(pair: Pair, how: Scheduling) -> None:
    pair.pim("alice", how).create("meet.ics", pair.meeting())


def move(pair: Pair, how: Scheduling) -> None:
    pair.edit("alice", how, "T090000Z", "T080000Z")


def cancel(pair: Pair, how: Scheduling) -> None:
    pair.delete("alice", how)


def accept(pair: Pair, how: Scheduling) -> None:
    pair.edit("bob", how, "NEEDS-ACTION", "ACCEPTED")


def leave(pair: Pair, how: Scheduling) -> None:
    pair.delete("bob", how)


@pytest.mark.parametrize("how", Scheduling)
@pytest.mark.parametrize(
    ("write", "writer"), [(create, "alice"), (move, "alice"), (cancel, "alice"), (accept, "bob"), (leave, "bob")]
)
def test_a_write_is_heard_only_where_the_user_wants_it(
    pair: Pair, write: Callable[[Pair, Scheduling], None], writer: str, how: Scheduling
) -> None:
    if write is not create:
        pair.invite()
    before = pair.mail.state(writer)
    write(pair, how)
    assert (pair.mail.state(writer) == before) is (how is SILENT)


def test_what_was_written_silently_goes_out_with_the_organizers_own_next_change(pair: Pair) -> None:
    """Silence concerns the one write: the meeting stays one that the server takes care of."""
    pair.invite()
    pair.edit("alice", SILENT, "SUMMARY:Meeting", "SUMMARY:Meeting\r\nLOCATION:Room 2")
    assert "Room 2" not in pair.only("bob").text
    pair.edit("alice", LOUD, "T090000Z", "T080000Z")
    assert "LOCATION:Room 2" in pair.only("bob").text
    assert "T080000Z" in pair.only("bob").text


def test_an_invitee_still_answers_after_a_silent_change(pair: Pair) -> None:
    pair.invite()
    pair.edit("alice", SILENT, "SUMMARY:Meeting", "SUMMARY:Renamed")
    pair.edit("bob", LOUD, "NEEDS-ACTION", "ACCEPTED")
    assert "NEEDS-ACTION" not in pair.only("alice").text
    assert "SUMMARY:Renamed" in pair.only("alice").text


class TestWhoMails:
    """A server that cannot be kept from it is known as one."""

    @pytest.fixture
    def stage(self) -> Iterator[Stage]:
        stage = Stage()
        yield stage
        stage.server.shutdown()
        stage.server.server_close()

    @pytest.mark.parametrize(
        ("headers", "mails"),
        [
            ({"DAV": "1, 3, calendar-access"}, False),
            ({}, False),
            ({"DAV": "1, calendar-access, calendar-auto-schedule"}, True),
            ({"DAV": "1, calendar-auto-schedule", "Server": "Cyrus-HTTP/3.8.0"}, False),
            ({"DAV": "1, calendar-auto-schedule", "Server": "Cyrus-HTTP/2.5.10"}, True),
            ({"DAV": "1, calendar-auto-schedule", "Server": "Apache"}, True),
            ({"DAV": "1, calendar-auto-schedule", "X-Sabre-Version": "4.6.0"}, False),
            ({"dav": "calendar-auto-schedule, nc-calendar-search"}, False),
        ],
    )
    def test_a_server_says_what_it_does(self, stage: Stage, headers: dict[str, str], mails: bool) -> None:
        stage.script = [Reply(200, headers=headers)]
        pim = stage.pim()
        assert (pim.mails_attendees, pim.mails_attendees) == (mails, mails)
        assert [method for method, _ in stage.asked] == ["OPTIONS"]

    def test_a_server_without_an_answer_schedules_nothing(self, stage: Stage) -> None:
        stage.script = [Reply(405)]
        assert not stage.pim().mails_attendees

    @pytest.mark.parametrize(("name", "mails"), [("radicale", False), ("xandikos", True), ("cyrus", False)])
    def test_real_servers(self, name: str, mails: bool, request: pytest.FixtureRequest) -> None:
        server: DavServer = request.getfixturevalue(name)
        assert CaldavPim(server.make_collection(), server.username, server.password).mails_attendees is mails

    @pytest.mark.parametrize(("scheduling", "value"), [(SILENT, "F"), (LOUD, None)])
    def test_every_write_asks_for_silence_unless_told_otherwise(
        self, stage: Stage, scheduling: Scheduling, value: str | None
    ) -> None:
        stage.script = lambda _: Reply(204)
        pim = stage.pim(scheduling=scheduling)
        pim.create("a.ics", "")
        pim.update("a.ics", "", '"1"')
        pim.delete("a.ics", '"1"')
        for name in ("Scheduling-Enabled", "Schedule-Reply"):
            assert [asked.headers.get(name) for asked in stage.requests] == [value] * 3
