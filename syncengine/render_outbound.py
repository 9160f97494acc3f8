"""The queue of what leaves in words, from the JSON of `core.outbound.codec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WAYS = {"page": "pager service"}


def request_text(shown: Mapping[str, Any]) -> str:
    """One request: what it says, whom it reached, and its history."""
    head = [
        f"{shown['id']}  {shown['kind']}  {shown['state']}{_flags(shown)}",
        *_line("because", shown["because"]),
        *_line("profile", shown["profile"]),
        *_line("key", shown["key"]),
        f"  priority: {shown['priority']}, tries: {shown['tries']}, not before {shown['not_before']}",
        f"  asked by: {shown['asked_by']}",
        *_line("message id", shown["message_id"]),
    ]
    content = [line for name, value in shown["content"].items() for line in _line(name, _value(value))]
    replies = [f"  {name}: {r['verdict']} {r['code'] or ''} {r['text']}".rstrip() for name, r in _items(shown)]
    history = [
        f"  {m['at']}  {m['to'] or ''}  {m['because']}{' by ' + m['by'] if m['by'] else ''}" for m in shown["history"]
    ]
    return "\n".join([*head, *_part("content", content), *_part("recipients", replies), *_part("history", history)])


def _items(shown: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(shown["replies"].items())


def _flags(shown: Mapping[str, Any]) -> str:
    return "".join([", held" if shown["held"] else "", ", possibly sent" if shown["possibly_sent"] else ""])


def _line(name: str, value: str) -> list[str]:
    return [f"  {name}: {value}"] if value else []


def _part(name: str, lines: list[str]) -> list[str]:
    return [f"{name}:", *lines] if lines else []


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one["name"] if isinstance(one, dict) else str(one) for one in value)
    return str(value)


def standing_text(found: Mapping[str, Any]) -> str:
    """How the queue stands."""
    counts = [
        f"  {one['number']} {one['state']}{', held' if one['held'] else ''}: {one['kind']}{_named(one)}"
        for one in found["counts"]
    ]
    stops = [
        f"  {one['kind']}{_named(one) or _by_default(one)} since {one['since']}: {one['because']} "
        f"(tries: {one['tries']}, next {one['next_try']})"
        for one in found["stops"]
    ]
    workers = [f"  {one['name']}, seen {one['seen']}, keys: {_keys(one['keys'])}" for one in found["workers"]]
    waits = f"the oldest waits since {found['oldest']}" if found["oldest"] else "nothing waits"
    untaken = [f"no living worker takes requests {_with_key(key)}" for key in found["untaken"]]
    parts = [*_part("requests", counts), *_part("stopped profiles", stops), *_part("workers", workers)]
    return "\n".join([waits, *untaken, *parts])


def _named(one: Mapping[str, Any]) -> str:
    profile = f" by {one['profile']}" if one["profile"] else ""
    return profile + (f" with key {one['key']}" if one.get("key") else "")


def _by_default(one: Mapping[str, Any]) -> str:
    return f" by the default {_WAYS.get(one['kind'], 'profile')}"


def _with_key(key: str) -> str:
    return f"with the key {key!r}" if key else "without a key"


def _keys(keys: list[str]) -> str:
    return ", ".join(key or "none" for key in keys)
