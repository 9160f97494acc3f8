"""What failed waits without costing anything, and is tried again when it should be (SYN-3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncengine import bootstrap
from syncengine.errors import ItemError, Problem, SyncEngineError, Unreachable
from syncengine.model.activity import Activity
from syncengine.model.commands import Command, Refused
from syncengine.model.directory import RecordType
from syncengine.model.issue import Issue, IssueState
from syncengine.model.proxy import Proxy, Share
from syncengine.model.report import Report
from syncengine.model.visibility import EditAnswer
from syncengine.services import activity_editing, attachments, records
from syncengine.services.sharing import set_shared
from syncengine.services.sync import Sync, retrying
from syncengine.services.sync.server_side import ServerSide
from tests.services.test_sync_collections import EVENT
from tests.services.test_sync_collections import Desk as Folders

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
SIDES = ("server", "pim:a", "pim:b")
BROKEN = EVENT.replace("DTSTART:20260302T090000Z", "DTSTART:soon")


class Counting:
    """A side that counts its calls, and where `instead` has one of them, does that."""

    def __init__(self, side: Any, instead: dict[str, Callable[..., Any]], calls: Counter[str]) -> None:
        self._side, self._instead, self._calls = side, instead, calls

    def __getattr__(self, name: str) -> Any:
        found = self._instead.get(name) or getattr(self._side, name)
        if callable(found):
            self._calls[name] += 1
        return found


class Desk(Folders):
    """Its clock stands still unless it is moved. `calls`: what the last run asked of the server and the calendars."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.now, self.calls, self.digest = NOW, Counter[str](), ""
        self.side: type[ServerSide] = ServerSide

    def run(self, **instead: Callable[..., Any]) -> Report:
        """A run a minute after the last one."""
        return self.begin(**instead)[0]

    def begin(self, **instead: Callable[..., Any]) -> tuple[Report, SyncEngineError | None]:
        self.now += timedelta(minutes=1)
        self.calls.clear()
        with ExitStack() as stack:
            work = bootstrap.open_work(self.config, stack)
            work.clock = lambda: self.now
            work.server = Counting(work.server, instead, self.calls)  # type: ignore[assignment]
            work.collections = [
                replace(
                    c,
                    pim=Counting(c.pim, {}, self.calls),  # type: ignore[arg-type]
                    mapping=replace(c.mapping, digest=c.mapping.digest + self.digest),
                )
                for c in work.collections
            ]
            run = Sync(work)
            run.server_side = self.side(work)
            try:
                run.run()
            except SyncEngineError as e:
                return work.report, e
            return work.report, None

    def state(self) -> Any:
        return bootstrap.open_state(self.config)

    def issues(self) -> list[Issue]:
        state = self.state()
        try:
            return list(state.issues())
        finally:
            state.close()

    def do(self, deed: Callable[[Any, list[Issue]], Any]) -> None:
        state = self.state()
        try:
            deed(state, state.issues())
        finally:
            state.close()

    def health(self) -> dict[str, Any]:
        state = self.state()
        try:
            return dict(state.fact("health"))
        finally:
            state.close()

    def set(self, key: str, **values: str) -> None:
        """Change fields of an activity on the server."""
        server = bootstrap.open_server(self.config)
        activity_editing.edit(server, attachments.find(server, key).id, values, bootstrap.new_id)
        server.close()

    def wait(self, **how: int) -> None:
        self.now += timedelta(**how)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def refuses(commands: Sequence[Command]) -> list[Refused]:
    return [Refused(c.id, "The server does not want it.", "Ask it nicely.") for c in commands]


def test_an_unreadable_item_costs_no_request_until_its_pause_is_over(desk: Desk) -> None:
    (desk.home / "a" / "bad.ics").write_text(BROKEN)
    fetched = []
    for wait in (0, 0, 0, 0, 5, 13, 1):
        desk.wait(minutes=wait)
        assert desk.run().failed == 1
        fetched.append(desk.calls["fetch"])
    assert fetched == [1, 1, 0, 0, 1, 0, 1]
    assert [i.tries for i in desk.issues()] == [4]
    assert desk.issues()[0].since == NOW + timedelta(minutes=1)


def test_what_the_server_refuses_is_not_decided_again_until_its_pause_is_over(desk: Desk) -> None:
    desk.put("a", "meet")
    told = []
    for wait in (0, 0, 0, 5, 0):
        desk.wait(minutes=wait)
        assert desk.run(apply=refuses).failed == 1
        told.append(desk.calls["apply"])
    assert told == [1, 1, 0, 1, 0]
    desk.wait(minutes=15)
    report = desk.run()
    assert (report.failed, report.writes["server", "created"]) == (0, 1)
    assert desk.issues() == []


def test_what_its_user_edits_is_tried_at_once(desk: Desk) -> None:
    desk.put("a", "meet")
    for _ in range(3):
        desk.run(apply=refuses)
    desk.put("a", "meet", "Another subject")
    report = desk.run()
    assert (report.failed, report.writes["server", "created"]) == (0, 1)


