"""A thousand items of all sorts through real CalDAV servers and back; edits, deletions and bad items among them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import pytest

from connectors.caldav.pim import CaldavPim
from syncengine.model.pim import Resource
from tests.dav_servers import DavServer
from tests.e2e.desk import Desk, event, todo, writes

HOW_MANY = 1000
BERLIN = "\r\n".join(
    [
        "BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "BEGIN:STANDARD", "DTSTART:19701025T030000", "TZOFFSETFROM:+0200",
        "TZOFFSETTO:+0100", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "END:STANDARD", "BEGIN:DAYLIGHT",
        "DTSTART:19700329T020000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
        "END:DAYLIGHT", "END:VTIMEZONE", "BEGIN:VEVENT",
    ]
)  # fmt: skip
ALARM = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Ring", "TRIGGER:-PT15M", "END:VALARM")
PEOPLE = (
    "ORGANIZER;CN=User One:mailto:user.one@example.com",
    "ATTENDEE;CN=User One;PARTSTAT=ACCEPTED:mailto:user.one@example.com",
    "ATTENDEE;CN=User Two;PARTSTAT=NEEDS-ACTION:mailto:user.two@example.com",
    "ATTENDEE;CN=Con Tact:mailto:con@example.net",
)


# --- items of all sorts ----------------------------------------------------------------------------------------------


def _day(n: int) -> datetime:
    return datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(days=n % 300, minutes=n // 300)


def _timed(n: int, *more: str) -> str:
    start = _day(n)
    times = [f"{t:%Y%m%dT%H%M%SZ}" for t in (start, start + timedelta(hours=1))]
    return event(f"uid-{n}", f"entry {n}", *times, *more)


def _all_day(n: int, *more: str) -> str:
    start = _day(n)
    return event(f"uid-{n}", f"entry {n}", f"{start:%Y%m%d}", f"{start + timedelta(days=1 + n % 3):%Y%m%d}", *more)


def _floating(n: int) -> str:
    text = _timed(n)
    return text.replace("00Z\r\nDTEND", "00\r\nDTEND").replace("00Z\r\nEND:VEVENT", "00\r\nEND:VEVENT")


def _zoned(n: int, *more: str) -> str:
    text = _timed(n, *more).replace("00Z\r\nDTEND", "00\r\nDTEND", 1)
    head, _, tail = text.partition("DTEND:")
    text = head + "DTEND;TZID=Europe/Berlin:" + tail.replace("00Z\r\n", "00\r\n", 1)
    return text.replace("DTSTART:", "DTSTART;TZID=Europe/Berlin:").replace("BEGIN:VEVENT", BERLIN)


def _series(rule: str) -> Callable[[int], str]:
    return lambda n: _zoned(n, f"RRULE:{rule}")


SORTS: tuple[Callable[[int], str], ...] = (
    _timed,
    lambda n: _timed(n, "LOCATION:Room 1\\, 2nd floor", "DESCRIPTION:Long " + "and long " * 40),
    lambda n: _timed(n, "X-COLOUR;X-FOO=bar:green", "X-EMPTY:", "CATEGORIES:one,two", *ALARM),
    lambda n: _timed(n, *PEOPLE, "SEQUENCE:3"),
    lambda n: _timed(n, "CLASS:PRIVATE", "TRANSP:TRANSPARENT"),
    _zoned,
    lambda n: _zoned(n, *ALARM),
    _all_day,
    lambda n: _all_day(n, "TRANSP:TRANSPARENT"),
    _floating,
    lambda n: todo(f"uid-{n}", f"entry {n}"),
    lambda n: todo(f"uid-{n}", f"entry {n}", "PRIORITY:1", "STATUS:IN-PROCESS", f"DUE:{_day(n):%Y%m%dT%H%M%SZ}"),
    lambda n: todo(f"uid-{n}", f"entry {n}", f"DUE;VALUE=DATE:{_day(n):%Y%m%d}", "X-APPLE-SORT-ORDER:7", *ALARM),
    lambda n: todo(f"uid-{n}", f"entry {n}", "STATUS:COMPLETED", "COMPLETED:20260110T080000Z", "PERCENT-COMPLETE:100"),
    _series("FREQ=DAILY;COUNT=10"),
    _series("FREQ=WEEKLY;COUNT=8"),
    _series("FREQ=MONTHLY;COUNT=6"),
    _series("FREQ=MONTHLY;INTERVAL=3;COUNT=4"),
    _series("FREQ=YEARLY;COUNT=3"),
    _series("FREQ=WEEKLY;UNTIL=20270301T000000Z"),
)


def _items(count: int) -> dict[str, str]:
    """Href → text."""
    return {f"uid-{n}.ics": make(n) for n, make in islice(enumerate(cycle(SORTS)), count)}


# --- the calendar ----------------------------------------------------------------------------------------------------


class Calendar:
    """A calendar on a server, reached without the product's run in between."""

    def __init__(self, server: DavServer, url: str) -> None:
        self.server, self.url = server, url
        self.pim = CaldavPim(url, server.username, server.password)

    def texts(self) -> dict[str, str]:
        hrefs = sorted(self.pim.changes(None).etags)
        return {r.href: r.text for r in self.pim.fetch(hrefs) if isinstance(r, Resource)}

    def edit(self, href: str, old: str, new: str) -> None:
        (found,) = self.pim.fetch([href])
        assert isinstance(found, Resource)
        assert old in found.text
        self.pim.update(href, found.text.replace(old, new), found.etag)

    def remove(self, href: str) -> None:
        self.pim.delete(href, self.pim.changes(None).etags[href])

    def fill(self, items: dict[str, str]) -> None:
        """Put items straight into the server's storage, before anybody has looked at the calendar."""
        folder = self._folder()
        for href, text in items.items():
            (folder / href).write_bytes(text.encode())
        if (folder / ".git").is_dir() or (folder / "HEAD").exists():
            _git(folder, "add", "-A")
            _git(folder, "commit", "-q", "-m", "Filled")

    def _folder(self) -> Any:
        name = self.url.rstrip("/").rsplit("/", 1)[-1]
        (found,) = [p for p in self.server.folder.rglob(name) if p.is_dir() and ".Radicale.cache" not in p.parts]
        return found


