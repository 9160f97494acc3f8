"""Workflow policies in a scenario: changes in, requests out, with time moving (POL-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from syncengine.core.outbound.dates import AS_STORED
from syncengine.model.directory import RecordKey, RecordType
from syncengine.model.outbound import Change, Email, Page, Request, Verdict
from syncengine.services.policies.monitor import Monitor, Pass, PolicyStore, Ran
from syncengine.services.policies.telling import explained, replayed, request_words
from syncengine.services.scenario.stage import Actor, Play, Untrue, each, native
from syncengine.times import iso


def begin(here: Play) -> None:
    """The monitor of the story's policies makes its first pass, before anything happens."""
    if here.scenario.policies:
        here.policies = here.scenario.policies
        _run(here, _monitor(here))


def monitors(here: Play, actor: Actor, details: Any) -> None:
    """One run of every group. A second one right after it would ask for nothing."""
    if details.get("killed"):
        with suppress(Killed):
            _run(here, _monitor(here, Mortal(here.stage.policy_store())))
        return
    ran = _run(here, _monitor(here), batch=details.get("batch", False))
    _check_requests(here, ran.asked, details.get("asks", []))
    _check_words("stopped", [loop.because for loop in ran.loops], details.get("stopped", []))
    _check_words("faults", ran.faults, details.get("faults", []))
    here.asked += ran.asked
    if again := _run(here, _monitor(here)).asked:
        raise Untrue(f"a second run asks once more: {[request_words(r) for r in again]}")


def restarts_monitor(here: Play, actor: Actor, details: Any) -> None:
    here.stage.restart()


def edits_policies(here: Play, actor: Actor, details: Any) -> None:
    for old, new in details:
        if old not in here.policies:
            raise Untrue(f"the policies do not hold {old!r}")
        here.policies = here.policies.replace(old, new)


def carries_out(here: Play, actor: Actor, details: Any) -> None:
    """The changes that policies have asked for are made; other requests leave as well."""
    sender = here.stage.change_sender(lambda: here.now)
    for request in here.asked:
        if isinstance(request.content, Change):
            outcome = sender.send(request, {}, lambda: None)
            if outcome.verdict is not Verdict.SENT:
                raise Untrue(f"{request_words(request)} is refused: {outcome.because}")
    here.asked = []


def says_policy(here: Play, actor: Actor, details: Any) -> None:
    """What is known of a record (`activity`, or `type` and `id`) and a `policy`."""
    found = explained(here.stage.policy_store(), here.stage.policies(here.policies), _key(here, details), here.now)
    row = next((one for one in found if one["policy"] == details["policy"]), None)
    if row is None:
        raise Untrue(f"no such policy is about the record; there are {[one['policy'] for one in found]}")
    shown = {
        "matches": row["matches"],
        "holds": [one["holds"] for one in row["conditions"]],
        "waiting": row["waiting_since"] is not None,
        "acts": row["acts"],
        "last_acted": row["last_acted"],
    }
    for name in shown.keys() & details.keys():
        wanted = native(details[name])
        if shown[name] != (iso(wanted) if name in ("acts", "last_acted") else details[name]):
            raise Untrue(f"{name} is {shown[name]}, not {details[name]}; {row['because']}")
    if details.get("because", "") not in row["because"]:
        raise Untrue(f"it says: {row['because']}")


def replays(here: Play, actor: Actor, details: Any) -> None:
    """What would have been asked for in the `last` so many minutes."""
    since = here.now - timedelta(minutes=details["last"])
    found, _ = replayed(here.stage.policy_store(), here.stage.policies(here.policies), since, here.now, AS_STORED)
    _check_requests(here, [r for one in found for r in one.requests], details.get("asks", []))


def _monitor(here: Play, store: PolicyStore | None = None) -> Monitor:
    policies = here.stage.policies(here.policies)
    queue = here.stage.queue(lambda: here.now)
    return Monitor(store or here.stage.policy_store(), queue, policies, lambda: here.now, AS_STORED)


def _run(here: Play, monitor: Monitor, *, batch: bool = False) -> Ran:
    """All groups, as one."""
    whole = Ran()
    for group in monitor.groups:
        ran = monitor.run(group, batch=batch)
        whole.asked += ran.asked
        whole.faults += ran.faults
        whole.loops += ran.loops
    monitor.tidy()
    return whole


class Killed(Exception):
    """The monitor did not live to commit."""


class Mortal:
    """A store whose transactions are killed right before they are committed."""

    def __init__(self, store: PolicyStore) -> None:
        self._store = store

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Pass]:
        with self._store.transaction(write=write) as one:
            yield one
            if write:
                raise Killed

    def close(self) -> None:
        """It is the stage's."""


# --- what was asked for ----------------------------------------------------------------------------------------------


def _check_requests(here: Play, found: Sequence[Request], expected: Sequence[Mapping[str, Any]]) -> None:
    shown = [request_words(request) for request in found]
    if len(found) != len(expected):
        raise Untrue(f"{len(found)} requests are asked for, not {len(expected)}: {shown}")
    for request, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            actual = _member(here, request, name)
            if actual != (each(value) if name == "email" else value):
                raise Untrue(f"{name} of the request is {actual!r}, not {value!r}: {shown}")


def _member(here: Play, request: Request, name: str) -> Any:
    match name, request.content:
        case ("policy", _):
            return request.asked_by.removeprefix("policy ")
        case ("profile" | "key" | "priority", _):
            return getattr(request, name)
        case ("email", Email(to=to)):
            return list(to)
        case ("page", Page(employee=employee)):
            return employee
        case ("change", Change(record=record)):
            names = {identity: given for given, identity in here.activities.items()}
            return names.get(record, record) or "new"
        case ("set", Change(values=values)):
            return dict(values)
        case ("subject" | "text" | "html", Email() | Page()):
            return getattr(request.content, name)
        case ("digits", Page(digits=digits)):
            return digits
    raise Untrue(f"{request_words(request)} has no {name}")


def _check_words(what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    if len(found) != len(expected) or any(words not in one for one, words in zip(found, expected, strict=True)):
        raise Untrue(f"{what} is {list(found)}, not {list(expected)}")


def _key(here: Play, details: Mapping[str, Any]) -> RecordKey:
    if "activity" in details:
        return RecordType.ACTIVITY, here.activities[details["activity"]]
    return RecordType(details["type"]), details["id"]
