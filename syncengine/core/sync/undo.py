"""Undo: what a run wrote and what is true now → what to put back, and what cannot be.

Restored is exactly the side the run wrote, and only what still is as the run left it: an item property by property, an
activity field by field. What was put back differs from the other side then; those fields are `undone`, held until a
person says which value stands, so that the next run neither does the same again nor passes the undoing on.

`plan` looks a trace up in a table by side and deed. It is asked again after everything was tried: what it still plans
then could not be done, and where it plans nothing, nothing is left to undo.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from syncengine.core.contents import attachments_of
from syncengine.core.ical.attach import content_of
from syncengine.core.ical.href import split_href
from syncengine.core.ical.read import read
from syncengine.core.ical.write import write
from syncengine.core.mapping.apply import same as same_value
from syncengine.core.mapping.context import Context
from syncengine.core.sync.absorb import absorb, adopt
from syncengine.core.sync.merge import merge
from syncengine.core.sync.reconcile import still_undone, unlinked
from syncengine.core.sync.reflect import ItemWrite, Verb, dropped, restored, rows_of
from syncengine.core.sync.roles import Role, role_in
from syncengine.core.sync.traces import difference, differing, digest, digest_of
from syncengine.core.wire import values_from_json
from syncengine.errors import ItemError
from syncengine.model.activity import SERVER_ONLY, Origin
from syncengine.model.commands import Command, Delete, Insert, Leave, Update
from syncengine.model.item import Item, PimValues
from syncengine.model.mapping import Mapping as MappingFile
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Kind, Resource
from syncengine.model.proxy import ItemState, Proxy, Share, There, same
from syncengine.model.trace import Deed, Trace
from syncengine.model.values import Json, Values, ids, to_json

BECAUSE = "a run is undone"


@dataclass(frozen=True, slots=True)
class Now:
    """What is true of a trace's record now. run: the one that is undone. proxy: the record's, if it is known.

    parts: of a series, its changed occurrences. uid_taken: another item has the UID of the trace's. remade: the
    activity that was made for a deleted one is there. missing: digests of contents that cannot be listed again.
    new_id: a fresh id."""

    run: str
    proxy: Proxy | None
    mapping: MappingFile
    type_map: TypeMap | None
    me: Context
    new_id: str
    parts: Sequence[Proxy] = ()
    uid_taken: bool = False
    remade: bool = False
    missing: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Restoration:
    """One thing to put back. first: proxies as they are from the moment on at which it is begun; forgotten: ids of
    proxies that end with it. With neither write nor command it is done by that."""

    trace: Trace
    what: str
    proxy: Proxy
    item: ItemWrite | None = None
    command: Command | None = None
    first: tuple[Proxy, ...] = ()
    forgotten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be put back, and why; `fix` says what a person can do."""

    trace: Trace
    why: str
    fix: str = ""


Planned = Restoration | Refusal


def collapsed(traces: Sequence[Trace]) -> list[Trace]:
    """What a run did to each record in all, newest first: the order in which it is undone. What it made and deleted
    again is nothing."""
    found: list[Trace | None] = []
    last: dict[tuple[str, ...], int] = {}
    for trace in traces:
        place = (trace.side, trace.proxy, str(trace.place.get("pim")), str(trace.place.get("href")))
        at = last.get(place)
        before = found[at] if at is not None else None
        if before is None or at is None or (before.deed, trace.deed) not in _FOLDS:
            found.append(trace)
            if trace.deed in (Deed.CREATED, Deed.UPDATED):
                last[place] = len(found) - 1
            continue
        found[at] = _FOLDS[before.deed, trace.deed](before, trace)
    return [trace for trace in reversed(found) if trace is not None]


def _grown(before: Trace, after: Trace) -> Trace:
    return replace(before, digest=after.digest)


