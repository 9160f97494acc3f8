"""What each situation must lead to, in words of its own: one story for every row of the verdict table.

A story builds the proxy that is in the situation, asks for the decision, then rehearses a whole run on it, and says
what the server is told, what becomes of the item and of the record between them. The last test changes every row into
every other verdict and expects some story to fail: a table that only converges is not yet one that means well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.memory.pim import Collection as Calendar
from connectors.memory.pim import MemoryPim
from syncengine.core.ical.write import new, write
from syncengine.core.sync import reconcile
from syncengine.core.sync.reconcile import Change, Decision, Here, Row, Verdict, decide
from syncengine.core.sync.reflect import rows_of
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Command, Delete, Feed, Greeting, Insert, Leave, Outcome, Update
from syncengine.model.directory import Directory
from syncengine.model.pim import Kind
from syncengine.model.proxy import Alone, ItemState, Proxy, Share, There
from syncengine.model.values import Values
from syncengine.model.visibility import RecordFeed
from syncengine.services.sync import Collection, Sync, Work
from syncengine.store.state import State
from tests.core.mapping_world import DIRECTORY, EVENTS, context, shipped

H, C, V = Here, Change, Verdict
ME, OTHER, ACTIVITY = "E1", "E2", "a1"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BASE: Values = {
    "integration_id": "lunch",
    "display_in": EVENTS.display_in,
    "type": "Appointment",
    "description": "Lunch",
    "planned": START,
    "planned_completion": START + timedelta(hours=1),
    "owner": ME,
    "employees": (ME,),
    "account": "acme",
}
HREF = "lunch.ics"
WITHOUT_ITEM = (H.NOTHING, H.EDITED)
SHARING = {
    **dict.fromkeys((H.UNSHARED, H.QUIT), Share.UNSHARED),
    **dict.fromkeys((H.DROPPING, H.DROPPED), Share.DROPPED),
    **dict.fromkeys((H.REMOVED, H.RESIGNED), Share.DELETED),
    H.WANTED: Share.RESTORED,
}


# --- situations ------------------------------------------------------------------------------------------------------


def situation(here: Here, there: Change, made: bool = False) -> Proxy:
    """The item, if there is one, says Lunch; changed here means a new place, changed there another subject.
    `made`: the product made the item, from an activity that began on the server."""
    owner = OTHER if here in (H.LEFT, H.QUIT, H.DECLINED, H.RESIGNED) else ME
    base = {**BASE, "owner": owner, "employees": tuple(sorted({ME, owner}))}
    remote = {**base, "description": "Late lunch"} if there is C.CHANGED else base
    item = _item(base, here, made) if here not in WITHOUT_ITEM else None
    if item is None and there is not C.ABSENT:
        base, remote = ({k: v for k, v in r.items() if k != "planned"} for r in (base, remote))  # never shown
    values = {**base, "location": "Canteen"} if here in (H.CHANGED, H.EDITED) else base
    declined = Alone.DECLINED if here is H.DECLINED else Alone.NO
    proxy = Proxy("p1", Kind.EVENT, values, item=item, share=SHARING.get(here, Share.SHARED), alone=declined)
    if there is C.ABSENT:
        return proxy
    origin = Origin.SERVER if made or item is None else Origin.PIM
    return replace(
        proxy,
        agreed=base,
        stored=base,
        server=Activity(ACTIVITY, 7, remote, origin),
        there={C.DELETED: There.DELETED, C.LEFT: There.LEFT}.get(there, There.LIVE),
    )


def _item(values: Values, here: Here, made: bool) -> ItemState:
    start, end = values["planned"], values["planned_completion"]
    text = new(Kind.EVENT, "lunch", {"summary": "Lunch", "dtstart": start, "dtend": end}, NOW)
    if here is H.CHANGED:
        text = write(text, {"location": "Canteen"}, ZoneInfo("UTC"))
    return ItemState("work", HREF, '"1"', text, "lunch", made=made, gone=here in (H.GONE, H.LEFT, H.DROPPED, H.WANTED))


# --- what is seen of a decision --------------------------------------------------------------------------------------


class Telephone:
    """A server that is there and has no news; the rehearsal takes its answers for granted."""

    def greet(self) -> Greeting:
        return Greeting("server", ME, "E9", 1)

    def directory(self) -> Directory:
        return DIRECTORY

    def records(self, token: str | None, limit: int = 1000) -> RecordFeed:
        return RecordFeed(tuple((record, True) for record in DIRECTORY.records.values()), (), "t")

    def changes(self, token: str | None, limit: int = 1000) -> Feed:
        return Feed((), (), (), "t")

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        return ()

    def activities(self) -> Iterator[Activity]:
        return iter(())

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        raise AssertionError("a rehearsal tells nobody anything")

    def close(self) -> None: ...


@dataclass(frozen=True)
class Seen:
    """The decision, the writes of the run, and the record after it (None: forgotten)."""

    before: Proxy
    decision: Decision
    writes: tuple[tuple[str, str], ...]
    after: Proxy | None


class Rehearsal:
    """Runs on one proxy alone."""

    def __init__(self, file: Path) -> None:
        self.state, self.number = State(str(file)), count()

    def __call__(self, proxy: Proxy) -> Seen:
        decision = decide(proxy, rows_of(EVENTS), EVENTS.natural_keys, context(), "c1")
        return Seen(proxy, decision, *self._run(self.state, proxy))

    def _run(self, state: State, proxy: Proxy) -> tuple[tuple[tuple[str, str], ...], Proxy | None]:
        calendar = Calendar()
        if proxy.item and not proxy.item.gone:
            calendar.put(HREF, proxy.item.text)
        with state.transaction():
            state.forget([proxy.id])
            state.save([proxy], dirty=True)
            state.set_token("pim:work", calendar.token())
            state.set_fact("seen:work", True)
            state.accept([proxy.id])
        kinds = frozenset(Kind)
        work = Work(
            state=state,
            server=Telephone(),
            collections=[Collection("work", MemoryPim(calendar), shipped("default"), kinds, kinds)],
            addresses=("ada@corp.example",),
            zone=ZoneInfo("UTC"),
            clock=lambda: NOW,
            new_id=lambda: f"run-{next(self.number)}",
            dry_run=True,
        )
        report = Sync(work).run()
        return tuple(sorted(report.writes.elements())), state.proxies([proxy.id]).get(proxy.id)


@pytest.fixture(scope="module")
def rehearse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    rehearsal = Rehearsal(tmp_path_factory.mktemp("rehearsals") / "state.db")
    yield rehearsal
    rehearsal.state.close()


# --- the words stories are told in -----------------------------------------------------------------------------------

MOVES = {V.REST: (False, False), V.PUSH: (True, False), V.PULL: (False, True), V.MERGE: (True, True)}
"""What a verdict's name promises people who ask for an explanation: whether fields go up, whether fields come down."""


