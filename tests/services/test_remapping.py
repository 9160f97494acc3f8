"""A changed mapping, and changed settings, take effect at the next run, on items nobody has touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.model.report import Report, RunState
from syncengine.services.sync import Work
from syncengine.services.sync.remapping import REACHED
from tests.services.remap_desk import LOCATION, RemapDesk, written

NO_LOCATION = (LOCATION, "")
FROM_CONTACT = (LOCATION, LOCATION.replace('pim="location"', 'pim="x-room"'))


@pytest.fixture
def desk(tmp_path: Path) -> RemapDesk:
    return RemapDesk(tmp_path)


def _at_rest(desk: RemapDesk) -> None:
    for _ in range(2):
        report = desk.sync()
        assert (written(report), report.held, report.failed) == (0, 0, 0)


class TestAFieldNewlyMapped:
    def test_what_only_the_item_has_goes_up(self, desk: RemapDesk) -> None:
        desk.map(NO_LOCATION)
        desk.put("one", "One", "LOCATION:Room 1")
        desk.sync()
        assert desk.activities()["One"]["location"] is None
        desk.map()
        report = desk.sync()
        assert desk.activities()["One"]["location"] == "Room 1"
        assert dict(report.writes) == {("server", "updated"): 1}
        _at_rest(desk)

    def test_what_only_the_activity_has_comes_down(self, desk: RemapDesk) -> None:
        desk.map(NO_LOCATION)
        desk.put("one", "One")
        desk.sync()
        desk.change("One", location="Room 2")
        desk.sync()
        assert "LOCATION" not in desk.text("one")
        desk.map()
        desk.sync()
        assert "LOCATION:Room 2" in desk.text("one")
        assert desk.activities()["One"]["location"] == "Room 2"
        _at_rest(desk)

    def test_where_both_have_the_same_nothing_is_written(self, desk: RemapDesk) -> None:
        desk.map(NO_LOCATION)
        desk.put("one", "One", "LOCATION:Room 1")
        desk.sync()
        desk.change("One", location="Room 1")
        desk.sync()
        desk.map()
        _at_rest(desk)

    def test_where_they_differ_both_values_are_held(self, desk: RemapDesk) -> None:
        desk.map(NO_LOCATION)
        desk.put("one", "One", "LOCATION:Room 1")
        desk.sync()
        desk.change("One", location="Room 2")
        desk.sync()
        desk.map()
        report = desk.sync()
        assert written(report) == 0
        assert [(h.field, h.here, h.there) for _, _, h in report.conflicts] == [("location", "Room 1", "Room 2")]
        assert "LOCATION:Room 1" in desk.text("one")
        desk.put("one", "One", "LOCATION:Room 2")
        desk.sync()
        _at_rest(desk)


class TestAFieldMappedOtherwise:
    def test_what_the_former_mapping_had_made_is_replaced(self, desk: RemapDesk) -> None:
        wrong = ('<row pim="CANCELLED" server="Canceled"/>', '<row pim="CANCELLED" server="Done"/>')
        desk.map(wrong, ('<row pim="COMPLETED" server="Done"/>', ""))
        desk.put_todo("one", "One", "STATUS:CANCELLED")
        desk.sync()
        assert desk.activities()["One"]["status"] == "Done"
        before = desk.items()
        desk.map()
        desk.sync()
        assert desk.activities()["One"]["status"] == "Canceled"
        assert desk.items() == before
        _at_rest(desk)

    def test_what_somebody_has_said_on_the_server_is_held(self, desk: RemapDesk) -> None:
        desk.put_todo("one", "One", "STATUS:NEEDS-ACTION")
        desk.sync()
        desk.change("One", status="Declined")
        desk.sync()
        assert "STATUS:CANCELLED" in desk.text("one")
        desk.map(
            (
                '<row pim="CANCELLED" server="Canceled"/>',
                '<row pim="CANCELLED" server="On Hold" direction="up"/>',
            ),
            ('<row pim="CANCELLED" server="Declined" direction="down"/>', ""),
        )
        report = desk.sync()
        assert written(report) == 0
        assert [(h.field, h.here, h.there) for _, _, h in report.conflicts] == [("status", "On Hold", "Declined")]

    def test_an_image_that_changes_is_shown(self, desk: RemapDesk) -> None:
        desk.put_todo("one", "One", "STATUS:NEEDS-ACTION")
        desk.sync()
        desk.change("One", status="Declined")
        desk.sync()
        assert "STATUS:CANCELLED" in desk.text("one")
        row = '<row pim="{}" server="Declined" direction="down"/>'
        desk.map((row.format("CANCELLED"), row.format("IN-PROCESS")))
        desk.sync()
        assert "STATUS:IN-PROCESS" in desk.text("one")
        assert desk.activities()["One"]["status"] == "Declined"
        _at_rest(desk)

    def test_what_is_no_longer_mapped_stays_on_both_sides(self, desk: RemapDesk) -> None:
        desk.put("one", "One", "LOCATION:Room 1")
        desk.sync()
        before = desk.items()
        desk.map(NO_LOCATION)
        _at_rest(desk)
        assert desk.activities()["One"]["location"] == "Room 1"
        assert desk.items() == before


class TestTypesAndFilters:
    def test_a_type_taken_out_is_unlinked_and_nothing_is_deleted(self, desk: RemapDesk) -> None:
        desk.put_todo("task", "Task")
        desk.put("one", "One")
        desk.add(description="From the server", display_in="To Do and Activities", due="2026-03-02")
        desk.sync()
        desk.sync()
        before, there = desk.items(), set(desk.activities())
        assert len(before) == 3
        start = desk.shipped.index('<type name="todo"') if '<type name="todo"' in desk.shipped else -1
        start = start if start >= 0 else desk.shipped.index('kind="todo"')
        start = desk.shipped.rindex("<type", 0, start + 6)
        todo = desk.shipped[start : desk.shipped.index("</type>", start) + len("</type>")]
        desk.map((todo, ""))
        _at_rest(desk)
        assert (desk.items(), set(desk.activities())) == (before, there)
        desk.put_todo("task", "Task, renamed")  # nobody's business now
        _at_rest(desk)
        desk.put_todo("task", "Task")
        desk.map()
        desk.sync()
        desk.put_todo("task", "Task, renamed again")
        desk.sync()
        _at_rest(desk)
        assert (len(desk.items()), len(desk.activities())) == (3, 3)
        assert "Task, renamed again" in desk.activities()

    def test_a_filter_that_excludes_unlinks_and_one_that_includes_links_again(self, desk: RemapDesk) -> None:
        desk.put("one", "One", "LOCATION:Room 1")
        desk.put("two", "Two", "LOCATION:Room 2")
        desk.sync()
        before = desk.items()
        at = desk.shipped.index("</natural_keys>") + len("</natural_keys>")
        assert desk.shipped.index('kind="event"') < at < desk.shipped.index('kind="todo"')
        rule = (
            '<filter link="and"><condition field="location" comparison="eq"><value>Room 1</value></condition></filter>'
        )
        keys = desk.shipped[desk.shipped.index("<natural_keys>") : at]
        desk.map((keys, keys + rule))
        desk.sync()
        desk.put("two", "Two, edited", "LOCATION:Room 2")
        _at_rest(desk)
        assert set(desk.activities()) == {"One", "Two"}
        desk.put("two", "Two", "LOCATION:Room 2")
        desk.map()
        desk.sync()
        _at_rest(desk)
        assert desk.items() == before
        desk.put("two", "Two, edited again", "LOCATION:Room 2")
        desk.sync()
        assert set(desk.activities()) == {"One", "Two, edited again"}


class TestSettings:
    def test_floating_times_are_read_in_the_new_zone(self, desk: RemapDesk) -> None:
        desk.put("one", "One", start="20260302T090000")
        desk.put("two", "Two")
        desk.sync()
        before = desk.items()
        desk.set(zone="Europe/Berlin")
        desk.sync()
        found = desk.activities()
        assert (found["One"]["planned"].hour, found["Two"]["planned"].hour) == (8, 9)  # type: ignore[union-attr]
        assert desk.items() == before
        _at_rest(desk)

    def test_a_meeting_of_ones_other_address_is_ones_own(self, desk: RemapDesk) -> None:
        desk.put("one", "One", "ORGANIZER:mailto:other@example.net", "ATTENDEE:mailto:me@example.com")
        desk.sync()
        assert desk.activities()["One"]["owner"] == "generic"
        desk.set(addresses=["me@example.com", "other@example.net"])
        desk.sync()
        assert desk.activities()["One"]["owner"] == "me"
        _at_rest(desk)


class TestTheBrake:
    def _many(self, desk: RemapDesk) -> None:
        desk.map(NO_LOCATION)
        for n in range(8):
            desk.put(f"e{n}", f"Entry {n}", f"LOCATION:Room {n}", start=f"202603{n + 10}T090000Z")
        desk.sync()

    def test_a_mapping_that_changes_everything_asks_first(self, desk: RemapDesk) -> None:
        self._many(desk)
        desk.map()
        report = desk.stopped()
        assert report.question is not None
        assert "8 of 8 event entries would be written on the server (location)" in report.question.what
        assert report.question.where.count("location of") == 3
        assert (written(report), report.state) == (0, RunState.STOPPED)
        assert desk.activities()["Entry 3"]["location"] is None
        desk.accept(report)
        desk.sync()
        assert desk.activities()["Entry 3"]["location"] == "Room 3"
        _at_rest(desk)

    def test_with_the_former_mapping_put_back_the_run_goes_on(self, desk: RemapDesk) -> None:
        self._many(desk)
        desk.map()
        desk.stopped()
        desk.map(NO_LOCATION)
        _at_rest(desk)

    def test_a_dry_run_tells_and_changes_nothing(self, desk: RemapDesk) -> None:
        self._many(desk)
        desk.map()
        report = desk.sync(dry_run=True)
        assert report.question is not None
        assert desk.activities()["Entry 3"]["location"] is None


class _Killed(BaseException):
    pass


def test_a_run_that_is_killed_goes_on_where_it_was(desk: RemapDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncengine.services.sync.remapping.BATCH", 2)
    desk.map(NO_LOCATION)
    for n in range(5):
        desk.put(f"e{n}", f"Entry {n}", f"LOCATION:Room {n}", start=f"202603{n + 10}T090000Z")
    desk.sync()
    desk.map()

    def die(work: Work) -> None:
        def progress(what: str, done: int) -> None:
            if "mapping" in what and done == 4:
                raise _Killed

        work.progress = progress

    with pytest.raises(_Killed):
        desk.sync(at_work=die)
    with desk.state() as state:
        assert state.fact(REACHED)
    desk.map(FROM_CONTACT)  # and edited once more meanwhile
    report: Report = desk.sync()
    assert (report.held, report.failed) == (0, 0)
    places = {str(a["location"] or "") for a in desk.activities().values()}
    assert places <= {"", *(f"Room {n}" for n in range(5))}
    desk.map()
    desk.sync()
    assert {a["location"] for a in desk.activities().values()} == {f"Room {n}" for n in range(5)}
    _at_rest(desk)
