"""A batch: take some requests of one group, send one after the other, note each answer at once (OUT-2).

One request that cannot be sent never stops the next. A profile that cannot be used stops: that is said once, nothing
was tried of the requests, they wait, and the profile is tried again with growing pauses, one request at a time. What a
batch holds when it ends, whatever the reason, it gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from syncengine.core.outbound.codec import group_from_text
from syncengine.core.outbound.moves import Event
from syncengine.core.outbound.retry import ENDED, OF_PROFILES, Step, found_again, is_full, judged, pause
from syncengine.errors import ItemError, SideError, SyncEngineError, Withdrawn
from syncengine.model.outbound import Entry, Group, Kind, Outcome, Stop, Tiding, Verdict, Word
from syncengine.ports import OutboundStore, Sender
from syncengine.times import Clock

SIZE = 20
"""Requests a batch takes at once. All of them wait for another worker's attention when this one is killed."""
PROBE = timedelta(minutes=5)
"""How long nobody else tries a stopped profile that is being tried."""

OpenSender = Callable[[Kind, str], Sender]
Tell = Callable[[Tiding], None]

_WORDS = {
    Event.SENT: Word.SUCCEEDED,
    Event.REFUSED: Word.FAILED,
    Event.PUT_OFF: Word.PUT_OFF,
    Event.LOST: Word.LOST,
}


@dataclass
class Batches:
    """The batches of one worker. worker: its name, without a slash. ended: whether it is told to end; asked between
    requests. running: the batches at work in this process."""

    store: OutboundStore
    open_sender: OpenSender
    clock: Clock
    tell: Tell
    worker: str
    new_id: Callable[[], str]
    chance: Callable[[], float]
    ended: Callable[[], bool] = lambda: False
    size: int = SIZE
    running: set[str] = field(default_factory=set)

    def carry_out(self, argument: str) -> None:
        """The job `queue.JOB`."""
        self.work(group_from_text(argument))

    def work(self, group: Group) -> None:
        """Send what is due of a group, until nothing is, its profile stops, or the worker ends."""
        name = f"{self.worker}/{self.new_id()}"
        self.running.add(name)
        try:
            with _Lane(self, group, name) as lane:
                while not self.ended() and lane.go_on():
                    pass
        finally:
            self.running.discard(name)


class _Lane:
    """One batch after the other of a group, over one connection."""

    def __init__(self, batches: Batches, group: Group, name: str) -> None:
        self._all, self._store, self._group, self._name = batches, batches.store, group, name
        self._sender: Sender | None = None
        self._stopped: Stop | None = None
        self._because = ENDED

    def __enter__(self) -> _Lane:
        return self

    def __exit__(self, *_error: object) -> None:
        self._hang_up()

    def go_on(self) -> bool:
        """Take and send some; whether there may be more."""
        limit = self._all.size
        self._stopped = self._store.stop(self._group.kind, self._group.profile)
        if self._stopped is not None:
            now = self._all.clock()
            if self._stopped.next_try > now or not self._store.claim_probe(self._stopped, now + PROBE):
                return False
            limit = 1
        with self._holding():
            taken = self._store.take(self._group, self._name, self._all.clock(), limit)
            return bool(taken) and all(self._send(entry) for entry in taken)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        try:
            yield
        finally:
            give_back(self._store, self._name, self._all.clock, self._because)

    def _send(self, entry: Entry) -> bool:
        """Whether the profile goes on."""
        if self._all.ended():
            return False
        trying = _Try(self._store, entry, self._name)
        try:
            outcome = self._outcome(entry, trying)
        except Withdrawn:
            self._hang_up()  # it was in the middle of something
            return True
        if outcome.verdict is Verdict.STOP:
            self._note(entry, judged(entry, outcome, self._all.clock(), self._all.chance(), begun=trying.has_begun))
            self._stop(outcome)
            return False
        if self._stopped is not None and not is_full(outcome, begun=trying.has_begun):
            self._works_again()
        step = judged(entry, outcome, self._all.clock(), self._all.chance(), begun=trying.has_begun)
        self._note(entry, step)
        if is_full(outcome, begun=trying.has_begun):
            self._because = outcome.because
            return False
        return True

    def _outcome(self, entry: Entry, trying: _Try) -> Outcome:
        """What a sender says, or what its failing means."""
        try:
            if self._sender is None:
                self._sender = self._all.open_sender(self._group.kind, self._group.profile)
            return self._sender.send(entry.request, entry.replies, trying.begun)
        except Withdrawn:
            raise
        except ItemError as e:
            return Outcome(Verdict.NEVER, e.what)
        except SideError as e:  # nothing was sent, begun or not
            self._hang_up()
            return Outcome(Verdict.STOP, e.what, retry_after=e.retry_after)
        except SyncEngineError as e:
            self._hang_up()
            return Outcome(Verdict.UNKNOWN if trying.has_begun else Verdict.STOP, e.what)
        except Exception as e:
            self._hang_up()
            what = f"the sender failed: {type(e).__name__}"
            self._all.tell(Tiding(Word.TROUBLE, self._group, entry.request.id, what))
            return Outcome(Verdict.UNKNOWN if trying.has_begun else Verdict.LATER, what)

    def _note(self, entry: Entry, step: Step) -> None:
        noted = self._store.note(entry.request.id, self._name, step, self._all.clock())
        if noted and step.event in _WORDS:
            self._all.tell(Tiding(_WORDS[step.event], self._group, entry.request.id, step.because))

    def _stop(self, outcome: Outcome) -> None:
        self._because = outcome.because
        now, before = self._all.clock(), self._stopped
        tries = before.tries + 1 if before else 1
        rest = pause(tries, OF_PROFILES, self._all.chance(), outcome.retry_after)
        since = before.since if before else now
        stop = Stop(self._group.kind, self._group.profile, outcome.because, since, tries, now + rest)
        if self._store.put_stop(stop):
            self._all.tell(Tiding(Word.STOPPED, self._group, because=outcome.because))

    def _works_again(self) -> None:
        self._stopped = None
        if self._store.lift_stop(self._group.kind, self._group.profile):
            self._all.tell(Tiding(Word.WORKS, self._group))

    def _hang_up(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            with suppress(Exception):  # what was noted stays noted
                sender.close()


class _Try:
    """One try of one request."""

    def __init__(self, store: OutboundStore, entry: Entry, batch: str) -> None:
        self._store, self._entry, self._batch = store, entry, batch
        self.has_begun = False

    def begun(self) -> None:
        """Raises Withdrawn where the request is not this batch's any more."""
        if not self.has_begun and not self._store.begun(self._entry.request.id, self._batch):
            what = "The request was taken up by another worker."
            raise Withdrawn(what, where=f"request {self._entry.request.id}", fix="nothing is to be done")
        self.has_begun = True


def give_back(store: OutboundStore, batch: str, clock: Clock, because: str = ENDED, *, died: bool = False) -> int:
    """What a batch still holds is active no more; how many those were. because: why nothing was tried of them. died:
    its worker did.

    A batch that was believed dead may begin with a request just now: what is known of that one is outdated then, and
    the next look decides."""
    found = [(entry, found_again(entry, clock(), because, died=died)) for entry in store.taken_by(batch)]
    return sum(store.note(entry.request.id, batch, step, clock(), handed=entry.handed) for entry, step in found)
