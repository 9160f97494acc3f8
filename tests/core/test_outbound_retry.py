"""What a try comes to: growing pauses, the last try, recipients of whom some have it, and possibly sent (OUT-2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.outbound.moves import FINAL, Event, moved
from syncengine.core.outbound.retry import PATIENCE, Patience, found_again, judged, pause, verdict_of
from syncengine.model.outbound import Email, Entry, Kind, Outcome, Reply, Request, State, Verdict

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = Request("r1", Email(("ann@example.com", "bob@example.com"), "Hello", "Text"), "a test")
ACTIVE = Entry(MAIL, State.ACTIVE, NOW, NOW, taken_by="host/1")
SENT, LATER, NEVER, UNKNOWN = Verdict.SENT, Verdict.LATER, Verdict.NEVER, Verdict.UNKNOWN


def replies(**verdicts: Verdict) -> dict[str, Reply]:
    return {f"{name}@example.com": Reply(verdict) for name, verdict in verdicts.items()}


def outcome(verdict: Verdict, retry_after: float | None = None, **verdicts: Verdict) -> Outcome:
    return Outcome(verdict, "because", replies(**verdicts), retry_after)


class TestPauses:
    def test_they_double_up_to_the_longest(self) -> None:
        patience = Patience(60, 600, 9)
        seconds = [pause(tries, patience, 0).total_seconds() for tries in range(1, 7)]
        assert seconds == [60, 120, 240, 480, 600, 600]

    def test_chance_spreads_what_failed_together(self) -> None:
        assert timedelta(seconds=72) == pause(1, Patience(60, 600, 9), 1)

    def test_who_asks_for_a_longer_one_gets_it_within_a_day(self) -> None:
        patience = Patience(60, 600, 9)
        assert [pause(1, patience, 0, wanted).total_seconds() for wanted in (300, 5, 1e9)] == [300, 60, 86400]

    @given(st.integers(1, 10_000), st.sampled_from(Kind), st.floats(0, 1))
    def test_no_later_one_is_shorter(self, tries: int, kind: Kind, chance: float) -> None:
        assert pause(tries, PATIENCE[kind], chance) <= pause(tries + 1, PATIENCE[kind], chance)

    def test_mail_is_tried_for_days(self) -> None:
        """RFC 5321 4.5.4.1."""
        patience = PATIENCE[Kind.EMAIL]
        spent = sum((pause(n, patience, 0) for n in range(1, patience.tries)), timedelta())
        assert timedelta(days=3) < spent < timedelta(days=6)


class TestTries:
    def test_what_was_accepted_is_over(self) -> None:
        step = judged(ACTIVE, outcome(SENT), NOW, 0)
        assert (step.event, step.counts, step.not_before) == (Event.SENT, True, None)

    def test_a_temporary_refusal_waits(self) -> None:
        step = judged(ACTIVE, outcome(LATER), NOW, 0)
        assert (Event.PUT_OFF, NOW + timedelta(seconds=60)) == (step.event, step.not_before)

    def test_a_final_refusal_is_final_at_once(self) -> None:
        assert Event.REFUSED is judged(ACTIVE, outcome(NEVER), NOW, 0).event

    def test_the_last_try_is_final(self) -> None:
        last = replace(ACTIVE, tries=PATIENCE[Kind.EMAIL].tries - 1)
        step = judged(last, outcome(LATER), NOW, 0)
        assert (step.event, step.because) == (Event.REFUSED, "given up after 30 tries: because")

    def test_a_profile_that_stops_costs_no_try(self) -> None:
        step = judged(ACTIVE, outcome(Verdict.STOP), NOW, 0)
        assert (step.event, step.counts) == (Event.PUT_BACK, False)

    def test_enough_for_now_costs_no_try_however_often(self) -> None:
        last = replace(ACTIVE, tries=PATIENCE[Kind.EMAIL].tries - 1)
        step = judged(last, outcome(LATER, retry_after=7), NOW, 1, begun=False)
        assert (Event.PUT_BACK, False, NOW + timedelta(seconds=7)) == (step.event, step.counts, step.not_before)

    def test_but_a_server_that_wants_a_pause_does(self) -> None:
        step = judged(ACTIVE, outcome(LATER, 300, ann=LATER), NOW, 0, begun=False)
        assert (Event.PUT_OFF, True, NOW + timedelta(seconds=300)) == (step.event, step.counts, step.not_before)


class TestRecipients:
    @pytest.mark.parametrize(
        ("asked", "before", "expected"),
        [
            ({"ann": SENT, "bob": SENT}, {}, SENT),
            ({"ann": SENT, "bob": LATER}, {}, LATER),
            ({"ann": SENT, "bob": NEVER}, {}, NEVER),
            ({"ann": LATER, "bob": NEVER}, {}, LATER),
            ({"bob": SENT}, {"ann": SENT, "bob": LATER}, SENT),
            ({"bob": SENT}, {"ann": NEVER, "bob": LATER}, NEVER),
            ({"bob": LATER}, {"ann": NEVER, "bob": LATER}, LATER),
            ({"bob": SENT}, {"bob": NEVER}, SENT),
        ],
    )
    def test_all_of_them_decide(self, asked: dict[str, Verdict], before: dict[str, Verdict], expected: Verdict) -> None:
        assert expected is verdict_of(Outcome(SENT, "", replies(**asked)), replies(**before))


class TestPossiblySent:
    def test_no_answer_is_one_more_try(self) -> None:
        step = judged(ACTIVE, outcome(UNKNOWN), NOW, 0)
        assert (step.event, step.possibly_sent) == (Event.LOST, True)

    def test_a_second_time_is_the_end(self) -> None:
        step = judged(replace(ACTIVE, possibly_sent=True), outcome(UNKNOWN), NOW, 0)
        assert (step.event, step.possibly_sent) == (Event.REFUSED, True)

    @pytest.mark.parametrize("verdict", [SENT, LATER, NEVER])
    def test_the_flag_stays_whatever_follows(self, verdict: Verdict) -> None:
        assert judged(replace(ACTIVE, possibly_sent=True), outcome(verdict), NOW, 0).possibly_sent

    def test_what_a_dead_worker_held_is_sent_now_where_nothing_was_handed_over(self) -> None:
        step = found_again(ACTIVE, NOW)
        assert (step.event, step.possibly_sent, step.counts) == (Event.PUT_BACK, False, False)

    def test_one_that_may_have_killed_it_waits_after_some_times_and_fails_in_the_end(self) -> None:
        steps = [found_again(replace(ACTIVE, tries=tries), NOW, died=True) for tries in range(30)]
        assert {(step.event, step.counts) for step in steps[:-1]} == {(Event.PUT_BACK, True)}
        assert [step.not_before is None for step in steps[:4]] == [True, True, False, False]
        assert (steps[-1].event, steps[-1].counts) == (Event.REFUSED, True)

    def test_and_flagged_where_it_was(self) -> None:
        handed = replace(ACTIVE, handed=True)
        again = found_again(handed, NOW)
        assert (again.event, again.possibly_sent, again.not_before) == (Event.LOST, True, NOW)
        assert Event.REFUSED is found_again(replace(handed, possibly_sent=True), NOW).event


VERDICTS = st.sampled_from(Verdict)
TRIES = st.lists(st.tuples(VERDICTS, st.booleans(), st.booleans()), max_size=60)


@given(TRIES)
def test_a_request_is_handed_over_without_answer_at_most_twice(tries: list[tuple[Verdict, bool, bool]]) -> None:
    """Whatever senders answer and wherever workers die, and it never leaves a final state."""
    entry: Any = replace(ACTIVE, state=State.QUEUED)
    unanswered = 0
    for verdict, begun, killed in tries:
        if entry.state in FINAL:
            break
        entry = replace(entry, state=moved(entry.state, Event.TAKEN), handed=begun)
        unanswered += (killed and begun) or (not killed and verdict is UNKNOWN)
        step = found_again(entry, NOW) if killed else judged(entry, outcome(verdict), NOW, 0, begun=begun)
        entry = replace(
            entry,
            state=moved(State.ACTIVE, step.event),
            tries=entry.tries + step.counts,
            possibly_sent=step.possibly_sent,
            handed=False,
        )
        assert entry.possibly_sent == (unanswered > 0)
    assert unanswered <= 2
    assert entry.tries <= PATIENCE[Kind.EMAIL].tries
