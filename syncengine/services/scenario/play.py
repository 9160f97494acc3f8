"""Plays a scenario: users with PIMs and client states of their own, around one activity server.

The parts are the real ones; `Stage` says how they are made, so this package needs no connector and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from syncengine import render
from syncengine.core.directory_file import parse_directory
from syncengine.errors import Stopped, SyncEngineError
from syncengine.model.scenario import Scenario, Step, Verdict
from syncengine.ports import Pim
from syncengine.services.scenario.client import (
    adds_offline,
    deletes_here,
    deletes_offline,
    knows,
    relates,
    removes_product,
    sets_offline,
)
from syncengine.services.scenario.conflicts import copies, edits_mapping, forgets_answer, resolves
from syncengine.services.scenario.deeds import (
    adds,
    answers,
    attaches,
    changes,
    changes_occurrence,
    confirms,
    days_pass,
    deletes,
    detaches,
    disconnects,
    imports,
    receives,
    reconnects,
    removes,
    renames,
    replaces_calendar,
    restores_occurrence,
    reverts,
    saves,
    sets,
    shares,
    unshares,
)
from syncengine.services.scenario.issues import has_issue, ignores, minutes_pass, retries
from syncengine.services.scenario.mail import has_mail, loses_mail, receives_mail, renumbers_mail
from syncengine.services.scenario.policies import (
    begin,
    carries_out,
    edits_policies,
    monitors,
    replays,
    restarts_monitor,
    says_policy,
)
from syncengine.services.scenario.records import (
    chooses,
    counts,
    edits_record,
    finds,
    has_no_record,
    has_record,
    has_under,
    keeps_edit,
    pins,
    removes_record,
    undoes_edit,
)
from syncengine.services.scenario.runs import rehearses, run_for, said, syncs, undoes
from syncengine.services.scenario.stage import DIRECTORY, GENERIC_OWNER, Actor, Play, Stage, Untrue
from syncengine.services.scenario.truths import (
    explains,
    holds,
    sees,
    sees_nothing_of,
    server_count,
    server_has,
    server_has_nothing_of,
    suggests,
)


def play(scenario: Scenario, steps: Sequence[Step], stage: Stage, ids: Iterator[str]) -> Verdict:
    """Play the steps, in one of the orders the scenario allows; then let every user run twice more: the second run must
    have nothing to do."""
    with ExitStack() as stack:
        here = Play(scenario, stage, stage.mapping(scenario.mapping, scenario.mapping_edits), ids)
        try:
            _enter(here, stack)
            for step in steps:
                _step(here, step)
            _rest(here)
        except Untrue as e:
            return Verdict(scenario, f"{e}{_in_order(steps)}")
        except SyncEngineError as e:
            return Verdict(scenario, f"an error nobody expected: {e}")
    return Verdict(scenario)


def _in_order(steps: Sequence[Step]) -> str:
    """Which order it was, where there are several."""
    shown = [f"{s.user} {s.verb.replace('_', ' ')}" for s in steps if s.strand]
    return f" (in the order: {', '.join(shown)})" if shown else ""


def _enter(here: Play, stack: ExitStack) -> None:
    directory = parse_directory(
        render.to_text(here.scenario.directory) if here.scenario.directory else DIRECTORY, here.scenario.file
    )
    here.stage.keep_time(lambda: here.now)
    here.stage.put_directory(directory)
    begin(here)
    for name in here.scenario.users:
        settings = here.scenario.settings.get(name, {})
        employee = directory.employee_by_id(settings.get("employee", name))
        if employee is None:
            raise Untrue(f'the directory has no employee with the id "{settings.get("employee", name)}"')
        shared = here.actors.get(settings.get("calendar", ""))
        actor = Actor(
            name,
            employee.addresses[0],
            shared.pim if shared else _pim(here, name, settings),
            here.stage.state(name),
            here.stage.server(employee.addresses[0], GENERIC_OWNER, lambda: here.now),
            settings,
            shared.mailbox if shared else here.stage.mailbox(name) if _has_mail(here) else None,
        )
        stack.callback(lambda actor=actor: actor.state.close())  # type: ignore[misc]
        here.actors[name] = actor


def _pim(here: Play, name: str, settings: Mapping[str, Any]) -> Pim:
    mails = settings.get("mails_attendees", False)
    return here.stage.pim(name, mails_attendees=mails, clock=lambda: here.now)


def _has_mail(here: Play) -> bool:
    return any(step.verb.endswith("_mail") for step in here.scenario.steps)


def _step(here: Play, step: Step) -> None:
    actor = here.actors.get(step.user) or next(iter(here.actors.values()))
    here.now += timedelta(minutes=1)
    said = f" ({step.say})" if step.say else ""
    at = f"step {step.number}{said}: user {actor.name} {step.verb.replace('_', ' ')}: "
    refused = step.details.get("refused") if isinstance(step.details, dict) else None
    details = {n: v for n, v in step.details.items() if n != "refused"} if refused else step.details
    try:
        _VERBS[step.verb](here, actor, details)
    except Untrue as e:
        raise Untrue(f"{at}{e}") from None
    except KeyError as e:
        raise Untrue(f"{at}the step does not say {e}") from e
    except SyncEngineError as e:
        if not refused or refused.lower() not in str(e).lower():
            raise Untrue(f"{at}{e}") from e
    else:
        if refused:
            raise Untrue(f"{at}it was done, but the story says it is refused: {refused}")


def _rest(here: Play) -> None:
    """As many rounds as there are users, so that what one sends up reaches the others; then all must be quiet."""
    everybody = list(here.actors.values())
    for actor in everybody * len(everybody):
        run_for(here, actor)
    for actor in everybody:
        report, error = run_for(here, actor)
        if error is not None and not isinstance(error, Stopped):
            raise Untrue(f"the last run of user {actor.name} failed: {error}")
        if report.writes or report.linked:
            raise Untrue(f"at the end, a further run of user {actor.name} still has something to do: {said(report)}")


_VERBS: Mapping[str, Callable[[Play, Actor, Any], None]] = {
    "saves": saves,
    "changes": changes,
    "changes_occurrence": changes_occurrence,
    "days_pass": days_pass,
    "minutes_pass": minutes_pass,
    "retries": retries,
    "ignores": ignores,
    "has_issue": has_issue,
    "restores_occurrence": restores_occurrence,
    "deletes": deletes,
    "renames": renames,
    "receives": receives,
    "answers": answers,
    "receives_mail": receives_mail,
    "loses_mail": loses_mail,
    "renumbers_mail": renumbers_mail,
    "has_mail": has_mail,
    "suggests": suggests,
    "syncs": syncs,
    "rehearses": rehearses,
    "undoes": undoes,
    "shares": shares,
    "unshares": unshares,
    "confirms": confirms,
    "reverts": reverts,
    "replaces_calendar": replaces_calendar,
    "disconnects": disconnects,
    "reconnects": reconnects,
    "adds": adds,
    "sets": sets,
    "attaches": attaches,
    "detaches": detaches,
    "removes": removes,
    "imports": imports,
    "removes_product": removes_product,
    "deletes_here": deletes_here,
    "adds_offline": adds_offline,
    "resolves": resolves,
    "copies": copies,
    "forgets_answer": forgets_answer,
    "edits_mapping": edits_mapping,
    "sets_offline": sets_offline,
    "deletes_offline": deletes_offline,
    "relates": relates,
    "knows": knows,
    "sees": sees,
    "sees_nothing_of": sees_nothing_of,
    "server_has": server_has,
    "server_has_nothing_of": server_has_nothing_of,
    "server_count": server_count,
    "holds": holds,
    "explains": explains,
    "chooses": chooses,
    "counts": counts,
    "edits_record": edits_record,
    "finds": finds,
    "has_no_record": has_no_record,
    "has_record": has_record,
    "has_under": has_under,
    "keeps_edit": keeps_edit,
    "pins": pins,
    "removes_record": removes_record,
    "undoes_edit": undoes_edit,
    "monitors": monitors,
    "carries_out": carries_out,
    "restarts_monitor": restarts_monitor,
    "edits_policies": edits_policies,
    "says_policy": says_policy,
    "replays": replays,
}
