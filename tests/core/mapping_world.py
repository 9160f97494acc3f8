"""A small world for mapping tests: the shipped mappings, a few people, and items in one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from syncengine.core.mapping.context import Context
from syncengine.core.mapping.parse import parse
from syncengine.model.directory import Contact, Directory, Employee
from syncengine.model.item import Item, PimValue
from syncengine.model.mapping import Mapping, TypeMap
from syncengine.model.pim import Kind

FOLDER = Path(__file__).parents[2] / "mappings"
SCHEMA = (FOLDER / "mapping.xsd").read_bytes()
BERLIN = ZoneInfo("Europe/Berlin")


@cache
def shipped(name: str) -> Mapping:
    return parse((FOLDER / f"{name}.xml").read_bytes(), SCHEMA, f"{name}.xml")


DIRECTORY = Directory(
    employees=(
        Employee("E1", "Ada", ("ada@corp.example",), user=True),
        Employee("E2", "Bob", ("bob@corp.example", "bobby@corp.example")),
        Employee("E9", "Nobody", ("nobody@corp.example",)),
    ),
    contacts=(
        Contact("C1", "Cy", ("cy@client.example",)),
        Contact("C2", "Ada at home", ("ada@home.example",)),
    ),
)


def context(zone: str = "Europe/Berlin", mapping: str = "default") -> Context:
    """Ada's, whose second address is also that of a contact; E9 is the generic owner."""
    read = shipped(mapping)
    return Context(
        directory=DIRECTORY,
        user="E1",
        user_addresses=("ada@corp.example", "Ada@Home.example"),
        generic_owner="E9",
        zone=ZoneInfo(zone),
        value_maps=read.value_maps,
        patterns=read.patterns,
        this_day=date(2026, 3, 1),
    )


def type_map(kind: Kind, mapping: str = "default") -> TypeMap:
    found = shipped(mapping).for_kind(kind)
    assert found
    return found


EVENTS, TODOS = type_map(Kind.EVENT), type_map(Kind.TODO)


def event(uid: str = "u1", **values: PimValue) -> Item:
    return Item(Kind.EVENT, uid, _named(values))


def todo(uid: str = "u1", **values: PimValue) -> Item:
    return Item(Kind.TODO, uid, _named(values))


def but(item: Item, **values: PimValue) -> Item:
    """The item with some properties changed; None takes one away."""
    merged = {**item.values, **_named(values)}
    return replace(item, values={k: v for k, v in merged.items() if v is not None})


def _named(values: dict[str, PimValue]) -> dict[str, PimValue]:
    return {name.strip("_").replace("_", "-"): value for name, value in values.items()}
