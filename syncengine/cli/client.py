"""`delete`, `relate`: what a user does with the client's own records; the next sync carries it out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

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
from syncengine.errors import ConfigError


@click.command()
@click.argument("key")
@config_option
@json_option
@click.option("--here-only", is_flag=True, help="Delete the item alone; its activity stays.")
@command
@wakes_agent()
def delete(key: str, config_path: Path | None, *, here_only: bool, as_json: bool) -> int:
    """Delete an item from this PIM and stop synchronizing it: UID, activity id or file name.

    The activity stays, you stay on its team, and nobody else notices. "share" makes an item again where the product had
    made it; your own entry, which "explain" still shows, is linked again when you put it back after that."""
    from syncengine import bootstrap
    from syncengine.services.sharing import delete_here

    if not here_only:
        raise ConfigError(
            "Say what is meant.",
            where=key,
            fix="--here-only deletes the item alone. To delete the activity for everybody, delete the item in the "
            f'calendar, or say "syncengine activity delete {key}".',
        )
    with ExitStack() as stack:
        state = bootstrap.open_state(read_config(config_path))
        stack.callback(state.close)
        stack.enter_context(state.lock())
        proxies = delete_here(state, key)
    if as_json:
        print_json([{"key": p.key, "description": p.values.get("description"), "here_only": True} for p in proxies])
        return 0
    print_table(
        ["item", "subject", ""],
        [(p.key, p.values.get("description"), "deleted here only, with the next sync") for p in proxies],
    )
    return 0


@click.command()
@click.argument("key")
@config_option
@json_option
@click.option("--contact", "contacts", multiple=True, metavar="ID", help="Relate a contact.")
@click.option("--employee", "employees", multiple=True, metavar="ID", help="Relate an employee.")
@click.option("--account", metavar="ID", help="Relate an account in place of the one there is.")
@click.option("--opportunity", metavar="ID", help="Relate an opportunity in place of the one there is.")
@click.option("--no-contact", "no_contacts", multiple=True, metavar="ID")
@click.option("--no-employee", "no_employees", multiple=True, metavar="ID")
@click.option("--no-account", is_flag=True)
@click.option("--no-opportunity", is_flag=True)
@click.option("--invite", multiple=True, metavar="ADDRESS", help="Add to the To line, and to your own calendar entry.")
@command
@wakes_agent()
def relate(
    key: str,
    config_path: Path | None,
    contacts: tuple[str, ...],
    employees: tuple[str, ...],
    account: str | None,
    opportunity: str | None,
    no_contacts: tuple[str, ...],
    no_employees: tuple[str, ...],
    *,
    no_account: bool,
    no_opportunity: bool,
    invite: tuple[str, ...],
    as_json: bool,
) -> int:
    """Relate people and companies to the activity known as KEY, without the server; the next sync carries it up.

    Whoever is related is not invited, and a to-do is not assigned; --invite is for that."""
    from syncengine import bootstrap
    from syncengine.services.client_activities import Relations

    relations = Relations(
        contacts,
        employees,
        no_contacts,
        no_employees,
        "" if no_account else account,
        "" if no_opportunity else opportunity,
        invite,
    )
    if not relations:
        raise ConfigError("Nothing to relate.", where=key, fix="Say whom or what: --contact ID, --account ID, …")
    with ExitStack() as stack:
        proxy = bootstrap.client_activities(read_config(config_path), stack).relate(key, relations)
    tell({"key": proxy.key}, f"{proxy.key} is changed here; the next sync carries it up", as_json=as_json)
    return 0
