"""`pager`: the services by which pages leave, and whether they work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say, tell
from syncengine.config import Config
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.model.outbound import Outcome

NOT_SENT = 1
TEST, ZERO = "This is a test.", "0"


@click.group()
def pager() -> None:
    """The pager services of the configuration: modems, email gateways and web services; see [[pager]]."""


@pager.command("list")
@config_option
@json_option
@command
def list_services(config_path: Path | None, *, as_json: bool) -> int:
    """List the pager services and where their pages go."""
    pagers = read_config(config_path).pagers
    alone = len(pagers) == 1
    rows = [(p.name, p.connector, p.place, p.default or alone) for p in pagers]
    if as_json:
        print_json([dict(zip(("name", "connector", "place", "default"), row, strict=True)) for row in rows])
    elif rows:
        print_table(("name", "connector", "place", "default"), rows)
    else:
        say("No pager service is configured.")
    return 0


@pager.command()
@click.argument("name", required=False, default="")
@click.option("--page", "employee", metavar="EMPLOYEE", help="Send this employee (an address or id) a page, too.")
@click.option("--text", default=None, show_default=TEST, help="What an alphanumeric pager shows.")
@click.option("--digits", default=None, show_default=ZERO, help="What a numeric pager shows.")
@config_option
@json_option
@command
def test(
    name: str, employee: str | None, text: str | None, digits: str | None, config_path: Path | None, *, as_json: bool
) -> int:
    """Try whether the modem or web service of NAME answers; without a name, of the default service. Nothing is sent
    but with --page."""
    from syncengine.bootstrap.senders_page import try_pager
    from syncengine.config.pagers import pager_named
    from syncengine.model.outbound import Page, Verdict

    if employee is None and (text, digits) != (None, None):
        raise ConfigError("Nobody is named whom to page.", fix="Give --page EMPLOYEE, too.")
    config = read_config(config_path)
    service = pager_named(config.pagers, name).name
    words = try_pager(config, service)
    told: dict[str, Any] = {"name": service, "answer": words, "page": None}
    if employee is None:
        tell(told, f"{service}: {words}.", as_json=as_json)
        return 0
    outcome = _page(config, service, employee, Page("", text or TEST, digits or ZERO))
    sent = {"verdict": outcome.verdict.value, "because": outcome.because}
    tell(told | {"page": sent}, f"{service}: {words}.\n{sent['verdict']}: {sent['because']}", as_json=as_json)
    return 0 if outcome.verdict is Verdict.SENT else NOT_SENT


def _page(config: Config, service: str, employee: str, page: Any) -> Outcome:
    """At once, past the queue: a test tells what happened."""
    from dataclasses import replace

    from syncengine import bootstrap
    from syncengine.bootstrap.senders_page import open_pager, pager_lookup
    from syncengine.model.outbound import Request
    from syncengine.services.outbound.asking import employee_id

    if bootstrap.is_remote(config):
        raise ConfigError(
            "Pages leave on the server itself, which knows the pagers.",
            where="server.url",
            fix="Run this command there, with the database as [server] url.",
        )
    store = bootstrap.open_store(config.server.url)
    try:
        to = employee_id(store, employee)
        sender = open_pager(config, service, pager_lookup(store))
        try:
            request = Request(bootstrap.new_id(), replace(page, employee=to), "command line", service)
            return sender.send(request, {}, lambda: None)
        finally:
            sender.close()
    finally:
        store.close()
