"""Stories of series some of whose occurrences stand apart: nobody's edit is lost, and nothing is there twice.

Each is about one way in which the parts of a series once went wrong, told from one side to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from syncengine.errors import ItemError, Stopped
from tests.services.series_desk import (
    FILE,
    FIRST,
    SERIES,
    SUBJECT,
    SeriesDesk,
    changed,
    changed_from,
    event,
    extra_dates,
    first_sync_calls,
    moment,
    stamp,
    weekly,
)

TO_TUESDAY = changed("20260316T090000Z", "20260317T090000Z")
TO_ELEVEN = changed("20260330T090000Z", "20260330T110000Z")
ONLY_AN_ALARM = changed("20260316T090000Z", "20260316T090000Z", "X-MOZ-LASTACK:1", summary=SUBJECT)
"""A component that changes nothing anybody sees."""
OUTLOOK_SERIES = "040000008200E00074C5B7101A82E00800000000A0B1C2D3E4F5D801" + "0" * 16 + "10000000" + "AABB" * 8
OUTLOOK_INSTANCE = OUTLOOK_SERIES[:32] + "07EA0310" + OUTLOOK_SERIES[40:]
"""The same id, with 16 March 2026 in it: what Outlook sends for that occurrence."""


@pytest.fixture
def desk() -> Iterator[SeriesDesk]:
    desk = SeriesDesk()
    yield desk
    desk.close()


@pytest.fixture
def told(desk: SeriesDesk) -> SeriesDesk:
    """The server knows the series, and the two occurrences of it that were moved."""
    desk.put(weekly(), TO_TUESDAY, TO_ELEVEN)
    desk.settle()
    assert len(desk.parts()) == 2
    return desk


def ids(desk: SeriesDesk) -> set[str]:
    return {a.id for a in desk.activities()}


# --- the server changes the series, or a part of it ---


def test_leaving_out_an_occurrence_does_not_cut_off_the_later_part(desk: SeriesDesk) -> None:
    desk.put(weekly(rule="FREQ=WEEKLY;COUNT=12"), changed_from("20260413T090000Z", "20260414T110000Z"))
    desk.settle()
    desk.change(desk.series(), exceptions=["2026-03-16T09:00:00Z"])
    desk.settle()
    assert "COUNT=12" in desk.text()
    assert "UNTIL" not in desk.text()
    assert "EXDATE:20260316T090000Z" in desk.text()


def test_an_end_before_the_later_part_does_not_end_the_later_part(desk: SeriesDesk) -> None:
    desk.put(weekly(rule="FREQ=WEEKLY"), changed_from("20260413T090000Z", "20260414T110000Z"))
    desk.settle()
    desk.change(desk.series(), repeating_expires="2026-03-20")
    desk.settle()
    assert "UNTIL" not in desk.text()
    assert "EXDATE:20260323T090000Z,20260330T090000Z,20260406T090000Z" in desk.text()
    assert desk.part("20260414T110000Z")["repeating_expires"] is None


def test_an_exception_taken_back_stays_taken_back_when_a_part_changes(desk: SeriesDesk) -> None:
    desk.put(weekly("EXDATE:20260309T090000Z"), TO_TUESDAY)
    desk.settle()
    desk.change(desk.series(), exceptions=["2026-03-16T09:00:00Z"])
    desk.settle()
    assert "EXDATE" not in desk.text()
    desk.change(desk.part("20260317T090000Z"), description="Renamed")
    desk.settle()
    assert "SUMMARY:Renamed" in desk.text()
    assert "EXDATE" not in desk.text()


def test_a_moved_occurrence_does_not_take_place_a_second_time_when_its_exception_is_taken_back(
    told: SeriesDesk,
) -> None:
    told.change(told.series(), exceptions=["2026-03-30T09:00:00Z"])
    told.settle()
    assert told.series()["exceptions"] == (moment("20260316T090000Z"), moment("20260330T090000Z"))
    assert len(told.parts()) == 2


def test_a_part_changed_after_its_series_moved_to_another_hour_is_the_same_part(told: SeriesDesk) -> None:
    told.change(told.series(), planned="2026-03-02T10:00:00Z")
    told.settle()
    told.change(told.part("20260317T090000Z"), description="Renamed")
    told.settle()
    assert "RECURRENCE-ID:20260316T100000Z" in told.text()
    assert "SUMMARY:Renamed" in told.text()
    assert told.text().count("BEGIN:VEVENT") == 3


def test_a_part_changed_after_its_series_moved_to_another_day_is_the_same_part(told: SeriesDesk) -> None:
    told.change(told.series(), planned="2026-03-03T09:00:00Z")
    told.settle()
    told.change(told.part("20260317T090000Z"), description="Renamed")
    told.settle()
    assert "RECURRENCE-ID:20260317T090000Z" in told.text()
    assert "SUMMARY:Renamed" in told.text()
    assert told.text().count("BEGIN:VEVENT") == 3


def test_a_series_moved_to_another_hour_is_found_again_after_the_state_is_lost(told: SeriesDesk) -> None:
    before = ids(told)
    told.change(told.series(), planned="2026-03-02T10:00:00Z")
    told.settle()
    told.lose_state()
    told.settle()
    assert ids(told) == before


def test_the_parts_of_a_series_the_server_moved_to_another_day_keep_their_activities(told: SeriesDesk) -> None:
    before = ids(told)
    told.change(told.series(), planned="2026-03-03T09:00:00Z")
    told.settle()
    told.rewrite(("SUMMARY:Series", "SUMMARY:Renamed"))
    told.settle()
    assert ids(told) == before
    assert told.series()["description"] == "Renamed"


def test_a_series_still_to_come_is_moved_as_a_whole(told: SeriesDesk) -> None:
    told.change_from_today(told.series(), planned="2026-03-03T09:00:00Z")
    told.settle()
    assert [a["planned"] for a in told.activities() if a["repeating"]] == [moment("20260303T090000Z")]


def test_an_occurrence_that_only_has_an_alarm_of_its_own_moves_with_the_series(desk: SeriesDesk) -> None:
    desk.put(weekly(), ONLY_AN_ALARM)
    desk.settle()
    desk.change(desk.series(), planned="2026-03-02T10:00:00Z")
    desk.settle()
    assert "DTSTART:20260316T100000Z" in desk.text()
    assert "RECURRENCE-ID:20260316T100000Z" in desk.text()


def test_an_occurrence_that_only_has_an_alarm_of_its_own_is_renamed_with_the_series(desk: SeriesDesk) -> None:
    desk.put(weekly(), ONLY_AN_ALARM)
    desk.settle()
    desk.change(desk.series(), description="Renamed")
    desk.settle()
    assert desk.text().count("SUMMARY:Renamed") == 2
    desk.rewrite(("X-MOZ-LASTACK:1", "X-MOZ-LASTACK:2"))
    desk.settle()
    assert not desk.parts()


def test_sixty_changed_occurrences_edited_on_the_server_are_written_once_each(desk: SeriesDesk) -> None:
    originals = [moment(FIRST) + timedelta(weeks=n) for n in range(60)]
    moved = [changed(stamp(m), stamp(m + timedelta(hours=2)), summary=f"Part {n}.") for n, m in enumerate(originals)]
    desk.put(weekly(rule="FREQ=WEEKLY;COUNT=70"), *moved)
    desk.settle()
    parts, before = desk.parts(), desk.calendar_writes
    assert len(parts) == 60
    for part in parts:
        desk.change(part, description=f"New {part['description']}")
    report = desk.settle()
    keys = [a.key for a in report.actions if a.side == "pim"]
    assert len(keys) == len(set(keys)) == 60
    assert all(desk.text().count(f"SUMMARY:New Part {n}.\r\n") == 1 for n in range(60))
    assert desk.calendar_writes == before + 1, "one resource is one write"


# --- the calendar's user changes the series, or a part of it ---


def test_a_users_edit_of_a_part_is_kept_while_the_series_cannot_be_told(told: SeriesDesk) -> None:
    told.rewrite(("WEEKLY", "HOURLY"), ("SUMMARY:Moved", "SUMMARY:Mine"))
    told.settle()
    assert told.held()
    told.change(told.part("20260317T090000Z"), location="Room 1")
    told.settle()
    assert "SUMMARY:Mine" in told.text()
    told.rewrite(("HOURLY", "WEEKLY"))
    told.settle()
    part = told.part("20260317T090000Z")
    assert (part["description"], part["location"]) == ("Mine", "Room 1")
    assert "SUMMARY:Mine" in told.text()
    assert "LOCATION:Room 1" in told.text()


def test_the_parts_of_a_series_its_user_moved_to_another_day_keep_their_activities(told: SeriesDesk) -> None:
    before = ids(told)
    told.rewrite(
        ("DTSTART:20260302", "DTSTART:20260303"),
        ("DTEND:20260302", "DTEND:20260303"),
        ("RECURRENCE-ID:20260316", "RECURRENCE-ID:20260317"),
        ("RECURRENCE-ID:20260330", "RECURRENCE-ID:20260331"),
    )
    told.settle()
    assert ids(told) == before


def test_a_series_that_becomes_a_journal_keeps_all_of_its_activities(told: SeriesDesk) -> None:
    before = ids(told)
    told.rewrite(*[("VEVENT", "VJOURNAL")] * 6)
    told.settle()
    assert ids(told) == before


def test_an_edit_made_while_unshared_is_not_lost_when_shared_again(desk: SeriesDesk) -> None:
    desk.put(event("meeting", "Before", FIRST), file="meeting.ics")
    desk.settle()
    desk.share("meeting", shared=False)
    desk.settle()
    desk.rewrite(("Before", "After"), file="meeting.ics")
    desk.settle()
    desk.share("meeting", shared=True)
    desk.settle()
    assert "SUMMARY:After" in desk.text("meeting.ics")
    assert desk.series("meeting")["description"] == "After" or desk.held()


def test_the_words_of_a_part_of_a_private_series_stay_private(desk: SeriesDesk) -> None:
    desk.put(weekly("CLASS:PRIVATE"), changed("20260316T090000Z", "20260317T090000Z", summary="Secret"))
    desk.settle()
    assert len(desk.parts()) == 1
    assert all("Secret" not in str(a.values) for a in desk.activities())


# --- extra dates ---


def test_an_extra_date_is_renamed_with_its_series(desk: SeriesDesk) -> None:
    desk.put(weekly("RDATE:20260304T100000Z"))
    desk.settle()
    desk.change(desk.series(), description="Renamed")
    desk.settle()
    assert desk.part("20260304T100000Z")["description"] == "Renamed"


@pytest.mark.parametrize(
    ("line", "planned"),
    [
        ("RDATE;VALUE=DATE:20260304", "20260304T090000Z"),  # a day means the series' time on that day
        ("RDATE;TZID=America/New_York:20260304T080000", "20260304T130000Z"),
        ("RDATE;TZID=Asia/Tokyo:20260305T010000", "20260304T160000Z"),  # on another day there
    ],
)
def test_an_extra_date_may_be_a_day_or_in_another_zone(desk: SeriesDesk, line: str, planned: str) -> None:
    desk.put(weekly(line))
    desk.settle()
    extra = desk.part(planned)
    assert extra["planned_completion"] == moment(planned) + timedelta(hours=1)
    assert line in desk.text()
    desk.change(extra, description="Renamed")
    desk.settle()
    assert desk.text().count("BEGIN:VEVENT") == 2
    assert "SUMMARY:Renamed" in desk.text()
    assert desk.part(planned).id == extra.id


def days_apart(count: int) -> list[str]:
    """So many times, each on a day of its own and none at the hour of the series."""
    return [stamp(moment(FIRST) + timedelta(days=3 * n, minutes=7)) for n in range(1, count + 1)]


def test_more_than_five_hundred_extra_dates_are_not_told(desk: SeriesDesk) -> None:
    desk.put(event(SERIES, SUBJECT, FIRST, extra_dates(map(moment, days_apart(501)))))
    desk.settle()
    (because,) = desk.held()
    assert "extra dates are more than 500" in because
    assert not desk.activities()


@pytest.mark.parametrize("what", ["changed occurrences", "extra dates"])
def test_four_times_as_many_parts_cost_about_four_times_as_much(what: str) -> None:
    def components(count: int) -> list[str]:
        days = days_apart(count)
        if what == "extra dates":
            return [event(SERIES, SUBJECT, FIRST, extra_dates(map(moment, days)))]
        originals = [f"{day[:8]}T090000Z" for day in days]
        rule = f"FREQ=DAILY;INTERVAL=3;COUNT={count + 1}"
        return [weekly(rule=rule), *map(changed, originals, days)]

    first_sync_calls(*components(5))  # what is made once per process is made now
    few, many = first_sync_calls(*components(25)), first_sync_calls(*components(100))
    assert many < 6 * few, (few, many)


# --- deletions ---


def test_the_brake_counts_a_series_with_its_parts_as_one_item(desk: SeriesDesk) -> None:
    """Six of seventeen items are too many to delete unasked, however many activities the rest has."""
    for n in range(10):
        desk.put(event(f"kept-{n}", "Kept", FIRST), file=f"kept-{n}.ics")
    days = ("20260309", "20260316", "20260323", "20260330", "20260406")
    for n in range(7):
        uid = f"series-{n}"
        parts = [changed(f"{day}T090000Z", f"{day}T110000Z", uid=uid) for day in days]
        desk.put(weekly(uid=uid), *parts, file=f"{uid}.ics")
    desk.settle()
    before = ids(desk)
    assert len(before) == 52
    desk.drop(*[f"series-{n}.ics" for n in range(6)])
    with pytest.raises(Stopped, match="6 of 17"):
        desk.sync()
    assert ids(desk) == before


def test_one_series_may_be_deleted_with_all_of_its_parts_unasked(desk: SeriesDesk) -> None:
    desk.put(event("kept", "Kept", FIRST), file="kept.ics")
    days = [f"202603{day:02}" for day in (9, 16, 23, 30)] + ["20260406", "20260413", "20260420"]
    desk.put(weekly(), *[changed(f"{day}T090000Z", f"{day}T110000Z") for day in days])
    desk.settle()
    assert len(desk.activities()) == 9
    desk.drop(FILE)
    desk.settle()
    assert [a["description"] for a in desk.activities()] == ["Kept"]


def test_a_calendar_emptied_of_single_occurrences_stops_the_run(desk: SeriesDesk) -> None:
    """As when somebody was invited to single occurrences only: their series is not in the calendar."""
    for n in range(12):
        alone = changed("20260316T090000Z", "20260317T090000Z", uid=f"series-{n}")
        desk.put(alone, file=f"series-{n}.ics")
    desk.settle()
    before = ids(desk)
    desk.drop(*[f"series-{n}.ics" for n in range(12)])
    with pytest.raises(Stopped):
        desk.sync()
    assert ids(desk) == before


# --- names, ids and time ---


def test_an_occurrence_under_its_outlook_id_belongs_to_its_series(desk: SeriesDesk) -> None:
    alone = changed("20260316T090000Z", "20260317T090000Z", uid=OUTLOOK_INSTANCE)
    desk.put(weekly(uid=OUTLOOK_SERIES), alone)
    desk.settle()
    assert len(desk.activities()) == 2


@pytest.mark.parametrize("file", ["x#20260309", "x.ics#20260309", "x#occurrence=20260309.ics", "x#occurrence=.ics"])
def test_a_file_named_much_like_a_part_is_a_file_of_its_own(desk: SeriesDesk, file: str) -> None:
    """A part goes by a name such as `x.ics#occurrence=20260309`."""
    desk.put(event("meeting", "Before", FIRST), file=file)
    desk.settle()
    desk.change(desk.series("meeting"), description="After")
    desk.settle()
    assert "SUMMARY:After" in desk.text(file)


def test_a_series_without_end_is_told_ahead_of_today_after_the_state_was_lost(desk: SeriesDesk) -> None:
    desk.put(weekly(rule="FREQ=WEEKLY;BYDAY=MO,TH"))
    desk.settle()
    desk.days_pass(400)
    desk.lose_state()
    desk.sync()
    desk.days_pass(1)
    desk.settle()
    expires = desk.series()["repeating_expires"]
    assert isinstance(expires, date)
    assert expires > desk.world.now.date()


# --- what a review found ---


def test_a_refused_edit_of_a_running_series_loses_nothing(told: SeriesDesk) -> None:
    told.days_pass(20)
    before = told.activities()
    with pytest.raises(ItemError, match="earlier than the start"):
        told.change_from_today(told.series(), planned_completion="2026-03-02T08:00:00Z")
    assert told.activities() == before
    assert told.settle().quiet
    assert "UNTIL" not in told.text()


def test_exceptions_given_together_with_a_new_hour_are_those_of_the_series_that_goes_on(told: SeriesDesk) -> None:
    told.days_pass(20)
    told.change_from_today(told.series(), planned="2026-03-02T10:00:00Z", exceptions=["2026-04-06T10:00:00Z"])
    goes_on = next(a for a in told.activities() if a["repeating"] and not a["integration_id"])
    assert goes_on["exceptions"] == (moment("20260406T100000Z"),)


def test_leaving_one_out_of_the_later_part_lets_none_of_the_first_take_place_again(desk: SeriesDesk) -> None:
    later = changed_from("20260323T090000Z", "20260324T110000Z").replace(
        "END:VEVENT", "EXDATE:20260330T090000Z\nEND:VEVENT"
    )
    desk.put(weekly("EXDATE:20260309T090000Z"), later)
    desk.settle()
    part = desk.part("20260324T110000Z")
    out = [m.isoformat() for m in part["exceptions"]]  # type: ignore[union-attr]
    desk.change(part, exceptions=[*out, "2026-04-07T11:00:00Z"])
    desk.settle()
    series = desk.text().partition("RECURRENCE-ID")[0]
    assert "20260309T090000Z" in series
    assert "20260406T090000Z" in series


def test_an_endless_series_is_told_on_however_often_it_is_edited(desk: SeriesDesk) -> None:
    desk.put(weekly(rule="FREQ=WEEKLY;INTERVAL=2"))
    desk.settle()
    for week in range(60):
        desk.days_pass(7)
        desk.rewrite((f"SUMMARY:{SUBJECT if not week else week - 1}", f"SUMMARY:{week}"))
        desk.sync()
    told_until = desk.series()["repeating_expires"]
    assert isinstance(told_until, date)
    assert told_until > desk.world.now.date() + timedelta(days=300)


def test_an_extra_date_stays_when_its_series_moves_to_another_hour(desk: SeriesDesk) -> None:
    desk.put(weekly("RDATE:20260311T090000Z"))
    desk.settle()
    extra = desk.part("20260311T090000Z")
    desk.change(desk.series(), planned="2026-03-02T10:00:00Z")
    desk.change(extra, description="Extra")
    desk.settle()
    desk.change(desk.part("20260311T090000Z"), location="Hall")
    desk.settle()
    assert desk.part("20260311T090000Z").id == extra.id
    assert "SUMMARY:Extra" in desk.text()
    assert "LOCATION:Hall" in desk.text()
    assert "RECURRENCE-ID:20260311T090000Z" in desk.text()


def test_a_later_part_of_another_kind_is_held_with_the_reason(desk: SeriesDesk) -> None:
    later = (
        f"BEGIN:VEVENT\nUID:{SERIES}\nDTSTAMP:20260101T000000Z\nSUMMARY:All day\nDTSTART;VALUE=DATE:20260323\n"
        "DTEND;VALUE=DATE:20260324\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260323T090000Z\nEND:VEVENT"
    )
    desk.put(weekly(), later)
    desk.settle()
    assert any("all-day" in why for why in desk.held())


def test_a_lost_state_and_a_divided_series_do_not_end_the_run(desk: SeriesDesk) -> None:
    desk.put(weekly(rule="FREQ=WEEKLY;COUNT=12"), changed_from("20260413T090000Z", "20260414T110000Z"))
    desk.put(event("other", "Other", "20260305T090000Z"), file="other.ics")
    desk.settle()
    desk.change(desk.series(), repeating_expires="2026-03-16")
    desk.lose_state()
    desk.rewrite(("SUMMARY:Other", "SUMMARY:Another"), file="other.ics")
    desk.sync()
    assert len(desk.activities()) == 3


@pytest.mark.parametrize(
    "odd",
    [
        f"BEGIN:VEVENT\nUID:odd\nDTSTAMP:20260101T000000Z\nSUMMARY:Odd\nDTSTART;VALUE=DATE:20260302\n"
        f"DTEND:{FIRST}\nRRULE:FREQ=WEEKLY;BYDAY=WE\nEND:VEVENT",
        f"BEGIN:VEVENT\nUID:odd\nDTSTAMP:20260101T000000Z\nRRULE:FREQ=WEEKLY\nEND:VEVENT\n"
        f"BEGIN:VEVENT\nUID:odd\nDTSTAMP:20260101T000000Z\nDTSTART:{FIRST}\n"
        f"RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260309\nEND:VEVENT\n"
        f"BEGIN:VEVENT\nUID:odd\nDTSTAMP:20260101T000000Z\nDTSTART:{FIRST}\n"
        f"RECURRENCE-ID;RANGE=THISANDFUTURE:20260316T090000Z\nEND:VEVENT",
    ],
    ids=["end of another kind", "parts without a start"],
)
def test_one_odd_item_does_not_keep_the_others_waiting(desk: SeriesDesk, odd: str) -> None:
    desk.put(odd, file="odd.ics")
    desk.put(weekly())
    desk.sync()
    assert desk.series()["repeating"]


def test_an_end_of_all_time_given_by_the_server_is_written(told: SeriesDesk) -> None:
    told.change(told.series(), repeating_expires="9999-12-31")
    told.settle()
    assert "UNTIL=99991231" in told.text()


def test_a_lone_occurrence_that_becomes_a_todo_is_a_problem_of_its_own(desk: SeriesDesk) -> None:
    desk.put(TO_TUESDAY)
    desk.put(weekly(uid="good"), file="good.ics")
    desk.settle()
    desk.rewrite(("BEGIN:VEVENT", "BEGIN:VTODO"), ("END:VEVENT", "END:VTODO"), ("DTEND", "DUE"))
    desk.rewrite((f"SUMMARY:{SUBJECT}", "SUMMARY:Better"), file="good.ics")
    desk.sync()
    assert desk.series("good")["description"] == "Better"
