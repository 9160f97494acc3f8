"""`undo`: put back what a run changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from syncengine.cli.output import (
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    read_config,
    say,
    wakes_agent,
)
from syncengine.cli.progress import Progress
from syncengine.errors import SideError, Stopped, SyncEngineError
from syncengine.model.report import Report, Undone

SOME_COULD_NOT = 1
SHOWN = 50
"""How many lines a table has; all of them are in the JSON and in the run's report."""
_WHERE = {"pim": "PIM", "server": "server"}


@click.command()
@click.argument("run", metavar="RUN|last")
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Print what would be put back, and what could not; change nothing.")
@command
@wakes_agent(lambda said: not said["dry_run"])
def undo(run: str, config_path: Path | None, as_json: bool, dry_run: bool) -> int:
    """Put back what a run changed on both sides, as far as nothing has changed since, and say where it cannot be.

    RUN is the beginning of a run's id, as "syncengine status" names it; "last" is the newest that wrote something.
    Fields that were put back are held until you say which value stands, so that the next sync leaves them alone."""
    from syncengine import bootstrap
    from syncengine.services.undo import Undo

    config = read_config(config_path)
    error: SyncEngineError | None = None
    with ExitStack() as stack:
        work = bootstrap.open_work(config, stack, dry_run=dry_run)
        work.progress = stack.enter_context(Progress())
        undoing = Undo(work, run)
        try:
            undoing.run()
        except (Stopped, SideError) as e:
            error = e
        report = work.report
    if as_json:
        print_json(_json(report, error))
    else:
        _print(report)
    if error is not None:
        say(str(error), err=True)
        return error.exit_code
    return 0 if all(one.restored for one in report.undone) else SOME_COULD_NOT


def _json(report: Report, error: SyncEngineError | None) -> dict[str, Any]:
    return {
        "state": report.state.value,
        "run": report.run,
        "undoes": report.undoes,
        "dry_run": report.dry_run,
        "restored": [_one_json(u) for u in report.undone if u.restored],
        "not_restored": [_one_json(u) for u in report.undone if not u.restored],
        "held": report.held,
        "problems": [{"what": error.what, "where": error.where, "fix": error.fix}] if error else [],
    }


def _one_json(one: Undone) -> dict[str, str]:
    return {"key": one.key, "description": one.description, "side": one.side, "what": one.what, "fix": one.fix}


def _print(report: Report) -> None:
    restored = [u for u in report.undone if u.restored]
    left = [u for u in report.undone if not u.restored]
    if restored:
        click.echo("This would be put back:" if report.dry_run else "Put back:")
        print_table(["item", "subject", "side", "what"], [_row(u) for u in restored[:SHOWN]])
        _more(restored)
    if left:
        click.echo("This cannot be put back:")
        print_table(["item", "subject", "side", "why", "what to do"], [(*_row(u), u.fix) for u in left[:SHOWN]])
        _more(left)
    if not report.undone and not report.reason:
        click.echo(f"Nothing is left to undo of the run {report.undoes}.")
    if report.held and restored and not report.dry_run:
        click.echo('Fields that were put back wait until you say which value stands: "syncengine status" names them.')


def _more(found: Sequence[Undone]) -> None:
    if len(found) > SHOWN:
        click.echo(f"… and {len(found) - SHOWN} more; --json lists them all")


def _row(one: Undone) -> tuple[str, str, str, str]:
    return one.key, one.description, _WHERE.get(one.side, one.side), one.what
