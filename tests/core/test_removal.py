"""The fate of each entry when the product is removed, and what would be lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.ical.href import part_href
from syncengine.core.removal import fate_seen, fate_unseen, is_entry, unsent
from syncengine.errors import Problem
from syncengine.model.activity import Activity
from syncengine.model.pim import Fetched, Kind, Missing, Resource, Unreadable
from syncengine.model.proxy import Held, ItemState, Proxy, Share, There
from syncengine.model.removal import Fate

MADE = ItemState("work", "a.ics", "1", "text", "activity-a", made=True)
VISIT = Proxy("a", Kind.EVENT, {"description": "Visit"}, server=Activity("a", 1, {}), there=There.LIVE, item=MADE)


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (replace(VISIT, kind=Kind.EMAIL), "never touched"),
        (replace(VISIT, share=Share.UNSHARED), "not shared"),
        (replace(VISIT, share=Share.NEVER), "not shared"),
        (replace(VISIT, share=Share.DROPPED), "not shared"),
        (replace(VISIT, item=replace(MADE, made=False)), "your own"),
        (replace(VISIT, item=replace(MADE, pim="old")), "not in the configuration"),
        (replace(VISIT, item=replace(MADE, pim="left")), "left as it is"),
    ],
)
def test_what_stays_unseen(proxy: Proxy, words: str) -> None:
    ending = fate_unseen(proxy, ["work", "left"], ["left"])
    assert ending is not None
    assert ending.fate is Fate.STAYS
    assert words in ending.because


@pytest.mark.parametrize("kind", [Kind.EVENT, Kind.TODO])
def test_what_the_product_made_is_looked_at_first(kind: Kind) -> None:
    assert fate_unseen(replace(VISIT, kind=kind), ["work"], []) is None


@pytest.mark.parametrize(
    ("found", "fate"),
    [
        (Resource("a.ics", "1", "text"), Fate.DELETED),
        (Resource("a.ics", "2", "text"), Fate.DELETED),
        (Resource("a.ics", "2", "another text"), Fate.STAYS),
        (Missing("a.ics"), Fate.GONE),
        (Unreadable("a.ics", Problem("It may not be read.", "", "")), Fate.STAYS),
    ],
)
def test_only_what_is_as_it_was_last_synchronized_goes(found: Fetched, fate: Fate) -> None:
    assert fate_seen(VISIT, found).fate is fate


def test_records_without_an_entry_of_their_own_have_no_fate() -> None:
    gone = replace(VISIT, item=replace(MADE, gone=True))
    part = replace(VISIT, item=replace(MADE, href=part_href("a.ics", "20260316")))
    assert [is_entry(p) for p in (VISIT, replace(VISIT, item=None), gone, part)] == [True, False, False, False]


def test_what_would_be_lost_says_why() -> None:
    held = unsent(replace(VISIT, held=(Held("description", "changed differently on both sides"),)))
    assert held is not None
    assert held.because == "waits for you: description changed differently on both sides"
    assert unsent(VISIT) is not None
    assert unsent(replace(VISIT, share=Share.NEVER)) is None


def test_what_the_user_unshared_or_deleted_here_may_be_unsent_too() -> None:
    for share in (Share.UNSHARED, Share.DROPPED, Share.DELETED):
        assert unsent(replace(VISIT, share=share)) is not None


def test_an_entry_that_is_held_as_a_whole_is_named_so() -> None:
    held = unsent(replace(VISIT, held=(Held("", "changed here, deleted on the server"),)))
    assert held is not None
    assert held.because == "waits for you: the entry changed here, deleted on the server"


def test_an_entry_whose_server_tells_another_text_for_the_same_version_is_unchanged() -> None:
    assert fate_seen(VISIT, Resource("a.ics", "1", "the same, served otherwise")).fate is Fate.DELETED
