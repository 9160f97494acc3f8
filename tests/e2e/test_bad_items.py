"""Items that make no sense, or too much of it: each leaves a clear word, costs itself alone, and nothing is lost."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import DIRECTORY, FOLDER, ME, ROOT, Desk, event, writes
from tests.imap_server import ImapServer

TWINS = [{"id": f"t{n}", "name": f"Twin {n}", "addresses": ["twin@example.net"]} for n in (1, 2)]
KEPT = {**DIRECTORY["contacts"][0], "save_correspondence": True}  # type: ignore[index]
PEOPLE = {**DIRECTORY, "contacts": [KEPT, *TWINS]}
IMAP = """[[pim]]
name = "mail"
connector = "imap"
url = "{url}"
username = "alice"
password = "{password}"
folders = ["INBOX"]
share_existing = ["email"]
"""
EML = '[[pim]]\nname = "mail"\nconnector = "eml"\npath = "saved"\nshare_existing = ["email"]\n'
PIECE = base64.encodebytes(b"0123456789ab" * 40_000)
HUGE = 200_000_000
ROOM = 450_000
"""kB of memory for a whole run: the program itself, and a few times what is ever read of a message (54 MB)."""


def mail(number: int, *lines: str) -> bytes:
    head = [f"Message-ID: <{number}@client.test>", "From: con@example.net", f"Subject: Mail {number}", *lines]
    return "\n".join([*head, f"Date: Mon, 2 Mar 2026 09:{number:02d}:00 +0000", "", f"Text {number}"]).encode()


def write_huge(path: Path) -> None:
    """A message with a small and a huge file, never held in memory: a process inherits what its parent once needed."""
    part = "--x\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
    head = mail(1, f"To: {ME}", "Content-Type: multipart/mixed; boundary=x").decode().replace("Text 1", "")
    with path.open("wb") as file:
        file.write(f"{head}--x\n\nThe words\n{part}Content-Disposition: attachment; filename=small.pdf\n\n".encode())
        file.write(
            base64.encodebytes(b"small") + f"{part}Content-Disposition: attachment; filename=huge.pdf\n\n".encode()
        )
        while file.tell() < HUGE:
            file.write(PIECE)
        file.write(b"--x--\n")
    path.chmod(0o644)


MEASURED = """
import pathlib, sys
from syncengine.cli.main import main
try:
    main()
finally:
    pathlib.Path(sys.argv[-1]).with_name("memory").write_text(pathlib.Path("/proc/self/status").read_text())
"""


def run_alone(desk: Desk) -> tuple[dict[str, Any], int]:
    """The report of a run in a process of its own, and the most memory it had, in kB. What the system says of a child
    that has ended (ru_maxrss) would count the memory of its parent, too."""
    command = [sys.executable, "-c", MEASURED, "sync", "--json", "--config", str(desk.config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    status = desk.config.with_name("memory").read_text()
    return json.loads(done.stdout), int(status.partition("VmHWM:")[2].split()[0])


def explained(desk: Desk, key: str) -> str:
    return desk.good("explain", key).out


# --- people ----------------------------------------------------------------------------------------------------------


def test_an_organizer_who_is_nobody(desk: Desk) -> None:
    """The meeting becomes the generic owner's, and who was not found can be asked."""
    meeting = ("ORGANIZER;CN=Nobody:mailto:nobody@nowhere.test", f"ATTENDEE:mailto:{ME}")
    desk.put("one", event("one", "By nobody", "20260302T090000Z", "20260302T100000Z", *meeting))
    unreachable = ("ORGANIZER:invalid:nomail", f"ATTENDEE:mailto:{ME}")
    desk.put("two", event("two", "By no address", "20260303T090000Z", "20260303T100000Z", *unreachable))
    before = desk.items()
    report = desk.sync()
    assert (report["server"]["created"], report["failed"]) == (2, 0)
    found = desk.activity("By nobody")
    assert (found["owner"], found["employees"]) == ("generic.owner@example.com", ["e1"])
    assert found["participants"] == ["nobody@nowhere.test", ME]
    assert "nobody@nowhere.test: nobody the directory knows" in explained(desk, "one")
    found = desk.activity("By no address")
    assert (found["owner"], found["participants"]) == ("generic.owner@example.com", [ME])
    assert (writes(desk.sync()), desk.items()) == (0, before)