def honest(seen: Seen) -> None:
    """A verdict that names a direction is one in which something moves that way."""
    promised = MOVES.get(seen.decision.verdict)
    if promised is None:
        return
    assert seen.after is not None
    came_down = any(seen.after.values.get(n) != seen.before.values.get(n) for n in seen.after.values)
    assert (isinstance(seen.decision.command, Update), came_down) == promised


def tells(seen: Seen, kind: type[Command] | None, **values: object) -> None:
    """The one command to the server, and all it says."""
    command = seen.decision.command
    if kind is None:
        assert command is None
        assert not [w for w in seen.writes if w[0] == "server"]
        return
    assert isinstance(command, kind)
    if isinstance(command, Update):
        assert command.values == values
    if isinstance(command, Update | Delete):
        assert (command.activity_id, command.base_version) == (ACTIVITY, 7), (
            "a write carries the version it was planned on"
        )
    if isinstance(command, Leave):
        assert command.activity_id == ACTIVITY
    assert [w for w in seen.writes if w[0] == "server"] == [("server", _SAID[kind])]


_SAID = {Insert: "created", Update: "updated", Delete: "deleted", Leave: "updated"}


def calendar_untouched(seen: Seen) -> None:
    assert not [w for w in seen.writes if w[0] == "pim"]


def forgotten(seen: Seen) -> None:
    assert seen.after is None


def in_step(seen: Seen, **values: object) -> None:
    """Linked, shared, nothing waiting; both sides have agreed on everything, on these values among others."""
    after = _kept(seen)
    assert (after.share, after.there, after.held) == (Share.SHARED, There.LIVE, ())
    assert after.server is not None
    for name in after.values.keys() | after.server.values.keys():
        assert (
            after.values.get(name) == after.agreed.get(name) == after.server.values.get(name) == after.stored.get(name)
        )
    assert {n: after.values.get(n) for n in values} == values


