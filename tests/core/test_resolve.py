"""An answer sets the bases so that the merge then does what was said (CON-1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.sync.merge import merge
from syncengine.core.sync.resolve import Take, are_surely_one, take, take_value, take_whole
from syncengine.core.sync.roles import Role
from syncengine.core.sync.settle import settle
from syncengine.model.activity import Activity
from syncengine.model.conflicts import Conflict, Loser, Policy, Rule, Rules
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, There, same
from tests.core.mapping_world import EVENTS, context

ROWS = {row.field: row for row in EVENTS.fields}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = st.sampled_from([None, "", "x", "y", "z"])


def proxy(base: str | None, here: str | None, there: str | None, *, undone: bool = False) -> Proxy:
    base_values, theirs = {"location": base}, {"location": there, "updated": NOON.isoformat()}
    found = Proxy("p", Kind.EVENT, {"location": here}, base_values, Activity("a", 3, theirs), base_values)
    return replace(found, there=There.LIVE, undone=frozenset({"location"} if undone else ()))


@given(base=WORDS, here=WORDS, there=WORDS, undone=st.booleans())
def test_who_takes_a_side_gets_just_that(base: str, here: str, there: str, undone: bool) -> None:
    before = proxy(base, here, there, undone=undone)
    if not merge(before, ROWS, Role.OWNER).held:
        return
    mine = merge(take(before, ["location"], Take.PIM).proxy, ROWS, Role.OWNER)
    assert (mine.push, mine.pull, mine.held) == ({"location": here}, {}, ())
    after = take(before, ["location"], Take.SERVER)
    theirs = merge(after.proxy, ROWS, Role.OWNER)
    assert (theirs.push, theirs.held) == ({}, ())
    assert same(
        {"location": theirs.pull.get("location", after.proxy.values["location"])}, {"location": there}, "location"
    )
    assert same(after.lost, {"location": here}, "location")


@given(base=WORDS, here=WORDS, there=WORDS, said=WORDS)
def test_a_new_value_goes_up_unless_the_server_has_it(base: str, here: str, there: str, said: str) -> None:
    before = proxy(base, here, there)
    if not merge(before, ROWS, Role.OWNER).held:
        return
    after = merge(take_value(before, "location", said).proxy, ROWS, Role.OWNER)
    expected = {} if same({"location": said}, {"location": there}, "location") else {"location": said}
    assert (after.pull, after.held) == ({}, ())
    assert same(after.push, expected, "location")


def test_what_the_item_shows_is_kept_however_often_another_value_is_said() -> None:
    item = ItemState("work", "a.ics", "1", "", "a")
    before = replace(proxy("x", "y", "z"), item=item)
    after = take_value(take_value(before, "location", "first").proxy, "location", "second").proxy
    assert (after.values["location"], after.shown) == ("second", {"location": "y"})


@pytest.mark.parametrize(
    ("mine", "theirs", "one"),
    [("a", "a", True), ("a", "b", False), ("a", None, False), (None, "b", True), (None, None, True)],
)
def test_the_same_id_or_none_to_tell_them_apart_is_one(mine: str | None, theirs: str | None, one: bool) -> None:
    """Who says that two are not the same is not believed against their id (KEY-1)."""
    both = replace(proxy("x", "x", "x"), values={"integration_id": mine})
    assert are_surely_one(replace(both, server=Activity("a", 1, {"integration_id": theirs}))) is one


def by(policy: Policy, before: Proxy, *rules: Rule) -> object:
    found = settle(before, EVENTS, Rules((*rules, Rule(policy))), context(), "new")
    return None if found is None else merge(found.resolved.proxy, ROWS, Role.OWNER).push.get("location", "theirs")


@pytest.mark.parametrize(
    ("mine", "winner"),
    [
        (NOON + timedelta(hours=1), "b"),
        (NOON - timedelta(hours=1), "theirs"),
        (NOON + timedelta(milliseconds=300), None),
        (None, None),
    ],
)
def test_the_newest_is_told_by_the_servers_stamps_alone(mine: datetime | None, winner: str | None) -> None:
    assert by(Policy.NEWEST, replace(proxy("a", "b", "c"), modified=mine)) == winner


def test_where_both_are_merged_nobody_has_lost_and_nothing_is_copied() -> None:
    before = proxy("one two three", "one! two three", "one two three!")
    found = settle(before, EVENTS, Rules((Rule(Policy.MERGE, loser=Loser.COPY),)), context(), "new")
    assert found is not None
    assert (found.resolved.proxy.values["location"], found.copied) == ("one! two three!", None)


def test_what_was_said_without_the_item_has_no_stamp() -> None:
    said = replace(proxy("a", "b", "c"), modified=NOON + timedelta(hours=1), shown={"location": "a"})
    assert by(Policy.NEWEST, said) is None


def test_a_stamp_alone_is_no_conflict_and_no_change() -> None:
    assert by(Policy.NEWEST, replace(proxy("a", "a", "a"), modified=NOON + timedelta(hours=1))) is None
    assert merge(proxy("a", "a", "a"), ROWS, Role.OWNER).push == {}


def test_answers_go_first_an_item_before_a_field_before_a_type() -> None:
    item, field = Rule(Policy.PIM, key="k"), Rule(Policy.SERVER, field="location")
    rules = Rules((Rule(Policy.ASK),)).after([Rule(Policy.MERGE, type="calendar"), field, item])
    found = [
        rules.settle(Conflict.CHANGE, "calendar", *about).policy for about in (("location", "k"), ("location", "x"))
    ]
    assert found == [Policy.PIM, Policy.SERVER]
    assert rules.settle(Conflict.CHANGE, "calendar", "comments", "x").policy is Policy.MERGE
    assert rules.settle(Conflict.CHANGE, "todo", "comments", "x").policy is Policy.ASK


def test_what_was_undone_is_for_a_person() -> None:
    assert by(Policy.SERVER, proxy("a", "b", "a", undone=True)) is None


def test_one_copy_however_many_fields_are_lost() -> None:
    before = proxy("a", "b", "c")
    assert before.server
    server = replace(before.server, values={**before.server.values, "comments": "theirs"})
    two = replace(before, values={"location": "b", "comments": "mine"}, server=server)
    two = replace(two, agreed={"location": "a", "comments": ""}, stored={"location": "a", "comments": ""})
    found = settle(two, EVENTS, Rules(default=Policy.SERVER, loser=Loser.COPY), context(), "new")
    assert found is not None
    assert found.copied == {"location": "b", "comments": "mine"}


def test_a_deletion_that_is_passed_on_makes_no_base_of_what_was_typed_before() -> None:
    """Should it be overtaken and the item come back, both sides still know that they differ."""
    item = ItemState("work", "lunch.ics", "1", "", "lunch", gone=True)
    server = Activity("a", 2, {"description": "there"})
    proxy = Proxy("p", Kind.EVENT, {"description": "here"}, {"description": "base"}, server, {"description": "base"})
    after = take_whole(replace(proxy, there=There.LIVE, item=item), Take.PIM, "new").proxy
    assert (after.agreed, after.stored) == ({"description": "base"}, {"description": "there"})
