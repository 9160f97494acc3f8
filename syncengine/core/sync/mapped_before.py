"""With which mapping a collection's items were last read: kept, so that a changed one can be told from changed items.

Kept is what reading needs: the types with their fields, value maps, patterns, and the settings of the user that say
what a text means (time zone, own addresses). The rest of a mapping is asked anew for each decision.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from syncengine.core.mapping.context import Context
from syncengine.model.mapping import Direction, FieldMap, Mapping, Pattern, Private, TypeMap, ValueMap, ValueRow
from syncengine.model.pim import Kind


@dataclass(frozen=True, slots=True)
class Reading:
    """How items are, or were, read. `key` is the same for readings that mean the same. `filters`: per kind, the filter
    and where its activities show, as text: only whether they have changed is of interest."""

    key: str
    mapping: Mapping
    zone: str
    addresses: tuple[str, ...]
    filters: dict[str, str]

    def context(self, me: Context) -> Context:
        """The user as this reading knew them; `me` says who there is."""
        return replace(
            me,
            zone=ZoneInfo(self.zone),
            user_addresses=self.addresses,
            value_maps=self.mapping.value_maps,
            patterns=self.mapping.patterns,
            years=self.mapping.years,
        )


def key_of(mapping: Mapping, zone: ZoneInfo, addresses: tuple[str, ...]) -> str:
    return " ".join([mapping.digest, str(zone), *sorted(addresses)])


def reading_of(mapping: Mapping, zone: ZoneInfo, addresses: tuple[str, ...]) -> Reading:
    filters = {t.kind.value: f"{t.display_in} {t.filter}" for t in mapping.types}
    return Reading(key_of(mapping, zone, addresses), mapping, str(zone), addresses, filters)


def to_json(reading: Reading) -> dict[str, Any]:
    mapping = reading.mapping
    return {
        "key": reading.key,
        "zone": reading.zone,
        "addresses": list(reading.addresses),
        "filters": reading.filters,
        "types": [_type_to_json(t) for t in mapping.types],
        "value_maps": [asdict(v) for v in mapping.value_maps.values()],
        "patterns": [asdict(p) for p in mapping.patterns],
        "years": [list(y) for y in mapping.years],
    }


def from_json(raw: dict[str, Any]) -> Reading:
    types = tuple(_type_from_json(t) for t in raw["types"])
    maps = {v["name"]: _value_map(v) for v in raw["value_maps"]}
    patterns = tuple(Pattern(**p) for p in raw["patterns"])
    mapping = Mapping("", raw["key"], types, maps, patterns, tuple((n, y) for n, y in raw["years"]))
    return Reading(raw["key"], mapping, raw["zone"], tuple(raw["addresses"]), raw["filters"])


def _type_to_json(one: TypeMap) -> dict[str, Any]:
    rows = [
        [
            r.field,
            r.pim,
            r.converter,
            r.direction.value,
            r.value_map,
            r.private,
        ]  # what becomes of conflicts is not read
        for r in one.fields
    ]
    keys = [list(key) for key in one.natural_keys]
    return {
        "name": one.name,
        "kind": one.kind.value,
        "display_in": one.display_in,
        "private": one.private.value,
        "fields": rows,
        "keys": keys,
    }


def _type_from_json(raw: dict[str, Any]) -> TypeMap:
    rows = tuple(
        FieldMap(field, pim, converter, Direction(direction), value_map=value_map, private=private)
        for field, pim, converter, direction, value_map, private in raw["fields"]
    )
    keys = tuple(tuple(key) for key in raw["keys"])
    return TypeMap(raw["name"], Kind(raw["kind"]), raw["display_in"], rows, keys, private=Private(raw["private"]))


def _value_map(raw: dict[str, Any]) -> ValueMap:
    rows = tuple(ValueRow(r["pim"], r["server"], Direction(r["direction"])) for r in raw["rows"])
    return ValueMap(raw["name"], rows, raw["otherwise"], raw["otherwise_up"])
