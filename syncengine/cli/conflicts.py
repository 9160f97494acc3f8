"""`conflicts`, `show`, `resolve`: what waits for a person, and what they say to it."""

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
    tell,
    wakes_agent,
)

WAITING = 1
BOTH = "The server's stands, the PIM's becomes a copy that is not shared; of a duplicate: they are two."
ALWAYS = 'Remember the answer for such conflicts of this item, this field or this type ("conflicts --answers").'


@click.command()
@config_option
@json_option
@click.option("--answers", "list_answers", is_flag=True, help="List the answers that are remembered instead.")
@click.option("--forget", metavar="ANSWER", help="Forget a remembered answer, by its number in that list.")
@command
@wakes_agent(lambda said: said["forget"] is not None)
def conflicts(config_path: Path | None, *, as_json: bool, list_answers: bool, forget: str | None) -> int:
    """List the conflicts that wait for you. The exit code is 1 while there are any."""
    from syncengine import bootstrap
    from syncengine.services.conflicts import answer_json

    with ExitStack() as stack:
        use = bootstrap.open_conflicts(read_config(config_path), stack)
        if forget is not None:
            words = use.forget(forget).words
            tell({"forgotten": words}, f"forgotten: {words}", as_json=as_json)
            return 0
        if list_answers:
            _print_answers([answer_json(n, answer) for n, answer in enumerate(use.answers(), 1)], as_json=as_json)
            return 0
        found = [use.brief(p) for p in use.waiting()]
    if as_json:
        print_json(found)
    elif found:
        rows = [(f["id"], f["item"], f["subject"], _what(f), f["since"]) for f in found]
        print_table(["id", "item", "subject", "what conflicts", "since"], rows)
    else:
        click.echo("No conflict waits.")
    return WAITING if found else 0


def _print_answers(answers: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(answers)
    elif answers:
        print_table(["number", "answer"], [(a["number"], a["answer"]) for a in answers])
    else:
        click.echo("No answer is remembered.")


def _what(found: dict[str, Any]) -> str:
    fields = ", ".join(found["fields"])
    return f"{fields} ({found['because']})" if fields else str(found["because"])


@click.command()
@click.argument("key", metavar="ID")
@config_option
@json_option
@command
def show(key: str, config_path: Path | None, *, as_json: bool) -> int:
    """Show one conflict: each field as it was, as the PIM and as the server has it, and what would resolve it."""
    from syncengine import bootstrap

    with ExitStack() as stack:
        use = bootstrap.open_conflicts(read_config(config_path), stack)
        found = use.whole(use.find(key))
    if as_json:
        print_json(found)
        return 0
    say(f"{found['item']}  {found['subject'] or ''}\n  {found['because']}")
    for side, name in (("in the PIM", "pim_changed"), ("on the server", "server_changed")):
        if found[name]:
            click.echo(f"  changed {side}: {found[name]}")
    for one in found["values"]:
        say(f"  {one['field']}")
        for name in ("base", "pim", "server"):
            say(f"    {name:<7} {'(nothing)' if one[name] is None else repr(one[name])}")
        if one["merged"] is not None and not _is_two_lines(one):
            click.echo("    merged" + (", with overlaps:" if one["overlaps"] else ":"))
            say("".join(f"      {line}\n" for line in one["merged"].splitlines()).rstrip("\n"))
    click.echo("Resolve it with one of:")
    for line in found["commands"]:
        say(f"  {line}")
    return 0


def _is_two_lines(one: dict[str, Any]) -> bool:
    """Whether the merge would only show the two values once more: of single lines that overlap."""
    return bool(one["overlaps"]) and "\n" not in f"{one['base'] or ''}{one['pim'] or ''}{one['server'] or ''}"


@click.command()
@click.argument("key", metavar="ID")
@config_option
@json_option
@click.option(
    "--take",
    multiple=True,
    metavar="SIDE|FIELD=SIDE",
    help="Whose value stands: server, pim; FIELD=server, pim or merged.",
)
@click.option("--set", "values", multiple=True, metavar="FIELD=VALUE", help="Another value, for both sides.")
@click.option("--keep-both", "--not-the-same", is_flag=True, help=BOTH)
@click.option("--always", type=click.Choice(["item", "field", "type"]), default=None, help=ALWAYS)
@command
@wakes_agent()
def resolve(
    key: str,
    config_path: Path | None,
    *,
    as_json: bool,
    take: tuple[str, ...],
    values: tuple[str, ...],
    keep_both: bool,
    always: str | None,
) -> int:
    """Answer a conflict; the next sync carries it out. What is not taken is in the history ("explain")."""
    from syncengine import bootstrap
    from syncengine.core.sync.resolve import open_conflicts
    from syncengine.services.conflicts import Wish

    with ExitStack() as stack:
        use = bootstrap.open_conflicts(read_config(config_path), stack, writing=True)
        proxy = use.resolve(key, Wish(take, values, keep_both, always or ""))
    left = [] if keep_both else [h.field for h in open_conflicts(proxy)]
    if as_json:
        print_json({"id": proxy.id, "item": proxy.key, "left": left})
    else:
        rest = f"; still open: {', '.join(left)}" if left else ""
        say(f"{proxy.key} is answered{rest}; the next sync carries it out")
    return WAITING if left else 0
