"""The fault proxy does what its faults say, and nothing else: tests that rest on it would prove nothing otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
import requests

from tests.dav_stage import BASE, Reply, Stage, found, multistatus
from tests.fault_proxy import FAULTS, Ask, Fault, FaultProxy, always, at_random, once, undisturbed

SYNC = "<sync-collection><sync-token>before</sync-token></sync-collection>"
LIST = multistatus(found(f"{BASE}a.ics"), found(f"{BASE}b.ics"), token="after")


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    stage.script = lambda asked: LIST if asked.method == "REPORT" else Reply(200, "text", {"ETag": '"1"'})
    yield stage
    stage.server.shutdown()
    stage.server.server_close()


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/1.0"])
def proxy(stage: Stage, request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    found = FaultProxy(stage.origin, old=request.param)
    yield found
    found.close()


def ask(proxy: FaultProxy, method: str = "GET", body: str = "", **headers: str) -> requests.Response:
    return requests.request(method, proxy.base + BASE, data=body.encode(), headers=headers, timeout=0.5)


def named(name: str) -> Fault:
    (found,) = [f for f in FAULTS if f.name == name]
    return found


def test_what_meets_no_fault_passes_unchanged(stage: Stage, proxy: FaultProxy) -> None:
    with requests.Session() as session:
        for _ in range(2):
            answer = session.put(proxy.base + BASE, data=b"x", headers={"If-Match": '"0"'}, timeout=5)
            assert (answer.status_code, answer.text, answer.headers["ETag"]) == (200, "text", '"1"')
    assert [(r.method, r.path, r.headers["If-Match"], r.body) for r in stage.requests] == [
        ("PUT", BASE, '"0"', b"x")
    ] * 2


@pytest.mark.parametrize(
    ("name", "acts"), [("dropped before it acted", 0), ("dropped after it acted", 1), ("cut short", 1), ("stalls", 1)]
)
def test_a_cut_comes_before_or_after_the_server_acted(stage: Stage, proxy: FaultProxy, name: str, acts: int) -> None:
    proxy.plan = once(named(name), Ask.GET)
    with pytest.raises(requests.RequestException):
        ask(proxy)
    assert len(stage.requests) == acts
    assert ask(proxy).text == "text"


def test_a_chunk_may_break_off_and_drips_come_whole(stage: Stage) -> None:
    proxy = FaultProxy(stage.origin, once(named("cut in a chunk"), Ask.GET))
    with pytest.raises(requests.RequestException):
        ask(proxy)
    proxy.plan = always(named("drips"), Ask.GET)
    assert ask(proxy).text == "text"
    proxy.close()


def test_a_status_comes_without_or_after_the_servers_acting(stage: Stage, proxy: FaultProxy) -> None:
    proxy.plan = once(named("429"), Ask.CREATE)
    answer = ask(proxy, "PUT", "x", **{"If-None-Match": "*"})
    assert (answer.status_code, answer.headers["Retry-After"], stage.requests) == (429, "1", [])
    proxy.plan = once(named("502 after it acted"), Ask.UPDATE)
    assert ask(proxy, "PUT", "x").status_code == 502
    assert len(stage.requests) == 1


def test_a_list_may_lag_or_name_an_item_twice(proxy: FaultProxy) -> None:
    proxy.plan = once(named("an item is missing in the list"), Ask.SYNC)
    lagging, whole = (ask(proxy, "REPORT", SYNC).text for _ in range(2))
    assert (lagging.count("b.ics"), "before" in lagging, "after" in lagging) == (0, True, False)
    assert (whole.count("b.ics"), "after" in whole) == (1, True)
    proxy.plan = once(named("an item is twice in the list"), Ask.SYNC)
    assert ask(proxy, "REPORT", SYNC).text.count("b.ics") == 2


def test_etags_can_be_missing_and_tokens_be_refused(stage: Stage, proxy: FaultProxy) -> None:
    proxy.plan = once(named("no etag"), Ask.GET)
    assert "ETag" not in ask(proxy).headers
    proxy.plan = once(named("token invalid, 409"), Ask.SYNC)
    answer = ask(proxy, "REPORT", SYNC)
    assert (answer.status_code, "valid-sync-token" in answer.text, len(stage.requests)) == (409, True, 1)


def test_a_random_plan_is_the_same_for_the_same_seed(stage: Stage) -> None:
    def met(seed: int) -> list[str]:
        harmless = [f for f in FAULTS if f.instead and Ask.GET in f.hits]
        proxy = FaultProxy(stage.origin, at_random(Random(seed), harmless, 0.5))
        for _ in range(20):
            ask(proxy)
        proxy.close()
        return [str(fault) for _, fault in proxy.done]

    assert met(1) == met(1) != met(2)
    assert {"None"} < set(met(1))


def test_what_was_asked_is_told(proxy: FaultProxy) -> None:
    proxy.plan = undisturbed
    ask(proxy)
    ((asked, fault),) = proxy.done
    assert (asked.number, asked.method, asked.path, fault) == (1, "GET", BASE, None)
