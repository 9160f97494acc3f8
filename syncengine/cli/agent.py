"""`agent`, `sync-now`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli.agent_install import install, uninstall
from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config
from syncengine.config import default_path
from syncengine.errors import ConfigError, NotNow, SideError, Stopped
from syncengine.model.agent import Outcome

if TYPE_CHECKING:
    from syncengine.store.agent_folder import AgentFolder

FAILED = 1
LOOK_SECONDS = 0.1
_CODES = {
    Outcome.DONE: 0,
    Outcome.BRAKE: Stopped.exit_code,
    Outcome.CONFIG: ConfigError.exit_code,
    Outcome.FAULT: FAILED,
}
"""Outcome → exit code of `sync-now --wait`; the others are those of a side."""


@click.group(invoke_without_command=True)
@config_option
@click.option("--verbose", is_flag=True, help="Log runs that found nothing, too.")
@click.pass_context
def agent(context: click.Context, config_path: Path | None, verbose: bool) -> None:
    """Keep everything in step until told to end: each PIM at its interval, and when something changes.

    Logs as [log] in the configuration says, by default to standard error. SIGTERM and Ctrl-C end it cleanly within
    seconds, SIGHUP makes it read its configuration anew and run everything now."""
    if context.invoked_subcommand is None:
        _work(config_path=config_path, verbose=verbose)


@command
def _work(config_path: Path | None, verbose: bool) -> int:
    from syncengine.agent.hooks import Hooks
    from syncengine.agent.loop import Agent

    path = config_path or default_path()
    hooks = Hooks(path, verbose=verbose)
    try:
        Agent(path, hooks).work()
    finally:
        hooks.close()
    return 0


agent.add_command(install)
agent.add_command(uninstall)


@click.command()
@config_option
@json_option
@click.option("--pim", "pims", multiple=True, help="Only this PIM; may be given several times.")
@click.option("--wait", "waits", is_flag=True, help="Wait until the run has ended, and leave with its exit code.")
@command
def sync_now(config_path: Path | None, as_json: bool, pims: tuple[str, ...], waits: bool) -> int:
    """Ask the running agent for a run now. Exit code 1 when none is running."""
    from syncengine import bootstrap

    config = read_config(config_path)
    known = [pim.name for pim in config.pims]
    if unknown := sorted(set(pims) - set(known)):
        raise ConfigError(
            f"There is no PIM named {unknown[0]!r}.", where=str(config.path), fix=f"Known are {', '.join(known)}."
        )
    folder = bootstrap.agent_folder(config)
    if not folder.running():
        raise _no_agent(folder)
    request = folder.ask(pims, waits=waits)
    if not waits:
        if as_json:
            print_json({"asked": list(pims or known)})
        else:
            click.echo("Asked.")
        return 0
    found = _answer(folder, request)["pims"]
    if as_json:
        print_json({"pims": found})
    else:
        print_table(["pim", "ended", ""], [(name, one["outcome"], one["what"]) for name, one in found.items()])
    return max((_CODES.get(Outcome(one["outcome"]), SideError.exit_code) for one in found.values()), default=0)


def _answer(folder: AgentFolder, request: str) -> dict[str, Any]:
    try:
        while True:
            answer = folder.answered(request)
            if answer is not None and not answer.get("ended"):
                return answer
            if answer is not None or not folder.running():
                raise _no_agent(folder)
            time.sleep(LOOK_SECONDS)
    finally:
        folder.withdraw(request)


def _no_agent(folder: AgentFolder) -> NotNow:
    return NotNow(
        "No agent is running.",
        where=str(folder.path),
        fix='Start one with "syncengine agent", or use "syncengine sync".',
    )
