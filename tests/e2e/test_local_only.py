"""`sync --local-only`: what changed here goes up, nothing comes down, and the next whole run is none the worse."""

from __future__ import annotations

import pytest

from tests.e2e.desk import Desk, event, writes


@pytest.fixture
def agreed(desk: Desk) -> tuple[Desk, str]:
    """A desk with an entry both sides have, and the activity's id."""
    desk.put("a", event("a", "First"))
    desk.sync()
    return desk, desk.activity("First")["id"]


def rests(desk: Desk) -> None:
    """A whole run, after which there is nothing to do."""
    desk.sync()
    assert writes(desk.sync()) == 0


def test_new_and_changed_entries_go_up_and_nothing_comes_down(agreed: tuple[Desk, str]) -> None:
    desk, _ = agreed
    there = desk.add(
        description="Made there",
        display_in="Calendar and Activities",
        planned="2026-03-04T10:00:00+01:00",
        planned_completion="2026-03-04T11:00:00+01:00",
    )
    desk.put("b", event("b", "New here"))
    desk.edit("a", "First", "Second")
    report = desk.sync("--local-only")
    assert (report["server"]["created"], report["server"]["updated"], sum(report["pim"].values())) == (1, 1, 0)
    assert writes(desk.sync("--local-only")) == 0
    assert len(desk.items()) == 2
    assert desk.do("explain", there).code == 2, "the server's changes are not read"
    assert desk.sync()["pim"]["created"] == 1
    assert {"Made there", "New here", "Second"} == {a["description"] for a in desk.activities()}
    rests(desk)


def test_another_field_changed_there_is_merged_there_and_comes_down_later(agreed: tuple[Desk, str]) -> None:
    desk, identity = agreed
    desk.change({identity: {"location": "Room 5"}})
    desk.edit("a", "First", "Second")
    desk.sync("--local-only")
    found = desk.activity("Second")
    assert found["location"] == "Room 5"
    assert "Room 5" not in desk.text("a")
    assert writes(desk.sync("--local-only")) == 0
    desk.sync()
    assert "LOCATION:Room 5" in desk.text("a")
    rests(desk)


def test_the_same_field_changed_there_is_held_with_both_values(agreed: tuple[Desk, str]) -> None:
    desk, identity = agreed
    desk.change({identity: {"description": "Theirs"}})
    desk.edit("a", "First", "Ours")
    assert desk.do("sync", "--local-only").code == 1
    assert desk.activity("Theirs")
    assert "Ours" in desk.text("a")
    assert desk.do("sync").code == 1
    desk.edit("a", "Ours", "Theirs")
    rests(desk)


def test_a_deletion_goes_up_unless_it_was_changed_there(agreed: tuple[Desk, str]) -> None:
    desk, identity = agreed
    desk.put("b", event("b", "Goes"))
    desk.put("c", event("c", "Stays"))
    desk.sync()
    desk.change({identity: {"description": "Changed there"}})
    desk.remove("a", "b")
    desk.do("sync", "--local-only")
    left = {a["description"] for a in desk.activities()}
    assert left == {"Changed there", "Stays"}
    assert len(desk.items()) == 1
    desk.do("sync")
    assert {a["description"] for a in desk.activities()} == left


def test_what_was_deleted_there_stays_here_until_a_whole_run(desk: Desk) -> None:
    identity = desk.add(
        description="Made there",
        display_in="Calendar and Activities",
        planned="2026-03-04T10:00:00+01:00",
        planned_completion="2026-03-04T11:00:00+01:00",
    )
    desk.sync()
    desk.good("activity", "delete", identity)
    desk.sync("--local-only")
    assert len(desk.items()) == 1
    desk.sync()
    assert desk.items() == []
    rests(desk)
