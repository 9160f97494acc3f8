"""Conflicts that rules settle, before anything else is decided (CON-1): the mapping's, and remembered answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncengine.core.mapping.context import Context
from syncengine.core.sync import repetition, resolve
from syncengine.core.sync.merge import Merge, Rows, merge
from syncengine.core.sync.reconcile import VERDICTS, Verdict, here, there
from syncengine.core.sync.resolve import Resolved, Take
from syncengine.core.sync.roles import role_in
from syncengine.model.conflicts import Conflict, Loser, Policy, Rule, Rules
from syncengine.model.mapping import TypeMap
from syncengine.model.proxy import Held, Proxy, same
from syncengine.model.values import Values
from syncengine.times import parse_moment


@dataclass(frozen=True, slots=True)
class Settled:
    """`copied`: the values to be kept as a copy, if any. `because`: which rules decided, in words. `overruled`: fields
    no item shows, where the server's values stand without a rule."""

    resolved: Resolved
    because: str
    copied: Values | None = None
    overruled: tuple[str, ...] = ()


def settle(proxy: Proxy, type_map: TypeMap, rules: Rules, me: Context, new_id: str) -> Settled | None:
    """What the rules make of the proxy's conflicts; None where there are none, or a person has to say."""
    if proxy.server is None or resolve.is_at_rest(proxy):
        return None
    rows: Rows = {row.field: row for row in type_map.fields}
    role = role_in(proxy, me)
    merged = merge(proxy, rows, role)
    verdict = VERDICTS.get((here(proxy, merged, role), there(proxy, merged)))
    if verdict is not None and verdict.verdict is Verdict.HOLD:
        return _whole(proxy, type_map, rules, new_id)
    if verdict is None or verdict.verdict not in (Verdict.PUSH, Verdict.PULL, Verdict.MERGE):
        return None
    return _fields(proxy, merged, rows, type_map, rules)


def _whole(proxy: Proxy, type_map: TypeMap, rules: Rules, new_id: str) -> Settled | None:
    rule = rules.settle(Conflict.DELETE, type_map.name, key=proxy.key)
    if rule.policy not in (Policy.SERVER, Policy.PIM):
        return None
    whose = Take(rule.policy.value)
    resolved = resolve.take_whole(proxy, whose, new_id)
    return Settled(resolved, rule.words, whole_copy(proxy, rule.loser, whose))


def whole_copy(proxy: Proxy, loser: Loser, whose: Take) -> Values | None:
    """Of a deletion against a change: the changed record, where it is what goes."""
    deleted_here = resolve.was_deleted_here(proxy)
    goes = whose is (Take.PIM if deleted_here else Take.SERVER)
    stays = not deleted_here and proxy.item is not None and not proxy.item.made  # the user's own entry is not deleted
    if loser is not Loser.COPY or not goes or stays:
        return None
    return {**proxy.values, **(proxy.server.values if proxy.server and deleted_here else {})}


def _fields(proxy: Proxy, merged: Merge, rows: Rows, type_map: TypeMap, rules: Rules) -> Settled | None:
    overruled = _overruled(proxy, merged)
    after, lost, words = proxy, dict(overruled), []
    copies: dict[Take, list[Held]] = {Take.SERVER: [], Take.PIM: []}
    for held in merged.held:
        name = repetition.RULE if held.field == repetition.RECURRENCE else held.field
        rule = rules.settle(Conflict(held.conflict), type_map.name, name, proxy.key)
        found = None if resolve.names_of(held, after, rows) & proxy.undone else _by(rule, held, after, rows)
        if found is None:
            continue
        resolved, winner = found
        after, lost = resolved.proxy, {**lost, **resolved.lost}
        words.append(rule.words)
        if rule.loser is Loser.COPY and winner is not None:
            copies[winner].append(held)
    if after == proxy and not lost:
        return None
    because = "; ".join(dict.fromkeys(words)) or "no item shows it"
    return Settled(Resolved(after, lost), because, _copied(proxy, copies, rows), tuple(sorted(overruled)))


def _copied(proxy: Proxy, copies: dict[Take, list[Held]], rows: Rows) -> Values | None:
    """One copy of a record, however many of its fields were lost: the PIM's version where it lost any."""
    if copies[Take.SERVER]:
        return resolve.losing(copies[Take.SERVER], proxy, rows, Take.SERVER)
    return resolve.losing(copies[Take.PIM], proxy, rows, Take.PIM) if copies[Take.PIM] else None


def _overruled(proxy: Proxy, merged: Merge) -> Values:
    """Values changed here in fields no item shows, where the server's stand without a rule."""
    server = proxy.server.values if proxy.server else {}
    changed = (n for n in merged.pull if not same(proxy.values, proxy.agreed, n) and not same(proxy.values, server, n))
    return {n: proxy.values.get(n) for n in changed if not isinstance(proxy.values.get(n), tuple)}


def _by(rule: Rule, held: Held, proxy: Proxy, rows: Rows) -> tuple[Resolved, Take | None] | None:
    """The answer of a rule and who wins by it (nobody, where both are merged); None: a person is asked."""
    names = resolve.names_of(held, proxy, rows)
    if rule.policy is Policy.MERGE:
        text = resolve.merged_text(held, rows)
        return (resolve.take_value(proxy, held.field, text), None) if text is not None else None
    whose = _newest(proxy, names) if rule.policy is Policy.NEWEST else None
    if rule.policy in (Policy.SERVER, Policy.PIM):
        whose = Take(rule.policy.value)
    return (resolve.take(proxy, names, whose), whose) if whose else None


def _newest(proxy: Proxy, names: frozenset[str]) -> Take | None:
    """Who changed the record last, by the stamps of the two servers, to the second; None where they do not tell. What
    was changed here without the item has no server's stamp."""
    mine, theirs = proxy.modified, updated(proxy)
    if mine is None or theirs is None or names & proxy.shown.keys():
        return None
    mine, theirs = mine.replace(microsecond=0), theirs.replace(microsecond=0)
    if mine == theirs:
        return None
    return Take.PIM if mine > theirs else Take.SERVER


def updated(proxy: Proxy) -> datetime | None:
    """When the activity was changed last by somebody else, as the activity server says."""
    said = proxy.server.values.get("updated") if proxy.server else None
    try:
        found = parse_moment(str(said)) if said else None
    except ValueError:
        return None
    return found if isinstance(found, datetime) and found.tzinfo else None
