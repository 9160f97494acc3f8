"""Attachments of items: what ATTACH lines say, and that writing touches no other line (ATT-1)."""

from __future__ import annotations

import base64
from datetime import datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.ical.attach import content_of
from syncengine.core.ical.read import read
from syncengine.core.ical.write import new, with_occurrence, write
from syncengine.core.mapping.attachments import moved
from syncengine.model.attachment import Attachment
from syncengine.model.item import Item
from syncengine.model.pim import Kind
from tests.core.test_ical import calendar

UTC = ZoneInfo("UTC")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=60).map(
    str.strip
)


def inline(octets: bytes, name: str = "plan.txt", media_type: str = "text/plain") -> Attachment:
    return Attachment(name, media_type, sha256(octets).hexdigest(), len(octets))


def line(octets: bytes, parameters: str = ";FMTTYPE=text/plain;FILENAME=plan.txt") -> str:
    return f"ATTACH{parameters};ENCODING=BASE64;VALUE=BINARY:{base64.b64encode(octets).decode()}"


def event(*lines: str, newline: str = "\r\n") -> str:
    return calendar("UID:a", "DTSTART:20260302T090000Z", "SUMMARY:Talk", *lines, newline=newline)


def attached(text: str, part: str = "") -> list[Attachment]:
    item = read(text, ("attach", "summary"), part)
    assert isinstance(item, Item)
    found = item.values.get("attach") or ()
    assert isinstance(found, tuple)
    return [Attachment.parse(str(one)) for one in found]


def set_to(text: str, *attachments: Attachment, part: str = "", **octets: bytes) -> str:
    contents = {sha256(one).hexdigest(): one for one in octets.values()}
    return write(text, {"attach": tuple(sorted(a.text for a in attachments))}, UTC, part, contents)


class TestReading:
    def test_an_inline_file_is_known_by_its_content(self) -> None:
        text = event(line(b"hello"))
        assert attached(text) == [inline(b"hello")]
        assert content_of(text, inline(b"hello", name="under another name")) == b"hello"
        assert content_of(text, inline(b"other")) is None

    @pytest.mark.parametrize(
        ("parameters", "name"),
        [
            (";FILENAME=a.txt", "a.txt"),
            (";X-FILENAME=a.txt", "a.txt"),
            (';X-APPLE-FILENAME="a b; c.txt"', "a b; c.txt"),
            (";FILENAME=a,b.txt", "a,b.txt"),
            (";FILENAME=say ^'hi^'.txt", 'say "hi".txt'),
            (";X-FILENAME=second.txt;FILENAME=first.txt", "first.txt"),
            ("", "attachment"),
        ],
    )
    def test_its_name_stands_in_one_of_several_places(self, parameters: str, name: str) -> None:
        assert [a.name for a in attached(event(line(b"x", parameters)))] == [name]

    @pytest.mark.parametrize(
        ("uri", "name"),
        [
            ("https://files.example.com/a/plan%20B.pdf?dl=1", "plan B.pdf"),
            ("https://files.example.com/", "files.example.com"),
            ("cid:part1@example.com", "cid:part1@example.com"),
        ],
    )
    def test_a_link_stays_a_link(self, uri: str, name: str) -> None:
        assert attached(event(f"ATTACH:{uri}")) == [Attachment(name, uri=uri)]

    def test_a_managed_attachment_is_a_link(self) -> None:
        managed = (
            "ATTACH;MANAGED-ID=97S;FMTTYPE=text/plain;SIZE=5;FILENAME=agenda.txt:https://cal.example.com/attach/64"
        )
        expected = Attachment("agenda.txt", "text/plain", uri="https://cal.example.com/attach/64")
        assert attached(event(managed)) == [expected]

    def test_a_data_uri_is_its_content(self) -> None:
        assert attached(event("ATTACH;FILENAME=plan.txt:data:text/plain;base64,aGVsbG8=")) == [inline(b"hello")]
        assert attached(event("ATTACH;FILENAME=plan.txt:data:text/plain,hello")) == [inline(b"hello")]

    @pytest.mark.parametrize(
        "broken",
        [
            "ATTACH;ENCODING=BASE64;VALUE=BINARY:aGVsbG8",
            "ATTACH;ENCODING=BASE64;VALUE=BINARY:a$b=",
            'ATTACH;FILENAME="unclosed:https://example.com',
            "ATTACH:",
            "ATTACH:data:nonsense",
            "ATTACH:https://example.com/" + "x" * 5000,
        ],
    )
    def test_what_cannot_be_read_is_none_and_the_item_is_fine(self, broken: str) -> None:
        text = event(broken, line(b"hello"))
        assert attached(text) == [inline(b"hello")]
        assert broken in set_to(text)

    def test_the_sound_of_an_alarm_is_no_attachment(self) -> None:
        alarm = ("BEGIN:VALARM", "ACTION:AUDIO", "ATTACH:https://example.com/ding.wav", "END:VALARM")
        assert attached(event(*alarm)) == []


