"""Pager services put together: how pages leave by one (PAG-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from syncengine.config import Config
from syncengine.config.pagers import PagerConfig, pager_named
from syncengine.errors import ConfigError, LoginRefused
from syncengine.model.directory import Pager
from syncengine.model.outbound import Outcome, Reply, Request
from syncengine.model.paging import GatewaySettings, TapSettings, WebhookSettings
from syncengine.ports import ActivityStore, Sender

if TYPE_CHECKING:
    from connectors.tap.pager import TapPager
    from connectors.webhook.pager import WebhookPager

DEFAULT = "default communication profile"
PagerOf = Callable[[str], Pager | None]
"""An employee's pager, by the employee's id."""
OpenEmail = Callable[[Config, str], Sender]


def open_pager(
    config: Config, name: str = "", pager_of: PagerOf | None = None, open_email: OpenEmail | None = None
) -> Sender:
    """What sends pages by the service of this name; empty: by the default one. Nothing is connected before the first
    page. pager_of: None looks in the configured database. open_email: what sends by a communication profile.
    Raises ConfigError, naming the near miss."""
    pager = pager_named(config.pagers, name)
    if pager_of is None:
        store = _database(config)
        try:
            return _Closing(_opened(config, pager, pager_lookup(store), open_email), store.close)
        except BaseException:
            store.close()
            raise
    return _opened(config, pager, pager_of, open_email)


def pager_lookup(store: ActivityStore) -> PagerOf:
    """As the server's database has them. Called outside of its transactions."""

    def pager_of(employee: str) -> Pager | None:
        with store.transaction(write=False):
            return store.pager(employee)

    return pager_of


def try_pager(config: Config, name: str) -> str:
    """Whether modem or web service answers, in words; nothing is sent. Raises SideError where they do not, ConfigError
    like `open_pager`."""
    pager = pager_named(config.pagers, name)
    if isinstance(pager.settings, GatewaySettings):
        profile = f"communication profile {pager.settings.profile}" if pager.settings.profile else DEFAULT
        return f"pages leave by the {profile}, which has its own test"
    service = _answering(pager, lambda _: None)
    try:
        return service.probe()
    finally:
        service.close()


def _opened(config: Config, pager: PagerConfig, pager_of: PagerOf, open_email: OpenEmail | None) -> Sender:
    if isinstance(pager.settings, GatewaySettings):
        from connectors.gateway.pager import GatewayPager

        return GatewayPager(pager.settings, pager_of, (open_email or _email)(config, pager.settings.profile))
    return _answering(pager, pager_of)


def _answering(pager: PagerConfig, pager_of: PagerOf) -> TapPager | WebhookPager:
    if isinstance(pager.settings, TapSettings):
        from connectors.tap.pager import TapPager

        return TapPager(pager.settings, pager_of, _secret(pager), account=pager.name)
    assert isinstance(pager.settings, WebhookSettings)
    from connectors.webhook.pager import WebhookPager

    return WebhookPager(pager.settings, pager_of, _secret(pager), account=pager.name)


def _email(config: Config, profile: str) -> Sender:
    sender: Sender = import_module("syncengine.bootstrap.senders_email").open_email(config, profile)
    return sender


def _secret(pager: PagerConfig) -> Callable[[], str]:
    """A secret that cannot be had stops the service, and none of its pages is at fault."""

    def get() -> str:
        try:
            return pager.secret.get() if pager.secret else ""
        except ConfigError as e:
            raise LoginRefused(e.what, where=e.where or f"pager {pager.name}", fix=e.fix) from None

    return get


def _database(config: Config) -> ActivityStore:
    from syncengine import bootstrap

    if bootstrap.is_remote(config):
        raise ConfigError(
            "Pages leave on the server itself, which knows the pagers.",
            where="server.url",
            fix="Run this command there, with the database as [server] url.",
        )
    return bootstrap.open_store(config.server.url)


class _Closing:
    """A sender with something of its own to close."""

    def __init__(self, sender: Sender, also: Callable[[], None]) -> None:
        self._sender, self._also = sender, also

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        return self._sender.send(request, done, begun)

    def close(self) -> None:
        try:
            self._sender.close()
        finally:
            self._also()