def test_what_changes_on_the_server_is_tried_at_once(desk: Desk) -> None:
    desk.put("a", "meet")
    desk.run()
    desk.put("a", "meet", "Another subject")
    for _ in range(3):
        desk.run(apply=refuses)
    assert desk.calls["apply"] == 0
    desk.set("meet", location="Room 2")
    report = desk.run()
    assert (report.failed, report.writes["server", "updated"]) == (0, 1)


def test_what_its_user_shares_is_tried_at_once(desk: Desk) -> None:
    desk.put("a", "meet")
    for _ in range(3):
        desk.run(apply=refuses)
    desk.do(lambda state, _: set_shared(state, "meet", shared=True))
    assert desk.run().writes["server", "created"] == 1


@pytest.mark.parametrize("state", [IssueState.OPEN, IssueState.IGNORED])
def test_another_mapping_gives_everything_one_more_try(desk: Desk, state: IssueState) -> None:
    desk.put("a", "meet")
    (desk.home / "a" / "bad.ics").write_text(BROKEN)
    for _ in range(3):
        desk.run(apply=refuses)
    if state is IssueState.IGNORED:
        desk.do(retrying.ignore)
    desk.run(apply=refuses)
    assert (desk.calls["apply"], desk.calls["fetch"]) == (0, 0)
    desk.digest = "another"
    desk.run(apply=refuses)
    assert (desk.calls["apply"], desk.calls["fetch"]) == (1, 1)
    assert [(i.state, i.tries) for i in desk.issues()] == [(state, 1), (state, 1)]
    desk.wait(days=30)
    desk.run(apply=refuses)
    assert desk.calls["apply"] == (1 if state is IssueState.OPEN else 0)


def test_parked_is_parked_until_somebody_retries(desk: Desk) -> None:
    desk.put("a", "meet")
    tries = 0
    for _ in range(30):
        desk.wait(days=1)
        assert desk.run(apply=refuses).failed == 1
        tries += desk.calls["apply"]
    assert tries == 14
    assert [i.state for i in desk.issues()] == [IssueState.PARKED]
    desk.do(retrying.retry)
    assert desk.run().writes["server", "created"] == 1


def test_what_is_ignored_is_not_told_of(desk: Desk) -> None:
    desk.put("a", "meet")
    assert len(desk.run(apply=refuses).problems) == 1
    desk.do(retrying.ignore)
    report = desk.run(apply=refuses)
    assert (report.failed, report.problems, desk.calls["apply"]) == (0, [], 0)
    desk.do(retrying.retry)
    assert desk.run(apply=refuses).failed == 1


def test_the_twin_of_an_item_made_from_an_activity_is_tried_as_soon_as_that_one_goes(desk: Desk) -> None:
    desk.put("a", "meet")
    desk.run()
    state = desk.state()
    (proxy,) = state.find("meet")
    with state.transaction():
        state.save([replace(proxy, id="twin", server=None, item=None)], dirty=True)
        state.put_issue(Issue("proxy", "twin", _problem(), NOW, NOW, None, seen=_looks(state), waits_for=proxy.id))
    assert state.dirty("", 9, None, NOW) == []
    with state.transaction():
        state.save([replace(proxy, item=None)], dirty=False)
    assert [p.id for p in state.dirty("", 9, None, NOW)] == ["twin"]
    state.close()


def _problem() -> Any:
    return Problem("It is a twin.", "twin", "Delete one.")


def _looks(state: Any) -> str:
    return str(state.looks("twin"))


def test_an_attachment_that_cannot_go_up_waits_for_its_pause(desk: Desk) -> None:
    line = "ATTACH;FILENAME=plan.txt;ENCODING=BASE64;VALUE=BINARY:SGVsbG8="
    text = EVENT.format(uid="meet", summary="Meeting").replace("END:VEVENT", f"{line}\r\nEND:VEVENT")
    (desk.home / "a" / "meet.ics").write_text(text)

    def broken(*_args: object) -> None:
        raise Unreachable("The connection broke.")

    tried = []
    for wait in (0, 0, 0, 5, 0, 15):
        desk.wait(minutes=wait)
        assert desk.run(upload=broken).failed == 1
        tried.append(desk.calls["upload"])
    assert tried == [1, 1, 0, 1, 0, 1]
    assert [i.tries for i in desk.issues()] == [4]
    desk.do(retrying.retry)
    assert (desk.run().failed, desk.calls["upload"], desk.issues()) == (0, 1, [])


def test_an_edit_of_a_record_that_is_refused_waits_for_its_pause(desk: Desk) -> None:
    desk.run()
    key = (RecordType.ACCOUNT, "acme")
    state = desk.state()
    records.set_fields(state, key, {"name": "Acme Ltd"})
    state.close()

    def refuse(_edit: object) -> Any:
        return EditAnswer(None, what="Not today.", fix="Wait.")

    told = []
    for wait in (0, 0, 0, 5):
        desk.wait(minutes=wait)
        assert desk.run(edit_record=refuse).failed == 1
        told.append(desk.calls["edit_record"])
    assert told == [1, 1, 0, 1]
    desk.do(lambda state, _: records.set_fields(state, key, {"name": "Acme Inc"}))
    assert (desk.run().failed, desk.calls["edit_record"]) == (0, 1)