def _both(before: Trace, after: Trace) -> Trace:
    if isinstance(before.old, dict) and isinstance(after.old, dict) and isinstance(before.new, dict):
        new: Any = {**before.new, **(after.new if isinstance(after.new, dict) else {})}
        sent = sorted({*_sent(before), *_sent(after)})
        place: dict[str, Json] = {**after.place, "sent": [*sent]}
        return replace(after, old={**after.old, **before.old}, new=new, place=place)
    text = differing(str(after.old), after.new)
    how = list(difference(str(before.old), text)) if text is not None else None
    return replace(after, old=before.old, new=how)  # type: ignore[arg-type]


def _gone(before: Trace, after: Trace) -> Trace:
    if isinstance(before.old, dict) and isinstance(after.old, dict):
        return replace(after, old={**after.old, **before.old})
    return replace(after, old=before.old)


_FOLDS: Mapping[tuple[Deed, Deed], Callable[[Trace, Trace], Trace | None]] = {
    (Deed.CREATED, Deed.UPDATED): _grown,
    (Deed.UPDATED, Deed.UPDATED): _both,
    (Deed.UPDATED, Deed.DELETED): _gone,
    (Deed.CREATED, Deed.DELETED): lambda _before, _after: None,
}


def plan(trace: Trace, now: Now) -> list[Planned]:
    """What undoing one trace takes, and what of it is refused. Empty: nothing is left to undo. Raises ItemError where
    an item cannot be read."""
    return _PLANS[trace.side, trace.deed](trace, now)


def remade_id(run: str, activity_id: str) -> str:
    """The id of the activity that takes the place of a deleted one: always the same, so that it is made once."""
    return f"undone-{digest(f'{run}/{activity_id}')}"


def settled(proxy: Proxy, type_map: TypeMap | None, me: Context) -> Proxy:
    """The proxy with what waits for a person on it now."""
    if proxy.server is None or proxy.there is not There.LIVE or proxy.share is not Share.SHARED:
        return proxy
    proxy = replace(proxy, undone=still_undone(proxy))
    return replace(proxy, held=merge(proxy, rows_of(type_map), role_in(proxy, me)).held)


# --- items -----------------------------------------------------------------------------------------------------------


def _item_updated(trace: Trace, now: Now) -> list[Planned]:
    proxy, text = now.proxy, differing(str(trace.old), trace.new)
    if proxy is None or not _is_item_of(proxy, trace) or proxy.item is None or now.type_map is None:
        return [Refusal(trace, "The item is not there any more.")]
    if text is None:
        return [Refusal(trace, "The history does not say what was written.")]
    part = split_href(proxy.item.href)[1]
    was, became, shows = (_values(t, now.type_map, part) for t in (str(trace.old), text, proxy.item.text))
    changed = sorted(n for n in {*was, *became} if was.get(n) != became.get(n))
    back = {n: was.get(n) for n in changed if shows.get(n) == became.get(n)}
    later = [n for n in changed if shows.get(n) not in (became.get(n), was.get(n))]
    refused: list[Planned] = [
        Refusal(trace, f"{n} was changed since: it is {shown(shows.get(n))} now.", _SET_IT) for n in later
    ]
    as_left = not part and proxy.item.text == text
    if not (back or (as_left and text != trace.old)):
        return refused
    contents = _contents(str(trace.old), was) if "attach" in back else {}
    now_text = str(trace.old) if as_left else write(proxy.item.text, back, now.me.zone, part, contents)
    after = _shown_again(proxy, now_text, now)
    item = ItemWrite(
        Verb.UPDATE, proxy.item.pim, proxy.item.href, now_text, proxy.item.etag, BECAUSE, after, back, contents
    )
    what = f"old values back: {', '.join(back)}" if back else "as it was before"
    return [Restoration(trace, what, proxy, item), *refused]


_SET_IT = "Set it by hand if it is to be as it was."


def _values(text: str, type_map: TypeMap, part: str) -> PimValues:
    found = read(text, {row.pim for row in type_map.fields}, part)
    return found.values if isinstance(found, Item) else {}


def _contents(text: str, values: PimValues) -> dict[str, bytes]:
    attachments = attachments_of(values.get("attach"))
    found = ((a.digest, content_of(text, a)) for a in attachments if a.digest)
    return {name: content for name, content in found if content is not None}


