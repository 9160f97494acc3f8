"""Failed items in a scenario: the list of them, what a person does with it, and the time that passes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from syncengine.model.issue import Issue
from syncengine.services.scenario.stage import Actor, Play, Untrue
from syncengine.services.sync import retrying


def minutes_pass(here: Play, actor: Actor, details: Any) -> None:
    here.now += timedelta(minutes=details)


def retries(here: Play, actor: Actor, details: Any) -> None:
    retrying.retry(actor.state, [_find(actor, details)])


def ignores(here: Play, actor: Actor, details: Any) -> None:
    retrying.ignore(actor.state, [_find(actor, details)])


def has_issue(here: Play, actor: Actor, details: Mapping[str, Any]) -> None:
    if details.get("gone"):
        if found := _about(actor, details["where"]):
            raise Untrue(f"{found[0].problem.where} still has a problem: {found[0].problem.what}")
        return
    issue = _find(actor, details["where"])
    found_now = {"state": issue.state.value, "tries": issue.tries}
    wrong = [f"{n} is {v}, not {details[n]}" for n, v in found_now.items() if details.get(n, v) != v]
    if str(details.get("what", "")).lower() not in issue.problem.what.lower():
        wrong.append(f"it says: {issue.problem.what}")
    if wrong:
        raise Untrue("; ".join(wrong))


def _about(actor: Actor, words: str) -> list[Issue]:
    return [i for i in actor.state.issues() if words in i.problem.where or words in i.problem.what]


def _find(actor: Actor, words: str) -> Issue:
    found = _about(actor, words)
    if len(found) != 1:
        places = [i.problem.where for i in actor.state.issues()]
        raise Untrue(f"{len(found)} failed items are about {words!r}; there are {places}")
    return found[0]
