"""Activities made, changed and deleted by hand, and shown to scripts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from syncengine.errors import ConfigError, ItemError, NotThere
from syncengine.model.activity import Origin
from syncengine.model.directory import Directory
from syncengine.render import activity_json
from syncengine.services.activities import Activities
from syncengine.services.activity_editing import create, delete, edit
from syncengine.store.activities import Activities as Store
from tests.activity_servers import GENERIC, HOUR, NINE, PEOPLE, World, embedded, filled_store, new_id, ticking


@pytest.fixture
def here(sqlite_url: str) -> Iterator[World]:
    store = filled_store(sqlite_url)
    yield embedded(store)
    store.close()


def test_a_new_activity_is_the_users_and_the_servers(here: World) -> None:
    activity = create(here.as_user("ann"), {"description": "Call Dora"}, new_id)
    assert (activity["owner"], activity["display_in"], activity["type"]) == ("e-ann", "Activities Only", "Other")
    assert (activity.origin, activity["employees"], activity["created_by"]) == (Origin.SERVER, ("e-ann",), "e-ann")
    assert not activity.provisional


def test_values_may_be_typed_and_people_given_by_address(here: World) -> None:
    typed = {
        "description": "Visit",
        "display_in": "Communications and Activities",
        "owner": "bob@example.com",
        "employees": "carol@example.com; e-ann",
        "contacts": "dora@client.example",
        "planned": "2026-03-02T10:00:00+01:00",
        "done": "yes",
        "percent_complete": "40",
    }
    activity = create(here.as_user("ann"), typed, new_id)
    assert (activity["owner"], activity["employees"]) == ("e-bob", ("e-ann", "e-bob", "e-carol"))
    assert (activity["contacts"], activity["planned"], activity["done"]) == (("c-dora",), NINE, True)
    assert activity["percent_complete"] == 40


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"descripton": "x"}, "did you mean 'description'"),
        ({"display_in": "Calendar"}, "did you mean 'Calendar and Activities'"),
        ({"owner": "who@example.com"}, "give an employee's id or address"),
        ({"contacts": "who@example.com"}, "import it first"),
        ({"planned": "tomorrow"}, "correct planned"),
        ({"planned": "2026-03-02T10:00:00"}, "correct planned"),
        ({"updated": "2026-03-02"}, "leave updated out"),
    ],
)
def test_slips_are_pointed_out(here: World, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ItemError) as refused:
        create(here.as_user("ann"), values, new_id)
    assert words in refused.value.fix


def test_moving_the_start_keeps_the_length(here: World) -> None:
    activity = here.stored("ann")
    moved = edit(here.as_user("ann"), activity.id, {"planned": NINE + 2 * HOUR}, new_id)
    assert (moved["planned_completion"], moved["duration"]) == (NINE + 3 * HOUR, 60)


def test_moving_both_ends_is_taken_as_given(here: World) -> None:
    changes = {"planned": NINE + 2 * HOUR, "planned_completion": NINE + 4 * HOUR}
    assert edit(here.as_user("ann"), here.stored("ann").id, changes, new_id)["duration"] == 120


def test_days_move_by_days_and_a_time_may_become_a_day(here: World) -> None:
    ann, activity = here.as_user("ann"), here.stored("ann")
    changed = edit(ann, activity.id, {"planned": "2026-03-02"}, new_id)
    assert (changed["planned_completion"], changed["all_day"]) == (date(2026, 3, 2), True)
    longer = edit(ann, activity.id, {"planned_completion": "2026-03-04"}, new_id)
    assert longer["all_day"] is True
    moved = edit(ann, activity.id, {"planned": "2026-03-09"}, new_id)
    assert moved["planned_completion"] == date(2026, 3, 11)


def test_a_deleted_activity_is_not_there_any_more(here: World) -> None:
    ann, activity = here.as_user("ann"), here.stored("ann")
    delete(ann, activity.id, new_id)
    for attempt in (lambda: delete(ann, activity.id, new_id), lambda: edit(ann, activity.id, {}, new_id)):
        with pytest.raises(NotThere):
            attempt()


def test_somebody_elses_activity_is_not_there_and_a_guest_may_not_delete(here: World) -> None:
    activity = here.stored("ann", participants=("bob@example.com",))
    with pytest.raises(NotThere):
        edit(here.as_user("carol"), activity.id, {"location": "x"}, new_id)
    with pytest.raises(ItemError, match="Only the owner"):
        delete(here.as_user("bob"), activity.id, new_id)


def test_a_doubled_integration_id_is_refused_in_words(here: World) -> None:
    here.stored("ann")
    with pytest.raises(ItemError, match="same integration id"):
        create(here.as_user("ann"), {"integration_id": "uid-1"}, new_id)


def test_an_activity_for_scripts(here: World) -> None:
    activity = here.stored("ann", timezone="Europe/Berlin", participants=("bob@example.com",), Stage="7")
    shown = activity_json(activity, PEOPLE)
    assert shown == {
        "id": activity.id,
        "integration_id": "uid-1",
        "owner": "ann@example.com",
        "owner_id": "e-ann",
        "type": "Appointment",
        "display_in": "Calendar and Activities",
        "description": "Site visit",
        "comments": None,
        "location": None,
        "planned": "2026-03-02T10:00:00+01:00",
        "planned_completion": "2026-03-02T11:00:00+01:00",
        "duration": 60,
        "due": None,
        "completed": None,
        "all_day": False,
        "timezone": "Europe/Berlin",
        "status": None,
        "priority": None,
        "percent_complete": None,
        "done": False,
        "private": False,
        "account": None,
        "opportunity": None,
        "primary_contact": None,
        "employees": ["e-ann", "e-bob"],
        "contacts": [],
        "participants": ["bob@example.com"],
        "repeating": False,
        "repeating_type": None,
        "repeating_expires": None,
        "exceptions": [],
        "attachments": [],
        "sender": None,
        "sender_name": None,
        "cc": [],
        "bcc": [],
        "attachment_flag": False,
        "revision": None,
        "series": None,
        "origin": "pim",
        "version": 1,
        "complete": True,
        "Stage": "7",
    }


def test_without_a_generic_owner_the_server_refuses_to_work(here: World) -> None:
    for wrong in ("", "who@example.com"):
        with pytest.raises(ConfigError, match="generic owner") as refused:
            Activities(here.store, "e-ann", wrong, ticking()).greet()
        assert "configure" in refused.value.fix


def test_an_unknown_user_is_told_to_import_a_directory(here: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"eve@example\.com") as refused:
        Activities(here.store, "eve@example.com", GENERIC, ticking()).greet()
    assert "directory import" in refused.value.fix
    empty = Store(f"sqlite:///{tmp_path}/empty.db")
    assert Activities(here.store, "ANN@home.example", GENERIC, ticking()).greet().user == "e-ann"
    with empty.transaction(write=False):
        assert empty.directory() == Directory()
    empty.close()
