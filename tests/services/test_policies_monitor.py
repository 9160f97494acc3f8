"""The monitor on a real database: pages, groups, what it keeps, and changes carried out (POL-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from syncengine.bootstrap.outbound import changes_sender
from syncengine.bootstrap.policies import parse_policies
from syncengine.core.outbound.dates import AS_STORED
from syncengine.errors import StorageError
from syncengine.model.activity import Activity
from syncengine.model.directory import Account, Directory, RecordType
from syncengine.model.outbound import Change, Request, Verdict
from syncengine.model.policies import Did
from syncengine.services.outbound import Queue
from syncengine.services.outbound.inline import Inline
from syncengine.services.policies.monitor import Monitor
from syncengine.services.policies.telling import listed
from syncengine.store.activities import Activities as Store
from syncengine.store.outbound import Outbound
from syncengine.store.policies import Policies
from tests.activity_servers import GENERIC, filled_store

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
MAIL = "<send-email><to>a@example.com</to><subject>{{ record.description }}</subject><text>-</text></send-email>"


class Desk:
    def __init__(self, url: str) -> None:
        filled_store(url).close()
        self.now = BEGIN
        self.store, self.policies = Store(url, lambda: self.now), Policies(url, page=2)
        self.queue = Queue(Outbound(url), Inline(), lambda: self.now)
        self.page = 1000
        self.xml = ""

    def worded(self, *policies: str) -> None:
        self.xml = f"<policies>{''.join(policies)}</policies>"

    def monitor(self) -> Monitor:
        worded = parse_policies(self.xml.encode(), "test")
        return Monitor(self.policies, self.queue, worded, lambda: self.now, AS_STORED, self.page)

    def run(self, group: str = "default", *, batch: bool = False) -> list[str]:
        return [r.content.subject for r in self.monitor().run(group, batch=batch).asked]  # type: ignore[union-attr]

    def add(self, *names: str, **values: str) -> None:
        with self.store.transaction(write=True):
            for name in names:
                self.store.add(Activity(name, 1, {"owner": "e-ann", "description": name, **values}), self.now)

    def close(self) -> None:
        self.store.close()
        self.queue.store.close()
        self.policies.close()


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    found = Desk(database_url)
    yield found
    found.close()


def policy(
    name: str = "p", group: str = "default", conditions: str = '<condition comparison="is added"/>', **more: str
) -> str:
    said = "".join(f' {n}="{v}"' for n, v in more.items())
    return f'<policy name="{name}" group="{group}" record="activity"{said}>{conditions}{MAIL}</policy>'


def test_a_long_log_is_read_in_pages_and_time_does_not_run_ahead_of_them(desk: Desk) -> None:
    """Within a page nothing later than its last change is known; what a later page breaks must not be acted on."""
    desk.page = 2
    open_ = '<condition field="status" comparison="eq" value="Open"/>'
    desk.worded(policy("kept", conditions=open_, duration="1 h"), policy("new"))
    desk.run()
    desk.add("a", "b", "c", status="Open")
    desk.now += timedelta(minutes=30)
    for n in range(5):
        desk.add(f"d{n}")
    with desk.store.transaction(write=True):
        found = desk.store.get("b")
        assert found
        desk.store.change(replace(found[0], version=2, values={"owner": "e-ann", "description": "b"}), desk.now)
    desk.now += timedelta(hours=3)
    assert desk.run() == ["a", "b", "c", *(f"d{n}" for n in range(5)), "a", "c"]
    assert desk.run() == []


def test_groups_read_the_log_each_for_itself(desk: Desk) -> None:
    desk.worded(policy("p", "one"), policy("q", "two"))
    assert (desk.run("one"), desk.run("two")) == ([], [])
    desk.add("a")
    assert desk.run("one") == ["a"]
    desk.add("b")
    assert desk.run("two") == ["a", "b"]
    assert desk.run("one") == ["b"]


def test_a_look_does_not_read_what_waits(desk: Desk) -> None:
    """It is taken every few seconds by every worker, however many records wait."""
    open_ = '<condition field="status" comparison="eq" value="Open"/>'
    desk.worded(policy(conditions=open_, duration="1 h"))
    desk.run()
    desk.add("a", status="Open")
    desk.run()
    said: list[str] = []

    def listen(*event: object) -> None:
        said.append(str(event[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        assert desk.monitor().due() == []
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)
    assert [one for one in said if "pol_waiting" in one or "pol_acted" in one] == []
    assert [one for one in said if "pol_policy" in one]


def test_what_has_nothing_to_do_is_seen_without_a_lock(desk: Desk) -> None:
    open_ = '<condition field="status" comparison="eq" value="Open"/>'
    desk.worded(policy(conditions=open_, duration="1 h"))
    assert desk.monitor().due() == ["default"]
    desk.run()
    assert desk.monitor().due() == []
    desk.add("a", status="Open")
    assert desk.monitor().due() == ["default"]
    desk.run()
    assert desk.monitor().due() == []
    desk.now += timedelta(minutes=59)
    assert desk.monitor().due() == []
    desk.now += timedelta(minutes=1)
    assert desk.monitor().due() == ["default"]
    assert desk.run() == ["a"]
    assert desk.monitor().due() == []
    desk.worded(policy(conditions=open_, duration="2 h"))
    assert desk.monitor().due() == ["default"]


def test_a_policy_that_moves_to_another_group_begins_anew_there(desk: Desk) -> None:
    open_ = '<condition field="status" comparison="eq" value="Open"/>'
    desk.worded(policy("p", "one", open_, duration="1 h"), policy("q", "two"))
    desk.monitor().run("one")
    desk.monitor().run("two")
    desk.add("a", status="Open")
    desk.run("one")
    desk.worded(policy("p", "two", open_, duration="1 h"), policy("r", "one"))
    desk.run("two")
    desk.run("one")
    desk.now += timedelta(hours=2)
    assert (desk.run("one"), desk.run("two")) == ([], ["a"]), "the change is read by the group for the first time"


def test_groups_that_are_gone_end_and_old_changes_go(desk: Desk) -> None:
    desk.worded(policy("p", "one"), policy("q", "two"))
    desk.run("one")
    desk.run("two")
    desk.add("a")
    desk.run("one")
    with desk.policies.transaction(write=False) as here:
        assert [line.what for line in here.lines(["p"], 10)] == [Did.ACTED, Did.BEGUN]
    desk.now += timedelta(days=31)
    desk.monitor().tidy()
    with desk.policies.transaction(write=False) as here:
        assert here.newest(), "the second group has not read it"
        assert here.lines(["p"], 10) == []
    desk.worded(policy("p", "one"))
    desk.monitor().tidy()
    with desk.policies.transaction(write=False) as here:
        assert (list(here.groups()), here.newest()) == (["one"], 0)


def test_a_policy_that_is_gone_from_a_group_ends_once(desk: Desk) -> None:
    desk.worded(policy("p"), policy("q"))
    desk.run()
    desk.worded(policy("q"))
    desk.run()
    assert desk.monitor().due() == []
    desk.add("a")
    assert desk.run() == ["a"]
    with desk.policies.transaction(write=False) as here:
        assert [line.what for line in here.lines(["p"], 10)] == [Did.ENDED, Did.BEGUN]


def test_a_batch_looks_once_after_the_whole_log_is_read(desk: Desk) -> None:
    desk.page = 1
    open_ = '<condition field="status" comparison="eq" value="Open"/>'
    desk.worded(policy(conditions=open_, batch="true", interval="0 s"))
    desk.run()
    for name in "abc":
        desk.add(name, status="Open")
        desk.now += timedelta(minutes=1)
    assert sorted(desk.run(batch=True)) == ["a", "b", "c"]


def test_a_batch_reads_every_activity_page_by_page(desk: Desk) -> None:
    desk.add("a", "b", "c", "d", "e", status="Open")
    with desk.store.transaction(write=True):
        desk.store.remove("c", desk.now)
    desk.worded(
        policy(conditions='<condition field="status" comparison="eq" value="Open"/>', batch="true", interval="0 s")
    )
    desk.run()
    desk.add("f", status="Open")
    assert desk.run() == []
    assert sorted(desk.run(batch=True)) == ["a", "b", "d", "e", "f"]
    desk.now += timedelta(seconds=1)
    assert sorted(desk.run(batch=True)) == ["a", "b", "d", "e", "f"], "no interval"


def test_a_batch_holds_a_duration_against_earlier_batches(desk: Desk) -> None:
    desk.worded(
        policy(conditions='<condition field="status" comparison="eq" value="Open"/>', batch="true", duration="1 h")
    )
    desk.add("a", status="Open")
    assert desk.run(batch=True) == []
    desk.now += timedelta(minutes=59)
    assert desk.run(batch=True) == []
    desk.now += timedelta(minutes=1)
    assert desk.run(batch=True) == ["a"]


def test_a_restored_state_asks_for_nothing_twice(desk: Desk) -> None:
    """The ids follow from the occasion: even a cursor set back inserts nothing."""
    desk.worded(policy())
    desk.run()
    with desk.policies.transaction(write=True) as here:
        before = here.enter("default", desk.now)
    desk.add("a")
    assert desk.run() == ["a"]
    with desk.policies.transaction(write=True) as here:
        here.move(before)
        kept = here.kept("default")["p"]
        here.keep("p", "default", kept, replace(kept, state=replace(kept.state, acted={})))
    assert desk.run() == []


def test_the_list_tells_what_each_policy_does(desk: Desk) -> None:
    desk.worded(policy("p"), policy("q", conditions='<condition field="status" comparison="not null"/>', quantity="9"))
    desk.run()
    desk.add("a", status="Open")
    desk.now += timedelta(minutes=5)
    desk.run()
    p, q = listed(desk.policies, parse_policies(desk.xml.encode(), "test"))
    assert (p["acted"], p["waiting"], p["last_acted"]) == (1, 0, "2026-03-01T08:00:00Z")
    assert (q["acted"], q["waiting"], q["last_acted"]) == (0, 1, None)
    assert q["monitored"] == "2026-03-01T08:05:00Z"
    with desk.policies.transaction(write=False) as here:
        assert [line.what for line in here.lines(["p"], 10)] == [Did.ACTED, Did.BEGUN]


# --- changes that were asked for -------------------------------------------------------------------------------------


def test_a_change_asked_for_is_made_once_and_signed(desk: Desk) -> None:
    desk.worded(policy())
    desk.run()
    sender = changes_sender(desk.store, GENERIC, lambda: desk.now)
    new = Change("activity", "", {"owner": "e-ann", "description": "Call"}, "e-ann")
    for _ in range(2):
        request = Request("r1", new, "policy p")
        assert sender.send(request, {}, lambda: None).verdict is Verdict.SENT
    with desk.policies.transaction(write=False) as here:
        made = here.changes(0, 100)[0][-1].record
    done = Change("activity", made, {"status": "Done"}, "e-ann")
    for _ in range(2):
        assert sender.send(Request("r2", done, "policy p > q"), {}, lambda: None).verdict is Verdict.SENT
    account = Change("account", "a-1", {"name": "Renamed"})
    assert sender.send(Request("r3", account, "policy p"), {}, lambda: None).verdict is Verdict.SENT
    with desk.policies.transaction(write=False) as here:
        changes, _ = here.changes(0, 100)
    assert [(c.type, c.record, c.by) for c in changes] == [
        (RecordType.ACTIVITY, made, "policy p"),
        (RecordType.ACTIVITY, made, "policy p > q"),
        (RecordType.ACCOUNT, "a-1", "policy p"),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("activity", "gone", {"status": "Done"}, "e-ann"), "no activity 'gone' any more"),
        (Change("account", "gone", {"name": "x"}), "no account 'gone' any more"),
        (Change("activity", "", {"owner": "e-ann", "account": "gone"}, "e-ann"), "gone"),
        (Change("account", "a-1", {"nam": "x"}), 'did you mean "name"?'),
    ],
)
def test_a_change_that_cannot_be_made_fails_for_good_and_says_why(desk: Desk, change: Change, words: str) -> None:
    with desk.store.transaction(write=True):
        desk.store.put_directory(Directory(accounts=(Account("a-1", "A"),)))
    outcome = changes_sender(desk.store, GENERIC, lambda: desk.now).send(
        Request("r", change, "policy p"), {}, lambda: None
    )
    assert outcome.verdict is Verdict.NEVER
    assert words in outcome.because


def test_a_group_is_one_monitors_at_a_time(postgresql_url: str) -> None:
    """Another one waits for the whole pass; here it gives up after a moment. (SQLite has one writer anyway.)"""
    filled_store(postgresql_url).close()
    impatient = "&" if "?" in postgresql_url else "?"
    first, second = Policies(postgresql_url), Policies(f"{postgresql_url}{impatient}options=-c%20lock_timeout%3D100")
    with first.transaction(write=True) as here:
        here.enter("service", BEGIN)
    with first.transaction(write=True) as here:
        here.enter("service", BEGIN)
        with second.transaction(write=True) as there:
            there.enter("sales", BEGIN)
        with pytest.raises(StorageError, match="busy"), second.transaction(write=True) as there:
            there.enter("service", BEGIN)
    first.close()
    second.close()
