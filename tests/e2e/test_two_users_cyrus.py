"""alice invites bob on a real Cyrus, which delivers the invitation; both synchronize from the command line with one
served activity server, in every order.

After every run: no conflict is held, and nothing of what the run wrote made the calendar server send anything. So
whatever arrives in the other's calendar comes from what people do with their calendar programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cyrus import Mailboxes
from tests.dav_servers import DavServer
from tests.e2e.desk import GENERIC, Commands, Desk, event, writes
from tests.e2e.served import client_of, served

PIM = """[[pim]]
name = "calendar"
connector = "caldav"
url = "{url}"
username = "{user}"
password = "secret"
"""
MEETING = "meeting@example.com"
NOTHING = {"created": 0, "updated": 0, "deleted": 0}


@dataclass
class Person:
    """A user with a calendar program of their own, which lets the server schedule, and a desk to synchronize from."""

    name: str
    address: str
    server: DavServer
    mail: Mailboxes
    desk: Desk

    # --- with the calendar program ---

    @property
    def calendar(self) -> str:
        return f"{self.server.home_of(self.name)}Default/"

    def entries(self) -> dict[str, str]:
        """The meetings in the calendar: name → text."""
        names = self.mail.listing(self.name, "Default")
        texts = {n: self.server.request("GET", self.calendar + n, user=self.name).text for n in names}
        return {name: text for name, text in texts.items() if f"UID:{MEETING}" in text}

    def entry(self) -> str:
        (text,) = self.entries().values()
        return text

    def saves(self, text: str, name: str = "meeting.ics") -> None:
        self.server.request("PUT", self.calendar + name, user=self.name, body=text)

    def edits(self, old: str, new: str) -> None:
        ((name, text),) = self.entries().items()
        assert old in text, text
        self.saves(text.replace(old, new), name)

    def answers(self, partstat: str) -> None:
        """Accept or decline the one invitation there is."""
        ((name, text),) = self.entries().items()
        unfolded = text.replace("\r\n ", "")
        mine = re.compile(rf"^(ATTENDEE[^\r\n]*PARTSTAT=)[A-Z-]+([^\r\n]*:mailto:{self.address})$", re.MULTILINE)
        answered, count = mine.subn(rf"\g<1>{partstat}\g<2>", unfolded.replace("\r\n", "\n"))
        assert count == 1, unfolded
        self.saves(answered.replace("\n", "\r\n"), name)

    def deletes(self) -> None:
        (name,) = self.entries()
        self.server.request("DELETE", self.calendar + name, user=self.name)

    # --- with the product ---

    def syncs(self) -> dict[str, Any]:
        """A run that holds nothing and makes the calendar server send nothing; its report."""
        before = self.mail.state(writer=self.name)
        report = self.desk.sync()
        assert self.mail.state(writer=self.name) == before
        assert (report["held"], report["failed"]) == (0, 0), report
        return report

    def activities(self) -> list[dict[str, Any]]:
        """The meeting as the server shows it to this user; what else there is is nobody else's."""
        found = self.desk.good("activities", "--json").json
        return [a for a in found if a["integration_id"] == MEETING]

    def activity(self) -> dict[str, Any]:
        (found,) = self.activities()
        return found


