"""When what failed is tried again, and what people call it (SYN-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncengine.core.health import overdue
from syncengine.core.issues import PAUSES, failed, is_called, is_due, issue_id, pause, pick
from syncengine.errors import ConfigError, Problem
from syncengine.model.issue import Issue, IssueState

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BAD = Problem("It is broken.", "work/a.ics", "Mend it.")


def fail(before: Issue | None, now: datetime = NOW, seen: str = "etag") -> Issue:
    return failed(before, "pim:work", "a.ics", BAD, now, seen)


def failed_often(tries: int) -> Issue:
    issue = fail(None)
    for _ in range(tries - 1):
        issue = fail(issue)
    return issue


@pytest.mark.parametrize(
    ("tries", "minutes"),
    [(1, 0), (2, 5), (3, 15), (4, 60), (5, 240), (6, 720), (7, 1440), (13, 1440), (14, None), (1000, None), (0, None)],
)
def test_the_pause_after_so_many_tries(tries: int, minutes: int | None) -> None:
    assert pause(tries) == (None if minutes is None else minutes * MINUTE)


def test_pauses_never_become_shorter() -> None:
    assert list(PAUSES) == sorted(PAUSES)


def test_it_is_due_when_its_pause_is_over_and_not_before() -> None:
    issue = failed_often(2)
    assert [is_due(issue, NOW + n * MINUTE) for n in (0, 4, 5, 6)] == [False, False, True, True]
    assert is_due(fail(None), NOW)


def test_a_clock_that_is_set_back_lets_nothing_wait() -> None:
    assert is_due(failed_often(7), NOW - MINUTE)
    assert not is_due(failed_often(14), NOW - MINUTE)


def test_it_is_parked_after_the_last_pause_and_stays_so() -> None:
    last, parked, later = failed_often(13), failed_often(14), failed_often(15)
    assert (last.state, last.due) == (IssueState.OPEN, NOW + timedelta(days=1))
    assert (parked.state, parked.due, parked.tries) == (IssueState.PARKED, None, 14)
    assert (later.state, later.due) == (IssueState.PARKED, None)


@pytest.mark.parametrize("state", list(IssueState))
def test_what_changed_counts_anew_whatever_its_state(state: IssueState) -> None:
    before = Issue("pim:work", "a.ics", BAD, NOW, NOW, None, 9, state, "etag")
    after = fail(before, NOW + MINUTE, "another")
    assert (after.tries, after.state, after.due, after.seen) == (1, IssueState.OPEN, NOW + MINUTE, "another")
    assert (after.since, after.tried) == (NOW, NOW + MINUTE)


@pytest.mark.parametrize("seen", ["etag", ""])
def test_ignored_stays_ignored_while_it_is_as_it_was(seen: str) -> None:
    before = Issue("pim:work", "a.ics", BAD, NOW, NOW, None, 1, IssueState.IGNORED, "etag")
    after = fail(before, seen=seen)
    assert (after.state, after.due, after.seen) == (IssueState.IGNORED, None, "etag")


def test_ids_can_be_shortened_while_only_one_begins_so() -> None:
    issues = [Issue("pim:work", f"{n}.ics", BAD, NOW, NOW, NOW) for n in range(40)]
    ids = [issue_id(i) for i in issues]
    assert len(set(ids)) == 40
    assert pick(issues, [ids[3]]) == [issues[3]]
    alone = next(i for i in ids if sum(other.startswith(i[:3]) for other in ids) == 1)
    assert pick(issues, [alone[:3], ids[3]]) == [issues[ids.index(alone)], issues[3]]
    several = next(i[0] for i in ids if sum(other.startswith(i[0]) for other in ids) > 1)
    for unknown in (several, "no such", ""):
        with pytest.raises(ConfigError):
            pick(issues, [unknown])


def test_it_is_known_by_place_href_and_file_name() -> None:
    issue = Issue("pim:work", "folder/a.ics", Problem("", "work/folder/a.ics", ""), NOW, NOW, NOW)
    assert all(is_called(issue, key) for key in ("folder/a.ics", "a.ics", "work/folder/a.ics"))
    assert not is_called(issue, "b.ics")


@pytest.mark.parametrize(("minutes", "late"), [(0, False), (30, False), (30.1, True), (-5, False)])
def test_a_side_is_overdue_after_three_intervals(minutes: float, late: bool) -> None:
    assert overdue(NOW, 10 * MINUTE, NOW + minutes * MINUTE) is late


def test_a_side_that_never_succeeded_is_overdue() -> None:
    assert overdue(None, 10 * MINUTE, NOW)
