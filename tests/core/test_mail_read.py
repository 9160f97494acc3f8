"""Header blocks as they come: what is read of a message, and that nothing it holds can stop the reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.mime.envelope import envelope
from syncengine.core.mime.read import PEOPLE, read_message
from syncengine.model.pim import Kind


def values(*lines: str) -> dict[str, object]:
    return dict(read_message("\n".join(lines) + "\n\n").values)


def test_a_message_is_an_item_by_its_key() -> None:
    item = read_message("Message-ID: <OF9264F990.72075AF4-ONC2257A3A.0059D96B@LocalDomain>\nSubject: Hello\n\n")
    assert (item.kind, item.uid) == (Kind.EMAIL, "9264F990.72075AF4")
    assert item.values["message-id"] == "<OF9264F990.72075AF4-ONC2257A3A.0059D96B@LocalDomain>"


def test_without_an_id_the_key_is_the_mailbox_s() -> None:
    text = envelope(b"Subject: Hello\r\n\r\n", received=None, size=10, key="content:0123")
    assert read_message(text).uid == "content:0123"
    assert read_message("Subject: Hello\n\n").uid == ""


def test_the_original_id_of_exchange_counts_first() -> None:
    assert (
        read_message("Message-ID: <new@x.test>\nX-Microsoft-Original-Message-ID: <old@x.test>\n\n").uid == "old@x.test"
    )


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["To: a@x.test, B@X.test"], ("a@x.test", "b@x.test")),
        (['To: "Last, First" <a@x.test>, <b@x.test>'], ("a@x.test", "b@x.test")),
        (["To: Team: a@x.test, b@x.test;, c@x.test"], ("a@x.test", "b@x.test", "c@x.test")),
        (["To: undisclosed-recipients:;"], None),
        (["To: nobody, , <>, @, a@x.test"], ("a@x.test",)),
        (["To: a@x.test", "To: b@x.test"], ("a@x.test", "b@x.test")),
        (["To: a@x.test, A@x.test"], ("a@x.test",)),
        (["To: a@x.test,", "\tb@x.test"], ("a@x.test", "b@x.test")),
        (["To: =?utf-8?q?M=C3=BCller=2C_Jo?= <jo@x.test>"], ("jo@x.test",)),
        (["To: jörg@bücher.test"], ("jörg@bücher.test",)),
        (["To: a@x.test (Ann)"], ("a@x.test",)),
    ],
)
def test_addresses_are_canonical_in_the_order_they_are_written(lines: list[str], found: object) -> None:
    assert values(*lines).get("to") == found


def test_the_sender_has_a_name_that_may_hold_a_comma() -> None:
    found = values("From: =?utf-8?q?M=C3=BCller=2C_Jo?= <JO@x.test>, second@x.test")
    assert (found["from"], found["from-name"]) == (("jo@x.test", "second@x.test"), "Müller, Jo")


@pytest.mark.parametrize(
    ("subject", "read"),
    [
        ("=?iso-8859-1?q?Gr=FC=DFe?=", "Grüße"),
        ("=?utf-8?b?R3LDvMOf?= =?utf-8?b?ZQ==?=", "Grüße"),
        ("=?no-such?q?abc?=", "abc"),
        ("folded\n  here", "folded here"),
        ("tab\tand\x01control", "tab and control"),
        ("=?utf-8?b?broken", "=?utf-8?b?broken"),
    ],
)
def test_subjects(subject: str, read: str) -> None:
    assert values(f"Subject: {subject}")["subject"] == read


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Mon, 2 Mar 2026 10:00:00 +0100", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2 Mar 26 10:00 EST", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("Mon, 2 Mar 2026 10:00:00 -0000", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 5, 8, tzinfo=UTC)),
        ("Mon, 2 Mar 99999 10:00:00 +0000", datetime(2026, 3, 5, 8, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 -2300", datetime(2026, 3, 5, 8, tzinfo=UTC)),
    ],
)
def test_a_message_without_a_usable_date_has_that_of_its_arrival(date: str, moment: datetime) -> None:
    head = f"Date: {date}\r\nSubject: x\r\n".encode()
    assert read_message(envelope(head, received=datetime(2026, 3, 5, 8, tzinfo=UTC), size=1)).values["date"] == moment


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["Importance: High", "X-Priority: 1"], "high"),
        (["X-Priority: 1 (Highest)"], "asap"),
        (["X-Priority: 2"], "high"),
        (["X-Priority: 5"], "low"),
        (["X-MSMail-Priority: Low"], "low"),
        (["Priority: urgent"], "high"),
        (["Priority: non-urgent"], "low"),
        (["Importance: whatever", "X-Priority: 3"], "normal"),
        (["X-Priority: 17"], None),
    ],
)
def test_importance(lines: list[str], word: str | None) -> None:
    assert values(*lines).get("importance") == word


def test_a_message_cannot_say_what_the_mailbox_says() -> None:
    forged = b"X-Syncengine-Key: content:forged\r\nX-Syncengine-Received: 2001-01-01T00:00:00+00:00"
    head = forged + b"\r\nX-Mailer: none\r" + forged.replace(b"\r\n", b"\r") + b"\r\nSubject: x\r\n"
    item = read_message(envelope(head, received=None, size=7))
    assert (item.uid, item.values.get("date"), item.values["size"]) == ("", None, 7)


@pytest.mark.parametrize("piece", [" ", " a a,", "a:,", ',"', ", <", "(", "\t"])
def test_recipients_made_to_keep_the_reader_busy_are_read(piece: str) -> None:
    """With work that grows faster than the length, this would not end today."""
    assert values("From: a@x.test", "To: b@x.test, :," + piece * 60_000)["from"] == ("a@x.test",)


PIECES = st.sampled_from(
    ["From:", "To: ", "Date: ", "Subject: ", "=?utf-8?b?", "?=", "<", ">", "@", ",", ";", ":", '"', "(", ")", "\\",
     "\n", "\n ", "a@x.test", "\udce4", "\x00", "Importance: ", "Message-ID: ", "é"]
)  # fmt: skip


@given(st.text() | st.lists(PIECES, max_size=60).map("".join))
def test_whatever_it_holds_a_header_block_is_read(text: str) -> None:
    item = read_message(text)
    for name in PEOPLE:
        for address in item.values.get(name, ()):  # type: ignore[union-attr]
            assert "@" in str(address)
            assert " " not in str(address)
    for value in item.values.values():
        if isinstance(value, str):
            value.encode("utf-8")
            assert "\x00" not in value
