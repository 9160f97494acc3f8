"""When each PIM is run again, and why: the table of outcomes, the triggers, and what holds whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.agent.clock import Elapsed
from syncengine.core import retry_after
from syncengine.core.schedule import (
    HOUR,
    JITTER,
    LONGEST_WAIT,
    MINIMUM,
    RULES,
    due,
    ended,
    is_asked_to_wait,
    news,
    outcome_of,
    plan,
    poked,
)
from syncengine.core.schedule import trouble_of as trouble
from syncengine.errors import (
    ConfigError,
    ItemError,
    LoginRefused,
    SideError,
    Stopped,
    StorageError,
    UnderWay,
    Unreachable,
    Vanished,
)
from syncengine.model.agent import EventKind, Outcome, Standing, Trigger

MINUTES = 60.0
INTERVAL = 10 * MINUTES

ERRORS: dict[Outcome, Exception | None] = {
    Outcome.DONE: None,
    Outcome.OFFLINE: Unreachable("The server cannot be reached."),
    Outcome.BUSY: Unreachable("The server is too busy.", retry_after=0.0),
    Outcome.LOGIN: LoginRefused("The password is wrong."),
    Outcome.BRAKE: Stopped("12 of 20 would be deleted."),
    Outcome.GONE: Vanished("The collection is not there."),
    Outcome.STORAGE: StorageError("The disk is full."),
    Outcome.CONFIG: ConfigError("There is no such mapping."),
    Outcome.TAKEN: UnderWay("Another run is under way."),
    Outcome.FAULT: ItemError("Nobody has foreseen this."),
}


def after(standing: Standing, outcome: Outcome, at: float, *, chance: float = 0.5) -> Standing:
    return ended(standing, ERRORS[outcome], started=at, now=at, chance=chance)


def first(interval: float = INTERVAL) -> Standing:
    return Standing("work", interval)


def pauses(outcome: Outcome, times: int, interval: float = INTERVAL) -> list[float]:
    """How long the PIM is left alone when it ends so again and again."""
    standing, found = first(interval), []
    for _ in range(times):
        standing = after(standing, outcome, 0.0)
        found.append(due(standing)[0])
    return found


def test_every_error_is_told_apart() -> None:
    assert {o: outcome_of(e) for o, e in ERRORS.items()} == {o: o for o in Outcome}
    assert outcome_of(SideError("The certificate is not trusted.")) is Outcome.GONE
    assert outcome_of(ZeroDivisionError()) is Outcome.FAULT


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.DONE, [10, 10, 10]),
        (Outcome.OFFLINE, [0.25, 0.5, 1, 2, 4, 8, 10, 10]),
        (Outcome.BUSY, [10, 20, 40, 60, 60]),
        (Outcome.LOGIN, [60, 60]),
        (Outcome.BRAKE, [10, 10]),
        (Outcome.GONE, [10, 10]),
        (Outcome.STORAGE, [10, 20, 40, 60, 60]),
        (Outcome.CONFIG, [10, 20, 40, 60, 60]),
        (Outcome.FAULT, [10, 20, 40, 60, 60]),
    ],
)
def test_how_long_a_pim_is_left_alone(outcome: Outcome, expected: list[float]) -> None:
    assert [found / MINUTES for found in pauses(outcome, len(expected))] == expected


def test_a_long_interval_is_kept_by_all_but_what_may_end_by_itself() -> None:
    day = 24 * HOUR
    assert pauses(Outcome.DONE, 1, day) == [day]
    assert max(pauses(Outcome.OFFLINE, 30, day)) == HOUR
    assert max(pauses(Outcome.BUSY, 30, day)) == day
    assert pauses(Outcome.LOGIN, 1, day) == [day]


def test_a_side_that_asks_to_be_left_alone_is() -> None:
    asked = Unreachable("The server is too busy.", retry_after=3 * HOUR)
    standing = poked(ended(first(), asked, started=0, now=0, chance=0.5), Trigger.NOW, 1.0)
    assert due(standing)[0] == 3 * HOUR
    assert not plan([standing], 3 * HOUR - 1).due
    assert plan([standing], 3 * HOUR).due[0].by_hand
    assert [is_asked_to_wait(standing, at) for at in (3 * HOUR - 1, 3 * HOUR)] == [True, False]
    assert not is_asked_to_wait(after(first(), Outcome.BUSY, 0.0), 0.0)


def test_the_jitter_is_small_and_stays_as_it_was_drawn() -> None:
    times = [due(after(first(), Outcome.DONE, 0.0, chance=chance))[0] for chance in (0.0, 0.5, 1.0)]
    assert times == pytest.approx([INTERVAL * (1 - JITTER), INTERVAL, INTERVAL * (1 + JITTER)])


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.TAKEN])
@pytest.mark.parametrize("trigger", Trigger)
def test_what_cuts_a_pause_short(outcome: Outcome, trigger: Trigger) -> None:
    standing = poked(after(first(), outcome, 100.0), trigger, 110.0)
    at, found = due(standing)
    if trigger in RULES[outcome].by:
        assert at <= 112
        assert found.by_hand is (trigger is Trigger.NOW)
    else:
        assert at == due(after(first(), outcome, 100.0))[0]


def test_what_cuts_pauses_short_in_words() -> None:
    """Bringing back what was deleted mends a brake; a file that changes makes no server reachable."""
    for trigger, mends in {
        Trigger.LOCAL: {Outcome.DONE, Outcome.BRAKE, Outcome.GONE},
        Trigger.REMOTE: {Outcome.DONE, Outcome.BRAKE, Outcome.GONE},
        Trigger.CREDENTIALS: {Outcome.DONE, Outcome.BRAKE, Outcome.GONE, Outcome.LOGIN},
        Trigger.NOW: set(Outcome) - {Outcome.TAKEN},
        Trigger.CONFIG: set(Outcome) - {Outcome.TAKEN},
    }.items():
        assert {o for o, rule in RULES.items() if trigger in rule.by} == mends


def test_a_change_during_a_run_is_looked_at_after_it_and_one_before_it_is_not() -> None:
    standing = poked(after(first(), Outcome.DONE, 0.0), Trigger.LOCAL, 10.0)
    standing = poked(standing, Trigger.NOW, 22.0)
    found = ended(standing, None, started=20.0, now=25.0, chance=0.5)
    assert found.triggers == ((Trigger.NOW, 22.0),)
    assert due(found)[0] == 26.0


def test_a_stream_of_changes_delays_nothing() -> None:
    standing = after(first(), Outcome.DONE, 0.0)
    for moment in range(100, 200):
        standing = poked(standing, Trigger.LOCAL, float(moment))
    assert due(standing)[0] == 101.0


def test_another_run_is_waited_for_and_nothing_is_forgotten_meanwhile() -> None:
    told = ended(first(), ERRORS[Outcome.LOGIN], started=0, now=0, chance=0.5)
    waiting = after(poked(told, Trigger.NOW, 5.0), Outcome.TAKEN, 6.0)
    assert due(waiting)[0] == 8.0
    assert due(waiting)[1].by_hand
    assert (waiting.trouble, waiting.failures) == (told.trouble, 1)


def test_who_has_been_due_for_longest_comes_first() -> None:
    a, b, c = (
        after(replace(first(), name=name), Outcome.DONE, at) for name, at in (("a", 9.0), ("b", 0.0), ("c", 5.0))
    )
    new = replace(first(), name="new")
    assert [one.name for one in plan([a, b, c, new], 2 * INTERVAL).due] == ["new", "b", "c", "a"]


def test_secrets_are_compared_at_the_interval_while_they_are_refused() -> None:
    standing = after(first(), Outcome.LOGIN, 100.0)
    assert plan([standing], 100 + INTERVAL - 1).look == ()
    assert plan([standing], 100 + INTERVAL).look == ("work",)
    assert plan([after(first(), Outcome.DONE, 100.0)], 100 + INTERVAL).look == ()


class TestToldOnce:
    def told(self, *outcomes: Exception | None) -> list[EventKind | None]:
        standing, found = first(), []
        for error in outcomes:
            before = standing.trouble
            standing = ended(standing, error, started=0, now=0, chance=0.5)
            found.append(news(before, standing.trouble))
        return found

    def test_until_it_is_over(self) -> None:
        wrong = LoginRefused("The password is wrong.", where="work")
        assert self.told(wrong, wrong, None, None, wrong) == [
            EventKind.TOLD,
            None,
            EventKind.MENDED,
            None,
            EventKind.TOLD,
        ]

    def test_being_offline_in_between_mends_nothing_and_is_nobodys_fault(self) -> None:
        wrong, offline = LoginRefused("The password is wrong."), Unreachable("No answer.")
        assert self.told(offline, wrong, offline, wrong, None) == [None, EventKind.TOLD, None, None, EventKind.MENDED]

    def test_the_same_brake_of_another_run_is_the_same(self) -> None:
        stops = [Stopped("12 of 20 would be deleted.", fix=f"confirm {run}") for run in "ab"]
        assert self.told(*stops, Stopped("13 of 20 would be deleted.")) == [EventKind.TOLD, None, EventKind.TOLD]

    def test_of_an_unforeseen_error_only_the_kind_is_told(self) -> None:
        found = trouble(ValueError("secret words of an item"))
        assert found is not None
        assert "secret" not in f"{found}"


# --- whatever happens ------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from(list(Outcome)), st.floats(0, 1), st.floats(0, 500)),
        st.tuples(st.just("poke"), st.sampled_from(list(Trigger))),
        st.tuples(st.just("clock"), st.floats(-1e6, 1e6)),
        st.tuples(st.just("wait"), st.floats(0, 5000)),
    ),
    max_size=60,
)


class Raw:
    """A clock somebody plays with: it sleeps, and is put back."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, interval=st.floats(1, 50_000), asked=st.floats(0, 90_000))
