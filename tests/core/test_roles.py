"""Whose items are shown: an activity made on the server, with the user among those it is addressed to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from syncengine.core.sync.roles import gets_item
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
