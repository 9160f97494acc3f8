"""What undoing each kind of write takes, with nothing changed since, with a change since, and done already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.ical.read import read
from syncengine.core.ical.write import new, write
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reconcile import decide
from syncengine.core.sync.reflect import ItemWrite, Verb, rows_of
from syncengine.core.sync.roles import Role
from syncengine.core.sync.traces import difference, differing, digest, of_command, of_item
from syncengine.core.sync.undo import Now, Planned, Refusal, Restoration, collapsed, plan, remade_id
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Leave, Update
from syncengine.model.item import Item
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, Share, There
from syncengine.model.trace import Deed, Trace
from tests.core.mapping_world import EVENTS, context, shipped

ME, START = context(), datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEXT = new(Kind.EVENT, "lunch", {"summary": "Lunch", "dtstart": START, "dtend": START + timedelta(hours=1)}, START)
VALUES: dict[str, Any] = {
    "integration_id": "lunch",
    "display_in": EVENTS.display_in,
    "description": "Lunch",
    "planned": START,
    "planned_completion": START + timedelta(hours=1),
    "owner": "E1",
    "employees": ("E1",),
}


def linked(text: str = TEXT, here: Mapping[str, Any] = {}, there: Mapping[str, Any] = {}, version: int = 1) -> Proxy:
    """A proxy at rest, then with these values here and there."""
    item = ItemState("work", "lunch.ics", "e1", text, "lunch")
    proxy = Proxy("p", Kind.EVENT, VALUES, item=item, there=There.LIVE, server=Activity("a", version, VALUES)).settled()
    assert proxy.server is not None
    now = replace(proxy.server, values={**VALUES, **there})
    return replace(proxy, values={**VALUES, **here}, server=now)


def now(proxy: Proxy | None, **more: Any) -> Now:
    return replace(Now("run", proxy, shipped("default"), EVENTS, ME, "command"), **more)


def sent(before: Proxy, **values: Any) -> Trace:
    """The trace of an update of the activity."""
    assert before.server is not None
    after = replace(before.server, version=2, values={**before.server.values, **values})
    return of_command(before, Update("c", "a", 1, values), after, "changed here")


def shown(before: Proxy, **changes: Any) -> tuple[Trace, Proxy]:
    """The trace of an update of the item, and the proxy after it."""
    assert before.item is not None
    text = write(before.item.text, changes, ME.zone)
    fields = {"summary": "description", "location": "location"}
    values = {fields[n]: v for n, v in changes.items()}
    after = linked(text, values, values).settled()
    item_write = ItemWrite(Verb.UPDATE, "work", "lunch.ics", text, "e1", "changed there", after)
    return of_item(before, item_write, after), after


def restorations(planned: list[Planned]) -> list[Restoration]:
    return [p for p in planned if isinstance(p, Restoration)]


def refusals(planned: list[Planned]) -> list[str]:
    return [p.why for p in planned if isinstance(p, Refusal)]


# --- an activity that was updated ------------------------------------------------------------------------------------


def test_values_sent_up_are_taken_back_and_held() -> None:
    trace = sent(linked(), description="Long lunch", location="Room 5")
    after = linked(here={"description": "Long lunch", "location": "Room 5"}, version=2)
    after = replace(after, server=replace(after.server, values=after.values)).settled()
    (step,) = restorations(plan(trace, now(after)))
    assert step.command == Update("command", "a", 2, {"description": "Lunch", "location": None})
    assert step.first[0].undone == {"description", "location"}
    assert step.first[0].item == after.item


@pytest.mark.parametrize(
    ("there", "back", "why"),
    [
        ({"description": "Long lunch", "location": "Room 5"}, {"description": "Lunch", "location": None}, []),
        ({"description": "Dinner", "location": "Room 5"}, {"location": None}, ["description was changed since"]),
        ({"description": "Lunch", "location": "Room 5"}, {"location": None}, []),
        ({"description": "Lunch", "location": None}, {}, []),
        ({"description": "Dinner", "location": "Bar"}, {}, ["description was changed", "location was changed"]),
    ],
    ids=["as left", "one changed since", "one is back", "all is back", "all changed since"],
)
def test_each_field_is_taken_back_as_far_as_it_is_as_the_run_left_it(
    there: dict[str, Any], back: dict[str, Any], why: list[str]
) -> None:
    trace = sent(linked(), description="Long lunch", location="Room 5")
    planned = plan(trace, now(linked(there=there, version=2)))
    assert [step.command.values for step in restorations(planned) if isinstance(step.command, Update)] == (
        [back] if back else []
    )
    assert len(refusals(planned)) == len(why)
    assert all(words in found for words, found in zip(why, refusals(planned), strict=True))


def test_what_the_server_changed_by_itself_is_put_back_and_not_held() -> None:
    before = linked()
    assert before.server is not None
    values = {**VALUES, "participants": ("bob@corp.example",), "employees": ("E1", "E2")}
    told = Update("c", "a", 1, {"participants": ("bob@corp.example",)})
    trace = of_command(before, told, replace(before.server, version=2, values=values), "invited here")
    after = linked(here=values, there=values).settled()
    (step,) = restorations(plan(trace, now(after)))
    assert isinstance(step.command, Update)
    assert step.command.values == {"participants": (), "employees": ("E1",)}
    assert step.first[0].undone == {"participants"}
    assert step.first[0].values["employees"] == ("E1",)


# --- an item that was updated ----------------------------------------------------------------------------------------


def test_an_item_as_left_gets_its_old_text_back_and_both_values_are_held() -> None:
    trace, after = shown(linked(), summary="Renamed", location="Room 7")
    (step,) = restorations(plan(trace, now(after)))
    assert step.item is not None
    assert (step.item.verb, step.item.text, step.item.etag) == (Verb.UPDATE, TEXT, "e1")
    left = step.item.after
    assert left.undone == {"description", "location"}
    assert left.server == after.server
    decision = decide(left, rows_of(EVENTS), (), ME, "next")
    assert decision.command is None
    assert {(h.field, h.here, h.there) for h in decision.proxy.held} == {
        ("description", "Lunch", "Renamed"),
        ("location", None, "Room 7"),
    }


def test_a_property_changed_since_stays_and_so_does_what_is_not_mapped() -> None:
    trace, after = shown(linked(), summary="Renamed", location="Room 7")
    assert after.item is not None
    edited = after.item.text.replace("SUMMARY:Renamed", "SUMMARY:Mine\r\nX-KEEP:1")
    after = replace(after, item=replace(after.item, text=edited), values={**after.values, "description": "Mine"})
    planned = plan(trace, now(after))
    (step,) = restorations(planned)
    assert step.item is not None
    item = read(step.item.text, {"summary", "location"})
    assert isinstance(item, Item)
    assert (item.values["summary"], "location" in item.values, "X-KEEP:1" in step.item.text) == ("Mine", False, True)
    assert refusals(planned) == ["summary was changed since: it is 'Mine' now."]


@pytest.mark.parametrize("gone", [True, False], ids=["deleted since", "never heard of"])
def test_an_item_that_is_not_there_any_more_is_named(gone: bool) -> None:
    trace, after = shown(linked(), summary="Renamed")
    assert after.item is not None
    proxy = replace(after, item=replace(after.item, gone=True)) if gone else None
    assert refusals(plan(trace, now(proxy))) == ["The item is not there any more."]


# --- made and deleted ------------------------------------------------------------------------------------------------


def test_an_item_that_was_made_is_deleted_unless_it_was_changed() -> None:
    proxy = linked()
    trace = Trace("p", "lunch", "pim", Deed.CREATED, "new", digest=digest(TEXT), place=_PLACE)
    (step,) = restorations(plan(trace, now(proxy)))
    assert step.item is not None
    assert step.item.verb is Verb.DELETE
    assert {step.first[0].share, step.item.after.share} == {Share.DROPPED}
    assert refusals(plan(trace, now(linked(f"{TEXT} ")))) == ["The item was changed since."]
    assert plan(trace, now(None)) == []


_PLACE = {"pim": "work", "href": "lunch.ics", "kind": "event", "uid": "lunch", "made": True}
DELETED = Trace("p", "lunch", "pim", Deed.DELETED, "deleted there", TEXT, place=_PLACE)


def test_a_deleted_item_whose_activity_is_gone_is_the_users_own_and_not_shared() -> None:
    (step,) = restorations(plan(DELETED, now(None)))
    assert step.item is not None
    assert (step.item.verb, step.item.text, step.item.href) == (Verb.CREATE, TEXT, "lunch.ics")
    after = step.item.after
    assert after.item is not None
    assert (after.share, after.there, after.item.made, after.item.gone) == (
        Share.UNSHARED,
        There.ABSENT,
        False,
        False,
    )
    assert refusals(plan(DELETED, now(None, uid_taken=True))) == ["There is another item with its UID."]
    assert plan(DELETED, now(linked())) == []


def test_a_deleted_item_is_linked_again_with_its_activity() -> None:
    proxy = linked()
    assert proxy.item is not None
    gone = replace(proxy, share=Share.DROPPED, item=replace(proxy.item, gone=True))
    (step,) = restorations(plan(DELETED, now(gone)))
    assert step.item is not None
    assert (step.first[0].share, step.item.after.share) == (Share.RESTORED, Share.SHARED)


@pytest.mark.parametrize(
    ("owner", "command"), [("E1", Delete), ("E9", Delete), ("E2", Leave)], ids=["own", "nobody's", "somebody else's"]
)
def test_an_activity_that_was_made_is_deleted_or_left(owner: str, command: type) -> None:
    proxy = linked(there={"owner": owner})
    assert proxy.server is not None
    trace = of_command(proxy, Insert("c", "a", VALUES, ()), proxy.server, "made here")
    (step,) = restorations(plan(trace, now(proxy)))
    assert isinstance(step.command, command)
    assert step.first[0].share is Share.UNSHARED
    assert "the item stays" in step.what


@pytest.mark.parametrize("since", [{"location": "Bar"}, {"employees": ("E1", "E2")}], ids=["changed", "joined"])
def test_an_activity_somebody_changed_or_joined_since_stays(since: dict[str, Any]) -> None:
    proxy = linked()
    assert proxy.server is not None
    trace = of_command(proxy, Insert("c", "a", VALUES, ()), proxy.server, "made here")
    planned = plan(trace, now(linked(there=since, version=2)))
    assert (restorations(planned), len(refusals(planned))) == ([], 1)


def test_a_deleted_activity_is_made_anew_once() -> None:
    trace = of_command(linked(), Delete("c", "a", 1), None, "deleted here")
    (step,) = restorations(plan(trace, now(None)))
    assert isinstance(step.command, Insert)
    assert step.command.activity_id == step.first[0].id == remade_id("run", "a")
    assert step.command.values == VALUES
    assert (step.command.keys, step.first[0].share) == ((), Share.DROPPED)
    assert plan(trace, now(None, remade=True)) == []


# --- links, and what can only be said --------------------------------------------------------------------------------


@pytest.mark.parametrize(("joined", "owner", "leaves"), [(False, "E2", False), (True, "E2", True), (True, "E1", False)])
def test_a_link_is_cut(joined: bool, owner: str, leaves: bool) -> None:
    trace = Trace("p", "lunch", "server", Deed.LINKED, "met", place={"activity": "a", "joined": joined})
    (step,) = restorations(plan(trace, now(linked(there={"owner": owner}))))
    assert isinstance(step.command, Leave) is leaves
    item = step.first[0]
    assert (item.share, item.has_item) == (Share.UNSHARED, True)
    if not leaves:
        activity = step.first[1]
        assert (item.server, activity.activity_id, activity.share) == (None, "a", Share.DROPPED)
    assert plan(trace, now(None)) == []


@pytest.mark.parametrize("deed", [Deed.LEFT, Deed.UNLINKED, Deed.EDITED])
def test_some_things_can_only_be_said(deed: Deed) -> None:
    alone = replace(linked(), share=Share.UNSHARED, server=None, there=There.ABSENT)
    (refusal,) = plan(Trace("p", "lunch", "server", deed, "so it was"), now(alone))
    assert isinstance(refusal, Refusal)
    assert refusal.fix


# --- several writes of one run, and what is kept ---------------------------------------------------------------------


def test_several_writes_of_a_record_are_undone_as_one_the_newest_record_first() -> None:
    first, after = shown(linked(), summary="Renamed")
    second, _ = shown(after, location="Room 7")
    other = replace(DELETED, proxy="q", place={**_PLACE, "href": "other.ics"})
    found = collapsed([first, other, second])
    assert [t.proxy for t in found] == ["q", "p"]
    text = differing(str(found[1].old), found[1].new)
    assert found[1].old == TEXT
    assert text is not None
    assert "SUMMARY:Renamed" in text
    assert "LOCATION:Room 7" in text


def test_what_a_run_made_and_deleted_again_is_nothing() -> None:
    made = Trace("p", "lunch", "pim", Deed.CREATED, "new", digest="d", place=_PLACE)
    assert collapsed([made, DELETED]) == []


def test_what_was_undone_is_held_whoever_changed_it_last() -> None:
    proxy = replace(linked(here={"location": "Here"}, there={"location": "There"}), undone=frozenset({"location"}))
    merged = merge(proxy, rows_of(EVENTS), Role.OWNER)
    assert ([h.field for h in merged.held], merged.push, merged.pull) == (["location"], {}, {})


def test_what_both_sides_agree_on_again_is_not_undone_any_more() -> None:
    both = {"location": "Bar"}
    proxy = replace(linked(here=both, there=both), undone=frozenset({"location", "description"}))
    assert decide(proxy, rows_of(EVENTS), (), ME, "c").proxy.undone == frozenset()


@given(old=st.text(alphabet="ab\n", max_size=30), new_text=st.text(alphabet="ab\n", max_size=30))
def test_a_text_is_made_again_of_the_old_one_and_how_it_differs(old: str, new_text: str) -> None:
    start, end, middle = difference(old, new_text)
    assert differing(old, [start, end, middle]) == new_text
    assert len(middle) <= len(new_text)