def alone(seen: Seen) -> None:
    """The user's item stays as it is, with no activity. What only went out of sight may be linked again when it comes
    back, what was declined when it is accepted; everything else is never linked again by itself."""
    after = _kept(seen)
    assert seen.decision.verdict in (V.UNLINK, V.LEAVE), "people are told that it is not shared any more"
    may_return = seen.before.there is There.LEFT or seen.before.alone is Alone.DECLINED
    share = Share.NEVER if may_return and seen.before.share is Share.SHARED else Share.UNSHARED
    assert (after.share, after.there, after.server, after.held) == (share, There.ABSENT, None, ())
    assert after.item == seen.before.item
    assert (dict(after.agreed), dict(after.stored)) == ({}, {})
    calendar_untouched(seen)


def waits(seen: Seen, because: str) -> None:
    """Both sides stay as they are until a person has decided."""
    after = _kept(seen)
    assert [(h.field, h.because) for h in after.held] == [("", because)]
    assert (after.server, after.item, after.values, after.there) == (
        seen.before.server,
        seen.before.item,
        seen.before.values,
        seen.before.there,
    )
    assert not seen.writes


def shows(seen: Seen, *lines: str) -> None:
    """The item was written, and says this."""
    after = _kept(seen)
    assert ("pim", "updated") in seen.writes
    assert after.item is not None
    for line in lines:
        assert line in after.item.text


def _kept(seen: Seen) -> Proxy:
    assert seen.after is not None
    return seen.after


# --- the stories -----------------------------------------------------------------------------------------------------


def nothing_absent(seen: Seen) -> None:
    """An activity made here by hand reaches the server, met by no other, and gets its item as if made there."""
    tells(seen, Insert)
    command = seen.decision.command
    assert isinstance(command, Insert)
    assert (command.origin, command.keys) == (Origin.SERVER, ())
    in_step(seen, description="Lunch")
    assert ("pim", "created") in seen.writes


def nothing_same(seen: Seen) -> None:
    """An activity without an item, at rest."""
    assert seen.decision.verdict is V.REST
    tells(seen, None)
    in_step(seen, description="Lunch")
    assert seen.after == seen.before


def nothing_changed(seen: Seen) -> None:
    """News of an activity that is not shown is taken down, and nothing is said to the server."""
    tells(seen, None)
    in_step(seen, description="Late lunch")
    calendar_untouched(seen)


def nothing_deleted(seen: Seen) -> None:
    """Of what is gone there and never was here, nothing is kept."""
    tells(seen, None)
    forgotten(seen)
    calendar_untouched(seen)


nothing_left = nothing_deleted


def same_absent(seen: Seen) -> None:
    """A shared item becomes an activity, whole, under the id the client chose, to be looked up by its keys first."""
    tells(seen, Insert)
    command = seen.decision.command
    assert isinstance(command, Insert)
    assert (command.activity_id, command.values, command.keys) == ("p1", seen.before.values, EVENTS.natural_keys)
    in_step(seen, description="Lunch")
    calendar_untouched(seen)


def same_same(seen: Seen) -> None:
    """At rest nothing is written anywhere."""
    assert seen.decision.verdict is V.REST
    assert not seen.writes
    assert seen.after == seen.before


def same_changed(seen: Seen) -> None:
    """A new subject there shows in the item; the server hears nothing."""
    tells(seen, None)
    shows(seen, "SUMMARY:Late lunch")
    in_step(seen, description="Late lunch")


def same_deleted(seen: Seen) -> None:
    """What the product made goes with its activity; what the user made stays and is the user's alone (ACT-7)."""
    tells(seen, None)
    if seen.before.item and seen.before.item.made:
        assert seen.writes == (("pim", "deleted"),)
        forgotten(seen)
    else:
        alone(seen)


def same_left(seen: Seen) -> None:
    """What is no longer visible is not deleted: the item stays (lesson 4)."""
    tells(seen, None)
    alone(seen)


def changed_same(seen: Seen) -> None:
    """The place typed here goes up, and nothing else does."""
    tells(seen, Update, location="Canteen")
    in_step(seen, description="Lunch", location="Canteen", account="acme")
    calendar_untouched(seen)


def changed_changed(seen: Seen) -> None:
    """The place goes up, the subject comes down."""
    tells(seen, Update, location="Canteen")
    shows(seen, "SUMMARY:Late lunch", "LOCATION:Canteen")
    in_step(seen, description="Late lunch", location="Canteen")


