"""What policies say of a record, and what they would have asked for: nothing is written (POL-1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from syncengine.core.outbound.dates import Showing
from syncengine.core.policies.conditions import before, happens, holds
from syncengine.core.policies.evaluate import evaluate, ready
from syncengine.core.policies.requests import asked
from syncengine.errors import NotThere
from syncengine.model.directory import RecordKey
from syncengine.model.outbound import Change as ChangeRecord
from syncengine.model.outbound import Email, Page, Request
from syncengine.model.policies import Change, Condition, Did, Kept, Occasion, Policy, PolicyState
from syncengine.model.values import Json
from syncengine.services.policies.monitor import Pass, PolicyStore
from syncengine.times import iso


def listed(store: PolicyStore, policies: Sequence[Policy]) -> list[dict[str, Any]]:
    """Every policy with what it waits for and has done, as `policies list` shows it."""
    with store.transaction(write=False) as here:
        kept = {group: here.kept(group) for group in {p.group for p in policies}}
        groups = here.groups()
        return [_summary(here, p, kept[p.group].get(p.name), groups.get(p.group)) for p in policies]


def _summary(here: Pass, policy: Policy, kept: Kept | None, group: Any) -> dict[str, Any]:
    lines = here.lines([policy.name], 1000)
    last = {what: next((iso(line.at) for line in lines if line.what is what), None) for what in Did}
    return {
        "name": policy.name,
        "group": policy.group,
        "record": policy.type.value,
        "batch": policy.batch,
        "begun": iso(kept.begun) if kept else None,
        "waiting": len(kept.state.waiting) if kept else 0,
        "last_acted": last[Did.ACTED],
        "acted": sum(line.what is Did.ACTED for line in lines),
        "stopped": sum(line.what is Did.STOPPED for line in lines),
        "last_stopped": last[Did.STOPPED],
        "why_stopped": next((line.because for line in lines if line.what is Did.STOPPED), None),
        "faults": sum(len(line.faults) for line in lines),
        "last_fault": next((line.faults[-1] for line in lines if line.faults), None),
        "monitored": iso(group.seen) if group else None,
    }


def explained(store: PolicyStore, policies: Sequence[Policy], key: RecordKey, now: datetime) -> list[dict[str, Any]]:
    """What each policy about records of this type says of one record now. Raises NotThere."""
    with store.transaction(write=False) as here:
        record, change = here.record(key), here.last_change(key)
        if record is None and change is None:
            raise NotThere(f"There is no {key[0]} {key[1]!r}.", fix="check its type and id")
        values: Mapping[str, Json] = record if record is not None else change.new if change else {}
        kept = {group: here.kept(group) for group in {p.group for p in policies}}
        return [
            _explanation(p, kept[p.group].get(p.name), key[1], values, change, now)
            for p in policies
            if p.type is key[0]
        ]


def _explanation(
    policy: Policy, kept: Kept | None, record: str, values: Mapping[str, Json], change: Change | None, now: datetime
) -> dict[str, Any]:
    state = kept.state if kept else PolicyState(now)
    wait, acted = state.waiting.get(record), state.acted.get(record)
    due = ready(policy, wait, acted) if wait else None
    conditions = [_condition(c, policy, values, change) for c in policy.conditions]
    return {
        "policy": policy.name,
        "group": policy.group,
        "matches": all(c["holds"] for c in conditions),
        "conditions": conditions,
        "waiting_since": iso(wait.since) if wait else None,
        "acts": iso(due) if due and not _too_late(policy, due) else None,
        "enough": sum(ready(policy, w, state.acted.get(r)) <= now for r, w in state.waiting.items())
        >= policy.quantity - 1,
        "quantity": policy.quantity,
        "last_acted": iso(acted) if acted else None,
        "quiet_until": iso(acted + policy.interval) if acted and acted + policy.interval > now else None,
        "because": _because(policy, kept, due, now),
    }


def _too_late(policy: Policy, due: datetime) -> bool:
    return policy.expiration is not None and due >= policy.expiration


def _because(policy: Policy, kept: Kept | None, due: datetime | None, now: datetime) -> str:
    """In words, what will come of it."""
    if kept is None:
        return "the monitor of its group has not run with this policy yet"
    if policy.expiration and now >= policy.expiration:
        return f"the policy has expired at {iso(policy.expiration)}"
    if due is None:
        return "no match waits: it acts after the next change that begins one"
    if _too_late(policy, due):
        return f"it would act at {iso(due)}, when the policy has expired"
    if policy.batch:
        return "it acts with the next batch"
    if due <= now and policy.quantity > 1:
        return f"it waits until {policy.quantity} records match"
    return f"it acts at {iso(due)} if the match lasts" if due > now else "it acts with the next pass"


def _condition(
    condition: Condition, policy: Policy, values: Mapping[str, Json], change: Change | None
) -> dict[str, Any]:
    """A condition about a change is held against the last one that is kept."""
    old = before(change).get(condition.field) if condition.old and change else None
    if condition.of_change:
        met = change is not None and happens(condition, change)
    else:
        met = holds(condition, policy.type, values)
    return {
        "field": condition.field,
        "of": "old" if condition.old else "new",
        "comparison": condition.comparison.value,
        "values": list(condition.values),
        "value": old if condition.old else values.get(condition.field),
        "last_change": iso(change.at) if condition.of_change and change else None,
        "holds": met,
    }


@dataclass(frozen=True, slots=True)
class WouldHave:
    """One occasion of the past, with what would have been asked for."""

    occasion: Occasion
    requests: tuple[Request, ...]
    faults: tuple[str, ...]


def replayed(
    store: PolicyStore, policies: Iterable[Policy], since: datetime, now: datetime, dates: Showing
) -> tuple[list[WouldHave], datetime | None]:
    """What these policies would have asked for, had they been there since then, and from when on changes are kept
    (None: none are). Batches are left out: what records there were then is not known."""
    with store.transaction(write=False) as here:
        changes, directory = here.changes_since(since), here.directory()
    found = [
        occasion
        for policy in policies
        for occasion in evaluate(
            policy, PolicyState(since), [c for c in changes if c.type is policy.type], now
        ).occasions
    ]
    return list(_asked(found, directory, dates)), changes[0].at if changes else None


def _asked(occasions: Iterable[Occasion], directory: Any, dates: Showing) -> Iterator[WouldHave]:
    for occasion in sorted(occasions, key=lambda o: o.at):
        wanted = asked(occasion, directory, dates)
        yield WouldHave(occasion, wanted.requests, wanted.faults)


def request_words(request: Request) -> str:
    """What is asked for, on one line."""
    match request.content:
        case Email(to=to, subject=subject):
            return f"email to {', '.join(to)}: {subject}"
        case Page(employee=employee, text=text, digits=digits):
            return f"page to {employee}: {text or digits}"
        case ChangeRecord(type=kind, record="", values=values):
            return f"a new {kind}: {_set(values)}"
        case ChangeRecord(type=kind, record=record, values=values):
            return f"{kind} {record}: {_set(values)}"
    raise TypeError(f"unexpected content {request.content!r}")


def _set(values: Mapping[str, Json]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
