"""A message's bytes become the text of its resource, whatever the bytes are and however many."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.mime.envelope import KEY
from syncengine.core.mime.resource import (
    MOST_BOUNDARIES,
    MOST_HEAD,
    MOST_LINES,
    MOST_WHOLE,
    content_key,
    header_block,
    names_itself,
    text_of,
)

HEAD = b"From: ada@example.com\r\nSubject: Offer\r\n"


def asked(head: bytes, whole: bytes) -> tuple[str, list[int]]:
    """The text, and how many bytes of the message were asked for."""
    wanted: list[int] = []

    def read(most: int) -> bytes:
        wanted.append(most)
        return whole[:most]

    return text_of(head, received=None, size=len(whole), whole=read), wanted


def test_a_message_with_an_id_is_not_read_further() -> None:
    text, wanted = asked(HEAD + b"Message-ID: <1@example.com>\r\n", b"")
    assert (wanted, KEY in text) == ([], False)


@pytest.mark.parametrize("odd", [b"", b"Message-ID:\r\n", b"Message-ID: <>\r\n", b"Message-ID: no id at all\r\n"])
def test_a_message_without_a_usable_id_is_read(odd: bytes) -> None:
    head = HEAD + odd
    text, wanted = asked(head, head + b"\r\nDear all,\r\n")
    assert (wanted, KEY in text) == ([MOST_WHOLE], True)


def test_the_id_that_exchange_kept_is_one() -> None:
    assert names_itself(b"X-Microsoft-Original-Message-ID: <1@example.com>\r\n")
    assert not names_itself(b"In-Reply-To: <1@example.com>\r\n")


def test_an_id_that_is_cut_away_is_none() -> None:
    assert not names_itself(b"X-Long: y\r\n" * 30_000 + b"Message-ID: <1@example.com>\r\n")


@pytest.mark.parametrize(
    ("message", "head"),
    [
        (b"A: 1\r\nB: 2\r\n\r\nText\r\n\r\n", b"A: 1\r\nB: 2\r\n"),
        (b"A: 1\nB: 2\n\nText\n", b"A: 1\nB: 2\n"),
        (b"A: 1\r\nB: 2", b"A: 1\r\nB: 2"),
        (b"\r\nText\r\n", b""),
        (b"", b""),
    ],
)
def test_a_header_block_ends_at_the_first_empty_line(message: bytes, head: bytes) -> None:
    file = io.BytesIO(message)
    assert header_block(file) == head
    assert file.tell() <= len(head) + 2


def test_a_header_block_that_never_ends_is_cut() -> None:
    for endless in (b"X: y\r\n" * 100_000, b"x" * 10**6):
        assert len(header_block(io.BytesIO(endless))) == MOST_HEAD


def test_copies_of_a_long_message_are_alike_whatever_was_written_on_top() -> None:
    body = b"\r\n" + b"".join(b"%080d\r\n" % n for n in range(130_000))
    copies = [top + HEAD + body for top in (b"", b"Received: from a by b\r\n" * 1000)]
    assert len(copies[0]) > MOST_WHOLE
    assert len({content_key(copy[:MOST_WHOLE]) for copy in copies}) == 1
    assert content_key(copies[0]) != content_key(HEAD + body[:9_000_000])


@pytest.mark.parametrize(
    ("before", "filler", "count"),
    [
        (b"\r\n", b"x\n", MOST_LINES),
        (b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n', b"--x\n\nx\n", MOST_BOUNDARIES),
        (b"\r\n", b"Content-Type: text/plain\nx\n", 1000),
    ],
    ids=["lines", "parts", "types"],
)
def test_what_costs_too_much_to_take_apart_is_not(before: bytes, filler: bytes, count: int) -> None:
    """What lies beyond the bounds changes nothing; what lies within does."""
    message = HEAD + before + filler * (count + 10)
    assert content_key(message + b"more\n") == content_key(message)
    other = filler[:-2] + b"y\n"
    assert content_key(HEAD + before + other + filler * 10) != content_key(HEAD + before + filler * 11)


def test_parts_within_parts_without_end_have_no_key() -> None:
    level = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n'
    assert content_key(HEAD + b"".join(level % (n, n) for n in range(700))) in {"", content_key(HEAD)}


@given(st.binary(max_size=300))
def test_no_bytes_raise(message: bytes) -> None:
    text, _ = asked(header_block(io.BytesIO(message)), message)
    text.encode("utf-8")
    assert "\0" not in text
