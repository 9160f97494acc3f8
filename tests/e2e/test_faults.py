"""Whatever goes wrong between the product and a real Radicale, once or all through a run: the run says so in plain
words, and the runs after it end where they would have ended without (SYN-2, SYN-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import event, todo
from tests.e2e.shop import End, Ended, Shop, difference
from tests.fault_proxy import FAULTS, READS, WRITES, Answer, Ask, Cut, Fault, FaultProxy, Plan, always, both, once

pytestmark = pytest.mark.xdist_group("faults")

IMPATIENT = 1.0
"""Seconds a client waits that meets a server which has fallen silent."""


# --- the story -------------------------------------------------------------------------------------------------------


def _begin(shop: Shop) -> None:
    """In step since long; then all kinds of things happen on both sides."""
    at = {"planned": "2026-04-01T08:00:00Z", "planned_completion": "2026-04-01T09:00:00Z"}
    for name in ("changed here", "changed there", "changed both", "deleted here", "my own deleted there"):
        shop.put(name.replace(" ", "-"), event(f"uid {name}", name, "20260302T090000Z", "20260302T100000Z", "X-KEEP:1"))
    shop.put("task", todo("uid task", "task", "PRIORITY:5", "STATUS:NEEDS-ACTION"))
    shop.add(description="deleted there", display_in="Calendar and Activities", **at)
    shop.add(description="changed there, too", display_in="To Do and Activities")
    shop.good()
    assert not shop.good().writes

    ids = shop.ids()
    shop.edit("changed-here", "SUMMARY:changed here", "SUMMARY:changed here once")
    shop.edit("changed-both", "X-KEEP:1", "LOCATION:room 1")
    shop.edit("task", "PRIORITY:5", "PRIORITY:1")
    shop.remove("deleted-here")
    shop.put("new-here", event("uid new here", "new here", "20260303T090000Z", "20260303T100000Z"))
    shop.put("met", event("uid met", "on both sides", "20260304T090000Z", "20260304T093000Z"))
    shop.change(ids["changed there"], description="changed there once")
    shop.change(ids["changed there, too"], priority="1-ASAP")
    shop.change(ids["changed both"], comments="said on the server")
    shop.change(ids["task"], status="In Progress")
    shop.delete(ids["deleted there"])
    shop.delete(ids["my own deleted there"])
    shop.add(description="new there", display_in="Calendar and Activities", **at)
    shop.add(description="new task there", display_in="To Do and Activities")
    met = {"planned": "2026-03-04T09:00:00Z", "planned_completion": "2026-03-04T09:30:00Z"}
    shop.add(description="on both sides", display_in="Calendar and Activities", **met)


@dataclass(frozen=True)
class Story:
    begun: Shop
    expected: End
    folder: Path
    proxy: FaultProxy
    numbers: Iterator[int]

    def anew(self) -> Shop:
        return self.begun.copy(self.folder / str(next(self.numbers)))


@pytest.fixture(scope="module")
def story(radicale: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("faults")
    begun = Shop.open(folder / "begun", radicale)
    _begin(begun)
    undisturbed = begun.copy(folder / "undisturbed")
    expected = undisturbed.still()
    assert (len(expected.items), len(expected.activities)) == (10, 9)
    proxy = FaultProxy(begun.url)
    yield Story(begun, expected, folder, proxy, count())
    proxy.close()


# --- what goes wrong -------------------------------------------------------------------------------------------------

NOT_IN_MULTIGET = Fault("gives nothing", instead=Answer(207, b'<multistatus xmlns="DAV:"/>', {"Content-Type": "text/xml"}))
NO_SYNC = Fault("no sync", instead=Answer(403, b'<error xmlns="DAV:"><valid-sync-token/></error>', {"Content-Type": "text/xml"}))
LEADS_TO: dict[Ask, Plan] = {Ask.GET: always(NOT_IN_MULTIGET, Ask.MULTIGET), Ask.PROPFIND: always(NO_SYNC, Ask.SYNC)}
"""What makes the product ask what it asks only seldom."""

CASES = [
    pytest.param(fault, ask, id=f"{ask.name}-{fault}") for ask in (*READS, *WRITES) for fault in FAULTS if ask in fault.hits
]


def _plan(fault: Fault, ask: Ask, how: Callable[[Fault, Ask], Plan]) -> Plan:
    plan = how(fault, ask)
    return both(plan, LEADS_TO[ask]) if ask in LEADS_TO else plan


@pytest.mark.parametrize(("fault", "ask"), CASES)
def test_a_run_under_a_fault_ends_like_one_without(story: Story, fault: Fault, ask: Ask) -> None:
    for how in (once, always):
        shop = story.anew()
        story.proxy.plan, story.proxy.done[:] = _plan(fault, ask, how), []
        patience = IMPATIENT if fault.cut is Cut.STALL else 60.0
        ended = shop.run(story.proxy.url(shop.url), timeout=patience)
        assert any(met is fault for _, met in story.proxy.done), "the fault met no request"
        _is_for_people(ended)
        wrong = difference(shop.still(), story.expected)
        assert not wrong, f"{how.__name__}: {wrong}\nafter {ended.words}, {ended.report.conflicts}"
        shop.drop()


def _is_for_people(ended: Ended) -> None:
    """Words, each with what to do; no technical trace and no secret."""
    for words in ended.words:
        assert "secret" not in words
        assert not any(trace in words for trace in ("Traceback", "Error(", "Exception", "HTTPConnection", "0x", "None"))
        assert all(line.strip() for line in words.splitlines()), f"says too little: {words!r}"
        assert len(words.splitlines()) >= 3, f"does not say where, or what to do: {words!r}"
    assert ended.error is None or ended.error.exit_code in {1, 4}, ended.error
