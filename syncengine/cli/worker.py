"""`worker`: what carries out background work."""

from __future__ import annotations

from pathlib import Path

import click

from syncengine.cli.output import command, config_option, read_config
from syncengine.errors import SyncEngineError


@click.command()
@config_option
@click.option("--key", "keys", multiple=True, help="Take requests with this key only; may be given several times.")
@click.option("--name", default="", help="This worker's name, which no other has; by default the machine's.")
@click.option("--once", is_flag=True, help="Do what is due, then end.")
@click.option("--verbose", is_flag=True, help="Log each request that was sent, too.")
@command
def worker(config_path: Path | None, keys: tuple[str, ...], name: str, *, once: bool, verbose: bool) -> int:
    """Send what waits in the queue, and carry out other background work, until told to end.

    One worker for a database in a file, as many as you like on PostgreSQL, each with a name of its own. Logs as [log]
    in the configuration says, by default to standard error. SIGTERM and Ctrl-C end it cleanly within seconds: nothing
    is lost, the next worker goes on."""
    from syncengine.process import signals
    from syncengine.process.log import open_log
    from syncengine.worker import journal
    from syncengine.worker.loop import WorkerProcess

    config = read_config(config_path)
    open_log(config.log, verbose=verbose)
    process = WorkerProcess(config, journal.write, name=name, keys=keys)
    if once:
        process.once()
        return 0
    try:
        process.work()
    except SyncEngineError as e:
        signals.leave_behind(e.exit_code)
        raise
    signals.leave_behind()
    return 0
