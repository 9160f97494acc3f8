"""Forty series of every odd sort on real CalDAV servers: what takes place is the same on both sides, whoever edits.

What takes place in the calendar is worked out by another library, recurring-ical-events, from the texts the server
holds; what takes place on the activity server, from the activities' patterns and exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest

from syncengine import bootstrap
from syncengine.core.names import OURS
from syncengine.core.recurrence.pattern import named, period_of
from syncengine.core.recurrence.wall import day_of, on_day
from syncengine.model.activity import Activity
from syncengine.services import tokens
from syncengine.services.activities import Activities
from syncengine.times import find_zone, system_clock
from syncengine.web.app import create_app
from tests.activity_servers import serving
from tests.dav_servers import DavServer
from tests.e2e.desk import GENERIC, ME, Desk, writes
from tests.e2e.test_real_servers import BERLIN, Calendar, _configure

recurring_ical_events = pytest.importorskip("recurring_ical_events")

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
HELD = {"two-a-day", "hourly", "no-occurrence"}  # what the server has no pattern for stays in the calendar alone
NEW_YORK = "\r\n".join(
    [
        "BEGIN:VTIMEZONE", "TZID:America/New_York", "BEGIN:STANDARD", "DTSTART:20071104T020000", "TZOFFSETFROM:-0400",
        "TZOFFSETTO:-0500", "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11", "END:STANDARD", "BEGIN:DAYLIGHT",
        "DTSTART:20070311T020000", "TZOFFSETFROM:-0500", "TZOFFSETTO:-0400", "RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3",
        "END:DAYLIGHT", "END:VTIMEZONE",
    ]
)  # fmt: skip
ZONES = [BERLIN.removesuffix("\r\nBEGIN:VEVENT"), NEW_YORK]
KEEP = ("X-KEEP;X-P=1:kept", "BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Ring", "TRIGGER:-PT15M", "END:VALARM")
IN_BERLIN, IN_NEW_YORK = ";TZID=Europe/Berlin:", ";TZID=America/New_York:"


# --- items -----------------------------------------------------------------------------------------------------------


def _component(uid: str, summary: str, start: str, *more: str, hours: int = 1, kind: str = "VEVENT") -> list[str]:
    """`start`: parameters and value, as after the property's name; it ends `hours` later, or the next day."""
    params, _, value = start.rpartition(":")
    if len(value) == 8:
        end, params = f"{date.fromisoformat(value) + timedelta(days=1):%Y%m%d}", ";VALUE=DATE"
    else:
        end = f"{datetime.fromisoformat(value) + timedelta(hours=hours):%Y%m%dT%H%M%S}{value[15:]}"
    last = "DUE" if kind == "VTODO" else "DTEND"
    head = [f"BEGIN:{kind}", f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}"]
    return [*head, f"DTSTART{params}:{value}", f"{last}{params}:{end}", *more, f"END:{kind}"]


def _file(*components: list[str], zones: Iterable[str] = ZONES) -> str:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *zones]
    return "".join(f"{line}\r\n" for line in [*head, *(li for c in components for li in c), "END:VCALENDAR"])


def _series(uid: str, start: str, *more: str, **how: Any) -> list[str]:
    return _component(uid, f"Series {uid}", start, *more, *KEEP, **how)


def _changed(uid: str, original: str, start: str, *more: str, **how: Any) -> list[str]:
    return _component(uid, f"Changed {uid}", start, f"RECURRENCE-ID{original}", "X-OF:the occurrence", *more, **how)


