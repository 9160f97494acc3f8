"""Conflicts that wait for a person: list them, look at one, answer it (CON-1). The next run carries an answer out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from syncengine.core.activity_values import normal, with_times
from syncengine.core.sync import repetition, resolve
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.resolve import Resolved, Take, open_conflicts
from syncengine.core.sync.settle import updated, whole_copy
from syncengine.core.text_merge import Overlap, marked
from syncengine.errors import ConfigError
from syncengine.model.activity import field_type
from syncengine.model.conflicts import Conflict, Loser, Policy, Rule
from syncengine.model.mapping import TypeMap
from syncengine.model.proxy import Held, Proxy, same
from syncengine.model.values import Value, Values, from_json, to_json
from syncengine.ports import Pim
from syncengine.services.answers import (
    are_strangers,
    are_strangers_no_more,
    forget_answer,
    remember,
    remembered,
    strangers,
)
from syncengine.services.sync.report import SINCE
from syncengine.services.sync.settling import keep_losers
from syncengine.services.sync.work import Work
from syncengine.times import iso

MERGED = "merged"
NO_PIM = cast(Pim, None)
"""Stands where a PIM would: an answer asks none."""
SCOPES = ("item", "field", "type")
_TIMES = frozenset({"planned", "planned_completion"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person says, in their own words. `take`: `server`, `pim`, or `FIELD=server|pim|merged`; `values`:
    `FIELD=VALUE`; `always`: for what else the answer holds, one of SCOPES."""

    take: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    keep_both: bool = False
    always: str = ""


@dataclass(frozen=True, slots=True)
class Apart:
    """Said of an item and an activity: they are not the same."""

    uid: str
    activity: str

    @property
    def words(self) -> str:
        return f"item {self.uid} and activity {self.activity} are not the same"


def answer_json(number: int, answer: Rule | Apart) -> dict[str, Any]:
    """One remembered answer as `conflicts --answers --json` prints it."""
    return {"number": number, "answer": answer.words, **asdict(answer)}


@dataclass(slots=True)
class _Open:
    """A conflict being answered: what is left of the record, what was lost on the way."""

    proxy: Proxy
    type_map: TypeMap
    held: tuple[Held, ...]
    lost: dict[str, Value]
    rules: list[Rule]
    copied: Values | None = None