def changed_deleted(seen: Seen) -> None:
    """What the user changed does not vanish because somebody deleted it, nor does it rise again there by itself."""
    waits(seen, "changed here, deleted on the server")


changed_left = same_left


def gone_absent(seen: Seen) -> None:
    """Deleted before anybody heard of it."""
    tells(seen, None)
    forgotten(seen)
    calendar_untouched(seen)


def gone_same(seen: Seen) -> None:
    """Its owner deletes it, so it is deleted for everybody."""
    tells(seen, Delete)
    forgotten(seen)
    calendar_untouched(seen)


def gone_changed(seen: Seen) -> None:
    """Somebody changed what is deleted here: the change is not thrown away, and the item does not come back."""
    waits(seen, "deleted here, changed on the server")


gone_deleted = gone_left = gone_absent


left_absent = gone_absent


def left_same(seen: Seen) -> None:
    """A guest who deletes the entry leaves; the meeting goes on (CAL-2)."""
    tells(seen, Leave)
    forgotten(seen)
    calendar_untouched(seen)


left_changed = left_same
left_deleted = left_left = gone_absent


def unshared_absent(seen: Seen) -> None:
    """The item is taken back before the server heard of it."""
    tells(seen, None)
    alone(seen)


unshared_same = unshared_changed = unshared_deleted = unshared_left = unshared_absent
quit_absent = quit_deleted = quit_left = unshared_absent


def quit_same(seen: Seen) -> None:
    """A guest who unshares leaves the team, and keeps the item (ACT-13)."""
    tells(seen, Leave)
    alone(seen)


quit_changed = quit_same
declined_absent = declined_deleted = declined_left = unshared_absent
declined_same = declined_changed = quit_same


def edited_same(seen: Seen) -> None:
    """The place typed by hand goes up, and no item is made of it."""
    tells(seen, Update, location="Canteen")
    in_step(seen, location="Canteen")
    calendar_untouched(seen)


def edited_changed(seen: Seen) -> None:
    """The place goes up, the subject comes down."""
    tells(seen, Update, location="Canteen")
    in_step(seen, description="Late lunch", location="Canteen")
    calendar_untouched(seen)


edited_deleted = changed_deleted
edited_left = nothing_deleted


def dropping_same(seen: Seen) -> None:
    """The item goes, whoever made it; the server hears nothing, and no item is to be made again (ACT-14)."""
    tells(seen, None)
    assert seen.writes == (("pim", "deleted"),)
    after = _kept(seen)
    assert (after.share, after.has_item, after.there) == (Share.DROPPED, False, seen.before.there)
    assert after.server == seen.before.server


dropping_absent = dropping_changed = dropping_left = dropping_same


def dropping_deleted(seen: Seen) -> None:
    """Nothing is left on either side, so nothing is remembered."""
    tells(seen, None)
    assert seen.writes == (("pim", "deleted"),)
    forgotten(seen)


def dropped_same(seen: Seen) -> None:
    """Nothing is told, made, held or forgotten; what the server says is only kept."""
    assert seen.decision.verdict is V.STAY, "people are told why there is no item"
    assert not seen.writes
    assert seen.after == seen.before


dropped_absent = dropped_changed = dropped_left = dropped_same
dropped_deleted = nothing_deleted


def removed_same(seen: Seen) -> None:
    """The activity goes; its item with it where the product made it, the user's own stays alone (ACT-7)."""
    tells(seen, Delete)
    command = seen.decision.command
    assert isinstance(command, Delete)
    assert command.series, "a series goes with its changed occurrences"
    _own_item_stays(seen)


def _own_item_stays(seen: Seen) -> None:
    assert seen.before.item is not None
    if seen.before.item.made:
        assert ("pim", "deleted") in seen.writes
        forgotten(seen)
        return
    calendar_untouched(seen)
    after = _kept(seen)
    assert (after.share, after.there, after.server) == (Share.UNSHARED, There.ABSENT, None)
    assert after.item == seen.before.item


def removed_absent(seen: Seen) -> None:
    """There is nobody to tell."""
    tells(seen, None)
    _own_item_stays(seen)


def removed_changed(seen: Seen) -> None:
    """Somebody's change is not thrown away unseen."""
    waits(seen, "deleted here, changed on the server")