def test_never_too_often_and_always_again(steps: list[tuple[object, ...]], interval: float, asked: float) -> None:
    """Whatever runs end with, whatever comes in and whatever happens to the clock: two runs are never closer than the
    minimum or than a side has asked for, and there is always a next one within a bounded time that the agent is up."""
    raw = Raw()
    elapsed = Elapsed(raw)
    standing = first(interval)
    last_end, least = None, 0.0
    for step in steps:
        match step:
            case ("run", Outcome() as outcome, float() as chance, float() as took):
                begin = elapsed()
                ready = plan([standing], begin).due
                if not ready:
                    raw.now += max(0.0, due(standing)[0] - begin) + 1e-6
                    begin = elapsed()
                    ready = plan([standing], begin).due
                assert len(ready) == 1
                if last_end is not None:
                    assert begin - last_end >= least
                raw.now += took
                error = ERRORS[outcome]
                if outcome is Outcome.BUSY:
                    error = Unreachable("The server is too busy.", retry_after=asked)
                standing = ended(standing, error, started=begin, now=elapsed(), chance=chance)
                last_end = elapsed()
                least = max(MINIMUM, asked if outcome is Outcome.BUSY else 0.0) - 1e-3
                assert not plan([standing], last_end).due, "overdue runs are made up for once"
            case ("poke", Trigger() as trigger):
                standing = poked(standing, trigger, elapsed())
            case ("clock", float() as jump) | ("wait", float() as jump):
                raw.now += jump
        now = elapsed()
        assert due(standing)[0] - now <= max((interval + 1) * (1 + JITTER), HOUR * (1 + JITTER), asked) + 1
        assert 0 <= plan([standing], now).wait <= LONGEST_WAIT