RULES = {
    "daily": "FREQ=DAILY;COUNT=10",
    "every-three-days": "FREQ=DAILY;INTERVAL=3;UNTIL=20260430T070000Z",
    "weekdays": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;COUNT=30",
    "endless": "FREQ=WEEKLY",
    "endless-odd": "FREQ=WEEKLY;BYDAY=MO,TH",
    "two-weeks": "FREQ=WEEKLY;INTERVAL=2;COUNT=9",
    "week-start": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU;COUNT=8",
    "monthly": "FREQ=MONTHLY;COUNT=6",
    "quarterly": "FREQ=MONTHLY;INTERVAL=3;COUNT=4",
    "second-monday": "FREQ=MONTHLY;BYDAY=1MO;COUNT=6",
    "last-workday": "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=5",
    "last-day": "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=5",
    "some-days": "FREQ=MONTHLY;BYMONTHDAY=2,15,28;COUNT=12",
    "yearly": "FREQ=YEARLY",
    "yearly-odd": "FREQ=YEARLY;BYMONTH=3,6;BYDAY=MO;COUNT=7",
    "week-number": "FREQ=YEARLY;BYWEEKNO=10,20,30;BYDAY=MO;COUNT=3",
    "year-day": "FREQ=YEARLY;BYYEARDAY=61,100,200;COUNT=3",
    "once": "FREQ=DAILY;COUNT=1",
}
"""From Monday, 2 March 2026, 9 o'clock in Berlin; the clocks change on 29 March."""
STARTS = {"last-workday": "20260331T090000", "last-day": "20260331T090000"}