def _git(folder: Any, *args: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True)


def _configure(desk: Desk, server: DavServer, url: str) -> None:
    login = f'username = "{server.username}"\npassword = "{server.password}"\n' if server.checks_password else ""
    desk.pims = f'[[pim]]\nname = "dav"\nconnector = "caldav"\nurl = "{url}"\n{login}'
    desk.configure()


@pytest.fixture(params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest) -> DavServer:
    found: DavServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def calendar(server: DavServer, desk: Desk) -> Calendar:
    url = server.make_collection()
    _configure(desk, server, url)
    return Calendar(server, url)


# --- the stories -----------------------------------------------------------------------------------------------------


def test_a_thousand_items_go_up_and_stay_in_step(desk: Desk, calendar: Calendar) -> None:
    calendar.fill(_items(HOW_MANY))
    report = desk.sync()
    assert (report["server"]["created"], report["failed"], report["held"]) == (HOW_MANY, 0, 0)
    before = calendar.texts()
    assert len(before) == HOW_MANY
    assert writes(desk.sync()) == 0
    assert calendar.texts() == before  # the first contact wrote nothing into the calendar

    _edits_on_both_sides(desk, calendar)
    done = desk.do("sync", "--json")
    report = done.json
    assert (done.code, report["failed"], report["held"]) == (1, 1, 0), report["problems"]
    assert report["server"] == {"created": 1, "updated": 3, "deleted": 1}
    assert report["pim"] == {"created": 2, "updated": 3, "deleted": 0}
    _both_sides_agree(desk, calendar)
    again = desk.do("sync", "--json")
    assert (again.code, writes(again.json)) == (1, 0)

    calendar.remove("bad.ics")
    assert writes(desk.sync()) == 0
    untouched = {h: t for h, t in before.items() if h not in {f"uid-{n}.ics" for n in (0, 1, 2, 7, 11, 20, 40, 60)}}
    after = calendar.texts()
    assert {h: after[h] for h in untouched} == untouched


def _edits_on_both_sides(desk: Desk, calendar: Calendar) -> None:
    by_summary = {a["description"]: a["id"] for a in desk.activities()}
    calendar.edit("uid-0.ics", "SUMMARY:entry 0", "SUMMARY:edited here 0")
    calendar.edit("uid-1.ics", "LOCATION:Room 1", "LOCATION:Room 9")
    calendar.edit("uid-11.ics", "PRIORITY:1", "PRIORITY:9")
    calendar.remove("uid-20.ics")
    calendar.pim.create("late.ics", event("late", "late"))
    _put_bad(calendar)
    desk.change(
        {
            by_summary["entry 1"]: {"comments": "edited there 1"},  # beside an edit here: merged
            by_summary["entry 2"]: {"description": "edited there 2"},
            by_summary["entry 7"]: {"planned": "2026-11-11"},
        }
    )
    for n in (40, 60):  # the user's own items stay, unshared
        desk.good("activity", "delete", by_summary[f"entry {n}"])
    at = {"planned": "2026-04-01T08:00:00Z", "planned_completion": "2026-04-01T09:00:00Z"}
    desk.add(description="made there", display_in="Calendar and Activities", **at)
    desk.add(description="task made there", display_in="To Do and Activities")


