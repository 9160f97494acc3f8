"""Reconcile: (what happened here, what happened there) → verdict → what to tell the server.

The verdict is looked up in a table, never worked out by a ladder of conditions; each row carries its reason.
`decide` turns a verdict into a `Decision`, `answered` lays the server's answer onto the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from syncengine.core.mapping.context import Context
from syncengine.core.sync.merge import Merge, Rows, merge
from syncengine.core.sync.roles import Role, role_in
from syncengine.model.activity import SERVER_ONLY, Activity, Origin, field_type
from syncengine.model.commands import Command, Delete, Insert, Leave, NaturalKey, Outcome, Removed, Stored, Update
from syncengine.model.conflicts import Conflict
from syncengine.model.mapping import Authority
from syncengine.model.proxy import Alone, Held, Proxy, Share, There, same
from syncengine.model.values import SETS, FieldType, Value, Values


class Here(StrEnum):
    """What happened to the item since both sides last agreed."""

    NOTHING = "no item"
    SAME = "unchanged"
    CHANGED = "changed"
    GONE = "deleted by its owner"
    LEFT = "deleted by a guest"
    UNSHARED = "unshared by its owner"
    QUIT = "unshared by a guest"
    DECLINED = "declined by a guest"
    EDITED = "changed, without an item"
    DROPPING = "to be deleted here only"
    DROPPED = "deleted here only"
    REMOVED = "its activity deleted by its owner"
    RESIGNED = "its activity deleted by a guest"
    WANTED = "deleted, and wanted back"


class Verdict(StrEnum):
    REST = "nothing to do"
    INSERT = "insert"
    PUSH = "update the server"
    PULL = "bring down"
    MERGE = "merge"
    DELETE_THERE = "delete on the server"
    LEAVE = "leave the team"
    DELETE_HERE = "delete the item"
    UNLINK = "unshare the item"
    FORGET = "forget"
    DROP = "delete the item, and nothing else"
    STAY = "leave it without an item"
    RESTORE = "put the item back"
    HOLD = "hold"


class Row(NamedTuple):
    verdict: Verdict
    because: str


class Change(StrEnum):
    """What happened to the activity since both sides last agreed."""

    ABSENT = "not on the server"
    SAME = "unchanged"
    CHANGED = "changed"
    DELETED = "deleted"
    LEFT = "no longer visible"


H, C, V = Here, Change, Verdict
VERDICTS: Mapping[tuple[Here, Change], Row] = {
    (H.NOTHING, C.ABSENT): Row(V.INSERT, "made here, new to the server"),
    (H.NOTHING, C.SAME): Row(V.REST, "nothing changed"),
    (H.NOTHING, C.CHANGED): Row(V.PULL, "changed on the server"),
    (H.NOTHING, C.DELETED): Row(V.FORGET, "deleted on the server, no item here"),
    (H.NOTHING, C.LEFT): Row(V.FORGET, "no longer visible, no item here"),
    (H.SAME, C.ABSENT): Row(V.INSERT, "shared here, new to the server"),
    (H.SAME, C.SAME): Row(V.REST, "nothing changed"),
    (H.SAME, C.CHANGED): Row(V.PULL, "unchanged here, changed on the server"),
    (H.SAME, C.DELETED): Row(V.DELETE_HERE, "unchanged here, deleted on the server"),
    (H.SAME, C.LEFT): Row(V.UNLINK, "no longer visible on the server; the item stays"),
    (H.CHANGED, C.SAME): Row(V.PUSH, "changed here, unchanged on the server"),
    (H.CHANGED, C.CHANGED): Row(V.MERGE, "changed on both sides, merged field by field"),
    (H.CHANGED, C.DELETED): Row(V.HOLD, "changed here, deleted on the server"),
    (H.CHANGED, C.LEFT): Row(V.UNLINK, "no longer visible on the server; the item stays"),
    (H.GONE, C.ABSENT): Row(V.FORGET, "deleted here before it reached the server"),
    (H.GONE, C.SAME): Row(V.DELETE_THERE, "deleted here by its owner, unchanged on the server"),
    (H.GONE, C.CHANGED): Row(V.HOLD, "deleted here, changed on the server"),
    (H.GONE, C.DELETED): Row(V.FORGET, "deleted on both sides"),
    (H.GONE, C.LEFT): Row(V.FORGET, "deleted here, no longer visible on the server"),
    (H.LEFT, C.ABSENT): Row(V.FORGET, "deleted here before it reached the server"),
    (H.LEFT, C.SAME): Row(V.LEAVE, "deleted here by somebody who does not own it"),
    (H.LEFT, C.CHANGED): Row(V.LEAVE, "deleted here by somebody who does not own it"),
    (H.LEFT, C.DELETED): Row(V.FORGET, "deleted on both sides"),
    (H.LEFT, C.LEFT): Row(V.FORGET, "deleted here, no longer visible on the server"),
    (H.UNSHARED, C.ABSENT): Row(V.UNLINK, "unshared before it reached the server"),
    (H.UNSHARED, C.SAME): Row(V.UNLINK, "unshared by its owner; the activity stays"),
    (H.UNSHARED, C.CHANGED): Row(V.UNLINK, "unshared by its owner; the activity stays"),
    (H.UNSHARED, C.DELETED): Row(V.UNLINK, "unshared here, deleted on the server"),
    (H.UNSHARED, C.LEFT): Row(V.UNLINK, "unshared here, no longer visible on the server"),
    (H.QUIT, C.ABSENT): Row(V.UNLINK, "unshared before it reached the server"),
    (H.QUIT, C.SAME): Row(V.LEAVE, "unshared by somebody who does not own it"),
    (H.QUIT, C.CHANGED): Row(V.LEAVE, "unshared by somebody who does not own it"),
    (H.QUIT, C.DELETED): Row(V.UNLINK, "unshared here, deleted on the server"),
    (H.QUIT, C.LEFT): Row(V.UNLINK, "unshared here, no longer visible on the server"),
    (H.DECLINED, C.ABSENT): Row(V.UNLINK, "declined before it reached the server"),
    (H.DECLINED, C.SAME): Row(V.LEAVE, "the invitation was declined"),
    (H.DECLINED, C.CHANGED): Row(V.LEAVE, "the invitation was declined"),
    (H.DECLINED, C.DELETED): Row(V.UNLINK, "declined here, deleted on the server"),
    (H.DECLINED, C.LEFT): Row(V.UNLINK, "declined here, no longer visible on the server"),
    (H.EDITED, C.SAME): Row(V.PUSH, "changed here, unchanged on the server"),
    (H.EDITED, C.CHANGED): Row(V.MERGE, "changed on both sides, merged field by field"),
    (H.EDITED, C.DELETED): Row(V.HOLD, "changed here, deleted on the server"),
    (H.EDITED, C.LEFT): Row(V.FORGET, "no longer visible, no item here"),
    (H.DROPPING, C.ABSENT): Row(V.DROP, "deleted here only, as asked"),
    (H.DROPPING, C.SAME): Row(V.DROP, "deleted here only, as asked; the activity stays"),
    (H.DROPPING, C.CHANGED): Row(V.DROP, "deleted here only, as asked; the activity stays"),
    (H.DROPPING, C.DELETED): Row(V.DROP, "deleted here, as asked, and on the server"),
    (H.DROPPING, C.LEFT): Row(V.DROP, "deleted here only, as asked; the activity stays"),
    (H.DROPPED, C.ABSENT): Row(V.STAY, "deleted here only; no item is made again"),
    (H.DROPPED, C.SAME): Row(V.STAY, "deleted here only; no item is made again"),
    (H.DROPPED, C.CHANGED): Row(V.STAY, "deleted here only; no item is made again"),
    (H.DROPPED, C.DELETED): Row(V.FORGET, "deleted here only before, now on the server"),
    (H.DROPPED, C.LEFT): Row(V.STAY, "deleted here only; no item is made again"),
    (H.REMOVED, C.ABSENT): Row(V.DELETE_HERE, "deleted here before it reached the server"),
    (H.REMOVED, C.SAME): Row(V.DELETE_THERE, "deleted here by its owner, unchanged on the server"),
    (H.REMOVED, C.CHANGED): Row(V.HOLD, "deleted here, changed on the server"),
    (H.REMOVED, C.DELETED): Row(V.DELETE_HERE, "deleted here and on the server"),
    (H.REMOVED, C.LEFT): Row(V.DELETE_HERE, "deleted here, no longer visible on the server"),
    (H.RESIGNED, C.ABSENT): Row(V.DELETE_HERE, "deleted here before it reached the server"),
    (H.RESIGNED, C.SAME): Row(V.LEAVE, "deleted here by somebody who does not own it"),
    (H.RESIGNED, C.CHANGED): Row(V.LEAVE, "deleted here by somebody who does not own it"),
    (H.RESIGNED, C.DELETED): Row(V.DELETE_HERE, "deleted here and on the server"),
    (H.RESIGNED, C.LEFT): Row(V.DELETE_HERE, "deleted here, no longer visible on the server"),
    (H.WANTED, C.ABSENT): Row(V.RESTORE, "deleted here, put back as asked"),
    (H.WANTED, C.SAME): Row(V.RESTORE, "deleted here, put back as asked"),
    (H.WANTED, C.CHANGED): Row(V.RESTORE, "deleted here, put back as asked"),
    (H.WANTED, C.DELETED): Row(V.RESTORE, "deleted on both sides, put back as asked"),
    (H.WANTED, C.LEFT): Row(V.RESTORE, "deleted here, put back as asked; no longer visible on the server"),
}
"""Every pair that can be has its row (what is not on the server has no base to have changed from);
`tests/core/test_verdicts.py` has one story for each."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one proxy. `proxy`: as it stands once decided; `command`: what the server is told first."""

    verdict: Verdict
    because: str
    proxy: Proxy
    command: Command | None = None


