"""KEY-1, KEY-8: one calendar entry has one key, however Outlook, Exchange and Notes spell its UID."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.ical.uid import FAMILIES, NO_UID, Uid, normal, normalise

HEADER = "040000008200E00074C5B7101A82E008"
NOTES_ID = "1A2B3C4D5E6F7081C1257B100031A2C4"


def outlook_id(data: bytes, day: str = "00000000", size: int | None = None) -> str:
    """Header, original date, time of creation, zeros, size, data (MS-OXOCAL 2.2.1.27)."""
    counted = (len(data) if size is None else size).to_bytes(4, "little").hex()
    return (HEADER + day + "10A5C3D27E11CF01" + "00" * 8 + counted + data.hex()).upper()


def wrapped(uid: str, day: str = "00000000") -> str:
    return outlook_id(b"vCal-Uid\x01\0\0\0" + uid.encode() + b"\0", day)


OWN = outlook_id(bytes(range(16)))


def test_an_invitation_to_one_occurrence_is_about_the_same_entry() -> None:
    one = normalise(outlook_id(bytes(range(16)), "07EA0302").lower())
    assert (one.key, one.family, one.instance) == (OWN, "outlook", date(2026, 3, 2))
    assert normalise(OWN) == Uid(OWN, "outlook", OWN, None)
    assert normalise(outlook_id(bytes(range(16)), "07EA0D2A")).instance is None


@pytest.mark.parametrize(
    ("uid", "key", "family"),
    [
        (wrapped("Ab77@calendar.example"), "Ab77@calendar.example", "outlook-wrapped"),
        (wrapped("Ab77@calendar.example", "07EA0302").lower(), "Ab77@calendar.example", "outlook-wrapped"),
        (wrapped("Ab77@calendar.example") + "0000", "Ab77@calendar.example", "outlook-wrapped"),
        (wrapped("grüße@calendar.example"), "grüße@calendar.example", "outlook-wrapped"),
        (wrapped(OWN), OWN, "outlook"),
        (wrapped(f"{NOTES_ID}-Lotus_Notes_Generated"), NOTES_ID, "domino"),
        (wrapped(wrapped("twice")), "twice", "outlook-wrapped"),
        (f"{NOTES_ID}-Lotus_Notes_Generated", NOTES_ID, "domino"),
        (f"{NOTES_ID.lower()}-lotus_auto_generated", NOTES_ID, "domino"),
        (NOTES_ID, NOTES_ID, "domino"),
        (NOTES_ID.lower(), NOTES_ID.lower(), "other"),
        ("Ab77@calendar.example-Lotus_Auto_Generated", "Ab77@calendar.example", "domino"),
        (f"{OWN.lower()}-Lotus_Notes_Generated", OWN, "outlook"),
        (f"{wrapped('Ab77@calendar.example')}-Lotus_Notes_Generated", "Ab77@calendar.example", "outlook-wrapped"),
        (f"{NOTES_ID}-Lotus_Auto_Generated/20260302T090000Z", f"{NOTES_ID}/20260302T090000Z", "domino"),
        ("Ab77/20260302T090000Z", "Ab77/20260302T090000Z", "other"),
        ("/20260302T090000Z", "/20260302T090000Z", "other"),
        ("-Lotus_Notes_Generated", "-Lotus_Notes_Generated", "other"),
        ("  Ab77@Calendar.Example \r\n", "Ab77@Calendar.Example", "other"),
        ("Ab77@calen\r\n dar.example", "Ab77@calendar.example", "other"),
        ("\ufeffAb\0\udcff\ud800", "Abÿ\ufffd", "other"),
        (OWN[:80], OWN[:80], "other"),
        (OWN.lower() + "0", OWN.lower() + "0", "other"),
        ("ﬀ" * 16 + "-Lotus_Notes_Generated", "ﬀ" * 16, "domino"),
    ],
)
def test_a_uid_that_calendars_hold(uid: str, key: str, family: str) -> None:
    found = normalise(uid)
    assert (found.key, found.family) == (key, family)
    assert normal(uid) == key
    assert normal(key) == key


@pytest.mark.parametrize(
    "uid",
    [
        outlook_id(b"vCal-Uid\x01\0\0\0\xff\xfe\0"),
        outlook_id(b"vCal-Uid\x01\0\0\0Ab77\0", size=99),
        outlook_id(b"vCal-Uid\x01\0\0\0Ab77\0", size=14),
        outlook_id(b"vCal-Uid\x01\0\0\0  \0"),
        outlook_id(b"vCal-Uid\x01\0\0\0"),
        outlook_id(b"vCal-Uid\x01\0\0\0Ab\0" + b"77\0"),
        outlook_id(b"vCal-Uid\x02\0\0\0Ab77\0"),
    ],
    ids=["no UTF-8", "too long", "too short", "blank", "empty", "two texts", "another version"],
)
def test_a_wrapping_that_cannot_be_trusted_stays_on(uid: str) -> None:
    assert normalise(uid.lower()) == Uid(uid, "outlook", uid.lower())


def test_the_date_of_an_occurrence_is_told_of_wrapped_ids_too() -> None:
    assert normalise(wrapped("Ab77", "07EA0302")).instance == date(2026, 3, 2)
    assert normalise(wrapped(outlook_id(b"77", "07EA0302"))).instance == date(2026, 3, 2)


@pytest.mark.parametrize("blank", ["", " ", "\r\n\t", "\0", "\ufeff "])
def test_a_blank_uid_is_none(blank: str) -> None:
    assert normalise(blank) == NO_UID
    assert normal(blank) == ""


PIECES = st.sampled_from(
    [HEADER, "00", "07EA0302", "7643616C2D55696401000000", "-Lotus_Notes_Generated", "/", "\udcff"]
)
STARTS = st.sampled_from(["/20260302T090000Z", "-Lotus_Auto_Generated"])


@given(st.lists(PIECES | STARTS | st.text(max_size=4), max_size=8).map("".join) | st.binary().map(outlook_id))
def test_no_uid_raises(uid: str) -> None:
    found = normalise(uid)
    assert found.family in FAMILIES
    (found.key or "").encode("utf-8")
    assert (found.key is None) == (found.uid is None)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1).filter(
    lambda text: "\ufeff" not in text and normalise(text).family == "other" and "/" not in text
)


@given(TEXTS)
def test_whatever_wraps_a_uid_comes_off(uid: str) -> None:
    assert normal(uid) == uid
    assert normal(wrapped(uid)) == normal(wrapped(uid, "07EA0302")) == uid
    assert normal(f"{uid}-Lotus_Notes_Generated") == uid
    assert normal(wrapped(f"{uid}-Lotus_Notes_Generated")) == uid


@given(st.binary(min_size=1).filter(lambda data: not data.startswith(b"vCal-Uid")), st.binary(min_size=4, max_size=4))
def test_the_date_and_the_case_never_count(data: bytes, day: bytes) -> None:
    dated = outlook_id(data, day.hex())
    assert normal(dated) == normal(dated.lower()) == outlook_id(data)


def test_a_megabyte_of_wrappings_is_left_alone() -> None:
    endless = "x" + "-Lotus_Notes_Generated" * 50_000
    assert len(normal(endless)) > 1_000_000
