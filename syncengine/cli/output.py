"""Printing: words and tables for people, JSON for scripts, errors on standard error with the right exit code.

With --json, standard output holds the JSON alone. Colours only on a terminal; progress only there, too.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from syncengine.config import Config, default_path, load
from syncengine.core.printable import in_json, one_line, printable
from syncengine.errors import StorageError, SyncEngineError

P = ParamSpec("P")
R = TypeVar("R")
INTERRUPTED = 130

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file; without it, the one in the platform's configuration folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


def read_config(path: Path | None) -> Config:
    return load(path or default_path())


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """A command whose errors become plain words and exit codes; its result is the exit code."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs)
        except SyncEngineError as e:
            if kwargs.get("as_json"):
                print_json(_failure(e, function.__name__, dry_run=bool(kwargs.get("dry_run"))))
            fail(e)
        except BrokenPipeError:
            sys.stderr.close()
            raise SystemExit(0) from None
        except KeyboardInterrupt:
            click.echo("Interrupted; what was done is recorded, the next run goes on from here.", err=True)
            raise SystemExit(INTERRUPTED) from None
        else:
            raise SystemExit(code or 0)

    return run


def wakes_agent(
    meant: Callable[[Mapping[str, Any]], object] = lambda _: True,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A command after which a running agent has something to do: it is asked for a run, and a line says so. `meant`:
    whether, by the command's arguments, there is anything. Stands below `command`."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            result = function(*args, **kwargs)
            if meant(kwargs):
                _wake(kwargs)
            return result

        return run

    return wrap


def _wake(kwargs: Mapping[str, Any]) -> None:
    from syncengine import bootstrap

    folder = bootstrap.agent_folder(read_config(kwargs["config_path"]))
    with suppress(StorageError):  # the agent's next run does it
        if folder.running():
            folder.ask([], waits=False)
            click.echo("The agent does it now.", err=True)


def _failure(error: SyncEngineError, command_name: str, *, dry_run: bool) -> Any:
    """What a command prints as JSON that could not begin: `sync` all the counts it always prints."""
    from syncengine import render
    from syncengine.model.report import Report, RunState

    if command_name == "sync":
        return render.report_json(Report(dry_run=dry_run, state=RunState.FAILED), error)
    return {"state": "failed", "problems": [{"what": error.what, "where": error.where, "fix": error.fix}]}


def fail(error: SyncEngineError) -> None:
    """Say what went wrong, where and how to mend it; leave with the error's exit code."""
    click.secho(printable(str(error)), err=True, fg="red" if sys.stderr.isatty() else None)
    if error.retry:
        click.echo("  trying again later may help", err=True)
    raise SystemExit(error.exit_code)


def print_json(value: Any) -> None:
    click.echo(in_json(json.dumps(value, indent=2, ensure_ascii=False)))


def tell(value: Any, words: str, *, as_json: bool) -> None:
    """What a command has done: a value for scripts, or words."""
    if as_json:
        print_json(value)
    else:
        say(words)


def say(words: str, *, err: bool = False) -> None:
    """Print what may hold texts of others."""
    click.echo(printable(words), err=err)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table, as wide as its contents; a terminal's long cells are cut by the terminal, never here."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(headings), *texts]) for i in range(len(headings))]
    for number, row in enumerate([list(headings), *texts]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.secho(line, bold=number == 0 and sys.stdout.isatty())


def _cell(value: object) -> str:
    return (
        {None: "", True: "yes", False: "no"}[value]
        if value is None or isinstance(value, bool)
        else one_line(str(value))
    )
