"""`alarm`: tries whether alarms arrive, and tells those that are due where no agent runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, json_option, print_json, read_config
from syncengine.config import Config
from syncengine.errors import ConfigError, SyncEngineError

NOT_TOLD = 1


@click.group()
def alarm() -> None:
    """Tell you when nothing has succeeded for a set time, or something waits for you; see [alarm] in the
    configuration. The agent and `sync` look by themselves."""


@alarm.command()
@config_option
@json_option
@command
def test(config_path: Path | None, as_json: bool) -> int:
    """Send a test to everybody an alarm is told to."""
    import platform

    from syncengine import bootstrap
    from syncengine.core.alarm import testing
    from syncengine.services.alarm import tell_all

    config = _configured(config_path)
    failures = tell_all(bootstrap.alarm_channels(config), testing(platform.node() or "?"))
    return _show(["a test"], failures, as_json)


@alarm.command()
@config_option
@json_option
@command
def check(config_path: Path | None, as_json: bool) -> int:
    """Look whether anything is to be told now, and tell it; for cron, where neither agent nor `sync` gets that far."""
    from syncengine import bootstrap

    config = _configured(config_path)
    with ExitStack() as stack:
        alarms = bootstrap.open_alarms(config, stack)
        told = [message.subject for message in alarms.look()]
    return _show(told, alarms.failures, as_json)


def look_after_run(config: Config) -> None:
    """Tell what is due after a run, where alarms are configured. What goes wrong is said, and hurts nothing."""
    from syncengine import bootstrap

    if config.alarm is None:
        return
    try:
        with ExitStack() as stack:
            alarms = bootstrap.open_alarms(config, stack)
            alarms.look()
        failures = alarms.failures
    except SyncEngineError as e:
        failures = [e]
    for failure in failures:
        click.echo(str(failure), err=True)


def _configured(path: Path | None) -> Config:
    config = read_config(path)
    if config.alarm is None:
        raise ConfigError(
            "No alarm is configured.",
            where=str(config.path),
            fix='Add [alarm] with command = ["notify-send"], or with email and smtp.',
        )
    return config


def _show(told: list[str], failures: Sequence[SyncEngineError], as_json: bool) -> int:
    if as_json:
        problems = [{"what": e.what, "where": e.where, "fix": e.fix} for e in failures]
        print_json({"told": told, "problems": problems})
    else:
        for subject in told:
            click.echo(f"Told: {subject}" if not failures else f"Tried: {subject}")
        for error in failures:
            click.echo(str(error), err=True)
        if not told and not failures:
            click.echo("Nothing is to be told.")
    return NOT_TOLD if failures else 0
