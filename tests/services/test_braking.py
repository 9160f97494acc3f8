"""Brakes at work: every mode on both sides for each kind, a person's answers, and reverts that are killed (SYN-4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from syncengine.errors import ConfigError, Stopped
from syncengine.model.brakes import Brakes, Limits, Mode
from syncengine.model.report import Report
from syncengine.services.client_activities import ClientActivities
from syncengine.services.sync import braking, reverting
from tests.e2e.desk import event, todo
from tests.property.world import Fuse, Killed, Trouble, World

ME = "one"
KINDS = ("event", "todo")
SIDES = ("server", "pim")
NAMES = [f"n{i}" for i in range(4)]


@pytest.fixture
def world() -> Iterator[World]:
    world = World(names=(ME,))
    yield world
    world.close()


class Ends(NamedTuple):
    items: int
    activities: int


def ends(world: World) -> Ends:
    return Ends(len(world.items(ME)), len(world.activities()))


def save(world: World, kind: str, name: str) -> None:
    world.put(ME, name, event(name, name) if kind == "event" else todo(name, name))


def in_step(world: World, side: str, kind: str) -> None:
    """Four entries whose deletion would be passed on to that side."""
    if side == "server":
        for name in NAMES:
            save(world, kind, name)
    else:
        place = "Calendar and Activities" if kind == "event" else "To Do and Activities"
        when = {"planned": "2026-03-02T09:00:00Z", "planned_completion": "2026-03-02T10:00:00Z"}
        for name in NAMES:
            world.add(ME, description=name, display_in=place, **(when if kind == "event" else {}))
    world.run(ME)
    assert world.run(ME).quiet
    assert ends(world) == (4, 4)


def lose(world: World, side: str, number: int) -> None:
    """So many of them are deleted, where they were made."""
    if side == "server":
        for name in NAMES[:number]:
            world.drop(ME, name)
    else:
        for one in sorted(world.activities().values(), key=lambda a: str(a["description"]))[:number]:
            world.remove(ME, one.id)


def stopped(world: World) -> None:
    with pytest.raises(Stopped):
        world.run(ME)


def revert(world: World) -> list[str]:
    state = world.state(ME)
    me = ClientActivities(state, world.new_id, ZoneInfo("UTC")).me
    return [r.how for r in reverting.revert(state, "", me, world.new_id)]


def settle(world: World) -> Report:
    report = world.run(ME)
    assert world.run(ME).quiet
    return report


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
class TestManyDeletions:
    """Two of four, where one is allowed."""

    @pytest.fixture
    def braked(self, world: World, side: str, kind: str) -> World:
        in_step(world, side, kind)
        lose(world, side, 2)
        return world

    @staticmethod
    def set_mode(world: World, kind: str, mode: Mode) -> None:
        world.brakes = Brakes(kinds={kind: Limits(1, 0.25, mode)})

    def test_suppress_passes_them_on(self, braked: World, side: str, kind: str) -> None:
        self.set_mode(braked, kind, Mode.SUPPRESS)
        assert settle(braked).writes[side, "deleted"] == 2
        assert ends(braked) == (2, 2)

    @pytest.mark.parametrize("mode", [Mode.ENABLE, Mode.CONFIRM])
    def test_a_person_accepts_them(self, braked: World, side: str, kind: str, mode: Mode) -> None:
        self.set_mode(braked, kind, mode)
        if mode is Mode.ENABLE:
            stopped(braked)
        else:
            assert len(braked.run(ME).deletions) == 2
        assert max(ends(braked)) == 4
        braking.accept(braked.state(ME), "", braked.brakes)
        assert settle(braked).writes[side, "deleted"] == 2

    @pytest.mark.parametrize("mode", [Mode.ENABLE, Mode.REVERT_ONLY, Mode.CONFIRM])
    def test_a_person_reverts_them(self, braked: World, side: str, kind: str, mode: Mode) -> None:
        self.set_mode(braked, kind, mode)
        if mode is Mode.CONFIRM:
            braked.run(ME)
        else:
            stopped(braked)
        assert len(revert(braked)) == 2
        assert revert(braked) == [], "a second time there is nothing more to do"
        settle(braked)
        assert ends(braked) == (4, 4)
        assert {str(a["description"]) for a in braked.activities().values()} == set(NAMES)

    def test_revert_only_accepts_nothing(self, braked: World, side: str, kind: str) -> None:
        self.set_mode(braked, kind, Mode.REVERT_ONLY)
        stopped(braked)
        with pytest.raises(ConfigError, match="can only be reverted") as raised:
            braking.accept(braked.state(ME), "", braked.brakes)
        assert f'mode = "enable" in [brake.{kind}]' in raised.value.fix
        self.set_mode(braked, kind, Mode.ENABLE)
        braking.accept(braked.state(ME), "", braked.brakes)
        settle(braked)
        assert ends(braked) == (2, 2)

    def test_confirm_holds_them_back_and_nothing_else(self, braked: World, side: str, kind: str) -> None:
        self.set_mode(braked, kind, Mode.CONFIRM)
        save(braked, kind, "new")
        report = braked.run(ME)
        assert report.writes[side, "deleted"] == 0
        assert report.writes["server", "created"] == 1
        assert len(report.deletions) == 2

    def test_what_was_accepted_can_still_be_reverted(self, braked: World, side: str, kind: str) -> None:
        self.set_mode(braked, kind, Mode.ENABLE)
        stopped(braked)
        braking.accept(braked.state(ME), "", braked.brakes)
        assert len(revert(braked)) == 2
        settle(braked)
        assert ends(braked) == (4, 4)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("side", SIDES)
def test_a_single_deletion_waits_only_where_each_is_to_be_confirmed(world: World, side: str, mode: Mode) -> None:
    in_step(world, side, "event")
    lose(world, side, 1)
    world.brakes = Brakes(Limits(mode=mode))
    report = world.run(ME)
    waits = mode is Mode.CONFIRM
    assert (len(report.deletions), report.writes[side, "deleted"]) == (int(waits), int(not waits))


@pytest.mark.parametrize("mode", Mode)
def test_an_emptied_calendar_stops_in_every_mode(world: World, mode: Mode) -> None:
    in_step(world, "server", "event")
    lose(world, "server", 4)
    world.brakes = Brakes(Limits(mode=mode))
    stopped(world)
    stopped(world)
    assert ends(world) == (0, 4)


def _both_deleted(world: World) -> None:
    in_step(world, "server", "event")
    for name in ("there 1", "there 2"):
        world.add(ME, description=name, display_in="To Do and Activities")
    world.run(ME)
    world.brakes = Brakes(Limits(1, 0))
    for one in world.activities().values():
        if str(one["description"]).startswith("there"):
            world.remove(ME, one.id)
    lose(world, "server", 2)
    stopped(world)


def test_a_revert_killed_at_any_instant_has_happened_or_not(world: World) -> None:
    _both_deleted(world)
    for at in count():
        state = world.state(ME)
        state.fuse = Fuse(at)
        try:
            revert(world)
        except Killed:
            world._stop(ME)
            assert len(world.state(ME).doomed()) in (0, 4)
        else:
            break
        finally:
            state.fuse = Fuse()
    assert at > 2
    settle(world)
    assert ends(world) == (6, 6)


def test_a_run_that_puts_back_may_be_killed_at_any_instant() -> None:
    """Each time from the same beginning, a few steps later, until it is not killed any more."""
    for at in count(0, 7):
        world = World(names=(ME,))
        try:
            _both_deleted(world)
            revert(world)
            try:
                world.run(ME, Trouble(kill_at=at))
            except Killed:
                world.run(ME)
                settle(world)
                assert ends(world) == (6, 6), f"killed at point {at}"
                continue
            break
        finally:
            world.close()
    assert at > 20


def test_nothing_is_put_back_that_would_make_the_calendar_mail_attendees() -> None:
    world = World(names=(ME,), mails=True)
    try:
        guests = ("ORGANIZER:mailto:one@example.com", "ATTENDEE:mailto:two@example.com")
        for name in NAMES:
            world.put(ME, name, event(name, name, "20260302T090000Z", "20260302T100000Z", *guests))
        world.run(ME)
        world.brakes = Brakes(Limits(1, 0))
        lose(world, "server", 2)
        stopped(world)
        revert(world)
        assert world.run(ME).held == 2
        assert ends(world) == (2, 4)
    finally:
        world.close()
