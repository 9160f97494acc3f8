"""Another server, another user or another data model: a first sync that pairs what is there on both sides."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncengine import bootstrap
from syncengine.core.sync import model_version
from syncengine.model.proxy import Share
from syncengine.services.conflicts import Wish
from syncengine.services.sync import anew
from tests.services.remap_desk import RemapDesk, written

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
SHOWN = {"display_in": "Calendar and Activities", "planned": AT, "planned_completion": AT.replace(hour=10)}


@pytest.fixture
def desk(tmp_path: Path) -> RemapDesk:
    desk = RemapDesk(tmp_path)
    desk.put("one", "One", "LOCATION:Room 1")
    desk.put("two", "Two")
    desk.add(description="Made", **SHOWN)
    desk.sync()
    desk.sync()
    assert len(desk.items()) == 3
    return desk


def _at_rest(desk: RemapDesk) -> None:
    report = desk.sync()
    assert (written(report), report.held, report.failed) == (0, 0, 0)


def _moved(desk: RemapDesk) -> None:
    """The person goes over to another server, and says that it is meant."""
    desk.use_server("second.db")
    report = desk.stopped()
    assert report.question is not None
    assert report.question.kind == "server"
    assert written(report) == 0
    desk.accept(report)


def test_nothing_happens_before_a_person_has_said_so(desk: RemapDesk) -> None:
    before = desk.items()
    desk.use_server("second.db")
    desk.stopped()
    desk.use_server("activities.db")
    _at_rest(desk)
    assert desk.items() == before


def test_what_is_there_already_is_linked_and_only_an_id_is_written(desk: RemapDesk) -> None:
    before = desk.items()
    desk.use_server("second.db")
    desk.add(description="One", location="Room 1", **SHOWN)
    desk.add(description="Made", **SHOWN)
    desk.accept(desk.stopped())
    report = desk.sync()
    assert report.linked == 2
    found = desk.activities()
    assert set(found) == {"One", "Two", "Made"}
    assert dict(report.writes) == {("server", "updated"): 2, ("server", "created"): 1}, report.actions
    assert found["One"]["integration_id"] == "one"
    assert desk.items() == before
    _at_rest(desk)


def test_where_a_field_differs_it_is_held(desk: RemapDesk) -> None:
    desk.use_server("second.db")
    desk.add(description="One", location="Room 7", **SHOWN)
    desk.accept(desk.stopped())
    report = desk.sync()
    assert [(h.field, h.here, h.there) for _, _, h in report.conflicts] == [("location", "Room 1", "Room 7")]
    assert "LOCATION:Room 1" in desk.text("one")


def test_what_the_product_made_of_an_activity_that_is_not_there_goes(desk: RemapDesk) -> None:
    _moved(desk)
    desk.sync()
    assert sorted(desk.items()) == ["one.ics", "two.ics"]
    assert set(desk.activities()) == {"One", "Two"}
    _at_rest(desk)
    desk.use_server("activities.db")
    assert set(desk.activities()) == {"One", "Two", "Made"}, "the former server is left alone"


@pytest.mark.parametrize("edited", ["before the question", "while it waits"])
def test_what_the_user_has_edited_since_stays_and_is_not_shared(desk: RemapDesk, edited: str) -> None:
    (made,) = (name for name in desk.items() if name.startswith("activity-"))
    path = desk.home / "calendar" / made
    if edited == "while it waits":
        desk.use_server("second.db")
        report = desk.stopped()
    path.write_bytes(path.read_bytes().replace(b"SUMMARY:Made", b"SUMMARY:Mine now"))
    if edited == "before the question":
        desk.use_server("second.db")
        report = desk.stopped()
    desk.accept(report)
    desk.sync()
    assert "SUMMARY:Mine now" in desk.items()[made]
    assert set(desk.activities()) == {"One", "Two"}
    _at_rest(desk)


def test_what_the_user_decided_stays(desk: RemapDesk) -> None:
    with desk.state() as state, state.transaction():
        state.set_share([p.id for p in state.find("two")], Share.UNSHARED)
        state.set_share([p.id for p in state.all("", 99) if p.item and p.item.made], Share.DROPPED)
    desk.sync()
    assert sorted(desk.items()) == ["one.ics", "two.ics"]
    desk.use_server("second.db")
    desk.add(description="Two", **SHOWN)
    desk.add(description="Made", **SHOWN)
    desk.accept(desk.stopped())
    desk.sync()
    assert sorted(desk.items()) == [*(n for n in desk.items() if n.startswith("activity-")), "one.ics", "two.ics"]
    assert not [text for text in desk.items().values() if "SUMMARY:Made" in text], "it is not made again"
    assert desk.activities()["Two"]["integration_id"] is None, "it is not linked again"


def test_a_deletion_is_not_passed_on_to_a_server_it_was_not_meant_for(desk: RemapDesk) -> None:
    (desk.home / "calendar" / "one.ics").unlink()
    desk.use_server("second.db")
    desk.add(description="One", location="Room 1", **SHOWN)
    desk.accept(desk.stopped())
    desk.sync()
    assert "One" in desk.activities()


class _Killed(BaseException):
    pass


def test_killed_midway_it_goes_on(desk: RemapDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anew, "BATCH", 1)
    _moved(desk)
    take, done = anew._take, []

    def dies(*args: object, **named: object) -> None:
        done.append(args)
        if len(done) == 3:
            raise _Killed
        take(*args, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(anew, "_take", dies)
        with pytest.raises(_Killed):
            desk.sync()
    with desk.state() as state:
        assert state.fact(anew.MARK)["after"]
    desk.sync()
    assert (sorted(desk.items()), set(desk.activities())) == (["one.ics", "two.ics"], {"One", "Two"})
    _at_rest(desk)


def test_a_new_data_model_starts_anew_and_writes_nothing(desk: RemapDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = desk.items()
    monkeypatch.setattr(model_version, "NEEDS_ANEW", 2)
    monkeypatch.setattr(anew, "MODEL", 2)
    report = desk.sync()
    assert (report.linked, report.writes.total(), report.held, report.failed) == (3, 0, 0, 0), report.actions
    assert (desk.items(), len(desk.activities())) == (before, 3)
    _at_rest(desk)


def test_a_copy_that_is_still_to_be_written_is_not_forgotten(desk: RemapDesk) -> None:
    desk.put("one", "One here", "LOCATION:Room 1")
    desk.change("One", description="One there")
    assert desk.sync().held == 1
    with ExitStack() as stack:
        bootstrap.open_conflicts(desk.config, stack, writing=True).resolve("one", Wish(keep_both=True))
    desk.use_server("second.db")
    desk.accept(desk.stopped())
    desk.sync()
    assert [text for text in desk.items().values() if "SUMMARY:Copy: One here" in text]
    _at_rest(desk)
