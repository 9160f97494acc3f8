"""A mailbox of 2,000 messages of all sorts on a real server, and a colleague's with copies: each message once, at once.

One story, told in steps: the first runs, runs that find nothing, messages deleted and moved, folders numbered anew.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from imapclient.imap_utf7 import encode

from tests.e2e.desk import ME, OTHER, Commands, Desk, writes
from tests.imap_server import ImapServer, Relay
from tests.many_messages import KEPT, MESSAGES, Copy, Told, World, directory, world

FOLDERS = ("INBOX", "Sent", "Archive")
MAILBOX = """[[pim]]
name = "mail"
connector = "imap"
url = "{url}"
username = "{login}"
password = "secret"
folders = ["INBOX", "Sent", "Archive"]
share_existing = ["email"]
"""
WHAT = "(UIDVALIDITY UIDNEXT MESSAGES HIGHESTMODSEQ)"
NOTHING = [f'STATUS "{folder}" {WHAT}' for folder in FOLDERS]
DOUBT = "reception@shared.test is the address of several contacts"


@dataclass
class Office:
    """Two people with a mailbox each, on one activity server."""

    world: World
    server: ImapServer
    relay: Relay
    alice: Desk
    bob: Desk

    def runs_that_find_nothing(self) -> None:
        """A run of each: it asks for the state of each folder, reads no message and writes nothing."""
        before = stored(self.alice)
        for desk in (self.alice, self.bob):
            self.relay.asked()
            report = desk.sync()
            assert (writes(report), report["failed"], report["held"], report["problems"]) == (0, 0, 0, [])
            assert self.relay.asked() == NOTHING
        assert stored(self.alice) == before


def stored(desk: Desk) -> list[dict[str, Any]]:
    return sorted(desk.activities(), key=lambda a: str(a["id"]))


def fill(server: ImapServer, user: str, copies: list[Copy]) -> None:
    """As a delivery program does it: files in folders, received when their time says."""
    with server.as_user(user) as client:
        for folder in FOLDERS:
            if not client.folder_exists(folder):
                client.create_folder(folder)
            client.select_folder(folder, readonly=True)
    box = server.home / "mail" / user
    for number, copy in enumerate(copies):
        place = box if copy.folder == "INBOX" else box / ("." + encode(copy.folder).decode())
        name = f"{int(copy.received.timestamp())}.M{number}.test"
        (place / "tmp" / name).write_bytes(copy.raw)
        (place / "tmp" / name).chmod(0o644)
        os.utime(place / "tmp" / name, (copy.received.timestamp(),) * 2)
        (place / "tmp" / name).rename(place / "new" / name)


def numbered_anew(server: ImapServer, user: str) -> None:
    """As when a backup is played back: the messages are there, what the server knew of their numbers is not."""
    before = validities(server, user)
    for pattern in ("dovecot-uidlist*", "dovecot.index*", ".*/dovecot-uidlist*", ".*/dovecot.index*"):
        for path in (server.home / "mail" / user).glob(pattern):
            path.unlink()
    assert not validities(server, user) & before


def validities(server: ImapServer, user: str) -> set[int]:
    with server.as_user(user) as client:
        return {client.folder_status(folder, ["UIDVALIDITY"])[b"UIDVALIDITY"] for folder in FOLDERS}


def shown(activity: dict[str, Any], world: World) -> Told:
    """An activity in the words of the table, which says what message it is."""
    same = world.told.get((activity["description"], activity["planned"]))
    files = [json.loads(text)["name"] for text in activity["attachments"]]
    return Told(
        same.one if same else -1,
        activity["type"],
        activity["description"],
        activity["planned"],
        activity["comments"],
        tuple(activity["contacts"]),
        activity["primary_contact"],
        activity["account"],
        tuple(sorted(files)),
    )


@pytest.fixture
def office(tmp_path: Path, commands: Commands, dovecot: ImapServer) -> Iterator[Office]:
    relay, made = Relay(dovecot), world()
    server = f"sqlite:///{tmp_path}/activities.db"
    desks = []
    for login, employee in (("alice", ME), ("bob", OTHER)):
        fill(dovecot, login, made.of(login))
        pims = MAILBOX.format(url=relay.url, login=login)
        desks.append(Desk(tmp_path / login, commands, employee, server, pims=pims).set_up(directory=False))
    desks[0].import_directory(directory())
    yield Office(made, dovecot, relay, *desks)
    relay.close()


def test_a_mailbox_of_two_thousand_messages(office: Office) -> None:
    _each_message_is_an_activity_once(office)
    office.runs_that_find_nothing()
    _what_is_deleted_or_moved_leaves_its_activity(office)
    office.runs_that_find_nothing()
    _folders_numbered_anew_change_nothing(office)
    office.runs_that_find_nothing()


def _each_message_is_an_activity_once(office: Office) -> None:
    alices, bobs = office.world.ones("alice"), office.world.ones("bob")
    assert (len(office.world.of("alice")), len(KEPT)) == (MESSAGES, 40)
    assert min(map(len, (alices & bobs, bobs - alices, alices - bobs))) > 50  # or this would show little

    first = office.alice.sync()
    assert (first["server"], first["linked"]) == ({"created": len(alices), "updated": 0, "deleted": 0}, 0)
    second = office.bob.sync()
    linked = len(alices & bobs)
    assert (second["server"], second["linked"]) == ({"created": len(bobs - alices), "updated": 0, "deleted": 0}, linked)
    for report in (first, second):
        assert (report["failed"], report["held"], report["problems"]) == (0, 0, [])
    assert sum(DOUBT in note["what"] for note in first["notices"]) == office.world.doubted > 0

    found = stored(office.alice)
    assert Counter(shown(a, office.world).one for a in found) == Counter(alices | bobs)
    assert [a for a in found if (told := shown(a, office.world)) != office.world.told[told.subject, told.planned]] == []
    assert {a["owner"] for a in found} == {"generic.owner@example.com"}
    assert {a["display_in"] for a in found} == {"Communication and Activities"}


def _what_is_deleted_or_moved_leaves_its_activity(office: Office) -> None:
    """Twenty of each, correspondence and other mail as it comes."""
    before = stored(office.alice)
    with office.server.as_user() as client:
        client.select_folder("INBOX")
        uids = client.search()
        client.delete_messages(uids[200:220])
        client.expunge(uids[200:220])
        client.move(uids[700:720], "Archive")
    report = office.alice.sync()
    assert (writes(report), report["failed"], report["held"], report["problems"]) == (0, 0, 0, [])
    assert stored(office.alice) == before


def _folders_numbered_anew_change_nothing(office: Office) -> None:
    """Every message is gone and new: neither a brake nor a message told again."""
    before = stored(office.alice)
    for login, desk in (("alice", office.alice), ("bob", office.bob)):
        numbered_anew(office.server, login)
        office.relay.asked()
        report = desk.sync()
        assert (report["state"], writes(report), report["failed"], report["problems"]) == ("done", 0, 0, [])
        asked = office.relay.asked()
        assert any("BODY.PEEK[HEADER]" in line for line in asked)
        whole = [line for line in asked if "BODY.PEEK[]<0." in line]
        assert 0 < len(whole) <= sum(not copy.named for copy in office.world.of(login)), "more than those without an id"
    assert stored(office.alice) == before
