"""Natural keys: which item, proxy and activity are the same thing (KEY-1…8).

A key is turned into one comparable text, so that a store can find partners by equality. A record has several texts,
in the order of the mapping's keys; the first that meets decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from syncengine.core.mapping.apply import moved_down, recurring, told_before
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.series import CannotShow
from syncengine.core.sync.merge import united
from syncengine.core.sync.roles import Role, newer_revision, role
from syncengine.model.activity import DERIVED, Activity, Origin, derived_uid
from syncengine.model.commands import NaturalKey
from syncengine.model.item import Item
from syncengine.model.mapping import Direction, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There, same
from syncengine.model.values import Values, to_json

PEOPLE = ("employees", "contacts", "participants")
_GIVEN_BY_US = ("integration_id", "timezone")
"""What an item made from an activity says although the activity does not: no news for the server."""


def key_texts(values: Values, keys: Iterable[NaturalKey]) -> tuple[str, ...]:
    """One text for each key whose fields are all filled, in order (KEY-4). Includes the UID an item made from the
    activity would have, so that an item made by another client of the same user is recognised."""
    return tuple(text for key in keys if (text := key_text(values, key)))


def key_text(values: Values, key: NaturalKey) -> str | None:
    parts = [to_json(values.get(name)) for name in key]
    if not all(parts):
        return None
    digest = hashlib.sha256(json.dumps([list(key), parts], sort_keys=True).encode()).hexdigest()
    return f"{'+'.join(key)}:{digest[:32]}"


def keys_of_item(values: Values, type_map: TypeMap) -> tuple[str, ...]:
    """Key texts by which an item waits for its activity. An item made from an activity waits for that one, not for
    another with the same subject and start."""
    uid = str(values.get("integration_id") or "")
    if type_map.kind is Kind.EMAIL:
        return _of_messages(key_texts(values, type_map.natural_keys))
    if not uid.startswith(DERIVED):
        return key_texts(values, type_map.natural_keys)
    by_id = [key for key in type_map.natural_keys if "integration_id" in key]
    return (f"derived:{uid.removeprefix(DERIVED)}", *key_texts(values, by_id))


def keys_of_activity(activity: Activity, type_map: TypeMap) -> tuple[str, ...]:
    """Key texts by which an activity waits for its item. Keys without the integration id (key 2) are only for an
    activity that has none (KEY-2)."""
    identified = bool(activity["integration_id"])
    keys = [k for k in type_map.natural_keys if "integration_id" in k or not identified]
    if type_map.kind is Kind.EMAIL:
        return _of_messages(key_texts(activity.values, keys))
    return (f"derived:{activity.id}", *key_texts(activity.values, keys))


def keys_of_lost(activity: Activity, type_map: TypeMap, me: Context) -> tuple[str, ...]:
    """Those of an activity whose message is not found any more: it may turn up again (EML-2), whoever owns the
    activity by now."""
    unowned = {**activity.values, "owner": me.generic_owner}
    by_id = [key for key in type_map.natural_keys if "integration_id" in key]
    found = (*keys_of_activity(activity, type_map), *_of_messages(key_texts(unowned, by_id)))
    return tuple(dict.fromkeys(found))


def _of_messages(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Anybody can send a message with the UID of somebody's meeting as its id: they never meet."""
    return tuple(f"email:{text}" for text in texts)


def texts_taken(values: Values, keys: Iterable[NaturalKey]) -> tuple[str, ...]:
    """Texts under which an activity without an integration id is found that has its item already: another item that
    looks the same, such as a copy the user made, is not its item (KEY-2)."""
    return tuple(f"taken:{text}" for text in key_texts(values, (k for k in keys if "integration_id" not in k)))


def pairs(wanted: Sequence[str], candidates: Sequence[tuple[str, str]]) -> str | None:
    """Of candidates (key text, id) the one to link: by the order of the wanted keys, then the smallest id, so that
    equal candidates are paired one to one and always the same way (KEY-6)."""
    for text in wanted:
        found = sorted(identity for key, identity in candidates if key == text)
        if found:
            return found[0]
    return None


