"""What every PIM connector promises, as stories told to each of them. A new connector adds one row to `SIDES` and
one fixture."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from connectors.caldav.pim import CaldavPim
from connectors.memory.pim import Collection, Fault, Faults, MemoryPim
from connectors.vdir.pim import VdirPim
from syncengine.errors import AlreadyThere, ChangedMeanwhile, NotThere, Vanished
from syncengine.model.pim import Fetched, Kind, Missing, Resource, Unreadable
from syncengine.ports import Pim
from tests.benchmarks.memory_dav import memory_dav
from tests.dav_servers import DavServer

STRANGE_UIDS = (
    "plain-1",
    "0123456789@example.com",
    "with space",
    "a/b/../c",
    "Grüße-☃-日本",
    "x" * 300,
    "x" * 299 + "y",
    "%41%2f",
    ".hidden",
    "..",
    "q?x=1&y#z",
    "{9F6D}+'\"<>",
)


@dataclass(frozen=True)
class Side:
    """A fresh, empty collection. `connect` gives another connection to it, `destroy` deletes the collection.
    `keeps_bytes`: it stores just what it is sent. `spoil` stores something unreadable and returns its href."""

    connect: Callable[[], Pim]
    destroy: Callable[[], None]
    has_tokens: bool
    keeps_bytes: bool
    spoil: Callable[[], str] | None = None


@pytest.fixture
def memory() -> Side:
    collection = Collection()

    unreadable: set[str] = set()
    faults = Faults(lambda call, href: frozenset({Fault.UNREADABLE} if href in unreadable else ()))

    def destroy() -> None:
        collection.gone = True

    def spoil() -> str:
        collection.put("bad.ics", "")
        unreadable.add("bad.ics")
        return "bad.ics"

    connect = partial(MemoryPim, collection, faults=faults)
    return Side(connect, destroy, has_tokens=True, keeps_bytes=True, spoil=spoil)


@pytest.fixture
def vdir(tmp_path: Path) -> Side:
    folder = tmp_path / "calendar"
    folder.mkdir()

    def spoil() -> str:
        (folder / "bad.ics").write_bytes(b"SUMMARY:Gr\xfc\xdfe")
        return "bad.ics"

    return Side(lambda: VdirPim(folder), lambda: shutil.rmtree(folder), has_tokens=False, keeps_bytes=True, spoil=spoil)


def _on(server: DavServer) -> Side:
    url = server.make_collection()
    return Side(
        lambda: CaldavPim(url, server.username, server.password),
        lambda: server.delete_collection(url),
        has_tokens=True,
        keeps_bytes=False,
    )


@pytest.fixture
def on_radicale(radicale: DavServer) -> Side:
    return _on(radicale)


@pytest.fixture
def on_xandikos(xandikos: DavServer) -> Side:
    return _on(xandikos)


@pytest.fixture
def on_cyrus(cyrus: DavServer) -> Side:
    return _on(cyrus)


@pytest.fixture
def on_memory_dav() -> Iterator[Side]:
    """The server of the benchmarks: what is measured with it is a server as others are."""
    with memory_dav() as server:
        server.make("work")
        connect = partial(CaldavPim, server.url("work"))
        yield Side(connect, server.calendars.clear, has_tokens=True, keeps_bytes=False)


SIDES = ("memory", "vdir", "on_memory_dav", "on_radicale", "on_xandikos", "on_cyrus")


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return request.getfixturevalue(request.param)


@pytest.fixture
def pim(side: Side) -> Iterator[Pim]:
    connection = side.connect()
    yield connection
    connection.close()


def event(uid: str, summary: str = "Meeting", *extra: str) -> str:
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Example//Test//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260301T080000Z",
        "DTSTART:20260302T080000Z",
        "DTEND:20260302T090000Z",
        f"SUMMARY:{summary}",
        *extra,
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(f"{line}\r\n" for line in lines)


def only(answers: Iterator[Fetched]) -> Fetched:
    (answer,) = answers
    return answer


def read(pim: Pim, href: str) -> Resource:
    answer = only(pim.fetch([href]))
    assert isinstance(answer, Resource), answer
    return answer


def add(pim: Pim, uid: str, summary: str = "Meeting", *extra: str) -> Resource:
    href = pim.href_for(uid)
    pim.create(href, event(uid, summary, *extra))
    return read(pim, href)


class TestPim:
    def test_a_new_item_is_listed_and_fetched(self, pim: Pim) -> None:
        item = add(pim, "one", "Board meeting")
        changes = pim.changes(None)
        assert (dict(changes.etags), changes.removed, changes.complete) == ({item.href: item.etag}, frozenset(), True)
        assert "SUMMARY:Board meeting\r\n" in item.text

    def test_an_empty_collection_is_an_empty_listing(self, pim: Pim) -> None:
        changes = pim.changes(None)
        assert (dict(changes.etags), changes.complete) == ({}, True)

    def test_the_answer_to_a_write_gives_the_etag_or_none(self, pim: Pim, side: Side) -> None:
        href = pim.href_for("one")
        created = pim.create(href, event("one"))
        stored = read(pim, href)
        updated = pim.update(href, event("one", "Later"), stored.etag)
        assert created.etag in {None, stored.etag}
        assert updated.etag in {None, read(pim, href).etag}
        assert created.exact == updated.exact == side.keeps_bytes

    def test_what_is_there_is_not_created_again(self, pim: Pim) -> None:
        item = add(pim, "one", "First")
        with pytest.raises(AlreadyThere):
            pim.create(item.href, event("one", "Second"))
        assert read(pim, item.href) == item

    def test_an_update_with_the_etag_it_was_planned_on_is_stored(self, pim: Pim) -> None:
        item = add(pim, "one", "Before")
        pim.update(item.href, event("one", "After"), item.etag)
        changed = read(pim, item.href)
        assert "SUMMARY:After\r\n" in changed.text
        assert changed.etag != item.etag

    def test_an_update_planned_on_an_older_revision_changes_nothing(self, pim: Pim, side: Side) -> None:
        item = add(pim, "one", "Before")
        side.connect().update(item.href, event("one", "Theirs, a little longer"), item.etag)
        theirs = read(pim, item.href)
        with pytest.raises(ChangedMeanwhile):
            pim.update(item.href, event("one", "Ours"), item.etag)
        assert read(pim, item.href) == theirs

    def test_a_delete_planned_on_an_older_revision_changes_nothing(self, pim: Pim, side: Side) -> None:
        item = add(pim, "one", "Before")
        side.connect().update(item.href, event("one", "Theirs, a little longer"), item.etag)
        theirs = read(pim, item.href)
        with pytest.raises(ChangedMeanwhile):
            pim.delete(item.href, item.etag)
        assert read(pim, item.href) == theirs

    def test_what_is_gone_is_neither_updated_nor_deleted(self, pim: Pim) -> None:
        item = add(pim, "one")
        pim.delete(item.href, item.etag)
        with pytest.raises(NotThere):
            pim.delete(item.href, item.etag)
        with pytest.raises(NotThere):
            pim.update(item.href, event("one"), item.etag)
        assert dict(pim.changes(None).etags) == {}

    def test_what_was_deleted_can_be_created_again(self, pim: Pim) -> None:
        item = add(pim, "one")
        token = pim.changes(None).token
        pim.delete(item.href, item.etag)
        again = add(pim, "one", "Again, and longer")
        changes = pim.changes(token)
        assert (dict(changes.etags), changes.removed) == ({item.href: again.etag}, frozenset())

    def test_a_missing_item_is_said_to_be_missing(self, pim: Pim) -> None:
        item = add(pim, "one")
        answers = set(pim.fetch([item.href, "nothing-here.ics"]))
        assert answers == {item, Missing("nothing-here.ics")}
        assert list(pim.fetch([])) == []

    def test_the_next_listing_tells_what_changed_since(self, pim: Pim, side: Side) -> None:
        kept, changed, deleted = (add(pim, uid) for uid in ("kept", "changed", "deleted"))
        before = pim.changes(None)
        pim.update(changed.href, event("changed", "Moved to the big room"), changed.etag)
        pim.delete(deleted.href, deleted.etag)
        created = add(pim, "created")
        after = side.connect().changes(before.token)
        news = {changed.href: read(pim, changed.href).etag, created.href: created.etag}
        if side.has_tokens:
            assert (dict(after.etags), after.removed, after.complete) == (news, {deleted.href}, False)
            again = pim.changes(after.token)
            assert (dict(again.etags), again.removed, again.complete) == ({}, frozenset(), False)
        else:
            assert (dict(after.etags), after.complete) == ({**news, kept.href: kept.etag}, True)

    def test_nothing_changed_means_nothing_listed_as_changed(self, pim: Pim) -> None:
        add(pim, "one")
        first = pim.changes(None)
        second = pim.changes(first.token)
        assert {href for href, etag in second.etags.items() if first.etags.get(href) != etag} == set()

    @pytest.mark.parametrize("token", ["http://example.com/no-such-token", "0", "ünknown <&>"])
    def test_an_unknown_token_gives_everything_and_a_new_token(self, pim: Pim, side: Side, token: str) -> None:
        item = add(pim, "one")
        changes = pim.changes(token)
        assert (dict(changes.etags), changes.removed, changes.complete) == ({item.href: item.etag}, frozenset(), True)
        assert (changes.token is not None) == side.has_tokens
        assert changes.token != token

    def test_a_collection_that_is_gone_is_never_empty(self, pim: Pim, side: Side) -> None:
        item = add(pim, "one")
        token = pim.changes(None).token
        side.destroy()
        for attempt in (
            lambda: pim.changes(None),
            lambda: pim.changes(token),
            lambda: list(pim.fetch([item.href])),
            lambda: pim.create("new.ics", event("new")),
            lambda: pim.update(item.href, item.text, item.etag),
            lambda: pim.delete(item.href, item.etag),
        ):
            with pytest.raises(Vanished):
                attempt()

    def test_six_hundred_items_are_fetched(self, pim: Pim, side: Side) -> None:
        uids = [f"item-{number}" for number in range(600 if side.keeps_bytes else 12)]
        for uid in uids:
            pim.create(pim.href_for(uid), event(uid, uid))
        hrefs = [pim.href_for(uid) for uid in uids]
        asked = hrefs * (600 // len(hrefs)) + [f"missing-{number}.ics" for number in range(600)]
        answers = list(pim.fetch(asked))
        found = {answer.href: answer.text for answer in answers if isinstance(answer, Resource)}
        assert found.keys() == set(hrefs)
        assert all(f"UID:{uid}\r\n" in found[pim.href_for(uid)] for uid in uids)
        assert sum(isinstance(answer, Missing) for answer in answers) == 600

    @pytest.mark.parametrize("uid", STRANGE_UIDS)
    def test_any_uid_can_be_stored(self, pim: Pim, uid: str) -> None:
        item = add(pim, uid)
        assert dict(pim.changes(None).etags) == {item.href: item.etag}
        pim.update(item.href, event(uid, "Again, and longer"), item.etag)
        pim.delete(item.href, read(pim, item.href).etag)
        assert only(pim.fetch([item.href])) == Missing(item.href)

    def test_names_are_made_from_the_uid_alone_and_differ(self, pim: Pim, side: Side) -> None:
        names = [pim.href_for(uid) for uid in STRANGE_UIDS]
        assert names == [side.connect().href_for(uid) for uid in STRANGE_UIDS]
        assert len(set(names)) == len(names)
        assert all(name.endswith(".ics") and len(name) <= 104 and "/" not in name for name in names)
        assert pim.href_for("0123456789@example.com") == "0123456789@example.com.ics"

    def test_what_the_product_does_not_know_is_kept(self, pim: Pim, side: Side) -> None:
        extra = (
            'X-COLOUR;X-PARAM="a;b":re\\,d',
            "CATEGORIES:Grün,Blau",
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "DESCRIPTION:Reminder",
            "TRIGGER:-PT15M",
            "END:VALARM",
        )
        item = add(pim, "one", "Meeting", *extra)
        if side.keeps_bytes:
            assert item.text == event("one", "Meeting", *extra)
        kept = item.text.replace("re,d", "re\\,d").replace("\r\nCATEGORIES:Blau", ",Blau")  # as Cyrus spells the same
        for part in ("X-COLOUR;X-PARAM=", "re\\,d", "CATEGORIES:Grün,Blau", "TRIGGER:-PT15M"):
            assert part in kept

    def test_an_unreadable_item_does_not_hide_the_others(self, pim: Pim, side: Side) -> None:
        if side.spoil is None:
            pytest.skip("this side takes no unreadable item, or hides it")
        item, bad = add(pim, "one"), side.spoil()
        assert pim.changes(None).etags.keys() == {item.href, bad}
        answers = {answer.href: answer for answer in pim.fetch([bad, item.href])}
        assert answers[item.href] == item
        assert isinstance(answers[bad], Unreadable)

    def test_both_kinds_are_taken(self, pim: Pim) -> None:
        assert pim.kinds == {Kind.EVENT, Kind.TODO}
