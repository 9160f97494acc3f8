"""`confirm`: answer what a stopped run asks (SYN-4)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from syncengine.errors import Stopped

if TYPE_CHECKING:
    from syncengine.config import Config
    from syncengine.ports import ClientState


@click.command()
@click.argument("run")
@config_option
@json_option
@click.option("--accept", "answer", flag_value="accept", help="It is meant; the next sync goes on with it.")
@click.option("--revert", "answer", flag_value="revert", help="Put back what was deleted; the next sync does it.")
@command
@wakes_agent(lambda said: said["answer"])
def confirm(run: str, config_path: Path | None, as_json: bool, answer: str | None) -> int:
    """Answer what a stopped RUN asks: accept its deletions, or put back what was deleted; without an option, list them.

    Only what that run saw is answered; what comes later asks again."""
    from syncengine import bootstrap

    config = read_config(config_path)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        if answer is None:
            return _list(state, run, as_json)
        stack.enter_context(state.lock())
        if answer == "accept":
            _accept(config, state, run, as_json)
        else:
            _revert(config, state, run, as_json)
    return 0


def _list(state: ClientState, run: str, as_json: bool) -> int:
    from syncengine import render
    from syncengine.services.sync import braking

    doomed, question = braking.asked_about(state, run), braking.asked(state, run)
    shown = render.asking_json(run, doomed, question, braking.ways(state, run))
    if as_json:
        print_json(shown)
    elif question is not None:
        say(f"{question.what}\n  where: {question.where}\n{shown['ways']}")
    else:
        print_table(["item", "subject", "deleted on"], [(d.key, d.description, d.side) for d in doomed])
        click.echo(f"Deletions that wait: {len(doomed)}. {shown['ways']}")
    return Stopped.exit_code


def _accept(config: Config, state: ClientState, run: str, as_json: bool) -> None:
    from syncengine import render
    from syncengine.services.sync import braking

    accepted = braking.accept(state, run, config.brake)
    question = braking.asked(state, run)
    if as_json:
        print_json({"accepted": render.deletions_json(accepted), "question": render.question_json(question)})
    elif question is not None:
        click.echo('Confirmed; "syncengine sync" goes on.')
    else:
        click.echo(f'Deletions accepted: {len(accepted)}; "syncengine sync" passes them on.')


def _revert(config: Config, state: ClientState, run: str, as_json: bool) -> None:
    from syncengine import bootstrap, render

    done = bootstrap.revert(config, state, run)
    if as_json:
        rows: list[Any] = [{**render.deletion_json(r.deletion), "how": r.how} for r in done]
        print_json({"reverted": rows})
        return
    print_table(
        ["item", "subject", "what becomes of it"], [(r.deletion.key, r.deletion.description, r.how) for r in done]
    )
    click.echo(f'Deletions reverted: {len(done)}; "syncengine sync" carries it out.')
