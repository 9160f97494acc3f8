"""Proxies ↔ JSON. A base that equals its present value is not written again: at rest a proxy is its values, and its
activity is only what differs from them."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

from syncengine.model.activity import Activity, Origin, field_type
from syncengine.model.pim import Kind
from syncengine.model.proxy import Alone, Held, ItemState, Proxy, Share, There
from syncengine.model.values import Values, from_json, to_json

_NOTHING = "\x00"  # a field the base does not have although the present value has it


def dump(proxy: Proxy) -> str:
    doc: dict[str, Any] = {"values": _record(proxy.values)}
    if agreed := _difference(proxy.agreed, proxy.values):
        doc["agreed"] = agreed
    if proxy.server is not None:
        server = proxy.server
        doc["server"] = {
            "id": server.id,
            "version": server.version,
            "origin": server.origin.value,
            "complete": server.complete,
            "provisional": server.provisional,
            "values": _difference(server.values, proxy.values),
        }
        if stored := _difference(proxy.stored, server.values):
            doc["stored"] = stored
    if shadow := _difference(proxy.shadow, proxy.values):
        doc["shadow"] = shadow
    if proxy.held:
        doc["held"] = [_held_to_json(h) for h in proxy.held]
    if proxy.hold:
        doc["hold"] = proxy.hold
    if proxy.alone:
        doc["alone"] = proxy.alone.value
    if proxy.more_from:
        doc["more_from"] = proxy.more_from.isoformat()
    if proxy.shown:
        doc["shown"] = _record(proxy.shown)
    if proxy.modified:
        doc["modified"] = proxy.modified.isoformat()
    if proxy.undone:
        doc["undone"] = sorted(proxy.undone)
    return json.dumps(doc, ensure_ascii=False, separators=(",", ":"))


def load(identity: str, kind: str | None, share: str, there: str, doc: str, item: ItemState | None) -> Proxy:
    raw = json.loads(doc)
    values = _values(raw["values"])
    server = None
    if "server" in raw:
        s = raw["server"]
        server = Activity(
            s["id"], s["version"], _apply(values, s["values"]), Origin(s["origin"]), s["complete"], s["provisional"]
        )
    return Proxy(
        identity,
        Kind(kind) if kind else None,
        values,
        _apply(values, raw.get("agreed", {})),
        server,
        _apply(server.values, raw.get("stored", {})) if server else {},
        _apply(values, raw.get("shadow", {})),
        Share(share),
        There(there),
        item,
        tuple(_held(h) for h in raw.get("held", ())),
        raw.get("hold", ""),
        Alone(raw.get("alone", "")),
        date.fromisoformat(raw["more_from"]) if "more_from" in raw else None,
        _values(raw.get("shown", {})),
        datetime.fromisoformat(raw["modified"]) if "modified" in raw else None,
        frozenset(raw.get("undone", ())),
    )


def _record(values: Values) -> dict[str, Any]:
    return {name: to_json(value) for name, value in values.items()}


def _values(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: None if v is None else from_json(v, field_type(name)) for name, v in raw.items()}


def _difference(record: Values, base: Values) -> dict[str, Any]:
    """What makes `record` of `base`."""
    changed = {n: to_json(v) for n, v in record.items() if n not in base or base[n] != v}
    return changed | {n: _NOTHING for n in base if n not in record}


def _apply(base: Values, difference: dict[str, Any]) -> Values:
    if not difference:
        return base
    values = dict(base)
    for name, raw in difference.items():
        if raw == _NOTHING:
            values.pop(name, None)
        else:
            values[name] = None if raw is None else from_json(raw, field_type(name))
    return values


def _held_to_json(held: Held) -> list[Any]:
    return [held.field, held.because, to_json(held.base), to_json(held.here), to_json(held.there), held.conflict]


def _held(raw: list[Any]) -> Held:
    field, because, *values = raw[:5]
    base, here, there = (None if v is None else from_json(v, field_type(field)) for v in values)
    return Held(field, because, base, here, there, raw[5] if len(raw) > 5 else "")
