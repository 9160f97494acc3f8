"""The HTTP interface itself: its limits, its refusals, another vocabulary on the wire, and a client that is patient
with a busy server but never loses or doubles a command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from connectors.http.server import HttpActivityServer
from syncengine.errors import ConfigError, ItemError, LoginRefused, StorageError, SyncEngineError, Unreachable
from syncengine.model.commands import Insert, Refused, Stored
from syncengine.model.mapping import ServerNames
from syncengine.store.activities import Activities as Store
from syncengine.web.app import MAX_BODY, create_app
from tests.activity_servers import KEYS, filled_store, meeting, new_id, over_http, serving

Web = tuple[Store, str, Mapping[str, str]]


@pytest.fixture
def ann(web: Web) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=web[1], headers={"Authorization": f"Bearer {web[2]['e-ann']}"}) as client:
        yield client


def insert(**more: Any) -> dict[str, Any]:
    values = {"owner": "e-ann", "description": "Site visit", "planned": "2026-03-02T09:00:00+01:00"}
    return {"kind": "insert", "id": new_id(), "activity_id": new_id(), "values": values, "keys": []} | more


class TestRequests:
    def test_a_command_sent_by_hand_is_answered_as_described(self, ann: httpx2.Client) -> None:
        outcome = ann.post("/v1/commands", json={"commands": [insert()]}).json()["outcomes"][0]
        assert outcome["kind"] == "stored"
        assert outcome["activity"]["values"]["planned"] == "2026-03-02T08:00:00Z"

    def test_activities_are_asked_for_by_their_parent_or_by_their_item(self, ann: httpx2.Client) -> None:
        """ACT-10."""
        under = {"values": {"description": "Offer", "account": "a-1"}, "activity_id": "under", "id": "c1"}
        of_item = {"values": {"description": "Lunch", "integration_id": "lunch"}, "activity_id": "item", "id": "c2"}
        commands = [insert(**under), insert(**of_item)]
        assert ann.post("/v1/commands", json={"commands": commands}).status_code == 200

        def ids(query: str) -> list[str]:
            return [json.loads(line)["id"] for line in ann.get(f"/v1/activities{query}").text.splitlines()]

        assert sorted(ids("")) == ["item", "under"]
        assert (ids("?under=a-1"), ids("?item=lunch"), ids("?under=nobody")) == (["under"], ["item"], [])

    def test_one_wrong_value_refuses_its_command_only(self, ann: httpx2.Client) -> None:
        wrong = insert(values={"planned": "next Tuesday"})
        outcomes = ann.post("/v1/commands", json={"commands": [wrong, insert()]}).json()["outcomes"]
        assert [outcome["kind"] for outcome in outcomes] == ["refused", "stored"]
        assert "planned: 'next Tuesday' is not a date" in outcomes[0]["what"]

    @pytest.mark.parametrize(
        "body",
        [
            {"commands": [insert(surprise=1)]},
            {"commands": [insert(kind="explode")]},
            {"commands": [], "more": 1},
            {"commands": [{"kind": "update", "id": "1"}]},
            {"commands": [insert(id="")]},
            {"commands": [insert() for _ in range(501)]},
            {"commands": [insert(keys=[["owner", "description"]] * 11)]},
            {"commands": [insert(keys=[["owner", "description", "due", "status", "type", "location", "done"]])]},
            {"commands": [insert(keys=[[]])]},
            [],
        ],
    )
    def test_a_request_of_another_shape_is_refused_with_the_place(self, ann: httpx2.Client, body: Any) -> None:
        answer = ann.post("/v1/commands", json=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["where"].startswith("body")

    def test_a_request_that_is_too_large_is_refused(self, ann: httpx2.Client) -> None:
        answer = ann.post("/v1/commands", content=b"x" * (MAX_BODY + 1))
        assert (answer.status_code, set(answer.json())) == (413, {"what", "where", "fix"})

    def test_nor_is_one_taken_that_does_not_say_its_length(self, ann: httpx2.Client) -> None:
        answer = ann.post("/v1/commands", content=(b"x" * 65536 for _ in range(MAX_BODY // 65536 + 2)))
        assert answer.status_code == 413

    @pytest.mark.parametrize("query", ["limit=0", "limit=100000", "limit=x", "token=" + "x" * 300])
    def test_queries_out_of_bounds_are_refused(self, ann: httpx2.Client, query: str) -> None:
        assert ann.get(f"/v1/changes?{query}").status_code == 422

    def test_another_servers_token_is_gone(self, ann: httpx2.Client) -> None:
        assert ann.get("/v1/changes?token=other:1").status_code == 410

    @pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v2/greeting", 404), ("/v1/commands", 405)])
    def test_other_paths_are_problems_too(self, ann: httpx2.Client, path: str, status: int) -> None:
        answer = ann.get(path)
        assert (answer.status_code, set(answer.json())) == (status, {"what", "where", "fix"})

    def test_the_description_names_every_path_and_shape(self, ann: httpx2.Client) -> None:
        described = ann.get("/openapi.json").json()
        paths = {"/v1/greeting", "/v1/directory", "/v1/changes", "/v1/activities", "/v1/fetch", "/v1/commands"}
        paths |= {"/v1/contents/missing", "/v1/contents/{digest}", "/v1/activities/{activity_id}/contents/{digest}"}
        paths |= {"/v1/view", "/v1/count", "/v1/records", "/v1/records/edit", "/v1/lookup", "/v1/pin"}
        assert set(described["paths"]) == paths
        assert {"InsertIn", "OutcomeOut", "FeedOut", "ProblemOut"} <= set(described["components"]["schemas"])
        assert all("401" in one["responses"] for path in described["paths"].values() for one in path.values())


class Broken:
    """An activity server on which everything fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_arguments: object) -> Any:
            raise self._error

        return fail


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ZeroDivisionError("a secret in a traceback"), 500),
            (StorageError("The disk is full.", where="/var/secret/place", fix="free some space"), 503),
            (Unreachable("The database server does not answer.", where="postgresql://secret", fix="try again"), 503),
            (ConfigError("No generic owner is configured.", fix="configure it"), 500),
        ],
    )
    def test_errors_are_problems_without_inner_details(self, error: Exception, status: int) -> None:
        app = create_app(lambda _token: Broken(error))  # type: ignore[arg-type,return-value]
        client = TestClient(app, raise_server_exceptions=False)
        answer = client.get("/v1/greeting", headers={"Authorization": "Bearer x"})
        assert (answer.status_code, set(answer.json())) == (status, {"what", "where", "fix"})
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text


