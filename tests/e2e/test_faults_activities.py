"""Whatever goes wrong between the product and a real activity server over HTTP, once or all through a run: the run
says so in plain words, and the runs after it end where they would have ended without (SYN-2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.http.server import HttpActivityServer
from syncengine import bootstrap
from syncengine.ports import ActivityServer
from syncengine.web.app import create_app
from tests.activity_servers import serving
from tests.dav_servers import DavServer
from tests.e2e.desk import GENERIC, ME
from tests.e2e.faulty_story import Story, is_for_people, told
from tests.e2e.shop import Shop
from tests.fault_proxy import JSON_FAULTS, Fault, FaultProxy, always, once

pytestmark = pytest.mark.xdist_group("faults of activities")

PATHS = ("/v1/greeting", "/v1/changes", "/v1/commands")


class Served:
    """Many databases behind one server: the token says which. Through a proxy."""

    def __init__(self) -> None:
        self.shops: dict[str, Shop] = {}
        self.proxy: FaultProxy

    def open(self, token: str) -> ActivityServer | None:
        shop = self.shops.get(token)
        return bootstrap.embedded(bootstrap.open_store(shop.database), ME, GENERIC) if shop else None

    def of(self, shop: Shop) -> ActivityServer:
        self.shops[shop.folder.name] = shop
        return HttpActivityServer(self.proxy.base, f"{shop.folder.name}", sleep=lambda _seconds: None)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    found = Served()
    with serving(create_app(found.open)) as url:
        found.proxy = FaultProxy(url)
        yield found
        found.proxy.close()


@pytest.fixture(scope="module")
def story(radicale: DavServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with told(radicale, tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fault", JSON_FAULTS, ids=str)
def test_a_run_under_a_fault_ends_like_one_without(story: Story, served: Served, fault: Fault, path: str) -> None:
    for how in (once, always):
        shop = story.anew()
        served.proxy.plan, served.proxy.done[:] = how(fault, path), []
        ended = shop.run(activities=lambda shop=shop: served.of(shop))  # type: ignore[misc]
        assert any(met is fault for _, met in served.proxy.done), "the fault met no request"
        is_for_people(ended)
        wrong = story.wrong(shop)
        assert not wrong, f"{how.__name__}: {wrong}\nafter {ended.words}"
        shop.drop()
