"""What the client's own records refuse, in words, and that nothing is changed then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from syncengine.core.directory_file import parse_directory
from syncengine.core.ical.href import part_href
from syncengine.core.wire import greeting_to_json
from syncengine.errors import ConfigError, ItemError, SyncEngineError
from syncengine.model.activity import Activity
from syncengine.model.commands import Greeting
from syncengine.model.pim import Kind
from syncengine.model.proxy import ItemState, Proxy, Share, There
from syncengine.services.client_activities import ClientActivities, Relations
from syncengine.services.scenario import DIRECTORY
from syncengine.services.sharing import delete_here, set_shared
from syncengine.store.state import State

VALUES = {
    "description": "Lunch",
    "owner": "one",
    "employees": ("one",),
    "planned": datetime(2026, 3, 2, 12, tzinfo=UTC),
    "integration_id": "lunch",
}
ITEM = ItemState("work", "lunch.ics", "1", "text", "lunch")
LUNCH = Proxy("p", Kind.EVENT, VALUES, VALUES, Activity("a", 3, VALUES), VALUES, there=There.LIVE, item=ITEM)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(str(tmp_path / "state.db"))
    directory = parse_directory(DIRECTORY, "here")
    with state.transaction():
        state.set_fact("greeting", greeting_to_json(Greeting("server", "one", "generic", 1)))
        state.keep_records(((record, True) for record in directory.records.values()), ())
    yield state
    state.close()


def known(state: State, proxy: Proxy) -> ClientActivities:
    with state.transaction():
        state.save([proxy], dirty=False)
    return ClientActivities(state, lambda: "new", ZoneInfo("UTC"))


def sets(records: ClientActivities) -> None:
    records.change("lunch", {"description": "Brunch"})


def moves(records: ClientActivities) -> None:
    records.change("lunch", {"planned": "2026-03-03T12:00:00Z"})


def invites(records: ClientActivities) -> None:
    records.relate("lunch", Relations(invite=["customer@client.test"]))


@pytest.mark.parametrize(
    ("proxy", "does", "words"),
    [
        (replace(LUNCH, share=Share.UNSHARED), sets, "not synchronized"),
        (replace(LUNCH, share=Share.DROPPED), sets, "not synchronized"),
        (replace(LUNCH, there=There.LEFT), sets, "not synchronized"),
        (replace(LUNCH, server=Activity("a", 3, VALUES, complete=False)), sets, "not change it"),
        (replace(LUNCH, server=Activity("a", 3, {**VALUES, "owner": "two"})), sets, "somebody else's"),
        (replace(LUNCH, values={**VALUES, "repeating": True}), moves, "A series cannot be moved"),
        (replace(LUNCH, kind=Kind.EMAIL), invites, "Whom an email was sent to never changes"),
    ],
)
def test_what_may_not_be_changed_stays(
    state: State, proxy: Proxy, does: Callable[[ClientActivities], None], words: str
) -> None:
    records = known(state, proxy)
    with pytest.raises(ItemError, match=words):
        does(records)
    assert state.proxies(["p"])["p"] == proxy
    assert state.dirty("", 10) == []


def test_a_contact_related_to_an_email_leaves_its_recipients(state: State) -> None:
    sent = {**VALUES, "participants": ("them@example.com",)}
    records = known(state, replace(LUNCH, kind=Kind.EMAIL, values=sent))
    after = records.relate("lunch", Relations(contacts=["customer"]))
    assert (after.values["participants"], after.values["contacts"]) == (("them@example.com",), ("customer",))
    assert not after.shown, "nothing is to be shown in a message"


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (replace(LUNCH, kind=Kind.EMAIL), "An email is never touched"),
        (replace(LUNCH, item=replace(ITEM, href=part_href("lunch.ics", "20260302"))), "one occurrence"),
        (replace(LUNCH, item=None), "No item is known"),
    ],
)
def test_what_cannot_be_deleted_here_only_stays(state: State, proxy: Proxy, words: str) -> None:
    known(state, proxy)
    with pytest.raises(ConfigError, match=words):
        delete_here(state, "lunch")
    assert state.proxies(["p"])["p"] == proxy


def test_deleting_offline_can_be_taken_back_before_the_next_run(state: State) -> None:
    known(state, LUNCH).delete("lunch")
    assert state.proxies(["p"])["p"].share is Share.DELETED
    set_shared(state, "lunch", shared=True)
    assert state.proxies(["p"])["p"] == LUNCH


def test_a_key_of_several_activities_is_asked_about(state: State) -> None:
    other = replace(LUNCH, id="q", item=replace(ITEM, href="other.ics"), server=Activity("b", 1, VALUES))
    records = known(state, LUNCH)
    known(state, other)
    with pytest.raises(SyncEngineError, match="several activities") as raised:
        records.delete("lunch")
    assert "a, b" in raised.value.fix
