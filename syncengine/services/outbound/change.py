"""The sender of changes that policies ask for: activities through the activity server, records of the directory.

The command's id follows from the request's: asked again after a crash, the server gives the answer it gave and does
nothing (SYN-2). So a change is never possibly made, and can be tried any number of times. Each is signed with who asked
for it, so that a policy can tell what it has caused itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from syncengine.core import record_edit
from syncengine.errors import ConfigError, ItemError, NotThere, SyncEngineError
from syncengine.model.activity import Origin
from syncengine.model.commands import Insert, Linked, Outdated, Refused, Removed, Stored, Update
from syncengine.model.commands import Outcome as Answer
from syncengine.model.directory import RecordType, directory_of
from syncengine.model.outbound import Change, Outcome, Reply, Request, Verdict
from syncengine.ports import ActivityServer, ActivityStore
from syncengine.services.activity_editing import typed
from syncengine.times import Clock

IDS = uuid.UUID("5f2f9c1e-0f0a-5d55-9d1e-6f7a0c5b2c11")
TRIES = 3
"""How often a change is planned anew when somebody else was faster, before it waits."""

_NOBODY = ""
"""Whose command the change of a record is."""
_DONE = Outcome(Verdict.SENT, "the record is changed")
_CONTENDED = Outcome(Verdict.LATER, "Somebody else changes this activity at the same time.")


class Changes:
    """Implements `ports.Sender`. server_of: the activity server as an employee sees it (empty: the generic owner),
    signing with what comes second. closing: called at the end."""

    def __init__(
        self,
        store: ActivityStore,
        server_of: Callable[[str, str], ActivityServer],
        clock: Clock,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._server_of, self._clock, self.close = store, server_of, clock, closing

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        change = request.content
        if not isinstance(change, Change):
            return Outcome(Verdict.NEVER, "This is no change.")
        try:
            if change.type == RecordType.ACTIVITY:
                return self._activity(change, request)
            return self._record(change, request)
        except ItemError as e:
            return Outcome(Verdict.NEVER, f"{e.what} {e.fix}".strip())
        except ConfigError as e:
            if not change.user:  # nothing can be changed on behalf of the generic owner
                raise
            return Outcome(Verdict.NEVER, e.what)
        except SyncEngineError as e:
            if not e.retry:
                raise
            return Outcome(Verdict.LATER, e.what)

    def _activity(self, change: Change, request: Request) -> Outcome:
        server, command = self._server_of(change.user, request.asked_by), str(uuid.uuid5(IDS, request.id))
        if change.record:
            return _update(server, change, command)
        values = {"owner": server.greet().user, **typed(change.values, server.directory())}
        insert = Insert(command, str(uuid.uuid5(IDS, f"{request.id} activity")), values, (), Origin.SERVER)
        return _said(server.apply([insert])[0], insert.activity_id)

    def _record(self, change: Change, request: Request) -> Outcome:
        """In one transaction, whoever may see the record: an admin has written what is done."""
        if change.type not in set(RecordType):
            raise NotThere(f"There are no records of the type {change.type!r}.")
        kind, command = RecordType(change.type), str(uuid.uuid5(IDS, request.id))
        with self._store.transaction(write=True):
            if self._store.answers([command], _NOBODY):
                return _DONE
            self._store.signed(request.asked_by)
            record = self._store.directory().records.get((kind, change.record))
            if record is None:
                raise NotThere(f"There is no {kind} {change.record!r} any more.")
            new = record_edit.with_values(record, kind, record_edit.typed(kind, change.values))
            self._store.put_directory(directory_of([new]))
            self._store.remember({command: True}, _NOBODY, self._clock())
        return _DONE


def _update(server: ActivityServer, change: Change, command: str) -> Outcome:
    for _ in range(TRIES):
        found = server.fetch([change.record])
        if not found:
            raise NotThere(f"There is no activity {change.record!r} any more.")
        values = typed(change.values, server.directory())
        answer = server.apply([Update(command, change.record, found[0].version, values)])[0]
        if not isinstance(answer, Outdated):
            return _said(answer, change.record)
    return _CONTENDED


def _said(answer: Answer, activity: str) -> Outcome:
    match answer:
        case Stored() | Linked():
            return _DONE
        case Refused():
            raise ItemError(answer.what, fix=answer.fix)
        case Removed():
            raise NotThere(f"There is no activity {activity!r} any more.")
        case _:
            return _CONTENDED