class TestVocabulary:
    NAMES = ServerNames(
        fields={"description": "Subject", "planned": "Start", "owner": "Primary Owner Id"},
        values={"display_in": {"Calendar and Activities": "CAL"}},
    )

    def test_the_server_speaks_its_own_words_and_the_client_understands_them(self, sqlite_url: str) -> None:
        store = filled_store(sqlite_url)
        with over_http(store, self.NAMES) as world:
            activity = world.stored("ann")
            assert (activity["description"], activity["display_in"]) == ("Site visit", "Calendar and Activities")
            assert world.meet("ann").activity.id == activity.id  # type: ignore[union-attr]
            client: Any = world.as_user("ann")
            raw = client._ask("POST", "/v1/fetch", body={"ids": [activity.id]})["activities"][0]["values"]
            refused = world.meet("ann", keys=(("owner", "status"),))
        assert (raw["Subject"], raw["display_in"], raw["Primary Owner Id"]) == ("Site visit", "CAL", "e-ann")
        assert "description" not in raw
        assert isinstance(refused, Refused)
        store.close()

    def test_our_own_name_for_a_renamed_field_is_refused(self, sqlite_url: str) -> None:
        store = filled_store(sqlite_url)
        with over_http(store, self.NAMES) as world:
            client: Any = world.as_user("ann")
            outcome = client._ask("POST", "/v1/commands", body={"commands": [insert()]})["outcomes"][0]
        assert outcome["kind"] == "refused"
        assert "called" in outcome["what"]
        store.close()


class Moody:
    """An app that answers by a list of (status, headers, body), and then passes on to the real one."""

    def __init__(self, app: Any, moods: list[tuple[int, dict[str, str], bytes]], carry_out: bool = False) -> None:
        self._app, self._moods, self._carry_out = app, moods, carry_out

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not self._moods:
            return await self._app(scope, receive, send)
        status, headers, body = self._moods.pop(0)
        if self._carry_out:
            await self._app(scope, receive, _swallow)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        return await send({"type": "http.response.body", "body": body})


async def _swallow(_message: object) -> None:
    """An answer that gets lost."""


@pytest.fixture
def moody(sqlite_url: str) -> Iterator[Callable[..., tuple[HttpActivityServer, list[float]]]]:
    """Makes a client of a server that has these moods before it behaves, and the list of its waits."""
    from contextlib import ExitStack

    from tests.activity_servers import app_for, tokens_for

    with ExitStack() as stack:

        def make(*moods: Any, carry_out: bool = False) -> tuple[HttpActivityServer, list[float]]:
            store = filled_store(sqlite_url)
            stack.callback(store.close)
            url = stack.enter_context(serving(Moody(app_for(store), list(moods), carry_out)))
            waits: list[float] = []
            client = HttpActivityServer(url, tokens_for(store)["e-ann"], sleep=waits.append)
            stack.callback(client.close)
            return client, waits

        yield make


Make = Callable[..., tuple[HttpActivityServer, list[float]]]


