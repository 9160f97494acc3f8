"""Carol, who is not on the team, tries everything the HTTP interface offers, as an attacker would: by raw requests.

Wherever she guesses right, she must hear the same as where she guesses wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest

from connectors.http.server import HttpActivityServer
from syncengine.errors import LoginRefused
from syncengine.model.activity import Activity
from syncengine.model.commands import Delete, Insert, Leave, Linked, Refused, Removed, Stored, Update
from syncengine.store.activities import Activities as Store
from tests.activity_servers import KEYS, meeting, new_id

Web = tuple[Store, str, Mapping[str, str]]


@pytest.fixture
def anns(web: Web) -> Activity:
    """An activity that Ann and Bob share."""
    _store, url, tokens = web
    ann = HttpActivityServer(url, tokens["e-ann"])
    values = {**meeting("ann"), "participants": ("bob@example.com",), "comments": "secret words"}
    outcome = ann.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
    ann.close()
    assert isinstance(outcome, Stored)
    return outcome.activity


@pytest.fixture
def carol(web: Web) -> Iterator[HttpActivityServer]:
    _store, url, tokens = web
    client = HttpActivityServer(url, tokens["e-carol"])
    yield client
    client.close()


def test_she_cannot_read_it(carol: HttpActivityServer, anns: Activity) -> None:
    assert carol.fetch([anns.id]) == []
    feed = carol.changes(None)
    assert (feed.changed, feed.deleted, feed.left) == ((), (), ())
    assert list(carol.activities()) == []


def test_she_cannot_list_it(web: Web, anns: Activity) -> None:
    _store, url, tokens = web
    lines = {
        who: httpx2.get(f"{url}/v1/activities", headers={"Authorization": f"Bearer {tokens[who]}"}).text
        for who in ("e-ann", "e-carol")
    }
    assert anns.id in lines["e-ann"]
    assert lines["e-carol"] == ""


@pytest.mark.parametrize("guess", ["right", "wrong"])
def test_commands_on_a_guessed_id_are_answered_alike_whether_it_exists_or_not(
    carol: HttpActivityServer, anns: Activity, guess: str
) -> None:
    target = anns.id if guess == "right" else new_id()
    commands = [
        Update(new_id(), target, 1, {"description": "taken over", "employees": ("e-ann", "e-carol")}),
        Update(new_id(), target, 99, {}),
        Delete(new_id(), target, 1),
        Leave(new_id(), target),
    ]
    assert carol.apply(commands) == [Removed(command.id, target) for command in commands]


def test_nothing_she_tried_changed_it(web: Web, carol: HttpActivityServer, anns: Activity) -> None:
    carol.apply([Update(new_id(), anns.id, 1, {"description": "x"}), Delete(new_id(), anns.id, 1)])
    _store, url, tokens = web
    bob = HttpActivityServer(url, tokens["e-bob"])
    assert bob.fetch([anns.id]) == [anns]
    bob.close()


def test_a_series_of_hers_takes_no_occurrences_of_others_along(web: Web, carol: HttpActivityServer) -> None:
    """Nobody known owns either, and she knows the id of the series; what others changed of it stays."""
    _store, url, tokens = web
    bob = HttpActivityServer(url, tokens["e-bob"])
    changed = {
        **meeting("bob"),
        "owner": "e-generic",
        "integration_id": "s/20260309",
        "series": "s",
        "participants": (),
    }
    hers = {**meeting("carol"), "owner": "e-generic", "integration_id": "s", "participants": ()}
    (occurrence,) = bob.apply([Insert(new_id(), new_id(), changed, ())])
    (series,) = carol.apply([Insert(new_id(), new_id(), hers, ())])
    assert isinstance(occurrence, Stored)
    assert isinstance(series, Stored)
    assert series.activity["owner"] == occurrence.activity["owner"]
    carol.apply([Delete(new_id(), series.activity.id, series.activity.version, series=True)])
    assert [a.id for a in bob.fetch([occurrence.activity.id])] == [occurrence.activity.id]
    bob.close()


def test_an_insert_under_its_id_tells_her_nothing(carol: HttpActivityServer, anns: Activity) -> None:
    command = Insert(new_id(), anns.id, {**meeting("carol"), "integration_id": "uid-9"}, KEYS)
    assert carol.apply([command]) == [Removed(command.id, anns.id)]
    assert carol.fetch([anns.id]) == []


@pytest.mark.parametrize(
    "key",
    [
        ("owner",),
        ("integration_id",),
        ("owner", "status"),
        ("owner", "display_in"),
        ("owner", "planned"),
        ("owner", "planned", "planned_completion"),
        ("owner", "due"),
    ],
)
def test_an_insert_with_a_coarse_key_does_not_let_her_in(
    carol: HttpActivityServer, anns: Activity, key: tuple[str, ...]
) -> None:
    values = {**meeting("ann"), "integration_id": "", "status": "Done", "due": "2026-03-02"}
    outcome = carol.apply([Insert(new_id(), new_id(), values, (key,))])[0]
    assert isinstance(outcome, Refused)
    assert carol.fetch([anns.id]) == []


@pytest.mark.parametrize("key", [("owner", "planned"), ("owner", "due")])
def test_nor_does_guessing_a_time_let_her_into_what_nobody_has_linked(
    web: Web, carol: HttpActivityServer, key: tuple[str, ...]
) -> None:
    _store, url, tokens = web
    ann = HttpActivityServer(url, tokens["e-ann"])
    ann.apply([Insert("c-1", "a-1", {**meeting("ann"), "integration_id": "", "due": "2026-03-02"}, ())])
    ann.close()
    values = {**meeting("ann"), "description": "anything", "due": "2026-03-02"}
    assert isinstance(carol.apply([Insert(new_id(), new_id(), values, (key,))])[0], Refused)
    assert carol.fetch(["a-1"]) == []


def test_subject_and_start_do_not_let_her_into_what_has_an_integration_id(
    carol: HttpActivityServer, anns: Activity
) -> None:
    outcome = carol.apply([Insert(new_id(), new_id(), {**meeting("ann"), "integration_id": ""}, KEYS)])[0]
    assert isinstance(outcome, Stored)
    assert outcome.activity.id != anns.id
    assert carol.fetch([anns.id]) == []


def test_claiming_to_be_invited_does_not_let_her_in(carol: HttpActivityServer, anns: Activity) -> None:
    values = {**meeting("carol"), "participants": ("carol@example.com", "ann@example.com")}
    outcome = carol.apply([Insert(new_id(), new_id(), values, KEYS)])[0]
    assert isinstance(outcome, Stored)
    assert outcome.activity.id != anns.id


def test_holding_the_invitation_does(carol: HttpActivityServer, anns: Activity) -> None:
    outcome = carol.apply([Insert(new_id(), new_id(), meeting("ann"), KEYS)])[0]
    assert isinstance(outcome, Linked)
    assert outcome.activity.id == anns.id


def test_another_users_command_id_brings_no_answer_of_theirs(web: Web, carol: HttpActivityServer) -> None:
    _store, url, tokens = web
    ann = HttpActivityServer(url, tokens["e-ann"])
    command = Insert("the-same-id", new_id(), meeting("ann"), KEYS)
    ann.apply([command])
    ann.close()
    mine = Insert("the-same-id", new_id(), {**meeting("carol"), "integration_id": "uid-9"}, KEYS)
    outcome = carol.apply([mine])[0]
    assert isinstance(outcome, Stored)
    assert outcome.activity.id == mine.activity_id


PATHS = [
    ("GET", "/v1/greeting", None),
    ("GET", "/v1/directory", None),
    ("GET", "/v1/changes", None),
    ("GET", "/v1/activities", None),
    ("POST", "/v1/fetch", {"ids": []}),
    ("POST", "/v1/commands", {"commands": []}),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic YW5uOmE=", "Bearer \xfc"])
def test_without_a_token_of_the_server_nothing_is_answered(
    web: Web, method: str, path: str, body: Any, header: str | None
) -> None:
    headers = [(b"authorization", header.encode("latin-1"))] if header else []
    answer = httpx2.request(method, web[1] + path, json=body, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert set(answer.json()) == {"what", "where", "fix"}


def test_a_wrong_token_is_a_refused_login_and_never_part_of_the_message(web: Web) -> None:
    client = HttpActivityServer(web[1], "not-my-token")
    with pytest.raises(LoginRefused) as refused:
        client.greet()
    client.close()
    assert "not-my-token" not in str(refused.value)


def test_only_hashes_of_tokens_are_stored(web: Web, tmp_path: Any) -> None:
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("server.db*"))
    assert b"e-ann" in stored
    assert not any(token.encode() in stored for token in web[2].values())
