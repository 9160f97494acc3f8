"""The queue over HTTP, from the outside: what an operator may do there, and that nobody else may do anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest

from syncengine.core.outbound.moves import Event
from syncengine.model.outbound import Kind, Page, Stop
from syncengine.services import tokens
from syncengine.services.outbound.asking import settled
from syncengine.web.app import create_app
from syncengine.web.outbound import Desk as Face
from tests.activity_servers import filled_store, serving
from tests.services.outbound_desk import NOW, Desk

PATHS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/v1/outbound/status", None),
    ("GET", "/v1/outbound/requests", None),
    ("GET", "/v1/outbound/request?id=a", None),
    ("POST", "/v1/outbound/act", {"id": "a", "deed": "cancel"}),
    ("POST", "/v1/outbound/lift", {"profile": ""}),
    ("POST", "/v1/outbound/purge", {"days": 0}),
    ("POST", "/v1/outbound/ask", {"id": "b", "kind": "page", "content": {"employee": "e-ann", "text": "Hello"}}),
]


@dataclass
class Web:
    desk: Desk
    url: str
    tokens: dict[str, str]

    def client(self, who: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        return httpx2.Client(base_url=self.url, headers=headers)


@pytest.fixture
def web(sqlite_url: str) -> Iterator[Web]:
    store = filled_store(sqlite_url)
    desk = Desk(sqlite_url)
    found = {
        "bob": tokens.issue(store, "e-bob", "", lambda: NOW),
        "ann": tokens.issue(store, "e-ann", "", lambda: NOW, operator=True),
        "nobody": "made up",
    }

    def operator_of(token: str) -> str | None:
        employee = tokens.recognise(store, token)
        return None if employee is None else "operator e-ann" if tokens.is_operator(store, token) else ""

    face = Face(operator_of, desk.store, lambda: desk.queue, 90, partial(settled, store))
    with serving(create_app(lambda _token: None, clock=desk.clock, desk=face)) as url:
        yield Web(desk, url, found)
    desk.store.close()
    store.close()


@pytest.fixture
def ann(web: Web) -> Iterator[httpx2.Client]:
    with web.client("ann") as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
@pytest.mark.parametrize(("who", "status"), [("", 401), ("nobody", 401), ("bob", 403)])
def test_nobody_else_sees_or_changes_anything(
    web: Web, who: str, status: int, method: str, path: str, body: dict[str, Any] | None
) -> None:
    web.desk.ask("a")
    with web.client(who) as client:
        answer = client.request(method, path, json=body)
    assert (answer.status_code, set(answer.json())) == (status, {"what", "where", "fix"})
    assert web.desk.states() == {"a": "QUEUED"}


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_an_operator_does(ann: httpx2.Client, web: Web, method: str, path: str, body: dict[str, Any] | None) -> None:
    web.desk.ask("a")
    web.desk.store.put_stop(Stop(Kind.EMAIL, "", "refused", NOW, 1, NOW))
    assert ann.request(method, path, json=body).status_code == 200


def test_every_path_is_tried_above(ann: httpx2.Client) -> None:
    described = {path for path in ann.get("/openapi.json").json()["paths"] if path.startswith("/v1/outbound")}
    assert described == {path.partition("?")[0] for _, path, _ in PATHS}


def test_lists_are_filtered_and_paged(ann: httpx2.Client, web: Web) -> None:
    web.desk.ask("a", "b", "c", profile="sales")
    web.desk.ask("d")

    def ids(query: str) -> list[str]:
        return [one["id"] for one in ann.get(f"/v1/outbound/requests?{query}").json()["requests"]]

    assert ids("profile=sales&limit=2") == ["c", "b"]
    assert ids("profile=sales&before=b") == ["a"]
    assert ids("state=FAILED") == []
    assert ann.get("/v1/outbound/requests?state=LOST").status_code == 422
    assert ann.get("/v1/outbound/requests?before=unknown").status_code == 404


def test_what_is_done_is_signed(ann: httpx2.Client, web: Web) -> None:
    web.desk.ask("a")
    ann.post("/v1/outbound/act", json={"id": "a", "deed": "cancel", "because": "a mistake"})
    shown = ann.get("/v1/outbound/request?id=a").json()
    assert (shown["state"], shown["because"]) == ("FAILED", "a mistake")
    assert shown["history"][-1]["by"] == "operator e-ann"


def test_what_is_not_legal_is_a_conflict(ann: httpx2.Client, web: Web) -> None:
    web.desk.ask("a")
    web.desk.store.act("a", Event.CANCELLED, "", "", NOW)
    answer = ann.post("/v1/outbound/act", json={"id": "a", "deed": "hold"})
    assert (answer.status_code, answer.json()["where"]) == (409, "request a")


def test_a_page_is_asked_for_once(ann: httpx2.Client, web: Web) -> None:
    body = {"id": "p", "kind": "page", "content": {"employee": "e-ann", "text": "Hello"}, "key": "night"}
    assert [ann.post("/v1/outbound/ask", json=body).json()["new"] for _ in range(2)] == [True, False]
    request = web.desk.store.entry("p").request
    assert (request.content, request.key, request.asked_by) == (Page("e-ann", "Hello"), "night", "operator e-ann")


@pytest.mark.parametrize(
    "content",
    [
        {"to": "ann@example.com", "subject": "x", "text": "y"},
        {"to": [1], "subject": "x", "text": "y"},
        {"to": [], "subject": "x", "text": "y"},
        {"to": ["a@example.com"], "subject": "x", "text": "y", "files": [{"name": "p", "path": "/etc/passwd"}]},
        {"to": ["a@example.com"], "subject": "x", "text": "y", "files": ["p"]},
        {"to": ["a@example.com"], "subject": ["x"], "text": "y"},
    ],
)
def test_a_wrong_email_and_a_file_of_the_machine_are_refused(
    ann: httpx2.Client, web: Web, content: dict[str, Any]
) -> None:
    answer = ann.post("/v1/outbound/ask", json={"id": "m", "kind": "email", "content": content})
    assert answer.status_code == 422
    assert web.desk.states() == {}


def test_a_page_is_asked_for_by_address_and_leaves_by_id(ann: httpx2.Client, web: Web) -> None:
    body = {"id": "p", "kind": "page", "content": {"employee": "ann@example.com", "text": "Hello"}}
    assert ann.post("/v1/outbound/ask", json=body).status_code == 200
    assert web.desk.store.entry("p").request.content == Page("e-ann", "Hello")


def test_a_page_to_nobody_and_an_email_to_no_address_are_refused_at_once(ann: httpx2.Client, web: Web) -> None:
    page = {"id": "p", "kind": "page", "content": {"employee": "nobody", "text": "Hello"}}
    email = {"id": "m", "kind": "email", "content": {"to": ["no address"], "subject": "x", "text": "y"}}
    answers = [ann.post("/v1/outbound/ask", json=body) for body in (page, email)]
    assert [(answer.status_code, "no" in answer.json()["what"]) for answer in answers] == [(404, True), (422, True)]
    assert web.desk.states() == {}


UNTEXT = [
    ("POST", "ask", '{"id": "a\\u0000", "kind": "email", "content": {"to": ["a@example.com"]}}'),
    ("POST", "ask", '{"id": "a", "key": "\\u0000", "kind": "email", "content": {"to": ["a@example.com"]}}'),
    ("POST", "ask", '{"id": "a", "kind": "email", "content": {"to": ["a@example.com"], "subject": "\\ud800"}}'),
    ("POST", "act", '{"id": "a\\u0000", "deed": "cancel"}'),
    ("POST", "act", '{"id": "a", "deed": "cancel", "because": "\\u0000"}'),
    ("POST", "lift", '{"profile": "\\u0000"}'),
    ("GET", "request?id=%00", ""),
    ("GET", "requests?before=%00", ""),
    ("GET", "requests?profile=%00", ""),
]


@pytest.mark.parametrize(("method", "path", "body"), UNTEXT)
def test_what_no_database_can_hold_is_refused_for_good(
    web: Web, ann: httpx2.Client, method: str, path: str, body: str
) -> None:
    """As what is wrong with the request, not as a fault of the server's, which a client would try again for ever."""
    web.desk.ask("a")
    headers = {"Content-Type": "application/json"}
    answer = ann.request(method, f"/v1/outbound/{path}", content=body, headers=headers)
    assert (422, {"what", "where", "fix"}) == (answer.status_code, set(answer.json()))


def test_a_misspelt_part_of_an_email_is_no_part_that_is_left_out(ann: httpx2.Client, web: Web) -> None:
    content = {"to": ["ann@example.com"], "subject": "x", "text": "y", "file": []}
    answer = ann.post("/v1/outbound/ask", json={"id": "m", "kind": "email", "content": content})
    assert (answer.status_code, "file." in answer.json()["what"]) == (422, True)
    assert web.desk.states() == {}
