"""Field-level three-way merge of a proxy and its activity (CON-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncengine.core.mapping import attachments
from syncengine.core.sync import repetition
from syncengine.core.sync.roles import Role, newer_revision
from syncengine.model.activity import SERVER_ONLY, field_type
from syncengine.model.conflicts import Conflict
from syncengine.model.mapping import Direction, FieldMap
from syncengine.model.proxy import Held, Proxy, same
from syncengine.model.values import SETS, FieldType, Value

Rows = Mapping[str, FieldMap]


@dataclass(frozen=True, slots=True)
class Merge:
    """push: what the server must be told. pull: what must come down. held: true conflicts, both values kept.
    `here` / `there`: whether anything changed on that side, held or not."""

    push: Mapping[str, Value]
    pull: Mapping[str, Value]
    held: tuple[Held, ...]
    here: bool
    there: bool


def merge(proxy: Proxy, rows: Rows, role: Role) -> Merge:
    """Compares each side with its own past, field by field. A guest's values are never changes; only the
    integration id of an activity that has none goes up from any copy (KEY-2). What rules settle has been settled
    before (`core.sync.settle`): what contradicts is held here."""
    assert proxy.server is not None
    remote = proxy.server.values
    newer = newer_revision(proxy.values, remote) if role is Role.TEAM else None
    push: dict[str, Value] = {}
    pull: dict[str, Value] = {}
    held: list[Held] = []
    moved: tuple[set[str], set[str]] = set(), set()
    for name in sorted(proxy.values.keys() | remote.keys() | proxy.agreed.keys() | proxy.stored.keys()):
        if name in SERVER_ONLY:
            continue
        here = newer is not False and _counts(name, proxy, rows, role) and not same(proxy.values, proxy.agreed, name)
        there = not same(remote, proxy.stored, name)
        undone = name in proxy.undone and not same(proxy.values, remote, name)
        if not here and not there and not undone:
            continue
        if not same(proxy.values, remote, name):
            moved[0].update([name] if here or undone else [])
            moved[1].update([name] if there or undone else [])
        if undone:
            held.append(_held(name, proxy, "what a run did to it was undone"))
        elif same(proxy.values, remote, name):
            pull[name] = remote.get(name)  # the same change on both sides: only the base moves
        elif not there:
            push[name] = proxy.values.get(name)
        elif not here:
            pull[name] = remote.get(name)
        else:
            _both(name, proxy, rows.get(name), push, pull, held, newer=newer is True)
    if newer is not True:
        _as_one(proxy, rows, moved, push, pull, held)
    if push.keys() == {"revision"}:  # that a copy was looked at again is no news
        push.clear()
    if "integration_id" in push and not remote.get("integration_id") and any(_is_duplicate(h) for h in held):
        push.clear()  # whether they are the same is for a person to say: neither is changed before
        pull.clear()
    return Merge(push, pull, tuple(held), bool(push or held), bool(pull or held))


def _is_duplicate(held: Held) -> bool:
    return held.conflict == Conflict.DUPLICATE


def _as_one(
    proxy: Proxy,
    rows: Rows,
    moved: tuple[set[str], set[str]],
    push: dict[str, Value],
    pull: dict[str, Value],
    held: list[Held],
) -> None:
    """A series whose rule or times were changed on both sides is one conflict."""
    assert proxy.server is not None
    remote = proxy.server.values
    if not all(moved) or not repetition.repeats(proxy.values, remote, proxy.agreed):
        return
    names = repetition.members(rows)
    here, there = moved[0] & names, moved[1] & names
    if not repetition.contradict(proxy, here, there):
        return
    first = next((h for h in held if h.field in names), None)
    name = first.field if first else min(here | there)
    because = first.because if first and first.field in proxy.undone else _because(name, proxy)
    for one in here | there:
        push.pop(one, None)
        pull.pop(one, None)
    base, mine, theirs = (repetition.words(values, names) for values in (proxy.agreed, proxy.values, remote))
    held[:] = [h for h in held if h.field not in names]
    held.append(Held(repetition.RECURRENCE, because, base, mine, theirs, _kind(name, proxy)))


def _counts(name: str, proxy: Proxy, rows: Rows, role: Role) -> bool:
    row = rows.get(name)
    if row is not None and row.direction is Direction.DOWN:
        return False
    if role is not Role.GUEST:
        return True
    assert proxy.server is not None
    return name == "integration_id" and not proxy.server["integration_id"]


def _both(
    name: str,
    proxy: Proxy,
    row: FieldMap | None,
    push: dict[str, Value],
    pull: dict[str, Value],
    held: list[Held],
    *,
    newer: bool,
) -> None:
    """Changed differently on both sides: sets merge; the rest is held, unless no item can show it: then the server's
    stands."""
    assert proxy.server is not None
    here, there = proxy.values.get(name), proxy.server.values.get(name)
    if field_type(name) in SETS:
        everybody = united(name, proxy.agreed.get(name), here, there)
        if everybody != tuple(there or ()):  # type: ignore[arg-type]
            push[name] = everybody
        else:
            pull[name] = everybody
        return
    if newer:
        push[name] = here
    elif row is None:
        pull[name] = there
    else:
        held.append(_held(name, proxy, _because(name, proxy)))


def _held(name: str, proxy: Proxy, because: str) -> Held:
    there = proxy.server.values.get(name) if proxy.server else None
    return Held(name, because, proxy.agreed.get(name), proxy.values.get(name), there, _kind(name, proxy))


def _kind(name: str, proxy: Proxy) -> Conflict:
    """A field in which the two have never agreed is one of two records that were there before they met (KEY-5)."""
    met = name not in proxy.agreed and name not in proxy.stored
    return Conflict.DUPLICATE if met else Conflict.CHANGE


def _because(name: str, proxy: Proxy) -> str:
    met = _kind(name, proxy) is Conflict.DUPLICATE
    return "there on both sides before, and different" if met else "changed differently on both sides"


def united(name: str, base: Value, here: Value, there: Value) -> Value:
    """The server's set with what was added and removed here."""
    if field_type(name) is FieldType.ATTACHMENTS:
        return attachments.moved(there, base, here)
    sets: list[set[Any]] = [set(v) if isinstance(v, tuple) else set() for v in (base, here, there)]
    old, mine, theirs = sets
    return tuple(sorted((theirs | (mine - old)) - (old - mine), key=str))