class Conflicts:
    """`work`: only its state and mappings are used; neither side is asked anything."""

    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    def waiting(self) -> list[Proxy]:
        return [p for p in self.state.held() if open_conflicts(p)]

    def find(self, key: str) -> Proxy:
        """By the beginning of its id, or as `explain` finds it. Raises ConfigError."""
        waiting = self.waiting()
        called = {p.id for p in self.state.find(key)}
        found = [p for p in waiting if p.id in called] or [p for p in waiting if key and p.id.startswith(key)]
        if len(found) == 1:
            return found[0]
        known = [word for p in waiting for word in (p.id, p.key)]
        near = difflib.get_close_matches(key, known, 3, cutoff=0.5)
        if found:
            raise ConfigError(f"{key!r} are several conflicts.", fix=f"Give one of {', '.join(p.id for p in found)}.")
        raise ConfigError(
            f"No conflict is known as {key!r}.",
            where=self.state.path,
            fix=f"Did you mean {', '.join(near)}?" if near else '"syncengine conflicts" lists them.',
        )

    # --- looking ---------------------------------------------------------------------------------------------------

    def brief(self, proxy: Proxy) -> dict[str, Any]:
        since = (self.state.fact(SINCE) or {}).get(proxy.id)
        held = open_conflicts(proxy)
        return {
            "id": proxy.id,
            "item": proxy.key,
            "subject": proxy.values.get("description"),
            "conflict": held[0].conflict,
            "fields": [h.field for h in held if h.field],
            "because": held[0].because,
            "since": since,
        }

    def whole(self, proxy: Proxy) -> dict[str, Any]:
        """All of one conflict: every field with its three values, the merge of texts, and what would resolve it."""
        rows, stamp = rows_of(self.work.type_of(proxy)), updated(proxy)
        return {
            **self.brief(proxy),
            "pim_changed": iso(proxy.modified) if proxy.modified else None,
            "server_changed": iso(stamp) if stamp else None,
            "values": [self._field(h, resolve.proposal(h, rows)) for h in open_conflicts(proxy) if h.field],
            "commands": self._commands(proxy),
        }

    def _field(self, held: Held, parts: Sequence[str | Overlap]) -> dict[str, Any]:
        clean = bool(parts) and not any(isinstance(p, Overlap) for p in parts)
        return {
            "field": held.field,
            "base": to_json(held.base),
            "pim": to_json(held.here),
            "server": to_json(held.there),
            "merged": marked(parts) if parts else None,
            "overlaps": not clean if parts else None,
        }

    def _commands(self, proxy: Proxy) -> list[str]:
        head, held = f"syncengine resolve {proxy.id}", open_conflicts(proxy)
        said = [f"{head} --take server", f"{head} --take pim"]
        rows = rows_of(self.work.type_of(proxy))
        said += [f"{head} --take {h.field}=merged" for h in held if resolve.merged_text(h, rows) is not None]
        if held[0].conflict == Conflict.DUPLICATE and not resolve.are_surely_one(proxy):
            return [*said, f"{head} --not-the-same"]
        return [*said, f"{head} --keep-both"] if held[0].field else said

    # --- answering -------------------------------------------------------------------------------------------------

    def resolve(self, key: str, wish: Wish) -> Proxy:
        """Answer one conflict, or some fields of it. Raises ConfigError and ItemError; then nothing happens."""
        proxy = self.find(key)
        type_map = self.work.type_of(proxy)
        if type_map is None:
            raise ConfigError("No mapping shows this any more.", where=proxy.key, fix="Name the mapping it came by.")
        at = _Open(proxy, type_map, open_conflicts(proxy), {}, [])
        if not (wish.take or wish.values or wish.keep_both):
            raise ConfigError("Say what stands.", where=proxy.key, fix=f'"syncengine show {proxy.id}" lists the ways.')
        if wish.always not in ("", *SCOPES):
            raise ConfigError(f"{wish.always!r} is not known.", fix=f"Known are {', '.join(SCOPES)}.")
        if wish.keep_both and at.held[0].conflict == Conflict.DUPLICATE and not resolve.are_surely_one(proxy):
            return self._not_the_same(proxy)
        replaces = self._answer(at, wish)
        with self.state.transaction():
            copies = keep_losers(self.work, proxy, "answered by hand", at.lost, at.copied)
            for rule in at.rules:
                remember(self.state, rule)
            if replaces:
                self.state.forget([replaces])
                self.state.save([at.proxy], dirty=True)
            else:
                self.state.amend([at.proxy])
            self.state.save(copies, dirty=True)
        return at.proxy

    def _not_the_same(self, proxy: Proxy) -> Proxy:
        assert proxy.item is not None
        with self.state.transaction():
            are_strangers(self.state, proxy.item.uid, proxy.activity_id)
            self.state.amend([proxy])
        return proxy

    def _answer(self, at: _Open, wish: Wish) -> str:
        """Lay the answers onto the record; the id it had, where it goes by another now."""
        if any(not h.field for h in at.held):
            return self._whole_record(at, wish)
        if wish.keep_both:
            at.copied = resolve.losing(at.held, at.proxy, rows_of(at.type_map), Take.SERVER)
            self._take(at, at.held, "server", wish.always, Loser.COPY)
            return ""
        for said in wish.take:
            name, given, whose = said.rpartition("=")
            self._take(at, [_named(at, name)] if given else at.held, whose, wish.always)
        for said in wish.values:
            self._set(at, said, wish.always)
        if wish.values:
            _check_times(at.proxy)
        return ""

    def _whole_record(self, at: _Open, wish: Wish) -> str:
        if len(wish.take) != 1 or wish.take[0] not in list(Take) or wish.values or wish.keep_both:
            raise ConfigError(
                "A deletion is about the whole record.",
                where=at.proxy.key,
                fix="--take server or --take pim: it is restored or deleted as a whole.",
            )
        before, whose = at.proxy, Take(wish.take[0])
        found = resolve.take_whole(before, whose, self.work.new_id())
        at.proxy, at.lost = replace(found.proxy, held=()), dict(found.lost)
        at.copied = whole_copy(before, Loser.DISCARD, whose)
        at.rules += self._rule(at, at.held[0], Policy(whose.value), wish.always, Loser.DISCARD)
        return found.replaces

    def _take(
        self, at: _Open, conflicts: Sequence[Held], whose: str, always: str, loser: Loser = Loser.DISCARD
    ) -> None:
        rows = rows_of(at.type_map)
        if whose not in (*Take, MERGED):
            raise ConfigError(
                f"{whose!r} cannot be taken.",
                where=at.proxy.key,
                fix="Take server, pim, or FIELD=server, pim or merged.",
            )
        for held in conflicts:
            if whose == MERGED:
                text = resolve.merged_text(held, rows)
                if text is None:
                    raise ConfigError(
                        f"The changes of {held.field!r} overlap, or it is no text.",
                        where=at.proxy.key,
                        fix=f'"syncengine show {at.proxy.id}" shows them; --set {held.field}=… says what stands.',
                    )
                found = resolve.take_value(at.proxy, held.field, text)
            else:
                found = resolve.take(at.proxy, resolve.names_of(held, at.proxy, rows), Take(whose))
            self._done(at, held, found)
            policy = Policy.MERGE if whose == MERGED else Policy(whose)
            at.rules += self._rule(at, held, policy, always, loser)

    def _set(self, at: _Open, said: str, always: str) -> None:
        name, given, text = said.partition("=")
        held = _named(at, name)
        if not given or always or held.field == repetition.RECURRENCE:
            fix = "--take recurrence=server or pim." if held.field == repetition.RECURRENCE else "--set FIELD=VALUE."
            raise ConfigError(f"{said!r} is no value that can be set or remembered.", where=at.proxy.key, fix=fix)
        try:
            value = normal({held.field: from_json(text, field_type(held.field))})[held.field]
        except ValueError as e:
            raise ConfigError(f"{held.field}: {e}.", where=at.proxy.key, fix="Write a value of that form.") from e
        self._done(at, held, resolve.take_value(at.proxy, held.field, value))

    def _done(self, at: _Open, held: Held, found: Resolved) -> None:
        left = tuple(h for h in at.proxy.held if h.field != held.field)
        at.proxy, at.lost = replace(found.proxy, held=left), {**at.lost, **found.lost}

    def _rule(self, at: _Open, held: Held, policy: Policy, always: str, loser: Loser) -> list[Rule]:
        if not always:
            return []
        name = repetition.RULE if held.field == repetition.RECURRENCE else held.field
        if always == "field" and not name:
            raise ConfigError(
                "A deletion is about no field.", where=at.proxy.key, fix="--always item, or --always type."
            )
        scope = {"item": {"key": at.proxy.key}, "field": {"field": name}, "type": {"type": at.type_map.name}}[always]
        return [Rule(policy, Conflict(held.conflict), **scope, loser=loser)]

    # --- what is remembered ----------------------------------------------------------------------------------------

    def answers(self) -> list[Rule | Apart]:
        return [*remembered(self.state), *(Apart(*pair) for pair in sorted(strangers(self.state)))]

    def forget(self, words: str) -> Rule | Apart:
        """Forget the answer of these words, or of this number in the list. Raises ConfigError."""
        known = self.answers()
        numbers = {str(n): answer for n, answer in enumerate(known, 1)}
        found = numbers.get(words) or next((a for a in known if a.words == words), None)
        if found is None:
            raise ConfigError(f"No answer {words!r} is remembered.", fix='"syncengine conflicts --answers" lists them.')
        with self.state.transaction():
            if isinstance(found, Apart):
                are_strangers_no_more(self.state, found.uid, found.activity)
            else:
                forget_answer(self.state, found)
        return found


def _check_times(proxy: Proxy) -> None:
    """Refuses times that cannot stand together, once it is known what stands. Raises ItemError."""
    if proxy.server is None or {h.field for h in proxy.held} & _TIMES:
        return
    stands = {n: (proxy.server.values if same(proxy.values, proxy.agreed, n) else proxy.values).get(n) for n in _TIMES}
    with_times(stands, _TIMES)


def _named(at: _Open, name: str) -> Held:
    names = {h.field: h for h in at.held}
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name, names, 1)
    raise ConfigError(
        f"{name!r} is not in conflict.",
        where=at.proxy.key,
        fix=f"Did you mean {near[0]!r}?" if near else f"In conflict are {', '.join(names) or 'no fields'}.",
    )
