"""TAP 1.8, our end of a call to a paging terminal; without any I/O.

Theory of operation. A `Session` is told what happens and tells what to do: bytes that came go into `receive`, a timer
that ran out into `expire`, a line that broke into `lost`; `to_send` takes the bytes that are to go out, after which
`sent` is called; `timer` is when to call `expire`. All of them take the present moment as seconds of some clock that
only ever goes forward; a session looks at no clock and never sleeps.

    state     we have sent        we wait for             until
    CALLED    CR, n1 times        ID=                     t1 each, the last t2 or t1
    LOGON     ESC PG1 password    ACK, NAK, ESC EOT       t3; n3 times
    WAITING                       ESC [p: go ahead        t3
    READY                         a page, or the end      (the terminal gives us t4)
    SENT      a block             ACK, NAK, RS, ESC EOT   t3; after NAK again, n2 times
    ENDING    EOT                 RS, ESC EOT             t5
    OVER

What may be heard when, and what it means then, is the table `STEPS`; whatever is not in it is noise: a second prompt,
an echo, a reply that comes late. What the terminal says before our bytes have gone out answers nothing, either.

Certainty. A page is handed over with its last block: `hands_over` is true when the bytes to be sent hold that. A block
that got no answer is UNKNOWN if it was the last one: the terminal may have the page. Without the last block no terminal
has a page, so an earlier block without an answer is worth another try. ACK says accepted, not delivered. A late RS,
after our EOT, refuses something that was accepted before; of what, it does not say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from connectors.tap.blocks import CR, EOT, ESC, blocks
from connectors.tap.codes import LOGON_REFUSED, verdict_of, words_of
from connectors.tap.hearing import Ear, Heard, Said
from syncengine.model.outbound import Verdict
from syncengine.model.paging import Timing


class State(Enum):
    CALLED = auto()
    LOGON = auto()
    WAITING = auto()
    READY = auto()
    SENT = auto()
    ENDING = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """Pages may be sent."""


@dataclass(frozen=True, slots=True)
class Paged:
    """What became of the page that was being sent. code: the terminal's; 0 for none."""

    verdict: Verdict
    because: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class RefusedLate:
    """After the end of transmission: some page that had been accepted is not."""

    verdict: Verdict
    because: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over. because: empty where we wanted it. logon_refused: the terminal did not let us in."""

    because: str = ""
    code: int = 0
    logon_refused: bool = False


Event = LoggedOn | Paged | RefusedLate | Ended


class Misuse(RuntimeError):
    """A mistake of the caller: not allowed in this state."""


class Session:
    """One call, from CONNECT on. password: up to six characters of the terminal's operator, or none. escapes: control
    characters of a text as SUB and another one; else spaces."""

    def __init__(self, now: float, timing: Timing = Timing(), password: str = "", *, escapes: bool = True) -> None:  # noqa: B008 - frozen
        self.state = State.CALLED
        self.timer: float | None = now  # nobody has asked who calls yet: the first CR is due
        self.carrier = True  # no modem has said yet that the line broke
        self._now, self._timing, self._escapes = now, timing, escapes
        self._logon = bytes([ESC]) + b"PG1" + password.encode("ascii") + bytes([CR])
        self._ear, self._out = Ear(), b""
        self._blocks: deque[bytes] = deque()
        self._events: list[Event] = []
        self._tries = 0  # of what is being done in this state

    # --- what the caller wants ---

    def page(self, pager: str, text: str, now: float) -> None:
        """Begin to send. Ends with `Paged`. Raises ValueError for what is not ASCII."""
        if self.state is not State.READY:
            raise Misuse(f"no page can be sent in the state {self.state.name}")
        self._now, self._blocks = now, deque(blocks((pager, text), escapes=self._escapes))
        self._send_block()

    def end(self, now: float) -> None:
        """Say that there is no more. Ends with `Ended`."""
        if self.state is not State.READY:
            raise Misuse(f"a call cannot be ended in the state {self.state.name}")
        self._now = now
        self._enter(State.ENDING, self._timing.t5, bytes([EOT, CR]))

    # --- what happens ---

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Bytes came: 7-bit characters, and others for those that are spoilt."""
        for said in self._ear.hear(data):
            self.carrier = self.carrier and said.heard is not Heard.LOST
            self._step(said, now)
        return self._told()

    def expire(self, now: float) -> list[Event]:
        """Time has passed; nothing happens before `timer`."""
        if self.timer is not None and now >= self.timer:
            self._step(self._ear.said(Heard.TIMEOUT), now)
        return self._told()

    def lost(self, now: float) -> list[Event]:
        """The line broke."""
        self._step(self._ear.said(Heard.LOST), now)
        return self._told()

    # --- what is to be done ---

    def to_send(self) -> bytes:
        """The bytes that are to go out now, once."""
        found, self._out = self._out, b""
        return found

    def sent(self, now: float) -> None:
        """They have gone out, which may have taken its time: the time for an answer begins."""
        if self.timer is not None:
            self.timer += now - self._now
        self._now = now

    @property
    def is_over(self) -> bool:
        return self.state is State.OVER

    @property
    def hands_over(self) -> bool:
        """Whether the bytes to be sent complete a page."""
        return bool(self._out) and self.state is State.SENT and len(self._blocks) == 1

    # --- steps ---

    def _step(self, said: Said, now: float) -> None:
        if self._out and said.heard in _ANSWERS:
            return
        if step := STEPS[self.state].get(said.heard):
            self._now = now
            step(self, said)

    def _told(self) -> list[Event]:
        found, self._events = self._events, []
        return found

    def _enter(self, state: State, seconds: float | None, out: bytes = b"") -> None:
        if state is not self.state:
            self._tries = 0
        self.state, self._out = state, out
        self.timer = None if seconds is None else self._now + seconds

    def _knock(self, said: Said) -> None:
        if self._tries >= self._timing.n1:
            self._over("The terminal did not ask who calls.", said)
            return
        self._tries += 1
        t1, t2 = self._timing.t1, self._timing.t2
        self._enter(State.CALLED, t1 if self._tries < self._timing.n1 else max(t1, t2), bytes([CR]))

    def _log_on(self, said: Said) -> None:
        if self._tries >= self._timing.n3 and self.state is State.LOGON:
            self._over("The terminal did not accept the logon.", said, refused=said.heard is Heard.NAK)
            return
        self._enter(State.LOGON, self._timing.t3, self._logon)
        self._tries += 1

    def _refused(self, said: Said) -> None:
        self._over("The terminal refused the logon.", said, refused=True)

    def _await_go(self, said: Said) -> None:
        self._enter(State.WAITING, self._timing.t3)

    def _ready(self, said: Said) -> None:
        self._enter(State.READY, None)
        self._events.append(LoggedOn())

    def _no_go(self, said: Said) -> None:
        self._over("The terminal did not say that it is ready.", said)

    def _send_block(self) -> None:
        self._enter(State.SENT, self._timing.t3, self._blocks[0])

    def _accepted(self, said: Said) -> None:
        self._blocks.popleft()
        self._tries = 0
        if self._blocks:
            return self._send_block()
        return self._page_done(Verdict.SENT, words_of(said.code, "accepted by the terminal"), said)

    def _resend(self, said: Said) -> None:
        if self._tries >= self._timing.n2:
            words = words_of(said.code, f"the terminal could not read a block, sent {self._tries + 1} times")
            return self._page_done(verdict_of(said.code, Verdict.LATER), words, said)
        self._tries += 1
        return self._send_block()

    def _abandon(self, said: Said) -> None:
        self._page_done(
            verdict_of(said.code, Verdict.NEVER), words_of(said.code, "the terminal refused the page"), said
        )

    def _page_done(self, verdict: Verdict, because: str, said: Said) -> None:
        self._blocks.clear()
        self._enter(State.READY, None)
        self._events.append(Paged(verdict, because, said.code))

    def _page_cut(self, said: Said) -> None:
        """The terminal says goodbye instead of an answer: it has not accepted the page."""
        words = words_of(said.code, "the terminal hung up instead of accepting the page")
        self._page_done(verdict_of(said.code, Verdict.LATER), words, said)
        self._over("The terminal hung up.", said)

    def _unanswered(self, said: Said) -> None:
        handed = len(self._blocks) == 1 and not self._out
        words = "the line broke" if said.heard is Heard.LOST else "the terminal did not answer"
        if handed:
            self._page_done(Verdict.UNKNOWN, f"{words} after the page had been handed over", said)
        else:
            self._page_done(Verdict.LATER, f"{words} before the whole page had been handed over", said)
        self._over(f"{words[0].upper()}{words[1:]}.", said)

    def _late(self, said: Said) -> None:
        words = words_of(said.code, "the terminal refused a page after it had accepted it")
        self._events.append(RefusedLate(verdict_of(said.code, Verdict.NEVER), words, said.code))

    def _hung_up(self, said: Said) -> None:
        refused = said.code in LOGON_REFUSED
        self._over("The terminal hung up." if said.heard is Heard.GOODBYE else "The line broke.", said, refused=refused)

    def _close(self, said: Said) -> None:
        self._enter(State.OVER, None)
        self._events.append(Ended())

    def _over(self, because: str, said: Said, *, refused: bool = False) -> None:
        self._enter(State.OVER, None)
        self._events.append(Ended(words_of(said.code, because), said.code, refused))


