"""`agent install` and `agent uninstall`: the agent starts with the session of its user."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from syncengine.cli.output import command, config_option, json_option, print_json, read_config
from syncengine.config import Config, default_path
from syncengine.core import agent_units
from syncengine.core.agent_units import GUIDES, LINGER, AgentCall
from syncengine.errors import ConfigError, Problem

_PLATFORMS = {"darwin": "launchd", "win32": "windows"}
_TEXTS = {
    "systemd": agent_units.systemd_unit,
    "launchd": agent_units.launchd_agent,
    "windows": agent_units.windows_task,
}
_SECONDS = 60
RELOAD = "systemctl --user daemon-reload"

for_option = click.option(
    "--for",
    "platform",
    type=click.Choice(list(GUIDES)),
    default=lambda: _PLATFORMS.get(sys.platform, "systemd"),
    help="Of which system; this machine's by default.",
)
now_option = click.option("--now", is_flag=True, help="Run the commands of systemd that are shown otherwise.")


@click.command()
@config_option
@json_option
@for_option
@now_option
@click.option("--dry-run", is_flag=True, help="Print what would be written; change nothing.")
@command
def install(config_path: Path | None, as_json: bool, platform: str, now: bool, dry_run: bool) -> int:
    """Have the agent started with your session: writes a systemd unit of your own, or says what to do elsewhere."""
    from syncengine.bootstrap import agent_unit

    config = read_config(config_path)
    path = (config_path or default_path()).absolute()
    text = _TEXTS[platform](AgentCall(_program(), str(path)))
    writes = platform == "systemd" and not dry_run
    place = agent_unit()
    written = _write(place, text, path, now=now) if writes else False
    guide = GUIDES[platform]
    todo = [] if now and writes else list(guide.start)
    hints = [*_hints(config), *([f"To keep it running while you are logged out: {LINGER}"] if _is(platform) else [])]
    if as_json:
        shown = {"for": platform, "unit": str(place) if _is(platform) else None, "written": written}
        print_json({**shown, "dry_run": dry_run, "text": text, "commands": todo, "hints": hints})
        return 0
    if writes:
        click.echo(f"{'Written' if written else 'Unchanged'}: {place}")
    elif _is(platform):
        click.echo(f"Would be written as {place}:\n\n{text}")
    else:
        click.echo(f"Save this as {guide.place}:\n\n{text}" if guide.place else text)
    click.echo("\n".join(["Then:" if todo else "Started.", *(f"    {line}" for line in todo), *hints]))
    return 0


@click.command()
@json_option
@for_option
@now_option
@click.option("--dry-run", is_flag=True, help="Print what would be deleted; change nothing.")
@command
def uninstall(as_json: bool, platform: str, now: bool, dry_run: bool) -> int:
    """Take away what `agent install` wrote. Calendars and state stay."""
    from syncengine.bootstrap import agent_unit
    from syncengine.services.agent_unit import config_of_unit, delete_unit

    place, deleted, todo = agent_unit(), False, list(GUIDES[platform].stop)
    if _is(platform) and dry_run:
        deleted, todo = config_of_unit(place) is not None, []
    elif _is(platform):
        if now and config_of_unit(place) is not None:
            _run(todo)
        deleted, todo = delete_unit(place), [f"systemctl --user stop {place.name}", RELOAD]
        if now and deleted:
            _run([RELOAD])
        if now or not deleted:
            todo = []
    if as_json:
        print_json({"for": platform, "unit": str(place), "deleted": deleted, "dry_run": dry_run, "commands": todo})
        return 0
    if _is(platform):
        word = "Would be deleted" if dry_run and deleted else "Deleted" if deleted else "Nothing is there"
        click.echo(f"{word}: {place}")
    for line in todo:
        click.echo(f"    {line}")
    return 0


def stop_unit() -> Problem | None:
    """Stop the agent and keep it from starting again, before the product is removed: otherwise it would set up anew
    what was taken away. What kept it from that, or None."""
    try:
        _run(GUIDES["systemd"].stop)
    except ConfigError as e:
        return Problem(e.what, e.where, "Stop the agent by hand, or the calendars are synchronized anew.")
    return None


def _is(platform: str) -> bool:
    return platform == "systemd"


def _program() -> tuple[str, ...]:
    """The command beside the interpreter that runs now, or that interpreter with the module."""
    script = Path(sys.executable).parent / ("syncengine.exe" if sys.platform == "win32" else "syncengine")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "syncengine.cli.main")


def _write(place: Path, text: str, config: Path, *, now: bool) -> bool:
    from syncengine.services.agent_unit import write_unit

    written = write_unit(place, text, config)
    if now:
        _run(GUIDES["systemd"].start)
    return written


def _run(commands: Sequence[str]) -> None:
    """Raises ConfigError naming the command that failed, with what it said."""
    for line in commands:
        try:
            done = subprocess.run(line.split(), capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
            said = done.stderr.strip() or f"it ended with {done.returncode}"
        except (OSError, subprocess.SubprocessError) as e:
            done, said = None, str(e)
        if done is None or done.returncode:
            raise ConfigError(f"A command failed: {said}", where=line, fix="Give it yourself, in a session of yours.")


def _hints(config: Config) -> list[str]:
    """What the agent will not have once a service manager starts it."""
    return [
        f"{s.where} comes from the environment variable {s.value}, which a service does not have: keep it in the "
        f'keyring ("syncengine login {s.account}"), or give the service an EnvironmentFile '
        f'("systemctl --user edit {agent_units.UNIT}").'
        for s in config.secrets
        if s.source == "env"
    ]
