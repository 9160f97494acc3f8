"""What becomes of a proxy once the server has answered, and the reasons a decision carries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.sync.merge import Merge, merge
from syncengine.core.sync.reconcile import VERDICTS, decide, here, predicted, pulled, stored, there
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.roles import Role, role_in
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Leave, Removed, Stored, Update
from syncengine.model.mapping import Authority, FieldMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Held, ItemState, Proxy, Share, There
from syncengine.model.values import Values
from tests.core.mapping_world import EVENTS, context

ROWS = {
    "comments": FieldMap("comments", "description", "text"),
    "owner": FieldMap("owner", "organizer", "owner", authority=Authority.SERVER),
}
ME = context()
BASE: Values = {"owner": "E1", "description": "Lunch"}
ITEM = ItemState("work", "u1.ics", "1", "", "u1")


def linked(values: Values, server: Values, base: Values = BASE) -> Proxy:
    return Proxy("p", Kind.EVENT, values, base, Activity("a", 3, server), base, there=There.LIVE, item=ITEM)


def decided(proxy: Proxy) -> object:
    return decide(proxy, rows_of(EVENTS), EVENTS.natural_keys, ME, "c")


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_server_that_rounds_causes_no_second_write() -> None:
    sent = {"comments": "a long text"}
    after = stored(Proxy("p", None, sent), sent, Activity("a", 1, {"comments": "a long"}), ROWS)
    assert after.values == sent, "the client keeps its own value"
    assert merge(after, ROWS, Role.OWNER) == Merge({}, {}, (), False, False)


def test_people_are_as_the_server_says() -> None:
    sent = {"employees": ("E1",), "owner": "E1"}
    server = Activity("a", 1, {"employees": ("E1", "E2"), "owner": "E9"})
    after = stored(Proxy("p", None, sent), sent, server, ROWS)
    assert after.values == server.values
    assert merge(after, ROWS, Role.OWNER) == Merge({}, {}, (), False, False)


def test_what_the_server_fills_in_by_itself_comes_down() -> None:
    after = stored(
        Proxy("p", None, {"comments": "x"}),
        {"comments": "x"},
        Activity("a", 1, {"comments": "x", "status": "Open"}),
        ROWS,
    )
    assert merge(after, ROWS, Role.OWNER).pull == {"status": "Open"}


def test_what_was_typed_while_the_answer_was_lost_is_still_to_go_up() -> None:
    """After a kill the item is absorbed before the answer is asked for again."""
    sent = {"comments": "first"}
    after = stored(Proxy("p", None, {"comments": "second"}), sent, Activity("a", 1, sent), ROWS)
    assert merge(after, ROWS, Role.OWNER).push == {"comments": "second"}


def test_what_is_made_anew_says_nothing_that_is_the_servers_to_say() -> None:
    was = {**BASE, "created": "2026-03-01T08:00:00Z", "updated": "2026-03-02T08:00:00Z"}
    for item in (ITEM, None):
        command = decide(Proxy("p", Kind.EVENT, was, item=item), rows_of(EVENTS), EVENTS.natural_keys, ME, "c").command
        assert isinstance(command, Insert)
        assert command.values == BASE


def test_a_rehearsal_predicts_what_a_command_asks_for() -> None:
    proxy = linked(BASE, BASE)
    insert, update = Insert("c", "p", BASE, ()), Update("c", "a", 3, {"location": "Bar"})
    assert predicted(proxy, insert) == Stored("c", Activity("p", 1, BASE, insert.origin))
    assert predicted(proxy, update) == Stored("c", Activity("a", 4, {**BASE, "location": "Bar"}))
    assert predicted(proxy, Delete("c", "a", 3)) == Removed("c", "a")
    assert predicted(proxy, Leave("c", "a")) == Removed("c", "a")


def test_what_came_down_is_the_shadow_of_what_the_item_cannot_show() -> None:
    after = pulled(linked(BASE, {**BASE, "priority": "1-ASAP"}), {"priority": "1-ASAP"})
    assert after.shadow == {"priority": "1-ASAP"}
    assert (after.values["priority"], after.agreed["priority"], after.stored["priority"]) == ("1-ASAP",) * 3


# --- decisions -------------------------------------------------------------------------------------------------------


def test_a_conflict_is_held_while_the_rest_of_the_record_moves() -> None:
    proxy = linked({**BASE, "description": "Early", "location": "Bar"}, {**BASE, "description": "Late"})
    decision = decided(proxy)
    assert decision.command == Update("c", "a", 3, {"location": "Bar"})  # type: ignore[attr-defined]
    assert [h.field for h in decision.proxy.held] == ["description"]  # type: ignore[attr-defined]


def test_a_conflict_that_is_over_is_no_longer_held() -> None:
    over = replace(linked(BASE, BASE), held=(Held("description", "changed differently on both sides"),))
    assert decided(over).proxy.held == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["new", "changed"])
def test_an_item_that_cannot_be_translated_waits_whole(kind: str) -> None:
    proxy = Proxy("p", Kind.EVENT, BASE, item=ITEM) if kind == "new" else linked({**BASE, "location": "Bar"}, BASE)
    decision = decided(replace(proxy, hold="the rule cannot be translated"))
    assert decision.command is None  # type: ignore[attr-defined]
    assert [(h.field, h.because) for h in decision.proxy.held] == [("", "the rule cannot be translated")]  # type: ignore[attr-defined]


def test_an_item_that_cannot_be_translated_may_still_be_deleted() -> None:
    gone = replace(linked(BASE, BASE), item=replace(ITEM, gone=True), hold="the rule cannot be translated")
    assert isinstance(decided(gone).command, Delete)  # type: ignore[attr-defined]


def test_that_people_joined_does_not_keep_what_its_owner_deletes() -> None:
    gone = replace(linked(BASE, {**BASE, "employees": ("E1", "E2")}), item=replace(ITEM, gone=True))
    assert isinstance(decided(gone).command, Delete)  # type: ignore[attr-defined]


def test_a_guests_words_are_not_told_to_the_server() -> None:
    theirs = {**BASE, "owner": "E2"}
    decision = decided(linked({**theirs, "description": "My title"}, theirs, theirs))
    assert decision.command is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(("owner", "command"), [("E1", Delete), ("E2", Leave), ("E9", Leave)])
def test_who_deletes_decides_what_that_means(owner: str, command: type) -> None:
    base = {**BASE, "owner": owner}
    gone = replace(linked(base, base, base), item=replace(ITEM, gone=True))
    assert isinstance(decided(gone).command, command)  # type: ignore[attr-defined]


def test_the_servers_word_on_the_owner_counts() -> None:
    """A copy that names another organizer does not make a guest an owner."""
    proxy = linked(BASE, {**BASE, "owner": "E2"}, {**BASE, "owner": "E2"})
    assert role_in(proxy, ME) is Role.GUEST


def test_every_verdict_has_its_reason_in_words() -> None:
    assert all(row.because and row.because == row.because.strip() for row in VERDICTS.values())


@pytest.mark.parametrize("share", Share)
@pytest.mark.parametrize("item", [None, ITEM, replace(ITEM, gone=True)])
@pytest.mark.parametrize("where", There)
@pytest.mark.parametrize("owner", ["E1", "E2", "E9"])
@pytest.mark.parametrize("changed", [False, True])
def test_no_proxy_is_without_a_row(
    share: Share, item: ItemState | None, where: There, owner: str, changed: bool
) -> None:
    base = {**BASE, "owner": owner}
    values = {**base, "location": "Bar"} if changed else base
    proxy = replace(linked(values, {**base, "description": "Late"}, base), share=share, item=item, there=where)
    role = role_in(proxy, ME)
    for one in (proxy, replace(proxy, server=None, there=There.ABSENT)):
        on_server = one.server is not None and one.there is not There.ABSENT
        merged = merge(one, rows_of(EVENTS), role) if on_server else None
        assert (here(one, merged, role), there(one, merged)) in VERDICTS