class Two:
    def __init__(self, alice: Person, bob: Person) -> None:
        self.alice, self.bob = alice, bob

    def meeting(self, *invited: Person) -> str:
        """alice's entry, with those invited."""
        people = [f"ORGANIZER:mailto:{self.alice.address}"]
        people += [f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{self.alice.address}"]
        people += [f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{who.address}" for who in invited]
        lines = [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", "BEGIN:VEVENT", f"UID:{MEETING}",
            "DTSTAMP:20260101T000000Z", "DTSTART:20270302T090000Z", "DTEND:20270302T100000Z", "SUMMARY:Planning",
            *(people if invited else ()), "END:VEVENT", "END:VCALENDAR",
        ]  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines)

    def invites(self) -> None:
        self.alice.saves(self.meeting(self.bob))
        assert "SUMMARY:Planning" in self.bob.entry()  # Cyrus has delivered it

    def share_one_activity(self, team: tuple[str, ...] = ("alice", "bob")) -> dict[str, Any]:
        found = self.alice.activity()
        suffix = self.alice.server.suffix
        assert (found["owner_id"], sorted(found["employees"])) == (f"alice{suffix}", [n + suffix for n in team])
        assert [a["id"] for a in self.bob.activities()] == ([found["id"]] if "bob" in team else [])
        return found

    def have_nothing_to_do(self) -> None:
        calendars = [who.mail.listing(who.name, "Default") for who in (self.alice, self.bob)]
        for who in (self.alice, self.bob):
            assert writes(who.syncs()) == 0
        assert [who.mail.listing(who.name, "Default") for who in (self.alice, self.bob)] == calendars


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[tuple[Desk, str]]:
    """Who runs the activity server, and its address. Each test adds its own alice and bob to the directory."""
    desk = Desk(tmp_path_factory.mktemp("server"), commands, GENERIC).set_up(directory=False)
    desk.import_directory(_directory({"nobody": GENERIC}))
    with served(desk) as url:
        yield desk, url


def _directory(people: Mapping[str, str]) -> dict[str, Any]:
    employees = [{"id": i, "name": i.title(), "addresses": [a], "user": a != GENERIC} for i, a in people.items()]
    return {"employees": employees, "contacts": [], "accounts": [], "opportunities": []}


@pytest.fixture
def two(tmp_path: Path, owner: tuple[Desk, str], cyrus: DavServer) -> Two:
    desk, url = owner
    mail = Mailboxes(cyrus)
    desk.import_directory(_directory({n + cyrus.suffix: mail.address(n) for n in mail.users}))
    people = []
    for name in mail.users:
        pim = PIM.format(url=f"{cyrus.home_of(name)}Default/", user=name + cyrus.suffix)
        client = client_of(tmp_path / name, desk, mail.address(name), url, pim)
        people.append(Person(name, mail.address(name), cyrus, mail, client))
        people[-1].saves(event(f"alone-{name}", "Alone"), "alone.ics")
        people[-1].syncs()
    return Two(*people)


# --- who shares first ------------------------------------------------------------------------------------------------


def organizer_first(two: Two) -> None:
    two.invites()
    assert two.alice.syncs()["server"]["created"] == 1
    assert two.bob.syncs()["linked"] == 1


def invitee_first(two: Two) -> None:
    two.invites()
    assert two.bob.syncs()["server"]["created"] == 1
    assert two.alice.syncs()["linked"] == 1


def invited_after_the_organizers_sync(two: Two) -> None:
    two.alice.saves(two.meeting())
    assert two.alice.syncs()["server"]["created"] == 1
    two.invites()
    two.alice.syncs()
    assert two.bob.syncs()["linked"] == 1


def invited_and_shared_by_the_invitee_before_the_organizer_syncs_again(two: Two) -> None:
    two.alice.saves(two.meeting())
    two.alice.syncs()
    two.invites()
    assert two.bob.syncs()["linked"] == 1
    two.alice.syncs()


def accepted_before_anybody_syncs(two: Two) -> None:
    two.invites()
    two.bob.answers("ACCEPTED")
    two.bob.syncs()
    two.alice.syncs()


ORDERS = (
    organizer_first,
    invitee_first,
    invited_after_the_organizers_sync,
    invited_and_shared_by_the_invitee_before_the_organizer_syncs_again,
    accepted_before_anybody_syncs,
)


@pytest.mark.parametrize("share", ORDERS, ids=lambda order: order.__name__)
def test_one_meeting_is_one_activity_whoever_comes_first(two: Two, share: Any) -> None:
    share(two)
    two.share_one_activity()
    two.have_nothing_to_do()
    two.bob.answers("ACCEPTED")
    assert "PARTSTAT=ACCEPTED" in two.bob.entry()
    two.bob.syncs()
    two.alice.syncs()
    two.share_one_activity()
    two.have_nothing_to_do()


# --- what becomes of it ----------------------------------------------------------------------------------------------


def test_what_changes_on_the_server_reaches_the_organizers_entry_and_nobody_is_mailed(two: Two) -> None:
    organizer_first(two)
    copy = two.bob.entry()
    times = ("planned=2027-03-02T13:00:00Z", "planned_completion=2027-03-02T14:30:00Z")
    two.alice.desk.good("activity", "set", two.alice.activity()["id"], *times, "location=Room 2")
    two.bob.syncs()
    assert two.alice.syncs()["pim"] == {**NOTHING, "updated": 1}
    assert two.bob.syncs()["pim"] == NOTHING
    assert two.bob.entry() == copy
    for expected in ("DTSTART:20270302T130000Z", "DTEND:20270302T143000Z", "LOCATION:Room 2"):
        assert expected in two.alice.entry()
    assert two.share_one_activity()["planned"] == "2027-03-02T13:00:00Z"
    two.have_nothing_to_do()

    two.alice.edits("SUMMARY:Planning", "SUMMARY:Planning the year")  # by her program: bob gets all of it
    assert "DTSTART:20270302T130000Z" in two.bob.entry()
    assert two.bob.syncs()["pim"] == NOTHING
    assert two.alice.syncs()["server"]["updated"] == 1
    assert two.share_one_activity()["description"] == "Planning the year"
    two.have_nothing_to_do()


@pytest.mark.parametrize("organizer_syncs_first", [True, False])
def test_an_invitee_who_deletes_the_entry_leaves_the_team(two: Two, organizer_syncs_first: bool) -> None:
    organizer_first(two)
    two.bob.answers("ACCEPTED")
    two.bob.deletes()
    assert two.alice.mail.inbox("alice")[-1] == "REPLY"  # Cyrus has told her
    syncs = (two.alice.syncs, two.bob.syncs) if organizer_syncs_first else (two.bob.syncs, two.alice.syncs)
    assert [sync()["server"]["updated"] for sync in syncs] == [1, 0]  # who comes second finds it done
    two.share_one_activity(team=("alice",))
    assert two.bob.activities() == []
    two.have_nothing_to_do()
    assert two.bob.entries() == {}


@pytest.mark.parametrize("organizer_syncs_first", [True, False])
def test_an_invitee_who_declines_leaves_the_team_and_comes_back_by_accepting(
    two: Two, organizer_syncs_first: bool
) -> None:
    organizer_first(two)
    two.bob.answers("DECLINED")
    assert "PARTSTAT=DECLINED" in two.alice.entry().replace("\r\n ", "")  # Cyrus has told her
    declined = two.bob.entry()
    syncs = (two.alice.syncs, two.bob.syncs) if organizer_syncs_first else (two.bob.syncs, two.alice.syncs)
    assert [sync()["server"]["updated"] for sync in syncs] == [1, 0]
    two.share_one_activity(team=("alice",))
    two.have_nothing_to_do()
    assert two.bob.entry() == declined

    two.bob.answers("ACCEPTED")
    for sync in (*syncs, *syncs):
        sync()
    two.share_one_activity()
    two.have_nothing_to_do()


@pytest.mark.parametrize("organizer_syncs_first", [True, False])
def test_a_meeting_its_organizer_deletes_is_gone_for_everybody(two: Two, organizer_syncs_first: bool) -> None:
    organizer_first(two)
    two.alice.deletes()
    assert "STATUS:CANCELLED" in two.bob.entry()  # Cyrus has told him
    cancelled = two.bob.entry()
    if not organizer_syncs_first:
        two.bob.syncs()
    assert two.alice.syncs()["server"] == {**NOTHING, "deleted": 1}
    two.bob.syncs()
    for who in (two.alice, two.bob):
        assert who.activities() == []
    two.have_nothing_to_do()
    assert two.bob.entry() == cancelled  # his own entry is left to him


def test_an_activity_deleted_on_the_server_leaves_both_entries_alone(two: Two) -> None:
    organizer_first(two)
    entries = [two.alice.entry(), two.bob.entry()]
    two.alice.desk.good("activity", "delete", two.alice.activity()["id"])
    two.alice.syncs()
    two.bob.syncs()
    assert [two.alice.entry(), two.bob.entry()] == entries
    two.have_nothing_to_do()


def test_with_scheduling_on_the_organizers_entry_brings_the_server_change_to_the_invitee(two: Two) -> None:
    """What the configuration asks for happens: the harness would have noticed it elsewhere."""
    organizer_first(two)
    two.alice.desk.pims += 'scheduling = "send"\n'
    two.alice.desk.configure()
    two.alice.desk.good("activity", "set", two.alice.activity()["id"], "location=Room 2")
    before = two.alice.mail.state(writer="alice")
    assert two.alice.desk.sync()["pim"]["updated"] == 1
    assert two.alice.mail.state(writer="alice") != before
    assert "LOCATION:Room 2" in two.bob.entry()
    two.bob.syncs()
    two.have_nothing_to_do()
