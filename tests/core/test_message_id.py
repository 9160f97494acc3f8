"""MID-1 to MID-4, MID-6: the key two copies of one message share, however its id is spelt, and without one."""

from __future__ import annotations

import csv
import random
import re
import sys
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncengine.core.mime.content import MOST_PARTS
from syncengine.core.mime.message_id import FAMILIES, NO_ID, MessageId, key_of, parse, parse_all
from syncengine.core.mime.text import decoded

TABLE = Path(__file__).parents[2] / "fixtures" / "identity" / "message_ids.tsv"
ESCAPES = {"\\": "\\", "r": "\r", "n": "\n", "t": "\t"}


def _meant(cell: str) -> str:
    return re.sub(r"\\([\\rnt])", lambda found: ESCAPES[found[1]], cell)


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [{name: _meant(cell) for name, cell in row.items()} for row in rows]


ROWS = _rows()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["why"])
def test_a_form_that_mailboxes_hold(row: dict[str, str]) -> None:
    expected = MessageId(row["key"] or None, row["family"], row["message_id"] or None)
    assert parse(row["form"]) == expected
    if expected.message_id:
        assert parse(f"<{expected.message_id}>") == expected


def test_the_table_shows_every_family() -> None:
    assert {row["family"] for row in ROWS} == set(FAMILIES) - {"content"}


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@b.example> <c@d.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example>\r\n\t<c@d.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example>,<c@d.example>; <e@f.example>", ["a@b.example", "c@d.example", "e@f.example"]),
        ("<a@b.example><c@d.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example>,skipped,<c@d.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example>(then <no@id.example>)<c@d.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example> <> <c@d.example> <a@B.example>", ["a@b.example", "c@d.example"]),
        ("<a@b.example <c@d.example>", ["a@b.example", "c@d.example"]),
        ("a@b.example@x.example, c@d.example", ["a@b.example@x.example", "c@d.example"]),
        ("a@b.example,c@d.example,", ["a@b.example", "c@d.example"]),
        ("a@b.example  c @ d.example", ["a@b.example", "c@d.example"]),
        ("<a@b.example and <c@d.example>", ["a@b.example", "c@d.example"]),
        ("single-word,,", ["single-word"]),
        ("neither nor", []),
        ("", []),
    ],
)
def test_references_hold_several(value: str, ids: list[str]) -> None:
    assert [found.message_id for found in parse_all(value)] == ids
    assert parse(value) == next(iter(parse_all(value)), NO_ID)


def test_a_key_can_always_be_stored() -> None:
    """Bytes that are no UTF-8, half characters, NULs and endless ids become text that every database takes."""
    assert parse("<\udcc3\udcbcber@a.example>").key == "über@a.example"
    assert parse("<\udcff@a.example>").key == "ÿ@a.example"
    assert parse("<\ud800@a.example>").key == "\ufffd@a.example"
    assert parse("<a\0b@a.example>").key == "ab@a.example"
    endless, other = parse(f"<{'a' * 5000}@a.example>"), parse(f"<{'a' * 5001}@a.example>")
    assert endless.key
    assert len(endless.key) < 100
    assert endless.key != other.key


# --- whatever a header holds -----------------------------------------------------------------------------------------

PIECES = [*'<>()"\\@., ;\t\r\n\0[]=?_$aB9-ü\u0301\udcff\ud800', "OF", "_at_", "=?utf-8?q?", "?="]
NASTY = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
ATOMS = st.text("abcXYZ019.!#$%&'*+-/=?^_`{|}~:", min_size=1, max_size=12).filter(
    lambda text: any(c.isalnum() for c in text) and "_at_" not in text.lower() and "=?" not in text
)
IDS = st.one_of(
    st.tuples(ATOMS, st.from_regex(r"[a-z0-9]{1,5}(\.[a-z]{2,4}){0,2}", fullmatch=True)).map("@".join),
    st.sampled_from([row["message_id"] for row in ROWS if "@" in row["message_id"] and '"' not in row["message_id"]]),
)
BLANKS = st.text(" \t", min_size=1, max_size=4)
AROUND = st.sampled_from(
    ["", "(a note <x@y>)", "Your message of Mon, 2 Feb 2026 10:11:12.", "joe@home.example wrote", "-"]
)


