"""Changes of activities and records that were asked for (`model.outbound.Change`), carried out as part of the queue.

Signed with who asked for them, so that a policy can tell what it has caused itself. An activity is changed by a command
with the request's id: asked again after a crash, the server gives the same answer and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from syncengine.core.record_edit import typed, with_values
from syncengine.errors import ItemError, NotThere
from syncengine.model.activity import Origin, field_type
from syncengine.model.commands import Command, Insert, Outdated, Refused, Removed, Update
from syncengine.model.directory import RecordType, directory_of
from syncengine.model.outbound import Change, Outcome, Reply, Request, Verdict
from syncengine.model.values import from_json
from syncengine.ports import ActivityServer, ActivityStore

DONE = Outcome(Verdict.SENT, "the record is changed")


class ChangeSender:
    """Implements `ports.Sender` for changes. server: the activity server as this employee sees it, whose changes are
    signed so: (employee id, signature) → server."""

    def __init__(self, store: ActivityStore, server: Callable[[str, str], ActivityServer], generic_owner: str) -> None:
        self._store, self._server, self._generic_owner = store, server, generic_owner

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        """Never possibly done: a change is there, or it is not, so `begun` is not called."""
        change = request.content
        if not isinstance(change, Change):
            raise TypeError(f"not a change: {request.content!r}")
        try:
            if change.type == RecordType.ACTIVITY:
                return self._activity(request, change)
            self._record(request, change)
        except ItemError as e:
            return Outcome(Verdict.NEVER, f"{e.what} {e.fix}".strip())
        return DONE

    def close(self) -> None:
        """Nothing of its own is open."""

    def _activity(self, request: Request, change: Change) -> Outcome:
        server = self._server(change.user or self._generic_owner, request.asked_by)
        values = {name: from_json(raw, field_type(name)) for name, raw in change.values.items()}
        command: Command
        if change.record:
            found = server.fetch([change.record])
            if not found:
                raise NotThere(f"There is no activity {change.record!r} any more.")
            command = Update(request.id, change.record, found[0].version, values)
        else:
            command = Insert(request.id, f"a-{request.id}", values, keys=(), origin=Origin.SERVER)
        match server.apply([command])[0]:
            case Refused(what=what, fix=fix):
                raise ItemError(what, fix=fix)
            case Removed():
                raise NotThere(f"There is no activity {change.record!r} any more.")
            case Outdated():
                return Outcome(Verdict.LATER, "somebody else changed the activity in this moment")
        return DONE

    def _record(self, request: Request, change: Change) -> None:
        kind = RecordType(change.type)
        with self._store.transaction(write=True):
            self._store.signed(request.asked_by)
            record = self._store.directory().records.get((kind, change.record))
            if record is None:
                raise NotThere(f"There is no {kind} {change.record!r} any more.")
            self._store.put_directory(directory_of([with_values(record, kind, typed(kind, change.values))]))
