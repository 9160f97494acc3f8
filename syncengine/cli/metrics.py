"""`metrics`: the figures of the state, once, in Prometheus' text format."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, read_config


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
    click.echo(found.text(), nl=False)
    return 0
