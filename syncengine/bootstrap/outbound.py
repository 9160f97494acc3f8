"""The queue of what leaves, put together: asking, senders by kind, and what a worker does."""

from __future__ import annotations

import platform
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from syncengine.bootstrap import embedded, is_remote, new_id, open_contents, open_store
from syncengine.config import Config
from syncengine.config.pagers import pager_named
from syncengine.config.profiles import profile_named
from syncengine.errors import ConfigError
from syncengine.model.outbound import Kind, Request
from syncengine.ports import ActivityServer, ActivityStore, ContentFiles, Engine, Jobs, OutboundStore, Sender
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from connectors.dbos.engine import DbosWorker
    from syncengine.services.outbound import Queue
    from syncengine.services.outbound.batch import Batches, Tell
    from syncengine.store.worker_lock import WorkerLock


def open_outbound(config: Config) -> OutboundStore:
    """The queue in the activity server's database. Raises ConfigError for a remote server, StorageError, Unreachable,
    LoginRefused."""
    from syncengine.store.outbound import Outbound

    if is_remote(config):
        raise ConfigError(
            "The queue of a remote server is looked after on that server.",
            where="server.url",
            fix="Run this command there, with the database as [server] url; operators may use HTTP.",
        )
    return Outbound(config.server.url)


def open_queue(config: Config, stack: ExitStack, clock: Clock = system_clock) -> Queue:
    """Where requests are asked for; closed by `stack`. Opens the engine, which takes a second."""
    from syncengine.services.outbound import Queue

    store = open_outbound(config)
    stack.callback(store.close)
    return Queue(store, open_engine(config, stack), clock, domain_of(config))


def open_engine(config: Config, stack: ExitStack) -> Engine:
    from connectors.dbos.engine import DbosEngine
    from syncengine.store.worker_lock import schema_of

    engine = DbosEngine(config.server.url, schema_of(config.server.url))
    stack.callback(engine.close)
    return engine


def domain_of(config: Config) -> str:
    """Of Message-IDs: the user's mail domain, which the user may speak for."""
    return config.user.employee.rpartition("@")[2] or "localhost"


def check_profile(config: Config, request: Request) -> None:
    """Raises ConfigError where a request names a profile or pager service that this configuration, which has some, does
    not. One with a key is for workers that may have others."""
    if request.key:
        return
    if request.kind is Kind.EMAIL and config.profiles:
        profile_named(config.profiles, request.profile, config.outbound.profile)
    if request.kind is Kind.PAGE and config.pagers:
        pager_named(config.pagers, request.profile)


def default_names(config: Config) -> Mapping[Kind, str]:
    """What the default profile and pager service are called, where there are such."""
    found = {}
    with suppress(ConfigError):
        found[Kind.EMAIL] = profile_named(config.profiles, "", config.outbound.profile).name
    with suppress(ConfigError):
        found[Kind.PAGE] = pager_named(config.pagers, "").name
    return found


# --- senders ---------------------------------------------------------------------------------------------------------


SENDERS: dict[Kind, str] = {
    Kind.EMAIL: "syncengine.bootstrap.senders_email:open_email",
    Kind.PAGE: "syncengine.bootstrap.senders_page:open_pager",
    Kind.CHANGE: "syncengine.bootstrap.outbound:open_changes",
}
"""Kind → the function (configuration, name of the profile) → sender. Imported when the first such request leaves."""


def open_sender(config: Config, kind: Kind, profile: str) -> Sender:
    """What sends requests of a kind by this profile; empty: the default one. Raises ConfigError."""
    sender: Sender = _found(SENDERS[kind])(config, profile)
    return sender


def _found(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def open_changes(config: Config, _profile: str) -> Sender:
    """What carries out changes of records, each on behalf of an employee; of nobody: the generic owner."""
    store = open_store(config.server.url)
    return changes_sender(store, config.server.generic_owner, files=open_contents(config), closing=store.close)


def changes_sender(
    store: ActivityStore,
    generic_owner: str,
    clock: Clock = system_clock,
    files: ContentFiles | None = None,
    closing: Callable[[], None] = lambda: None,
) -> Sender:
    from syncengine.services.outbound.change import Changes

    def server_of(user: str, by: str) -> ActivityServer:
        return embedded(store, user or generic_owner, generic_owner, clock, files, by)

    return Changes(store, server_of, clock, closing)


# --- workers ---------------------------------------------------------------------------------------------------------


@dataclass
class Parts:
    """Of a worker, which has its name's lock."""

    name: str
    keys: tuple[str, ...]
    dead_after: timedelta
    tick_seconds: float
    store: OutboundStore
    lock: WorkerLock
    batches: Batches
    jobs: Jobs


Feature = Callable[[Config, "Queue", Jobs, Clock, "Tell", ExitStack], None]
"""Adds to the jobs of a worker what a feature does in the background; see `ports.Jobs`."""
FEATURES: list[str] = ["syncengine.bootstrap.policies:policies_in_background"]
"""Where each feature is to be found, `module:function`. Imported when a worker starts."""


def open_worker(
    config: Config,
    engine: Engine,
    stack: ExitStack,
    tell: Tell,
    ended: Callable[[], bool],
    *,
    name: str = "",
    keys: Sequence[str] = (),
    clock: Clock = system_clock,
) -> Parts:
    """What a worker needs, closed by `stack`. keys: the request keys it takes; none: as configured.
    Raises UnderWay where a worker of this name runs, ConfigError, StorageError."""
    from syncengine.services.outbound import Queue
    from syncengine.services.outbound.batch import Batches
    from syncengine.services.outbound.queue import JOB, queue_name
    from syncengine.services.outbound.tick import wake_all
    from syncengine.store.worker_lock import hold

    name = worker_name(config, name)
    store = open_outbound(config)
    stack.callback(store.close)
    lock = hold(config.server.url, name)
    stack.callback(lock.close)
    batches = Batches(
        store,
        lambda kind, profile: open_sender(config, kind, profile),
        clock,
        tell,
        name,
        new_id,
        random.random,
        ended,
        config.outbound.batch,
    )
    takes = tuple(keys) or config.outbound.keys or ("",)
    jobs = Jobs(
        named={JOB: batches.carry_out},
        queues={queue_name(key): config.outbound.tasks for key in takes},
        ticks=[lambda: wake_all(store, engine, clock, config.outbound.batch)],
    )
    queue = Queue(store, engine, clock, domain_of(config))
    for place in FEATURES:
        join: Feature = _found(place)
        join(config, queue, jobs, clock, tell, stack)
    return Parts(
        name, takes, timedelta(seconds=config.outbound.dead_after), config.outbound.tick, store, lock, batches, jobs
    )


def worker_name(config: Config, name: str = "") -> str:
    """Raises ConfigError."""
    found = name or config.outbound.executor or platform.node() or "worker"
    if "/" in found or len(found) > 100:
        raise ConfigError(f"{found!r} is no name for a worker.", fix="Use a short one without a slash.")
    return found


def open_dbos(config: Config, parts: Parts) -> DbosWorker:
    """What runs the worker's jobs, not yet begun."""
    from connectors.dbos.engine import DbosWorker
    from syncengine.store.worker_lock import schema_of

    url = config.server.url
    return DbosWorker(url, schema_of(url), parts.name, parts.jobs, config.outbound.tick)