@given(NASTY | st.text())
@example('<"a(b"@c (d) <(e)f>')
@example("<a@b(c> (d)")
def test_no_value_raises_and_what_is_found_reads_as_itself(value: str) -> None:
    for found in parse_all(value):
        assert found.key
        found.key.encode("utf-8")
        assert parse(f"<{found.message_id}>") == found
    assert parse(value).family in FAMILIES


@given(IDS, BLANKS, st.sampled_from(["\r\n", "\n"]), AROUND, AROUND)
def test_the_key_survives_folding_and_what_stands_around(
    bare: str, blank: str, end: str, before: str, after: str
) -> None:
    key = parse(f"<{bare}>").key
    assert key
    assert parse(f"{before}{end}{blank}<{bare}>{blank}{after}").key == key
    local, _, domain = bare.partition("@")
    assert parse(f"<{local}{end}{blank}@{end}{blank}{domain}{blank}>").key == key


@given(IDS)
def test_the_key_survives_lost_brackets_and_another_case_of_the_domain(bare: str) -> None:
    found = parse(f"<{bare}>")
    assert parse(f"<{bare}") == parse(f"{bare}>") == parse(f" {bare}\r\n") == found
    local, _, domain = bare.partition("@")
    assert parse(f"<{local}@{domain.upper()}>").key == found.key
    if found.family == "other":
        assert parse(f"<{local}@other.{domain}>").key != found.key


@given(st.sampled_from([row for row in ROWS if row["family"] in ("domino", "outlook")]), ATOMS)
def test_known_families_do_not_look_at_the_domain(row: dict[str, str], domain: str) -> None:
    left = re.split("@|_at_", row["message_id"])[0]
    assert parse(f"<{left}@{domain}>").key == row["key"]


def _work(run: Callable[[], object]) -> int:
    """Calls made, which unlike seconds do not depend on how busy the machine is."""
    calls = 0

    def count(_frame: object, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "piece",
    ["<", "(", ")", "()", "(a", '"', ' "', '\\"', ",", "a,", "@", "a b ", "<a@b>", "<(", "=?a?q?", '<"', "[", "\0"],
)
def test_twice_the_length_is_twice_the_work(piece: str) -> None:
    short, long = piece * 2000, piece * 4000
    assert _work(lambda: parse_all(long)) < 2.5 * _work(lambda: parse_all(short)) + 100


