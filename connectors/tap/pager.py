"""Pages over a modem: a call to a paging terminal for several pages, or one call and key presses (PAG-1).

A call to a terminal stays open between two pages to it, as long as the terminal waits (t4), and ends when the next page
goes elsewhere, with `close`, or after so many pages. What the terminal refuses after the end (a late RS) is told as the
page's own refusal where the call had one page; else nobody can say which page it was, and it is only logged.

A modem that is missing or does not answer, and a line without a dial tone, stop everything: the requests wait. A far
end that is busy, does not answer or misbehaves concerns the one request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.tap.modem import Modem, Result
from connectors.tap.protocol import Ended, Event, LoggedOn, Paged, RefusedLate, Session, State
from syncengine.core.outbound.paging import addressee, known_outcome, page_outcome, seven_bits, text_of
from syncengine.core.outbound.phone import dialled, plain
from syncengine.errors import ItemError, LoginRefused, SideError
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import TapSettings

log = logging.getLogger(__name__)

TAKES = frozenset({PagerType.ALPHANUMERIC, PagerType.NUMERIC})
HALF = 0.5
"""Seconds of a comma among keys."""
_FAR_END: Mapping[Result, str] = {
    Result.BUSY: "the number is busy",
    Result.NO_CARRIER: "no modem answered at the number",
    Result.NO_ANSWER: "nobody answered at the number",
}


@dataclass(slots=True)
class _Call:
    number: str
    session: Session
    quiet_since: float
    ids: list[str] = field(default_factory=list)  # of the requests it has carried


class TapPager:
    """Implements `ports.Sender`. pager_of: an employee's pager, by id. password: the terminal's, asked for when it is
    needed. now, pause: seconds of a clock that only goes forward, and waiting for some."""

    def __init__(
        self,
        settings: TapSettings,
        pager_of: Callable[[str], Pager | None],
        password: Callable[[], str] = str,
        *,
        account: str = "",
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._pager_of, self._password, self._account = settings, pager_of, password, account
        self._now, self._pause = now, pause
        self._modem: Modem | None = None
        self._call: _Call | None = None

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        page = request.content
        assert isinstance(page, Page)
        if known := known_outcome(page, done):
            return known
        try:
            pager = addressee(page, self._pager_of(page.employee), TAKES)
            if pager.type is PagerType.NUMERIC:
                return self._numeric(page, pager, begun)
            return self._alphanumeric(request.id, page, pager, begun)
        except ItemError as e:
            return page_outcome(page, Verdict.NEVER, f"{e.what} {e.fix}".strip())

    def probe(self) -> str:
        """Raises SideError where the modem cannot be used."""
        self._open()
        return f"the modem at {self._settings.modem.port} answers"

    def close(self) -> None:
        with suppress(SideError):
            self._end_call()
        self._drop_modem()

    # --- alphanumeric ---

    def _alphanumeric(self, request_id: str, page: Page, pager: Pager, begun: Callable[[], None]) -> Outcome:
        number, pager_id = self._terminal_and_id(pager)
        text = seven_bits(text_of(page, self._settings.most))
        call = self._call_to(number)
        if isinstance(call, Outcome):
            return page_outcome(page, call.verdict, call.because)
        try:
            paged = self._page(call, pager_id, text, begun)
        except BaseException:
            self._break_off()
            raise
        call.ids.append(request_id)
        found = self._with_late_refusal(call, paged)
        return page_outcome(page, found.verdict, found.because, found.code)

    def _terminal_and_id(self, pager: Pager) -> tuple[str, str]:
        """What is dialled, and by what the terminal knows the pager. Raises ItemError."""
        own = self._settings.number
        pager_id = pager.pin or (plain(pager.number).lstrip("+") if own else "")
        if not pager_id:
            raise ItemError("The employee's pager has no PIN, by which the terminal knows it.", fix="Give it one.")
        return dialled(own or pager.number, self._settings.dialling), pager_id

    def _page(self, call: _Call, pager_id: str, text: str, begun: Callable[[], None]) -> Paged:
        """Raises SideError where the modem went away before the page was handed over."""
        call.session.page(pager_id, text, self._now())
        events, gone = self._converse(call.session, begun)
        paged = next(e for e in events if isinstance(e, Paged))
        call.quiet_since = self._now()
        if gone is not None:
            self._drop_modem()
            if paged.verdict is Verdict.LATER:
                raise gone
        elif call.session.is_over:
            self._hang_up()
        return paged

    def _with_late_refusal(self, call: _Call, paged: Paged) -> Paged | RefusedLate:
        if self._call is not call or len(call.ids) < self._settings.per_call:
            return paged
        late = self._end_call(tell=len(call.ids) > 1)
        alone = late is not None and len(call.ids) == 1 and paged.verdict is Verdict.SENT
        return late if alone and late else paged

    def _call_to(self, number: str) -> _Call | Outcome:
        """The call that is open, or a new one; why there is none."""
        if (call := self._call) and not self._still_good(call, number):
            self._end_call()
        if self._call is not None:
            return self._call
        password = self._checked_password()
        modem = self._open()
        result = modem.dial(number)
        if result is not Result.CONNECT:
            return self._no_call(modem, result)
        session = Session(self._now(), self._settings.timing, password, escapes=self._settings.escapes)
        self._call = _Call(number, session, self._now())
        return self._log_on(self._call)

    def _checked_password(self) -> str:
        password = self._password()
        if not (password.isascii() and (not password or password.isprintable())):
            raise LoginRefused(
                "The password of the paging terminal holds what cannot be sent.",
                where=f"pager {self._account}",
                fix="Give it letters, digits and signs of ASCII.",
            )
        return password

    def _still_good(self, call: _Call, number: str) -> bool:
        assert self._modem is not None
        if call.number != number or self._now() - call.quiet_since > self._settings.timing.t4:
            return False
        if said := self._modem.read(0):
            call.session.receive(said, self._now())
        return call.session.state is State.READY

    def _log_on(self, call: _Call) -> _Call | Outcome:
        try:
            events, gone = self._converse(call.session, None)
        except BaseException:
            self._break_off()
            raise
        if any(isinstance(e, LoggedOn) for e in events):
            return call
        if gone is not None:
            self._drop_modem()
            raise gone
        self._hang_up()
        ended = next(e for e in events if isinstance(e, Ended))
        if ended.logon_refused and self._settings.number:
            raise LoginRefused(
                f"The paging terminal lets nobody in: {ended.because}",
                where=f"pager {self._account}",
                fix="Correct password or number in [[pager]]; the pages wait.",
            )
        return Outcome(Verdict.LATER, ended.because)

    def _no_call(self, modem: Modem, result: Result) -> Outcome:
        """Raises SideError where it is our end's fault."""
        if result in _FAR_END:
            return Outcome(Verdict.LATER, _FAR_END[result])
        if result is Result.NO_DIALTONE:
            raise modem.trouble("has no dial tone")
        if not modem.answers():
            self._drop_modem()
            raise modem.trouble("does not answer any more")
        if result is Result.NOTHING:
            return Outcome(Verdict.LATER, "the call came to nothing")
        if self._settings.number:
            raise modem.trouble(f"answered {result.value} to the number of the terminal")
        return Outcome(Verdict.NEVER, f"the modem answered {result.value} to the pager's number")

    def _converse(self, session: Session, begun: Callable[[], None] | None) -> tuple[list[Event], SideError | None]:
        """Until the session tells something; with what broke the line, if anything did. begun is called before the
        first bytes that complete a page."""
        assert self._modem is not None
        events: list[Event] = []
        while not events:
            if begun is not None and session.hands_over:
                begun()
                begun = None
            try:
                if out := session.to_send():
                    self._modem.write(out)
                    session.sent(self._now())
                said = self._modem.read((session.timer or self._now()) - self._now())
            except SideError as e:
                return session.lost(self._now()), e
            events = [*session.receive(said, self._now()), *session.expire(self._now())]
        return events, None

    def _end_call(self, *, tell: bool = True) -> RefusedLate | None:
        """Say goodbye and hang up. What the terminal refuses late, of a page nobody can name (tell) or of the one."""
        if (call := self._call) is None:
            return None
        late: RefusedLate | None = None
        if call.session.state is State.READY:
            call.session.end(self._now())
            while not call.session.is_over:
                events, gone = self._converse(call.session, None)
                late = next((e for e in events if isinstance(e, RefusedLate)), late)
                if gone is not None:
                    break
        self._hang_up()
        if late is not None and tell:
            log.warning(
                "the terminal refused one of the pages it had accepted: %s; requests %s",
                late.because,
                ", ".join(call.ids),
            )
        return late

    # --- numeric ---

    def _numeric(self, page: Page, pager: Pager, begun: Callable[[], None]) -> Outcome:
        number = dialled(pager.number, self._settings.dialling)
        with suppress(SideError):
            self._end_call()
        modem = self._open()
        result = modem.call(number)
        if result is not Result.OK:
            found = self._no_call(modem, result)
            return page_outcome(page, found.verdict, found.because)
        return self._keyed(modem, page, self._sets(page, pager), begun)

    def _sets(self, page: Page, pager: Pager) -> list[tuple[float, str, bool]]:
        """(seconds before, keys, whether they are the page): the second set there is only with a PIN."""
        first, second = self._settings.first_delay, self._settings.second_delay
        if not pager.pin:
            return [(first, page.digits, True)]
        if self._settings.pin_first:
            return [(first, pager.pin, False), (second, page.digits, True)]
        return [(first, page.digits, True), (second, pager.pin, False)]

    def _keyed(
        self, modem: Modem, page: Page, sets: Iterable[tuple[float, str, bool]], begun: Callable[[], None]
    ) -> Outcome:
        handed = False
        try:
            for seconds, keys, is_page in sets:
                modem.wait(seconds)
                if is_page:
                    begun()
                    handed = True
                if (result := self._pressed(modem, keys)) is not Result.OK:
                    return self._cut_off(page, result, handed=handed)
            modem.wait(self._settings.after_keys)
        except SideError as e:
            self._drop_modem()
            if not handed:
                raise
            return page_outcome(page, Verdict.UNKNOWN, f"{e.what} The keys may have been pressed.")
        except BaseException:
            self._break_off()
            raise
        self._hang_up(online=False)
        return page_outcome(page, Verdict.SENT, "the keys were pressed; whether the page arrived cannot be seen")

    def _pressed(self, modem: Modem, keys: str) -> Result:
        for number, part in enumerate(keys.split(",")):
            if number:
                modem.wait(HALF)
            if part and (result := modem.press(part)) is not Result.OK:
                return result
        return Result.OK

    def _cut_off(self, page: Page, result: Result, *, handed: bool) -> Outcome:
        self._hang_up(online=False)
        words = f"the call ended while keys were pressed ({result.value or 'the modem did not answer'})"
        return page_outcome(page, Verdict.UNKNOWN if handed else Verdict.LATER, words)

    # --- the modem ---

    def _open(self) -> Modem:
        if self._modem is None:
            self._modem = Modem(self._settings.modem, now=self._now, pause=self._pause)
        return self._modem

    def _hang_up(self, *, online: bool = True) -> None:
        """A modem that goes away here has done its work: the next page will meet it."""
        online = online and self._call is not None and self._call.session.carrier
        self._call = None
        if self._modem is None:
            return
        try:
            self._modem.hang_up(online=online)
        except SideError:
            self._drop_modem()

    def _break_off(self) -> None:
        """Nobody knows in which state the call is."""
        self._hang_up()
        self._drop_modem()

    def _drop_modem(self) -> None:
        self._call = None
        if self._modem is not None:
            self._modem.close()
        self._modem = None