_PEOPLE = (FieldType.IDS, FieldType.ADDRESSES)


def here(proxy: Proxy, merged: Merge | None, role: Role) -> Here:
    owner = role is Role.OWNER
    if proxy.share is Share.UNSHARED:
        return Here.UNSHARED if owner else Here.QUIT
    if proxy.share is Share.DELETED:
        return Here.REMOVED if owner else Here.RESIGNED
    if proxy.share is Share.DROPPED:
        return Here.DROPPING if proxy.has_item else Here.DROPPED
    if proxy.share is Share.RESTORED:
        return Here.WANTED
    if proxy.item is None:
        return Here.EDITED if merged and merged.here else Here.NOTHING
    if proxy.item.gone:
        return Here.GONE if owner else Here.LEFT
    if proxy.alone is Alone.DECLINED and not owner:
        return Here.DECLINED
    return Here.CHANGED if merged and merged.here else Here.SAME


def there(proxy: Proxy, merged: Merge | None) -> Change:
    """That people left or joined is no reason to keep what its owner deletes: their lists never conflict."""
    deleted = proxy.share is Share.DELETED or (proxy.item is not None and proxy.item.gone)
    if proxy.there is There.LIVE and deleted and merged:
        told = {*merged.pull, *(h.field for h in merged.held)}
        return Change.CHANGED if any(field_type(name) not in _PEOPLE for name in told) else Change.SAME
    if proxy.there is There.LIVE:
        return Change.CHANGED if merged and merged.there else Change.SAME
    return {There.ABSENT: Change.ABSENT, There.DELETED: Change.DELETED, There.LEFT: Change.LEFT}[proxy.there]