@pytest.mark.parametrize("piece", ["<", "(", '"', ' "', '\\"', "()", ",", "\u0301\u0316", "=?a?q?", " "])
def test_a_long_value_is_read_to_its_end(piece: str) -> None:
    """Work inside one call of a pattern cannot be counted: what costs the square of the length never comes back."""
    junk = piece * (200_000 // len(piece))
    assert parse(f"{junk} ").key is None or len(parse(junk).key or "") < 100


# --- messages without an id ------------------------------------------------------------------------------------------

SENT = b"""Message-ID: \r
From: "User One" <User.One@Example.com>\r
To: two@example.com, Three <three@example.com>\r
Cc: four@example.com\r
Date: Mon, 2 Feb 2026 10:11:12 +0100\r
Subject: =?utf-8?q?Gru=CC=88=C3=9Fe_aus?= Bonn\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=x\r
\r
--x\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
Sch=C3=B6n hier, 5 =E2=82=AC.\r
Bis bald!\r
--x\r
Content-Type: application/pdf; name=map.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0xLjQ=\r
--x--\r
"""
RECEIVED = b"""Return-Path: <bounce-77@lists.example>
Delivered-To: two@example.com
Received: from mx.example by mail.example; Mon, 2 Feb 2026 09:11:14 +0000
X-Spam-Score: 0.1
Subject: =?iso-8859-1?b?R3L832UgYXVz?=
 Bonn
Date: Mon, 02 Feb 2026 09:11:12 -0000 (UTC)
To: three@example.com,
\ttwo@example.com
CC: <FOUR@example.com>
From: user.one@example.com
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="another"

--another
Content-Type: text/plain; charset=windows-1252
Content-Transfer-Encoding: 8bit

Sch\xf6n hier, 5 \x80.{blanks}
Bis bald!

--another
Content-Type: application/pdf
Content-Transfer-Encoding: base64

JVBERi0x
LjQ=
--another--
""".replace(b"{blanks}", b"  ")
POLICIES = [policy.compat32, policy.default]


def _key(raw: bytes, read_by: policy.Policy = policy.compat32) -> MessageId:
    return key_of(message_from_bytes(raw, policy=read_by))


@pytest.mark.parametrize("read_by", POLICIES)
def test_two_deliveries_of_a_message_without_id_have_one_key(read_by: policy.Policy) -> None:
    sent = _key(SENT, read_by)
    assert sent.family == "content"
    assert sent.key == "content:0abfc96db095269be8318c1f68bdbda1"  # keys are stored: no version may make another
    assert _key(RECEIVED, read_by) == sent == _key(SENT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"User.One@", b"User.Two@"),
        (b"three@", b"thirty@"),
        (b"Cc: four", b"Cc: five"),
        (b"10:11:12", b"10:11:13"),
        (b"+0100", b"+0200"),
        (b"Bonn", b"Berlin"),
        (b"hier", b"dort"),
        (b"Bis bald!", b"Bis\r\nbald!"),
        (b"JVBERi0xLjQ=", b"JVBERi0xLjU="),
    ],
)
def test_another_message_has_another_key(old: bytes, new: bytes) -> None:
    assert SENT.count(old) == 1
    assert _key(SENT.replace(old, new)).key != _key(SENT).key


def test_a_date_without_zone_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"Date: Mon, 2 Feb 2026 09:11:12 %s\n\n"
    keys = set()
    for zone in ("Asia/Tokyo", "UTC"):
        with monkeypatch.context() as machine:
            machine.setenv("TZ", zone)
            time.tzset()
            keys |= {_key(raw % b"-0000").key, _key(raw % b"+0000").key}
    time.tzset()
    assert len(keys) == 1


def test_senders_without_address_and_the_bytes_of_attachments_count() -> None:
    assert _key(b"From: root\n\n").key != _key(b"From: daemon\n\n").key
    attached = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n%s"
    assert _key(attached % b"YQ0K").key != _key(attached % b"YQo=").key
    parts = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n%s\n--x\n\n%s\n--x--\n"
    assert _key(parts % (b"a", b"b")).key != _key(parts % (b"b", b"a")).key


def test_an_attached_message_counts_with_its_headers() -> None:
    outer = b"Subject: failed\nContent-Type: message/rfc822\n\n"
    assert _key(outer + b"To: one@example.com\n\n").key != _key(outer + b"To: two@example.com\n\n").key


TEXTS = st.text("abc äß\n", max_size=30)


