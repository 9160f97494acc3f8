"""Attachments in a run when something goes wrong with one of them: the rest goes on, and nothing is lost (ATT-1)."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from syncengine import bootstrap
from syncengine.core.contents import attachments_of, no_content
from syncengine.errors import SideError, Unreachable
from syncengine.model.report import Report
from syncengine.ports import ActivityServer
from syncengine.services import activity_editing, attachments
from syncengine.services.sync import Sync
from tests.services.test_sync_collections import EVENT, Desk

PLAN = b"First we meet."


class Counting:
    """A server that counts its calls, and where `instead` has one of them, does that."""

    def __init__(self, server: ActivityServer, instead: dict[str, Callable[..., Any]]) -> None:
        self._server, self._instead = server, instead
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return self._instead.get(name) or getattr(self._server, name)


class Attached(Desk):
    """A person whose entry `meet` has an attachment."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        line = f"ATTACH;FILENAME=plan.txt;ENCODING=BASE64;VALUE=BINARY:{base64.b64encode(PLAN).decode()}"
        text = EVENT.format(uid="meet", summary="Meeting").replace("END:VEVENT", f"{line}\r\nEND:VEVENT")
        (home / "a" / "meet.ics").write_bytes(text.encode())

    def run(self, **instead: Callable[..., Any]) -> tuple[Report, Counter[str]]:
        with ExitStack() as stack:
            work = bootstrap.open_work(self.config, stack)
            work.server = counting = Counting(work.server, instead)  # type: ignore[assignment]
            return Sync(work).run(), counting.calls

    def attach(self, name: str, content: bytes) -> None:
        path = self.home / name
        path.write_bytes(content)
        with self.server() as server:
            attachments.attach(server, "meet", path, bootstrap.new_id)

    def set(self, **values: str) -> None:
        with self.server() as server:
            activity_editing.edit(server, attachments.find(server, "meet").id, values, bootstrap.new_id)

    @contextmanager
    def server(self) -> Iterator[ActivityServer]:
        server = bootstrap.open_server(self.config)
        yield server
        server.close()

    @property
    def names(self) -> list[str]:
        return [a.name for a in attachments_of(self.activities()["meet"].get("attachments"))]

    @property
    def text(self) -> str:
        return (self.home / "a" / "meet.ics").read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Attached:
    return Attached(tmp_path)


def broken(*_args: object) -> None:
    raise Unreachable("The connection broke.", fix="try again")


def test_contents_travel_once(desk: Attached) -> None:
    _, calls = desk.run()
    assert (calls["upload"], calls["download"]) == (1, 0)
    desk.attach("map.txt", b"Turn left.")
    _, calls = desk.run()
    assert (calls["upload"], calls["download"]) == (0, 1)
    desk.set(location="Room 2")
    report, calls = desk.run()
    assert report.writes["pim", "updated"] == 1
    assert calls["missing"] == calls["upload"] == calls["download"] == 0


def test_an_upload_that_breaks_keeps_only_its_attachment_and_is_tried_again(desk: Attached) -> None:
    desk.put("b", "other")
    report, _ = desk.run(upload=broken)
    assert report.writes["server", "created"] == 2
    assert [("plan.txt" in p.what, p.fix) for p in report.problems] == [(True, "try again")]
    assert desk.names == []
    report, _ = desk.run()
    assert (report.writes["server", "updated"], report.problems, desk.names) == (1, [], ["plan.txt"])
    report, _ = desk.run()
    assert report.quiet


def test_where_the_server_is_gone_altogether_the_run_ends_and_the_next_one_does_all(desk: Attached) -> None:
    with desk.server() as server:
        answers = iter([server.greet()])
    with pytest.raises(SideError):
        desk.run(upload=broken, greet=lambda: next(answers, None) or broken())
    assert desk.activities() == {}
    desk.run()
    assert desk.names == ["plan.txt"]


def test_an_attachment_taken_out_before_it_could_go_up_is_no_problem_any_more(desk: Attached) -> None:
    desk.run(upload=broken)
    desk.put("a", "meet")
    report, calls = desk.run()
    assert (report.problems, calls["upload"], desk.names) == ([], 0, [])


def test_an_entry_that_is_deleted_takes_its_problem_along(desk: Attached) -> None:
    desk.put("a", "other")
    desk.run(upload=broken)
    (desk.home / "a" / "meet.ics").unlink()
    report, _ = desk.run()
    assert report.problems == []


@contextmanager
def _lost(*_args: str) -> Iterator[Iterator[bytes]]:
    raise no_content()
    yield iter(())


@contextmanager
def _another(*_args: str) -> Iterator[Iterator[bytes]]:
    yield iter([b"something else"])


@contextmanager
def _endless(*_args: str) -> Iterator[Iterator[bytes]]:
    yield iter(lambda: b"x" * 100_000, b"")


@pytest.mark.parametrize("download", [_lost, _another, _endless])
def test_a_content_that_does_not_come_is_named_and_everything_else_shows(
    desk: Attached, download: Callable[..., Any]
) -> None:
    desk.run()
    desk.attach("map.txt", b"Turn left.")
    desk.set(location="Room 2")
    report, _ = desk.run(download=download)
    assert "map.txt" in report.notices[0].what
    assert "LOCATION:Room 2" in desk.text
    assert "map.txt" not in desk.text
    assert desk.names == ["map.txt", "plan.txt"]
    report, _ = desk.run()
    assert report.quiet


def test_a_download_that_breaks_lets_its_entry_wait_for_the_next_run(desk: Attached) -> None:
    desk.put("b", "other")
    desk.run()
    desk.attach("map.txt", b"Turn left.")
    desk.edit("other", location="Room 2")
    report, _ = desk.run(download=broken)
    assert ["map.txt" in p.what for p in report.problems] == [True]
    assert "LOCATION:Room 2" in (desk.home / "b" / "other.ics").read_text()
    report, _ = desk.run()
    assert (report.writes["pim", "updated"], report.problems) == (1, [])
    assert "map.txt" in desk.text


def test_a_problem_of_a_calendar_that_is_not_asked_stays(desk: Attached) -> None:
    desk.run(upload=broken)
    report = desk.sync("b")
    assert ["plan.txt" in p.what for p in report.problems] == [True]
    assert desk.sync().problems == []
    assert desk.names == ["plan.txt"]
