"""`activities`, `activity`, `directory`, `token`, `serve`: the activity server's side."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
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
    tell,
    wakes_agent,
)
from syncengine.config import Config
from syncengine.errors import ConfigError, ItemError, NotThere, SideError, Unreachable
from syncengine.ports import ActivityServer, ActivityStore

if TYPE_CHECKING:
    from syncengine.model.outbound import Request
    from syncengine.services.client_activities import ClientActivities


def open_server(config: Config, stack: ExitStack) -> ActivityServer:
    """The configured activity server, closed by `stack`."""
    from syncengine import bootstrap

    names = bootstrap.load_mapping(config.pims[0].mapping, config).names if config.pims else None
    server = bootstrap.open_server(config, names)
    stack.callback(server.close)
    return server


def _rows(server: ActivityServer) -> list[dict[str, Any]]:
    from syncengine import render

    directory = server.directory()
    return [render.activity_json(a, directory) for a in server.activities()]


@click.command()
@config_option
@json_option
@click.option("--under", metavar="ID", help="Only those related to this account, contact, opportunity or employee.")
@click.option(
    "--hidden", is_flag=True, help="Only those this client shows nowhere: no item, and nothing they are under."
)
@click.option("--offline", is_flag=True, help="Those kept here, with what is not sent yet, without asking the server.")
@command
def activities(config_path: Path | None, as_json: bool, under: str | None, *, hidden: bool, offline: bool) -> int:
    """List all live activities the user may see; incomplete ones are other people's, to look at only."""
    with ExitStack() as stack:
        config = read_config(config_path)
        if hidden:
            rows = _hidden_rows(config, stack)
        else:
            rows = _kept(config, stack) if offline else _rows(open_server(config, stack))
    if under is not None:
        rows = [row for row in rows if under in _parents(row)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "type", "description", "planned", "due", "status", "owner", "complete")
        print_table(columns, [[row[c] for c in columns] for row in rows])
    return 0


def _hidden_rows(config: Config, stack: ExitStack) -> list[dict[str, Any]]:
    from syncengine import bootstrap

    return bootstrap.hidden_activities(config, stack)


def _kept(config: Config, stack: ExitStack) -> list[dict[str, Any]]:
    from syncengine import bootstrap, render
    from syncengine.services.client_activities import meant

    state = bootstrap.open_state(config)
    stack.callback(state.close)
    directory = state.directory()
    here = {p.activity_id: render.known_activity(p) for p in meant(state)}
    kept = {a.id: a for a in state.activities_under(None)} | here
    return [render.activity_json(a, directory) for a in kept.values()]


def _parents(row: dict[str, Any]) -> list[str]:
    """The records an activity stands under (ACT-10)."""
    return [row["account"], row["opportunity"], *row["contacts"], *row["employees"]]


@click.group()
def activity() -> None:
    """Add, change or delete an activity, as a user of the server would."""


offline_option = click.option(
    "--offline", is_flag=True, help="On this client's own records; the next sync carries it up."
)


def _on_this_client(config: Config, stack: ExitStack) -> ClientActivities:
    from syncengine import bootstrap

    return bootstrap.client_activities(config, stack)


def _naming_offline(error: Unreachable) -> Unreachable:
    return Unreachable(error.what, where=error.where, fix=f"{error.fix} Or say --offline: the next sync carries it up.")


@activity.command("add")
@config_option
@offline_option
@click.option(
    "--json", "source", type=click.File("r", encoding="utf-8"), required=True, help="The fields; - is standard input."
)
@command
@wakes_agent(lambda said: said["offline"])
def add(config_path: Path | None, source: Any, *, offline: bool) -> int:
    """Add activities: a JSON object of fields, or a list of them. Prints their ids."""
    from syncengine import bootstrap
    from syncengine.services import activity_editing

    try:
        raw = json.load(source)
    except ValueError as e:
        raise ConfigError(f"This is not JSON: {e}.", where=getattr(source, "name", "standard input")) from e
    records = raw if isinstance(raw, list) else [raw]
    if not all(isinstance(r, dict) for r in records):
        raise ConfigError("An activity is a JSON object of fields.", fix='Write {"description": "…", …}.')
    with ExitStack() as stack:
        config = read_config(config_path)
        if offline:
            here = _on_this_client(config, stack)
            for record in records:
                click.echo(here.add(record).id)
            return 0
        try:
            server = open_server(config, stack)
            for record in records:
                click.echo(activity_editing.create(server, record, bootstrap.new_id).id)
        except Unreachable as e:
            raise _naming_offline(e) from e
    return 0