class Picky(ServerSide):
    """Cannot make sense of first versions."""

    def _note(self, activity: Activity, proxy: Proxy | None) -> None:
        if activity.version == 1:
            raise ItemError("It makes no sense.", fix="Mend it.")
        super()._note(activity, proxy)


def test_an_activity_that_cannot_be_taken_in_is_asked_for_again(desk: Desk) -> None:
    desk.side = Picky
    server = bootstrap.open_server(desk.config)
    activity_editing.create(server, {"description": "Odd"}, bootstrap.new_id)
    asked = []
    for wait in (0, 0, 0, 5):
        desk.wait(minutes=wait)
        assert desk.run().failed == 1
        asked.append(desk.calls["fetch"])
    assert asked == [0, 1, 0, 1]
    assert [(i.scope, i.tries) for i in desk.issues()] == [("activity", 3)]
    (odd,) = server.activities()
    activity_editing.edit(server, odd.id, {"description": "Another"}, bootstrap.new_id)
    server.close()
    assert (desk.run().failed, desk.calls["fetch"], desk.issues()) == (0, 0, [])


# --- how the sides are -----------------------------------------------------------------------------------------------


def test_a_side_that_fails_keeps_its_last_success(desk: Desk) -> None:
    desk.run()
    first = desk.health()
    fine = ("2026-03-01T08:01:00Z", None)
    assert {side: (h["succeeded"], h["error"]) for side, h in first.items()} == dict.fromkeys(SIDES, fine)

    def down() -> None:
        raise Unreachable("Nobody answers.", fix="Wait.")

    report, error = desk.begin(greet=down)
    assert error is not None
    health = desk.health()
    assert (health["server"]["succeeded"], health["server"]["tried"]) == (
        "2026-03-01T08:01:00Z",
        "2026-03-01T08:02:00Z",
    )
    assert (health["server"]["error"]["what"], health["server"]["error"]["retry"]) == ("Nobody answers.", True)
    assert (health["pim:a"]["succeeded"], health["pim:a"]["error"]) == ("2026-03-01T08:02:00Z", None)
    assert report.error is not None
    assert report.error["retry"] is True
    desk.run()
    assert desk.health()["server"]["error"] is None


def test_a_calendar_that_fails_is_told_from_the_others(desk: Desk) -> None:
    desk.run()
    (desk.home / "b").rename(desk.home / "elsewhere")
    desk.begin()
    health = desk.health()
    assert [side for side, h in health.items() if h["error"]] == ["pim:b"]
    assert health["pim:b"]["error"]["retry"] is False


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_old_runs_and_history_go_but_not_what_somebody_may_need(desk: Desk) -> None:
    desk.put("a", "meet")
    desk.run()
    desk.put("a", "meet", "Another subject")
    desk.run()  # overwrites the subject on the server
    state = desk.state()
    (proxy,) = state.find("meet")
    with state.transaction():
        state.start_run("asks", desk.now)
        state.finish_run("asks", desk.now, "stopped", {})
        state.start_run("old", desk.now)
        state.finish_run("old", desk.now, "failed", {})
        state.keep_history("old", desk.now, [(replace(proxy, id="other"), "server", "because", {})])
        state.save([replace(proxy, share=Share.SHARED)], dirty=True)
    later = desk.now + timedelta(days=91)
    with state.transaction():
        state.start_run("new", later)
        state.finish_run("new", later, "done", {})
        state.prune(later - timedelta(days=90), 100)
    assert [r["id"] for r in state.runs(9)] == ["new", "asks"]
    assert len(state.history("meet")) == 1  # it is not settled yet
    with state.transaction():
        state.save([proxy], dirty=False)
        state.prune(later - timedelta(days=90), 100)
    assert state.history("meet") == []
    state.close()


def test_pruning_is_done_a_little_at_a_time(desk: Desk) -> None:
    state = desk.state()
    with state.transaction():
        for n in range(10):
            state.start_run(f"run-{n}", NOW + timedelta(minutes=n))
        state.prune(NOW + timedelta(days=1), 4)
    assert [r["id"] for r in state.runs(20)] == [f"run-{n}" for n in (9, 8, 7, 6, 5, 4)]
    state.close()


def test_a_run_prunes_once_a_day_or_when_it_wrote(desk: Desk) -> None:
    def ids() -> int:
        state = desk.state()
        try:
            return len(state.runs(99))
        finally:
            state.close()

    for _ in range(4):
        desk.run()
    desk.wait(days=91)
    desk.run()
    assert ids() == 1
    state = desk.state()
    with state.transaction():
        state.start_run("old", NOW)
        state.finish_run("old", NOW, "done", {})
    state.close()
    desk.run()
    assert ids() == 3  # it found nothing to do, and this day's pruning is done
    desk.put("a", "meet")
    desk.run()
    assert ids() == 3
