"""`remove`: the product goes, and the user's own entries stay."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say
from syncengine.cli.progress import Progress
from syncengine.config import Config
from syncengine.errors import Problem, SideError, Stopped
from syncengine.model.removal import Fate, Removal

REFUSED = 1


@click.command()
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Print what would be deleted, what stays, and why; change nothing.")
@click.option("--yes", "--anyway", "yes", is_flag=True, help="Do it, also where something has not been sent yet.")
@click.option("--leave", "left", multiple=True, metavar="PIM", help="Leave all of this PIM; one that is gone for good.")
@click.option("--config-too", is_flag=True, help="Delete the configuration file as well.")
@command
def remove(
    config_path: Path | None, as_json: bool, dry_run: bool, yes: bool, left: tuple[str, ...], config_too: bool
) -> int:
    """Remove the product: what came from the server leaves the PIMs, and all that is kept here is deleted.

    Your own entries and emails stay as they are, and nothing changes on the server."""
    config = read_config(config_path)
    found = _look(config, left)
    if dry_run:
        return _show(found, config, as_json, "would be removed", _code(found))
    if not yes and found.unsent:
        return _show(found, config, as_json, "refused", REFUSED)
    if not yes and not _agreed(found, config, as_json):
        return _show(found, config, as_json, "waiting", Stopped.exit_code)
    return _carry_out(config, left, as_json, config_too)


def _agreed(found: Removal, config: Config, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    _print(found, config, "asked")
    return click.confirm("Remove it?", err=True)


def _look(config: Config, left: tuple[str, ...]) -> Removal:
    from syncengine import bootstrap

    if not Path(config.state).exists():
        return Removal(dry_run=True)
    with ExitStack() as stack:
        remover = bootstrap.open_removal(config, stack, left=left, dry_run=True)
        remover.work.progress = stack.enter_context(Progress())
        return remover.look()


def _carry_out(config: Config, left: tuple[str, ...], as_json: bool, config_too: bool) -> int:
    from syncengine import bootstrap
    from syncengine.services.removal import forget_here

    local = bootstrap.local_records(config, config_too=config_too)
    agent = _stop_agent(config)
    found = Removal()
    with ExitStack() as stack:
        if Path(config.state).exists():
            remover = bootstrap.open_removal(config, stack, left=left)
            remover.work.progress = stack.enter_context(Progress())
            found = remover.carry_out()
        if not found.unreachable:
            forget_here(local, found)
    found.problems += agent
    return _show(found, config, as_json, "unfinished" if found.unreachable else "removed", _code(found))


def _stop_agent(config: Config) -> list[Problem]:
    from syncengine import bootstrap
    from syncengine.cli.agent_install import stop_unit

    problem = stop_unit() if bootstrap.own_agent_unit(config) else None
    return [problem] if problem else []


def _code(found: Removal) -> int:
    if found.unreachable:
        return SideError.exit_code
    return REFUSED if found.problems or (found.dry_run and found.unsent) else 0


def _show(found: Removal, config: Config, as_json: bool, state: str, code: int) -> int:
    if as_json:
        print_json(_json(found, config, state))
    else:
        _print(found, config, state)
    return code


def _json(found: Removal, config: Config, state: str) -> dict[str, Any]:
    return {
        "state": state,
        "dry_run": found.dry_run,
        "entries": [
            {
                "pim": e.pim,
                "key": e.key,
                "description": e.description,
                "fate": e.ending.fate,
                "because": e.ending.because,
            }
            for e in found.entries
        ],
        "deleted": sum(e.ending.fate is Fate.DELETED for e in found.entries),
        "unsent": [{"key": u.key, "description": u.description, "because": u.because} for u in found.unsent],
        "files": found.files,
        "agent_unit": _unit(config),
        "secrets": found.secrets,
        "configuration": {"path": str(config.path), "kept": config.path.exists()},
        "problems": [_problem(p) for p in (*found.unreachable.values(), *found.problems)],
    }


def _unit(config: Config) -> str | None:
    """The unit of this configuration's agent, as long as it is there."""
    from syncengine import bootstrap

    unit = bootstrap.own_agent_unit(config)
    return str(unit) if unit else None


def _problem(problem: Problem) -> dict[str, str]:
    return {"what": problem.what, "where": problem.where, "fix": problem.fix}


_LAST = {
    "would be removed": "Nothing was changed. The state, the folder of activities and the secrets kept for it would "
    "go as well.",
    "refused": 'Refused: this has not been sent to the server and would be lost. Run "syncengine sync" first, '
    "or say --yes.",
    "waiting": "Nothing was changed. Do it with --yes.",
    "asked": "The state, the folder of activities and the secrets kept for it go as well; nothing changes on the "
    "server.",
    "unfinished": "Not finished: a PIM cannot be asked, so the state stays. Run it again; --leave PIM leaves it out.",
    "removed": "Removed. Nothing was changed on the server.",
}


def _print(found: Removal, config: Config, state: str) -> None:
    rows = [(e.ending.fate, e.pim, e.key, e.description, e.ending.because) for e in found.entries]
    if rows:
        print_table(["", "pim", "item", "subject", "because"], rows)
    for one in found.unsent:
        say(f"  not sent  {one.key} {one.description}: {one.because}")
    for name in (*found.files, *found.secrets):
        say(f"  deleted   {name}")
    if unit := _unit(config):
        click.echo(f"  goes too  {unit}, which starts the agent")
    for problem in (*found.unreachable.values(), *found.problems):
        say(f"  problem   {problem.where}: {problem.what}\n            {problem.fix}".rstrip(), err=True)
    click.echo(_LAST[state])
    if config.path.exists():
        click.echo(f"The configuration {config.path} stays{_with_secrets(config)}.")


def _with_secrets(config: Config) -> str:
    written = [s.where for s in config.secrets if s.source == "text"]
    return f", and with it the secrets written into it ({', '.join(written)})" if written else ""
