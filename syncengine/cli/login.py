"""`login` and `logout`: passwords and tokens in the system keyring. They are read without echo or from standard input,
never from the command line, which the process list and the shell's history show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, json_option, print_json, read_config, wakes_agent
from syncengine.config import ALARM, SERVER, Config
from syncengine.config.profiles import POP3_LOGIN
from syncengine.errors import ConfigError
from syncengine.secrets import Secret, in_keyring

NOT_THERE = 1
_SOURCES = {
    "text": "it is written there",
    "command": "it comes from a command",
    "env": "it comes from an environment variable",
}
"""Source of a secret other than the keyring → how the configuration gives it."""


@click.command()
@click.argument("name")
@config_option
@json_option
@click.option("--stdin", "piped", is_flag=True, help="Read it from standard input instead of asking for it.")
@click.option("--no-check", is_flag=True, help="Keep it without trying it, for instance while offline.")
@command
@wakes_agent()
def login(name: str, config_path: Path | None, as_json: bool, piped: bool, no_check: bool) -> int:
    """Keep the password or token of NAME, a PIM, a communication profile or "server", in the system keyring.

    It is tried first; one that is refused is not kept. An OAuth 2 access token of a mailbox is given in the same way.
    """
    from syncengine import logins

    config = read_config(config_path)
    configured = logins.account(config, name)
    word = "token" if name == SERVER or _takes_token(config, name) else "password"
    secret = _read(f"The {word} of {name}", piped=piped)
    if not no_check:
        logins.try_login(config, name, secret)
    kept = configured if configured.is_ours else in_keyring(name, configured.where)
    kept.remember(secret)
    todo = "" if kept in config.secrets else _to_write(kept)
    if as_json:
        print_json({"name": name, "kept": True, "tried": not no_check, "to_configure": todo})
        return 0
    click.echo(f"The {word} of {name} is {'kept' if no_check else 'accepted, and kept'} in the system keyring.")
    if todo:
        how = _SOURCES.get(configured.source, "it is not named there")
        section = _section(config, name)
        click.echo(f"The configuration does not use it yet ({how}). Write into {section} of {config.path}:")
        click.echo(f"    {todo}")
    return 0


@click.command()
@click.argument("name")
@config_option
@json_option
@command
def logout(name: str, config_path: Path | None, as_json: bool) -> int:
    """Delete the password or token of NAME, a PIM, a communication profile or "server", from the system keyring."""
    from syncengine import logins

    config = read_config(config_path)
    configured = logins.account(config, name)
    deleted = (configured if configured.is_ours else in_keyring(name, configured.where)).forget()
    if as_json:
        print_json({"name": name, "deleted": deleted})
    else:
        click.echo(f"{name}: {'deleted from the system keyring' if deleted else 'the system keyring holds nothing'}.")
        if not configured.is_ours:
            click.echo(f"The configuration does not use the keyring for it: {_SOURCES[configured.source]}.")
    return 0 if deleted else NOT_THERE


def _read(question: str, *, piped: bool) -> str:
    """Raises ConfigError where there is nothing to read, or nobody to ask."""
    if piped:
        found = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        found = click.prompt(question, hide_input=True, default="", show_default=False, err=True)
    else:
        raise ConfigError("There is no terminal to ask at.", fix="Pipe the password or token in, with --stdin.")
    if not found:
        raise ConfigError("Nothing was entered.", fix="Enter the password or token.")
    return found


def _takes_token(config: Config, name: str) -> bool:
    profiles = any(name in (p.name, p.name + POP3_LOGIN) and p.auth == "oauth2" for p in config.profiles)
    return profiles or any(p.name == name and p.auth == "oauth2" for p in config.pims)


def _to_write(kept: Secret) -> str:
    return f"{kept.where.rpartition('.')[2]} = {{ keyring = {json.dumps(kept.value, ensure_ascii=False)} }}"


def _section(config: Config, name: str) -> str:
    if name in (SERVER, ALARM):
        return f"[{name}]"
    profile = next((p.name for p in config.profiles if name in (p.name, p.name + POP3_LOGIN)), None)
    if profile:
        return f'the [[profile]] named "{profile}"'
    kind = "pager" if any(p.name == name for p in config.pagers) else "pim"
    return f'the [[{kind}]] named "{name}"'
