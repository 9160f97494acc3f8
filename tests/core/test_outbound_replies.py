"""What a mail server's answers mean, how dates look, and when it is whose turn."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.outbound.dates import Dates, checked_format, stored_moment
from syncengine.core.outbound.pace import kept, wait
from syncengine.core.outbound.replies import MOST_PAUSE, MOST_TEXT, Step, outcome, pause, reply, verdict
from syncengine.errors import ItemError
from syncengine.model.outbound import Reply, Verdict

SENT, LATER, NEVER, STOP, UNKNOWN = Verdict.SENT, Verdict.LATER, Verdict.NEVER, Verdict.STOP, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("step", "code", "text", "meaning"),
    [
        (Step.RECIPIENT, 250, "2.1.5 OK", SENT),
        (Step.RECIPIENT, 252, "cannot verify", SENT),
        (Step.RECIPIENT, 421, "closing", LATER),
        (Step.RECIPIENT, 450, "4.2.0 Greylisted", LATER),
        (Step.RECIPIENT, 452, "4.5.3 too many recipients", LATER),
        (Step.RECIPIENT, 550, "5.1.1 no such user", NEVER),
        (Step.RECIPIENT, 552, "too many recipients", LATER),
        (Step.RECIPIENT, 552, "5.2.2 mailbox full", NEVER),
        (Step.RECIPIENT, 530, "5.7.0 authentication required", STOP),
        (Step.SENDER, 530, "must issue STARTTLS first", STOP),
        (Step.SENDER, 553, "5.7.1 not your address", STOP),
        (Step.SENDER, 552, "5.3.4 too large", NEVER),
        (Step.SENDER, 554, "5.3.4 too large", NEVER),
        (Step.SENDER, 555, "unknown parameter", NEVER),
        (Step.SENDER, 452, "4.3.1 no room", LATER),
        (Step.DATA, 554, "no valid recipients", NEVER),
        (Step.END, 250, "queued", SENT),
        (Step.END, 451, "4.3.0 error", LATER),
        (Step.END, 552, "5.3.4 too large", NEVER),
        (Step.END, 554, "5.7.1 spam", NEVER),
        (Step.END, -1, "nonsense", LATER),
        (Step.LOGIN, 535, "5.7.8 refused", STOP),
        (Step.LOGIN, 454, "4.7.0 temporarily not", STOP),
        (Step.GREETING, 554, "no", STOP),
    ],
)
def test_an_answer_means(step: Step, code: int, text: str, meaning: Verdict) -> None:
    assert verdict(step, code, text) is meaning


@given(st.sampled_from(Step), st.integers(400, 599), st.text(max_size=40))
def test_a_refusal_is_never_a_success_and_a_temporary_one_never_final(step: Step, code: int, text: str) -> None:
    found = verdict(step, code, text)
    assert found is not SENT
    assert found is not UNKNOWN
    if code < 500:
        assert found is not NEVER


def test_an_answer_is_kept_on_one_line_and_short() -> None:
    found = reply(Step.END, 550, b"no\r\n\x1b[31m" + b"\xff" * 10_000)
    assert found.text.isprintable()
    assert len(found.text) <= MOST_TEXT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.2.0 Greylisted, see http://x.example/ and try again in 300 seconds", 300),
        ("please retry in 5 minutes", 300),
        ("come back in 2h", 7200),
        ("wait 99999 hours", MOST_PAUSE),
        ("4.7.1 try later", None),
        ("", None),
    ],
)
def test_a_pause_that_was_asked_for_is_heard(text: str, seconds: float | None) -> None:
    assert pause(text) == seconds


def test_a_request_goes_on_while_somebody_may_get_it_and_fails_when_somebody_never_will() -> None:
    one, two = Reply(SENT, 250), Reply(NEVER, 550, "gone")
    assert outcome({"a": one}, {}).verdict is SENT
    assert outcome({"a": one, "b": two}, {}).verdict is NEVER
    assert outcome({"a": one, "b": two, "c": Reply(LATER, 450)}, {}).verdict is LATER
    assert outcome({"c": Reply(UNKNOWN)}, {"b": two}).verdict is UNKNOWN
    assert outcome({"c": one}, {"b": two}).verdict is NEVER
    assert outcome({"c": one}, {"c": Reply(LATER, 450)}).verdict is SENT
    assert outcome({"a": one, "b": two}, {}).because == "refused: b: 550 gone; accepted for 1 recipient"


# --- turns -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_no_minute_sees_more_than_its_share(gaps: list[float], per_minute: int) -> None:
    now, sent, left = 0.0, (), []
    for gap in gaps:
        now += gap
        if not wait(sent, per_minute, now):
            sent = kept(sent, per_minute, now)
            left.append(now)
    assert all(sum(1 for other in left if moment - 60 < other <= moment) <= per_minute for moment in left)


def test_who_waits_as_long_as_told_has_a_turn() -> None:
    sent = kept(kept((), 2, 0.0), 2, 10.0)
    assert wait(sent, 2, 15.0) == 45.0
    assert wait(sent, 2, 60.0) == 0.0
    assert wait(tuple(range(1000)), 0, 0.0) == 0.0


# --- dates -----------------------------------------------------------------------------------------------------------


def test_a_moment_shows_on_the_configured_clock_and_a_date_as_it_is() -> None:
    dates = Dates("%d.%m.%Y", "%d.%m.%Y %H:%M %Z", ZoneInfo("Europe/Berlin"))
    assert dates.shown(datetime(2026, 3, 4, 23, 30, tzinfo=UTC)) == "05.03.2026 00:30 CET"
    assert dates.shown(datetime(2026, 7, 4, 9, tzinfo=UTC)) == "04.07.2026 11:00 CEST"
    assert dates.shown(date(2026, 3, 4)) == "04.03.2026"
    assert dates.shown(datetime(2026, 3, 4, 9)) == "04.03.2026 09:00 "  # noqa: DTZ001 - floating
    assert dates.shown(date(987, 3, 4), "%Y %% %%Y") == "0987 % %Y"


@pytest.mark.parametrize("form", ["%", "%Q", "%10d", "%-d", "%\n", "%c", "a\nb", "%E", "%d" * 101])
def test_formats_that_are_none_are_refused(form: str) -> None:
    with pytest.raises(ItemError):
        checked_format(form)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-03-04", date(2026, 3, 4)),
        ("2026-03-04T09:00:00Z", datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ("2026-03-04T10:00:00+01:00", datetime(2026, 3, 4, 9, tzinfo=UTC)),
        ("2026-13-04", None),
        ("on 2026-03-04", None),
        ("2026-03-04\n", None),
        ("20260304", None),
        ("", None),
    ],
)
def test_what_a_database_writes_is_known_as_a_date(text: str, found: object) -> None:
    assert stored_moment(text) == found
