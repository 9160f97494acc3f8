"""iCalendar texts: what is read of them, and that writing touches nothing but what it is asked to."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncengine.core.ical.read import NotShareable, read
from syncengine.core.ical.write import new, write
from syncengine.errors import ItemError
from syncengine.model.item import Item
from syncengine.model.pim import Kind

BERLIN = ZoneInfo("Europe/Berlin")
WANTED = ("summary", "description", "location", "priority")
READABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), include_characters='\n\\,;:"nN')
CUSTOM_ZONE = """BEGIN:VTIMEZONE
TZID:Headquarters
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0300
TZOFFSETTO:+0300
END:STANDARD
END:VTIMEZONE
"""


def calendar(*lines: str, before: str = "", component: str = "VEVENT", newline: str = "\r\n") -> str:
    body = "\n".join(lines)
    text = (
        f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{before}BEGIN:{component}\n{body}\nEND:{component}\nEND:VCALENDAR\n"
    )
    return text.replace("\n", newline)


def item(text: str) -> Item:
    found = read(text, WANTED)
    assert isinstance(found, Item)
    return found


class TestReading:
    def test_a_zoned_meeting_knows_its_instant_and_its_zone(self) -> None:
        found = item(
            calendar("UID:a", "DTSTART;TZID=Europe/Berlin:20260302T090000", "DURATION:PT90M", "SUMMARY:Talk\\, long")
        )
        assert found.kind is Kind.EVENT
        assert found.values["dtstart"] == datetime(2026, 3, 2, 9, 0, tzinfo=BERLIN)
        assert found.values["dtend"] == datetime(2026, 3, 2, 10, 30, tzinfo=BERLIN)
        assert found.values["summary"] == "Talk, long"

    @pytest.mark.parametrize(
        ("line", "start"),
        [
            ("DTSTART;VALUE=DATE:20260302", date(2026, 3, 2)),
            ("DTSTART:20260302T090000", datetime(2026, 3, 2, 9, 0)),  # noqa: DTZ001 - floating
            ("DTSTART:20260302T090000Z", datetime(2026, 3, 2, 9, 0, tzinfo=UTC)),
            ("DTSTART;TZID=W. Europe Standard Time:20260302T090000", datetime(2026, 3, 2, 8, 0, tzinfo=UTC)),
            (
                'DTSTART;TZID="/mozilla.org/20050126_1/Europe/Berlin":20260302T090000',
                datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
            ),
        ],
    )
    def test_date_floating_time_and_instant_stay_three_things(self, line: str, start: object) -> None:
        assert item(calendar("UID:a", line)).values["dtstart"] == start

    def test_a_zone_the_calendar_carries_itself_is_understood(self) -> None:
        found = item(calendar("UID:a", "DTSTART;TZID=Headquarters:20260302T090000", before=CUSTOM_ZONE))
        assert found.values["dtstart"] == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)

    def test_an_instant_is_never_guessed(self) -> None:
        with pytest.raises(ItemError, match="DTSTART cannot be understood"):
            item(calendar("UID:a", "DTSTART;TZID=Nowhere:20260302T090000"))

    def test_without_end_a_date_lasts_a_day_and_a_time_not_at_all(self) -> None:
        assert item(calendar("UID:a", "DTSTART;VALUE=DATE:20260302")).values["dtend"] == date(2026, 3, 3)
        assert item(calendar("UID:a", "DTSTART:20260302T090000Z")).values["dtend"] == datetime(
            2026, 3, 2, 9, tzinfo=UTC
        )

    def test_a_day_is_a_day_and_24_hours_are_24_hours(self) -> None:
        """RFC 5545 3.3.6, over the night the clocks go forward in Berlin."""
        start = "DTSTART;TZID=Europe/Berlin:20260328T120000"
        assert item(calendar("UID:a", start, "DURATION:P1D")).values["dtend"] == datetime(
            2026, 3, 29, 12, tzinfo=BERLIN
        )
        hours = item(calendar("UID:a", start, "DURATION:PT24H")).values["dtend"]
        assert isinstance(hours, datetime)
        assert hours.astimezone(BERLIN).hour == 13

    def test_people_are_known_by_their_addresses(self) -> None:
        found = item(
            calendar(
                "UID:a",
                'ORGANIZER;CN="One, User":mailto:ONE@example.com',
                "ATTENDEE;CN=Two;PARTSTAT=ACCEPTED:MAILTO:two@example.com",
                "ATTENDEE;EMAIL=three@example.com:urn:uuid:1234",
            )
        )
        assert found.values["organizer"] == "one@example.com"
        assert found.values["attendee"] == ("two@example.com", "three@example.com")

    def test_lines_of_alarms_are_not_the_items_own(self) -> None:
        found = item(calendar("UID:a", "BEGIN:VALARM", "SUMMARY:alarm", "END:VALARM", "SUMMARY:item"))
        assert found.values["summary"] == "item"

    def test_changed_occurrences_are_named_and_the_series_is_read(self) -> None:
        text = calendar("UID:a", "RECURRENCE-ID:20260309T090000Z", "SUMMARY:moved").replace(
            "END:VCALENDAR",
            "BEGIN:VEVENT\r\nUID:a\r\nSUMMARY:series\r\nRRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\nEND:VCALENDAR",
        )
        found = item(text)
        assert (found.values["summary"], found.parts) == ("series", ("20260309",))

    def test_a_journal_is_sound_but_not_shareable(self) -> None:
        assert isinstance(read(calendar("UID:a", component="VJOURNAL")), NotShareable)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("this is no calendar", "0 calendars"),
            ("", "0 calendars"),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n", "never ended"),
            ("BEGIN:VCALENDAR\nEND:VEVENT\n", "END:VEVENT comes where VCALENDAR is open"),
            (calendar("UID:a", "SUMMARY:broken", "in the middle"), "is not a property"),
            (calendar("UID:a", "DTSTART:tomorrow"), "DTSTART cannot be understood"),
            (calendar("UID:a", "PRIORITY:high"), "PRIORITY cannot be understood"),
            (calendar("UID:a") + calendar("UID:b"), "2 calendars"),
            ("BEGIN:VCALENDAR\n" + "BEGIN:X\n" * 50, "nested too deeply"),
        ],
    )
    def test_a_broken_text_is_named(self, text: str, words: str) -> None:
        with pytest.raises(ItemError, match=words):
            read(text, WANTED)

    @given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
    def test_no_text_does_more_than_be_refused(self, text: str) -> None:
        for candidate in (text, f"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n{text}\nEND:VEVENT\nEND:VCALENDAR\n"):
            with suppress(ItemError):
                read(candidate, WANTED)


FULL = calendar(
    "UID:a@b",
    "DTSTAMP:20260101T000000Z",
    'X-BEFORE;ODD="a:b;c":value',
    "DTSTART;TZID=/example.org/Europe/Berlin:20260302T090000",
    "DTEND;TZID=/example.org/Europe/Berlin:20260302T100000",
    "SUMMARY;LANGUAGE=de:Besprechung\\, la",
    " ng",
    'ATTENDEE;CN="Two, User";RSVP=TRUE:mailto:two@example.com',
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    "TRIGGER:-PT15M",
    "END:VALARM",
    "X-AFTER:last",
)


class TestWriting:
    def test_one_property_changes_and_every_other_byte_stays(self) -> None:
        written = write(FULL, {"summary": "Termin"}, BERLIN)
        assert written == FULL.replace("SUMMARY;LANGUAGE=de:Besprechung\\, la\r\n ng", "SUMMARY;LANGUAGE=de:Termin")

    def test_times_keep_the_name_the_item_gives_its_zone(self) -> None:
        written = write(
            FULL,
            {"dtstart": datetime(2026, 7, 1, 7, 0, tzinfo=UTC), "dtend": datetime(2026, 7, 1, 8, 0, tzinfo=UTC)},
            BERLIN,
        )
        assert "DTSTART;TZID=/example.org/Europe/Berlin:20260701T090000\r\n" in written
        assert "DTEND;TZID=/example.org/Europe/Berlin:20260701T100000\r\n" in written

    def test_floating_stays_floating_and_utc_stays_utc(self) -> None:
        floating = write(
            calendar("UID:a", "DTSTART:20260302T090000"), {"dtstart": datetime(2026, 3, 2, 9, tzinfo=UTC)}, BERLIN
        )
        assert "DTSTART:20260302T100000\r\n" in floating
        utc = write(
            calendar("UID:a", "DTSTART:20260302T090000Z"), {"dtstart": datetime(2026, 3, 2, 12, tzinfo=BERLIN)}, BERLIN
        )
        assert "DTSTART:20260302T110000Z\r\n" in utc

    @pytest.mark.parametrize(
        ("lines", "written"),
        [
            (["DUE;TZID=Europe/Berlin:20260302T090000"], "DUE;TZID=Europe/Berlin:20260302T130000"),
            (["DUE:20260302T090000"], "DUE:20260302T130000"),
            (["DUE:20260302T090000Z"], "DUE:20260302T120000Z"),
            (["DUE;VALUE=DATE:20260302"], "DUE:20260302T120000Z"),
            (
                ["DTSTART:20260302T080000Z", "DUE;TZID=Asia/Tokyo:20260302T190000"],
                "DUE;TZID=Asia/Tokyo:20260302T210000",
            ),
            (["DTSTART;TZID=Europe/Berlin:20260302T080000"], "DUE;TZID=Europe/Berlin:20260302T130000"),
        ],
    )
    def test_a_todo_is_due_in_the_form_it_was_due(self, lines: list[str], written: str) -> None:
        text = calendar("UID:a", *lines, component="VTODO")
        assert f"{written}\r\n" in write(text, {"due": datetime(2026, 3, 2, 12, 0, tzinfo=UTC)}, BERLIN)

    def test_a_start_is_written_like_the_time_a_todo_is_due(self) -> None:
        text = calendar("UID:a", "DUE;TZID=Europe/Berlin:20260302T090000", component="VTODO")
        written = write(text, {"dtstart": datetime(2026, 3, 2, 7, 0, tzinfo=UTC)}, BERLIN)
        assert "DTSTART;TZID=Europe/Berlin:20260302T080000\r\n" in written

    def test_a_meeting_becomes_all_day_and_back(self) -> None:
        all_day = write(FULL, {"dtstart": date(2026, 3, 2), "dtend": date(2026, 3, 4)}, BERLIN)
        assert "DTSTART;VALUE=DATE:20260302\r\nDTEND;VALUE=DATE:20260304\r\n" in all_day
        assert item(all_day).values["dtend"] == date(2026, 3, 4)

    def test_a_duration_stays_a_duration(self) -> None:
        text = calendar("UID:a", "DTSTART:20260302T090000Z", "DURATION:PT1H")
        longer = write(text, {"dtend": datetime(2026, 3, 2, 11, 0, tzinfo=UTC)}, BERLIN)
        assert "DURATION:PT2H\r\n" in longer
        assert "DTEND" not in longer

    def test_an_end_is_never_before_its_start(self) -> None:
        moved = item(write(FULL, {"dtstart": datetime(2026, 3, 5, 8, 0, tzinfo=UTC)}, BERLIN))
        assert moved.values["dtend"] == datetime(2026, 3, 5, 9, 0, tzinfo=UTC)

    def test_a_removed_property_leaves_no_trace(self) -> None:
        text = calendar("UID:a", "LOCATION:here", "COMMENT:x")
        assert write(text, {"location": None}, BERLIN) == calendar("UID:a", "COMMENT:x")

    def test_a_new_property_comes_before_the_alarms(self) -> None:
        assert "\r\nLOCATION:Room 1\r\nBEGIN:VALARM" in write(FULL, {"location": "Room 1"}, BERLIN)

    def test_line_ends_stay_what_they_are(self) -> None:
        text = FULL.replace("\r\n", "\n")
        assert "\r" not in write(text, {"summary": "x" * 200}, BERLIN)

    @given(summary=st.text(READABLE, max_size=300))
    @example(summary="\\N")
    def test_whatever_is_written_is_read_again(self, summary: str) -> None:
        written = write(FULL, {"summary": summary}, BERLIN)
        assert item(written).values.get("summary", "") == summary
        assert all(len(line.encode()) <= 75 for line in written.split("\r\n"))
        again = write(written, {"summary": "Besprechung, lang"}, BERLIN)
        parameter = ";LANGUAGE=de" if summary else ""  # an empty subject takes the line away
        rest = FULL.replace("SUMMARY;LANGUAGE=de:Besprechung\\, la\r\n ng\r\n", "")
        assert again.replace(f"SUMMARY{parameter}:Besprechung\\, lang\r\n", "") == rest

    @given(
        st.lists(st.sampled_from(["X-A:1", "X-B;P=q:2", "CATEGORIES:a,b", "COMMENT:c\\nd", "ATTACH:http://x.test/a"]))
    )
    def test_what_nobody_asked_for_survives(self, lines: list[str]) -> None:
        text = calendar("UID:a", *lines, "SUMMARY:old", *lines)
        assert write(text, {"summary": "new"}, BERLIN) == text.replace("SUMMARY:old", "SUMMARY:new")


class TestNewItems:
    STAMP = datetime(2026, 1, 1, tzinfo=UTC)

    def test_a_new_entry_is_read_as_it_was_meant(self) -> None:
        values = {
            "summary": "Visit",
            "dtstart": datetime(2026, 3, 2, 9, tzinfo=UTC),
            "dtend": datetime(2026, 3, 2, 10, tzinfo=UTC),
        }
        found = item(new(Kind.EVENT, "u1", values, self.STAMP))
        assert found.uid == "u1"
        assert {n: found.values[n] for n in values} == values

    def test_a_new_series_brings_its_zone(self) -> None:
        start = datetime(2026, 3, 2, 9, tzinfo=BERLIN)
        text = new(
            Kind.EVENT, "u1", {"dtstart": start, "dtend": start + timedelta(hours=1), "rrule": "FREQ=DAILY"}, self.STAMP
        )
        assert "TZID:Europe/Berlin" in text
        assert "DTSTART;TZID=Europe/Berlin:20260302T090000" in text
        assert item(text).values["dtstart"] == start

    def test_a_new_todo_with_a_day_it_is_due(self) -> None:
        text = new(Kind.TODO, "u1", {"summary": "Do", "due": date(2026, 3, 2), "priority": 1}, self.STAMP)
        found = item(text)
        assert (found.kind, found.values["due"]) == (Kind.TODO, date(2026, 3, 2))
