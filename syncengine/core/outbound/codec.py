"""The content of a request as JSON, as the queue keeps it, and a request with what became of it, as it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from syncengine.model.outbound import (
    Change,
    Content,
    Email,
    Entry,
    File,
    Group,
    Kind,
    Move,
    Page,
    Standing,
    State,
    Stop,
)
from syncengine.model.values import Json
from syncengine.times import iso

SILENT = timedelta(minutes=2)
"""A worker that gave no sign of life for so long is not counted on."""
_CLASSES: Mapping[Kind, type[Content]] = {Kind.EMAIL: Email, Kind.PAGE: Page, Kind.CHANGE: Change}


def content_to_json(content: Content) -> dict[str, Json]:
    """Its filled fields by name; lists for tuples."""
    return {f.name: _plain(value) for f in fields(content) if (value := getattr(content, f.name)) not in ("", ())}


def _plain(value: Any) -> Json:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, File):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


def names_of(kind: Kind) -> set[str]:
    """What the content of such a request may hold."""
    return {f.name for f in fields(_CLASSES[kind])}


def content_from_json(kind: Kind, raw: Mapping[str, Any]) -> Content:
    """The inverse of `content_to_json`. Fields this version does not know are left out: a newer one wrote them.
    Raises ValueError where a field is missing or wrong."""
    found = _CLASSES[kind]
    known = {f.name for f in fields(found)}
    given = {name: _value(name, value) for name, value in raw.items() if name in known}
    for f in (f for f in fields(found) if f.name in given):
        if not _RIGHT[str(f.type).partition("[")[0]](given[f.name]):
            raise ValueError(f"this is no {kind.value}: {f.name} is no {f.type}")
    try:
        return found(**{**_EMPTY[kind], **given})
    except TypeError as e:
        raise ValueError(f"this is no {kind.value}: {e}") from e


_RIGHT: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "tuple": lambda value: isinstance(value, tuple) and all(isinstance(one, (str, File)) for one in value),
    "Mapping": lambda value: isinstance(value, Mapping),
}
"""By the type of a field, whether it may hold a value."""


_EMPTY: Mapping[Kind, Mapping[str, Any]] = {
    Kind.EMAIL: {"to": (), "subject": "", "text": ""},
    Kind.PAGE: {},
    Kind.CHANGE: {"record": ""},
}
"""Fields without a default that are left out when they are empty."""


def _value(name: str, value: Any) -> Any:
    if name == "files":
        return tuple(_file(one) for one in value)
    return tuple(value) if isinstance(value, list) else value


def _file(raw: Any) -> File:
    known = {f.name for f in fields(File)}
    if not isinstance(raw, Mapping) or not all(isinstance(raw.get(name, ""), str) for name in known):
        raise ValueError("this is no attached file")
    return File(**{"name": "", **{name: raw[name] for name in known if name in raw}})


def group_to_text(group: Group) -> str:
    """As the argument of a job."""
    return json.dumps([group.kind.value, group.profile, group.key], ensure_ascii=False)


def group_from_text(text: str) -> Group:
    kind, profile, key = json.loads(text)
    return Group(Kind(kind), profile, key)


def reply_to_json(verdict: str, code: int, text: str) -> dict[str, Json]:
    return {"verdict": verdict, "code": code, "text": text}


def entry_to_json(entry: Entry) -> dict[str, Json]:
    """What lists show: everything but the content."""
    request = entry.request
    return {
        "id": request.id,
        "kind": request.kind.value,
        "state": entry.state.value,
        "held": entry.held,
        "possibly_sent": entry.possibly_sent,
        "profile": request.profile,
        "key": request.key,
        "priority": request.priority,
        "tries": entry.tries,
        "created": iso(entry.created),
        "changed": iso(entry.changed),
        "not_before": iso(entry.not_before) if entry.not_before else None,
        "because": entry.because,
        "asked_by": request.asked_by,
        "message_id": request.message_id,
        "replies": {name: reply_to_json(r.verdict.value, r.code, r.text) for name, r in entry.replies.items()},
    }


def shown_to_json(entry: Entry, moves: tuple[Move, ...]) -> dict[str, Json]:
    """One request with its content and its history."""
    history: Json = [
        {"at": iso(m.at), "to": m.to.value if m.to else None, "because": m.because, "by": m.by} for m in moves
    ]
    return {**entry_to_json(entry), "content": content_to_json(entry.request.content), "history": history}


def stop_to_json(stop: Stop) -> dict[str, Json]:
    return {
        "kind": stop.kind.value,
        "profile": stop.profile,
        "because": stop.because,
        "since": iso(stop.since),
        "tries": stop.tries,
        "next_try": iso(stop.next_try),
    }


def standing_to_json(standing: Standing, now: datetime) -> dict[str, Json]:
    """How the queue stands. untaken: request keys with requests that wait and no living worker that takes them."""
    living = [one for one in standing.workers if now - one.seen < SILENT]
    taken = {key for one in living for key in one.keys}
    waiting = {one.group.key for one in standing.counts if one.state is State.QUEUED and not one.held}
    counts: Json = [
        {
            "kind": one.group.kind.value,
            "profile": one.group.profile,
            "key": one.group.key,
            "state": one.state.value,
            "held": one.held,
            "number": one.number,
        }
        for one in standing.counts
    ]
    workers: Json = [
        {"name": one.executor, "keys": list(one.keys), "started": iso(one.started), "seen": iso(one.seen)}
        for one in standing.workers
    ]
    stops: Json = [stop_to_json(one) for one in standing.stops]
    oldest = iso(standing.oldest) if standing.oldest else None
    untaken: list[Json] = [*sorted(waiting - taken)]
    return {"counts": counts, "oldest": oldest, "stops": stops, "workers": workers, "untaken": untaken}
