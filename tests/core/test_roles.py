"""Whose items are shown: an activity made on the server, with the user among those it is addressed to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from syncengine.core.sync.roles import declined, gets_item, newer_revision
from syncengine.model.activity import Activity, Origin
from syncengine.model.values import Values
from tests.core.mapping_world import EVENTS, context

VALUES: Values = {"owner": "E2", "planned": datetime(2026, 3, 2, 9, tzinfo=UTC), "employees": ("E1", "E2")}


def _gets_item(participants: tuple[str, ...], addresses: tuple[str, ...]) -> bool:
    me = replace(context(), user_addresses=addresses)
    return gets_item(Activity("a1", 1, {**VALUES, "participants": participants}, Origin.SERVER), EVENTS, me)


@pytest.mark.parametrize("addresses", [("Ada@Home.example",), ("mailto:ada@home.example",)])
def test_addresses_are_compared_whatever_their_case(addresses: tuple[str, ...]) -> None:
    assert _gets_item(("ada@home.example", "bob@corp.example"), addresses)


def test_an_address_only_the_directory_knows_is_the_users_too() -> None:
    assert _gets_item(("ada@corp.example",), ("ada@elsewhere.example",))


def test_others_are_not_the_user() -> None:
    assert not _gets_item(("bob@corp.example",), ("ada@home.example",))


@pytest.mark.parametrize(
    ("mine", "theirs", "newer"),
    [("2", "1", True), ("1", "2", False), ("1", "1", None), (None, "1", None), ("1", None, None), (None, None, None)],
)
def test_of_two_revisions_one_is_newer_or_nobody_can_tell(
    mine: str | None, theirs: str | None, newer: bool | None
) -> None:
    assert newer_revision({"revision": mine}, {"revision": theirs}) is newer


@pytest.mark.parametrize(
    ("who", "organizer", "is_declined"),
    [
        (("ada@home.example",), "bob@corp.example", True),
        (("ada@corp.example",), "bob@corp.example", True),
        (("bob@corp.example",), "cid@corp.example", False),
        ((), "bob@corp.example", False),
        (("ada@home.example",), "Ada@Home.example", False),
    ],
)
def test_the_user_has_declined_by_any_own_address_unless_they_organize(
    who: tuple[str, ...], organizer: str, is_declined: bool
) -> None:
    me = replace(context(), user_addresses=("ada@home.example",))
    assert declined({"declined": who, "organizer": organizer}, me) is is_declined
