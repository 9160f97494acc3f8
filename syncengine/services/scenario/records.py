"""Records in a scenario: what people choose to work with, look up and edit, and what they then have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.core.directory_file import record_to_json
from syncengine.core.filters import chosen, read_only
from syncengine.model.directory import RecordKey, RecordType
from syncengine.model.filters import Filter, View
from syncengine.model.visibility import Count
from syncengine.services import records
from syncengine.services.scenario.stage import Actor, Play, Untrue, each


def view_of(here: Play, settings: Mapping[str, Any]) -> View | None:
    """What a user has chosen: `visibility = { preset, only }` as in the configuration."""
    said = settings.get("visibility", {})
    found: dict[RecordType, Filter] = {}
    for raw in said.get("only", ()):
        kind, condition = read_only(raw)
        found[kind] = Filter(conditions=(*found.get(kind, Filter()).conditions, condition))
    return chosen(here.mapping, said.get("preset", ""), View(found))


def chooses(here: Play, actor: Actor, details: Any) -> None:
    """From now on the user works with this: `preset` and `only`."""
    actor.settings = {**actor.settings, "visibility": details}
    view_of(here, actor.settings)


def edits_record(here: Play, actor: Actor, details: Any) -> None:
    """Fields of a record set on the client."""
    records.set_fields(actor.state, _key(details), {n: v for n, v in details.items() if n not in ("type", "id")})


def undoes_edit(here: Play, actor: Actor, details: Any) -> None:
    records.undo(actor.state, _key(details))


def keeps_edit(here: Play, actor: Actor, details: Any) -> None:
    records.keep(actor.state, _key(details))


def removes_record(here: Play, actor: Actor, details: Any) -> None:
    """Somebody removes a record on the server."""
    here.stage.remove_record(_key(details))


def pins(here: Play, actor: Actor, details: Any) -> None:
    actor.server.pin(_key(details), pinned=details.get("pinned", True))


def finds(here: Play, actor: Actor, details: Any) -> None:
    """A look-up of `text` gives these `ids`, the best first; `on_server`: among all records of the server."""
    kind = RecordType(details["type"]) if "type" in details else None
    if details.get("on_server"):
        found = [match.key[1] for match in actor.server.look_up(details["text"], kind)]
    else:
        found = [key[1] for key in records.look_up(actor.state.directory(), details["text"], kind)]
    if found != each(details["ids"]):
        raise Untrue(f"{details['text']!r} finds {found}, not {each(details['ids'])}")


def counts(here: Play, actor: Actor, details: Any) -> None:
    """How much a choice (`preset`, `only`) would give, before any sync: per type [complete, incomplete]."""
    choice = {name: details[name] for name in ("preset", "only") if name in details}
    view = view_of(here, {"visibility": choice})
    assert view is not None
    found = actor.server.count(view)
    for name, expected in details.items():
        if name not in choice and found[RecordType(name)] != Count(*expected):
            raise Untrue(f"of {name} there would be {found[RecordType(name)]}, not {expected}")


def has_record(here: Play, actor: Actor, details: Any) -> None:
    """A record kept on the client with these values; `complete`: to work with, or to look at only."""
    key, directory = _key(details), actor.state.directory()
    record = directory.records.get(key)
    if record is None:
        raise Untrue(f"there is no {key[0]} {key[1]!r}; there are {sorted(k[1] for k in directory.records)}")
    found = {**record_to_json(record), "complete": key not in directory.incomplete}
    for name, expected in details.items():
        if name != "type" and found[name] != expected:
            raise Untrue(f"{name} is {found[name]!r}, not {expected!r}")


def has_no_record(here: Play, actor: Actor, details: Any) -> None:
    key = _key(details)
    if key in actor.state.directory().records:
        raise Untrue(f"{key[0]} {key[1]!r} is kept here")


def has_under(here: Play, actor: Actor, details: Any) -> None:
    """The activities kept under a record, without asking the server: `complete` and `incomplete`, by their subjects."""
    found = actor.state.activities_under(details["under"])
    for name, wanted in (("complete", True), ("incomplete", False)):
        subjects = sorted(str(a["description"]) for a in found if a.complete is wanted)
        if subjects != sorted(details.get(name, [])):
            raise Untrue(f"{name} under {details['under']!r} are {subjects}, not {details.get(name, [])}")
    hidden = [(a["description"], name) for a in found for name in details.get("without", ()) if a[name]]
    if hidden:
        raise Untrue(f"{hidden[0][0]!r} shows its {hidden[0][1]}")


def _key(details: Mapping[str, Any]) -> RecordKey:
    return RecordType(details["type"]), str(details["id"])
