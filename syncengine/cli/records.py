"""`filter`, `lookup`, `record`: what the user works with, how much of it there is, finding and editing records."""

from __future__ import annotations

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
    tell,
    wakes_agent,
)
from syncengine.cli.server import open_server
from syncengine.errors import ConfigError, NotThere
from syncengine.model.directory import RecordKey, RecordType
from syncengine.ports import ClientState

_RECORDS = ("account", "contact", "opportunity")
_kind = click.argument("kind", metavar="TYPE", type=click.Choice(_RECORDS))
_id = click.argument("record_id", metavar="ID")


def _state(config_path: Path | None, stack: ExitStack, *, lock: bool = False) -> ClientState:
    from syncengine import bootstrap

    state = bootstrap.open_state(read_config(config_path))
    stack.callback(state.close)
    if lock:
        stack.enter_context(state.lock())
    return state


@click.command("filter")
@click.option("--preset", default="", help="Count this preset instead of the configured one.")
@config_option
@json_option
@command
def filter_(preset: str, config_path: Path | None, as_json: bool) -> int:
    """Count what the configured filter, or another preset, would give. Changes nothing."""
    from syncengine import bootstrap
    from syncengine.model.filters import EVERYTHING

    config = read_config(config_path)
    view = bootstrap.chosen_view(config, preset)
    with ExitStack() as stack:
        counts = open_server(config, stack).count(view or EVERYTHING)
    rows = [(kind.value, count.complete, count.incomplete) for kind, count in counts.items()]
    if as_json:
        print_json({kind: {"complete": complete, "incomplete": incomplete} for kind, complete, incomplete in rows})
        return 0
    print_table(("type", "complete", "to look at"), rows)
    if view is None:
        click.echo(
            "No filter is chosen: all records are kept, and your team's activities; [visibility] preset chooses."
        )
    return 0


@click.command()
@click.argument("text")
@click.option("--type", "kind", type=click.Choice((*_RECORDS, "employee")), help="Only records of this type.")
@click.option("--server", "on_server", is_flag=True, help="Among all records of the server, by name.")
@click.option("--pin", "picked", metavar="ID", help="Keep this one of those found, to look at; implies --server.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 50))
@config_option
@json_option
@command
def lookup(
    text: str,
    kind: str | None,
    on_server: bool,
    picked: str | None,
    limit: int,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Find accounts, contacts, opportunities and employees by name or address; the closest match comes first."""
    wanted = RecordType(kind) if kind else None
    if on_server or picked:
        rows = _on_server(text, wanted, limit, picked, config_path)
    else:
        rows = _here(text, wanted, limit, config_path)
    if as_json:
        print_json(rows)
    else:
        columns = tuple(rows[0]) if rows else ("type", "id", "name")
        print_table(columns, [[row[c] for c in columns] for row in rows])
        if not rows:
            click.echo("Nothing like it was found." + ("" if on_server else " --server asks the server."))
        if picked:
            click.echo(f"{picked} is kept from the next sync on.")
    return 0


def _here(text: str, kind: RecordType | None, limit: int, config_path: Path | None) -> list[dict[str, Any]]:
    from syncengine.services.records import look_up

    with ExitStack() as stack:
        directory = _state(config_path, stack).directory()
    found = look_up(directory, text, kind, limit)
    return [
        {
            "type": key[0].value,
            "id": key[1],
            "name": directory.records[key].name,
            "complete": key not in directory.incomplete,
        }
        for key in found
    ]


def _on_server(
    text: str, kind: RecordType | None, limit: int, picked: str | None, config_path: Path | None
) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        server = open_server(read_config(config_path), stack)
        found = server.look_up(text, kind, limit)
        if picked:
            one = [match.key for match in found if match.key[1] == picked]
            if len(one) != 1:
                raise NotThere(
                    f"{len(one)} of the records found have the id {picked!r}.", fix="name its --type, or its whole name"
                )
            server.pin(one[0])
    return [{"type": m.key[0].value, "id": m.key[1], "name": m.name, "account": m.account} for m in found]


@click.group()
def record() -> None:
    """Look at, and edit, the accounts, contacts and opportunities kept here; works offline as well."""


@record.command("show")
@_kind
@_id
@config_option
@json_option
@command
def show(kind: str, record_id: str, config_path: Path | None, as_json: bool) -> int:
    """All that is known of a record here."""
    from syncengine.core.directory_file import record_to_json

    key = _key(kind, record_id)
    with ExitStack() as stack:
        state = _state(config_path, stack)
        directory, edits = state.directory(), state.edits()
    if key not in directory.records:
        raise NotThere(f"There is no {kind} {record_id!r} here.", fix='"syncengine lookup" finds what there is')
    waits = any(edit.key == key for edit in edits)
    shown = record_to_json(directory.records[key]) | {"complete": key not in directory.incomplete, "edited": waits}
    if as_json:
        print_json(shown)
    else:
        print_table(("field", "value"), [(n, "; ".join(v) if isinstance(v, list) else v) for n, v in shown.items()])  # type: ignore[arg-type]
    return 0


@record.command("set")
@_kind
@_id
@click.argument("assignments", metavar="FIELD=VALUE", nargs=-1, required=True)
@config_option
@json_option
@command
@wakes_agent()
def set_fields(
    kind: str, record_id: str, assignments: tuple[str, ...], config_path: Path | None, *, as_json: bool
) -> int:
    """Change fields of a complete record; an empty value empties the field, `;` separates the values of a list."""
    from syncengine.services import records

    values = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            raise ConfigError(f"{assignment!r} is no FIELD=VALUE.", fix="Write it like name=Acme.")
        values[name] = value
    with ExitStack() as stack:
        shown = records.set_fields(_state(config_path, stack, lock=True), _key(kind, record_id), values)
    words = f"{kind} {record_id} ({shown.name}) is changed here; the next sync tells the server"
    tell(_told(kind, record_id, "changed"), words, as_json=as_json)
    return 0


@record.command("undo")
@_kind
@_id
@config_option
@json_option
@command
@wakes_agent()
def undo(kind: str, record_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Take back an edit that waits: the server's values stand."""
    from syncengine.services import records

    with ExitStack() as stack:
        records.undo(_state(config_path, stack, lock=True), _key(kind, record_id))
    tell(_told(kind, record_id, "undone"), f"your edit of {kind} {record_id} is dropped", as_json=as_json)
    return 0


@record.command("keep")
@_kind
@_id
@config_option
@json_option
@command
@wakes_agent()
def keep(kind: str, record_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Keep your edit although somebody changed the same field; the next sync puts it there."""
    from syncengine.services import records

    with ExitStack() as stack:
        records.keep(_state(config_path, stack, lock=True), _key(kind, record_id))
    words = f"your edit of {kind} {record_id} goes up with the next sync"
    tell(_told(kind, record_id, "kept"), words, as_json=as_json)
    return 0


@record.command("unpin")
@_kind
@_id
@config_option
@json_option
@command
def unpin(kind: str, record_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Let a record go that a look-up on the server had picked."""
    with ExitStack() as stack:
        open_server(read_config(config_path), stack).pin(_key(kind, record_id), pinned=False)
    words = f"{kind} {record_id} is let go with the next sync, unless it is related to what you work with"
    tell(_told(kind, record_id, "unpinned"), words, as_json=as_json)
    return 0


def _told(kind: str, record_id: str, done: str) -> dict[str, str]:
    return {"type": kind, "id": record_id, "done": done}


def _key(kind: str, record_id: str) -> RecordKey:
    return RecordType(kind), record_id


filter = filter_  # noqa: A001 - the command's own name