def decide(proxy: Proxy, rows: Rows, keys: tuple[NaturalKey, ...], me: Context, command_id: str) -> Decision:
    """The decision about one proxy; `command_id` is the id a command would carry."""
    role = role_in(proxy, me)
    on_server = proxy.server is not None and proxy.there is not There.ABSENT
    proxy = replace(proxy, undone=still_undone(proxy)) if proxy.undone else proxy
    merged = merge(proxy, rows, role) if on_server else None
    verdict, because = VERDICTS[here(proxy, merged, role), there(proxy, merged)]
    proxy = replace(proxy, held=merged.held if merged and verdict in _MERGING else ())
    guests = on_server and role is Role.GUEST  # whose copy is never laid onto the activity, whatever it says
    if proxy.hold and not guests and verdict in (*_MERGING, Verdict.INSERT):
        return Decision(Verdict.HOLD, proxy.hold, replace(proxy, held=(Held("", proxy.hold),)))
    return _CARRY_OUT[verdict](Decision(verdict, because, proxy), merged, keys, command_id)


_MERGING = (Verdict.REST, Verdict.PUSH, Verdict.PULL, Verdict.MERGE)


def _rest(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    return d


def _insert(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    """An activity made by hand, without an item, is like one made on the server: an item is made from it for its
    owner and its participants, since nobody's calendar sends an invitation (ACT-8, ACT-12). So is one made anew for an
    item the product once made from it."""
    values = {n: v for n, v in d.proxy.values.items() if n not in SERVER_ONLY}  # of one that was an activity before
    if d.proxy.item is None:
        return replace(d, command=Insert(command_id, d.proxy.id, values, (), Origin.SERVER))
    origin = Origin.SERVER if d.proxy.item.made else Origin.PIM
    return replace(d, command=Insert(command_id, d.proxy.id, values, keys, origin))


def _update(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    server = d.proxy.server
    if server is None or merged is None or not merged.push:
        return d
    return replace(d, command=Update(command_id, server.id, server.version, merged.push))


def _delete(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    assert d.proxy.server is not None
    by_hand = d.proxy.share is Share.DELETED
    return replace(d, command=Delete(command_id, d.proxy.server.id, d.proxy.server.version, series=by_hand))


def _leave(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    return replace(d, command=Leave(command_id, d.proxy.activity_id))


def _delete_here(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    """Only what the product made is deleted (ACT-7); a user's own item stays and is unshared."""
    if not d.proxy.has_item:
        return replace(d, verdict=Verdict.FORGET)
    if d.proxy.item and d.proxy.item.made:
        return d
    return Decision(Verdict.UNLINK, "deleted on the server; the user's own item stays", unlinked(d.proxy))


def _unlink(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    return replace(d, proxy=unlinked(d.proxy))


def _restore(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    """The item is written again first; what becomes of its activity is decided after that, as of any item. What the
    server has deleted is made anew there; what is out of sight may be linked again."""
    if d.proxy.there is There.DELETED:
        return replace(d, proxy=replace(unlinked(d.proxy), share=Share.RESTORED))
    if d.proxy.there is There.LEFT:
        return replace(d, proxy=unlinked(replace(d.proxy, share=Share.SHARED)))
    return d


def _hold(d: Decision, merged: Merge | None, keys: tuple[NaturalKey, ...], command_id: str) -> Decision:
    return replace(d, proxy=replace(d.proxy, held=(Held("", d.because, conflict=Conflict.DELETE),)))


_CARRY_OUT = {
    Verdict.REST: _rest,
    Verdict.INSERT: _insert,
    Verdict.PUSH: _update,
    Verdict.PULL: _update,
    Verdict.MERGE: _update,
    Verdict.DELETE_THERE: _delete,
    Verdict.LEAVE: _leave,
    Verdict.DELETE_HERE: _delete_here,
    Verdict.UNLINK: _unlink,
    Verdict.FORGET: _rest,
    Verdict.DROP: _rest,
    Verdict.STAY: _rest,
    Verdict.RESTORE: _restore,
    Verdict.HOLD: _hold,
}


def unlinked(proxy: Proxy) -> Proxy:
    """The item alone: no activity, no base. What only went out of sight, or was declined, may be linked again when it
    comes back or is accepted; what the user unshared, or the server deleted, is never linked again by itself
    (ACT-11)."""
    may_return = (proxy.there is There.LEFT or bool(proxy.alone)) and proxy.share is Share.SHARED
    share = Share.NEVER if may_return else Share.UNSHARED
    alone = replace(proxy, share=share, there=There.ABSENT, server=None, held=())
    return replace(alone, agreed={}, stored={}, shadow={}, shown={})


def stored(proxy: Proxy, sent: Values, activity: Activity, rows: Rows) -> Proxy:
    """The proxy once the server has stored `sent`. Recorded is what it stored, not what was sent; where it stored
    something else, the client keeps its own value (a server that rounds) or takes the server's (people, OWN-5).
    A list merged from both sides keeps its bases: merging again, which changes nothing more, brings it down."""
    values, agreed, base = dict(proxy.values), dict(proxy.agreed), dict(proxy.stored)
    for name, value in sent.items():
        if _united(name, proxy):
            continue
        if name not in proxy.undone:  # what was undone on this side has moved away from what both agreed on
            base[name] = activity.values.get(name)
        agreed[name] = value
        if values.get(name) == value and _servers(name, rows):
            values[name] = agreed[name] = activity.values.get(name)
    server = _with_others_stamp(activity, proxy) if sent else activity
    return replace(proxy, server=server, there=There.LIVE, values=values, agreed=agreed, stored=base)


def _with_others_stamp(activity: Activity, proxy: Proxy) -> Activity:
    """What we have written ourselves makes the activity no newer: what waits is still compared with the change of
    whoever made it."""
    before = proxy.server.values.get("updated") if proxy.server else None
    return replace(activity, values={**activity.values, "updated": before}) if before else activity


def still_undone(proxy: Proxy) -> frozenset[str]:
    """What was undone, and both sides have not come to agree on since: only that waits for a person."""
    there = proxy.server.values if proxy.server else proxy.values
    return frozenset(name for name in proxy.undone if not same(proxy.values, there, name))


def _united(name: str, proxy: Proxy) -> bool:
    """Whether what was sent of a list held changes of the server's too."""
    return field_type(name) in SETS and proxy.server is not None and not same(proxy.server.values, proxy.stored, name)


def _servers(name: str, rows: Rows) -> bool:
    row = rows.get(name)
    return field_type(name) in SETS if row is None else row.authority is Authority.SERVER


def pulled(proxy: Proxy, fields: Mapping[str, Value]) -> Proxy:
    """The proxy once `fields` have come down: both sides agree on them. A value the server gave by itself becomes
    the shadow a lossy PIM property is read back by (FLD-1)."""
    assert proxy.server is not None
    server = proxy.server.values
    taken = {name: server.get(name) for name in fields}
    return replace(
        proxy,
        values={**proxy.values, **fields},
        agreed={**proxy.agreed, **fields},
        stored={**proxy.stored, **taken},
        shadow={**proxy.shadow, **taken},
    )


def predicted(proxy: Proxy, command: Command) -> Outcome:
    """What a dry run takes the server's answer to be: done as asked."""
    if isinstance(command, Insert):
        return Stored(command.id, Activity(command.activity_id, 1, command.values, command.origin))
    if isinstance(command, Update) and proxy.server is not None:
        values = {**proxy.server.values, **command.values}
        return Stored(command.id, replace(proxy.server, version=command.base_version + 1, values=values))
    return Removed(command.id, command.activity_id)
