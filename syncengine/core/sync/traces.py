"""What the history keeps of a write: as little as undoing it needs.

Of a record that was made there is a digest alone; of a text that was changed the old one whole, and of the new one
just the part between what both begin and end with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from syncengine.core.sync.reflect import ItemWrite, Verb
from syncengine.core.wire import values_to_json
from syncengine.model.activity import SERVER_ONLY, Activity
from syncengine.model.commands import Command, Delete, Insert, Update
from syncengine.model.proxy import Proxy, same
from syncengine.model.trace import Deed, Trace
from syncengine.model.values import Json, Values

PIM, SERVER = "pim", "server"
_DEEDS = {Verb.CREATE: Deed.CREATED, Verb.UPDATE: Deed.UPDATED, Verb.DELETE: Deed.DELETED}


def of_item(before: Proxy | None, write: ItemWrite, after: Proxy) -> Trace:
    """The trace of a write to a PIM. `before`: the proxy as it was; `after`: with what the side stores now."""
    deed = _DEEDS[write.verb]
    overwritten = before.item if before and deed is not Deed.CREATED else None
    old, item = (overwritten.text if overwritten else None), after.item or overwritten
    now = after.item.text if after.item and deed is not Deed.DELETED else None
    kind = (before.kind if before and before.kind else None) or after.kind
    place: dict[str, Json] = {"pim": write.pim, "href": write.href, "kind": kind.value if kind else None}
    if item is not None:
        place |= {"uid": item.uid, "made": bool(overwritten.made if overwritten else item.made)}
    new: Json = None
    if old is not None and now is not None:
        start, end, middle = difference(old, now)
        new = [start, end, middle]
    key = (after if after.item else before or after).key
    return Trace(after.id, key, PIM, deed, write.because, old, new, digest(now) if now is not None else "", place)


def of_command(proxy: Proxy, command: Command, activity: Activity | None, because: str) -> Trace:
    """The trace of a command that was carried out. `proxy`: as it was before; `activity`: as the server stores it now,
    None where it is gone. What the server changed by itself with an update belongs to it."""
    before, sent = (proxy.server.values if proxy.server else {}), _sent(command)
    origin = activity.origin if activity else proxy.origin
    place: dict[str, Json] = {"activity": command.activity_id, "origin": origin.value}
    if isinstance(command, Update) and activity is not None:
        now = activity.values
        names = {*sent, *(n for n in {*before, *now} if n not in SERVER_ONLY and not same(before, now, n))}
        old, new = ({n: values.get(n) for n in sorted(names)} for values in (before, now))
        told = Trace(proxy.id, proxy.key, SERVER, Deed.UPDATED, because, values_to_json(old), values_to_json(new))
        return _at(told, digest_of(now), {**place, "sent": [*sorted(sent)]})
    if isinstance(command, Insert) and activity is not None:
        return _at(Trace(proxy.id, proxy.key, SERVER, Deed.CREATED, because), digest_of(activity.values), place)
    deed = Deed.DELETED if isinstance(command, Delete) else Deed.LEFT
    return _at(Trace(proxy.id, proxy.key, SERVER, deed, because, values_to_json(before)), "", place)


def _sent(command: Command) -> Values:
    return command.values if isinstance(command, Insert | Update) else {}


def _at(trace: Trace, seen: str, place: dict[str, Json]) -> Trace:
    return replace(trace, digest=seen, place=place)


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def digest_of(values: Values) -> str:
    """Of an activity, without what is empty and what the server alone says."""
    found = values_to_json(values).items()
    told = {n: sorted(v, key=str) if isinstance(v, list) else v for n, v in found if n not in SERVER_ONLY and v}
    return digest(json.dumps(told, sort_keys=True, ensure_ascii=False))


def difference(old: str, new: str) -> tuple[int, int, str]:
    """How many characters both begin with, how many both end with, and what `new` has between them."""
    most = min(len(old), len(new))
    start = _most(most, lambda n: old[:n] == new[:n])
    end = _most(most - start, lambda n: n == 0 or old[-n:] == new[-n:])
    return start, end, new[start : len(new) - end]


def differing(old: str, how: object) -> str | None:
    """The text that differs from `old` in the way `difference` gave; None where it was not kept."""
    if not isinstance(how, list) or len(how) != 3:
        return None
    start, end, middle = how
    return f"{old[:start]}{middle}{old[len(old) - end :]}"


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `limit` for which it holds, as it does for all below."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
