"""When a person is told: once when it begins, once when it is over, and never because nothing is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncengine.core.alarm import news, raising, refused, silent, stopped, taking_back
from syncengine.model.alarm import Side

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
LONG_AGO = NOW - 10 * DAY


@pytest.mark.parametrize(
    ("succeeded", "watched", "told"),
    [
        (NOW - DAY, LONG_AGO, True),
        (NOW - DAY + timedelta(seconds=1), LONG_AGO, False),
        (None, NOW - DAY, True),
        (None, NOW - timedelta(hours=1), False),
        (NOW + DAY, LONG_AGO, False),
    ],
    ids=["a day ago", "just under a day", "never, watched for a day", "never, watched for an hour", "clock set back"],
)
def test_silence(succeeded: datetime | None, watched: datetime, told: bool) -> None:
    found = silent([Side("phone", succeeded=succeeded)], watched, NOW, DAY)
    assert [c.key for c in found] == (["silent:phone"] if told else [])


def test_a_refused_login_names_the_way_to_mend_it() -> None:
    (found,) = refused([Side("phone", tried=NOW, refused=True), Side("work")], NOW)
    assert (found.key, found.fix) == ("login:phone", 'Enter it anew with "syncengine login phone".')


def test_each_outage_is_told_once_and_taken_back_once() -> None:
    concern = stopped("run-1", NOW)
    assert news([concern], {}) == ([concern], [])
    assert news([concern, concern], {}) == ([concern], [])
    assert news([concern], {concern.key: "then"}) == ([], [])
    assert news([], {concern.key: "then"}) == ([], [concern.key])
    assert news([], {concern.key: "then"}, [concern.key]) == ([], [])


def test_what_is_said() -> None:
    message = raising(stopped("run-1", NOW), "desk")
    assert message.subject == "syncengine: a run waits for you (desk)"
    assert "syncengine confirm run-1" in message.text
    assert dict(message.facts) == {"KIND": "brake", "SIDE": "", "STATE": "raised"}
    over = taking_back("silent:phone", "desk")
    assert over.subject == "syncengine: over: nothing has succeeded for long on phone (desk)"
    assert (over.over, dict(over.facts)["STATE"]) == (True, "over")
