"""What a sentence of a log does not hold any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.scrub import scrubbed


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("The server refused the user name or password.", "The server refused the user name or password."),
        ("The server knows this login as bob@example.com, not as ann@x.", "The server knows this login as … not as …"),
        ("No item 'Dinner with Eve' here", "No item … here"),
        ('A file "plans for Eve.pdf" is too large', "A file … is too large"),
        ("it's 'O\\'Brien' again", "it's … again"),
        ('it is "said "so"" and more', "it is … and more"),
        ("it is 'cut off", "it is …"),
        ('Enter it anew with "syncengine login phone".', 'Enter it anew with "syncengine login phone".'),
        ("https://me:geheim@h.example.com/x", "https://…"),
        ("https://h.example.com:8443/users/me/work/", "https://h.example.com:8443/…"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("postgresql://h/db?password=geheim", "postgresql://…"),
        ("two\nlines", "two lines"),
    ],
)
def test_what_is_taken_out(sentence: str, left: str) -> None:
    assert scrubbed(sentence) == left


@given(st.text(), st.sampled_from(["'{}'", '"{}"', "ann{}@example.com", "https://u:{}@host/x", "mysql://h/?p={}"]))
def test_a_marker_where_it_is_not_to_be_never_stays(before: str, place: str) -> None:
    assert "MARKER" not in scrubbed(before.replace("'", "").replace('"', "") + " " + place.format("MARKER"))