def _put_bad(calendar: Calendar) -> None:
    """An item the server takes and the product cannot understand: a zone nobody knows."""
    bad = event("bad", "bad", "20260302T090000", "20260302T100000").replace("DTSTART:", "DTSTART;TZID=Nowhere/At_All:")
    calendar.pim.create("bad.ics", bad.replace("DTEND:", "DTEND;TZID=Nowhere/At_All:"))


def _both_sides_agree(desk: Desk, calendar: Calendar) -> None:
    """Each activity that shows in the calendar has one item that says the same, and the other way round."""
    texts = calendar.texts()
    activities = {a["integration_id"] or f"activity-{a['id']}": a for a in desk.activities()}
    uids = [_property(t, "UID") for t in texts.values()]
    assert len(set(uids)) == len(uids)
    assert set(activities) == set(uids) - {"bad", "uid-40", "uid-60"}
    for text in texts.values():
        found = activities.get(_property(text, "UID"))
        if found and "CLASS:PRIVATE" not in text:
            assert found["description"] == _property(text, "SUMMARY")
    assert "LOCATION:Room 9" in texts["uid-1.ics"]
    assert "edited there 1" in texts["uid-1.ics"]
    assert activities["uid-1"]["location"] == "Room 9, 2nd floor"
    assert activities["uid-11"]["priority"] == "4-Low"
    assert "DTSTART;VALUE=DATE:20261111" in texts["uid-7.ics"]
    for kept in ("X-COLOUR;X-FOO=bar:green", "BEGIN:VALARM", "TRIGGER:-PT15M"):
        assert kept in texts["uid-2.ics"]


def _property(text: str, name: str) -> str:
    return next(line.partition(":")[2] for line in text.splitlines() if line.startswith(f"{name}:"))


def test_a_thousand_activities_come_down_into_an_empty_calendar(desk: Desk, calendar: Calendar) -> None:
    desk.add_all([_made_there(n) for n in range(HOW_MANY)])
    report = desk.sync()
    assert (report["pim"]["created"], report["failed"]) == (HOW_MANY, 0)
    texts = calendar.texts()
    assert len(texts) == HOW_MANY
    assert {_property(t, "SUMMARY") for t in texts.values()} == {f"made there {n}" for n in range(HOW_MANY)}
    assert {_property(t, "UID") for t in texts.values()} == {f"activity-{a['id']}" for a in desk.activities()}
    assert writes(desk.sync()) == 0
    assert calendar.texts() == texts

    gone, kept, *_ = sorted(texts)
    calendar.remove(gone)
    calendar.edit(kept, "SUMMARY:made", "SUMMARY:edited, made")
    report = desk.sync()
    assert report["server"] == {"created": 0, "updated": 1, "deleted": 1}
    assert writes(desk.sync()) == 0


def _made_there(n: int) -> dict[str, Any]:
    day, time = f"{_day(n):%Y-%m-%d}", f"{_day(n):%Y-%m-%dT%H:%M:%S}"
    sorts: tuple[dict[str, Any], ...] = (
        {"planned": day, "planned_completion": day},
        {"display_in": "To Do and Activities", "priority": "1-ASAP"},
        {"planned": f"{time}+01:00", "timezone": "Europe/Berlin"}
        | {"repeating": True, "repeating_type": "Weekly", "repeating_expires": "2027-12-31"},
        {"planned": f"{time}Z", "planned_completion": f"{time}Z"},
    )
    return {"description": f"made there {n}", "display_in": "Calendar and Activities"} | sorts[n % len(sorts)]


def test_attachments_travel_both_ways_and_rest(desk: Desk, calendar: Calendar) -> None:
    inline = "ATTACH;FMTTYPE=text/plain;FILENAME=plan.txt;ENCODING=BASE64;VALUE=BINARY:Rmlyc3Qgd2UgbWVldC4="
    link = "ATTACH;FILENAME=agenda:https://files.invalid/agenda"
    calendar.pim.create("meet.ics", _timed(0, inline, link, "X-KEEP:1"))
    desk.sync()
    names = [a["name"] for a in desk.good("attachments", "uid-0", "--json").json["attachments"]]
    assert names == ["agenda", "plan.txt"]
    octets = bytes(range(256)) * 400
    (desk.folder / "größe 1.bin").write_bytes(octets)
    desk.good("attach", "uid-0", "größe 1.bin")
    desk.good("detach", "uid-0", "plan.txt")
    assert desk.sync()["pim"]["updated"] == 1
    assert writes(desk.sync()) == 0
    text = calendar.texts()["meet.ics"]
    assert (text.count("ATTACH"), "X-KEEP:1" in text) == (2, True)

    calendar.edit("meet.ics", "SUMMARY:entry 0", "SUMMARY:entry zero")
    assert desk.sync()["server"]["updated"] == 1
    desk.good("attachments", "uid-0", "--save", "saved")
    assert (desk.folder / "saved" / "größe 1.bin").read_bytes() == octets
