"""A request's content survives being kept as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.outbound.codec import content_from_json, content_to_json, group_from_text, group_to_text
from syncengine.model.outbound import Change, Content, Email, File, Group, Kind, Page, Request

TEXTS = st.text(max_size=20)
LISTS = st.lists(TEXTS, max_size=3).map(tuple)
FILES = st.builds(File, name=TEXTS, media_type=TEXTS, digest=TEXTS, path=TEXTS)
EMAILS = st.builds(
    Email,
    to=LISTS,
    subject=TEXTS,
    text=TEXTS,
    html=TEXTS,
    cc=LISTS,
    bcc=LISTS,
    reply_to=TEXTS,
    in_reply_to=TEXTS,
    references=LISTS,
    files=st.lists(FILES, max_size=2).map(tuple),
    notify=LISTS,
)
PAGES = st.builds(Page, employee=TEXTS.filter(bool), text=TEXTS, digits=TEXTS)
VALUES = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2))
CHANGES = st.builds(Change, type=TEXTS.filter(bool), record=TEXTS, values=VALUES, user=TEXTS)


@given(EMAILS | PAGES | CHANGES)
def test_it_comes_back_as_it_went(content: Content) -> None:
    kind = Request("r", content, "a test").kind
    assert content == content_from_json(kind, json.loads(json.dumps(content_to_json(content))))


def test_fields_of_a_newer_version_are_left_out() -> None:
    assert Page("e-ann", "Hello") == content_from_json(
        Kind.PAGE, {"employee": "e-ann", "text": "Hello", "colour": "red"}
    )


def test_what_lacks_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="this is no page"):
        content_from_json(Kind.PAGE, {"text": "Hello"})


@given(st.builds(Group, st.sampled_from(Kind), TEXTS, TEXTS))
def test_a_group_travels_as_text(group: Group) -> None:
    assert group == group_from_text(group_to_text(group))
