"""`metrics`: the figures of the state and of the queue, once, in Prometheus' text format."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, read_config
from syncengine.config import Config
from syncengine.errors import SyncEngineError


@click.command()
@config_option
@command
def metrics(config_path: Path | None) -> int:
    """Print figures for Prometheus once, for its textfile collector. A running agent can serve them; see [agent]."""
    from syncengine import bootstrap
    from syncengine.agent.metrics import Metrics

    config = read_config(config_path)
    found = Metrics([p.name for p in config.pims], running=False)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        found.read(state)
    click.echo(found.text() + _of_the_queue(config), nl=False)
    return 0


def _of_the_queue(config: Config) -> str:
    """Where its database is here; nothing where nobody has made it yet, or it does not answer."""
    from datetime import timedelta

    from syncengine import bootstrap
    from syncengine.bootstrap.outbound import open_outbound
    from syncengine.times import system_clock
    from syncengine.worker import metrics as figures

    file = config.server.url.removeprefix("sqlite:///")
    if bootstrap.is_remote(config) or (file != config.server.url and not Path(file).exists()):
        return ""
    try:
        store = open_outbound(config)
    except SyncEngineError as e:
        click.echo(f"no figures of the queue: {e.what}", err=True)
        return ""
    try:
        return figures.text(store.standing(), system_clock(), timedelta(seconds=config.outbound.dead_after))
    finally:
        store.close()
