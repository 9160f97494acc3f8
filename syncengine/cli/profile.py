"""`profile`: the communication profiles, and whether they work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say
from syncengine.config import shown_url
from syncengine.config.profiles import ProfileConfig, profile_named
from syncengine.errors import SideError, SyncEngineError
from syncengine.model.outbound import Outcome, Verdict
from syncengine.model.profile import Offer

REFUSED = 1


@click.group()
def profile() -> None:
    """The communication profiles by which email leaves; see [[profile]] in the configuration."""


@profile.command("list")
@config_option
@json_option
@command
def list_profiles(config_path: Path | None, as_json: bool) -> int:
    """List them; the default one is marked."""
    config = read_config(config_path)
    default = profile_named(config.profiles, "", config.outbound.profile).name if _has_default(config) else ""
    rows = [_row(p, default) for p in config.profiles]
    if as_json:
        print_json(rows)
    elif rows:
        headings = ("name", "default", "from", "smtp", "pop3", "per_minute")
        print_table(headings, [[row[name] for name in headings] for row in rows])
    else:
        click.echo("No communication profile is configured: add a [[profile]] with name, from and smtp.")
    return 0


@profile.command()
@click.argument("name")
@click.option("--send-to", "address", help="Also send a message to this address.")
@config_option
@json_option
@command
def test(name: str, address: str | None, config_path: Path | None, as_json: bool) -> int:
    """Log on to the servers of the profile NAME, and say what they offer."""
    from syncengine import bootstrap
    from syncengine.bootstrap.senders_email import send_trial, try_profile

    config = read_config(config_path)
    chosen = profile_named(config.profiles, name, "")
    found = dict(try_profile(chosen))
    outcome = None
    if address and isinstance(found["smtp"], Offer):
        try:
            outcome = send_trial(config, chosen, address, bootstrap.new_id())
        except SyncEngineError as e:
            found["smtp"] = e
    if as_json:
        print_json(_as_json(chosen.name, found, address, outcome))
    else:
        _show(found, address, outcome)
    return _code(found, outcome)


def _code(found: Mapping[str, Offer | SyncEngineError], outcome: Outcome | None) -> int:
    failures = [one.exit_code for one in found.values() if isinstance(one, SyncEngineError)]
    refused = outcome is not None and outcome.verdict is not Verdict.SENT
    return max(failures, default=REFUSED if refused else 0)


def _has_default(config: Any) -> bool:
    return bool(config.outbound.profile) or len(config.profiles) == 1


def _row(one: ProfileConfig, default: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "default": one.name == default,
        "from": one.sender,
        "smtp": shown_url(one.smtp),
        "pop3": shown_url(one.pop3),
        "per_minute": one.per_minute or None,
    }


def _as_json(
    name: str, found: Mapping[str, Offer | SyncEngineError], address: str | None, outcome: Outcome | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {"profile": name}
    for server, one in found.items():
        if isinstance(one, SyncEngineError):
            retry = isinstance(one, SideError) and one.retry
            shown[server] = {"state": "failed", "what": one.what, "where": one.where, "fix": one.fix, "retry": retry}
        else:
            shown[server] = {"state": "ok", **_offer(server, one)}
    if outcome:
        shown["sent"] = {"to": address, "verdict": outcome.verdict, "because": outcome.because}
    return shown


def _offer(server: str, one: Offer) -> dict[str, Any]:
    """What is known of the one kind of server and not of the other is left out."""
    common: dict[str, Any] = {"tls": one.tls or None, "auth": list(one.auth)}
    if one.command:
        return {"command": one.command}
    if server == "pop3":
        return {**common, "uidl": one.uidl, "messages": one.messages}
    return {**common, "size": one.size, "smtputf8": one.smtputf8, "dsn": one.dsn}


def _show(found: Mapping[str, Offer | SyncEngineError], address: str | None, outcome: Outcome | None) -> None:
    for server, one in found.items():
        if isinstance(one, SyncEngineError):
            say(f"{server}: {one}", err=True)
        else:
            facts = ", ".join(f"{name} {_words(value)}" for name, value in _offer(server, one).items())
            say(f"{server}: logged on ({facts})" if not one.command else f"{server}: {facts}")
    if outcome:
        sent = outcome.verdict is Verdict.SENT
        say(f"A message to {address} was {outcome.because}." if sent else f"To {address}: {outcome.because}")


def _words(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "none" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
