"""Whatever is put on the wire comes off it unchanged, in our words and in another server's."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core import wire
from syncengine.core.names import inward, outward
from syncengine.model.activity import FIELDS, Activity, Origin
from syncengine.model.attachment import Attachment
from syncengine.model.commands import (
    Command,
    Delete,
    Feed,
    Greeting,
    Insert,
    Leave,
    Linked,
    Outcome,
    Outdated,
    Refused,
    Removed,
    Stored,
    Update,
)
from syncengine.model.mapping import ServerNames
from syncengine.model.values import FieldType

OTHER = ServerNames(
    fields={"description": "Subject", "comments": "description", "owner": "Primary Owner Id", "planned": "Start"},
    values={"status": {"Not Started": "0", "Done": "1"}, "priority": {"1-ASAP": "asap"}},
)

theirs_alone = {word for words in OTHER.values.values() for word in words.values()}
"""A value of ours that reads like a server's word for another one cannot be told from it on the way back."""
words = st.sampled_from(["", "Done", "Not Started", "1-ASAP", "Subject", "ü ; , \n"]) | st.text(max_size=10).filter(
    lambda text: text not in theirs_alone
)
instants = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
dates = st.dates(date(1990, 1, 1), date(2090, 1, 1))
ids = st.frozensets(st.text("abc-1", min_size=1, max_size=5), max_size=3).map(lambda s: tuple(sorted(s)))
attachments = st.builds(
    lambda name, content, uri: (
        (
            Attachment(name, uri=uri)
            if uri
            else Attachment(name, "text/plain", sha256(content).hexdigest(), len(content))
        ).text
    ),
    st.text(max_size=20),
    st.binary(max_size=5),
    st.sampled_from(("", "https://example.com/file.pdf")),
)
BY_TYPE: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: words.map(lambda text: text or None),
    FieldType.INTEGER: st.none() | st.integers(-1000, 100000),
    FieldType.FLAG: st.booleans(),
    FieldType.DATE: st.none() | dates,
    FieldType.MOMENT: st.none() | dates | instants,
    FieldType.MOMENTS: st.frozensets(dates, max_size=3).map(lambda s: tuple(sorted(s))),
    FieldType.IDS: ids,
    FieldType.ADDRESSES: ids,
    FieldType.ATTACHMENTS: st.frozensets(attachments, max_size=3).map(lambda s: tuple(sorted(s))),
}
values = st.fixed_dictionaries({}, optional={name: BY_TYPE[kind] for name, kind in FIELDS.items()})
activities = st.builds(
    Activity,
    st.text("ab1", min_size=1),
    st.integers(1, 9),
    values,
    st.sampled_from(Origin),
    st.booleans(),
    st.booleans(),
)
names = st.sampled_from([ServerNames(), OTHER])
KEYS = (("integration_id", "owner"), ("owner", "description", "planned"))
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Insert, words, words, values, st.just(KEYS), st.sampled_from(Origin)),
    st.builds(Update, words, words, st.integers(0, 9), values),
    st.builds(Delete, words, words, st.integers(0, 9)),
    st.builds(Leave, words, words),
)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Stored, words, activities),
    st.builds(Linked, words, activities, st.sampled_from(KEYS)),
    st.builds(Outdated, words, activities),
    st.builds(Removed, words, words),
    st.builds(Refused, words, words, words),
)


def sent(value: object) -> Any:
    return json.loads(json.dumps(value))


@given(commands, names)
def test_commands(command: Command, server: ServerNames) -> None:
    assert wire.command_from_json(sent(wire.command_to_json(command, server)), server) == command


@given(outcomes, names)
def test_outcomes(outcome: Outcome, server: ServerNames) -> None:
    assert wire.outcome_from_json(sent(wire.outcome_to_json(outcome, server)), server) == outcome


@given(st.lists(activities, max_size=3), names)
def test_feeds(changed: list[Activity], server: ServerNames) -> None:
    feed = Feed(tuple(changed), ("d",), ("l",), "t:1", more=True)
    assert wire.feed_from_json(sent(wire.feed_to_json(feed, server)), server) == feed


def test_greetings() -> None:
    greeting = Greeting("identity", "e-1", "e-2", 7)
    assert wire.greeting_from_json(sent(wire.greeting_to_json(greeting))) == greeting


def test_fields_and_values_are_renamed_both_ways() -> None:
    ours = {"description": "Visit", "comments": "Bring a ladder", "status": "Done", "priority": "2-High"}
    theirs = {"Subject": "Visit", "description": "Bring a ladder", "status": "1", "priority": "2-High"}
    assert outward(ours, OTHER) == theirs
    assert inward(theirs, OTHER) == ours


def test_our_name_is_refused_where_the_server_has_another() -> None:
    with pytest.raises(ValueError, match="called 'Start' here"):
        inward({"planned": "2026-03-02"}, OTHER)


@pytest.mark.parametrize("raw", [{"id": "1", "activity_id": "2", "kind": "explode"}, {"id": "1"}])
def test_what_is_no_command_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        wire.command_from_json(raw)
