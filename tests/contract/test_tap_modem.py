"""Pages over a real serial port: a modem and a paging terminal on a pseudo-terminal (PAG-1, PAG-2)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from connectors.tap.pager import TapPager
from syncengine.errors import LoginRefused, SideError, Unreachable
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import CountryCode, Dialling, Line, ModemSettings, TapSettings, Timing
from tests.tap_terminal import ACK, GO, GOODBYE, NAK, PROMPT, RS, SILENCE, Exchange, Terminal

SENT, LATER, NEVER, UNKNOWN = Verdict.SENT, Verdict.LATER, Verdict.NEVER, Verdict.UNKNOWN
PAGERS: Mapping[str, Pager] = {
    "ann": Pager(PagerType.ALPHANUMERIC, "415 555 0100", "123"),
    "bob": Pager(PagerType.ALPHANUMERIC, "415 555 0100", "124"),
    "eve": Pager(PagerType.ALPHANUMERIC, "650 555 0199", "900"),
    "dan": Pager(PagerType.NUMERIC, "650 555 0142"),
    "pin": Pager(PagerType.NUMERIC, "415 555 0142", "12,34,,5"),
    "abroad": Pager(PagerType.ALPHANUMERIC, "+49 30 1234567", "1"),
    "nobody": Pager(PagerType.ALPHANUMERIC, "415 555 0100"),
    "plain": Pager(PagerType.ALPHANUMERIC, "763-214-0090"),
    "phone": Pager(PagerType.MOBILE, "415 555 0100"),
}
SOON = 0.15
"""Seconds after which a test that waits for nothing gives up waiting."""
QUICK = Timing(t1=20, t2=20, t3=20, t4=20, t5=20)
"""Where an answer comes, however slow the machine is."""


class Desk:
    """A pager service on an exchange, and what it did."""

    def __init__(
        self, exchange: Exchange, *, password: str = "", answer: float = 20, call: float = 20, **settings: Any
    ) -> None:
        self.exchange, self.pauses, self.begun = exchange, list[float](), list[int]()
        self.ahead = 0.0
        line = Line.SEVEN_EVEN_HERE if exchange.even else Line.EIGHT_NONE
        modem = ModemSettings(port=exchange.port, line=line, answer=answer, call=call, guard=1.2)
        settings = {"timing": QUICK, "dialling": Dialling(local_area_code="650"), "modem": modem} | settings
        self.pager = TapPager(
            TapSettings(**settings), PAGERS.get, lambda: password, now=self.now, pause=self.pauses.append
        )

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def send(
        self, who: str = "ann", text: str = "ABC", digits: str = "", done: Mapping[str, Reply] | None = None
    ) -> Any:
        terminal_had = len(self.exchange.commands)
        request = Request(f"r-{len(self.begun)}", Page(who, text, digits), "test")
        return self.pager.send(request, done or {}, lambda: self.begun.append(terminal_had))

    def verdict(self, who: str = "ann", text: str = "ABC", digits: str = "") -> Verdict:
        outcome = self.send(who, text, digits)
        assert isinstance(outcome, Outcome)
        return outcome.verdict


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Any:
    made: list[tuple[Desk, Exchange]] = []

    def make(*terminals: Terminal, line: Mapping[str, Any] | None = None, **settings: Any) -> Desk:
        exchange = Exchange(*terminals, **(line or {}))
        exchange.__enter__()
        found = Desk(exchange, **settings)
        made.append((found, exchange))
        return found

    yield make
    for found, exchange in made:
        exchange.gone()
        found.pager.close()


Make = Callable[..., Desk]


# --- alphanumeric ---


def test_a_page_leaves_as_the_source_says(desk: Make) -> None:
    one = desk(terminal := Terminal())
    outcome = one.send()
    assert outcome == Outcome(SENT, "accepted by the terminal", {"ann": Reply(SENT, 0, "accepted by the terminal")})
    assert terminal.pages == [[b"123", b"ABC"]]
    assert terminal.blocks == [b"\x02123\rABC\r\x0317;\r"]
    one.pager.close()
    assert one.exchange.commands == ["ATZ", "AT&FQ0V1", "ATDT914155550100", "ATH", "AT&F"]
    assert one.exchange.parity_errors == 0
    assert len(one.begun) == 1


def test_the_second_checksum_of_the_description(desk: Make) -> None:
    one = desk(terminal := Terminal(), number="415 555 0100")
    assert one.verdict("plain", "he0921484b2g") is SENT
    assert terminal.blocks == [b"\x027632140090\rhe0921484b2g\r\x03553\r"]


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_bytes_may_arrive_in_any_pieces(desk: Make, cut: int, even: bool) -> None:
    """Seven bits with parity as well as eight without, with an echo, greetings and a code in front of the answer. The
    one prompt comes right after CONNECT: it must not be thrown away."""
    terminal = Terminal(
        opening=b"\r\nWelcome\r\n110 1.8\r\nID=\r\n",
        prompts=[],
        logons=[b"ok\r" + ACK + GO],
        answers=[b"211 yes\r\n" + ACK],
    )
    one = desk(terminal, line={"cut": cut, "even": even, "echo": True})
    assert one.send().replies["ann"] == Reply(SENT, 211, "sent (211)")


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (RS, NEVER, 0),
        (b"511 Nobody\r" + RS, NEVER, 511),
        (b"512 Not now\n\r" + RS, LATER, 512),
        (b"501 Slow\r" + GOODBYE, LATER, 501),
        (GOODBYE, LATER, 0),
        (b"212 Cut\r\n" + ACK, SENT, 212),
    ],
)
def test_what_the_terminal_answers_is_the_outcome(desk: Make, answer: bytes, verdict: Verdict, code: int) -> None:
    one = desk(Terminal(answers=[answer]), Terminal())
    found = one.send().replies["ann"]
    assert (found.verdict, found.code) == (verdict, code)
    assert one.verdict("bob", "next") is SENT, "and the next page goes on"


def test_a_block_that_could_not_be_read_is_sent_again_in_the_same_call(desk: Make) -> None:
    one = desk(terminal := Terminal(answers=[NAK, NAK, ACK]))
    assert one.verdict() is SENT
    assert len(terminal.blocks) == 3
    assert len(one.begun) == 1, "told once, however often the block is sent"


def test_the_terminal_itself_notices_a_block_the_line_has_spoilt(desk: Make) -> None:
    """Its checksum differs: nobody here told it to say NAK."""
    one = desk(terminal := Terminal())
    spoilt = list[bytes]()
    genuine = terminal.hear

    def with_noise(data: bytes) -> bytes:
        if data == b"A" and not spoilt:
            spoilt.append(data)
            data = b"a"
        return genuine(data)

    terminal.hear = with_noise  # type: ignore[method-assign]
    assert one.verdict() is SENT
    assert [block[5:8] for block in terminal.blocks] == [b"aBC", b"ABC"]


def test_silence_after_a_page_is_unknown_and_the_next_page_gets_a_new_call(desk: Make) -> None:
    one = desk(Terminal(answers=[SILENCE]), second := Terminal(), timing=replace(QUICK, t3=SOON))
    assert one.verdict() is UNKNOWN
    assert one.verdict("bob", "next") is SENT
    assert len(one.exchange.dialled) == 2
    assert second.pages == [[b"124", b"next"]]


def test_an_answer_with_the_wrong_parity_is_no_answer(desk: Make) -> None:
    said_before = len(PROMPT) + len(ACK) + len(GO)
    one = desk(Terminal(), line={"spoil": [said_before]}, timing=replace(QUICK, t3=SOON))
    outcome = one.send()
    assert (outcome.verdict, outcome.because) == (
        UNKNOWN,
        "the terminal did not answer after the page had been handed over",
    )


@pytest.mark.parametrize("place", range(3))
def test_a_prompt_with_the_wrong_parity_is_asked_for_again(desk: Make, place: int) -> None:
    one = desk(terminal := Terminal(prompts=[PROMPT, PROMPT]), line={"spoil": [place]}, timing=replace(QUICK, t1=SOON))
    assert one.verdict() is SENT
    assert terminal.crs == 2


def test_without_parity_the_same_bits_would_have_been_believed(desk: Make) -> None:
    one = desk(Terminal(prompts=[b"I\xc4="]), line={"even": False}, timing=replace(QUICK, t1=SOON, t2=SOON))
    assert one.send().because == "The terminal did not ask who calls."


def test_a_long_page_goes_in_several_blocks(desk: Make) -> None:
    one = desk(terminal := Terminal())
    text = "".join(chr(33 + n % 90) for n in range(700))
    assert one.verdict(text=text) is SENT
    assert terminal.pages == [[b"123", text.encode()]]
    assert [block[-5:-4] for block in terminal.blocks] == [b"\x1f", b"\x1f", b"\x03"]


def test_begun_is_told_before_the_last_block_and_not_before(desk: Make) -> None:
    one = desk(terminal := Terminal())
    told: list[int] = []
    request = Request("r", Page("ann", "x" * 700), "test")
    assert one.pager.send(request, {}, lambda: told.append(len(terminal.blocks))).verdict is SENT
    assert told == [2]


def test_control_characters_and_letters_the_terminal_lacks(desk: Make) -> None:
    one = desk(terminal := Terminal())
    assert one.verdict(text="Grüße\r\nvon „Łukasz“: 5 €\tok\x03 日本") is SENT
    assert terminal.pages == [[b"123", b'Grusse\nvon "Lukasz": 5 EUR ok\x03 ??']]
    older = desk(terminal := Terminal(), escapes=False)
    assert older.verdict(text="one\r\ntwo\x03three") is SENT
    assert terminal.pages == [[b"123", b"one two three"]]


def test_a_text_that_is_too_long_is_cut_where_one_can_see_it(desk: Make) -> None:
    one = desk(terminal := Terminal(), most=20)
    assert one.verdict(text="x" * 50) is SENT
    assert terminal.pages == [[b"123", b"x" * 17 + b"..."]]


# --- calls ---


def test_several_pages_to_one_terminal_go_in_one_call(desk: Make) -> None:
    one = desk(first := Terminal(), second := Terminal())
    assert [one.verdict(who, who) for who in ("ann", "bob", "eve")] == [SENT, SENT, SENT]
    assert first.pages == [[b"123", b"ann"], [b"124", b"bob"]]
    assert second.pages == [[b"900", b"eve"]]
    assert one.exchange.dialled == ["914155550100", "95550199"]
    assert first.hear(b"") == b""


def test_a_call_left_idle_for_longer_than_the_terminal_waits_is_made_anew(desk: Make) -> None:
    one = desk(Terminal(), second := Terminal())
    one.send()
    one.ahead += QUICK.t4 + 1
    assert one.verdict("bob") is SENT
    assert (len(one.exchange.dialled), len(second.pages)) == (2, 1)


def test_a_terminal_that_has_hung_up_meanwhile_is_called_again(desk: Make) -> None:
    one = desk(Terminal(answers=[ACK + b"501 you are slow\r" + GOODBYE]), second := Terminal())
    assert one.verdict() is SENT
    wait_for(lambda: one.exchange.idle)
    assert one.verdict("bob") is SENT
    assert (len(one.exchange.dialled), len(second.pages)) == (2, 1)


def test_a_late_refusal_is_the_pages_own_where_it_was_alone_in_its_call(desk: Make) -> None:
    endings = [b"512 not now\r" + RS + GOODBYE, RS + GOODBYE, GOODBYE]
    one = desk(*(Terminal(ending=ending) for ending in endings), per_call=1)
    assert [one.verdict(who) for who in ("ann", "bob", "ann")] == [LATER, NEVER, SENT]


def test_a_late_refusal_of_one_among_several_is_logged(desk: Make, caplog: pytest.LogCaptureFixture) -> None:
    one = desk(Terminal(ending=b"511 nobody\r" + RS + GOODBYE))
    assert [one.verdict("ann"), one.verdict("bob")] == [SENT, SENT]
    one.pager.close()
    (record,) = [r.getMessage() for r in caplog.records]
    assert "there is no pager with this id (511)" in record
    assert "r-0, r-1" in record
    assert "123" not in record


def test_the_password_goes_with_the_logon(desk: Make) -> None:
    one = desk(terminal := Terminal(), password="secret")
    one.send()
    assert terminal.logons == [b"\x1bPG1secret"]


def test_a_refused_logon_stops_the_service_where_the_terminal_is_its_own(desk: Make) -> None:
    one = desk(Terminal(logons=[b"509 no\r" + GOODBYE]), Terminal(), number="415 555 0100")
    with pytest.raises(LoginRefused, match="lets nobody in") as refused:
        one.send()
    assert "wait" in refused.value.fix
    assert one.begun == []
    assert one.verdict() is SENT, "and it goes on when the terminal has changed its mind"


def test_and_concerns_one_pager_only_where_each_has_its_own_number(desk: Make) -> None:
    one = desk(Terminal(logons=[b"509 no\r" + GOODBYE]), Terminal())
    assert one.verdict("ann") is LATER
    assert one.verdict("eve") is SENT


def test_a_terminal_that_says_nothing_is_given_up(desk: Make) -> None:
    one = desk(Terminal(prompts=[]), Terminal(), timing=replace(QUICK, t1=SOON, t2=SOON))
    outcome = one.send()
    assert (outcome.verdict, outcome.because) == (LATER, "The terminal did not ask who calls.")
    assert one.begun == []
    assert one.exchange.commands[-1] == "ATH"


# --- the modem ---


@pytest.mark.parametrize("result", ["BUSY", "NO CARRIER", "NO ANSWER", "VOICE"])
def test_who_does_not_answer_is_tried_later_and_the_next_page_goes(desk: Make, result: str) -> None:
    one = desk(Terminal(), line={"results": [result]})
    assert one.verdict("eve") is LATER
    assert one.verdict("ann") is SENT
    assert len(one.begun) == 1


def test_a_call_that_comes_to_nothing_is_given_up(desk: Make) -> None:
    one = desk(Terminal(), line={"results": [None]}, call=SOON)
    outcome = one.send("eve")
    assert (outcome.verdict, outcome.because) == (LATER, "the call came to nothing")
    assert one.exchange.commands[-2:] == ["", "AT"], "the attempt is ended, and the modem looked at"


def test_a_modem_that_has_gone_deaf_stops_everything(desk: Make) -> None:
    one = desk(call=SOON)
    modem = one.pager._open()
    modem._settings = replace(modem._settings, answer=SOON)  # it has answered, however slow the machine is
    one.exchange.deaf = True
    with pytest.raises(Unreachable, match="does not answer any more"):
        one.send()


@pytest.mark.parametrize("result", ["NO DIALTONE", "NO DIAL TONE"])
def test_a_dead_line_stops_everything(desk: Make, result: str) -> None:
    one = desk(Terminal(), line={"results": [result]})
    with pytest.raises(SideError, match="no dial tone"):
        one.send()
    assert one.verdict() is SENT, "and when it works again, it goes on"


def test_a_number_the_modem_does_not_dial_is_that_pages_own_fault(desk: Make) -> None:
    one = desk(Terminal(), line={"results": ["ERROR"]})
    assert one.verdict("eve") is NEVER
    assert one.verdict("ann") is SENT


def test_a_deaf_modem_stops_everything(desk: Make) -> None:
    one = desk(line={"deaf": True}, answer=SOON)
    with pytest.raises(Unreachable, match="does not answer") as stopped:
        one.send()
    assert "the pages wait" in stopped.value.fix
    assert one.begun == []


def test_a_missing_modem_stops_everything_until_it_is_back(desk: Make, tmp_path: Any) -> None:
    port = tmp_path / "modem"
    exchange = Exchange(terminal := Terminal())
    modem = ModemSettings(port=str(port), line=Line.SEVEN_EVEN_HERE, answer=20, call=20)
    service = TapPager(TapSettings(modem=modem, timing=QUICK), PAGERS.get, pause=lambda _: None)
    request = Request("r", Page("ann", "ABC"), "test")
    for _ in range(2):
        with pytest.raises(Unreachable, match="modem cannot be used") as stopped:
            service.send(request, {}, lambda: None)
        assert str(port) in stopped.value.where
        assert stopped.value.retry
    with exchange:
        os.symlink(exchange.port, port)
        assert service.send(request, {}, lambda: None).verdict is SENT
        assert service.probe() == f"the modem at {port} answers"
        service.close()
    assert terminal.pages == [[b"123", b"ABC"]]


def test_a_modem_in_use_is_waited_for_and_not_shared(desk: Make) -> None:
    one = desk(Terminal())
    one.send()
    modem = ModemSettings(port=one.exchange.port, line=Line.SEVEN_EVEN_HERE, answer=20, call=20)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            one.pager.close()

    other = TapPager(TapSettings(modem=modem), PAGERS.get, pause=wait)
    assert other.probe() == f"the modem at {one.exchange.port} answers"
    assert waits == [0.5, 0.5, 0.5]
    third = TapPager(TapSettings(modem=replace(modem, call=SOON)), PAGERS.get, pause=lambda _: None)
    with pytest.raises(Unreachable, match="modem cannot be used"):
        third.probe()
    other.close()


def test_a_plug_pulled_before_the_page_is_handed_over_stops_everything(desk: Make) -> None:
    one = desk(terminal := Terminal())
    one.exchange.on_block = lambda _: one.exchange.gone()
    with pytest.raises(Unreachable, match="modem"):
        one.send(text="x" * 700)
    assert (len(terminal.blocks), one.begun) == (1, [])


def test_a_plug_pulled_after_the_page_was_handed_over_is_unknown(desk: Make) -> None:
    one = desk(Terminal())
    one.exchange.on_block = lambda _: one.exchange.gone()
    outcome = one.send()
    assert (outcome.verdict, len(one.begun)) == (UNKNOWN, 1)
    with pytest.raises(Unreachable):
        one.send("bob")


def test_what_begun_raises_sends_nothing_and_ends_the_call(desk: Make) -> None:
    one = desk(first := Terminal(), Terminal())

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.pager.send(Request("r", Page("ann", "ABC"), "test"), {}, fails)
    assert first.blocks == []
    assert one.exchange.commands[-2:] == ["ATH", "AT&F"]
    assert one.verdict() is SENT


def test_other_commands_are_those_that_are_set(desk: Make) -> None:
    exchange = Exchange(Terminal())
    modem = ModemSettings(
        exchange.port, 1200, Line.SEVEN_EVEN_HERE, "ATZ1", "AT&F1", "ATDT*70,", "ATX1DT", "ATH0", "", 20, 20, 0
    )
    with exchange:
        service = TapPager(TapSettings(modem=modem, timing=QUICK), PAGERS.get, pause=lambda _: None)
        assert service.send(Request("r", Page("ann", "x"), "test"), {}, lambda: None).verdict is SENT
        service.close()
    assert exchange.commands == ["ATZ1", "AT&F1", "ATDT*70,914155550100", "ATH0"]


# --- numeric ---


def test_a_numeric_page_is_pressed_after_the_first_delay(desk: Make) -> None:
    one = desk()
    outcome = one.send("dan", digits="555 0100*7".replace(" ", ""))
    assert (outcome.verdict, outcome.because) == (
        SENT,
        "the keys were pressed; whether the page arrived cannot be seen",
    )
    assert one.exchange.commands[2:] == ["ATDT95550142;", "ATX1DT5550100*7;", "ATH"]
    assert one.pauses == [12.0, 2.0]
    assert len(one.begun) == 1


def test_with_a_pin_there_are_two_sets_and_a_comma_is_half_a_second(desk: Make) -> None:
    one = desk()
    assert one.verdict("pin", digits="911") is SENT
    assert one.exchange.commands[2:] == [
        "ATDT914155550142;", "ATX1DT12;", "ATX1DT34;", "ATX1DT5;", "ATX1DT911;", "ATH",
    ]  # fmt: skip
    assert one.pauses == [12.0, 0.5, 0.5, 0.5, 4.0, 2.0]
    turned = desk(pin_first=False)
    assert turned.verdict("pin", digits="911") is SENT
    assert turned.exchange.commands[3:5] == ["ATX1DT911;", "ATX1DT12;"]


def test_delays_are_those_that_are_set(desk: Make) -> None:
    one = desk(first_delay=3.0, second_delay=1.5, after_keys=0.0)
    one.send("pin", digits="911")
    assert one.pauses == [3.0, 0.5, 0.5, 0.5, 1.5, 0.0]


@pytest.mark.parametrize(
    ("who", "line", "verdict"),
    [
        ("dan", {"results": ["BUSY"]}, LATER),
        ("dan", {"results": ["NO CARRIER"]}, LATER),
        ("dan", {"keys": ["NO CARRIER"]}, UNKNOWN),
        ("pin", {"keys": ["NO CARRIER"]}, LATER),  # in the PIN
        ("pin", {"keys": ["OK", "OK", "OK", "NO CARRIER"]}, UNKNOWN),
    ],
)
def test_a_numeric_page_cut_off(desk: Make, who: str, line: Mapping[str, Any], verdict: Verdict) -> None:
    one = desk(line=line)
    assert one.verdict(who, digits="911") is verdict
    assert one.verdict("dan", digits="911") is SENT


def test_a_numeric_page_ends_a_call_to_a_terminal(desk: Make) -> None:
    one = desk(terminal := Terminal(), Terminal())
    one.send("ann")
    assert one.verdict("dan", digits="911") is SENT
    assert one.exchange.commands[2:5] == ["ATDT914155550100", "ATH", "ATDT95550142;"]
    assert one.verdict("ann") is SENT
    assert len(terminal.pages) == 1


# --- who can be paged ---


@pytest.mark.parametrize(
    ("who", "page", "words"),
    [
        ("stranger", {}, "has no pager"),
        ("nobody", {}, "has no PIN"),
        ("phone", {}, "is mobile, which this service does not reach"),
        ("dan", {}, "shows digits, and the page has none"),
        ("dan", {"digits": "call me"}, "shows digits, and the page has others"),
        ("ann", {"text": "  "}, "The page is empty"),
        ("abroad", {}, "begins with a country code"),
    ],
)
def test_what_cannot_be_paged_is_refused_in_plain_words_without_a_call(
    desk: Make, who: str, page: dict[str, str], words: str
) -> None:
    one = desk()
    outcome = one.send(who, **page)
    assert outcome.verdict is NEVER
    assert words in outcome.because
    assert one.exchange.commands == []


def test_a_country_code_may_be_taken_off(desk: Make) -> None:
    rules = Dialling(long_distance_prefix="0", country=CountryCode.STRIP, country_code="49")
    one = desk(Terminal(), dialling=rules)
    assert one.verdict("abroad") is SENT
    assert one.exchange.dialled == ["90301234567"]


def test_digits_alone_do_for_an_alphanumeric_pager(desk: Make) -> None:
    one = desk(terminal := Terminal())
    assert one.verdict(text="", digits="5550100") is SENT
    assert terminal.pages == [[b"123", b"5550100"]]


def test_who_has_the_page_already_is_not_paged_again(desk: Make) -> None:
    one = desk()
    done = {"ann": Reply(SENT, 211, "sent (211)")}
    assert one.send(done=done) == Outcome(SENT, "sent (211)", done)
    assert one.exchange.commands == []


def wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.005)