def _shown_again(proxy: Proxy, text: str, now: Now) -> Proxy:
    """The proxy as if its user had put the old values back into the item; but they are held, not passed on."""
    assert proxy.item is not None
    assert now.type_map is not None
    item = read(text, {row.pim for row in now.type_map.fields}, split_href(proxy.item.href)[1])
    if not isinstance(item, Item):
        raise ItemError("The item is no calendar entry and no to-do any more.")
    seen = absorb(proxy, proxy.item.pim, Resource(proxy.item.href, "", text), item, now.type_map, now.me)
    if proxy.share is not Share.SHARED or proxy.server is None:
        return seen
    names = {n for n in {*seen.values, *proxy.values} if not same(seen.values, proxy.values, n)}
    stored = {**proxy.stored, **{n: seen.values.get(n) for n in names}}
    return settled(replace(seen, undone=proxy.undone | names, stored=stored), now.type_map, now.me)


def _item_created(trace: Trace, now: Now) -> list[Planned]:
    proxy = now.proxy
    if proxy is None or not proxy.has_item or proxy.item is None or not _is_item_of(proxy, trace):
        return []
    if digest(proxy.item.text) != trace.digest:
        return [
            Refusal(trace, "The item was changed since.", f'Delete it: "syncengine delete {proxy.key} --here-only".')
        ]
    first = replace(proxy, share=Share.DROPPED)
    parts = tuple(replace(p, share=Share.DROPPED) for p in now.parts if p.share is Share.SHARED)
    return [
        Restoration(trace, "deleted here; its activity stays", proxy, dropped(first, BECAUSE), None, (first, *parts))
    ]


def _item_deleted(trace: Trace, now: Now) -> list[Planned]:
    """Linked again with its activity where that is still there and has no other item. Where it is gone the item is the
    user's own and not shared: shared, the next run would make the activity anew, which nobody has asked for."""
    proxy = now.proxy
    if proxy is not None and proxy.has_item:
        back = _is_item_of(proxy, trace)
        return [] if back else [Refusal(trace, "It is shown in another place now.", "Delete it there first.")]
    if now.uid_taken:
        return [Refusal(trace, "There is another item with its UID.", "Delete that one first.")]
    kind = Kind(str(trace.place["kind"])) if trace.place.get("kind") else None
    type_map = now.mapping.for_kind(kind) if kind else None
    uid, text = str(trace.place.get("uid") or ""), str(trace.old)
    if type_map is None or not text:
        return [Refusal(trace, "The history does not hold the item.")]
    made = bool(trace.place.get("made"))
    state = ItemState(str(trace.place["pim"]), str(trace.place["href"]), "", text, uid, made, gone=True)
    if proxy is not None and proxy.there is There.LIVE and proxy.server is not None:
        first = _wanted_back(proxy, state, type_map)
        parts = tuple(_part_back(p) for p in now.parts if p.share is Share.DROPPED and p.item and p.item.gone)
        item = restored(first, BECAUSE)
        after = settled(item.after, type_map, now.me)
        return [Restoration(trace, "put back as it was", first, replace(item, after=after), None, (first, *parts))]
    item_values = read(text, {row.pim for row in type_map.fields})
    if not isinstance(item_values, Item):
        return [Refusal(trace, "The item cannot be read any more.")]
    resource = Resource(state.href, "", text)
    alone = adopt(trace.proxy, state.pim, resource, item_values, type_map, Share.UNSHARED, now.me)
    first = replace(alone, share=Share.UNSHARED, item=replace(state, made=False))
    what = f'put back, not shared, because its activity is gone; "syncengine share {uid}" makes one'
    return [Restoration(trace, what, first, restored(first, BECAUSE), None, (first,))]