def link(proxy: Proxy, activity: Activity, item: Item | None, type_map: TypeMap, me: Context) -> Proxy:
    """The proxy of an item, now of this activity too, with bases set so that reconciling does what first contact
    asks (KEY-5): equal fields agree, an empty side is filled, people are united, a guest's copy yields, an owner's
    copy replaces what a guest's copy brought, and what an owner has otherwise differs in both ways: a conflict."""
    made_from_it = proxy.item is not None and proxy.item.uid == derived_uid(activity.id)
    item_state = proxy.item
    if item_state is not None and made_from_it and activity.origin is Origin.SERVER:
        item_state = replace(item_state, made=True)
    linked = replace(proxy, item=item_state, server=activity, there=There.LIVE, share=Share.SHARED)
    linked = replace(linked, shadow=dict(activity.values))
    if proxy.kind is Kind.EMAIL:
        return _message_joins(proxy, linked)
    if _yields(proxy, activity, me):
        known = replace(linked, values={**proxy.values, **activity.values}).settled()
        if made_from_it or activity["integration_id"]:
            return known
        writes_id_up = {**known.values, "integration_id": proxy.values.get("integration_id")}  # KEY-2
        return replace(known, values=writes_id_up, agreed={**known.agreed, "integration_id": None})
    newer = role(activity.values, me) is Role.TEAM and newer_revision(proxy.values, activity.values)
    rows = {row.field: row for row in type_map.fields}
    given = _shown_by_default(activity, item, type_map, me) if made_from_it else frozenset()
    values: dict[str, object] = {**activity.values, **proxy.values}
    agreed: dict[str, object] = {}
    stored: dict[str, object] = {}
    for name in proxy.values:  # what only the server has comes down by reconciling
        row = rows.get(name)
        up_only = bool(row and row.direction is Direction.UP)
        if agree(name, proxy.values, activity.values, item, type_map, me, up_only=up_only) or (
            made_from_it and not activity.values.get(name) and (name in _GIVEN_BY_US or name in given)
        ):
            values[name] = activity.values.get(name)
            agreed[name], stored[name] = values[name], values[name]
        elif ((activity.provisional or newer) and name not in PEOPLE) or _finds_owner(name, activity, me):
            agreed[name], stored[name] = activity.values.get(name), activity.values.get(name)
    earlier = item is not None and told_before(item, activity.values, type_map, me)  # then more is due
    more_from = me.this_day if earlier else proxy.more_from
    return replace(linked, values=values, agreed=agreed, stored=stored, more_from=more_from)  # type: ignore[arg-type]


def _shown_by_default(activity: Activity, item: Item | None, type_map: TypeMap, me: Context) -> frozenset[str]:
    """The fields whose property is as it was when the item was made from the activity: what the item had to show
    where the activity says nothing."""
    if item is None:
        return frozenset()
    try:
        made = moved_down({}, activity.values, None, type_map, me)
    except CannotShow:
        return frozenset()
    return frozenset(r.field for r in type_map.fields if r.pim in made and made[r.pim] == item.values.get(r.pim))


_OWN_WORD = frozenset({"integration_id"})
_NO_GAPS = frozenset({"display_in", "type", "owner", "employees"})
"""What is the server's to say of an email: the sharer is on the team by linking."""


def _message_joins(proxy: Proxy, linked: Proxy) -> Proxy:
    """A message and its activity never contradict each other (MID-5): what the activity says stands. What it leaves
    empty is filled, and the contacts are united, where the user has shared the message; otherwise only its id goes
    up."""
    there, here = linked.server.values if linked.server else {}, proxy.values
    fills = proxy.share is Share.SHARED and not there.get("private")  # of a private one not all may be seen
    known = replace(linked, values={**here, **there}).settled()
    known = replace(known, agreed={name: there.get(name) for name in known.values})
    values = {name: there.get(name) for name in known.values}
    for name, mine in here.items():
        theirs = there.get(name)
        if not fills and name not in _OWN_WORD:
            continue
        if name == "contacts":
            values[name] = united(name, (), mine, theirs)
        elif not theirs and name not in _NO_GAPS:
            values[name] = mine
    return replace(known, values=values)


def _yields(proxy: Proxy, activity: Activity, me: Context) -> bool:
    """Whether this copy's values are no differences (KEY-5): it is a guest's, or one of several participants' in a
    meeting nobody here organizes, who may have got an older revision."""
    theirs = role(activity.values, me)
    if theirs is Role.TEAM and role(proxy.values, me) is not Role.OWNER:
        return not newer_revision(proxy.values, activity.values)
    return theirs is Role.GUEST


def _finds_owner(name: str, activity: Activity, me: Context) -> bool:
    """Another client could not tell who owns it; this one can: the activity becomes the owner's."""
    return name == "owner" and activity["owner"] == me.generic_owner


def agree(
    name: str, here: Values, there: Values, item: Item | None, type_map: TypeMap, me: Context, *, up_only: bool
) -> bool:
    """Equal, or as equal as the item can show: a to-do showing *high* agrees with an activity that is ASAP."""
    if same(here, there, name):
        return True
    if item is None or up_only or name in ("integration_id", "owner") or not here.get(name) or not there.get(name):
        return False
    if name in recurring(type_map) and told_before(item, there, type_map, me):
        return True
    try:
        return not moved_down(here, {**here, name: there.get(name)}, item, type_map, me)
    except CannotShow:
        return False
