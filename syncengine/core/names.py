"""Another server's words: field names and fixed values renamed at the edge, both ways (`model.mapping.ServerNames`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from syncengine.model.mapping import ServerNames

V = TypeVar("V")

OURS = ServerNames()
"""No renaming at all."""


def outward(values: Mapping[str, V], names: ServerNames) -> dict[str, V]:
    """Our field names and values → the server's. What it has no other word for stays as it is."""
    if not names.fields and not names.values:
        return dict(values)
    return {names.fields.get(name, name): _said(value, names.values.get(name, {})) for name, value in values.items()}


def inward(values: Mapping[str, V], names: ServerNames) -> dict[str, V]:
    """The server's field names and values → ours; the inverse of `outward`.

    Raises ValueError for one of our names where the server has another word for it."""
    ours: dict[str, V] = {}
    for theirs, value in values.items():
        name = field_inward(theirs, names)
        ours[name] = _said(value, _inverse(names.values.get(name, {})))
    return ours


def field_outward(name: str, names: ServerNames) -> str:
    """The server's word for one of our fields."""
    return names.fields.get(name, name)


def field_inward(theirs: str, names: ServerNames) -> str:
    """Our name of a server's field. Raises ValueError like `inward`."""
    for name, word in names.fields.items():
        if word == theirs:
            return name
    if theirs in names.fields:
        raise ValueError(f"the field {theirs!r} is called {names.fields[theirs]!r} here")
    return theirs


def _said(value: V, words: Mapping[str, str]) -> V:
    return words.get(value, value) if isinstance(value, str) else value  # type: ignore[return-value]


def _inverse(words: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in words.items()}