def _odd() -> dict[str, str]:
    weekly, nine = "RRULE:FREQ=WEEKLY;COUNT=8", "20260302T090000"
    items = {
        "exdates": [_series("exdates", IN_BERLIN + nine, weekly, f"EXDATE{IN_BERLIN}20260309T090000,20260330T090000")],
        "exdate-utc": [_series("exdate-utc", IN_BERLIN + nine, weekly, "EXDATE:20260309T080000Z,20260330T070000Z")],
        "rdates": [_series("rdates", IN_BERLIN + nine, weekly, f"RDATE{IN_BERLIN}20260304T143000,20260506T100000")],
        "rdates-alone": [_series("rdates-alone", ":20260302T090000Z", "RDATE:20260305T090000Z,20260317T120000Z")],
        "all-day": [_series("all-day", ":20260302", "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=9")],
        "all-day-changed": [
            _series("all-day-changed", ":20260302", weekly),
            _changed("all-day-changed", ";VALUE=DATE:20260316", ":20260318"),
        ],
        "new-york": [_series("new-york", IN_NEW_YORK + "20260302T200000", weekly)],
        "new-york-changed": [
            _series("new-york-changed", IN_NEW_YORK + "20260302T200000", weekly),
            _changed("new-york-changed", ":20260317T000000Z", IN_NEW_YORK + "20260317T200000"),
        ],
        "floating": [_series("floating", f":{nine}", weekly)],
        "utc": [_series("utc", f":{nine}Z", "RRULE:FREQ=DAILY;COUNT=40;BYDAY=MO,WE")],
        "over-midnight": [_series("over-midnight", IN_BERLIN + "20260328T230000", weekly, hours=4)],
        "changed-twice": [
            _series("changed-twice", IN_BERLIN + nine, weekly),
            _changed("changed-twice", f"{IN_BERLIN}20260316T090000", IN_BERLIN + "20260317T110000"),
            _changed("changed-twice", f"{IN_BERLIN}20260330T090000", IN_BERLIN + "20260330T150000", hours=2),
        ],
        "cancelled": [
            _series("cancelled", IN_BERLIN + nine, weekly),
            _changed("cancelled", f"{IN_BERLIN}20260316T090000", IN_BERLIN + "20260316T090000", "STATUS:CANCELLED"),
        ],
        "changed-and-left-out": [
            _series("changed-and-left-out", IN_BERLIN + nine, weekly, f"EXDATE{IN_BERLIN}20260309T090000"),
            _changed("changed-and-left-out", f"{IN_BERLIN}20260323T090000", IN_BERLIN + "20260324T090000"),
        ],
        "changed-extra": [
            _series("changed-extra", IN_BERLIN + nine, weekly, f"RDATE{IN_BERLIN}20260304T143000"),
            _changed("changed-extra", f"{IN_BERLIN}20260304T143000", IN_BERLIN + "20260305T143000"),
        ],
        "later": [
            _series("later", ":20260302T090000Z", "RRULE:FREQ=WEEKLY;COUNT=12"),
            _changed("later", ";RANGE=THISANDFUTURE:20260413T090000Z", ":20260413T110000Z"),
        ],
        "lone": [_changed("lone", f"{IN_BERLIN}20260316T090000", IN_BERLIN + "20260316T090000")],
        "to-do": [_series("to-do", IN_BERLIN + nine, weekly, kind="VTODO")],
        "two-a-day": [_series("two-a-day", IN_BERLIN + nine, "RRULE:FREQ=DAILY;BYHOUR=9,15;COUNT=8")],
        "hourly": [_series("hourly", IN_BERLIN + nine, "RRULE:FREQ=HOURLY;COUNT=8")],
        "no-occurrence": [_series("no-occurrence", IN_BERLIN + nine, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")],
    }
    return {uid: _file(*components) for uid, components in items.items()}


def _items() -> dict[str, str]:
    starts = {uid: IN_BERLIN + STARTS.get(uid, "20260302T090000") for uid in RULES}
    plain = {uid: _file(_series(uid, starts[uid], f"RRULE:{rule}")) for uid, rule in RULES.items()}
    return {f"{uid}.ics": text for uid, text in {**plain, **_odd()}.items()}


# --- what takes place ------------------------------------------------------------------------------------------------

When = tuple[str, str]  # subject; instant of the start, or date


def _in_calendar(texts: Mapping[str, str]) -> list[When]:
    found = []
    for text in texts.values():
        calendar = icalendar.Calendar.from_ical(text)
        for one in recurring_ical_events.of(calendar, components=["VEVENT"]).between(*YEAR):
            if str(one.get("STATUS", "")) != "CANCELLED":
                found.append((str(one["SUMMARY"]), _shown(one["DTSTART"].dt)))
    return sorted(found)


def _shown(moment: date) -> str:
    if not isinstance(moment, datetime):
        return moment.isoformat()
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    return aware.astimezone(UTC).isoformat()


def _on_server(desk: Desk) -> list[When]:
    with desk.as_server_user() as server:
        return sorted(when for a in server.activities() if a["display_in"] != "To Do and Activities" for when in _at(a))


def _at(activity: Activity) -> Iterator[When]:
    planned, subject = activity["planned"], str(activity["description"])
    assert isinstance(planned, date)
    first, last = (moment.date() for moment in YEAR)
    if not activity["repeating"]:
        if first <= day_of(planned, planned) < last:
            yield subject, _shown(planned)
        return
    zone = find_zone(str(activity["timezone"] or "")) or ZoneInfo("Europe/Berlin")
    start = planned.astimezone(zone) if isinstance(planned, datetime) else planned
    left_out = {day_of(m, start) for m in activity["exceptions"] or ()}  # type: ignore[union-attr,arg-type]
    pattern = named(str(activity["repeating_type"]), PATTERNS)
    assert pattern is not None
    expires = activity["repeating_expires"]
    until = min(expires, last) if isinstance(expires, date) else last
    for day in period_of(pattern).days(day_of(start, start), until):
        if day not in left_out and day < last:
            yield subject, _shown(on_day(start, day))


PATTERNS = bootstrap.shipped_mapping("default").patterns


# --- the desk --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["radicale-embedded", "xandikos-http"])
def places(request: pytest.FixtureRequest, desk: Desk) -> Iterator[tuple[Desk, Calendar]]:
    dav_name, _, activity_server = request.param.partition("-")
    dav: DavServer = request.getfixturevalue(dav_name)
    url = dav.make_collection()
    _configure(desk, dav, url)
    if activity_server == "embedded":
        yield desk, Calendar(dav, url)
        return
    store = bootstrap.open_store(f"sqlite:///{desk.folder}/activities.db")
    token = tokens.issue(store, "e1", "test", system_clock)

    def open_activities(shown: str) -> Activities | None:
        employee = tokens.recognise(store, shown)
        return Activities(store, employee.id, GENERIC, system_clock) if employee else None

    with serving(create_app(open_activities, OURS)) as address:
        remote = replace(desk, server=address, more_server=f'token = "{token}"', user=ME)
        remote.configure()
        yield remote, Calendar(dav, url)
    store.close()


def _synced(desk: Desk, calendar: Calendar, held: Set[str] = frozenset()) -> dict[str, Any]:
    """A run; after it both sides agree on what takes place, and another one has nothing to do."""
    report: dict[str, Any] = desk.do("sync", "--json").json
    assert (report["failed"], {c["key"] for c in report["conflicts"]}) == (0, held), report["problems"]
    before = calendar.texts()
    here = _in_calendar({h: t for h, t in before.items() if h.removesuffix(".ics") not in HELD})
    there = _on_server(desk)
    assert there == here, (sorted(set(here) - set(there)), sorted(set(there) - set(here)))
    assert writes(desk.do("sync", "--json").json) == 0
    assert calendar.texts() == before
    return report


def _lines_changed(before: str, after: str) -> tuple[set[str], set[str]]:
    old, new = before.splitlines(), after.splitlines()
    return {li for li in old if li not in new}, {li for li in new if li not in old}


def _set(desk: Desk, integration_id: str, **values: Any) -> None:
    """Set on the server as another program does: a series as a whole."""
    desk.change({_id(desk, integration_id): values})


def _id(desk: Desk, integration_id: str) -> str:
    (found,) = [a["id"] for a in desk.activities() if a["integration_id"] == integration_id]
    return str(found)


def test_forty_series_take_place_alike_on_both_sides(places: tuple[Desk, Calendar]) -> None:
    desk, calendar = places
    calendar.fill(_items())
    first = calendar.texts()
    assert len(first) == len(_items())
    report = _synced(desk, calendar, HELD)
    assert (report["linked"], report["server"]["updated"], report["server"]["deleted"]) == (0, 0, 0)
    assert calendar.texts() == first  # nothing was written into the calendar

    for edit in (_edits_in_the_calendar, _edits_on_the_server):
        before, touched = calendar.texts(), edit(desk, calendar)
        report = _synced(desk, calendar, HELD)
        after = calendar.texts()
        assert {h for h in before.keys() | after.keys() if before.get(h) != after.get(h)} == touched, report["actions"]


def _edits_in_the_calendar(desk: Desk, calendar: Calendar) -> set[str]:
    calendar.edit("changed-twice.ics", "20260317T110000", "20260317T100000")  # one moved
    calendar.edit("exdates.ics", "20260330T090000\r\n", "20260330T090000,20260406T090000\r\n")  # one deleted
    calendar.edit("weekdays.ics", "BYDAY=MO,TU,WE,TH,FR", "BYDAY=MO,WE,FR")  # another rule
    calendar.edit("endless.ics", "FREQ=WEEKLY", "FREQ=WEEKLY;UNTIL=20260601T070000Z")  # ended
    calendar.edit("cancelled.ics", "STATUS:CANCELLED\r\n", "")  # takes place after all
    calendar.edit("rdates.ics", "20260304T143000,", "")  # an extra date less
    calendar.edit("lone.ics", "Berlin:20260316T100000", "Berlin:20260316T103000")  # ends later
    calendar.edit("new-york-changed.ics", "SUMMARY:Series", "SUMMARY:Renamed")
    calendar.edit("all-day.ics", "COUNT=9", "COUNT=12")
    calendar.edit("daily.ics", "RRULE:FREQ=DAILY;COUNT=10\r\n", "")  # not repeating any more
    calendar.edit("later.ics", "20260413T110000Z", "20260413T113000Z")  # the later part at another time
    calendar.edit("over-midnight.ics", "20260328T230000", "20260328T220000")
    once = {"changed-twice", "exdates", "cancelled", "rdates", "lone", "new-york-changed"}
    rules = {"weekdays", "endless", "all-day", "daily", "later", "over-midnight"}
    return {f"{name}.ics" for name in once | rules}


def _edits_on_the_server(desk: Desk, calendar: Calendar) -> set[str]:
    _set(desk, "utc", exceptions=[*_exceptions(desk, "utc"), "2026-03-04T09:00:00Z"])
    _set(desk, "changed-twice/20260316T080000Z", description="Changed there", location="Room 2")
    _set(desk, "second-monday", description="Series of the server")
    _set(desk, "monthly", repeating_expires="2026-06-30")
    _set(desk, "two-weeks", planned="2026-03-02T10:00:00+01:00", planned_completion="2026-03-02T11:00:00+01:00")
    _set(desk, "lone/20260316T080000Z", description="Alone there")
    _set(desk, "rdates/20260506T080000Z", description="Extra there")
    _set(desk, "all-day-changed/20260316", planned="2026-03-19", planned_completion="2026-03-19")
    once = {"utc", "changed-twice", "lone", "rdates", "all-day-changed"}
    return {f"{name}.ics" for name in once | {"second-monday", "monthly", "two-weeks"}}


def _exceptions(desk: Desk, integration_id: str) -> list[str]:
    (found,) = [a["exceptions"] for a in desk.activities() if a["integration_id"] == integration_id]
    return list(found)


Edit = Callable[[Desk], None]
EXACT: dict[str, tuple[str, Edit, set[str], set[str]]] = {
    "an exception": (
        "utc.ics",
        lambda desk: _set(desk, "utc", exceptions=[*_exceptions(desk, "utc"), "2026-03-04T09:00:00Z"]),
        set(),
        {"EXDATE:20260304T090000Z"},
    ),
    "a changed occurrence": (
        "changed-twice.ics",
        lambda desk: _set(desk, "changed-twice/20260316T080000Z", location="Room 2"),
        set(),
        {"LOCATION:Room 2"},
    ),
    "the series' subject": (
        "changed-twice.ics",
        lambda desk: _set(desk, "changed-twice", description="Series of the server"),
        {"SUMMARY:Series changed-twice"},
        {"SUMMARY:Series of the server"},
    ),
    "the end": (
        "monthly.ics",
        lambda desk: _set(desk, "monthly", repeating_expires="2026-06-30"),
        {"RRULE:FREQ=MONTHLY;COUNT=6"},
        {"RRULE:FREQ=MONTHLY;UNTIL=20260630T215959Z"},
    ),
}


def test_an_edit_on_the_server_changes_these_lines_and_no_others(places: tuple[Desk, Calendar]) -> None:
    desk, calendar = places
    calendar.fill({href: text for href, text in _items().items() if href in {e[0] for e in EXACT.values()}})
    _synced(desk, calendar)
    for name, (href, edit, gone, new) in EXACT.items():
        before = calendar.texts()
        edit(desk)
        assert _synced(desk, calendar)["pim"] == {"created": 0, "updated": 1, "deleted": 0}, name
        after = calendar.texts()
        assert [h for h in after if after[h] != before.get(h)] == [href], name
        assert _lines_changed(before[href], after[href]) == (gone, new), name


def test_a_series_moved_by_hand_on_the_server_goes_on_as_a_second_one(places: tuple[Desk, Calendar]) -> None:
    """`activity set`: what is past stays."""
    desk, calendar = places
    calendar.fill({"choir.ics": _file(_series("choir", IN_BERLIN + "20200106T190000", "RRULE:FREQ=WEEKLY"))})
    desk.sync()
    desk.good("activity", "set", _id(desk, "choir"), "planned=2020-01-06T20:00:00+01:00", "description=Choir at eight")
    report = desk.sync()
    assert report["pim"] == {"created": 1, "updated": 1, "deleted": 0}
    texts = calendar.texts()
    assert "DTSTART;TZID=Europe/Berlin:20200106T190000" in texts["choir.ics"]
    assert "SUMMARY:Series choir" in texts["choir.ics"]
    assert "RRULE:FREQ=WEEKLY;UNTIL=" in texts["choir.ics"]
    (new,) = [text for href, text in texts.items() if href != "choir.ics"]
    assert "SUMMARY:Choir at eight" in new
    assert "T200000" in new
    assert writes(desk.sync()) == 0
    assert calendar.texts() == texts
    assert len(desk.activities()) == 2