_ANSWERS = frozenset({Heard.ACK, Heard.NAK, Heard.RS, Heard.GO})
"""What says something of what we have sent."""

Step = Callable[[Session, Said], None]

STEPS: Mapping[State, Mapping[Heard, Step]] = {
    State.CALLED: {
        Heard.PROMPT: Session._log_on,
        Heard.TIMEOUT: Session._knock,
        Heard.GOODBYE: Session._hung_up,
        Heard.LOST: Session._hung_up,
    },
    State.LOGON: {
        Heard.ACK: Session._await_go,
        Heard.GO: Session._ready,  # the ACK was spoilt; nobody says this to whom it does not let in
        Heard.NAK: Session._log_on,
        Heard.TIMEOUT: Session._log_on,
        Heard.GOODBYE: Session._refused,
        Heard.LOST: Session._hung_up,
    },
    State.WAITING: {
        Heard.GO: Session._ready,
        Heard.TIMEOUT: Session._no_go,
        Heard.GOODBYE: Session._hung_up,
        Heard.LOST: Session._hung_up,
    },
    State.READY: {
        Heard.GOODBYE: Session._hung_up,
        Heard.LOST: Session._hung_up,
    },
    State.SENT: {
        Heard.ACK: Session._accepted,
        Heard.NAK: Session._resend,
        Heard.RS: Session._abandon,
        Heard.GOODBYE: Session._page_cut,
        Heard.TIMEOUT: Session._unanswered,
        Heard.LOST: Session._unanswered,
    },
    State.ENDING: {
        Heard.RS: Session._late,
        Heard.GOODBYE: Session._close,
        Heard.TIMEOUT: Session._close,
        Heard.LOST: Session._close,
    },
    State.OVER: {},
}
"""What may be heard in which state, and what it means then. What is not here is ignored."""
