"""`issues`, `retry`, `ignore`, `runs`: what failed and what was done, as far as it is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.model.issue import Issue
    from syncengine.ports import ClientState

ITEMS_WAIT = 1
MOST = 1000


def _open(config_path: Path | None, stack: ExitStack, *, lock: bool = False) -> ClientState:
    from syncengine import bootstrap

    state = bootstrap.open_state(read_config(config_path))
    stack.callback(state.close)
    if lock:
        stack.enter_context(state.lock())
    return state


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that are ignored.")
@config_option
@json_option
@command
def issues(config_path: Path | None, *, everything: bool, as_json: bool) -> int:
    """List the items that failed: what, where, how to mend it, and when each is tried again.

    Exit code 1 when there are any that are not ignored."""
    from syncengine import render_health

    with ExitStack() as stack:
        state = _open(config_path, stack)
        shown = render_health.issues_json(state.issues(), state.runs(1), everything=everything)
    if as_json:
        print_json(shown)
    else:
        for line in render_health.run_error_lines(shown["run_error"]):
            say(line)
        if shown["issues"]:
            print_table(render_health.ISSUE_COLUMNS, map(render_health.issue_row, shown["issues"]))
        else:
            click.echo("No item has failed.")
        if shown["ignored"] and not everything:
            click.echo(f"{shown['ignored']} ignored; --all lists them, too.")
    return ITEMS_WAIT if shown["open"] or shown["parked"] else 0


@click.command()
@click.argument("ids", metavar="ID", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, also those that are parked or ignored.")
@config_option
@json_option
@command
@wakes_agent()
def retry(ids: tuple[str, ...], config_path: Path | None, *, everything: bool, as_json: bool) -> int:
    """Try failed items again with the next sync, by their ids, also those that are parked or ignored."""
    from syncengine.services.sync import retrying

    if bool(ids) is everything:
        raise ConfigError("Say which: ids, or --all.", fix='"syncengine issues --all" lists those there are.')
    return _treat(ids, config_path, retrying.retry, "is tried again with the next sync", as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID", nargs=-1, required=True)
@config_option
@json_option
@command
def ignore(ids: tuple[str, ...], config_path: Path | None, *, as_json: bool) -> int:
    """Neither count nor try these failed items any more until they change; "retry" takes that back."""
    from syncengine.services.sync import retrying

    return _treat(ids, config_path, retrying.ignore, "is ignored until it changes", as_json=as_json)


def _treat(
    ids: tuple[str, ...],
    config_path: Path | None,
    treat: Callable[[ClientState, list[Issue]], None],
    words: str,
    *,
    as_json: bool,
) -> int:
    """Do it to the issues with these ids, to all when there are none. Prints them as they are then."""
    from syncengine import render_health
    from syncengine.core.issues import pick

    with ExitStack() as stack:
        state = _open(config_path, stack, lock=True)
        known = state.issues()
        chosen = pick(known, ids) if ids else known
        treat(state, chosen)
        after = [issue for i in chosen if (issue := state.issue(i.scope, i.subject)) is not None]
    shown = [render_health.issue_json(issue) for issue in after]
    if as_json:
        print_json(shown)
    else:
        print_table(["id", "where", "what becomes of it"], [(one["id"], one["where"], words) for one in shown])
    return 0


@click.command()
@click.argument("run", required=False)
@config_option
@json_option
@command
def runs(run: str | None, config_path: Path | None, *, as_json: bool) -> int:
    """List the runs that are kept, or show what one RUN did and why (the beginning of its id is enough)."""
    from syncengine import render_health

    with ExitStack() as stack:
        state = _open(config_path, stack)
        if run is None:
            listed = [render_health.run_json(r) for r in state.runs(MOST)]
        elif (found := state.run_named(run)) is None:
            raise ConfigError(f"No run is named {run!r}.", where=state.path, fix='"syncengine runs" lists them.')
        else:
            listed = [render_health.whole_run_json(found)]
    if as_json:
        print_json(listed if run is None else listed[0])
    elif run is None:
        print_table(render_health.RUN_COLUMNS, map(render_health.run_row, listed))
    else:
        say(render_health.run_text(listed[0]))
    return 0
