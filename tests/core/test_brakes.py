"""Brakes: when deletions are too many to be meant (SYN-4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncengine.core.sync.brakes import Collection, Deletions, brake, unacceptable
from syncengine.core.sync.clock import days_ahead, went_back
from syncengine.core.sync.revert import ANEW, ITEM, KEPT, SHOWN, STAYS, reverted
from syncengine.core.sync.roles import Role
from syncengine.model.activity import Activity
from syncengine.model.brakes import Brakes, Limits, Mode, brakes_of
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, Share, There


def deletions(number: int, linked: int) -> list[Deletions]:
    return [Deletions("on the server", "event", number, linked)]


@pytest.mark.parametrize(
    ("number", "linked", "stops"),
    [
        (0, 0, False),
        (0, 100, False),
        (1, 1, False),  # one deletion is what people do
        (5, 5, False),  # few, though all
        (5, 10, False),
        (6, 6, True),
        (6, 23, True),  # 26 %
        (6, 24, False),  # just 25 %
        (6, 1000, False),  # many, though few of them
        (250, 1000, False),
        (251, 1000, True),
        (1000, 1000, True),
    ],
)
def test_both_limits_must_be_exceeded(number: int, linked: int, stops: bool) -> None:
    assert bool(brake(deletions(number, linked), []).reason) is stops


@pytest.mark.parametrize(
    ("gone", "known", "present", "stops"),
    [
        (0, 0, 0, False),
        (0, 3, 3, False),
        (1, 3, 2, False),
        (2, 3, 1, False),
        (1, 1, 4, False),  # the one shared item among others that are not
        (1, 1, 0, True),  # emptied
        (2, 2, 0, True),
        (2, 2, 5, True),  # replaced: all that was known is gone, and others are there
        (3, 3, 3, True),
    ],
)
def test_an_emptied_or_replaced_collection_always_asks(gone: int, known: int, present: int, stops: bool) -> None:
    assert bool(brake([], [Collection("work", gone, known, present)]).reason) is stops


def test_the_limits_are_settings() -> None:
    for limits, stops in ((Limits(2, 0.1), True), (Limits(3, 0.1), False), (Limits(2, 0.3), False)):
        assert bool(brake(deletions(3, 10), [], Brakes(limits)).reason) is stops


def test_each_side_and_kind_counts_by_itself() -> None:
    spread = [
        Deletions("on the server", "event", 4, 10),
        Deletions("on the server", "todo", 4, 10),
        Deletions("in the PIM", "event", 4, 10),
    ]
    assert brake(spread, []).reason == ""


def test_it_says_what_and_where_and_every_reason() -> None:
    said = brake(
        [Deletions("on the server", "event", 9, 10), Deletions("in the PIM", "todo", 8, 9)],
        [Collection("work", 3, 3, 0)],
    ).reason
    assert '3 shared items of "work" are gone' in said
    assert "9 of 10 event entries would be deleted on the server." in said
    assert "8 of 9 todo entries would be deleted in the PIM." in said


# --- modes -----------------------------------------------------------------------------------------------------------

STOPS = frozenset({"event"})
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("mode", "number", "stops", "waits"),
    [
        (Mode.SUPPRESS, 1, NOBODY, NOBODY),
        (Mode.SUPPRESS, 10, NOBODY, NOBODY),
        (Mode.ENABLE, 1, NOBODY, NOBODY),
        (Mode.ENABLE, 10, STOPS, NOBODY),
        (Mode.REVERT_ONLY, 1, NOBODY, NOBODY),
        (Mode.REVERT_ONLY, 10, STOPS, NOBODY),
        (Mode.CONFIRM, 1, NOBODY, STOPS),
        (Mode.CONFIRM, 10, NOBODY, STOPS),
    ],
)
def test_each_mode_says_what_becomes_of_few_and_of_many(
    mode: Mode, number: int, stops: frozenset[str], waits: frozenset[str]
) -> None:
    brakes = Brakes(kinds={"event": Limits(mode=mode)})
    found = brake([*deletions(number, 10), Deletions("in the PIM", "todo", 1, 10)], [], brakes)
    assert (found.kinds, found.waiting, bool(found.reason)) == (stops, waits, bool(stops))


@pytest.mark.parametrize("mode", Mode)
def test_an_emptied_collection_stops_in_every_mode(mode: Mode) -> None:
    found = brake(deletions(3, 3), [Collection("work", 3, 3, 0, ("event",))], Brakes(Limits(mode=mode)))
    assert "emptied or replaced" in found.reason
    assert found.kinds == STOPS


def test_what_can_only_be_reverted() -> None:
    brakes = Brakes(kinds={"todo": Limits(mode=Mode.REVERT_ONLY)})
    assert unacceptable(["todo", "event", "todo"], brakes) == ["todo"]


def test_a_kind_says_only_what_is_different_for_it() -> None:
    brakes = brakes_of({"count": 2, "mode": "confirm", "todo": {"share": 0.5}})
    assert brakes.of("event") == Limits(2, 0.25, Mode.CONFIRM)
    assert brakes.of("todo") == Limits(2, 0.5, Mode.CONFIRM)


# --- the clock -------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ended", "stops"),
    [
        (None, False),
        (NOON - timedelta(days=400), False),  # a state restored from a backup, or long unused
        (NOON + timedelta(hours=24), False),
        (NOON + timedelta(hours=25), True),
    ],
)
def test_a_clock_that_went_back(ended: datetime | None, stops: bool) -> None:
    assert went_back(NOON, ended) is stops


@pytest.mark.parametrize(
    ("server", "days"),
    [
        (None, 0),
        (NOON, 0),
        (NOON - timedelta(hours=24), 0),
        (NOON - timedelta(hours=25), 1),
        (NOON + timedelta(days=3), -3),
    ],
)
def test_a_clock_ahead_of_the_servers(server: datetime | None, days: int) -> None:
    assert days_ahead(NOON, server) == days


@pytest.mark.parametrize(
    ("gone", "share", "there", "role", "after", "how"),
    [
        (True, Share.SHARED, There.LIVE, Role.GUEST, Share.RESTORED, ITEM),
        (False, Share.DELETED, There.LIVE, Role.OWNER, Share.SHARED, STAYS),
        (False, Share.SHARED, There.DELETED, Role.GUEST, Share.UNSHARED, KEPT),
        (False, Share.SHARED, There.LIVE, Role.OWNER, Share.SHARED, SHOWN),
        (False, Share.SHARED, There.DELETED, Role.OWNER, Share.SHARED, ANEW),
    ],
)
def test_what_a_deletion_is_turned_into(
    gone: bool, share: Share, there: There, role: Role, after: Share, how: str
) -> None:
    item = ItemState("work", "a.ics", "1", "", "uid", made=True, gone=gone)
    before = Proxy("p", Kind.EVENT, server=Activity("a", 1, {}), share=share, there=there, item=item)
    found, words = reverted(before, role, "new")
    assert (found.share, words) == (after, how)
    assert (found.id, found.values.get("integration_id")) == (("new", "uid") if how == ANEW else ("p", None))
    assert found.item is not None
    assert found.item.made is (how != KEPT)
