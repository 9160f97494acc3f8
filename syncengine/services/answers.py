"""Answers to conflicts that are remembered in the client's state, and pairs that are not the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from syncengine.model.conflicts import Conflict, Loser, Policy, Rule
from syncengine.ports import ClientState

_ANSWERS = "answers"
_STRANGERS = "not the same"


def remembered(state: ClientState) -> tuple[Rule, ...]:
    return tuple(_rule(raw) for raw in state.fact(_ANSWERS) or ())


def remember(state: ClientState, rule: Rule) -> None:
    """One answer; it takes the place of an earlier one about the same. Inside a transaction."""
    kept = [r for r in remembered(state) if _about(r) != _about(rule)]
    state.set_fact(_ANSWERS, [asdict(r) for r in (*kept, rule)])


def forget_answer(state: ClientState, rule: Rule) -> None:
    """Inside a transaction."""
    state.set_fact(_ANSWERS, [asdict(r) for r in remembered(state) if r != rule])


def strangers(state: ClientState) -> frozenset[tuple[str, str]]:
    """(item UID, activity id) of those that look like the same and are not."""
    return frozenset((uid, activity) for uid, activity in state.fact(_STRANGERS) or ())


def are_strangers(state: ClientState, uid: str, activity_id: str) -> None:
    """Inside a transaction."""
    state.set_fact(_STRANGERS, sorted([*strangers(state), (uid, activity_id)]))


def are_strangers_no_more(state: ClientState, uid: str, activity_id: str) -> None:
    """Inside a transaction."""
    state.set_fact(_STRANGERS, sorted(strangers(state) - {(uid, activity_id)}))


def _about(rule: Rule) -> tuple[object, ...]:
    return rule.conflict, rule.type, rule.field, rule.key


def _rule(raw: dict[str, Any]) -> Rule:
    return Rule(
        Policy(raw["policy"]), Conflict(raw["conflict"]), raw["type"], raw["field"], raw["key"], Loser(raw["loser"])
    )
