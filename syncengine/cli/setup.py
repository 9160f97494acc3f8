"""`init` and `check`: from nothing to a configuration that works."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, json_option, print_json, read_config, say
from syncengine.config import Config, default_path, shown_url
from syncengine.errors import ConfigError, SyncEngineError

TEMPLATE = """\
# Settings of syncengine. Paths are relative to this file.

[user]
employee  = "{employee}"          # the address the activity server knows you by
addresses = ["{employee}"]        # all addresses of yours
# timezone = "Europe/Berlin"      # for times without a zone; the machine's by default

[state]
path = "state.db"

[server]
url = "sqlite:///activities.db"   # or postgresql://…, or https://… with token = …
generic_owner = "{generic_owner}" # owns what no known employee owns; not a real person

[[pim]]
name = "work"
connector = "vdir"                # a folder of .ics files; or "caldav" with url, username, password
path = "{calendar}"
share_new = ["event", "todo"]     # share_existing = … : the same kinds by default
mapping = "default"

# [[pim]]
# name = "caldav"
# connector = "caldav"
# url = "https://calendar.example.com/me/work/"
# username = "me"
# password = {{ keyring = "work" }} # or {{ command = ["pass", "work"] }}, {{ env = "WORK_PASSWORD" }}
"""
DIRECTORY = """\
{{
  "employees": [
    {{"id": "me", "name": "{employee}", "addresses": ["{employee}"], "user": true}},
    {{"id": "generic", "name": "Generic owner", "addresses": ["{generic_owner}"]}}
  ],
  "contacts": [],
  "accounts": [],
  "opportunities": []
}}
"""


@click.command()
@config_option
@click.option("--employee", default="me@example.com", show_default=True, help="The address the server knows you by.")
@click.option("--generic-owner", default="generic.owner@example.com", show_default=True)
@click.option("--calendar", default="calendar", show_default=True, help="The folder of .ics files.")
@json_option
@command
def init(config_path: Path | None, employee: str, generic_owner: str, calendar: str, *, as_json: bool) -> int:
    """Write a first configuration, a directory to import and an empty calendar folder. Overwrites nothing."""
    path = config_path or default_path()
    if path.exists():
        raise ConfigError(
            "There is a configuration already.", where=str(path), fix="Edit it, or give --config another name."
        )
    values = {"employee": employee, "generic_owner": generic_owner, "calendar": calendar}
    directory = path.parent / "directory.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / calendar).mkdir(parents=True, exist_ok=True)
        path.write_text(TEMPLATE.format(**values), encoding="utf-8")
        path.chmod(0o600)
        if not directory.exists():
            directory.write_text(DIRECTORY.format(**values), encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"The configuration cannot be written: {e.strerror}.", where=str(path)) from e
    if as_json:
        print_json({"config": str(path), "directory": str(directory), "calendar": str(path.parent / calendar)})
        return 0
    option = f" --config {path}" if config_path else ""
    click.echo(f"Written: {path}\nNext:\n  1. read it and correct the addresses")
    click.echo(f"  2. syncengine directory import {directory}{option}")
    click.echo(f"  3. syncengine check{option}\n  4. syncengine sync{option}")
    return 0


@click.command()
@config_option
@json_option
@command
def check(config_path: Path | None, as_json: bool) -> int:
    """Check configuration, mappings and both sides. Changes nothing; tells everything that is wrong at once."""
    config = read_config(config_path)
    found = _checks(config)
    wrong = [e for _, e in found if e is not None]
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "checks": [{"what": what, "ok": error is None} for what, error in found],
                "problems": [{"what": e.what, "where": e.where, "fix": e.fix} for e in wrong],
            }
        )
    else:
        for what, error in found:
            say(f"{'ok     ' if error is None else 'problem'}  {what}")
        for error in wrong:
            say(str(error), err=True)
    return min((e.exit_code for e in wrong), default=0)


def _checks(config: Config) -> list[tuple[str, SyncEngineError | None]]:
    found: list[tuple[str, SyncEngineError | None]] = [(f"configuration {config.path}", None)]
    for name in dict.fromkeys(pim.mapping for pim in config.pims):
        found.append((f"mapping {name}", _error(lambda name=name: _mapping(name, config))))
    if not any(error for _, error in found):
        found.append(("filter", _error(lambda: _view(config))))
    if any(error for _, error in found):
        return found  # nothing is opened with a wrong mapping (MAP-2)
    found.append((f"activity server {shown_url(config.server.url)}", _error(lambda: _server(config))))
    found.append((f"state {config.state}", _error(lambda: _state(config))))
    if config.policies.path:
        found.append((f"policies {config.policies.path}", _error(lambda: _policies(config))))
    if config.alarm:
        found.append(("alarm", _error(lambda: _alarm(config))))
    for pim in config.pims:
        found.append((f"pim {pim.name}", _error(lambda pim=pim: _pim(pim.name, config))))
    return found


def _error(action: object) -> SyncEngineError | None:
    try:
        action()  # type: ignore[operator]
    except SyncEngineError as e:
        return e
    return None


def _policies(config: Config) -> None:
    from syncengine.bootstrap.policies import configured_policies

    configured_policies(config)


def _mapping(name: str, config: Config) -> None:
    from syncengine import bootstrap

    bootstrap.load_mapping(name, config)


def _view(config: Config) -> None:
    from syncengine import bootstrap

    bootstrap.chosen_view(config)


def _server(config: Config) -> None:
    from syncengine import bootstrap
    from syncengine.services.sync.greeting import check_user

    server = bootstrap.open_server(config)
    try:
        check_user(server.greet(), server.directory(), config.user.employee)
    finally:
        server.close()


def _alarm(config: Config) -> None:
    from syncengine import bootstrap

    bootstrap.alarm_channels(config)


def _state(config: Config) -> None:
    from syncengine import bootstrap

    if Path(config.state).exists():
        bootstrap.open_state(config).close()


def _pim(name: str, config: Config) -> None:
    from syncengine.bootstrap.pims import open_pim

    with ExitStack() as stack:
        pim_config = next(p for p in config.pims if p.name == name)
        pim = open_pim(pim_config)
        stack.callback(pim.close)
        pim.changes(None)
        _ = pim.kinds
