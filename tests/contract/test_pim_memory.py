"""The ways a memory connection can be told to misbehave."""

from __future__ import annotations

import pytest

from connectors.memory.pim import Collection, Fault, Faults, MemoryPim
from syncengine.errors import AlreadyThere, Unreachable
from syncengine.model.pim import Missing, Resource, Unreadable, Written

TEXT = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def misbehaving(*steps: Fault | None) -> MemoryPim:
    """A connection whose calls go wrong one after the other as the steps say."""
    return MemoryPim(faults=Faults.script(iter([frozenset({step} if step else ()) for step in steps])))


def test_a_lost_answer_leaves_the_write_done() -> None:
    pim = misbehaving(Fault.ANSWER_LOST)
    with pytest.raises(Unreachable):
        pim.create("a.ics", TEXT)
    with pytest.raises(AlreadyThere):
        pim.create("a.ics", TEXT)
    (item,) = pim.fetch(["a.ics"])
    assert isinstance(item, Resource)


def test_a_lost_answer_to_a_delete_leaves_it_done() -> None:
    pim = misbehaving(None, Fault.ANSWER_LOST)
    etag = pim.create("a.ics", TEXT).etag or ""
    with pytest.raises(Unreachable):
        pim.delete("a.ics", etag)
    assert list(pim.fetch(["a.ics"])) == [Missing("a.ics")]


def test_an_unreachable_server_has_done_nothing() -> None:
    pim = misbehaving(Fault.UNREACHABLE)
    with pytest.raises(Unreachable):
        pim.create("a.ics", TEXT)
    assert list(pim.fetch(["a.ics"])) == [Missing("a.ics")]


def test_an_answer_without_an_etag_is_not_exact() -> None:
    assert misbehaving(Fault.NO_ETAG).create("a.ics", TEXT) == Written(None, exact=False)


def test_a_server_may_rewrite_what_it_is_sent() -> None:
    pim = misbehaving(Fault.REWRITTEN)
    written = pim.create("a.ics", TEXT)
    (item,) = pim.fetch(["a.ics"])
    assert isinstance(item, Resource)
    assert (written.exact, written.etag) == (False, item.etag)
    assert item.text != TEXT


@pytest.mark.parametrize("with_token", [True, False])
def test_a_lagging_listing_catches_up(with_token: bool) -> None:
    pim = misbehaving(None, Fault.LAGS)
    start = pim.changes(None).token
    etag = pim.create("a.ics", TEXT).etag
    lagging = pim.changes(start if with_token else None)
    assert dict(lagging.etags) == {}
    assert dict(pim.changes(lagging.token if with_token else None).etags) == {"a.ics": etag}


def test_a_refused_token_gives_everything() -> None:
    pim = misbehaving(None, None, Fault.TOKEN_REFUSED)
    etag = pim.create("a.ics", TEXT).etag
    token = pim.changes(None).token
    again = pim.changes(token)
    assert (dict(again.etags), again.complete, again.token) == ({"a.ics": etag}, True, token)


def test_a_side_may_have_no_tokens() -> None:
    pim = MemoryPim(faults=Faults(tokens=False))
    pim.create("a.ics", TEXT)
    changes = pim.changes("anything")
    assert (changes.token, changes.complete, set(changes.etags)) == (None, True, {"a.ics"})


def test_an_item_may_be_unreadable_for_a_while() -> None:
    collection = Collection()
    bad = Faults(decide=lambda call, href: frozenset({Fault.UNREADABLE} if (call, href) == ("fetch", "a.ics") else ()))
    pim = MemoryPim(collection, faults=bad)
    pim.create("a.ics", TEXT)
    pim.create("b.ics", TEXT)
    first, second = pim.fetch(["a.ics", "b.ics"])
    assert isinstance(first, Unreadable)
    assert isinstance(second, Resource)
    assert [type(answer) for answer in MemoryPim(collection).fetch(["a.ics"])] == [Resource]


def test_a_token_of_another_collection_is_not_believed() -> None:
    one, other = MemoryPim(), MemoryPim()
    one.create("a.ics", TEXT)
    other.create("b.ics", TEXT)
    assert other.changes(one.changes(None).token).complete
