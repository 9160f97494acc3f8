"""Merging field by field: what must go up, what must come down, and what nobody but a person may decide."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.core.sync.merge import Merge, Rows, merge
from syncengine.core.sync.reconcile import pulled, stored
from syncengine.core.sync.roles import Role
from syncengine.model.activity import Activity
from syncengine.model.conflicts import Conflict
from syncengine.model.mapping import Direction, FieldMap
from syncengine.model.proxy import Held, Proxy, same
from syncengine.model.values import Values

ROWS: Rows = {
    "description": FieldMap("description", "summary", "text"),
    "location": FieldMap("location", "location", "text"),
    "comments": FieldMap("comments", "description", "text"),
    "priority": FieldMap("priority", "priority", "value-map", direction=Direction.DOWN),
    "owner": FieldMap("owner", "organizer", "owner", direction=Direction.UP),
}
MEMBERS = st.lists(st.sampled_from("abcde"), unique=True).map(lambda found: tuple(sorted(found)))
WORDS = st.sampled_from(["", "x", "y", "z"])


def proxy(base: Values, here: Values, there: Values) -> Proxy:
    return Proxy("p", None, here, agreed=base, server=Activity("a", 3, there), stored=base)


def merged(base: Values, here: Values, there: Values, role: Role = Role.OWNER) -> Merge:
    return merge(proxy(base, here, there), ROWS, role)


# --- one field -------------------------------------------------------------------------------------------------------


def test_nothing_moves_where_nothing_changed() -> None:
    same_everywhere = {"description": "Lunch", "employees": ("a",)}
    assert merged(same_everywhere, same_everywhere, same_everywhere) == Merge({}, {}, (), here=False, there=False)


def test_what_changed_here_goes_up() -> None:
    found = merged({"description": "Lunch"}, {"description": "Late lunch"}, {"description": "Lunch"})
    assert found == Merge({"description": "Late lunch"}, {}, (), here=True, there=False)


def test_what_changed_there_comes_down() -> None:
    found = merged({"description": "Lunch"}, {"description": "Lunch"}, {"description": "Late lunch"})
    assert found == Merge({}, {"description": "Late lunch"}, (), here=False, there=True)


def test_what_was_emptied_here_is_emptied_there() -> None:
    assert merged({"location": "Canteen"}, {}, {"location": "Canteen"}).push == {"location": None}


def test_what_was_emptied_there_is_emptied_here() -> None:
    assert merged({"location": "Canteen"}, {"location": "Canteen"}, {}).pull == {"location": None}


def test_empty_however_it_is_written_is_no_change() -> None:
    base = {"location": None, "done": False, "employees": ()}
    assert merged(base, {"location": "", "done": None}, {"employees": None}) == Merge({}, {}, (), False, False)


def test_the_same_change_on_both_sides_only_moves_the_base() -> None:
    found = merged({"description": "Lunch"}, {"description": "Dinner"}, {"description": "Dinner"})
    assert (found.push, found.pull, found.held) == ({}, {"description": "Dinner"}, ())


def test_a_conflict_keeps_all_three_values() -> None:
    found = merged({"description": "Lunch"}, {"description": "Early"}, {"description": "Late"})
    assert found.held == (
        Held("description", "changed differently on both sides", "Lunch", "Early", "Late", Conflict.CHANGE),
    )
    assert (found.push, found.pull, found.here, found.there) == ({}, {}, True, True)


def test_a_conflict_in_one_field_does_not_stop_the_others() -> None:
    base = {"description": "Lunch", "location": "Canteen", "account": "acme"}
    found = merged(
        base, base | {"description": "Early", "location": "Bar"}, base | {"description": "Late", "account": "b"}
    )
    assert (found.push, found.pull) == ({"location": "Bar"}, {"account": "b"})
    assert [h.field for h in found.held] == ["description"]


def test_in_a_field_no_item_shows_the_server_wins() -> None:
    assert merged({"account": "a"}, {"account": "b"}, {"account": "c"}).pull == {"account": "c"}


def test_a_field_that_only_comes_down_never_goes_up() -> None:
    base = {"priority": "2-High"}
    assert merged(base, {"priority": "4-Low"}, base) == Merge({}, {}, (), False, False)
    assert merged(base, {"priority": "4-Low"}, {"priority": "1-ASAP"}).pull == {"priority": "1-ASAP"}


def test_what_the_server_alone_writes_is_no_change() -> None:
    found = merged({}, {}, {"created": datetime(2026, 1, 1, tzinfo=UTC), "created_by": "x", "updated": "y"})
    assert found == Merge({}, {}, (), False, False)


def test_each_side_is_compared_with_its_own_past() -> None:
    """A server that rounds: what it stored differs from what was meant, and that is no change on either side."""
    rounding = Proxy(
        "p",
        None,
        {"comments": "a long text"},
        agreed={"comments": "a long text"},
        server=Activity("a", 3, {"comments": "a long"}),
        stored={"comments": "a long"},
    )
    assert merge(rounding, ROWS, Role.OWNER) == Merge({}, {}, (), False, False)


# --- people ----------------------------------------------------------------------------------------------------------


def test_added_here_and_added_there_are_both_on_the_team() -> None:
    assert merged({"employees": ("a",)}, {"employees": ("a", "b")}, {"employees": ("a", "c")}).push == {
        "employees": ("a", "b", "c")
    }


def test_taken_out_here_and_added_there() -> None:
    assert merged({"employees": ("a", "b")}, {"employees": ("a",)}, {"employees": ("a", "b", "c")}).push == {
        "employees": ("a", "c")
    }


def test_taken_out_on_both_sides_needs_no_word_to_the_server() -> None:
    found = merged({"employees": ("a", "b", "c")}, {"employees": ("a", "b")}, {"employees": ("a",)})
    assert (found.push, found.pull, found.held) == ({}, {"employees": ("a",)}, ())


@given(base=MEMBERS, here=MEMBERS, there=MEMBERS)
def test_sets_merge_by_what_was_added_and_removed(
    base: tuple[str, ...], here: tuple[str, ...], there: tuple[str, ...]
) -> None:
    found = merged({"employees": base}, {"employees": here}, {"employees": there})
    result = set(found.push.get("employees", found.pull.get("employees", there)) or ())
    assert found.held == ()
    for who in "abcde":
        moved_here = (who in here) != (who in base)
        expected = who in (here if moved_here else there)
        assert (who in result) is expected


@given(base=MEMBERS, here=MEMBERS, there=MEMBERS)
def test_it_does_not_matter_who_synchronizes_first(
    base: tuple[str, ...], here: tuple[str, ...], there: tuple[str, ...]
) -> None:
    def result(one: tuple[str, ...], other: tuple[str, ...]) -> set[str]:
        found = merged({"employees": base}, {"employees": one}, {"employees": other})
        return set(found.push.get("employees", found.pull.get("employees", other)) or ())  # type: ignore[arg-type]

    assert result(here, there) == result(there, here)


# --- whose word counts -----------------------------------------------------------------------------------------------


def test_a_guests_values_are_never_changes() -> None:
    base = {"description": "Lunch", "integration_id": "u"}
    here, there = base | {"description": "Mine", "location": "Bar"}, base | {"description": "Late"}
    assert merged(base, here, there, Role.GUEST) == Merge({}, {"description": "Late"}, (), here=False, there=True)


def test_a_guest_brings_the_id_to_an_activity_that_has_none() -> None:
    assert merged({}, {"integration_id": "u"}, {}, Role.GUEST).push == {"integration_id": "u"}
    held = merged({"integration_id": "u"}, {"integration_id": "v"}, {"integration_id": "u"}, Role.GUEST)
    assert held.push == {}


def test_of_the_generic_owners_team_everybodys_word_counts() -> None:
    assert merged({"description": "a"}, {"description": "b"}, {"description": "a"}, Role.TEAM).push == {
        "description": "b"
    }


# --- in general ------------------------------------------------------------------------------------------------------

NAMES = ["description", "location", "comments", "account", "priority", "owner"]
RECORDS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, WORDS) | {"employees": MEMBERS})


@settings(max_examples=300)
@given(base=RECORDS, here=RECORDS, there=RECORDS, role=st.sampled_from(Role))
def test_every_difference_is_dealt_with_once(base: Values, here: Values, there: Values, role: Role) -> None:
    found = merged(base, here, there, role)
    held = {h.field for h in found.held}
    assert not (found.push.keys() & found.pull.keys() | found.push.keys() & held | found.pull.keys() & held)
    for name in {*base, *here, *there} - found.push.keys() - found.pull.keys() - held:
        changed_there = not same(there, base, name)
        mine_counts = role is not Role.GUEST and name != "priority"
        assert not changed_there
        assert not mine_counts or same(here, base, name)


@settings(max_examples=300)
@given(base=RECORDS, here=RECORDS, there=RECORDS, role=st.sampled_from([Role.OWNER, Role.TEAM]))
def test_carried_out_nothing_is_left_but_the_conflicts(base: Values, here: Values, there: Values, role: Role) -> None:
    """The server stores what it is told, the item shows what comes down; then only held fields differ."""
    before = proxy(base, here, there)
    found = merge(before, ROWS, role)
    assert before.server
    server = Activity("a", 4, {**there, **found.push})
    after = stored(before, found.push, server, ROWS)
    again = merge(after, ROWS, role)
    after = pulled(after, again.pull)
    last = merge(after, ROWS, role)
    assert (last.push, last.pull) == ({}, {})
    assert {h.field for h in last.held} == {h.field for h in found.held}
    for name in {*base, *here, *there} - {h.field for h in last.held} - {"priority"}:
        assert same(after.values, server.values, name)


@pytest.mark.parametrize("role", [Role.OWNER, Role.TEAM])
def test_a_held_field_keeps_its_base_while_the_others_advance(role: Role) -> None:
    base = {"description": "Lunch", "location": "Canteen"}
    before = proxy(base, {"description": "Early", "location": "Bar"}, {"description": "Late", "location": "Canteen"})
    found = merge(before, ROWS, role)
    server = Activity("a", 4, {"description": "Late", "location": "Bar"})
    after = stored(before, found.push, server, ROWS)
    assert (after.agreed["location"], after.stored["location"]) == ("Bar", "Bar")
    assert (after.agreed["description"], after.stored["description"]) == ("Lunch", "Lunch")
    assert merge(after, ROWS, role).held == found.held


def test_a_united_list_comes_down_after_it_went_up() -> None:
    """One side added, the other too: the list sent holds both, and the sender does not take it back afterwards."""
    before = proxy({"employees": ("a",)}, {"employees": ("a", "b")}, {"employees": ("a", "c")})
    sent = merge(before, ROWS, Role.OWNER).push
    after = stored(before, sent, Activity("a", 4, {"employees": ("a", "b", "c")}), ROWS)
    found = merge(after, ROWS, Role.OWNER)
    assert (found.push, found.pull) == ({}, {"employees": ("a", "b", "c")})
    assert merge(pulled(after, found.pull), ROWS, Role.OWNER) == Merge({}, {}, (), False, False)
