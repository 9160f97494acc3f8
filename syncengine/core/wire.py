"""Commands, answers and feeds as JSON: what travels between client and server, and what a server remembers.

Every function comes in a pair. Reading raises ValueError, KeyError or TypeError where the JSON has another shape.
`names` renames fields and values to the server's words (`core.names`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from syncengine.core.directory_file import Faults, directory_from_json, directory_to_json
from syncengine.core.names import OURS, field_inward, field_outward, inward, outward
from syncengine.model.activity import Activity, Origin, field_type
from syncengine.model.commands import (
    Command,
    Delete,
    Feed,
    Greeting,
    Insert,
    Leave,
    Linked,
    NaturalKey,
    Outcome,
    Outdated,
    Refused,
    Removed,
    Stored,
    Update,
)
from syncengine.model.directory import Directory, RecordType
from syncengine.model.mapping import ServerNames
from syncengine.model.values import Json, Values, from_json, to_json
from syncengine.times import iso, parse_moment

Raw = Mapping[str, Any]
Object = dict[str, Json]


def values_to_json(values: Values, names: ServerNames = OURS) -> Object:
    return outward({name: to_json(value) for name, value in values.items()}, names)


def values_from_json(raw: Raw, names: ServerNames = OURS) -> Values:
    return {name: _value(name, value) for name, value in inward(raw, names).items()}


def _value(name: str, raw: object) -> Any:
    try:
        return from_json(raw, field_type(name))
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from e


def activity_to_json(activity: Activity, names: ServerNames = OURS) -> Object:
    return {
        "id": activity.id,
        "version": activity.version,
        "origin": activity.origin.value,
        "complete": activity.complete,
        "provisional": activity.provisional,
        "values": values_to_json(activity.values, names),
    }


def activity_from_json(raw: Raw, names: ServerNames = OURS) -> Activity:
    return Activity(
        id=str(raw["id"]),
        version=int(raw["version"]),
        values=values_from_json(raw["values"], names),
        origin=Origin(raw["origin"]),
        complete=bool(raw["complete"]),
        provisional=bool(raw["provisional"]),
    )


# --- commands --------------------------------------------------------------------------------------------------------


def command_to_json(command: Command, names: ServerNames = OURS) -> Object:
    head: Object = {"id": command.id, "activity_id": command.activity_id}
    match command:
        case Insert():
            keys: list[Json] = [_key_to_json(key, names) for key in command.keys]
            values = values_to_json(command.values, names)
            return {"kind": "insert", **head, "values": values, "keys": keys, "origin": command.origin.value}
        case Update():
            values = values_to_json(command.values, names)
            return {"kind": "update", **head, "base_version": command.base_version, "values": values}
        case Delete():
            return {"kind": "delete", **head, "base_version": command.base_version, "series": command.series}
        case Leave():
            return {"kind": "leave", **head}


def command_from_json(raw: Raw, names: ServerNames = OURS) -> Command:
    command_id, activity_id = str(raw["id"]), str(raw["activity_id"])
    match raw["kind"]:
        case "insert":
            keys = tuple(_key_from_json(key, names) for key in raw["keys"])
            values = values_from_json(raw["values"], names)
            return Insert(command_id, activity_id, values, keys, Origin(raw["origin"]))
        case "update":
            return Update(command_id, activity_id, int(raw["base_version"]), values_from_json(raw["values"], names))
        case "delete":
            return Delete(command_id, activity_id, int(raw["base_version"]), bool(raw.get("series")))
        case "leave":
            return Leave(command_id, activity_id)
    raise ValueError(f"{raw['kind']!r} is not a command")


def _key_to_json(key: NaturalKey, names: ServerNames) -> Json:
    return [field_outward(name, names) for name in key]


def _key_from_json(raw: Any, names: ServerNames) -> NaturalKey:
    return tuple(field_inward(str(name), names) for name in raw)


# --- answers ---------------------------------------------------------------------------------------------------------


def outcome_to_json(outcome: Outcome, names: ServerNames = OURS) -> Object:
    head: Object = {"kind": type(outcome).__name__.lower(), "command_id": outcome.command_id}
    match outcome:
        case Linked():
            activity = activity_to_json(outcome.activity, names)
            return {**head, "activity": activity, "key": _key_to_json(outcome.key, names)}
        case Stored() | Outdated():
            return {**head, "activity": activity_to_json(outcome.activity, names)}
        case Removed():
            return {**head, "activity_id": outcome.activity_id}
        case Refused():
            return {**head, "what": outcome.what, "fix": outcome.fix}


def outcome_from_json(raw: Raw, names: ServerNames = OURS) -> Outcome:
    command_id = str(raw["command_id"])
    match raw["kind"]:
        case "stored":
            return Stored(command_id, activity_from_json(raw["activity"], names))
        case "linked":
            activity = activity_from_json(raw["activity"], names)
            return Linked(command_id, activity, _key_from_json(raw["key"], names))
        case "outdated":
            return Outdated(command_id, activity_from_json(raw["activity"], names))
        case "removed":
            return Removed(command_id, str(raw["activity_id"]))
        case "refused":
            return Refused(command_id, str(raw["what"]), str(raw["fix"]))
    raise ValueError(f"{raw['kind']!r} is not an answer")


# --- feed, greeting, directory ---------------------------------------------------------------------------------------


def feed_to_json(feed: Feed, names: ServerNames = OURS) -> Object:
    return {
        "changed": [activity_to_json(activity, names) for activity in feed.changed],
        "deleted": list(feed.deleted),
        "left": list(feed.left),
        "token": feed.token,
        "more": feed.more,
    }


def feed_from_json(raw: Raw, names: ServerNames = OURS) -> Feed:
    return Feed(
        changed=tuple(activity_from_json(activity, names) for activity in raw["changed"]),
        deleted=tuple(str(i) for i in raw["deleted"]),
        left=tuple(str(i) for i in raw["left"]),
        token=str(raw["token"]),
        more=bool(raw["more"]),
    )


def greeting_to_json(greeting: Greeting) -> Object:
    return {
        "identity": greeting.identity,
        "user": greeting.user,
        "generic_owner": greeting.generic_owner,
        "directory_version": greeting.directory_version,
        "addresses": list(greeting.addresses),
        **({"now": iso(greeting.at)} if greeting.at else {}),
    }


def greeting_from_json(raw: Raw) -> Greeting:
    return Greeting(
        identity=str(raw["identity"]),
        user=str(raw["user"]),
        generic_owner=str(raw["generic_owner"]),
        directory_version=int(raw["directory_version"]),
        addresses=tuple(str(one) for one in raw.get("addresses", ())),
        at=_instant(raw.get("now")),
    )


def _instant(text: object) -> datetime | None:
    moment = parse_moment(str(text)) if text else None
    return moment if isinstance(moment, datetime) and moment.tzinfo else None


def whole_directory_to_json(directory: Directory) -> Object:
    incomplete: list[Json] = [{"type": kind.value, "id": one} for kind, one in sorted(directory.incomplete)]
    return {**directory_to_json(directory), "version": directory.version, "incomplete": incomplete}


def whole_directory_from_json(raw: Raw) -> Directory:
    faults: Faults = []
    ours = {name: part for name, part in raw.items() if name not in ("version", "incomplete")}
    directory = directory_from_json(ours, faults)
    if faults:
        raise ValueError(f"{faults[0][0]}: {faults[0][1]}")
    incomplete = frozenset((RecordType(one["type"]), str(one["id"])) for one in raw.get("incomplete", ()))
    return replace(directory, version=int(raw["version"]), incomplete=incomplete)
