"""A person with series in a calendar, the activity server, and what both show of the single occurrences.

The calendar and the server are those of `tests.property.world`; here are the words in which stories about parts of a
series are told, and the iCalendar texts they begin with. All of them are about Mondays at nine, UTC, from 2 March 2026.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from syncengine.model.activity import Activity
from syncengine.model.report import Report
from syncengine.services import activity_editing, sharing
from tests.property.world import MortalState, World, mapping

ME = "one"
FILE = "series.ics"
SERIES = "series"
"""The UID of the series, and so the integration id of its activity."""
FIRST = "20260302T090000Z"
SUBJECT = "Series"


class SeriesDesk:
    """One person's calendar, client and activities."""

    def __init__(self) -> None:
        self.world = World()

    def close(self) -> None:
        self.world.close()

    # --- the calendar, as its user handles it ---

    def put(self, *components: str, file: str = FILE) -> None:
        """Save a file that holds these components, and nothing else."""
        self.world.users[ME].calendar.put(file, calendar(*components))

    def rewrite(self, *changes: tuple[str, str], file: str = FILE) -> None:
        """Replace texts of a file, each where it stands first, as a calendar program does."""
        text = self.text(file)
        for old, new in changes:
            assert old in text, f"{old!r} is not in {text}"
            text = text.replace(old, new, 1)
        self.world.users[ME].calendar.put(file, text)

    def drop(self, *files: str) -> None:
        for file in files:
            self.world.users[ME].calendar.drop(file)

    def text(self, file: str = FILE) -> str:
        return self.world.users[ME].calendar.items[file].text

    @property
    def calendar_writes(self) -> int:
        """How often anything was written to the calendar so far, by its user or by the client."""
        return self.world.users[ME].calendar.number

    # --- the client ---

    @property
    def state(self) -> MortalState:
        return self.world.state(ME)

    def sync(self) -> Report:
        """One run, whatever it leaves behind. Raises what stops it."""
        return self.world.run(ME)

    def settle(self) -> Report:
        """One run, and one more that finds nothing left to do. Returns the report of the first."""
        report, again = self.sync(), self.sync()
        assert again.quiet, f"not at rest: {again.actions}"
        return report

    def lose_state(self) -> None:
        self.world.lose_state(ME)

    def share(self, uid: str, *, shared: bool) -> None:
        sharing.set_shared(self.state, uid, shared=shared)

    def held(self) -> list[str]:
        """Why things wait for a person."""
        return [held.because for proxy in self.state.held() for held in proxy.held]

    def days_pass(self, days: int) -> None:
        self.world.now += timedelta(days=days)

    # --- the activities, as the server's users handle them ---

    def activities(self) -> list[Activity]:
        return sorted(self.world.activities().values(), key=lambda a: str(a["planned"]))

    def series(self, uid: str = SERIES) -> Activity:
        """The activity of the series, or of another whole item."""
        (found,) = self.world.with_integration_id(uid)
        return found

    def parts(self) -> list[Activity]:
        """The activities that are parts of a series, in order of their start."""
        return [a for a in self.activities() if a["series"]]

    def part(self, planned: str) -> Activity:
        """The part that takes place then. Its integration id is no good name: it follows the series."""
        (found,) = [a for a in self.parts() if a["planned"] == moment(planned)]
        return found

    def change(self, activity: Activity, **values: Any) -> None:
        """As servers do it that know no past: a series is changed as a whole."""
        self.world.edit(ME, activity.id, **values)

    def change_from_today(self, activity: Activity, **values: Any) -> None:
        """As `syncengine activity set` does it: of a series, what is past stays."""
        today = activity_editing.FromNowOn(self.world.now.date(), mapping().patterns, ZoneInfo("Europe/Berlin"))
        activity_editing.edit(self.world.server(ME), activity.id, values, self.world.new_id, today)


def calendar(*components: str) -> str:
    """The text of an iCalendar file."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:tests", *components, "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in "\n".join(lines).splitlines())


def event(uid: str, summary: str, start: str, *lines: str) -> str:
    """An event of one hour. lines: what else it says."""
    begin, end = f"DTSTART:{start}", f"DTEND:{stamp(moment(start) + timedelta(hours=1))}"
    head = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{summary}", begin, end]
    return "\n".join([*head, *lines, "END:VEVENT"])


def weekly(*lines: str, rule: str = "FREQ=WEEKLY;COUNT=8", uid: str = SERIES) -> str:
    """The series: Mondays at nine."""
    return event(uid, SUBJECT, FIRST, f"RRULE:{rule}", *lines)


def changed(original: str, start: str, *lines: str, summary: str = "Moved", uid: str = SERIES) -> str:
    """The occurrence that began at `original` begins at `start` now."""
    return event(uid, summary, start, f"RECURRENCE-ID:{original}", *lines)


def changed_from(original: str, start: str, summary: str = "Later") -> str:
    """The occurrence that began at `original`, and all that follow, are like this one."""
    return event(SERIES, summary, start, f"RECURRENCE-ID;RANGE=THISANDFUTURE:{original}")


def extra_dates(moments: Iterable[datetime]) -> str:
    return f"RDATE:{','.join(map(stamp, moments))}"


def moment(text: str) -> datetime:
    """What an iCalendar time in UTC means."""
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def stamp(when: datetime) -> str:
    return f"{when:%Y%m%dT%H%M%SZ}"


def first_sync_calls(*components: str) -> int:
    """How many calls of functions it takes to bring a file to the server: work, counted and not timed, so that a busy
    machine does not matter."""
    with closing(SeriesDesk()) as desk:
        desk.put(*components)
        return calls_of(desk.sync)


def calls_of(work: Callable[[], object]) -> int:
    calls = 0

    def count(_frame: object, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls
