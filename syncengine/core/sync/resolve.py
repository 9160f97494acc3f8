"""Answers to conflicts, by a person or by a rule: (proxy, answer) → proxy (CON-1).

An answer sets the bases so that the next run does what was said, through the same merge, table and brakes as always:
who takes the server's value says that nothing changed here, who takes the PIM's that nothing changed there. A new value
is said on the proxy, as an edit without the item is (`Proxy.shown`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from syncengine.core.ical.href import split_href
from syncengine.core.mapping.apply import defaults, up
from syncengine.core.mapping.context import Context
from syncengine.core.sync import repetition
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.merge import Rows
from syncengine.core.sync.reconcile import unlinked
from syncengine.core.text_merge import Part, merge_parts, merged
from syncengine.model.mapping import Direction, TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Held, Proxy, Share, There, same
from syncengine.model.values import Value, Values


class Take(StrEnum):
    """Whose values stand."""

    SERVER = "server"
    PIM = "pim"


@dataclass(frozen=True, slots=True)
class Resolved:
    """`proxy` as answered. `lost`: values of the PIM's side that go; what the server loses is kept when it is told.
    `replaces`: the proxy goes by another id now. `other`: the activity, where it is its own again."""

    proxy: Proxy
    lost: Values = field(default_factory=dict)
    replaces: str = ""
    other: Proxy | None = None


def open_conflicts(proxy: Proxy) -> tuple[Held, ...]:
    """What can be answered; the rest of what is held waits for something else."""
    return tuple(h for h in proxy.held if h.conflict)


def is_at_rest(proxy: Proxy) -> bool:
    """Nothing changed here, which is most of what a run looks at: nothing can be in conflict."""
    return not _is_gone(proxy) and not proxy.undone and proxy.values == proxy.agreed


def names_of(held: Held, proxy: Proxy, rows: Rows) -> frozenset[str]:
    """The fields one conflict is about."""
    if held.field != repetition.RECURRENCE:
        return frozenset({held.field})
    server = proxy.server.values if proxy.server else {}
    return frozenset(n for n in repetition.members(rows) if not same(proxy.values, server, n))


def take(proxy: Proxy, names: Iterable[str], whose: Take) -> Resolved:
    return take_server(proxy, names) if whose is Take.SERVER else take_pim(proxy, names)


def take_server(proxy: Proxy, names: Iterable[str]) -> Resolved:
    """The server's values stand and come down."""
    assert proxy.server is not None
    names, server = frozenset(names), proxy.server.values
    after = replace(proxy, undone=proxy.undone - names)
    lost = {n: proxy.values.get(n) for n in names if not same(proxy.values, server, n)}
    quiet = [n for n in names if same(server, proxy.stored, n)]  # nothing changed there: it has to be said here
    moving = {n: proxy.values.get(n) for n in names if n not in quiet}
    after = replace(after, agreed={**proxy.agreed, **moving})
    for name in quiet:
        after = take_value(after, name, server.get(name)).proxy
    return Resolved(after, lost)


def take_pim(proxy: Proxy, names: Iterable[str]) -> Resolved:
    """The PIM's values stand and go up."""
    assert proxy.server is not None
    names = frozenset(names)
    theirs = {n: proxy.server.values.get(n) for n in names}
    after = replace(proxy, agreed={**proxy.agreed, **theirs}, stored={**proxy.stored, **theirs})
    return Resolved(replace(after, undone=proxy.undone - names))


def take_value(proxy: Proxy, name: str, value: Value) -> Resolved:
    """Another value stands: it goes up, and the item shows it after."""
    before, after = proxy.values.get(name), take_pim(proxy, [name]).proxy
    if same({name: value}, proxy.values, name):
        return Resolved(after)
    shows = proxy.has_item and proxy.kind is not Kind.EMAIL
    shown = {name: before, **proxy.shown} if shows else proxy.shown
    return Resolved(replace(after, values={**after.values, name: value}, shown=shown), {name: before})


# --- texts -----------------------------------------------------------------------------------------------------------


def is_text(name: str, rows: Rows) -> bool:
    """Whether a field is a free text, which can be merged."""
    row = rows.get(name)
    return row is not None and row.converter == "text"


def proposal(held: Held, rows: Rows) -> tuple[Part, ...]:
    """The merge of a text with its overlaps; nothing for what is no text, or has no past to merge by."""
    if not is_text(held.field, rows):
        return ()
    return merge_parts(*(str(v or "") for v in (held.base, held.here, held.there)))


def merged_text(held: Held, rows: Rows) -> str | None:
    """The text with both changes; None where that is not to be had."""
    if not is_text(held.field, rows):
        return None
    return merged(*(str(v or "") for v in (held.base, held.here, held.there)))


# --- whole records ---------------------------------------------------------------------------------------------------


def take_whole(proxy: Proxy, whose: Take, new_id: str) -> Resolved:
    """A deletion against a change. The side that is taken says what becomes of the whole record: it is restored, or
    deleted. A changed occurrence comes back into its series (`core.ical.put_back`)."""
    if proxy.there is There.DELETED:
        return _deleted_there(proxy, whose, new_id)
    if whose is Take.PIM:  # the deletion is passed on, whatever the server has changed; what was typed here is no base
        seen = proxy.server.values if proxy.server else {}  # of anything, should the item come back after all
        return Resolved(replace(proxy, stored=seen, held=()))
    back = replace(proxy, held=(), share=Share.RESTORED if _is_gone(proxy) else Share.SHARED)
    return Resolved(back)


def _deleted_there(proxy: Proxy, whose: Take, new_id: str) -> Resolved:
    if whose is Take.SERVER:
        lost = {n: v for n, v in proxy.values.items() if not same(proxy.values, proxy.agreed, n)}
        return Resolved(replace(proxy.settled(), undone=frozenset(), shown={}), lost)
    anew = replace(unlinked(proxy), id=new_id, share=Share.SHARED, undone=frozenset())
    return Resolved(anew, replaces=proxy.id)


def was_deleted_here(proxy: Proxy) -> bool:
    """Of a deletion against a change: which side deleted."""
    return proxy.there is not There.DELETED


def _is_gone(proxy: Proxy) -> bool:
    return proxy.item is not None and proxy.item.gone


# --- two that are not the same ---------------------------------------------------------------------------------------


def are_surely_one(proxy: Proxy) -> bool:
    """Whether item and activity carry the same id: then they are the same, whatever anybody says (KEY-1)."""
    mine = proxy.values.get("integration_id")
    return proxy.server is None or not mine or proxy.server.values.get("integration_id") == mine


def apart(proxy: Proxy, type_map: TypeMap, me: Context, new_id: str) -> Resolved:
    """Item and activity as two: the item is told as an activity of its own, and the other one stays as it is."""
    assert proxy.server is not None
    item = snapshot(proxy, type_map)
    values = {**defaults(type_map), **up(item, type_map, me)} if item else proxy.values
    alone = replace(proxy, there=There.LIVE, share=Share.SHARED)
    alone = replace(unlinked(alone), id=new_id, share=Share.SHARED, values=values, undone=frozenset())
    other = Proxy(proxy.server.id, None, server=proxy.server, there=There.LIVE)
    return Resolved(alone, replaces=proxy.id, other=other)


def losing(held: Iterable[Held], proxy: Proxy, rows: Rows, whose: Take) -> Values:
    """The whole record as the side that was not taken has it."""
    server: Mapping[str, Value] = proxy.server.values if proxy.server else {}
    names = {n for h in held for n in names_of(h, proxy, rows)}
    theirs = {n: server.get(n) for n in names}
    return {**proxy.values, **theirs} if whose is Take.PIM else dict(proxy.values)


def can_be_copied(proxy: Proxy, type_map: TypeMap | None) -> bool:
    """Whether an entry can be made in the item's collection: it has one, is no mail, and no occurrence of a series."""
    if proxy.item is None or type_map is None or proxy.kind is Kind.EMAIL:
        return False
    return not split_href(proxy.item.href)[1] and any(r.direction is not Direction.UP for r in type_map.fields)
