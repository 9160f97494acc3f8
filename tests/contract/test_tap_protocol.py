"""TAP 1.8 without any line: blocks, states, and that nothing depends on how bytes arrive (PAG-1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tap.blocks import GARBAGE, blocks, checksum, with_even_parity, without_parity
from connectors.tap.codes import CODES
from connectors.tap.hearing import Ear, Heard, Said
from connectors.tap.protocol import STEPS, Ended, Event, LoggedOn, Misuse, Paged, RefusedLate, Session, State
from syncengine.model.outbound import Verdict
from syncengine.model.paging import Timing
from tests.tap_terminal import ACK, GO, GOODBYE, NAK, PROMPT, RS, SILENCE, Terminal, evened, sum_of

NEVER_SENT, LATER, UNKNOWN, SENT = Verdict.NEVER, Verdict.LATER, Verdict.UNKNOWN, Verdict.SENT


# --- blocks ---


def test_both_checksums_of_the_description() -> None:
    assert checksum(b"\x02123\rABC\r\x03") == b"17;"
    assert checksum(b"\x027632140090\rhe0921484b2g\r\x03") == b"553"


def test_a_page_is_one_block_just_as_described() -> None:
    assert blocks(("123", "ABC"), escapes=True) == [b"\x02123\rABC\r\x0317;\r"]
    assert blocks(("7632140090", "he0921484b2g"), escapes=False) == [b"\x027632140090\rhe0921484b2g\r\x03553\r"]


def test_the_checksum_counts_seven_bits_and_no_more_than_twelve() -> None:
    assert checksum(b"\xff" * 40) == checksum(b"\x7f" * 40) == sum_of(b"\x7f" * 40)
    assert checksum(b"\x7f" * 40) == b"3=8"  # 40 × 127 = 5080 = 0x13D8


def test_control_characters_are_escaped_or_become_spaces() -> None:
    text = "a\r\n\x1b\x02\x03\x1f\x17\x04\x1ab"
    (escaped,) = blocks(("1", text), escapes=True)
    assert escaped[:-4] == b"\x021\ra\x1aM\x1aJ\x1a[\x1aB\x1aC\x1a_\x1aW\x1aD\x1aZb\r\x03"
    (plain,) = blocks(("1", text), escapes=False)
    assert plain[:-4] == b"\x021\ra         b\r\x03"


@pytest.mark.parametrize("c", "\x00\x01\x05\x06\x07\x08\t\x0b\x11\x13\x15\x1e\x7f")
def test_what_has_no_escape_is_a_space_in_any_case(c: str) -> None:
    for escapes in (True, False):
        assert blocks(("1", f"a{c}b"), escapes=escapes)[0][:-4] == b"\x021\ra b\r\x03"


@pytest.mark.parametrize(
    ("length", "terminators"),
    [(243, b"\x03"), (244, b"\x1f\x03"), (245, b"\x1f\x03"), (492, b"\x1f\x03"), (494, b"\x1f\x1f\x03")],
)
def test_a_long_text_goes_on_inside_the_field(length: int, terminators: bytes) -> None:
    made = blocks(("12345", "x" * length), escapes=True)
    assert bytes(block[-5] for block in made) == terminators


def test_a_block_that_ends_with_its_field_says_so() -> None:
    made = blocks(("1" * 249, "text"), escapes=True)
    assert [block[-5] for block in made] == [0x17, 0x03]
    assert made[0][-6:-5] == b"\r"


@pytest.mark.parametrize("before", range(240, 250))
def test_a_pair_is_never_split_over_two_blocks(before: int) -> None:
    made = blocks(("1", "x" * before + "\r" * 8), escapes=True)
    assert all(len(block) <= 256 for block in made)
    assert all(block[-6:-5] != b"\x1a" for block in made), "no block ends inside a pair"
    terminal = Terminal()
    terminal.hear(b"".join(made))
    assert terminal.pages == [[b"1", b"x" * before + b"\r" * 8]]


def test_what_is_not_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="ascii"):
        blocks(("1", "é"), escapes=True)


@given(st.text("0123456789", max_size=300), st.text(st.characters(max_codepoint=127), max_size=1200))
def test_blocks_are_small_and_hold_the_whole_page(pager: str, text: str) -> None:
    made = blocks((pager, text), escapes=True)
    assert all(len(block) <= 256 for block in made)
    terminal = Terminal()
    assert terminal.hear(b"".join(made)) == ACK * len(made)
    kept = "\r\n\x1b\x02\x03\x1f\x17\x04\x1a"
    shown = "".join(c if c in kept or " " <= c <= "~" else " " for c in text)
    assert terminal.pages == [[pager.encode(), shown.encode()]]


@given(st.binary(max_size=50).map(lambda raw: bytes(c & 0x7F for c in raw)))
def test_even_parity_by_hand(text: bytes) -> None:
    assert with_even_parity(text) == evened(text)
    assert without_parity(evened(text)) == text


def test_a_wrong_bit_is_noticed() -> None:
    assert without_parity(bytes([evened(b"A")[0] ^ 0x80, *evened(b"B")])) == bytes([GARBAGE, ord("B")])
    assert without_parity(bytes([evened(b"A")[0] ^ 0x04])) == bytes([GARBAGE])


# --- hearing ---


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\n\r"])
def test_every_line_end_is_one(end: bytes) -> None:
    said = b"211 Page accepted" + end + b"Thank you" + end + b"\x06" + end
    assert list(Ear().hear(said)) == [Said(Heard.ACK, 211, "211 Page accepted / Thank you")]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"Welcome\r\nID=", [(Heard.PROMPT, 0)]),
        (b"Welcome to pagingID=\r", [(Heard.PROMPT, 0)]),
        (b"110 1.8\r\x06\r\x1b[p\r", [(Heard.ACK, 110), (Heard.GO, 0)]),
        (b"511 No such pager\r\x1e\r514 sum\r\x15\r", [(Heard.RS, 511), (Heard.NAK, 514)]),
        (b"501\x1b\x04", [(Heard.GOODBYE, 501)]),
        (b"\x1b[P\r\x1b\x1b[p", [(Heard.GO, 0)]),
        (b"\x1b\xff\x04\x1b[\xffp\x1b\x05[p", []),
        (b"I\xffD=\r", []),
        (b"I\xc4=\r", []),
        (b"\x1b[\x04", []),
        (b"110 1.8\r211 Page accepted\r\x06", [(Heard.ACK, 211)]),
        (b"\x86\x95\x9e", []),
        (b"\r\nNO CARRIER\r\n", [(Heard.LOST, 0)]),
        (b"5112 of something\r\x1e", [(Heard.RS, 0)]),
        (b"x" * 100_000 + b"ID=", [(Heard.PROMPT, 0)]),
    ],
)
def test_answers_are_found_among_words(stream: bytes, expected: list[tuple[Heard, int]]) -> None:
    assert [(said.heard, said.code) for said in Ear().hear(stream)] == expected


def test_endless_talk_is_not_kept() -> None:
    ear = Ear()
    assert list(ear.hear(b"words and words\r" * 10_000)) == []
    assert len(ear.said(Heard.TIMEOUT).text) < 1000
    assert list(ear.hear(b"x" * 100_000)) == []
    assert len(ear.said(Heard.TIMEOUT).text) <= 500


@given(st.binary(max_size=80), st.lists(st.integers(0, 80)))
def test_it_does_not_matter_where_a_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    ear = Ear()
    assert [said for part in split(stream, cuts) for said in ear.hear(part)] == list(Ear().hear(stream))


def split(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, *(c for c in cuts if c < len(stream)), len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(places)]


# --- calls ---


class Caller:
    """A session talking to a terminal in memory, on a clock that jumps to the next timer."""

    def __init__(
        self,
        terminal: Terminal,
        timing: Timing = Timing(),  # noqa: B008
        *,
        password: str = "",
        cuts: Callable[[], Sequence[int]] = lambda: (),
        escapes: bool = True,
    ) -> None:
        self.terminal, self.now, self._cuts = terminal, 100.0, cuts
        self.session = Session(self.now, timing, password, escapes=escapes)
        self.sent: list[tuple[float, bytes]] = []
        self.handed: list[int] = []
        self.events: list[Event] = self._receive(terminal.opening)

    def _receive(self, data: bytes) -> list[Event]:
        return [e for part in split(data, self._cuts()) for e in self.session.receive(part, self.now)]

    def run(self) -> list[Event]:
        """Until it waits for us, or is over. What it told."""
        while True:
            if self.session.hands_over:
                self.handed.append(len(self.sent))
            if out := self.session.to_send():
                self.sent.append((self.now, out))
                self.session.sent(self.now)
                self.events += self._receive(self.terminal.hear(out))
            elif self.session.timer is not None:
                self.now = max(self.now, self.session.timer)
                self.events += self.session.expire(self.now)
            else:
                told, self.events = self.events, []
                return told

    def page(self, text: str = "ABC", pager: str = "123") -> list[Event]:
        self.session.page(pager, text, self.now)
        return self.run()

    def paged(self, text: str = "ABC") -> tuple[Verdict, int]:
        (found,) = [e for e in self.page(text) if isinstance(e, Paged)]
        return found.verdict, found.code

    def end(self) -> list[Event]:
        self.session.end(self.now)
        return self.run()


def logged_on(terminal: Terminal, timing: Timing = Timing(), **more: object) -> Caller:  # noqa: B008
    caller = Caller(terminal, timing, **more)  # type: ignore[arg-type]
    assert caller.run() == [LoggedOn()]
    return caller


def test_a_whole_call() -> None:
    caller = logged_on(terminal := Terminal())
    assert caller.page() == [Paged(SENT, "accepted by the terminal")]
    assert caller.page("again", "124") == [Paged(SENT, "accepted by the terminal")]
    assert caller.end() == [Ended()]
    assert [out for _, out in caller.sent] == [
        b"\r",
        b"\x1bPG1\r",
        b"\x02123\rABC\r\x0317;\r",
        *blocks(("124", "again"), escapes=True),
        b"\x04\r",
    ]
    assert terminal.pages == [[b"123", b"ABC"], [b"124", b"again"]]
    assert caller.session.is_over


@pytest.mark.parametrize(
    "opening", [b"ID=", b"ID=\r", b"\r\nWelcome\r\nID=\r\n", b"Welcome ID=", b"\n\r110 1.8\n\rID=\n\r"]
)
def test_a_prompt_nobody_asked_for_is_answered_at_once(opening: bytes) -> None:
    caller = logged_on(terminal := Terminal(opening=opening))
    assert (terminal.crs, terminal.logons) == (0, [b"\x1bPG1"])
    assert caller.now == 100.0


def test_a_second_prompt_is_not_a_second_logon() -> None:
    logged_on(terminal := Terminal(prompts=[b"ID=\rID="], logons=[b"ID=\r" + ACK + b"ID=" + GO]))
    assert terminal.logons == [b"\x1bPG1"]


def test_a_slow_terminal_is_asked_again_and_not_for_ever() -> None:
    caller = logged_on(terminal := Terminal(prompts=[SILENCE, SILENCE, PROMPT]))
    assert terminal.crs == 3
    assert [at for at, out in caller.sent if out == b"\r"] == [100.0, 102.0, 104.0]
    mute = Caller(Terminal(prompts=[b"hello\r"]))
    assert mute.run() == [Ended("The terminal did not ask who calls.")]
    assert (mute.terminal.crs, mute.now) == (3, 106.0)


def test_the_password_goes_with_the_logon() -> None:
    logged_on(terminal := Terminal(), password="secret")
    assert terminal.logons == [b"\x1bPG1secret"]


def test_a_logon_is_tried_again_after_nak_and_after_silence() -> None:
    logged_on(terminal := Terminal(logons=[NAK, SILENCE, ACK + GO]))
    assert terminal.logons == [b"\x1bPG1"] * 3


@pytest.mark.parametrize(
    ("logons", "refused", "code"),
    [
        ([NAK, NAK, NAK], True, 0),
        ([b"507 bad\r" + NAK] * 3, True, 507),
        ([GOODBYE], True, 0),
        ([b"509 bad\r" + GOODBYE], True, 509),
        ([ACK + b"508\r" + GOODBYE], True, 508),
        ([ACK + GOODBYE], False, 0),
        ([], False, 0),
        ([ACK], False, 0),
        ([ACK + b"\x1b[P\r"], False, 0),
    ],
)
def test_who_is_not_let_in_is_told_so(logons: list[bytes], refused: bool, code: int) -> None:
    caller = Caller(Terminal(logons=logons))
    (ended,) = caller.run()
    assert isinstance(ended, Ended)
    assert (ended.logon_refused, ended.code) == (refused, code)
    assert caller.session.is_over


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ACK, (SENT, 0)),
        (b"211 Page accepted\r" + ACK, (SENT, 211)),
        (b"\r\n212 Cut\r\n" + ACK, (SENT, 212)),
        (b"213 Later\r" + ACK, (SENT, 213)),
        (RS, (NEVER_SENT, 0)),
        (b"511 Nobody\r" + RS, (NEVER_SENT, 511)),
        (b"512 Not now\r" + RS, (LATER, 512)),
        (b"516 Quota\r" + RS, (LATER, 516)),
        (b"211 sent\r" + RS, (NEVER_SENT, 211)),
        (b"599 What?\r" + RS, (NEVER_SENT, 599)),
        (GOODBYE, (LATER, 0)),
        (b"513 Too long\r" + GOODBYE, (NEVER_SENT, 513)),
        (b"501 Slow\r" + GOODBYE, (LATER, 501)),
        (SILENCE, (UNKNOWN, 0)),
        (b"garbage\r", (UNKNOWN, 0)),
        (b"\x86\x8d", (UNKNOWN, 0)),
        (b"\r\nNO CARRIER\r\n", (UNKNOWN, 0)),
        (GO + PROMPT, (UNKNOWN, 0)),
    ],
)
def test_every_answer_to_a_page(answer: bytes, expected: tuple[Verdict, int]) -> None:
    assert logged_on(Terminal(answers=[answer])).paged() == expected


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_says_whether_another_try_may_help(code: int) -> None:
    final = {504, 505, 510, 511, 513, 515, 517}
    if code < 500:
        assert CODES[code][0] is SENT
        return
    expected = NEVER_SENT if code in final else LATER
    caller = logged_on(Terminal(answers=[b"%d words\r" % code + RS]))
    (found,) = caller.page()
    assert isinstance(found, Paged)
    assert (found.verdict, found.code) == (expected, code)
    assert found.because == f"{CODES[code][1]} ({code})"


def test_a_refused_page_does_not_stop_the_next() -> None:
    caller = logged_on(terminal := Terminal(answers=[RS]))
    assert caller.paged("one") == (NEVER_SENT, 0)
    assert caller.paged("two") == (SENT, 0)
    assert terminal.pages == [[b"123", b"two"]]


def test_a_block_that_could_not_be_read_is_sent_again() -> None:
    caller = logged_on(terminal := Terminal(answers=[NAK, b"514 Checksum\r" + NAK, NAK]))
    assert caller.paged() == (SENT, 0)
    assert terminal.blocks == [b"\x02123\rABC\r\x0317;\r"] * 4


def test_but_not_for_ever() -> None:
    caller = logged_on(terminal := Terminal(answers=[NAK] * 9))
    assert caller.paged() == (LATER, 0)
    assert len(terminal.blocks) == 4
    assert not caller.session.is_over
    assert logged_on(Terminal(answers=[b"515 Format\r" + NAK] * 9)).paged() == (NEVER_SENT, 515)


def test_resends_are_counted_for_each_block() -> None:
    caller = logged_on(terminal := Terminal(answers=[NAK, NAK, NAK, ACK, NAK, NAK, NAK, ACK]))
    assert caller.paged("x" * 300) == (SENT, 0)
    assert len(terminal.blocks) == 8


def test_a_page_is_handed_over_with_its_last_block() -> None:
    caller = logged_on(terminal := Terminal())
    before = len(caller.sent)
    assert caller.paged("x" * 700) == (SENT, 0)
    assert terminal.pages == [[b"123", b"x" * 700]]
    assert caller.handed == [before + 2]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([SILENCE], LATER),
        ([ACK, SILENCE], LATER),
        ([ACK, ACK, SILENCE], UNKNOWN),
        ([ACK, ACK, GOODBYE], LATER),
        ([ACK, RS], NEVER_SENT),
        ([b"\r\nNO CARRIER\r\n"], LATER),
        ([ACK, ACK, NAK, SILENCE], UNKNOWN),
    ],
)
def test_a_page_cut_off_is_unknown_only_after_its_last_block(answers: list[bytes], verdict: Verdict) -> None:
    assert logged_on(Terminal(answers=answers)).paged("x" * 700) == (verdict, 0)


def test_an_answer_in_advance_is_none() -> None:
    """Two ACKs to the first block: the second says nothing of the second block."""
    caller = logged_on(Terminal(answers=[ACK + ACK, SILENCE]))
    assert caller.paged("x" * 300) == (UNKNOWN, 0)


@pytest.mark.parametrize("answer", [SILENCE, GOODBYE])
def test_a_call_is_over_after_silence_or_goodbye(answer: bytes) -> None:
    caller = logged_on(Terminal(answers=[answer]))
    events = caller.page()
    assert [type(e) for e in events] == [Paged, Ended]
    with pytest.raises(Misuse):
        caller.session.page("1", "x", caller.now)
    with pytest.raises(Misuse):
        caller.session.end(caller.now)


@pytest.mark.parametrize(
    ("ending", "late"),
    [
        (GOODBYE, []),
        (b"Thank you\r" + GOODBYE, []),
        (RS + GOODBYE, [(NEVER_SENT, 0)]),
        (b"512 not now\r" + RS + GOODBYE, [(LATER, 512)]),
        (b"511 nobody\r\n" + RS + b"Bye\r" + GOODBYE, [(NEVER_SENT, 511)]),
        (RS, [(NEVER_SENT, 0)]),
        (SILENCE, []),
        (b"ID=" + ACK + NAK, []),
    ],
)
def test_the_end_and_a_late_refusal(ending: bytes, late: list[tuple[Verdict, int]]) -> None:
    caller = logged_on(Terminal(ending=ending))
    caller.page()
    events = caller.end()
    assert [(e.verdict, e.code) for e in events if isinstance(e, RefusedLate)] == late
    assert events[-1] == Ended()


def test_times_are_those_that_are_set() -> None:
    timing = Timing(t1=1, t2=7, t3=3, t5=5, n1=2, n3=1)
    mute = Caller(Terminal(prompts=[]), timing)
    mute.run()
    assert ([at for at, _ in mute.sent], mute.now) == ([100, 101], 108)
    unheard = Caller(Terminal(logons=[]), timing)
    unheard.run()
    assert (unheard.now, len(unheard.terminal.logons)) == (103, 1)
    caller = logged_on(Terminal(answers=[ACK, SILENCE], ending=SILENCE), timing)
    caller.page()
    start = caller.now
    caller.page()
    assert caller.now == start + 3
    last = logged_on(Terminal(ending=SILENCE), timing)
    last.end()
    assert last.now == 105


def test_time_for_an_answer_begins_when_the_bytes_have_gone_out() -> None:
    caller = logged_on(Terminal())
    caller.session.page("1", "x", caller.now)
    caller.session.to_send()
    caller.session.sent(caller.now + 60)
    assert caller.session.timer == caller.now + 70


def test_talk_that_never_stops_does_not_stop_the_clock() -> None:
    caller = logged_on(Terminal())
    session, now = caller.session, caller.now
    session.page("1", "x", now)
    session.to_send()
    session.sent(now)
    told: list[Event] = []
    while not told and now < 1000:
        now += 1
        told = [*session.receive(b"please wait\r", now), *session.expire(now)]
    assert (now, told[0]) == (
        110,
        Paged(UNKNOWN, "the terminal did not answer after the page had been handed over"),
    )


@pytest.mark.parametrize(("taken", "verdict"), [(False, LATER), (True, UNKNOWN)])
def test_a_page_that_has_not_gone_out_is_not_unknown(taken: bool, verdict: Verdict) -> None:
    caller = logged_on(Terminal())
    caller.session.page("1", "x", caller.now)
    if taken:
        caller.session.to_send()
    paged = caller.session.lost(caller.now)[0]
    assert isinstance(paged, Paged)
    assert paged.verdict is verdict


def test_the_line_may_break_at_any_moment() -> None:
    for text, steps in (("ABC", 3), ("x" * 300, 4)):
        for moment in range(steps + 1):
            session = Session(0.0)
            terminal = Terminal()
            events: list[Event] = session.expire(0.0)
            for _ in range(moment):
                session.sent(0.0) if (out := session.to_send()) else None
                events += session.receive(terminal.hear(out), 0.0)
                if LoggedOn() in events and session.state is State.READY and not terminal.blocks:
                    session.page("1", text, 0.0)
            events += session.lost(0.0)
            assert isinstance(events[-1], Ended)
            assert session.is_over
            assert session.to_send() == b""
            assert not terminal.pages or Paged(SENT, "accepted by the terminal") in events


SCRIPTS = st.fixed_dictionaries(
    {
        "opening": st.sampled_from([b"", b"Hello\r\nID=\r\n", b"hello\r", b"\r\n110 1.8\r\n"]),
        "prompts": st.lists(st.sampled_from([PROMPT, b"Paging\n\rID=\r", SILENCE]), max_size=4),
        "logons": st.lists(
            st.sampled_from([ACK + GO, b"110 1.8\r\n" + ACK + b"hi\r\n" + GO, NAK, SILENCE, GOODBYE]), max_size=4
        ),
        "answers": st.lists(
            st.sampled_from([ACK, b"211 ok\r\n\x06\r\n", NAK, RS, b"511 x\n\r" + RS, GOODBYE, SILENCE, b"\x86\xff\r"]),
            max_size=6,
        ),
        "ending": st.sampled_from([GOODBYE, b"512 late\r" + RS + GOODBYE, RS, SILENCE]),
    }
)


@given(SCRIPTS, st.integers(1, 600), st.data())
def test_no_chunking_changes_what_a_call_comes_to(
    script: dict[str, bytes | list[bytes]], length: int, data: st.DataObject
) -> None:
    def talk(cuts: Callable[[], Sequence[int]]) -> tuple[list[Event], list[tuple[float, bytes]], list[list[bytes]]]:
        caller = Caller(Terminal(**script), cuts=cuts)  # type: ignore[arg-type]
        events = caller.run()
        if caller.session.state is State.READY:
            events += caller.page("x" * length)
        if caller.session.state is State.READY:
            events += caller.end()
        return events, caller.sent, caller.terminal.pages

    whole = talk(lambda: ())
    assert talk(lambda: range(1, 100)) == whole, "byte by byte"
    assert talk(lambda: data.draw(st.lists(st.integers(0, 40), max_size=5))) == whole


@given(SCRIPTS, st.integers(1, 600))
def test_a_page_is_never_called_unsent_when_the_terminal_has_it(
    script: dict[str, bytes | list[bytes]], length: int
) -> None:
    caller = Caller(Terminal(**script))  # type: ignore[arg-type]
    caller.run()
    if caller.session.state is not State.READY:
        assert caller.terminal.pages == []
        return
    verdict, _ = caller.paged("x" * length)
    assert (verdict is SENT) == bool(caller.terminal.pages)


def test_every_state_says_what_it_waits_for() -> None:
    assert set(STEPS) == set(State)
    for state in set(State) - {State.OVER}:
        assert {Heard.GOODBYE, Heard.LOST} <= set(STEPS[state]), "the far end may go at any moment"
        assert (Heard.TIMEOUT in STEPS[state]) == (state is not State.READY)


@given(st.binary(max_size=300))
def test_noise_never_breaks_anything(noise: bytes) -> None:
    session = Session(0.0)
    for part in (noise[:100], noise[100:200], noise[200:]):
        session.receive(part, 1.0)
        session.to_send()
        session.expire(50.0)
