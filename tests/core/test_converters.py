# ruff: noqa: DTZ001 - floating times are meant
"""CAL-4 and times in every zone; laws that hold for all converters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncengine.core.mapping.apply import down, moved_down, moved_up, untranslated, up
from syncengine.core.mapping.converters import CONVERTERS
from syncengine.core.recurrence.rule import WEEKDAYS
from syncengine.model.item import Item, PimValue
from syncengine.model.pim import Kind
from tests.core.mapping_world import BERLIN, EVENTS, TODOS, context, event, todo

ZONES = ["Etc/GMT+12", "Pacific/Honolulu", "America/New_York", "UTC", "Europe/Berlin", "Asia/Kathmandu"]
ZONES += ["Pacific/Auckland", "Etc/GMT-14", "America/Sao_Paulo"]
MONDAY, TUESDAY, WEDNESDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("end", "last"), [(TUESDAY, MONDAY), (WEDNESDAY, TUESDAY), (MONDAY, MONDAY)])
def test_all_day_never_drifts(zone: str, end: date, last: date) -> None:
    me = context(zone)
    values = up(event(dtstart=MONDAY, dtend=end), EVENTS, me)
    assert (values["planned"], values["planned_completion"], values["all_day"]) == (MONDAY, last, True)
    assert values["timezone"] is None
    for shown_in in ZONES:
        shown = down({**values, "timezone": shown_in}, EVENTS, me)
        assert (shown["dtstart"], shown["dtend"]) == (MONDAY, last + timedelta(days=1))


def test_a_meeting_of_no_length_at_midnight_stays_timed() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=BERLIN)
    values = up(event(dtstart=midnight, dtend=midnight), EVENTS, context())
    assert (values["all_day"], values["duration"]) == (False, 0)
    assert values["planned"] == values["planned_completion"] == datetime(2026, 3, 1, 23, tzinfo=UTC)
    shown = down(values, EVENTS, context())
    assert shown["dtstart"] == shown["dtend"] == midnight


def test_a_todo_due_on_a_day_stays_on_it() -> None:
    for zone in ZONES:
        values = up(todo(due=MONDAY), TODOS, context(zone))
        assert down(values, TODOS, context(zone))["due"] == MONDAY


@pytest.mark.parametrize(
    ("planned", "completion", "dtstart", "dtend"),
    [
        (MONDAY, None, MONDAY, TUESDAY),
        (TUESDAY, MONDAY, TUESDAY, WEDNESDAY),
        (MONDAY, datetime(2026, 3, 2, 23, 30, tzinfo=UTC), MONDAY, WEDNESDAY),
        (date.max, date.max, date.max, date.max),
        (None, MONDAY, None, None),
        (datetime(2026, 3, 2, 8, tzinfo=UTC), None, datetime(2026, 3, 2, 9, tzinfo=BERLIN), ...),
        (datetime(2026, 3, 2, 8, tzinfo=UTC), MONDAY, ..., datetime(2026, 3, 3, 0, tzinfo=BERLIN)),
        (datetime(2026, 3, 2, 8, tzinfo=UTC), datetime(2026, 3, 2, 7, tzinfo=UTC), ..., "start"),
    ],
)
def test_contradicting_ends_come_down_sound(
    planned: object, completion: object, dtstart: object, dtend: object
) -> None:
    values = {"planned": planned, "planned_completion": completion, "timezone": "Europe/Berlin"}
    shown = down(values, EVENTS, context())  # type: ignore[arg-type]
    assert dtstart is ... or shown["dtstart"] == dtstart
    assert dtend is ... or shown["dtend"] == (shown["dtstart"] if dtend == "start" else dtend)
    assert type(shown["dtstart"]) is type(shown["dtend"])


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2026, 3, 29, 1, 59, tzinfo=BERLIN), datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        (datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        (datetime(2026, 7, 1, 9, 0), datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        (datetime(2026, 7, 1, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=-3))), datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ],
)
def test_instants(time: datetime, expected: datetime) -> None:
    value = up(event(dtstart=time, dtend=time), EVENTS, context())["planned"]
    assert value == expected
    assert isinstance(value, datetime)
    assert (value.tzinfo, value.microsecond) == (UTC, 0)


@pytest.mark.parametrize(
    ("time", "name"),
    [
        (datetime(2026, 3, 2, 9, tzinfo=BERLIN), "Europe/Berlin"),
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "UTC"),
        (datetime(2026, 3, 2, 9, tzinfo=ZoneInfo("UTC")), "UTC"),
        (datetime(2026, 3, 2, 9), None),
        (datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=2))), None),
        (MONDAY, None),
    ],
)
def test_zone_names(time: PimValue, name: str | None) -> None:
    assert up(event(dtstart=time, dtend=time), EVENTS, context())["timezone"] == name
    assert up(todo(due=time), TODOS, context())["timezone"] == name


def test_shown_in_the_zone_the_activity_names() -> None:
    planned = datetime(2026, 7, 1, 7, tzinfo=UTC)

    def zone(name: str | None) -> object:
        shown = down({"planned": planned, "timezone": name}, EVENTS, context())["dtstart"]
        assert shown == planned
        return shown.tzinfo  # type: ignore[union-attr]

    assert zone("America/New_York") == ZoneInfo("America/New_York")
    assert zone(None) is UTC
    assert zone("No/Where") is UTC


def test_completed_is_always_an_instant() -> None:
    me = context()
    assert up(todo(completed=MONDAY), TODOS, me)["completed"] == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert down({"completed": MONDAY}, TODOS, me)["completed"] == datetime(2026, 3, 1, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        (MONDAY, WEDNESDAY, 2880),
        (datetime(2026, 3, 29, 1, tzinfo=BERLIN), datetime(2026, 3, 29, 4, tzinfo=BERLIN), 120),
        (datetime(2026, 3, 2, 9), datetime(2026, 3, 2, 8), 0),
        (MONDAY, datetime(2026, 3, 2, 9), None),
    ],
)
def test_duration(start: PimValue, end: PimValue, minutes: int | None) -> None:
    assert up(event(dtstart=start, dtend=end), EVENTS, context())["duration"] == minutes


def test_times_around_a_clock_change_are_no_false_change() -> None:
    """Python calls a folded time unequal to the same instant in another zone (PEP 495)."""
    folded = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    item = event(dtstart=folded.astimezone(BERLIN), dtend=folded.astimezone(BERLIN))
    values = up(item, EVENTS, context())
    assert moved_down(values, {**values, "timezone": "UTC"}, item, EVENTS, context()) == {}


def test_the_table_is_sound() -> None:
    for name, converter in CONVERTERS.items():
        assert converter.up or converter.down, name
        assert converter.gives, name


TEXTS = st.none() | st.text(max_size=8)
DAYS = st.dates(date(1990, 1, 1), date(2050, 1, 1))
INSTANTS = st.datetimes(
    datetime(1990, 1, 1), datetime(2050, 1, 1), timezones=st.none() | st.sampled_from([ZoneInfo(z) for z in ZONES])
).map(lambda d: d.replace(microsecond=0))
SPANS = st.tuples(DAYS, st.integers(1, 40)).map(lambda t: (t[0], t[0] + timedelta(days=t[1]))) | st.tuples(
    INSTANTS, st.integers(0, 5000)
).map(lambda t: (t[0], t[0] + timedelta(minutes=t[1])))
RULES = st.none() | st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;COUNT=5",
        "FREQ=WEEKLY;BYDAY=",
        "FREQ=MONTHLY;INTERVAL=3",
        "FREQ=YEARLY;UNTIL=20490101",
        "FREQ=DAILY;COUNT=9",
    ]
)
CLASSES = st.sampled_from([None, "PUBLIC", "PRIVATE"])


@st.composite
def items(draw: st.DrawFn) -> Item:
    start, end = draw(SPANS)
    shared = {"summary": draw(TEXTS), "description": draw(TEXTS), "location": draw(TEXTS), "class": draw(CLASSES)}
    rule = draw(RULES)
    if rule and rule.endswith("="):
        rule += WEEKDAYS[start.weekday()]
    if draw(st.booleans()):
        values = {**shared, "dtstart": start, "dtend": end, "rrule": rule, "exdate": (start,) if rule else None}
        return Item(Kind.EVENT, "u", {k: v for k, v in values.items() if v is not None})
    values = {
        **shared,
        "dtstart": draw(st.none() | st.just(start)),
        "due": draw(st.none() | st.just(end)),
        "status": draw(st.sampled_from([None, "NEEDS-ACTION", "IN-PROCESS", "COMPLETED", "CANCELLED"])),
        "percent-complete": draw(st.none() | st.integers(0, 100)),
        "priority": draw(st.none() | st.integers(0, 9)),
        "completed": draw(st.none() | INSTANTS.map(lambda d: d.replace(tzinfo=UTC))),
    }
    return Item(Kind.TODO, "u", {k: v for k, v in values.items() if v is not None})


def _after(item: Item, changes: dict[str, PimValue], zone: str) -> Item:
    """The item once these are written into it: floating times stay floating, and others on their wall clock, as
    `core.ical.write` keeps them."""
    start = item.values.get("dtstart")
    if isinstance(start, datetime) and start.tzinfo is None:
        changes = {name: _floating(value, ZoneInfo(zone)) for name, value in changes.items()}
    elif isinstance(start, datetime):
        changes = {name: _on_clock(value, start.tzinfo) for name, value in changes.items()}
    return Item(item.kind, item.uid, {k: v for k, v in {**item.values, **changes}.items() if v is not None})


def _on_clock(value: PimValue, zone: tzinfo | None) -> PimValue:
    return value.astimezone(zone) if isinstance(value, datetime) and value.tzinfo else value


def _floating(value: PimValue, zone: ZoneInfo) -> PimValue:
    if isinstance(value, tuple):
        return tuple(_floating(v, zone) for v in value)  # type: ignore[return-value]
    return value.astimezone(zone).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


@given(items(), st.sampled_from(ZONES))
def test_down_after_up_is_stable(item: Item, zone: str) -> None:
    """What comes up from an item is shown by it already, and an item laid down from its own activity means the same."""
    me, type_map = context(zone), EVENTS if item.kind is Kind.EVENT else TODOS
    values = up(item, type_map, me)
    assert moved_up(item, item, type_map, me, values) == {}
    assert moved_down(values, values, item, type_map, me) == {}
    laid = _after(item, {k: v for k, v in down(values, type_map, me).items() if k != "class"}, zone)
    again = up(laid, type_map, me)
    ignored = {"timezone", "percent_complete"} | (
        {"description", "comments", "location"} if values["private"] else set()
    )
    assert {k: v for k, v in again.items() if k not in ignored} == {k: v for k, v in values.items() if k not in ignored}


HONOLULU = ZoneInfo("Pacific/Honolulu")
A_DAY = Item(
    Kind.EVENT, "u", {"dtstart": datetime(2000, 1, 1, tzinfo=HONOLULU), "dtend": datetime(2000, 1, 2, tzinfo=HONOLULU)}
)
ITS_SERIES = {
    "dtstart": datetime(1999, 12, 31, 22, tzinfo=UTC),
    "dtend": datetime(2000, 1, 1, 22, tzinfo=UTC),
    "rrule": "FREQ=WEEKLY;COUNT=5",
    "exdate": (datetime(1999, 12, 31, 22, tzinfo=UTC),),
}


@given(items(), items(), st.sampled_from(ZONES))
@example(A_DAY, Item(Kind.EVENT, "u", ITS_SERIES), "Etc/GMT+12")  # UNTIL names a day on the item's own wall clock
def test_what_moved_up_comes_down_whole(one: Item, other: Item, zone: str) -> None:
    """Two clients: one edits its item, the other lays the moved fields onto its copy; then both mean the same."""
    me, type_map = context(zone), EVENTS if one.kind is Kind.EVENT else TODOS
    private = "PRIVATE" in (one.values.get("class"), other.values.get("class"))
    held = any(untranslated(item, type_map, me) for item in (one, other))
    if one.kind is not other.kind or private or held:
        return
    before = up(one, type_map, me)
    after = {**before, **moved_up(one, other, type_map, me, {})}
    assert after == up(other, type_map, me)
    copy = _after(one, moved_down(before, after, one, type_map, me), zone)
    ignored = {"timezone", "duration", "all_day", "done", "status", "percent_complete"}
    assert {k: v for k, v in up(copy, type_map, me).items() if k not in ignored} == {
        k: v for k, v in after.items() if k not in ignored
    }