def _wanted_back(proxy: Proxy, state: ItemState, type_map: TypeMap) -> Proxy:
    """An activity that was moved elsewhere shows in the old place again; where it shows is held."""
    back = replace(proxy, item=state, kind=type_map.kind, share=Share.RESTORED)
    there = proxy.server.values.get("display_in") if proxy.server else None
    if there == type_map.display_in:
        return back
    moved = {"display_in": type_map.display_in}
    undone = proxy.undone | moved.keys()
    return replace(back, values={**proxy.values, **moved}, stored={**proxy.stored, **moved}, undone=undone)


def _part_back(part: Proxy) -> Proxy:
    assert part.item is not None
    return replace(part, share=Share.SHARED, item=replace(part.item, gone=False))


def _is_item_of(proxy: Proxy, trace: Trace) -> bool:
    item, place = proxy.item, trace.place
    return proxy.has_item and item is not None and (item.pim, item.href) == (place.get("pim"), place.get("href"))


# --- activities ------------------------------------------------------------------------------------------------------


def _activity_updated(trace: Trace, now: Now) -> list[Planned]:
    proxy = now.proxy
    if proxy is None or proxy.server is None or proxy.there is not There.LIVE:
        return [Refusal(trace, "The activity is deleted, or you do not see it any more.")]
    old, new, there = _from_json(trace.old), _from_json(trace.new), proxy.server.values
    back, refused = {}, []
    for name in old:
        if same_value(name, there.get(name), old[name]):
            continue
        if not same_value(name, there.get(name), new.get(name)):
            why = f"{name} was changed since: it is {shown(there.get(name))} now."
            refused.append(Refusal(trace, why, _SET_IT))
        elif lost := _lost(name, old[name], there.get(name), now.missing):
            refused.append(
                Refusal(trace, f"The content of {', '.join(lost)} is not there any more.", "Attach it again.")
            )
        else:
            back[name] = old[name]
    if not back:
        return [*refused]
    sent = {name for name in back if name in _sent(trace)}
    by_itself = {name: value for name, value in back.items() if name not in sent}
    first = replace(proxy, undone=proxy.undone | sent, values={**proxy.values, **by_itself})
    command = Update(now.new_id, proxy.server.id, proxy.server.version, back)
    done = Restoration(trace, f"old values back: {', '.join(sorted(sent or back))}", proxy, None, command, (first,))
    return [done, *refused]


def _sent(trace: Trace) -> frozenset[str]:
    names = trace.place.get("sent")
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()


def _lost(name: str, old: Any, there: Any, missing: Collection[str]) -> list[str]:
    if name != "attachments":
        return []
    listed = {a.digest for a in attachments_of(there)}
    return [repr(a.name) for a in attachments_of(old) if a.digest in missing and a.digest not in listed]


def _activity_created(trace: Trace, now: Now) -> list[Planned]:
    proxy = now.proxy
    if proxy is None or proxy.server is None or proxy.there is not There.LIVE:
        return []
    server, role = proxy.server, role_in(proxy, now.me)
    others = ids(server.values.get("employees")) - {now.me.user}
    if digest_of(server.values) != trace.digest or (others and role is Role.TEAM):
        why = f"Others are on its team: {len(others)}." if others and role is Role.TEAM else _changed(server.version)
        return [Refusal(trace, why, f'Delete it on the server: "syncengine activity delete {server.id}".')]
    first = replace(proxy, share=Share.UNSHARED) if proxy.has_item else proxy
    stays = "; the item stays, not shared any more" if proxy.has_item else ""
    if role is Role.GUEST:
        return [Restoration(trace, f"left{stays}", first, None, Leave(now.new_id, server.id), (first,))]
    command = Delete(now.new_id, server.id, server.version)
    return [Restoration(trace, f"deleted on the server{stays}", first, None, command, (first,))]


def _changed(version: int) -> str:
    return f"The activity was changed since, or others have joined it; it is at version {version} now."


