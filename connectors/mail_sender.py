"""A communication profile as a `Sender`: what holds for email by whichever way it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol
from zoneinfo import ZoneInfo

from syncengine.core.outbound.address import Mailbox
from syncengine.core.outbound.message import Enclosure, Letter, addressed, compose
from syncengine.core.outbound.pace import kept, wait
from syncengine.core.outbound.replies import all_alike, outcome
from syncengine.errors import ConfigError, ItemError, SideError
from syncengine.model.outbound import Email, File, Outcome, Reply, Request, Verdict
from syncengine.model.profile import Offer
from syncengine.times import Clock, system_clock


@dataclass(frozen=True)
class Mailing:
    """One letter to some of its recipients. envid: what a delivery report names it by (RFC 3461 4.4)."""

    letter: Letter
    recipients: Sequence[Mailbox]
    notify: Sequence[str]
    envid: str

    @property
    def needs_utf8(self) -> bool:
        return self.letter.needs_utf8 or any(m.needs_utf8 for m in self.recipients)


class Transport(Protocol):
    """A way by which letters leave."""

    def ready(self) -> Offer:
        """Connect and log in, where that is not done yet. Raises SideError; nothing was sent then."""

    def deliver(self, mailing: Mailing, begun: Callable[[], None]) -> Mapping[str, Reply]:
        """What is said of each recipient, by address. Raises SideError where nothing was sent, and nothing would be of
        any other letter; ItemError where a file cannot be read, and nothing was sent."""

    def close(self) -> None: ...


class Turns:
    """How many messages a minute leave by a profile, counted over all its connections in this process."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._monotonic, self._lock = per_minute, monotonic, Lock()
        self._sent: tuple[float, ...] = ()

    def take(self) -> float:
        """0: it is one's turn. Else the seconds until it may be."""
        with self._lock:
            now = self._monotonic()
            seconds = wait(self._sent, self._per_minute, now)
            if not seconds:
                self._sent = kept(self._sent, self._per_minute, now)
            return seconds


class EmailSender:
    """profile: its name. sender: the From address. files: what an attached file is; raises ItemError, or SideError
    where it cannot be known now. zone: in which messages are dated. most_bytes: of one message."""

    def __init__(
        self,
        transport: Transport,
        profile: str,
        sender: Mailbox,
        files: Callable[[File], Enclosure],
        zone: ZoneInfo,
        *,
        turns: Turns | None = None,
        most_bytes: int = 25_000_000,
        clock: Clock = system_clock,
    ) -> None:
        self._transport, self._profile, self._sender, self._files = transport, profile, sender, files
        self._zone, self._turns, self._most_bytes, self._clock = zone, turns or Turns(0), most_bytes, clock

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        """As ports.Sender says. Waits for no turn: LATER with `retry_after` and without replies says when it comes."""
        email = request.content
        if not isinstance(email, Email):
            return Outcome(Verdict.NEVER, f"A request for a {request.kind} cannot leave as email.")
        whom = addressed(email)
        faults = {text: Reply(Verdict.NEVER, 0, e.what) for text, e in whom.faults.items() if text not in done}
        asked = [m for m in whom.all if _is_open(done.get(m.address))]
        if not asked:
            return outcome(faults, done) if done or faults else Outcome(Verdict.NEVER, "It has no recipients.")
        if seconds := self._turns.take():
            limit = f"The profile {self._profile!r} has sent as much as it may in a minute."
            return Outcome(Verdict.LATER, limit, retry_after=seconds)
        offer = self._ready()
        refused = self._without_utf8(asked) if not offer.smtputf8 else {}
        asked = [m for m in asked if m.address not in refused]
        replies = self._deliver(request, email, asked, offer, begun) if asked else {}
        note = "; delivery reports were asked for, and the server gives none" if email.notify and not offer.dsn else ""
        return outcome({**faults, **refused, **replies}, done, note)

    def close(self) -> None:
        self._transport.close()

    def _ready(self) -> Offer:
        try:
            offer = self._transport.ready()
        except ConfigError as e:  # a password that is nowhere: of the profile, and no request's fault
            raise SideError(e.what, where=e.where, fix=e.fix) from None
        if self._sender.needs_utf8 and not offer.smtputf8:
            raise SideError(
                f"The mail server offers no SMTPUTF8, which the sender's address {self._sender.address} needs.",
                where=f"profile {self._profile}",
                fix="Use another address in from, or another server.",
            )
        return offer

    @staticmethod
    def _without_utf8(asked: Sequence[Mailbox]) -> dict[str, Reply]:
        """RFC 6531 3.2: nothing else stands for such an address."""
        words = "the mail server offers no SMTPUTF8, which the address {} needs"
        return {m.address: Reply(Verdict.NEVER, 0, words.format(m.address)) for m in asked if m.needs_utf8}

    def _deliver(
        self, request: Request, email: Email, asked: Sequence[Mailbox], offer: Offer, begun: Callable[[], None]
    ) -> Mapping[str, Reply]:
        """Never more than this request's own fault, but for SideError."""
        try:
            letter = self._letter(request, email, offer)
            return self._transport.deliver(Mailing(letter, asked, email.notify, request.id), begun)
        except ItemError as e:
            words = f"{e.what.rstrip('.')} ({e.where})" if e.where else e.what
            return all_alike([m.address for m in asked], Reply(Verdict.NEVER, 0, words))
        except _Unknowable as e:
            return all_alike([m.address for m in asked], Reply(Verdict.LATER, 0, str(e)))

    def _letter(self, request: Request, email: Email, offer: Offer) -> Letter:
        try:
            enclosures = [self._files(file) for file in email.files]
        except SideError as e:
            raise _Unknowable(e.what) from None
        at = self._clock().astimezone(self._zone)
        letter = compose(request, email, self._sender, at, enclosures, utf8=offer.smtputf8)
        limit = min(self._most_bytes, offer.size or self._most_bytes)
        if letter.size > limit:
            raise ItemError(
                f"The message is too large: {_megabytes(letter.size)}, and {_megabytes(limit)} is the most",
                fix="Attach less, or a link.",
            )
        return letter


class _Unknowable(Exception):
    """A file whose place cannot be looked at now."""


def _is_open(before: Reply | None) -> bool:
    return before is None or before.verdict not in (Verdict.SENT, Verdict.NEVER)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
