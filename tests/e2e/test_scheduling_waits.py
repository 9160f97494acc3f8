"""Xandikos mails attendees whatever it is asked. What would make it do so waits for the configuration."""

from __future__ import annotations

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import FOLDER, Desk, event, writes
from tests.e2e.test_real_servers import PEOPLE, Calendar, _configure


@pytest.fixture
def calendar(xandikos: DavServer, desk: Desk) -> Calendar:
    url = xandikos.make_collection()
    _configure(desk, xandikos, url)
    found = Calendar(xandikos, url)
    found.pim.create("meet.ics", event("meet", "Meeting", "20270302T090000Z", "20270302T100000Z", *PEOPLE))
    found.pim.create("alone.ics", event("alone", "Alone"))
    desk.sync()
    return found


def test_a_change_to_a_meeting_waits_until_the_configuration_allows_it(desk: Desk, calendar: Calendar) -> None:
    before = calendar.texts()
    ids = {a["integration_id"]: a["id"] for a in desk.activities()}
    desk.change({ids["meet"]: {"location": "Room 2"}, ids["alone"]: {"location": "Room 3"}})

    done = desk.do("sync", "--json")
    assert (done.code, done.json["held"], done.json["pim"]["updated"]) == (1, 1, 1)
    (waits,) = done.json["conflicts"]
    assert (waits["key"], "mail to the attendees" in waits["because"]) == ("meet", True)
    assert (calendar.texts()["meet.ics"], "Room 3" in calendar.texts()["alone.ics"]) == (before["meet.ics"], True)
    for command in ("status", "explain meet"):
        assert 'scheduling = "send"' in " ".join(desk.do(*command.split()).out.split()), command

    again = desk.do("sync", "--json")
    assert (writes(again.json), again.json["held"]) == (0, 1)

    desk.pims += 'scheduling = "send"\n'
    desk.configure()
    report = desk.sync()
    assert (report["held"], report["pim"]["updated"]) == (0, 1)
    assert "LOCATION:Room 2" in calendar.texts()["meet.ics"]
    assert writes(desk.sync()) == 0


def test_what_a_person_does_in_the_calendar_solves_it_as_well(desk: Desk, calendar: Calendar) -> None:
    ids = {a["integration_id"]: a["id"] for a in desk.activities()}
    desk.change({ids["meet"]: {"location": "Room 2"}})
    assert desk.do("sync").code == 1
    calendar.edit("meet.ics", "SUMMARY:Meeting", "LOCATION:Room 2\r\nSUMMARY:Meeting")
    report = desk.sync()
    assert (report["held"], writes(report)) == (0, 0)


def test_a_word_that_is_neither_is_refused(desk: Desk) -> None:
    for wrong in ('"loud"', "true", "[]"):
        desk.pims = f"{FOLDER}scheduling = {wrong}\n"
        desk.configure()
        done = desk.do("check")
        assert (done.code, 'pim[work].scheduling must be "silent" or "send"' in done.err) == (2, True)