def _activity_deleted(trace: Trace, now: Now) -> list[Planned]:
    if now.remade:
        return []
    values = {n: v for n, v in _from_json(trace.old).items() if n not in SERVER_ONLY and v not in (None, "", ())}
    identity = remade_id(now.run, str(trace.place.get("activity")))
    if not values:
        return [Refusal(trace, "The history does not hold the activity.")]
    if lost := _lost("attachments", values.get("attachments"), (), now.missing):
        listed = attachments_of(values["attachments"])
        values["attachments"] = tuple(a.text for a in listed if a.digest not in now.missing)
    first = Proxy(identity, None, values, share=Share.DROPPED)
    command = Insert(now.new_id, identity, values, (), Origin(str(trace.place.get("origin") or Origin.PIM.value)))
    left_out = f", without {', '.join(lost)}" if lost else ""
    what = f"made anew on the server, under another id{left_out}; no item is made here"
    return [Restoration(trace, what, first, None, command, (first,))]


def _left(trace: Trace, _now: Now) -> list[Planned]:
    return [Refusal(trace, "You left its team, and cannot join it again by yourself.", "Ask its owner to add you.")]


def _linked(trace: Trace, now: Now) -> list[Planned]:
    """The item goes its own way, not shared, and the activity stays without one."""
    proxy, activity_id = now.proxy, trace.place.get("activity")
    if proxy is None or proxy.server is None or proxy.server.id != activity_id or not proxy.has_item:
        return []
    what = "no longer one record; the item is not shared any more"
    alone = replace(proxy, share=Share.UNSHARED)
    if trace.place.get("joined") and role_in(proxy, now.me) is Role.GUEST and proxy.there is There.LIVE:
        command = Leave(now.new_id, proxy.server.id)
        return [Restoration(trace, f"{what}; you left the activity's team", alone, None, command, (alone,))]
    own_id = proxy.id if proxy.id != activity_id else now.new_id
    item = replace(unlinked(alone), id=own_id, undone=frozenset())
    server = proxy.server
    activity = Proxy(server.id, None, server.values, server=server, share=Share.DROPPED, there=proxy.there).settled()
    first = (item, replace(activity, shadow=server.values))
    return [Restoration(trace, what, proxy, None, None, first, (proxy.id,))]


def _unlinked(trace: Trace, now: Now) -> list[Planned]:
    if now.proxy is None or now.proxy.share is Share.SHARED or not now.proxy.has_item:
        return []
    return [Refusal(trace, f"The item was unlinked: {trace.because}.", f'Share it: "syncengine share {trace.key}".')]


def _edited(trace: Trace, _now: Now) -> list[Planned]:
    return [
        Refusal(trace, "An edit of a record is not undone.", f'Edit it again: "syncengine record set {trace.key} …".')
    ]


_PLANS: Mapping[tuple[str, Deed], Callable[[Trace, Now], list[Planned]]] = {
    ("pim", Deed.CREATED): _item_created,
    ("pim", Deed.UPDATED): _item_updated,
    ("pim", Deed.DELETED): _item_deleted,
    ("server", Deed.CREATED): _activity_created,
    ("server", Deed.UPDATED): _activity_updated,
    ("server", Deed.DELETED): _activity_deleted,
    ("server", Deed.LEFT): _left,
    ("server", Deed.LINKED): _linked,
    ("server", Deed.UNLINKED): _unlinked,
    ("server", Deed.EDITED): _edited,
}

STAGES: tuple[tuple[tuple[str, Deed], ...], ...] = (
    (("pim", Deed.CREATED), ("pim", Deed.UPDATED)),
    (("pim", Deed.DELETED),),
    (("server", Deed.UPDATED),),
    (("server", Deed.LINKED),),
    (("server", Deed.CREATED), ("server", Deed.DELETED)),
    (("server", Deed.LEFT), ("server", Deed.UNLINKED), ("server", Deed.EDITED)),
)
"""What is undone together, in this order: an item that was moved leaves its new place before it is back in the old one,
and links are cut when all that went over them is back."""


def _from_json(raw: object) -> Values:
    return values_from_json(raw) if isinstance(raw, dict) else {}


def shown(value: Any) -> str:
    """A value in words for people."""
    if value in (None, "", ()):
        return "empty"
    text = str(to_json(value))
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