def _written(sender: str, subject: str, body: str, second: int, cte: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = sender, subject
    message["Date"] = f"Mon, 2 Feb 2026 10:11:{second:02} +0000"
    message.set_content(body, charset="utf-8", cte=cte)
    return message


PARTS = st.tuples(
    st.sampled_from(["a@example.com", "b@example.com"]),
    st.sampled_from(["one", "two", "zwölf"]),
    TEXTS,
    st.integers(0, 59),
)


@given(PARTS, PARTS, st.integers())
def test_keys_are_equal_for_equal_content_alone(
    one: tuple[str, str, str, int], other: tuple[str, str, str, int], seed: int
) -> None:
    def even(part: tuple[str, str, str, int]) -> tuple[str, str, str, int]:
        text = "\n".join(line.rstrip() for line in part[2].split("\n")).rstrip("\n")
        return part[0], part[1], text, part[3]

    first = _written(*one, cte="base64")
    again = _written(*one, cte="quoted-printable")
    for n in range(random.Random(seed).randrange(4)):
        again[f"X-Hop-{n}"] = "passed"
    assert key_of(message_from_bytes(bytes(again))).key == key_of(first).key
    assert (key_of(_written(*other, cte="8bit")).key == key_of(first).key) == (even(one) == even(other))


def test_the_senders_own_id_comes_before_the_one_exchange_wrote_over_it() -> None:
    raw = b"Message-ID: <new@exchange.example>\nX-Microsoft-Original-Message-ID: %s\n\n"
    assert _key(raw % b"<own@a.example>").message_id == "own@a.example"
    assert _key(raw % b"<>").message_id == "new@exchange.example"
    assert _key(b"Message-ID: <>\nmessage-id: <a@b.example>\nMessage-ID: <c@d.example>\n\n").key == "a@b.example"


def test_a_message_that_says_nothing_has_no_key() -> None:
    assert key_of(Message()) == NO_ID
    assert _key(b"Received: by nobody\n\n \n") == NO_ID


@pytest.mark.parametrize("read_by", POLICIES)
@pytest.mark.parametrize(
    "raw",
    [
        b"Message-ID: @\xff\nMessage-ID: <\nFrom: ((((((\nDate: Mon, 99 Foo 99999999999999 99:99\n\nx",
        b"Subject: =?x?b?!?= =?utf-8?b?A?= \xe9\n\nx",
        b"Subject: =?punycode?q?a?= =?utf-8?b?a?=\nContent-Type: text/plain; charset=\0\n\n\xff",
        b"Content-Type: text/plain; charset*=nowhere'%ff\nContent-Transfer-Encoding: uuencode\n\nbegin 6\n\xff",
        b"Content-Type: multipart/mixed\nDate: 31 Dec 9999 23:59:59 -2359\n\nno boundary at all",
        b"Content-Type: ;;;=\nContent-Transfer-Encoding: base64\nFrom: root\n\nA",
        b"Content-Type: text/plain; charset=unicode_escape\nSubject: x\n\n\\q\\x",
    ],
)
def test_a_broken_message_has_a_key_all_the_same(raw: bytes, read_by: policy.Policy) -> None:
    assert _key(raw, read_by).family == "content"


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    key_of(message_from_bytes(b"Message-ID:\n" + raw))
    key_of(message_from_bytes(b"Subject: " + raw, policy=policy.default))


def test_parts_beyond_the_limit_cost_nothing() -> None:
    message = Message()
    message["Subject"] = "deep"
    message.set_payload([Message() for _ in range(20 * MOST_PARTS)])
    few = Message()
    few["Subject"] = "deep"
    few.set_payload([Message() for _ in range(2 * MOST_PARTS)])
    assert _work(lambda: key_of(message)) < 2 * _work(lambda: key_of(few))
    deep, deeper = _nest(2 * MOST_PARTS), _nest(10 * MOST_PARTS)
    assert _work(lambda: key_of(deeper)) < 2 * _work(lambda: key_of(deep))


def _nest(depth: int) -> Message:
    nest = Message()
    for _ in range(depth):
        outer = Message()
        outer.set_payload([nest])
        nest = outer
    return nest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?b?YQ?=", "a"),  # its padding lost
        ("=?utf-8*de?q?a_b?= =?nowhere?Q?=FF?=", "a bÿ"),
        ("=?unicode_escape?q?=5Cx41?=", "\\x41"),  # Python's, but no charset of mail's
        ("a =?utf-8?x?b?= c", "a =?utf-8?x?b?= c"),
    ],
)
def test_encoded_words_are_read_as_far_as_they_can(value: str, text: str) -> None:
    assert decoded(value) == text