class TestClientsPatience:
    def test_a_busy_server_is_asked_again(self, moody: Make) -> None:
        client, waits = moody((503, {}, b""), (502, {}, b""), (429, {"Retry-After": "7"}, b""))
        assert client.greet().user == "e-ann"
        assert len(waits) == 3
        assert waits[2] == 7

    def test_a_server_cannot_make_it_wait_for_ever(self, moody: Make) -> None:
        client, waits = moody((503, {"Retry-After": "30"}, b""), (503, {"Retry-After": "86400"}, b""))
        with pytest.raises(Unreachable) as busy:
            client.greet()
        assert (waits, busy.value.retry_after) == ([30], 86400)

    def test_it_says_for_how_long_a_server_wants_to_be_left_alone(self, moody: Make) -> None:
        client, _waits = moody(*[(429, {}, b"")] * 4, *[(503, {}, b"")] * 4)
        for expected in (0.0, None):
            with pytest.raises(Unreachable) as busy:
                client.greet()
            assert busy.value.retry_after == expected

    def test_a_server_that_stays_busy_is_unreachable_in_its_own_words(self, moody: Make) -> None:
        words = json.dumps({"what": "The disk is full.", "where": "the activity server", "fix": "free space"}).encode()
        client, _waits = moody(*[(503, {}, words)] * 4)
        with pytest.raises(Unreachable, match="disk is full"):
            client.greet()

    def test_commands_whose_answer_was_lost_are_carried_out_once(self, moody: Make) -> None:
        client, waits = moody((502, {}, b"lost"), carry_out=True)
        outcome = client.apply([Insert(new_id(), new_id(), meeting("ann"), KEYS)])[0]
        assert isinstance(outcome, Stored)
        assert outcome.activity.version == 1
        assert len(waits) == 1
        assert list(client.activities()) == [outcome.activity]

    @pytest.mark.parametrize(
        ("mood", "kind"),
        [
            ((200, {}, b"<html>Please log in</html>"), Unreachable),
            ((200, {}, b'{"surprise": 1}'), Unreachable),
            ((200, {}, b"[]"), Unreachable),
            ((404, {}, b""), Unreachable),
            ((302, {"Location": "https://elsewhere.example/"}, b""), ConfigError),
            ((401, {}, b""), LoginRefused),
            ((403, {}, b""), LoginRefused),
            ((422, {}, b""), ItemError),
            ((500, {}, b"Traceback ..."), Unreachable),
        ],
    )
    def test_strange_answers_are_said_in_plain_words(self, moody: Make, mood: Any, kind: type[SyncEngineError]) -> None:
        client, waits = moody(mood)
        with pytest.raises(kind) as raised:
            client.greet()
        assert waits == []
        assert raised.value.what
        assert raised.value.fix or kind is ItemError
        assert "Traceback" not in str(raised.value)

    def test_nobody_there_is_unreachable(self) -> None:
        client = HttpActivityServer("http://127.0.0.1:9", "very-secret", sleep=lambda _seconds: None)
        with pytest.raises(Unreachable) as raised:
            client.greet()
        assert "very-secret" not in str(raised.value)
        client.close()

    @pytest.mark.parametrize("url", ["", "activities.example.com", "ftp://x", "http://[", "http://exa mple/"])
    def test_what_is_no_address_is_a_mistake_in_the_configuration(self, url: str) -> None:
        with pytest.raises((ConfigError, Unreachable)):
            HttpActivityServer(url, "t", sleep=lambda _seconds: None).greet()

    @pytest.mark.parametrize(
        "url",
        ["http://activities.example.com", "http://127.0.0.1.example.com", "https://ann:geheim@activities.example"],
    )
    def test_an_address_that_would_give_a_secret_away_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError) as refused:
            HttpActivityServer(url, "t")
        assert "geheim" not in f"{refused.value} {refused.value.where}"
        assert "ann:" not in str(refused.value)

    @pytest.mark.parametrize("url", ["http://localhost:1", "http://[::1]:1", "https://activities.example.com"])
    def test_others_are_taken(self, url: str) -> None:
        HttpActivityServer(url, "t").close()

    @pytest.mark.parametrize("token", ["", " ", "ü", "a\nb"])
    def test_what_is_no_token_is_one_too(self, token: str) -> None:
        with pytest.raises(ConfigError):
            HttpActivityServer("http://127.0.0.1:9", token)

    def test_a_record_too_large_to_send_is_refused_and_the_others_go(self, moody: Make) -> None:
        client, _waits = moody()
        large = Insert(new_id(), new_id(), {**meeting("ann"), "extra": "x" * 5_000_000}, KEYS)
        small = Insert(new_id(), new_id(), meeting("ann"), KEYS)
        assert [type(outcome) for outcome in client.apply([large, small])] == [Refused, Stored]
