"""One person's series, its calendar and the server, with things going wrong: at rest both sides show the same.

What is compared is what people see: every occurrence, its subject and its start, on each side, as far as the series is
told. Somebody changes occurrences, takes some out, gives the series another rule, moves it, adds dates, on either side
and on both at once; runs are killed, answers get lost, the state is lost, and time passes.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from syncengine.core.ical.read import parts_of, read
from syncengine.core.ical.write import find, new, with_occurrence, write
from syncengine.core.recurrence.expand import between
from syncengine.core.recurrence.pattern import named, period_of
from syncengine.core.recurrence.rule import parse_rule
from syncengine.core.recurrence.wall import day_of, instant, named_days, on_day
from syncengine.errors import SideError, Stopped
from syncengine.model.activity import Activity
from syncengine.model.item import Item
from syncengine.model.pim import Kind
from syncengine.model.proxy import Share
from tests.property import world as w
from tests.property.oracle import come_to_rest
from tests.property.test_convergence import TROUBLE
from tests.property.world import Killed, Trouble, World

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 2, 9, 0, tzinfo=BERLIN)
FAR = date(2027, 2, 1)
"""Endless series are told to March 2027 and later; what both sides show is compared up to this day."""
RULES = (
    "FREQ=WEEKLY;COUNT=6",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2;COUNT=5",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=DAILY;INTERVAL=3;UNTIL=20260420T000000Z",
    "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=7",
    "FREQ=MONTHLY;BYDAY=1MO;COUNT=4",
    "FREQ=MONTHLY",
    "FREQ=YEARLY;COUNT=3",
    "FREQ=DAILY;COUNT=1",
)
NTH = st.integers(0, 7)
UID = "series"
Seen = set[tuple[datetime, str]]


def showing(text: str) -> Seen:
    """What a calendar shows of the item: start and subject of each occurrence."""
    item = read(text, {"summary", "rdate"})
    assert isinstance(item, Item)
    start, changed = item.values["dtstart"], parts_of(text)
    assert isinstance(start, datetime)
    subject = str(item.values.get("summary") or "")
    replaced = {instant(c.original) for c in changed.values()}
    rdates, exdates = (item.values.get(n) or () for n in ("rdate", "exdate"))
    if rrule := item.values.get("rrule"):
        starts = between(parse_rule(str(rrule)), start, start, FAR, rdates, exdates)  # type: ignore[arg-type]
    else:
        out = named_days(exdates, start)  # type: ignore[arg-type]
        starts = [m for m in (start, *rdates) if m.date() not in out]  # type: ignore[union-attr,misc]
    seen = {(instant(m), subject) for m in starts if instant(m) not in replaced}
    for one in changed.values():
        seen.add((instant(one.values["dtstart"]), str(read_subject(text, one.component))))  # type: ignore[arg-type]
    return _near(seen)  # type: ignore[arg-type]


def read_subject(text: str, component: Any) -> str:
    return next((text[li.start : li.end].partition(":")[2] for li in component.named("SUMMARY")), "")


def stored(activities: list[Activity]) -> Seen:
    """What the server's users see."""
    seen: Seen = set()
    for activity in activities:
        subject, planned = str(activity["description"] or ""), activity["planned"]
        assert isinstance(planned, datetime)
        if not activity["repeating"]:
            seen.add((planned, subject))
            continue
        start = planned.astimezone(BERLIN)
        pattern = named(str(activity["repeating_type"]), w.mapping().patterns)
        assert pattern
        gone = {day_of(m, start) for m in activity["exceptions"] or ()}  # type: ignore[union-attr,arg-type]
        expires = activity["repeating_expires"] or FAR
        assert isinstance(expires, date)
        days = period_of(pattern).days(start.date(), expires)
        seen |= {(instant(on_day(start, day)), subject) for day in days if day not in gone}  # type: ignore[misc]
    return _near(seen)


def _near(seen: Seen) -> Seen:
    return {(moment.astimezone(UTC), subject) for moment, subject in seen if moment.date() <= FAR}


THERE = precondition(lambda self: self.there)