removed_deleted = removed_left = removed_absent


def resigned_same(seen: Seen) -> None:
    """A guest who deletes it leaves the team, whatever has changed."""
    tells(seen, Leave)
    _own_item_stays(seen)


resigned_changed = resigned_same
resigned_absent = resigned_deleted = resigned_left = removed_absent


def wanted_same(seen: Seen) -> None:
    """The item is written again as it was, under its own name; the server hears nothing."""
    _is_back(seen)
    after = _kept(seen)
    assert (after.share, after.there, after.server) == (Share.SHARED, seen.before.there, seen.before.server)


def _is_back(seen: Seen) -> None:
    tells(seen, None)
    assert seen.decision.verdict is V.RESTORE
    assert seen.writes == (("pim", "created"),)
    before, after = seen.before.item, _kept(seen).item
    assert before is not None
    assert after is not None
    assert (after.href, after.text, after.made, after.gone) == (before.href, before.text, before.made, False)


wanted_absent = wanted_changed = wanted_same


def wanted_deleted(seen: Seen) -> None:
    """The activity is gone for good; the item, back again, becomes a new one."""
    _is_back(seen)
    after = _kept(seen)
    assert (after.share, after.there, after.server) == (Share.SHARED, There.ABSENT, None)
    assert (dict(after.agreed), dict(after.stored)) == ({}, {})


def wanted_left(seen: Seen) -> None:
    """The item is back and alone, until its activity can be seen again."""
    _is_back(seen)
    after = _kept(seen)
    assert (after.share, after.there, after.server) == (Share.NEVER, There.ABSENT, None)


SITUATIONS = [(h, c) for h in Here for c in Change if (h, c) not in {(H.CHANGED, C.ABSENT), (H.EDITED, C.ABSENT)}]
"""What is not on the server has no base, so nothing of it has *changed*."""


def story(here: Here, there: Change) -> Any:
    return globals()[f"{here.name.lower()}_{there.name.lower()}"]


def variants(here: Here, there: Change) -> list[Proxy]:
    """With an item the user made and, where it can be, one the product made."""
    return [situation(here, there, made) for made in ((False, True) if here not in WITHOUT_ITEM else (False,))]


def check(here: Here, there: Change, rehearse: Rehearsal) -> None:
    for proxy in variants(here, there):
        seen = rehearse(proxy)
        story(here, there)(seen)
        honest(seen)


def name(pair: tuple[Here, Change]) -> str:
    return f"{pair[0].name.lower()} here, {pair[1].name.lower()} there"


def test_every_situation_has_its_row() -> None:
    assert set(reconcile.VERDICTS) == set(SITUATIONS)


@pytest.mark.parametrize("pair", SITUATIONS, ids=name)
def test_situations_are_what_they_say(pair: tuple[Here, Change]) -> None:
    """The table is really asked about the situation the story builds."""
    for proxy in variants(*pair):
        decision = decide(proxy, rows_of(EVENTS), EVENTS.natural_keys, context(), "c1")
        row = reconcile.VERDICTS[pair]
        assert decision.because == row.because or (decision.verdict, proxy.item and proxy.item.made) == (
            V.UNLINK,
            False,
        )


@pytest.mark.parametrize("pair", SITUATIONS, ids=name)
def test_the_verdict_means_well(pair: tuple[Here, Change], rehearse: Rehearsal) -> None:
    check(*pair, rehearse)


WITHOUT_AN_ITEM = (*WITHOUT_ITEM, H.GONE, H.LEFT, H.DROPPED)
SAME_WITHOUT_ITEM = (V.DELETE_HERE, V.FORGET, True)
"""Deleting an item that is not there is forgetting it, by definition."""


def test_no_other_verdict_would_do(rehearse: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = []
    table: Mapping[tuple[Here, Change], Row] = dict(reconcile.VERDICTS)
    for pair, row in table.items():
        for other in Verdict:
            if other is row.verdict or (other, row.verdict, pair[0] in WITHOUT_AN_ITEM) == SAME_WITHOUT_ITEM:
                continue
            monkeypatch.setattr(reconcile, "VERDICTS", {**table, pair: row._replace(verdict=other)})
            try:
                check(*pair, rehearse)
            except Exception:
                continue
            alive.append(f"{name(pair)}: {other.name} instead of {row.verdict.name}")
    assert not alive, "\n".join(alive)
