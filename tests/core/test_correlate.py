"""Natural keys: what is recognised as the same thing, and what first contact makes of it (KEY-1 to KEY-7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.sync.correlate import key_texts, keys_of_activity, keys_of_item, link, pairs
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.roles import role_in
from syncengine.model.activity import Activity
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, Share, There
from syncengine.model.values import Values
from tests.core.mapping_world import EVENTS, TODOS, context, todo

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LUNCH: Values = {"integration_id": "u1", "owner": "E1", "description": "Lunch", "planned": START}
UNLINKED: Values = {name: value for name, value in LUNCH.items() if name != "integration_id"}
ME = context()


def activity(values: Values, *, identity: str = "a1", provisional: bool = False) -> Activity:
    return Activity(identity, 1, values, provisional=provisional)


def meet(item: Values, there: Values) -> bool:
    keys = keys_of_activity(activity(there), EVENTS)
    return pairs(keys, [(text, "p") for text in keys_of_item(item, EVENTS)]) == "p"


# --- which meet ------------------------------------------------------------------------------------------------------


def test_key_1_id_and_owner() -> None:
    assert meet(LUNCH, {**LUNCH, "description": "Dinner", "planned": START + timedelta(days=9)})


def test_the_id_of_somebody_elses_is_another_key() -> None:
    assert not meet(LUNCH, {**LUNCH, "owner": "E2"})


def test_key_2_subject_start_and_owner_where_there_is_no_id() -> None:
    assert meet(LUNCH, UNLINKED)


@pytest.mark.parametrize(
    "other",
    [{"description": "Dinner"}, {"planned": START + timedelta(hours=1)}, {"owner": "E2"}, {"integration_id": "u2"}],
)
def test_key_2_must_be_equal_in_everything_and_never_takes_a_linked_activity(other: Values) -> None:
    assert not meet(LUNCH, {**UNLINKED, **other})


@pytest.mark.parametrize("name", ["description", "owner", "planned"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_a_key_with_an_empty_field_is_skipped(name: str, nothing: str | None) -> None:
    """Two things without a subject are not the same thing."""
    blank = {**UNLINKED, name: nothing}
    assert key_texts(blank, EVENTS.natural_keys) == ()
    assert not meet(blank, blank)


def test_a_todo_is_known_by_its_subject_and_owner_alone() -> None:
    buy = {"integration_id": "u1", "owner": "E1", "description": "Buy milk"}
    there = activity({"owner": "E1", "description": "Buy milk", "planned": START})
    assert set(keys_of_item(buy, TODOS)) & set(keys_of_activity(there, TODOS))


def test_an_instant_is_the_same_in_every_zone_it_is_written_in() -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=0), "Z"))
    assert meet({**LUNCH, "planned": elsewhere}, UNLINKED)


def test_an_item_made_from_an_activity_waits_for_that_one_alone() -> None:
    wanted = keys_of_item({**LUNCH, "integration_id": "activity-a7"}, EVENTS)
    twin, its_own = (keys_of_activity(activity(UNLINKED, identity=a), EVENTS) for a in ("a1", "a7"))
    assert pairs(wanted, [(text, "twin") for text in twin]) is None
    assert pairs(wanted, [(text, "its own") for text in its_own]) == "its own"


def test_keys_are_tried_in_their_order() -> None:
    by_id, by_subject = keys_of_item(LUNCH, EVENTS)
    assert pairs((by_id, by_subject), [(by_subject, "a"), (by_id, "z")]) == "z"


# --- pairing ---------------------------------------------------------------------------------------------------------

TEXTS = st.lists(st.sampled_from(["k1", "k2", "k3"]), unique=True)
CANDIDATES = st.lists(st.tuples(st.sampled_from(["k1", "k2", "k3"]), st.sampled_from("abcdef")), unique=True)


@given(TEXTS, CANDIDATES, st.randoms(use_true_random=False))
def test_a_pair_does_not_depend_on_the_order_of_candidates(
    wanted: list[str], candidates: list[tuple[str, str]], shuffle: object
) -> None:
    again = list(candidates)
    shuffle.shuffle(again)  # type: ignore[attr-defined]
    assert pairs(wanted, candidates) == pairs(wanted, again)


@given(TEXTS, CANDIDATES)
def test_a_pair_shares_a_key_and_no_earlier_key_had_one(wanted: list[str], candidates: list[tuple[str, str]]) -> None:
    found = pairs(wanted, candidates)
    met = [text for text in wanted if any(text == key for key, _ in candidates)]
    assert (found is None) is (not met)
    assert found is None or (met[0], found) in candidates


@given(st.integers(0, 5), st.integers(0, 5))
def test_equal_ones_are_paired_one_to_one(items: int, activities: int) -> None:
    """KEY-6: each pair leaves the candidates, so that no item is linked twice, and the lowest go first."""
    text = keys_of_item(LUNCH, EVENTS)[1]
    waiting = [(text, f"p{n}") for n in range(items)]
    found = []
    for n in range(activities):
        partner = pairs(keys_of_activity(activity(UNLINKED, identity=f"a{n}"), EVENTS), waiting)
        waiting = [w for w in waiting if w[1] != partner]
        found.append(partner)
    linked = [f"p{n}" for n in range(min(items, activities))]
    assert found == linked + [None] * (activities - len(linked))


# --- first contact ---------------------------------------------------------------------------------------------------


def first_contact(here: Values, there: Activity) -> tuple[Proxy, object]:
    item = ItemState("work", "u1.ics", "1", "", "u1")
    proxy = link(Proxy("p", Kind.EVENT, here, item=item), there, None, EVENTS, ME)
    assert (proxy.share, proxy.there, proxy.server) == (Share.SHARED, There.LIVE, there)
    return proxy, merge(proxy, rows_of(EVENTS), role_in(proxy, ME))


def test_equal_records_have_nothing_to_tell_each_other() -> None:
    found = first_contact(LUNCH, activity(LUNCH))[1]
    assert (found.push, found.pull, found.held) == ({}, {}, ())  # type: ignore[attr-defined]


def test_only_the_id_goes_onto_an_activity_that_had_none() -> None:
    found = first_contact(LUNCH, activity(UNLINKED))[1]
    assert (found.push, found.pull, found.held) == ({"integration_id": "u1"}, {}, ())  # type: ignore[attr-defined]


def test_an_empty_side_is_filled() -> None:
    found = first_contact({**LUNCH, "location": "Canteen"}, activity({**LUNCH, "account": "acme"}))[1]
    assert (found.push, found.pull, found.held) == (  # type: ignore[attr-defined]
        {"location": "Canteen"},
        {"account": "acme"},
        (),
    )


def test_people_are_united() -> None:
    found = first_contact({**LUNCH, "employees": ("E1",)}, activity({**LUNCH, "employees": ("E2",)}))[1]
    assert (found.push, found.held) == ({"employees": ("E1", "E2")}, ())  # type: ignore[attr-defined]


def test_an_owners_differing_duplicate_is_a_conflict() -> None:
    found = first_contact({**LUNCH, "description": "Early"}, activity({**LUNCH, "description": "Late"}))[1]
    assert [(h.field, h.here, h.there) for h in found.held] == [("description", "Early", "Late")]  # type: ignore[attr-defined]


def test_an_owners_copy_replaces_what_a_guests_copy_brought() -> None:
    there = activity({**LUNCH, "description": "Guest's title"}, provisional=True)
    found = first_contact(LUNCH, there)[1]
    assert (found.push, found.held) == ({"description": "Lunch"}, ())  # type: ignore[attr-defined]


def test_a_guests_copy_yields() -> None:
    """KEY-5: neither a conflict nor a change."""
    there = activity({**LUNCH, "owner": "E2", "description": "The owner's title"})
    proxy, found = first_contact({**LUNCH, "owner": "E2", "description": "My title"}, there)
    assert (found.push, found.pull, found.held) == ({}, {}, ())  # type: ignore[attr-defined]
    assert proxy.values["description"] == "The owner's title"


def test_what_an_item_had_to_show_is_no_news_for_the_activity_it_was_made_from() -> None:
    item = todo(summary="Buy milk", status="NEEDS-ACTION")
    here = {"integration_id": "activity-a1", "owner": "E1", "description": "Buy milk", "status": "Not Started"}
    state = ItemState("work", "a.ics", "1", "", "activity-a1")
    there = activity({"owner": "E1", "description": "Buy milk"})
    proxy = link(Proxy("p", Kind.TODO, here, item=state), there, item, TODOS, ME)
    assert not merge(proxy, rows_of(TODOS), role_in(proxy, ME)).push
    done = todo(summary="Buy milk", status="COMPLETED")
    proxy = link(Proxy("p", Kind.TODO, {**here, "status": "Done"}, item=state), there, done, TODOS, ME)
    assert merge(proxy, rows_of(TODOS), role_in(proxy, ME)).push == {"status": "Done"}


def test_what_an_item_shows_only_coarsely_agrees() -> None:
    """A to-do that shows *high* and an activity that is ASAP are no conflict, and ASAP stays."""
    item = todo(summary="Buy milk", priority=1)
    here = {"integration_id": "u1", "owner": "E1", "description": "Buy milk", "priority": "2-High"}
    proxy = link(Proxy("p", Kind.TODO, here), activity({**here, "priority": "1-ASAP"}), item, TODOS, ME)
    found = merge(proxy, rows_of(TODOS), role_in(proxy, ME))
    assert (found.push, found.pull, found.held) == ({}, {}, ())
    assert proxy.values["priority"] == "1-ASAP"


@given(
    st.fixed_dictionaries(
        {}, optional={n: st.sampled_from(["", "x", "y"]) for n in ("description", "location", "comments", "account")}
    ),
    st.fixed_dictionaries(
        {}, optional={n: st.sampled_from(["", "x", "y"]) for n in ("description", "location", "comments", "account")}
    ),
    st.booleans(),
)
def test_first_contact_loses_nothing(here: Values, there: Values, provisional: bool) -> None:
    """Whatever stands on a side goes up, comes down, is equal, or is held; only a guest's copy may be replaced."""
    here, there = {**LUNCH, **here}, {**LUNCH, **there}
    proxy, found = first_contact(here, activity(there, provisional=provisional))
    held = {h.field for h in found.held}  # type: ignore[attr-defined]
    for name in there:
        mine, theirs = here.get(name) or None, there.get(name) or None
        if mine == theirs or name in held:
            continue
        if mine is None and not (provisional and name in here):
            assert found.pull.get(name) == theirs  # type: ignore[attr-defined]
        elif theirs is None:
            assert found.push.get(name) == mine  # type: ignore[attr-defined]
        else:
            assert provisional or name == "account", "a difference was settled without asking"
    assert replace(proxy, held=()) == proxy
