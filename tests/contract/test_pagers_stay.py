"""Pagers of employees: imported, kept by the server for itself, and given to nobody (PAG-2)."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import replace

import pytest

from syncengine.core.directory_file import directory_to_json, parse_directory, record_from_json, record_to_json
from syncengine.errors import ConfigError
from syncengine.model.directory import Directory, Employee, Pager, PagerType, RecordType
from syncengine.store.activities import Activities as Store
from tests.activity_servers import PEOPLE, World, embedded, filled_store

NUMBER, PIN = "1 (555) 010-4477", "7632140090"
PAGER = Pager(PagerType.ALPHANUMERIC, NUMBER, PIN)
ANN = next(e for e in PEOPLE.employees if e.id == "e-ann")


def put(store: Store, *employees: Employee) -> bool:
    with store.transaction(write=True):
        return store.put_directory(Directory(employees=employees))


def pager(store: Store, who: str) -> Pager | None:
    with store.transaction(write=False):
        return store.pager(who)


def test_an_import_brings_changes_and_takes_away_pagers(database_url: str) -> None:
    store = filled_store(database_url)
    assert pager(store, "e-ann") is None
    assert put(store, replace(ANN, pager=PAGER))
    assert (pager(store, "e-ann"), pager(store, "e-bob")) == (PAGER, None)
    assert not put(store, replace(ANN, pager=PAGER)), "the same again is no change"
    numeric = Pager(PagerType.NUMERIC, "555 0100")
    assert put(store, replace(ANN, pager=numeric))
    assert numeric == pager(store, "e-ann")
    assert put(store, ANN)
    assert pager(store, "e-ann") is None
    store.close()


def test_a_new_pager_is_no_news_to_anybody(database_url: str) -> None:
    store = filled_store(database_url)
    ann = embedded(store).as_user("ann")
    before, token = ann.directory(), ann.records(None).token
    put(store, replace(ANN, pager=PAGER))
    assert before.version == ann.directory().version
    assert ann.records(token).given == ()
    store.close()


def test_no_user_is_given_a_pager_in_any_shape_of_the_server(world: World) -> None:
    put(world.store, replace(ANN, name="Ann With Pager", pager=PAGER))
    for name in ("ann", "bob"):
        server = world.as_user(name)
        shown = server.directory().employee_by_id("e-ann")
        assert shown is not None
        assert (shown.name, shown.pager) == ("Ann With Pager", None)
        given = [record for record, _ in server.records(None).given if isinstance(record, Employee)]
        assert "Ann With Pager" in {one.name for one in given}
        assert {None} == {one.pager for one in given}


@pytest.mark.parametrize("path", ["/v1/directory", "/v1/records", "/openapi.json"])
def test_nothing_the_server_says_over_http_holds_a_number_or_pin(
    web: tuple[Store, str, Mapping[str, str]], path: str
) -> None:
    store, url, tokens = web
    put(store, replace(ANN, name="Ann With Pager", pager=PAGER))
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {tokens['e-bob']}"})
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
    if path != "/openapi.json":
        assert "Ann With Pager" in text
    assert [secret for secret in (NUMBER, PIN, '"pager"') if secret in text] == []


def test_neither_json_nor_repr_of_an_employee_tells_it() -> None:
    ann = replace(ANN, pager=PAGER)
    told = json.dumps([record_to_json(ann), directory_to_json(Directory(employees=(ann,)))]) + repr(ann) + repr(PAGER)
    assert [secret for secret in (NUMBER, PIN) if secret in told] == []
    assert record_from_json(RecordType.EMPLOYEE, record_to_json(ann)) == ANN


def directory_with(**pager: object) -> str:
    return json.dumps({"employees": [{"id": "e", "name": "E", "addresses": [], "pager": pager}]})


@pytest.mark.parametrize("kind", PagerType)
def test_directory_json_names_pagers(kind: PagerType) -> None:
    found = parse_directory(directory_with(type=kind.value, number=NUMBER, pin=PIN))
    assert Pager(kind, NUMBER, PIN) == found.employees[0].pager
    assert Pager(kind, NUMBER) == parse_directory(directory_with(type=kind.value, number=NUMBER)).employees[0].pager


def test_no_pager_may_be_said_in_words() -> None:
    text = '{"employees": [{"id": "e", "name": "E", "addresses": [], "pager": null}]}'
    assert parse_directory(text).employees[0].pager is None


@pytest.mark.parametrize(
    ("pager", "places"),
    [
        ({}, ["type", "number"]),
        ({"type": "beeper", "number": "1"}, ["type"]),
        ({"type": "numeric", "number": ""}, ["number"]),
        ({"type": "numeric", "number": "call me"}, ["number"]),
        ({"type": "numeric", "number": "555;ATZ"}, ["number"]),
        ({"type": "numeric", "number": "555\r"}, ["number"]),
        ({"type": "numeric", "number": 5550100}, ["number"]),
        ({"type": "numeric", "number": "555", "pin": "1\x0300"}, ["pin"]),
        ({"type": "numeric", "number": "555", "colour": "red"}, ["colour"]),
    ],
)
def test_what_is_wrong_with_a_pager_is_named_without_telling_it(pager: dict[str, object], places: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_directory(directory_with(**pager))
    found = [line.strip().partition(": ")[0] for line in refused.value.what.splitlines()[1:]]
    assert [f"employees[0].pager.{place}" for place in places] == found
    assert "555" not in refused.value.what
