"""Puts the parts of workflow policies together."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from syncengine.bootstrap import embedded, is_remote, open_contents, open_store
from syncengine.config import Config, mapping_folder
from syncengine.core.policies.template import ISO, Showing
from syncengine.errors import ConfigError
from syncengine.model.policies import Policy
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from syncengine.ports import ActivityServer, ActivityStore, ContentFiles
    from syncengine.services.policies.carrying_out import ChangeSender
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
        raise ConfigError(what, where=str(path), fix="Correct policies.path.") from e
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
    """The monitor of the configured policies."""
    from syncengine.services.policies.monitor import Monitor

    policies = configured_policies(config)
    return Monitor(open_policy_store(config, stack), policies, clock, dates(config))


def dates(config: Config) -> Showing:
    """How messages write dates and moments."""
    return ISO


def open_change_sender(config: Config, stack: ExitStack, clock: Clock = system_clock) -> ChangeSender:
    """What carries out changes of records that were asked for."""
    store = open_store(config.server.url)
    stack.callback(store.close)
    return change_sender(store, config.server.generic_owner, clock, open_contents(config))


def change_sender(
    store: ActivityStore, generic_owner: str, clock: Clock, files: ContentFiles | None = None
) -> ChangeSender:
    from syncengine.services.policies.carrying_out import ChangeSender

    def server(user: str, by: str) -> ActivityServer:
        return embedded(store, user, generic_owner, clock, files, by)

    return ChangeSender(store, server, generic_owner)