def test_an_attendee_without_an_address(desk: Desk) -> None:
    nobodies = ("ATTENDEE;CN=Ann:invalid:nomail", "ATTENDEE;CN=Bea:mailto:", "ATTENDEE;CN=Cid:", "ATTENDEE:urn:uuid:1")
    people = (f"ORGANIZER:mailto:{ME}", *nobodies, "ATTENDEE:mailto:con@example.net")
    desk.put("one", event("one", "With nobodies", "20260302T090000Z", "20260302T100000Z", *people))
    assert desk.sync()["failed"] == 0
    found = desk.activity("With nobodies")
    assert (found["contacts"], found["participants"]) == (["c1"], ["con@example.net", ME])
    desk.change({found["id"]: {"description": "Said on the server"}})
    assert desk.sync()["pim"]["updated"] == 1
    assert all(line in desk.text("one") for line in nobodies)  # its words are its own
    assert writes(desk.sync()) == 0


def test_an_address_of_two_people(desk: Desk) -> None:
    desk.import_directory(PEOPLE)
    desk.pims = FOLDER + EML
    desk.configure()
    (desk.folder / "saved").mkdir()
    (desk.folder / "saved" / "one.eml").write_bytes(mail(1, f"To: {ME}", "Cc: twin@example.net"))
    people = (f"ORGANIZER:mailto:{ME}", "ATTENDEE:mailto:twin@example.net", "ATTENDEE:mailto:con@example.net")
    desk.put("two", event("two", "With a twin", "20260302T090000Z", "20260302T100000Z", *people))
    report = desk.sync()
    (note,) = report["notices"]
    assert note["what"] == "twin@example.net is the address of several contacts: none of them is related."
    assert "Mail 1" in note["where"]
    assert "syncengine share 1@client.test --contact ID" in note["fix"]
    assert [desk.activity(subject)["contacts"] for subject in ("Mail 1", "With a twin")] == [["c1"], ["c1"]]
    assert "twin@example.net: not guessed, it belongs to Twin 1 and Twin 2" in explained(desk, "two")
    desk.good("share", "<1@client.test>", "--contact", "t2")
    desk.sync()
    assert desk.activity("Mail 1")["contacts"] == ["c1", "t2"]
    assert writes(desk.sync()) == 0


# --- mailboxes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["imap", "eml"])
def test_a_file_of_200_mb(desk: Desk, dovecot: ImapServer, kind: str) -> None:
    """It is named and not saved; the rest of the message is, and the next message, within bounded memory."""
    desk.import_directory(PEOPLE)
    desk.pims = EML if kind == "eml" else IMAP.format(url=dovecot.url, password="secret")
    desk.configure()
    if kind == "imap":
        dovecot.drop("INBOX", mail(2))
        write_huge(dovecot.home / "mail" / "alice" / "new" / "1.huge.test")
    else:
        (desk.folder / "saved").mkdir()
        (desk.folder / "saved" / "two.eml").write_bytes(mail(2))
        write_huge(desk.folder / "saved" / "huge.eml")
    report, memory = run_alone(desk)
    assert (report["server"]["created"], report["failed"]) == (2, 0)
    (note,) = report["notices"]
    assert "The file 'huge.pdf' is not saved: it is larger than 25 MB" in note["what"]
    assert "Mail 1" in note["where"]
    assert "max_attachment_mb" in note["fix"]
    found = desk.activity("Mail 1")
    assert found["comments"] == "The words"
    assert [json.loads(text)["name"] for text in found["attachments"]] == ["small.pdf"]
    assert memory < ROOM
    assert writes(desk.sync()) == 0


def test_a_wrong_password_of_a_mailbox(desk: Desk, dovecot: ImapServer) -> None:
    """The calendar beside it is synchronized all the same; with the right one the mail follows."""
    desk.import_directory(PEOPLE)
    dovecot.drop("INBOX", mail(1))
    desk.put("one", event("one", "An entry"))
    desk.pims = FOLDER + IMAP.format(url=dovecot.url, password="open-sesame")
    desk.configure()
    done = desk.do("sync", "--json")
    assert done.code == 4
    problem = done.json["problems"][0]
    assert problem["what"] == "The server refused the user name or password."
    assert dovecot.url in problem["where"]
    assert "open-sesame" not in done.out + done.err
    assert [a["description"] for a in desk.activities()] == ["An entry"]
    desk.pims = FOLDER + IMAP.format(url=dovecot.url, password="secret")
    desk.configure()
    desk.sync()
    assert sorted(a["description"] for a in desk.activities()) == ["An entry", "Mail 1"]
    assert writes(desk.sync()) == 0
