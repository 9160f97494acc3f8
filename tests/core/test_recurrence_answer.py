"""One line of JSON asks about a recurrence, one line of JSON answers it, for an admin to read."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from syncengine.core.recurrence.answer import KNOWN, answer
from syncengine.model.recurrence import YEARS, Limits
from tests.core.mapping_world import shipped

PATTERNS = shipped("default").patterns
LIMITS = Limits(date(2026, 3, 1), YEARS)
NINE = "2026-03-02T09:00:00"


def asked(**question: object) -> dict[str, Any]:
    return answer(json.dumps(question), PATTERNS, LIMITS)


def error(line: str) -> str:
    told = answer(line, PATTERNS, LIMITS)
    assert list(told) == ["error"], told
    return str(told["error"])


def test_everything_that_is_known_is_answered() -> None:
    told = asked(
        dtstart=NINE,
        tzid="Europe/Berlin",
        all_day=False,
        rrule="FREQ=WEEKLY;INTERVAL=2;COUNT=4",
        rdate=["2026-03-05T10:00:00", "2026-03-09T09:00:00"],
        exdate=["2026-03-16T08:00:00Z"],
        changed=["2026-03-30T09:00:00"],
    )
    assert told == {
        "pattern": "Weekly",
        "start": NINE,
        "expires": "2026-04-13",
        "exceptions": [f"{day}T09:00:00" for day in ("2026-03-16", "2026-03-23", "2026-03-30", "2026-04-06")],
        "singles": ["2026-03-05T10:00:00"],
        "losses": [],
        "because": "every 2 weeks: Weekly is the longest interval of the server that meets every occurrence; "
        "4 exceptions",
    }


def test_what_cannot_be_told_has_no_pattern_but_a_reason() -> None:
    assert asked(dtstart=NINE, rrule="FREQ=HOURLY") == {
        "pattern": None,
        "start": None,
        "expires": None,
        "exceptions": [],
        "singles": [],
        "losses": [],
        "because": "more than one occurrence a day: every hour",
    }
    assert "cannot be read" in asked(dtstart=NINE, rrule="FREQ=NEVER")["because"]


@pytest.mark.parametrize(
    "question",
    [{"rrule": "FREQ=DAILY;COUNT=1"}, {"rrule": ""}, {"rrule": None}, {}, {"tzid": ""}, {"tzid": None, "exdate": None}],
)
def test_one_occurrence_is_a_single_activity_with_its_start(question: dict[str, object]) -> None:
    told = asked(dtstart=NINE, **question)
    assert (told["pattern"], told["start"], told["singles"], told["expires"]) == (None, NINE, [NINE], None)
    assert "only one occurrence" in told["because"]


def test_a_rule_without_an_end_says_how_far_it_is_told() -> None:
    told = asked(dtstart=NINE, rrule="FREQ=WEEKLY;INTERVAL=2")
    assert told["expires"] == "2027-03-02"
    assert told["losses"] == [
        "it goes on after 2027-03-02, which is as far as it is told for now; later runs tell more"
    ]
    endless = asked(dtstart=NINE, rrule="FREQ=WEEKLY")
    assert (endless["pattern"], endless["expires"], endless["losses"]) == ("Weekly", None, [])


@pytest.mark.parametrize(
    ("dtstart", "more", "start", "exception", "single"),
    [
        ("2026-03-02", {}, "2026-03-02", "2026-03-09", "2026-03-05"),
        ("20260302", {}, "2026-03-02", "2026-03-09", "2026-03-05"),
        ("20260302", {"all_day": True, "tzid": "Asia/Tokyo"}, "2026-03-02", "2026-03-09", "2026-03-05"),
        (NINE, {"all_day": True}, "2026-03-02", "2026-03-09", "2026-03-05"),
        (NINE, {}, NINE, "2026-03-09T09:00:00", "2026-03-05T11:30:00"),
        (NINE, {"tzid": "Europe/Berlin"}, NINE, "2026-03-09T09:00:00", "2026-03-05T11:30:00"),
        ("20260302T090000", {"tzid": "America/New_York"}, NINE, "2026-03-09T09:00:00", "2026-03-05T11:30:00"),
        (" 2026-03-02 09:00 ", {"tzid": "UTC"}, NINE, "2026-03-09T09:00:00", "2026-03-05T11:30:00"),
        ("20260302T090000Z", {}, NINE + "Z", "2026-03-09T09:00:00Z", "2026-03-05T11:30:00Z"),
        ("2026-03-02T10:00:00+01:00", {}, NINE + "Z", "2026-03-09T09:00:00Z", "2026-03-05T11:30:00Z"),
    ],
)
def test_times_are_answered_in_the_form_of_dtstart(
    dtstart: str, more: dict[str, object], start: str, exception: str, single: str
) -> None:
    extra = "2026-03-05T11:30:00" + ("Z" if start.endswith("Z") else "")
    told = asked(dtstart=dtstart, rrule="FREQ=WEEKLY;INTERVAL=2;COUNT=2", rdate=[extra], **more)
    assert (told["start"], told["exceptions"], told["singles"]) == (start, [exception], [single])


def test_what_has_a_zone_of_its_own_is_shown_on_the_asked_zones_clock() -> None:
    more = {"rdate": ["2026-03-05T10:00:00Z"], "exdate": ["2026-03-09T03:00:00-05:00"]}
    told = asked(dtstart=NINE, tzid="Europe/Berlin", rrule="FREQ=WEEKLY;COUNT=2", **more)
    assert (told["singles"], told["exceptions"]) == (["2026-03-05T11:00:00"], ["2026-03-09T09:00:00"])


def test_an_end_in_utc_is_an_instant_and_a_local_one_is_local() -> None:
    for until, expires in (
        ("20260330T070000Z", "2026-03-30"),
        ("20260330T065959Z", "2026-03-29"),
        ("20260330T090000", "2026-03-30"),
        ("20260330T085959", "2026-03-29"),
    ):
        told = asked(dtstart=NINE, tzid="Europe/Berlin", rrule=f"FREQ=WEEKLY;UNTIL={until}")
        assert told["expires"] == expires


def test_a_windows_zone_is_the_zone_it_means() -> None:
    told = asked(dtstart=NINE, tzid="W. Europe Standard Time", rrule="FREQ=WEEKLY;UNTIL=20260330T070000Z")
    assert told["expires"] == "2026-03-30"
    assert told == asked(dtstart=NINE, tzid="Europe/Berlin", rrule="FREQ=WEEKLY;UNTIL=20260330T070000Z")


@pytest.mark.parametrize("line", ["", "   ", "\n"])
def test_an_empty_line_says_so(line: str) -> None:
    assert error(line) == "The line is empty."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "This is no JSON: Expecting value at character 1."),
        ('{"dtstart": }', "This is no JSON: Expecting value at character 13."),
        ("[]", "The line must hold an object"),
        ("null", "The line must hold an object"),
        ("{}", "dtstart must hold times like 2026-03-02T09:00:00"),
        ('{"dtstart": 5}', "not 5."),
        ('{"dtstart": "2026-02-30"}', "not '2026-02-30'."),
        ('{"dtstart": "20261302T090000"}', "not '20261302T090000'."),
        ('{"dtstart": "2026-03-02", "tzid": "Mars/Olympus"}', "The zone 'Mars/Olympus' is unknown"),
        ('{"dtstart": "2026-03-02", "tzid": 5}', "The zone 5 is unknown"),
        ('{"dtstart": "2026-03-02", "all_day": "yes"}', "all_day must be true or false."),
        ('{"dtstart": "2026-03-02", "all_day": false}', "dtstart is a date, but all_day is false."),
        ('{"dtstart": "2026-03-02", "rrule": ["FREQ=DAILY"]}', "rrule must be a text"),
        ('{"dtstart": "2026-03-02", "rdate": "2026-03-05"}', "rdate must be a list of times"),
        ('{"dtstart": "2026-03-02", "exdate": ["soon"]}', "exdate must hold times like"),
        ('{"dtstart": "2026-03-02", "changed": [null]}', "changed must hold times like"),
        ('{"dtstart": "2026-03-02", "rule": "FREQ=DAILY"}', "'rule' is unknown; did you mean 'rrule'?"),
        ('{"dtstart": "2026-03-02", "RRULE": "FREQ=DAILY"}', "'RRULE' is unknown; did you mean 'rrule'?"),
        ('{"dtstart": "2026-03-02", "exdates": []}', "'exdates' is unknown; did you mean 'exdate'?"),
        ('{"dtstart": "9999-12-31T23:00:00-05:00"}', ""),
        ("[" * 100_000, ""),
    ],
)
def test_a_line_that_cannot_be_understood_says_why(line: str, words: str) -> None:
    assert words in error(line)
    assert error(line)


def test_what_is_asked_besides_does_no_harm() -> None:
    assert len(KNOWN) == 7
    told = asked(dtstart=NINE, rrule="FREQ=DAILY", summary="Stand-up", uid="1@corp.example")
    assert told["pattern"] == "Daily"
