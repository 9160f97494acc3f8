"""The sender of changes that policies ask for: activities and records, through the activity server.

The command's id follows from the request's: asked again after a crash, the server gives the answer it gave and does
nothing (SYN-2). So a change is never possibly made, and can be tried any number of times."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from syncengine.core import record_edit
from syncengine.errors import ConfigError, ItemError, SyncEngineError
from syncengine.model.activity import Origin
from syncengine.model.commands import Insert, Linked, Outdated, Refused, Removed, Stored, Update
from syncengine.model.commands import Outcome as Answer
from syncengine.model.directory import RecordType
from syncengine.model.outbound import Change, Outcome, Reply, Request, Verdict
from syncengine.model.visibility import RecordEdit
from syncengine.ports import ActivityServer
from syncengine.services.activity_editing import typed

ACTIVITY = "activity"
"""The type of record that is no record of the directory."""
IDS = uuid.UUID("5f2f9c1e-0f0a-5d55-9d1e-6f7a0c5b2c11")
TRIES = 3
"""How often a change is planned anew when somebody else was faster, before it waits."""

_DONE = Outcome(Verdict.SENT, "done")


class Changes:
    """Implements `ports.Sender`. server_of: the activity server as an employee sees it; empty: the generic owner.
    closing: called at the end."""

    def __init__(self, server_of: Callable[[str], ActivityServer], closing: Callable[[], None] = lambda: None) -> None:
        self._server_of, self.close = server_of, closing

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        change = request.content
        if not isinstance(change, Change):
            return Outcome(Verdict.NEVER, "This is no change.")
        server = self._server_of(change.user)
        try:
            return self._made(server, change, request.id)
        except ItemError as e:
            return Outcome(Verdict.NEVER, e.what)
        except ConfigError as e:
            if not change.user:  # nothing can be changed on behalf of the generic owner
                raise
            return Outcome(Verdict.NEVER, e.what)
        except SyncEngineError as e:
            if not e.retry:
                raise
            return Outcome(Verdict.LATER, e.what)

    def _made(self, server: ActivityServer, change: Change, request: str) -> Outcome:
        if change.type != ACTIVITY:
            return _edit_record(server, change)
        command = str(uuid.uuid5(IDS, request))
        if not change.record:
            values = {"owner": server.greet().user, **typed(change.values, server.directory())}
            insert = Insert(command, str(uuid.uuid5(IDS, f"{request} activity")), values, (), Origin.SERVER)
            return _said(server.apply([insert])[0])
        return _update(server, change, command)


def _update(server: ActivityServer, change: Change, command: str) -> Outcome:
    for _ in range(TRIES):
        found = server.fetch([change.record])
        if not found:
            return Outcome(Verdict.NEVER, f"There is no activity {change.record!r}.")
        values = typed(change.values, server.directory())
        answer = server.apply([Update(command, change.record, found[0].version, values)])[0]
        if not isinstance(answer, Outdated):
            return _said(answer)
    return Outcome(Verdict.LATER, "Somebody else changes this activity at the same time.")


def _said(answer: Answer) -> Outcome:
    match answer:
        case Stored() | Linked():
            return _DONE
        case Refused():
            return Outcome(Verdict.NEVER, answer.what)
        case Removed():
            return Outcome(Verdict.NEVER, "The activity is deleted.")
        case _:
            return Outcome(Verdict.LATER, "Somebody else changes this activity at the same time.")


def _edit_record(server: ActivityServer, change: Change) -> Outcome:
    try:
        kind = RecordType(change.type)
    except ValueError:
        return Outcome(Verdict.NEVER, f"There are no records of the type {change.type!r}.")
    values = record_edit.typed(kind, change.values)
    for _ in range(TRIES):
        record = server.directory().records.get((kind, change.record))
        if record is None:
            return Outcome(Verdict.NEVER, f"There is no {kind.value} {change.record!r}.")
        now = record_edit.values_of(record, kind)
        answer = server.edit_record(RecordEdit((kind, change.record), values, {name: now[name] for name in values}))
        if answer.what:
            return Outcome(Verdict.NEVER, answer.what)
        if not answer.conflicts:
            return _DONE
    return Outcome(Verdict.LATER, "Somebody else changes this record at the same time.")