class SeriesConvergence(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.number = 0
        self.there = False

    @initialize(rewrite=st.sampled_from(sorted(w.REWRITES)), which=st.sampled_from(RULES))
    def begin(self, rewrite: str, which: str) -> None:
        self.world = World(rewrite=rewrite)
        values: dict[str, Any] = {
            "summary": "Series",
            "dtstart": START,
            "dtend": START + timedelta(hours=1),
            "rrule": which,
        }
        self.here.put("one", UID, new(Kind.EVENT, UID, values, self.here.now))
        self.there = True

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self.check()
        finally:
            self.here.close()

    @property
    def here(self) -> World:
        assert self.world
        return self.world

    # --- what must be true -------------------------------------------------------------------------------------------

    def check(self) -> None:
        come_to_rest(self.here)
        activities = list(self.here.activities().values())
        keys = [a["integration_id"] for a in activities if a["integration_id"]]
        assert len(keys) == len(set(keys)), "one occurrence has two activities"
        assert not self.here.state("one").issues(), self.here.state("one").issues()
        proxies = self.here.proxies("one")
        if any(p.held or p.share is not Share.SHARED for p in proxies):
            return  # a person is asked, or something was deleted on the server: then the sides may differ
        shown = showing(self.text) if self.there else set()
        items = {uid: item for uid, (_, item) in self.here.items("one").items() if uid != UID}
        assert not items
        assert shown == stored(activities), (
            f"calendar only: {shown - stored(activities)}; server only: {stored(activities) - shown}"
        )

    @property
    def text(self) -> str:
        return self.here.items("one")[UID][0].text

    def _item(self) -> Item:
        return self.here.items("one")[UID][1]

    def _subject(self) -> str:
        self.number += 1
        return f"s{self.number:03d}"

    def _starts(self) -> list[datetime]:
        item = self._item()
        rrule, start = item.values.get("rrule"), item.values["dtstart"]
        if not rrule:
            return [start]  # type: ignore[list-item]
        found = between(parse_rule(str(rrule)), start, start, FAR)  # type: ignore[arg-type]
        return found[:8]  # type: ignore[return-value]

    # --- in the calendar ---------------------------------------------------------------------------------------------

    @THERE
    @rule(nth=NTH, minutes=st.sampled_from([0, 0, 45, 24 * 60, -26 * 60]), rename=st.booleans())
    def change_occurrence(self, nth: int, minutes: int, rename: bool) -> None:
        starts = self._starts()
        original = starts[nth % len(starts)]
        item = self._item()
        if not item.values.get("rrule"):
            return
        text, key = self.text, f"{original:%Y%m%d}"
        if find(text, key) is None:
            text, key = with_occurrence(text, original, BERLIN)
        changes: dict[str, Any] = {"dtstart": original + timedelta(minutes=minutes)}
        changes["dtend"] = changes["dtstart"] + timedelta(hours=1)
        if rename:
            changes["summary"] = self._subject()
        self.here.put("one", UID, write(text, changes, BERLIN, key))

    @THERE
    @rule(nth=NTH)
    def restore_occurrence(self, nth: int) -> None:
        changed = list(parts_of(self.text).values())
        if not changed:
            return
        component, text = changed[nth % len(changed)].component, self.text
        self.here.put("one", UID, text[: component.start] + text[component.end :].lstrip("\r\n"))

    @THERE
    @rule(nth=NTH)
    def delete_occurrence(self, nth: int) -> None:
        """As calendar programs do it: EXDATE, and the changed occurrence goes."""
        starts = self._starts()
        if len(starts) < 3 or not self._item().values.get("rrule"):
            return
        original = starts[nth % len(starts)]
        if changed := parts_of(self.text).get(f"{original:%Y%m%d}"):
            text = self.text
            self.here.put("one", UID, text[: changed.component.start] + text[changed.component.end :].lstrip("\r\n"))
        out = self._item().values.get("exdate") or ()
        if len(out) >= 2:  # type: ignore[arg-type]
            return
        self.here.put("one", UID, write(self.text, {"exdate": (*out, original)}, BERLIN))  # type: ignore[misc]

    @THERE
    @rule(which=st.sampled_from(RULES), clean=st.booleans())
    def change_rule(self, which: str, clean: bool) -> None:
        """Another rule; most programs throw away what was said of single occurrences then."""
        text = self.text
        if clean or len(parts_of(text)) > 0:
            for changed in sorted(parts_of(text).values(), key=lambda c: -c.component.start):
                text = text[: changed.component.start] + text[changed.component.end :].lstrip("\r\n")
        changes: dict[str, Any] = {"rrule": which, "exdate": None}
        self.here.put("one", UID, write(text, changes, BERLIN))

    @THERE
    @rule()
    def rename_series(self) -> None:
        self.here.put("one", UID, write(self.text, {"summary": self._subject()}, BERLIN))

    @THERE
    @rule(day=st.integers(1, 40), hour=st.sampled_from([9, 9, 15]))
    def add_date(self, day: int, hour: int) -> None:
        item = self._item()
        extra = (START + timedelta(days=day)).replace(hour=hour)
        there = item.values.get("rdate") or ()
        days = {m.date() for m in (*self._starts(), *there)}  # type: ignore[union-attr]
        if not item.values.get("rrule") or extra.date() in days or len(there) >= 2:  # type: ignore[arg-type]
            return
        self.here.put("one", UID, write(self.text, {"rdate": (*there, extra)}, BERLIN))  # type: ignore[misc]

    @THERE
    @rule(hours=st.sampled_from([1, 3]))
    def move_series(self, hours: int) -> None:
        """To another hour, as programs do it: what was said of occurrences follows, extra dates do not."""
        item = self._item()
        start = item.values["dtstart"]
        assert isinstance(start, datetime)
        if start.hour + hours > 20 or item.values.get("rdate"):
            return
        new_start = start + timedelta(hours=hours)
        out = tuple(m + timedelta(hours=hours) for m in item.values.get("exdate") or ())  # type: ignore[operator,union-attr]
        changes: dict[str, Any] = {"dtstart": new_start, "dtend": new_start + timedelta(hours=1), "exdate": out or None}
        self.here.put("one", UID, write(self.text, changes, BERLIN))

    @THERE
    @rule()
    def delete_series(self) -> None:
        self.here.drop("one", UID)
        self.there = False

    # --- on the server -----------------------------------------------------------------------------------------------

    def _activities(self) -> list[Activity]:
        return sorted(self.here.server("one").activities(), key=lambda a: str(a["integration_id"]))

    def _series(self) -> Activity | None:
        return next((a for a in self._activities() if a["repeating"] and a["integration_id"] == UID), None)

    @rule(nth=NTH, rename=st.booleans(), minutes=st.sampled_from([0, 30, 24 * 60]))
    def server_changes_single(self, nth: int, rename: bool, minutes: int) -> None:
        singles = [a for a in self._activities() if a["series"]]
        if not singles:
            return
        one = singles[nth % len(singles)]
        planned = one["planned"]
        assert isinstance(planned, datetime)
        values: dict[str, Any] = {"description": self._subject()} if rename else {}
        if minutes:
            values["planned"] = (planned + timedelta(minutes=minutes)).isoformat()
        if values:
            self.here.edit("one", one.id, **values)

    @rule()
    def server_renames(self) -> None:
        if series := self._series():
            self.here.edit("one", series.id, description=self._subject())

    @rule(nth=NTH, back_in=st.booleans())
    def server_excepts(self, nth: int, back_in: bool) -> None:
        """One occurrence is left out, or one that was takes place."""
        series = self._series()
        if series is None:
            return
        start = series["planned"].astimezone(BERLIN)  # type: ignore[union-attr]
        pattern = named(str(series["repeating_type"]), w.mapping().patterns)
        assert pattern
        last = min(series["repeating_expires"] or FAR, FAR)  # type: ignore[type-var]
        out = {day_of(m, start) for m in series["exceptions"] or ()}  # type: ignore[union-attr,arg-type]
        changed = {str(a["integration_id"]).rpartition("/")[2][:8] for a in self._activities() if a["series"]}
        days = [d for d in period_of(pattern).days(start.date(), last) if f"{d:%Y%m%d}" not in changed]  # type: ignore[arg-type]
        some = [d for d in days if (d in out) is back_in]
        if not some or (not back_in and len(some) < 3):
            return
        chosen = {some[nth % len(some)]}
        after = out - chosen if back_in else out | chosen
        self.here.edit("one", series.id, exceptions=[on_day(start, d).isoformat() for d in sorted(after)])

    @rule(days=st.integers(15, 60))
    def server_ends(self, days: int) -> None:
        if series := self._series():
            self.here.edit("one", series.id, repeating_expires=(START.date() + timedelta(days=days)).isoformat())

    @rule(hours=st.sampled_from([2, 24]))
    def server_moves(self, hours: int) -> None:
        """All of it, as servers do that know no past."""
        series = self._series()
        if series is None or any(a["series"] for a in self._activities()):
            return
        planned = series["planned"]
        assert isinstance(planned, datetime)
        if planned.astimezone(BERLIN).hour > 18:
            return
        self.here.edit("one", series.id, planned=(planned + timedelta(hours=hours)).isoformat())

    # --- the client --------------------------------------------------------------------------------------------------

    @rule()
    def sync(self) -> None:
        self._run(w.QUIET)

    @rule(trouble=TROUBLE)
    def sync_in_trouble(self, trouble: Trouble) -> None:
        self._run(trouble)

    @rule(kill_at=st.integers(0, 45))
    def sync_killed(self, kill_at: int) -> None:
        self._run(Trouble(kill_at=kill_at))

    @rule(days=st.sampled_from([3, 40]))
    def days_pass(self, days: int) -> None:
        self.here.now += timedelta(days=days)

    @THERE
    @rule()
    def lose_state(self) -> None:
        """Deleted while nobody remembers it, a series comes to nobody's notice; that is told elsewhere."""
        self.here.lose_state("one")

    @rule()
    def rest(self) -> None:
        self.check()

    def _run(self, trouble: Trouble) -> None:
        with suppress(Stopped, Killed):
            try:
                self.here.run("one", trouble)
            except SideError:
                assert not trouble.none


SeriesConvergence.TestCase.settings = settings.get_profile(
    "long" if settings.get_current_profile_name() == "long" else "quick"
)
test_series_convergence = SeriesConvergence.TestCase
