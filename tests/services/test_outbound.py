"""The queue at work on both databases: stories of requests, with the clock moved by hand (OUT-1, OUT-2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from syncengine.core.outbound.moves import Event
from syncengine.core.outbound.retry import Step
from syncengine.errors import ItemError, LoginRefused, NotNow, NotThere, Unreachable
from syncengine.model.outbound import (
    Email,
    Entry,
    Group,
    Kind,
    Outcome,
    Page,
    Reply,
    Request,
    State,
    Verdict,
    Wanted,
    Word,
    Worker,
)
from syncengine.services.outbound import batch, deeds, tick
from tests.services.outbound_desk import MAIL, Begun, Desk, Killed

LATER, NEVER = Outcome(Verdict.LATER, "450 busy"), Outcome(Verdict.NEVER, "550 no such user")
LOST = Outcome(Verdict.UNKNOWN, "dropped after the data")
REFUSED = LoginRefused("The mail server refused the login.", fix="correct the password")


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    found = Desk(database_url)
    yield found
    found.store.close()


class TestAsking:
    def test_a_request_waits_and_wakes_a_worker(self, desk: Desk) -> None:
        desk.ask("a", key="night")
        assert desk.states() == {"a": "QUEUED"}
        assert [job[:3] for job in desk.engine.jobs] == [("outbound", '["email", "", "night"]', "outbound:night")]

    def test_asking_again_with_its_id_changes_nothing(self, desk: Desk) -> None:
        desk.ask("a")
        desk.work()
        desk.ask("a")
        assert desk.states() == {"a": "SUCCEEDED"}
        assert desk.sender.sent == ["a"]

    def test_it_is_there_only_if_what_it_follows_from_is(self, desk: Desk) -> None:
        def asked_in_vain() -> None:
            with desk.store.transaction() as transaction:
                desk.queue.ask([Request("a", Page("e-ann", "Hello"), "a test")], transaction)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            asked_in_vain()
        assert desk.states() == {}

    def test_every_try_of_an_email_has_one_message_id(self, desk: Desk) -> None:
        desk.ask("a", "b")
        found = [entry.request.message_id for entry in desk.entries()]
        assert len(set(found)) == 2
        assert all(one.endswith("@example.com>") for one in found)

    def test_an_email_to_nobody_is_refused(self, desk: Desk) -> None:
        with pytest.raises(ItemError, match="no recipient"):
            desk.queue.ask([Request("a", Email((), "Hello", "Text"), "a test")])

    def test_a_moment_beyond_all_calendars_is_refused(self, desk: Desk) -> None:
        beyond = datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))
        with pytest.raises(ItemError, match="beyond all calendars"):
            desk.ask("a", not_before=beyond)
        assert desk.states() == {}


class TestSending:
    def test_the_urgent_go_first_then_the_oldest(self, desk: Desk) -> None:
        desk.ask("a", "b")
        desk.ask("c", priority=1)
        desk.work()
        assert desk.sender.sent == ["c", "a", "b"]

    def test_what_is_not_due_waits(self, desk: Desk) -> None:
        desk.ask("a", not_before=desk.now + timedelta(hours=1))
        desk.work()
        assert desk.states() == {"a": "QUEUED"}
        desk.later(hours=1)
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED"}

    def test_a_worker_takes_its_key_its_profile_and_its_kind_only(self, desk: Desk) -> None:
        desk.ask("mine", key="night", profile="sales")
        desk.ask("other key", profile="sales")
        desk.ask("other profile", key="night")
        desk.queue.ask([Request("other kind", Page("e-ann", "Hello"), "a test", "sales", "night")])
        desk.work(Group(Kind.EMAIL, "sales", "night"))
        assert desk.sender.sent == ["mine"]

    def test_its_history_is_kept(self, desk: Desk) -> None:
        desk.ask("a")
        desk.work()
        moves = desk.store.moves("a")
        assert [move.to for move in moves] == [State.QUEUED, State.ACTIVE, State.SUCCEEDED]
        assert (moves[-1].because, moves[-1].by) == ("accepted", "host/1")

    def test_one_that_fails_never_stops_the_next(self, desk: Desk) -> None:
        desk.ask("bad", "broken", "refused", "good")
        desk.sender.script = {"bad": [NEVER], "broken": [ZeroDivisionError()], "refused": [ItemError("too large")]}
        desk.work()
        assert desk.states() == {"bad": "FAILED", "broken": "QUEUED", "refused": "FAILED", "good": "SUCCEEDED"}
        assert Word.TROUBLE in desk.words()

    def test_a_temporary_refusal_is_tried_again_with_growing_pauses(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [LATER, LATER]}
        desk.work()
        desk.later(seconds=59)
        desk.work()
        assert desk.store.entry("a").tries == 1
        desk.later(seconds=1)
        desk.work()
        desk.later(seconds=119)
        desk.work()
        assert (desk.state("a"), desk.store.entry("a").tries) == (State.QUEUED, 2)
        desk.later(seconds=1)
        desk.work()
        assert (desk.state("a"), desk.store.entry("a").tries) == (State.SUCCEEDED, 3)

    def test_the_last_try_is_the_end(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [LATER] * 40}
        for _ in range(40):
            desk.work()
            desk.later(hours=5)
        assert (desk.state("a"), desk.store.entry("a").tries) == (State.FAILED, 30)

    def test_who_has_it_is_told_to_the_sender(self, desk: Desk) -> None:
        desk.ask("a")
        partly = {"ann@example.com": Reply(Verdict.SENT, 250), "bob@example.com": Reply(Verdict.LATER, 450, "busy")}
        desk.sender.script = {"a": [Outcome(Verdict.LATER, "450 busy", partly)]}
        desk.work()
        assert partly == desk.store.entry("a").replies

    def test_a_profile_that_has_sent_enough_waits_without_a_try(self, desk: Desk) -> None:
        desk.ask("a", "b", "c")
        desk.sender.script = {"b": [Outcome(Verdict.LATER, "enough for now", retry_after=30)]}
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED", "b": "QUEUED", "c": "QUEUED"}
        assert [desk.store.entry(name).tries for name in "bc"] == [0, 0]
        assert desk.store.standing().stops == ()
        desk.later(seconds=30)
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "SUCCEEDED"}

    def test_a_worker_told_to_end_gives_back_what_it_holds(self, desk: Desk) -> None:
        desk.ask("a", "b", "c")
        desk.batches.ended = lambda: len(desk.sender.sent) == 1
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED", "b": "QUEUED", "c": "QUEUED"}
        assert desk.store.batches() == []


class TestStoppedProfiles:
    def test_a_refused_login_stops_the_profile_not_the_queue(self, desk: Desk) -> None:
        desk.ask("a", "b", profile="sales")
        desk.ask("c")
        desk.sender.script = {"a": [REFUSED]}
        desk.work(Group(Kind.EMAIL, "sales"))
        desk.work()
        assert desk.states() == {"a": "QUEUED", "b": "QUEUED", "c": "SUCCEEDED"}
        assert [desk.store.entry(name).tries for name in "ab"] == [0, 0]
        assert [stop.profile for stop in desk.store.standing().stops] == ["sales"]

    def test_one_that_was_begun_and_not_sent_is_not_possibly_sent(self, desk: Desk) -> None:
        desk.ask("a", "b")
        desk.sender.script = {"a": [Begun(REFUSED)]}
        desk.work()
        assert desk.states() == {"a": "QUEUED", "b": "QUEUED"}
        assert [desk.store.entry("a").possibly_sent, desk.store.entry("a").handed] == [False, False]

    def test_it_is_said_once_and_tried_again_with_growing_pauses(self, desk: Desk) -> None:
        desk.ask("a", "b")
        desk.sender.script = {"a": [REFUSED, REFUSED, REFUSED]}
        left = []
        for _ in range(200):
            desk.work()
            left.append((len(desk.sender.script["a"]), desk.state("a")))
            desk.later(seconds=1)
        assert [left.index((n, State.QUEUED)) for n in (2, 1, 0)] == [0, 15, 45]
        assert left.index((0, State.SUCCEEDED)) == 105
        assert desk.words() == [Word.STOPPED, Word.WORKS, Word.SUCCEEDED, Word.SUCCEEDED]
        assert desk.store.standing().stops == ()

    def test_only_one_batch_tries_it(self, desk: Desk) -> None:
        desk.ask("a", "b")
        desk.sender.script = {"a": [REFUSED]}
        desk.work()
        desk.later(seconds=15)

        def meanwhile(_request: Request) -> Outcome:
            assert desk.states() == {"a": "ACTIVE", "b": "QUEUED"}
            desk.worker("other").work(MAIL)
            return Outcome(Verdict.SENT, "accepted")

        desk.sender.script = {"a": [meanwhile]}
        opened = desk.sender.opened
        desk.work()
        assert opened + 1 == desk.sender.opened
        assert desk.states() == {"a": "SUCCEEDED", "b": "SUCCEEDED"}

    def test_a_person_lets_it_go_on_at_once(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [Unreachable("The mail server does not answer.")]}
        desk.work()
        deeds.lift(desk.store, "")
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED"}
        with pytest.raises(NotThere, match="not stopped"):
            deeds.lift(desk.store, "")

    def test_a_stopped_profile_gets_no_batches_until_it_is_due(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [REFUSED]}
        desk.work()
        assert desk.store.due(None, desk.now) == []
        desk.later(seconds=15)
        assert desk.store.due(None, desk.now) == [(MAIL, 1)]


class TestCrashes:
    def _die(self, desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch, *, handed: bool) -> None:
        """The worker is killed at this request: nothing of it runs any more, the giving back neither."""
        monkeypatch.setattr(batch, "give_back", lambda *_: 0)

        def die(request: Request) -> Outcome:
            if handed:
                assert desk.store.begun(request.id, desk.store.entry(request.id).taken_by)
                desk.sender.sent.append(request.id)
            raise Killed

        desk.sender.script = {name: [die]}
        with pytest.raises(Killed):
            desk.work()
        monkeypatch.undo()

    def test_what_was_not_handed_over_is_sent_as_if_nothing_had_been(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.ask("a", "b", "c")
        self._die(desk, "b", monkeypatch, handed=False)
        assert desk.states() == {"a": "SUCCEEDED", "b": "ACTIVE", "c": "ACTIVE"}
        desk.restart()
        desk.work()
        assert desk.sender.sent == ["a", "b", "c"]
        assert [entry.possibly_sent for entry in desk.entries()] == [False] * 3
        assert Word.TAKEN_UP in desk.words()

    def test_what_was_is_flagged_and_sent_once_more(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.ask("a", "b")
        before = desk.store.entry("a").request.message_id
        self._die(desk, "a", monkeypatch, handed=True)
        desk.restart()
        desk.work()
        assert desk.sender.sent == ["a", "b", "a"] or desk.sender.sent == ["a", "a", "b"]
        entry = desk.store.entry("a")
        assert (entry.state, entry.possibly_sent, entry.tries) == (State.SUCCEEDED, True, 2)
        assert before == entry.request.message_id

    def test_but_never_a_third_time(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.ask("a")
        for _ in range(2):
            self._die(desk, "a", monkeypatch, handed=True)
            desk.restart()
        assert (desk.state("a"), desk.store.entry("a").possibly_sent) == (State.FAILED, True)
        desk.work()
        assert desk.sender.sent == ["a", "a"]

    def test_a_dropped_connection_after_the_data_is_the_same(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [LOST, LOST]}
        desk.work()
        desk.later(hours=1)
        desk.work()
        assert (desk.state("a"), desk.store.entry("a").possibly_sent, len(desk.sender.sent)) == (State.FAILED, True, 2)

    def test_a_worker_that_was_only_slow_sends_nothing_that_was_taken_up(self, desk: Desk) -> None:
        desk.ask("a")

        def slow(request: Request) -> Outcome:
            """Meanwhile it was believed dead, and another one has sent the request."""
            tick.take_up(desk.store, lambda _batch: False, desk.clock, desk.told.append)
            desk.worker("other").work(MAIL)
            return Outcome(Verdict.SENT, "accepted, twice")

        desk.sender.script = {"a": [slow]}
        desk.work()
        entry = desk.store.entry("a")
        assert (entry.state, entry.because, desk.sender.sent) == (State.SUCCEEDED, "accepted", ["a"])
        assert [move.to for move in desk.store.moves("a")].count(State.SUCCEEDED) == 1

    def test_it_may_not_even_begin_to_hand_it_over(self, desk: Desk) -> None:
        desk.ask("a")
        taken = desk.store.take(MAIL, "host/slow", desk.now, 1)
        tick.take_up(desk.store, lambda _batch: False, desk.clock, desk.told.append)
        assert not desk.store.begun(taken[0].request.id, "host/slow")

    def test_nor_note_anything_while_another_one_sends_it(self, desk: Desk) -> None:
        desk.ask("a")
        desk.store.take(MAIL, "host/slow", desk.now, 1)
        tick.take_up(desk.store, lambda _batch: False, desk.clock, desk.told.append)
        assert len(desk.store.take(MAIL, "other/1", desk.now, 1)) == 1
        assert not desk.store.begun("a", "host/slow")
        assert not desk.store.note("a", "host/slow", Step(Event.SENT, "accepted"), desk.now)
        assert desk.state("a") is State.ACTIVE

    def test_what_it_begins_with_while_it_is_taken_up_is_not_taken_for_unsent(self, desk: Desk) -> None:
        desk.ask("a")
        desk.store.take(MAIL, "host/slow", desk.now, 1)

        class Slow:
            """Between the look of the one who takes up and its decision, the slow one goes on."""

            def __getattr__(self, name: str) -> Any:
                return getattr(desk.store, name)

            def taken_by(self, name: str) -> list[Entry]:
                found = desk.store.taken_by(name)
                desk.store.begun("a", name)
                return found

        slow: Any = Slow()
        tick.take_up(slow, lambda _batch: False, desk.clock, desk.told.append)
        assert desk.state("a") is State.ACTIVE
        tick.take_up(desk.store, lambda _batch: False, desk.clock, desk.told.append)
        assert (desk.state("a"), desk.store.entry("a").possibly_sent) == (State.QUEUED, True)

    def test_another_host_takes_up_when_the_signs_of_life_are_over(self, desk: Desk) -> None:
        desk.ask("a")
        desk.store.alive(Worker("far", (), desk.now, desk.now))
        desk.store.take(MAIL, "far/1", desk.now, 1)
        desk.later(seconds=60)
        desk.restart()
        assert desk.states() == {"a": "ACTIVE"}
        desk.later(seconds=1)
        desk.restart()
        assert desk.states() == {"a": "QUEUED"}
        assert desk.store.workers() == []

    def test_a_batch_at_work_in_this_process_is_left_alone(self, desk: Desk) -> None:
        desk.ask("a")
        desk.store.take(MAIL, "host/busy", desk.now, 1)
        alive = tick.is_alive("host", {"host/busy"}, {"host"})
        assert tick.take_up(desk.store, alive, desk.clock, desk.told.append) == 0


class TestTick:
    def test_what_is_due_gets_batches_as_many_as_it_needs(self, desk: Desk) -> None:
        desk.ask(*(f"r{n}" for n in range(45)))
        desk.queue.ask([Request(f"p{n}", Page("e-ann", "Hello"), "a test") for n in range(45)])
        desk.engine.jobs.clear()
        tick.wake_all(desk.store, desk.engine, desk.clock)
        lanes = [once.rpartition(" ")[2] for *_, once in desk.engine.jobs]
        assert lanes == ["0", "1", "2", "0"]  # a modem makes one call at a time

    def test_a_worker_notices_that_nobody_looks_any_more(self) -> None:
        """As after the wall clock was set back: the engine starts its looks by it."""
        seconds = 100.0
        ticking = tick.Ticking(20, lambda: seconds)
        seconds = 120.0
        assert not ticking.has_stopped()
        seconds = 121.0
        assert ticking.has_stopped()
        ticking.noted()
        assert not ticking.has_stopped()

    def test_nothing_due_asks_for_nothing(self, desk: Desk) -> None:
        desk.ask("a", not_before=desk.now + timedelta(days=1))
        desk.engine.jobs.clear()
        assert tick.wake_all(desk.store, desk.engine, desk.clock) == 0
        assert desk.engine.jobs == []


class TestDeeds:
    def test_a_held_request_waits_until_it_is_released(self, desk: Desk) -> None:
        desk.ask("a")
        deeds.act(desk.store, "a", Event.HELD, "ann", desk.clock)
        desk.work()
        assert desk.states() == {"a": "QUEUED"}
        deeds.act(desk.store, "a", Event.RELEASED, "ann", desk.clock)
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED"}
        assert [(move.because, move.by, move.to) for move in desk.store.moves("a")[1:3]] == [
            ("held", "ann", None),
            ("released", "ann", None),
        ]

    def test_a_cancelled_one_is_never_sent(self, desk: Desk) -> None:
        desk.ask("a")
        entry = deeds.act(desk.store, "a", Event.CANCELLED, "ann", desk.clock, "not needed")
        desk.work()
        assert (entry.state, entry.because, desk.sender.sent) == (State.FAILED, "not needed", [])

    def test_a_failed_one_is_tried_again_from_the_beginning(self, desk: Desk) -> None:
        desk.ask("a")
        desk.sender.script = {"a": [NEVER]}
        desk.work()
        assert deeds.act(desk.store, "a", Event.RETRIED, "ann", desk.clock).tries == 0
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED"}

    def test_retrying_one_that_waits_ends_its_pause(self, desk: Desk) -> None:
        desk.ask("a", not_before=desk.now + timedelta(days=1))
        deeds.act(desk.store, "a", Event.RETRIED, "ann", desk.clock)
        desk.work()
        assert desk.states() == {"a": "SUCCEEDED"}

    def test_what_is_not_legal_changes_nothing(self, desk: Desk) -> None:
        desk.ask("a")
        desk.work()
        for event in (Event.HELD, Event.RELEASED, Event.CANCELLED, Event.RETRIED):
            with pytest.raises(NotNow):
                deeds.act(desk.store, "a", event, "ann", desk.clock)
        with pytest.raises(NotThere):
            deeds.act(desk.store, "b", Event.HELD, "ann", desk.clock)
        assert len(desk.store.moves("a")) == 3

    def test_the_old_and_final_are_purged_with_all_they_had(self, desk: Desk) -> None:
        desk.ask("old", "waiting", "new")
        desk.sender.script = {"old": [Outcome(Verdict.SENT, "", {"ann@example.com": Reply(Verdict.SENT)})]}
        desk.store.act("waiting", Event.HELD, "", "", desk.now)
        desk.store.act("new", Event.HELD, "", "", desk.now)
        desk.work()
        desk.later(days=30)
        desk.store.act("new", Event.RELEASED, "", "", desk.now)
        desk.work()
        desk.later(days=1)
        assert deeds.purge(desk.store, 30, desk.clock) == 1
        assert desk.states() == {"waiting": "QUEUED", "new": "SUCCEEDED"}
        with pytest.raises(NotThere):
            desk.store.entry("old")
        assert desk.store.moves("old") == ()


class TestLooking:
    def test_lists_are_filtered_and_paged_newest_first(self, desk: Desk) -> None:
        desk.ask(*(f"r{n}" for n in range(5)))
        desk.ask("other", profile="sales")
        first = desk.store.find(Wanted(profile=""), 3)
        assert [entry.request.id for entry in first] == ["r4", "r3", "r2"]
        rest = desk.store.find(Wanted(profile="", before="r2"), 3)
        assert [entry.request.id for entry in rest] == ["r1", "r0"]
        assert [entry.request.id for entry in desk.store.find(Wanted(profile="sales"), 9)] == ["other"]
        assert desk.store.find(Wanted(state=State.FAILED), 9) == []

    def test_how_it_stands_is_counted(self, desk: Desk) -> None:
        desk.ask("a", "b", "c")
        desk.store.act("c", Event.HELD, "", "", desk.now)
        desk.sender.script = {"b": [NEVER]}
        desk.work()
        desk.later(minutes=5)
        desk.ask("d")
        found = desk.store.standing()
        assert {(one.state.value, one.held): one.number for one in found.counts} == {
            ("FAILED", False): 1,
            ("QUEUED", False): 1,
            ("QUEUED", True): 1,
            ("SUCCEEDED", False): 1,
        }
        assert desk.now == found.oldest