class TestWriting:
    def test_one_that_comes_is_added_and_read_back_as_it_is(self) -> None:
        text = event(line(b"hello"))
        more = inline(b"more", 'Größe, "neu"; ^x.txt')
        after = set_to(text, inline(b"hello"), more, more=b"more")
        assert sorted(attached(after)) == sorted([inline(b"hello"), more])
        assert content_of(after, more) == b"more"
        assert line(b"hello") in after

    def test_one_that_goes_takes_its_line_and_no_other(self) -> None:
        others = ("X-KEEP;A=b:1", "ATTACH:https://example.com/a", "ATTACH;ENCODING=BASE64;VALUE=BINARY:broken")
        text = event(others[0], line(b"hello"), *others[1:])
        assert set_to(text, Attachment("a", uri="https://example.com/a")) == event(*others)

    def test_the_same_in_another_spelling_is_no_change(self) -> None:
        text = event("ATTACH;VALUE=BINARY;FILENAME=plan.txt;X-SIZE=5;FMTTYPE=text/plain;ENCODING=BASE64:aGVs\n bG8=")
        assert set_to(text, inline(b"hello"), hello=b"hello") == text

    def test_one_without_its_content_is_not_written(self) -> None:
        text = event()
        assert set_to(text, inline(b"hello")) == text

    def test_lines_are_folded_and_keep_the_line_ends_of_the_item(self) -> None:
        octets = bytes(range(256)) * 20
        after = set_to(event(newline="\n"), inline(octets, "ü" * 80), a=octets)
        assert "\r" not in after
        assert max(len(one.encode()) for one in after.split("\n")) <= 75
        assert content_of(after, inline(octets)) == octets

    def test_a_new_item_has_them(self) -> None:
        link = Attachment("agenda", uri="https://example.com/agenda")
        values = {"dtstart": START, "attach": (inline(b"hello").text, inline(b"not here").text, link.text)}
        text = new(Kind.EVENT, "u", values, START, {inline(b"hello").digest: b"hello"})
        assert sorted(attached(text)) == sorted([inline(b"hello"), link])

    def test_a_changed_occurrence_has_its_own(self) -> None:
        series = event("RRULE:FREQ=DAILY;COUNT=3", line(b"hello"))
        text, key = with_occurrence(series, START, UTC)
        after = set_to(text, inline(b"hello"), inline(b"more", "more.txt"), part=key, more=b"more")
        assert attached(after) == [inline(b"hello")]
        assert sorted(attached(after, key)) == sorted([inline(b"hello"), inline(b"more", "more.txt")])

    def test_an_occurrence_that_changes_nothing_goes_on_changing_nothing(self) -> None:
        text, key = with_occurrence(event("RRULE:FREQ=DAILY;COUNT=3", line(b"hello")), START, UTC)
        after = set_to(text, inline(b"more"), more=b"more")
        assert attached(after) == attached(after, key) == [inline(b"more")]

    @given(st.lists(st.tuples(st.binary(max_size=300), NAMES), max_size=4), st.lists(st.integers(0, 3)))
    def test_whatever_is_written_is_read(self, files: list[tuple[bytes, str]], kept: list[int]) -> None:
        found = {inline(octets, name or "attachment") for octets, name in files}
        contents = {str(n): octets for n, (octets, _) in enumerate(files)}
        text = event("X-OTHER:1")
        full = set_to(text, *found, **contents)
        assert set(attached(full)) == found
        some = [a for n, a in enumerate(sorted(found)) if n in kept]
        assert set(attached(set_to(full, *some))) == set(some)
        assert set_to(full) == text


class TestMoving:
    """What was added or removed elsewhere is added or removed here; spellings stay."""

    A, B, C = (inline(octets, octets.decode()).text for octets in (b"a", b"b", b"c"))
    A2 = inline(b"a", "called otherwise").text

    @pytest.mark.parametrize(
        ("there", "old", "new", "expected"),
        [
            ([A], [A], [A, B], [A, B]),
            ([A, B], [A, B], [B], [B]),
            ([A, C], [A], [A, B], [A, B, C]),
            ([A2], [A], [A, B], [A2, B]),
            ([A2], [A], [], []),
            ([A2], [], [A], [A2]),
            ([A], [A], [A, A2], [A, A2]),
            ([A, A2], [A, A2], [A2], [A2]),
            ([A], [A], [A2], [A2]),
        ],
    )
    def test_sets(self, there: list[str], old: list[str], new: list[str], expected: list[str]) -> None:
        assert moved(tuple(there), tuple(old), tuple(new)) == tuple(sorted(expected))


def test_an_entry_with_more_links_than_anybody_wrote_is_read() -> None:
    """With work that grows with the square of their number, this would not end today."""
    lines = "".join(f"ATTACH:https://x.test/{n}\r\n" for n in range(50_000))
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\n{lines}END:VEVENT\r\nEND:VCALENDAR\r\n"
    item = read(text, ("attach",), "")
    assert isinstance(item, Item)
    assert len(item.values["attach"]) == 50_000  # type: ignore[arg-type]


def test_an_entry_with_more_attendees_than_anybody_invited_is_read() -> None:
    lines = "".join(f"ATTENDEE;PARTSTAT=DECLINED:mailto:{n}@x.test\r\n" for n in range(20_000))
    text = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\n{lines}END:VEVENT\r\nEND:VCALENDAR\r\n"
    item = read(text, ("attendee",), "")
    assert isinstance(item, Item)
    assert len(item.values["attendee"]) == len(item.values["declined"]) == 20_000  # type: ignore[arg-type]
