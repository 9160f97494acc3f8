"""Relating an item by hand on the command line (OWN-6, ACT-13)."""

from __future__ import annotations

from syncengine.errors import Problem
from syncengine.model.report import Report
from syncengine.render import report_json, report_text
from tests.e2e.desk import Desk, event


def test_an_item_is_related_to_what_is_picked(desk: Desk) -> None:
    desk.put("lunch", event("lunch", "Lunch"))
    desk.sync()
    shown = desk.good("share", "lunch", "--account", "a1", "--contact", "con@example.net", "--json").json
    assert shown == [{"key": "lunch", "description": "Lunch", "shared": True}]
    assert desk.sync()["server"]["updated"] == 1
    found = desk.activity("Lunch")
    assert (found["account"], found["contacts"], found["participants"]) == ("a1", ["c1"], [])
    assert "ATTENDEE" not in desk.text("lunch")


def test_a_pick_nobody_knows_is_refused_in_plain_words(desk: Desk) -> None:
    desk.put("lunch", event("lunch", "Lunch"))
    desk.sync()
    done = desk.do("share", "lunch", "--account", "a11")
    assert (done.code, done.err) == (
        2,
        "There is no account 'a11' in the directory.\n  fix:   Did you mean a1 (Example Ltd)?\n",
    )


def test_suggestions_are_for_messages(desk: Desk) -> None:
    desk.put("lunch", event("lunch", "Lunch"))
    desk.sync()
    done = desk.do("share", "lunch", "--suggest")
    assert (done.code, done.err.splitlines()[0]) == (2, "'lunch' is no message.")


def test_what_is_saved_of_mail_is_one_of_three_words(desk: Desk) -> None:
    text = desk.config.read_text()
    desk.config.write_text(text + 'save_mail = "atachments"\nmax_attachment_mb = -1\n')
    done = desk.do("check")
    assert done.code == 2
    assert "save_mail: 'atachments' is no way to save messages; did you mean \"attachments\"?" in done.out + done.err
    assert "max_attachment_mb must be a whole number, 0 or more" in done.out + done.err


def test_a_note_is_told_to_people_and_to_scripts() -> None:
    report = Report(notices=[Problem("The file 'big.pdf' is not saved.", "offer.1@client.test (Offer)", "Raise it.")])
    assert report_text(report).splitlines()[-2:] == [
        "  note    offer.1@client.test (Offer): The file 'big.pdf' is not saved.",
        "          Raise it.",
    ]
    assert report_json(report)["notices"] == [
        {"what": "The file 'big.pdf' is not saved.", "where": "offer.1@client.test (Offer)", "fix": "Raise it."}
    ]