@activity.command("set")
@click.argument("activity_id", metavar="ID")
@click.argument("assignments", metavar="FIELD=VALUE", nargs=-1, required=True)
@click.option("--whole", is_flag=True, help="Of a series, change also what is past.")
@config_option
@json_option
@offline_option
@command
@wakes_agent(lambda said: said["offline"])
def set_fields(
    activity_id: str,
    assignments: tuple[str, ...],
    config_path: Path | None,
    *,
    whole: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Change fields of an activity; an empty value empties the field, `;` separates the values of a list.

    A series that is to take place at another time keeps what is past: it ends, and a new one goes on."""
    from syncengine import bootstrap
    from syncengine.services import activity_editing

    values = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign:
            raise ConfigError(f"{assignment!r} is no FIELD=VALUE.", fix="Write it like description=Lunch.")
        values[name] = value
    with ExitStack() as stack:
        config = read_config(config_path)
        if offline:
            proxy = _on_this_client(config, stack).change(activity_id, values, whole=whole)
            words = f"{proxy.key} is changed here; the next sync carries it up"
            tell({"key": proxy.key, "id": proxy.activity_id, "sent": False}, words, as_json=as_json)
            return 0
        try:
            server = open_server(config, stack)
            now = None if whole else bootstrap.from_now_on(config)
            changed = activity_editing.edit(server, activity_id, values, bootstrap.new_id, now)
        except Unreachable as e:
            raise _naming_offline(e) from e
    words = f"{changed.id} is now version {changed.version}"
    if changed.id != activity_id:
        words = f"what is past of {activity_id} stays; from {changed['planned']} on it is {changed.id}"
    tell({"id": changed.id, "version": changed.version, "sent": True}, words, as_json=as_json)
    return 0


@activity.command("delete")
@click.argument("activity_id", metavar="ID")
@config_option
@json_option
@offline_option
@command
@wakes_agent(lambda said: said["offline"])
def delete(activity_id: str, config_path: Path | None, *, offline: bool, as_json: bool) -> int:
    """Delete an activity. The deletion travels to everybody's PIM."""
    from syncengine import bootstrap
    from syncengine.services import activity_editing

    with ExitStack() as stack:
        config = read_config(config_path)
        if offline:
            left = _on_this_client(config, stack).delete(activity_id)
            words = f"{activity_id} is deleted" + ("; the next sync passes it on" if left else "")
            tell({"id": activity_id, "deleted": True, "sent": not left}, words, as_json=as_json)
            return 0
        try:
            activity_editing.delete(open_server(config, stack), activity_id, bootstrap.new_id)
        except Unreachable as e:
            raise _naming_offline(e) from e
    tell({"id": activity_id, "deleted": True, "sent": True}, f"{activity_id} is deleted", as_json=as_json)
    return 0


@activity.command("show")
@click.argument("key")
@config_option
@json_option
@command
def show(key: str, config_path: Path | None, as_json: bool) -> int:
    """Show the activity of one item, as this client knows it: UID, activity id or file name."""
    from syncengine import bootstrap, render

    with ExitStack() as stack:
        shown = render.known_json(*bootstrap.known_activity(read_config(config_path), stack, key))
    if as_json:
        print_json(shown)
    else:
        say(render.known_text(shown))
    return 0


@click.group()
def directory() -> None:
    """The people and companies activities relate to."""


@directory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@json_option
@command
def import_directory(file: Path, config_path: Path | None, *, as_json: bool) -> int:
    """Put the employees, contacts, accounts and opportunities of FILE into the server's database.

    Importing the same file twice changes nothing."""
    from syncengine import bootstrap, render
    from syncengine.core.directory_file import parse_directory

    config = read_config(config_path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"The directory cannot be read: {e}.", where=str(file)) from e
    found = parse_directory(text, str(file))
    if bootstrap.is_remote(config):
        raise ConfigError(
            "The directory of a remote server is imported on that server.",
            where="server.url",
            fix="Run this command there, with the database as [server] url.",
        )
    store = bootstrap.open_store(config.server.url)
    try:
        with store.transaction(write=True):
            changed = store.put_directory(found)
    finally:
        store.close()
    kinds = ("employees", "contacts", "accounts", "opportunities")
    numbers = {kind: len(getattr(found, kind)) for kind in kinds}
    counts = ", ".join(f"{number} {kind}" for kind, number in numbers.items())
    words = f"{counts}: {'imported' if changed else 'all known already, nothing changed'}"
    tell({**numbers, "changed": changed}, words, as_json=as_json)
    for words in render.ambiguous_addresses(found):
        say(f"note: {words}", err=True)
    return 0


@directory.command("remove")
@click.argument("kind", metavar="TYPE", type=click.Choice(("account", "contact", "opportunity")))
@click.argument("record_id", metavar="ID")
@config_option
@json_option
@command
def remove_record(kind: str, record_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Remove a record from the server's database. Activities that are related to it stay as they are."""
    from syncengine import bootstrap
    from syncengine.model.directory import RecordType

    config = read_config(config_path)
    if bootstrap.is_remote(config):
        raise ConfigError(
            "Records of a remote server are removed on that server.",
            where="server.url",
            fix="Run this command there, with the database as [server] url.",
        )
    store = bootstrap.open_store(config.server.url)
    try:
        with store.transaction(write=True):
            removed = store.remove_record((RecordType(kind), record_id))
    finally:
        store.close()
    if not removed:
        raise NotThere(f"The directory has no {kind} {record_id!r}.", fix="give the id of one that is there")
    tell({"type": kind, "id": record_id, "removed": True}, f"{kind} {record_id} is removed", as_json=as_json)
    return 0


@click.command()
@click.argument("employee")
@config_option
@json_option
@click.option("--label", default="", help="What the token is for; shown nowhere but in the database.")
@click.option("--operator", is_flag=True, help="It also allows to look after the queue of what leaves.")
@command
def token(employee: str, config_path: Path | None, label: str, *, operator: bool, as_json: bool) -> int:
    """Issue a token for EMPLOYEE (an address or id). It is shown this once only."""
    from syncengine import bootstrap
    from syncengine.services.tokens import issue
    from syncengine.times import system_clock

    config = read_config(config_path)
    if bootstrap.is_remote(config):
        raise ConfigError(
            "Tokens are issued on the server itself.",
            where="server.url",
            fix="Run this command there, with the database as [server] url.",
        )
    store = bootstrap.open_store(config.server.url)
    try:
        found = issue(store, employee, label, system_clock, operator=operator)
    finally:
        store.close()
    tell({"employee": employee, "token": found, "operator": operator}, found, as_json=as_json)
    return 0


def _settled(config: Config, store: ActivityStore, request: Request) -> Request:
    """What an operator asks for; raises ItemError also for a profile that is none."""
    from syncengine.bootstrap.outbound import check_profile
    from syncengine.services.outbound.asking import settled

    try:
        check_profile(config, request)
    except ConfigError as e:
        raise ItemError(e.what, where=e.where, fix=e.fix) from e
    return settled(store, request)


@click.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8750, show_default=True, type=click.IntRange(0, 65535))
@click.option("--mapping", "mapping_name", help="Speak this mapping's names for fields and values.")
@command
def serve(config_path: Path | None, host: str, port: int, mapping_name: str | None) -> int:
    """Serve the activity database over HTTP, described at /openapi.json; users come with tokens of their own."""
    import uvicorn

    from syncengine import bootstrap
    from syncengine.bootstrap.outbound import default_names, open_outbound, open_queue
    from syncengine.model.mapping import ServerNames
    from syncengine.services.activities import check_generic_owner
    from syncengine.services.tokens import is_operator, recognise
    from syncengine.web.app import create_app
    from syncengine.web.outbound import Desk

    config = read_config(config_path)
    if bootstrap.is_remote(config):
        raise ConfigError(
            "Only a database can be served.", where="server.url", fix="Set it to sqlite:///… or postgresql://…."
        )
    names = bootstrap.load_mapping(mapping_name, config).names if mapping_name else ServerNames()
    store, files = bootstrap.open_store(config.server.url), bootstrap.open_contents(config)
    most_bytes = config.server.max_attachment_mb * 1_000_000

    def activities_of(bearer: str) -> ActivityServer | None:
        employee = recognise(store, bearer)
        if employee is None:
            return None
        return bootstrap.embedded(store, employee.id, config.server.generic_owner, files=files)

    def operator_of(bearer: str) -> str | None:
        employee = recognise(store, bearer)
        if employee is None:
            return None
        return f"operator {employee.id}" if is_operator(store, bearer) else ""

    queue = open_outbound(config)
    opened, settle = partial(open_queue, config, stack := ExitStack()), partial(_settled, config, store)
    desk = Desk(operator_of, queue, opened, config.outbound.keep_days, settle, default_names(config))
    try:
        check_generic_owner(store, config.server.generic_owner)
        click.echo(f"Serving on http://{host}:{port} (Ctrl-C ends it).", err=True)
        uvicorn.run(
            create_app(activities_of, names, most_bytes, desk=desk),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
        )
    except SystemExit as e:  # how uvicorn says that it could not start
        raise SideError("The server could not be started.", where=f"{host}:{port}", fix="Choose another --port.") from e
    finally:
        stack.close()
        queue.close()
        store.close()
    return 0
