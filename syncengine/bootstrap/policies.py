"""Puts the parts of workflow policies together."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from syncengine.bootstrap import is_remote
from syncengine.config import Config, mapping_folder
from syncengine.errors import ConfigError
from syncengine.model.policies import Policy
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from syncengine.ports import Jobs
    from syncengine.services.outbound import Queue
    from syncengine.services.outbound.batch import Tell
    from syncengine.services.policies.monitor import Monitor, PolicyStore

SCHEMA = "policies.xsd"
PROCESSES: tuple[str, ...] = ()
"""Integration processes a policy may run; there are none yet."""


def read_policies(path: Path) -> tuple[Policy, ...]:
    """Raises ConfigError with every error of the file."""
    try:
        text = path.read_bytes()
    except OSError as e:
        what = f"The policies cannot be read: {e.strerror}."
        raise ConfigError(what, where=str(path), fix="Name a file that can be read, here or in [policies] path.") from e
    return parse_policies(text, str(path))


def parse_policies(text: bytes, source: str) -> tuple[Policy, ...]:
    from syncengine.core.policies.parse import parse

    return parse(text, (mapping_folder() / SCHEMA).read_bytes(), source, PROCESSES)


def configured_policies(config: Config) -> tuple[Policy, ...]:
    """Raises ConfigError where none are configured."""
    if not config.policies.path:
        raise ConfigError(
            "No policies are configured.",
            where=str(config.path),
            fix='Write [policies] with path = "policies.xml"; mappings/policies.xml is an example.',
        )
    return read_policies(Path(config.policies.path))


def open_policy_store(config: Config, stack: ExitStack) -> PolicyStore:
    """What policies keep, in the server's own database; closed by `stack`. Raises ConfigError behind HTTP."""
    from syncengine.store.policies import Policies

    if is_remote(config):
        raise ConfigError(
            "Policies run where the activity server's database is, not over HTTP.",
            where=str(config.path),
            fix="Give the address of the database as server.url, sqlite:/// or postgresql://.",
        )
    store = Policies(config.server.url)
    stack.callback(store.close)
    return store


def open_monitor(config: Config, stack: ExitStack, clock: Clock = system_clock) -> Monitor:
    """The monitor of the configured policies. Opens the engine, which takes a second."""
    from syncengine.bootstrap.outbound import open_queue
    from syncengine.bootstrap.senders_email import dates_of
    from syncengine.services.policies.monitor import Monitor

    policies = configured_policies(config)
    store, queue = open_policy_store(config, stack), open_queue(config, stack, clock)
    return Monitor(store, queue, policies, clock, dates_of(config))


def policies_in_background(
    config: Config, queue: Queue, jobs: Jobs, clock: Clock, tell: Tell, stack: ExitStack
) -> None:
    """What a worker does about policies, where there are any. The file is read anew each time, so that an edited one
    counts at once."""
    from syncengine.bootstrap.senders_email import dates_of
    from syncengine.services.policies.background import Background
    from syncengine.services.policies.monitor import Monitor

    if config.policies.path:
        store, dates = open_policy_store(config, stack), dates_of(config)

        def monitor() -> Monitor:
            return Monitor(store, queue, configured_policies(config), clock, dates)

        Background(store, queue.engine, monitor, clock, tell).join(jobs)
