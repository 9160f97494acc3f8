"""directory.json: what is right is read, what is wrong is all named at once."""

from __future__ import annotations

import json

import pytest

from syncengine.core.directory_file import directory_to_json, parse_directory
from syncengine.errors import ConfigError
from syncengine.model.directory import Account, Contact, Directory, Employee, Opportunity

WHOLE = Directory(
    employees=(Employee("e-1", "Ann", ("ann@example.com", "Ann@Home.example"), user=True), Employee("e-2", "Bob", ())),
    contacts=(Contact("c-1", "Dora", ("dora@client.example",), "a-1", save_correspondence=True),),
    accounts=(Account("a-1", "Client Inc."),),
    opportunities=(Opportunity("o-1", "A sale", "a-1", 12.5), Opportunity("o-2", "Another")),
)


def test_a_directory_written_is_the_directory_read() -> None:
    assert parse_directory(json.dumps(directory_to_json(WHOLE))) == WHOLE


def test_what_may_be_left_out_may_be_left_out() -> None:
    assert parse_directory('{"employees": [{"id": "e", "name": "E", "addresses": []}]}') == Directory(
        employees=(Employee("e", "E", ()),)
    )


def test_every_mistake_is_named_by_its_place_at_once() -> None:
    text = json.dumps(
        {
            "employees": [
                {"id": "e-1", "name": "Ann", "addresses": "ann@example.com"},
                {"id": "", "addresses": [], "colour": "red"},
                {"id": "e-2", "name": "Bob", "addresses": ["bob"], "user": "yes"},
                {"id": "e-3", "name": "C", "addresses": []},
                {"id": "e-3", "name": "D", "addresses": []},
                7,
            ],
            "contacts": {},
            "opportunities": [{"id": "o", "name": "O", "revenue": "much"}],
            "staff": [],
        }
    )
    with pytest.raises(ConfigError) as refused:
        parse_directory(text, "people.json")
    places = [
        "staff",
        "employees[0].addresses",
        "employees[1].id",
        "employees[1].name",
        "employees[1].colour",
        "employees[2].addresses",
        "employees[2].user",
        "employees[4].id",
        "employees[5]",
        "contacts",
        "opportunities[0].revenue",
    ]
    assert [line.strip().partition(": ")[0] for line in refused.value.what.splitlines()[1:]] == places
    assert refused.value.where == "people.json"
    assert "nothing was imported" in refused.value.fix


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_not_json_is_said_not_to_be(text: str) -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        parse_directory(text)


@pytest.mark.parametrize("text", ["[]", "null", '"x"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be an object"):
        parse_directory(text)