@given(st.lists(st.floats(-1e9, 1e9), max_size=50))
def test_the_clock_counts_sleep_and_never_goes_back(jumps: list[float]) -> None:
    raw = Raw()
    elapsed, expected = Elapsed(raw), 0.0
    for jump in jumps:
        raw.now += jump
        found = elapsed()
        assert found >= expected
        assert jump <= 0 or found == pytest.approx(expected + jump, rel=1e-6, abs=1e-3)
        expected = found


def test_after_a_long_sleep_each_overdue_pim_runs_once() -> None:
    raw = Raw()
    elapsed = Elapsed(raw)
    standings = {name: after(replace(first(), name=name), Outcome.DONE, elapsed()) for name in "abc"}
    raw.now += 12 * HOUR
    ran = []
    while ready := plan(standings.values(), elapsed()).due:
        ran.append(ready[0].name)
        raw.now += 3
        standings[ready[0].name] = after(standings[ready[0].name], Outcome.DONE, elapsed())
    assert sorted(ran) == ["a", "b", "c"]


class TestRetryAfter:
    NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            ("120", 120.0),
            (" 7 ", 7.0),
            ("0", 0.0),
            ("Mon, 02 Mar 2026 08:02:00 GMT", 120.0),
            ("Monday, 02-Mar-26 08:02:00 GMT", 120.0),  # RFC 850, RFC 9110 5.6.7
            ("Mon Mar  2 08:02:00 2026", 120.0),  # asctime
            ("Sun, 01 Mar 2026 08:00:00 GMT", 0.0),
            ("99999999999999999999", retry_after.LONGEST),
            ("Mon, 02 Mar 2099 08:02:00 GMT", retry_after.LONGEST),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            (None, None),
            ("²", None),
            ("Mon, 99 Mar 2026 99:99:99 GMT", None),
        ],
    )
    def test_seconds_and_dates(self, header: str | None, expected: float | None) -> None:
        assert retry_after.seconds(header, self.NOW) == expected
