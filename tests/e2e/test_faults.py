"""Whatever goes wrong between the product and a real Radicale, once or all through a run: the run says so in plain
words, and the runs after it end where they would have ended without (SYN-2, SYN-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncengine.times import system_clock
from tests.dav_servers import DavServer
from tests.e2e.desk import event
from tests.e2e.faulty_story import Story, is_for_people, is_reported, told
from tests.e2e.shop import Shop
from tests.fault_proxy import (
    FAULTS,
    READS,
    WRITES,
    Answer,
    Ask,
    Cut,
    Fault,
    FaultProxy,
    Plan,
    always,
    both,
    once,
    status,
    undisturbed,
)

IMPATIENT = 1.0
"""Seconds a client waits that meets a server which has fallen silent."""


@pytest.fixture(scope="module")
def story(radicale: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(radicale, tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(story: Story) -> Iterator[FaultProxy]:
    found = FaultProxy(story.begun.url)
    yield found
    found.close()


# --- what goes wrong -------------------------------------------------------------------------------------------------

NOT_IN_MULTIGET = Fault(
    "gives nothing", instead=Answer(207, b'<multistatus xmlns="DAV:"/>', {"Content-Type": "text/xml"})
)
NO_SYNC = Fault(
    "no sync", instead=Answer(403, b'<error xmlns="DAV:"><valid-sync-token/></error>', {"Content-Type": "text/xml"})
)
LEADS_TO: dict[Ask, Plan] = {
    Ask.GET: always(NOT_IN_MULTIGET, Ask.MULTIGET),
    Ask.ABOUT: always(NO_SYNC, Ask.SYNC),
    Ask.LIST: always(NO_SYNC, Ask.SYNC),
}
"""What makes the product ask what it asks only seldom."""

CASES = [
    pytest.param(
        fault,
        ask,
        id=f"{ask.name}-{fault}",
        marks=pytest.mark.xdist_group("faults of reading" if ask in READS else "faults of writing"),
    )
    for ask in (*READS, *WRITES)
    for fault in FAULTS
    if ask in fault.hits
]


def _plan(fault: Fault, ask: Ask, how: Callable[[Fault, Ask], Plan]) -> Plan:
    plan = how(fault, ask)
    return both(plan, LEADS_TO[ask]) if ask in LEADS_TO else plan


@pytest.mark.parametrize(("fault", "ask"), CASES)
def test_a_run_under_a_fault_ends_like_one_without(story: Story, proxy: FaultProxy, fault: Fault, ask: Ask) -> None:
    for how in (once, always):
        shop = story.anew(apart=fault.hides)
        proxy.plan, proxy.done[:] = _plan(fault, ask, how), []
        patience = IMPATIENT if fault.cut is Cut.STALL else 60.0
        ended = shop.run(proxy.url(shop.url), timeout=patience)
        assert any(met is fault for _, met in proxy.done), "the fault met no request"
        is_for_people(ended)
        is_reported(ended, shop)
        wrong = story.wrong(shop, apart=fault.hides)
        assert not wrong, f"{how.__name__}: {wrong}\nafter {ended.words}, {ended.report.conflicts}"
        shop.drop()


@pytest.mark.parametrize("how", [once, always])
def test_a_refused_write_onto_an_item_nobody_has_changed_is_made_later(
    radicale: DavServer, tmp_path: Path, how: Callable[[Fault, Ask], Plan]
) -> None:
    """The item is read again because of it, and says nothing new: what waited for it still waits."""
    shop = Shop.open(tmp_path / "shop", radicale)
    shop.put("visit", event("visit", "Visit"))
    shop.good()
    shop.change(shop.ids()["Visit"], location="there")
    proxy = FaultProxy(shop.url, how(status(412), Ask.UPDATE))
    shop.run(proxy.url(shop.url))
    shop.still()
    assert "LOCATION:there" in shop.texts()["visit.ics"]
    proxy.close()


@pytest.mark.parametrize("minutes", [60, -60, 5, -5])
def test_a_clock_that_is_wrong_changes_nothing(story: Story, proxy: FaultProxy, minutes: int) -> None:
    """That of this machine, in the run that meets what has happened on both sides; the next one's is right again."""
    shop = story.anew()
    proxy.plan, proxy.done[:] = undisturbed, []
    ended = shop.run(proxy.url(shop.url), clock=lambda: system_clock() + timedelta(minutes=minutes))
    assert ended.error is None, ended.error
    assert ended.report.question is None, "nobody is asked about an hour"
    wrong = story.wrong(shop)
    assert not wrong, wrong
    shop.drop()
