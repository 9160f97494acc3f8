"""FLD-1, PRV-1, OWN-1: the shipped field, status and priority maps, row by row, in both directions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from syncengine.core.mapping.apply import defaults, down, matches, moved_down, moved_up, same, untranslated, up
from syncengine.model.filters import Comparison, Condition, Filter
from syncengine.model.mapping import Direction, FieldMap, ValueMap, ValueRow
from syncengine.model.pim import Kind
from tests.core.mapping_world import BERLIN, EVENTS, TODOS, but, context, event, todo, type_map

ME = context()
NINE = datetime(2026, 3, 2, 9, tzinfo=BERLIN)
TEN = datetime(2026, 3, 2, 10, 30, tzinfo=BERLIN)
NINE_UTC, TEN_UTC = datetime(2026, 3, 2, 8, tzinfo=UTC), datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

MEETING = event(
    summary="Review",
    description="Bring slides",
    location="Room 1",
    dtstart=NINE,
    dtend=TEN,
    organizer="bob@corp.example",
    attendee=("ada@corp.example", "cy@client.example", "who@else.example"),
)


def test_every_field_of_a_calendar_entry_goes_up() -> None:
    assert up(MEETING, EVENTS, ME) == {
        "integration_id": "u1",
        "display_in": "Calendar and Activities",
        "description": "Review",
        "comments": "Bring slides",
        "location": "Room 1",
        "planned": NINE_UTC,
        "planned_completion": TEN_UTC,
        "duration": 90,
        "all_day": False,
        "timezone": "Europe/Berlin",
        "private": False,
        "attachments": (),
        "owner": "E2",
        "employees": ("E1", "E2"),
        "contacts": ("C1",),
        "participants": ("ada@corp.example", "bob@corp.example", "cy@client.example", "who@else.example"),
        "revision": None,
        "status": None,
        "repeating": False,
        "repeating_type": None,
        "repeating_expires": None,
        "exceptions": (),
    }


def test_every_field_of_a_calendar_entry_comes_down() -> None:
    assert down(up(MEETING, EVENTS, ME), EVENTS, ME) == {
        "summary": "Review",
        "description": "Bring slides",
        "location": "Room 1",
        "dtstart": NINE,
        "dtend": TEN,
        "class": None,
        "attach": None,
        "rrule": None,
        "exdate": None,
    }


def test_every_field_of_a_todo_goes_up_and_comes_down() -> None:
    item = todo(
        summary="Call",
        description="About it",
        location="Phone",
        dtstart=NINE,
        due=TEN,
        completed=TEN_UTC,
        status="COMPLETED",
        percent_complete=100,
        priority=5,
        class_="CONFIDENTIAL",
    )
    public = but(item, class_=None)
    values = up(public, TODOS, ME)
    assert {name: values[name] for name in ("planned", "due", "completed", "done", "percent_complete")} == {
        "planned": NINE_UTC,
        "due": TEN_UTC,
        "completed": TEN_UTC,
        "done": True,
        "percent_complete": 100,
    }
    assert (values["status"], values["priority"], values["display_in"]) == ("Done", "3-Medium", "To Do and Activities")
    shown = down(values, TODOS, ME)
    assert {name: value for name, value in shown.items() if value is not None} == dict(public.values)


def test_an_empty_start_stays_empty() -> None:
    values = up(todo(due=date(2026, 3, 2)), TODOS, ME)
    assert (values["planned"], values["due"], values["all_day"]) == (None, date(2026, 3, 2), True)
    assert down(values, TODOS, ME)["dtstart"] is None


def test_defaults_are_separate() -> None:
    assert defaults(EVENTS) == {"type": "Appointment"}
    assert defaults(TODOS) == {"type": "To Do"}
    assert "type" not in up(MEETING, EVENTS, ME)


STATUS_UP = [
    ("NEEDS-ACTION", "Not Started"),
    ("IN-PROCESS", "In Progress"),
    ("COMPLETED", "Done"),
    ("CANCELLED", "Canceled"),
    ("WAITING", "On Hold"),
    ("DEFERRED", "Canceled"),
    ("completed", "Done"),
    ("X-ODD", "Not Started"),
]
STATUS_DOWN = [
    ("Not Started", 0, "NEEDS-ACTION"),
    ("Acknowledged", 50, "NEEDS-ACTION"),
    ("In Progress", 0, "IN-PROCESS"),
    ("Done", 0, "COMPLETED"),
    ("On Hold", 100, "IN-PROCESS"),
    ("Canceled", 0, "CANCELLED"),
    ("Declined", 0, "CANCELLED"),
    ("Requested", 0, "NEEDS-ACTION"),
    ("Requested", None, "NEEDS-ACTION"),
    ("Requested", 1, "IN-PROCESS"),
    ("Requested", 99, "IN-PROCESS"),
    ("Requested", 100, "COMPLETED"),
    (None, 40, "IN-PROCESS"),
]


@pytest.mark.parametrize(("pim", "server"), STATUS_UP)
def test_status_goes_up(pim: str, server: str) -> None:
    assert up(todo(status=pim), TODOS, ME)["status"] == server


@pytest.mark.parametrize(("server", "percent", "pim"), STATUS_DOWN)
def test_status_comes_down(server: str | None, percent: int | None, pim: str) -> None:
    assert down({"status": server, "percent_complete": percent}, TODOS, ME)["status"] == pim


@pytest.mark.parametrize(
    ("values", "server", "done", "percent"),
    [
        ({}, "Not Started", False, None),
        ({"percent_complete": 30}, "In Progress", False, 30),
        ({"percent_complete": 100}, "Done", True, 100),
        ({"completed": TEN_UTC}, "Done", True, 100),
        ({"status": "COMPLETED", "percent_complete": 0}, "Done", True, 100),
        ({"status": "NEEDS-ACTION", "percent_complete": 30}, "Not Started", False, 30),
    ],
)
def test_status_done_and_percent_agree(values: dict, server: str, done: bool, percent: int | None) -> None:  # type: ignore[type-arg]
    fields = up(todo(**values), TODOS, ME)
    assert (fields["status"], fields["done"], fields["percent_complete"]) == (server, done, percent)


PRIORITY_UP = [(1, "2-High"), (2, "2-High"), (3, "2-High"), (4, "2-High"), (5, "3-Medium")]
PRIORITY_UP += [(6, "4-Low"), (7, "4-Low"), (8, "4-Low"), (9, "4-Low")]


@pytest.mark.parametrize(("pim", "server"), [*PRIORITY_UP, (0, None), (None, None), (12, None)])
def test_priority_goes_up(pim: int | None, server: str | None) -> None:
    assert up(todo(priority=pim), TODOS, ME)["priority"] == server


@pytest.mark.parametrize(
    ("server", "pim"),
    [("1-ASAP", 1), ("2-High", 1), ("3-Medium", 5), ("4-Low", 9), (None, None), ("7-Whenever", None)],
)
def test_priority_comes_down(server: str | None, pim: int | None) -> None:
    assert down({"priority": server}, TODOS, ME)["priority"] == pim


def test_asap_stays_asap_when_high_is_set_again() -> None:
    shadow = {"priority": "1-ASAP"}
    medium = moved_up(todo(priority=1), todo(priority=5), TODOS, ME, shadow)
    assert medium == {"priority": "3-Medium"}
    for high in (1, 2, 4):
        assert moved_up(todo(priority=5), todo(priority=high), TODOS, ME, shadow) == {"priority": "1-ASAP"}


@pytest.mark.parametrize(("word", "percent"), [("Acknowledged", 0), ("Requested", 0), ("Requested", None)])
def test_a_status_no_todo_can_hold_survives(word: str, percent: int | None) -> None:
    shadow = {"status": word, "percent_complete": percent}
    open_, busy = todo(summary="a", status="NEEDS-ACTION"), todo(summary="a", status="IN-PROCESS")
    assert moved_up(open_, but(open_, summary="b"), TODOS, ME, shadow) == {"description": "b"}
    assert moved_up(open_, busy, TODOS, ME, shadow) == {"status": "In Progress"}
    assert moved_up(busy, open_, TODOS, ME, shadow) == {"status": word}


@pytest.mark.parametrize(("word", "pim"), [("Declined", "CANCELLED"), ("On Hold", "IN-PROCESS")])
def test_declined_and_on_hold_survive(word: str, pim: str) -> None:
    shadow = {"status": word}
    assert moved_up(todo(status=pim), todo(status=pim, summary="b"), TODOS, ME, shadow) == {"description": "b"}
    assert moved_up(todo(status="NEEDS-ACTION"), todo(status=pim), TODOS, ME, shadow) == {"status": word}


def test_another_spelling_of_a_priority_is_no_change() -> None:
    assert moved_up(todo(priority=1), todo(priority=3), TODOS, ME, {}) == {}
    assert moved_down({"priority": "3-Medium"}, {"priority": "2-High"}, todo(priority=3), TODOS, ME) == {}
    assert moved_down({"priority": "3-Medium"}, {"priority": "2-High"}, todo(priority=7), TODOS, ME) == {"priority": 1}


def test_what_the_item_shows_already_is_not_written_again() -> None:
    waiting = todo(status="NEEDS-ACTION")
    assert moved_down({"status": "In Progress"}, {"status": "Acknowledged"}, waiting, TODOS, ME) == {}


def test_a_property_that_only_comes_down_is_written() -> None:
    down_only = replace(EVENTS, fields=(FieldMap("account", "x-account", "text", Direction.DOWN),))
    assert moved_down({}, {"account": "A1"}, MEETING, down_only, ME) == {"x-account": "A1"}
    assert up(MEETING, down_only, ME).keys() == {"integration_id", "display_in"}


def test_a_value_row_is_read_its_own_way_only() -> None:
    rows = (ValueRow("1", "1-ASAP", Direction.DOWN), ValueRow("2", "2-High", Direction.UP), ValueRow("1", "2-High"))
    me = replace(ME, value_maps={**ME.value_maps, "priority": ValueMap("priority", rows)})
    assert up(todo(priority=1), TODOS, me)["priority"] == "2-High"
    assert down({"priority": "2-High"}, TODOS, me)["priority"] == 1


def test_completing_moves_everything_that_follows() -> None:
    done = todo(status="COMPLETED", completed=TEN_UTC)
    assert moved_up(todo(status="NEEDS-ACTION"), done, TODOS, ME, {}) == {
        "status": "Done",
        "done": True,
        "percent_complete": 100,
        "completed": TEN_UTC,
    }
    assert moved_down({"status": "In Progress"}, {"status": "Done"}, todo(status="IN-PROCESS"), TODOS, ME) == {
        "status": "COMPLETED",
        "percent-complete": 100,
    }


def test_ticking_done_on_the_server_shows_and_a_later_status_wins() -> None:
    was, ticked = {"status": "In Progress"}, {"status": "In Progress", "done": True}
    assert moved_down(was, ticked, todo(status="IN-PROCESS"), TODOS, ME) == {"status": "COMPLETED"}
    reopened = {"status": "Not Started", "done": True}
    assert moved_down(ticked, reopened, todo(status="COMPLETED"), TODOS, ME) == {"status": "NEEDS-ACTION"}
    assert moved_down(ticked, was, todo(status="COMPLETED"), TODOS, ME) == {"status": "IN-PROCESS"}


def test_a_first_look_moves_everything() -> None:
    assert moved_up(None, MEETING, EVENTS, ME, {}) == up(MEETING, EVENTS, ME)


def test_a_new_item_gets_its_defaults_and_nothing_empty() -> None:
    made = moved_down({}, {"description": "Visit", "planned": NINE_UTC, "owner": "E2"}, None, EVENTS, ME)
    assert made == {"transp": "OPAQUE", "summary": "Visit", "dtstart": NINE_UTC, "dtend": NINE_UTC}


def test_what_an_item_cannot_show_does_not_touch_it() -> None:
    old = up(MEETING, EVENTS, ME)
    new = {**old, "account": "A1", "employees": ("E1",), "type": "Field Repair", "timezone": "America/New_York"}
    assert moved_down(old, new, MEETING, EVENTS, ME) == {}


def test_only_what_changed_comes_down() -> None:
    old = up(MEETING, EVENTS, ME)
    assert moved_down(old, {**old, "description": "Retro"}, MEETING, EVENTS, ME) == {"summary": "Retro"}
    assert moved_down(old, {**old, "location": None}, MEETING, EVENTS, ME) == {"location": None}


@pytest.mark.parametrize("word", ["PRIVATE", "CONFIDENTIAL", "private", "X-SECRET"])
def test_a_private_item_is_redacted_both_ways(word: str) -> None:
    secret = but(MEETING, class_=word)
    values = up(secret, EVENTS, ME)
    assert [values[f] for f in ("description", "comments", "location", "private")] == ["Private", None, None, True]
    assert up(todo(summary="x", class_=word), TODOS, ME)["description"] == "Unavailable"
    new = {**values, "description": "Renamed", "comments": "Hm", "planned_completion": NINE_UTC}
    assert moved_down(values, new, secret, EVENTS, ME) == {"dtend": NINE}
    assert "summary" not in down(values, EVENTS, ME, private=True)


def test_lifting_privacy_moves_the_real_texts_up() -> None:
    moved = moved_up(but(MEETING, class_="PRIVATE"), MEETING, EVENTS, ME, {"description": "Private"})
    assert moved == {"description": "Review", "comments": "Bring slides", "location": "Room 1", "private": False}


def test_privacy_from_the_server_respects_what_is_there() -> None:
    old = up(MEETING, EVENTS, ME)
    assert moved_down(old, {**old, "private": True}, MEETING, EVENTS, ME) == {"class": "PRIVATE"}
    stricter = but(MEETING, class_="CONFIDENTIAL")
    assert moved_down(old, {**old, "private": True}, stricter, EVENTS, ME) == {}
    assert moved_down({"private": True}, {"private": False}, but(MEETING, class_="PRIVATE"), EVENTS, ME) == {
        "class": None
    }
    assert moved_down({"private": True}, {"private": False}, but(MEETING, class_="PUBLIC"), EVENTS, ME) == {}


@pytest.mark.parametrize(
    ("organizer", "owner"),
    [
        (None, "E1"),
        ("bob@corp.example", "E2"),
        ("mailto:BOBBY@corp.example", "E2"),
        ("ada@home.example", "E1"),
        ("cy@client.example", "E9"),
        ("who@else.example", "E9"),
    ],
)
def test_owner(organizer: str | None, owner: str) -> None:
    assert up(event(organizer=organizer), EVENTS, ME)["owner"] == owner


@pytest.mark.parametrize(
    ("organizer", "attendees", "employees", "contacts", "participants"),
    [
        (None, (), ("E1",), (), ()),
        ("bob@corp.example", (), ("E1", "E2"), (), ()),
        ("cy@client.example", ("bob@corp.example",), ("E1", "E2"), ("C1",), ("bob@corp.example", "cy@client.example")),
        (None, ("ada@home.example", "cy@client.example"), ("E1",), ("C1",), ("ada@home.example", "cy@client.example")),
        (
            None,
            ("bob@corp.example", "bobby@corp.example"),
            ("E1", "E2"),
            (),
            ("bob@corp.example", "bobby@corp.example"),
        ),
    ],
)
def test_people(
    organizer: str | None, attendees: tuple[str, ...], employees: object, contacts: object, participants: object
) -> None:
    values = up(event(organizer=organizer, attendee=attendees), EVENTS, ME)
    assert (values["employees"], values["contacts"], values["participants"]) == (employees, contacts, participants)


SERIES = but(MEETING, rrule="FREQ=WEEKLY;BYDAY=MO;COUNT=4", exdate=(datetime(2026, 3, 9, 9, tzinfo=BERLIN),))


def test_a_series_goes_up_and_comes_down() -> None:
    values = up(SERIES, EVENTS, ME)
    assert (values["repeating"], values["repeating_type"]) == (True, "Weekly")
    assert values["repeating_expires"] == date(2026, 3, 23)
    assert values["exceptions"] == (datetime(2026, 3, 9, 8, tzinfo=UTC),)
    shown = down(values, EVENTS, ME)
    assert shown["rrule"] == "FREQ=WEEKLY;UNTIL=20260323T225959Z"
    assert shown["exdate"] == (datetime(2026, 3, 9, 9, tzinfo=BERLIN),)


def test_the_pims_own_rule_is_kept() -> None:
    """REC-5: another spelling of the same series is no change, in either direction."""
    values = up(SERIES, EVENTS, ME)
    respelled = but(SERIES, rrule="FREQ=DAILY;INTERVAL=7;UNTIL=20260323T080000Z")
    assert moved_up(SERIES, respelled, EVENTS, ME, {}) == {}
    later = {**values, "planned": datetime(2026, 3, 2, 9, tzinfo=UTC), "planned_completion": TEN_UTC}
    moved = moved_down(values, later, SERIES, EVENTS, ME)
    assert set(moved) == {"dtstart", "exdate"}
    assert moved["exdate"] == (datetime(2026, 3, 9, 10, tzinfo=BERLIN),)
    ended = {**values, "repeating": False}
    assert moved_down(values, ended, SERIES, EVENTS, ME) == {"rrule": None, "exdate": None}


def test_a_series_moved_to_another_day_gets_a_rule_for_that_day() -> None:
    values = up(SERIES, EVENTS, ME)
    tuesday = {"planned": NINE_UTC + timedelta(days=1), "planned_completion": TEN_UTC + timedelta(days=1)}
    moved = moved_down(values, {**values, **tuesday, "exceptions": ()}, SERIES, EVENTS, ME)
    assert moved == {
        "dtstart": NINE + timedelta(days=1),
        "dtend": TEN + timedelta(days=1),
        "rrule": "FREQ=WEEKLY;UNTIL=20260323T225959Z",
        "exdate": None,
    }
    respelled = but(SERIES, rrule="FREQ=WEEKLY;UNTIL=20260323T225959Z", exdate=None)
    same_rule = moved_down(up(respelled, EVENTS, ME), {**up(respelled, EVENTS, ME), **tuesday}, respelled, EVENTS, ME)
    assert set(same_rule) == {"dtstart", "dtend"}


def test_an_unknown_pattern_of_the_server_leaves_the_rule_alone() -> None:
    values = up(SERIES, EVENTS, ME)
    assert moved_down(values, {**values, "repeating_type": "Fortnightly"}, SERIES, EVENTS, ME) == {}


def test_untranslated_says_why() -> None:
    assert untranslated(SERIES, EVENTS, ME) is None
    assert untranslated(MEETING, EVENTS, ME) is None
    odd = but(SERIES, rrule="FREQ=HOURLY;INTERVAL=6")
    assert untranslated(odd, EVENTS, ME) == "more than one occurrence a day: every 6 hours"
    assert up(odd, EVENTS, ME)["repeating"] is False
    plain = replace(EVENTS, fields=tuple(r for r in EVENTS.fields if r.pim not in ("rrule", "exdate")))
    assert untranslated(odd, plain, ME) is None


def test_a_floating_series_is_read_on_the_users_clock() -> None:
    nine, ten = NINE.replace(tzinfo=None), TEN.replace(tzinfo=None)
    floating = event(dtstart=nine, dtend=ten, rrule="FREQ=WEEKLY")
    values = up(floating, EVENTS, ME)
    assert (values["planned"], values["timezone"], values["repeating_type"]) == (NINE_UTC, "Europe/Berlin", "Weekly")
    assert down(values, EVENTS, ME)["dtstart"] == NINE
    assert down(values, EVENTS, ME)["dtstart"].tzinfo is BERLIN  # type: ignore[union-attr]


def test_the_second_mapping_means_the_same_in_other_words() -> None:
    siebel = type_map(Kind.EVENT, "siebel")
    theirs, ours = up(MEETING, siebel, context(mapping="siebel")), up(MEETING, EVENTS, ME)
    assert theirs == {name: value for name, value in ours.items() if name != "timezone"}
    assert siebel.natural_keys == EVENTS.natural_keys


C = Comparison
VALUES = {"type": "Meeting", "planned": NINE_UTC, "employees": ("E1", "E2"), "done": False, "percent_complete": 40}


@pytest.mark.parametrize(
    ("field", "comparison", "values", "expected"),
    [
        ("type", C.EQ, ("Meeting",), True),
        ("type", C.NE, ("Meeting",), False),
        ("type", C.IN, ("Visit", "Meeting"), True),
        ("account", C.EMPTY, (), True),
        ("account", C.FILLED, (), False),
        ("account", C.NE, ("A1",), True),
        ("account", C.GE, ("A1",), False),
        ("employees", C.EQ, ("E2",), True),
        ("employees", C.IN, ("E3", "E4"), False),
        ("done", C.EQ, ("no",), True),
        ("done", C.FILLED, (), True),
        ("planned", C.GE, ("2026-03-02",), True),
        ("planned", C.LE, ("2026-03-02",), False),
        ("planned", C.LE, ("2026-03-02T08:00:00Z",), True),
        ("percent_complete", C.GE, ("41",), False),
    ],
)
def test_filter_conditions(field: str, comparison: Comparison, values: tuple[str, ...], expected: bool) -> None:
    assert matches(Filter(conditions=(Condition(field, comparison, values),)), VALUES) is expected


def test_filters_join_conditions() -> None:
    yes, no = Condition("type", C.FILLED), Condition("account", C.FILLED)
    assert matches(Filter(), {})
    assert not matches(Filter(link="and", conditions=(yes, no)), VALUES)
    assert matches(Filter(link="or", conditions=(yes, no)), VALUES)


def test_same_knows_lists_and_empties() -> None:
    assert same("employees", ("E1", "E2"), ("E2", "E1"))
    assert same("description", "", None)
    assert same("exceptions", (), None)
    assert not same("planned", date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC))
