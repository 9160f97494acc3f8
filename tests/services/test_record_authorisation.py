"""Carol tries, by raw requests, to see and change records and activities beyond what she is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from connectors.http.server import HttpActivityServer
from syncengine.model.activity import Origin
from syncengine.model.commands import Insert, Stored
from syncengine.model.directory import Account, Contact, Directory
from syncengine.store.activities import Activities as Store
from tests.activity_servers import KEYS, meeting, new_id

Web = tuple[Store, str, Mapping[str, str]]
MINE = {"contact": {"conditions": [{"field": "team", "comparison": "eq", "function": "me"}]}}
SECRET_NAME, SECRET_MAIL = "Secret Customer", "secret@customer.example"


@pytest.fixture
def anns(web: Web) -> str:
    """An activity of Ann's with a contact of hers and one of Carol's, whose id Carol knows."""
    store, url, tokens = web
    with store.transaction(write=True):
        store.put_directory(
            Directory(
                accounts=(Account("acme", "Acme", team=("e-ann",)),),
                contacts=(
                    Contact("c-ann", SECRET_NAME, (SECRET_MAIL,), "acme", team=("e-ann",)),
                    Contact("c-carol", "Carol's", (), "acme", team=("e-carol",)),
                ),
            )
        )
    ann = HttpActivityServer(url, tokens["e-ann"])
    values = {**meeting("ann"), "contacts": ("c-ann", "c-carol"), "participants": (SECRET_MAIL,), "account": "acme"}
    outcome = ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
    ann.close()
    assert isinstance(outcome, Stored)
    return outcome.activity.id


def ask(web: Web, who: str, method: str, path: str, body: Any = None) -> httpx2.Response:
    _store, url, tokens = web
    return httpx2.request(method, url + path, json=body, headers={"Authorization": f"Bearer {tokens[who]}"})


def test_a_viewer_reads_no_field_that_is_stripped(web: Web, anns: str) -> None:
    assert ask(web, "e-carol", "PUT", "/v1/view", {"filters": MINE}).status_code == 200
    texts = [
        ask(web, "e-carol", "GET", "/v1/changes").text,
        ask(web, "e-carol", "GET", "/v1/activities").text,
        ask(web, "e-carol", "POST", "/v1/fetch", {"ids": [anns]}).text,
        ask(web, "e-carol", "GET", "/v1/directory").text,
        ask(web, "e-carol", "GET", "/v1/records").text,
    ]
    for text in texts:
        assert not any(word in text for word in (SECRET_NAME, SECRET_MAIL, "c-ann", "uid-1"))
    assert all(anns in text for text in texts[:3])


@pytest.mark.parametrize(
    "command",
    [
        {"kind": "update", "base_version": 1, "values": {"description": "taken over", "employees": ["e-carol"]}},
        {"kind": "delete", "base_version": 1},
        {"kind": "leave"},
    ],
)
def test_a_viewer_changes_nothing(web: Web, anns: str, command: dict[str, Any]) -> None:
    ask(web, "e-carol", "PUT", "/v1/view", {"filters": MINE})
    before = ask(web, "e-ann", "POST", "/v1/fetch", {"ids": [anns]}).json()
    body = {"commands": [{**command, "id": new_id(), "activity_id": anns}]}
    outcome = ask(web, "e-carol", "POST", "/v1/commands", body).json()["outcomes"][0]
    assert outcome["kind"] == "refused"
    assert "activity" not in outcome
    assert ask(web, "e-ann", "POST", "/v1/fetch", {"ids": [anns]}).json() == before


def test_a_stranger_sees_nothing_of_it(web: Web, anns: str) -> None:
    ask(web, "e-bob", "PUT", "/v1/view", {"filters": MINE})
    assert ask(web, "e-bob", "GET", "/v1/changes").json()["changed"] == []
    body = {"commands": [{"kind": "delete", "id": new_id(), "activity_id": anns, "base_version": 1}]}
    assert ask(web, "e-bob", "POST", "/v1/commands", body).json()["outcomes"][0]["kind"] == "removed"


def test_an_edit_of_a_record_she_does_not_see_tells_her_nothing(web: Web, anns: str) -> None:
    ask(web, "e-carol", "PUT", "/v1/view", {"filters": MINE})
    answers = []
    for record_id in ("c-ann", "c-none"):
        body = {"type": "contact", "id": record_id, "values": {"name": "x"}, "base": {}}
        answers.append(ask(web, "e-carol", "POST", "/v1/records/edit", body).text.replace(record_id, "…"))
    assert answers[0] == answers[1]


def test_looking_up_tells_name_and_account_alone(web: Web, anns: str) -> None:
    found = ask(web, "e-carol", "GET", "/v1/lookup?text=secret").json()["matches"]
    assert found == [{"type": "contact", "id": "c-ann", "name": SECRET_NAME, "account": "Acme"}]
    assert ask(web, "e-carol", "GET", "/v1/lookup?text=customer.example").json()["matches"] == []


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"contact": {"conditions": [{"field": "taem", "comparison": "eq", "values": ["x"]}]}}, 'did you mean "team"?'),
        ({"contcat": {}}, 'did you mean "contact"?'),
        ({"contact": {"conditions": [{"field": "team", "comparison": "eqq"}]}}, 'did you mean "eq"?'),
        ({"opportunity": {"conditions": [{"field": "revenue", "comparison": "ge", "values": ["much"]}]}}, "correct"),
        ({"contact": {"conditions": [{"field": "team", "comparison": "eq", "function": "you"}]}}, "choose one of me"),
        ({"contact": {"conditions": [{"field": "id", "comparison": "eq", "values": ["x"]}] * 101}}, "shorter"),
        ({"contact": 7}, "write"),
        ({"contact": {"conditions": [7]}}, "write"),
        ({"contact": {"link": "xor"}}, 'did you mean "or"?'),
    ],
)
def test_a_view_that_makes_no_sense_is_refused_in_words(web: Web, filters: Any, words: str) -> None:
    answer = ask(web, "e-carol", "PUT", "/v1/view", {"filters": filters})
    assert answer.status_code == 422
    assert words in answer.json()["fix"]


def test_groups_in_groups_without_end_are_refused(web: Web) -> None:
    nested: Any = {}
    for _ in range(200):
        nested = {"conditions": [nested]}
    assert ask(web, "e-carol", "PUT", "/v1/view", {"filters": {"contact": nested}}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/view", {"filters": {}}),
        ("POST", "/v1/count", {"filters": {}}),
        ("GET", "/v1/records", None),
        ("GET", "/v1/lookup?text=acme", None),
        ("POST", "/v1/pin", {"type": "contact", "id": "c-ann"}),
        ("POST", "/v1/records/edit", {"type": "contact", "id": "c-ann", "values": {}, "base": {}}),
    ],
)
def test_without_a_token_nothing_is_answered(web: Web, method: str, path: str, body: Any) -> None:
    assert httpx2.request(method, web[1] + path, json=body).status_code == 401


def test_what_a_viewer_is_shown_does_not_let_her_in(web: Web) -> None:
    """Subject and times are shown to her; they are a natural key of what nobody has linked yet."""
    store, url, tokens = web
    with store.transaction(write=True):
        store.put_directory(Directory(contacts=(Contact("c-carol", "Carol's", (), team=("e-carol",)),)))
    ann = HttpActivityServer(url, tokens["e-ann"])
    values = {**meeting("ann"), "integration_id": "", "contacts": ("c-carol",), "participants": (SECRET_MAIL,)}
    ann.apply([Insert(new_id(), "a-1", values, (), Origin.SERVER)])
    ann.close()
    ask(web, "e-carol", "PUT", "/v1/view", {"filters": MINE})
    assert [one["id"] for one in ask(web, "e-carol", "GET", "/v1/changes").json()["changed"]] == ["a-1"]
    for view in (MINE, {}):  # nor once she has closed her eyes again
        ask(web, "e-carol", "PUT", "/v1/view", {"filters": view})
        carol = HttpActivityServer(url, tokens["e-carol"])
        outcome = carol.apply([Insert(new_id(), new_id(), {**meeting("ann"), "integration_id": new_id()}, KEYS)])[0]
        carol.close()
        assert isinstance(outcome, Stored)
        assert outcome.activity.id != "a-1"
    assert SECRET_MAIL not in ask(web, "e-carol", "GET", "/v1/changes").text


def test_a_primary_contact_is_named_to_those_it_is_complete_for(web: Web, anns: str) -> None:
    before = ask(web, "e-ann", "POST", "/v1/fetch", {"ids": [anns]}).json()["activities"][0]
    change = {"id": new_id(), "kind": "update", "activity_id": anns, "base_version": before["version"]}
    ask(web, "e-carol", "PUT", "/v1/view", {"filters": MINE})
    for contact, shown in (("c-ann", None), ("c-carol", "c-carol")):
        values = {"values": {"primary_contact": contact}}
        told = ask(web, "e-ann", "POST", "/v1/commands", {"commands": [{**change, **values, "id": new_id()}]}).json()
        change["base_version"] = told["outcomes"][0]["activity"]["version"]
        given = ask(web, "e-carol", "POST", "/v1/fetch", {"ids": [anns]}).json()["activities"][0]
        assert given["values"].get("primary_contact") == shown


HALF = "\\ud800"
"""As JSON writes half a character, which no database can hold."""


@pytest.mark.parametrize(
    "values",
    [
        '{"name": "' + HALF + '"}',
        '{"name": "' + "x" * 1001 + '"}',
        '{"addresses": [' + ",".join(f'"{n}@x.example"' for n in range(5001)) + "]}",
    ],
)
def test_an_edit_that_would_burden_everybody_is_refused_in_words(web: Web, values: str) -> None:
    base = '{"name": "Dora", "addresses": ["dora@client.example"]}'
    body = f'{{"type": "contact", "id": "c-dora", "values": {values}, "base": {base}}}'
    headers = {"Authorization": f"Bearer {web[2]['e-carol']}", "Content-Type": "application/json"}
    answer = httpx2.post(f"{web[1]}/v1/records/edit", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["what"]
    assert '"Dora"' in ask(web, "e-ann", "GET", "/v1/directory").text


@pytest.mark.parametrize(
    ("kind", "field", "how", "value"),
    [
        ("contact", "name", "eq", HALF),
        ("contact", "name", "eq", "x" * 1001),
        ("activity", "planned", "ge", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_view_with_a_value_nothing_can_hold_is_refused(web: Web, kind: str, field: str, how: str, value: str) -> None:
    condition = f'{{"field": "{field}", "comparison": "{how}", "values": ["{value}"]}}'
    body = f'{{"filters": {{"{kind}": {{"conditions": [{condition}]}}}}}}'
    headers = {"Authorization": f"Bearer {web[2]['e-carol']}", "Content-Type": "application/json"}
    assert httpx2.put(f"{web[1]}/v1/view", content=body, headers=headers).status_code == 422
