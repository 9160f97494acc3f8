"""`scenario run`: play scenario files and say which came true."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from syncengine.cli.output import command, json_option, print_json
from syncengine.errors import ConfigError


def requirements_of(file: Path) -> tuple[str, ...]:
    from syncengine.core.scenario import parse_scenario

    return parse_scenario(file.read_text(encoding="utf-8"), str(file)).requirements


@click.group()
def scenario() -> None:
    """Run scenario files: stories of what must happen."""


@scenario.command("run")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
@click.option("--requirement", metavar="ID", help="Only the stories that tell of this requirement, such as CAL-3.")
@command
def run(paths: tuple[Path, ...], as_json: bool, requirement: str | None) -> int:
    """Play the scenarios in PATHS (files, or folders searched for *.toml)."""
    from syncengine.bootstrap.scenario import play_scenario

    files = sorted({f for p in paths for f in ([p] if p.is_file() else p.rglob("*.toml"))})
    if not files:
        raise ConfigError("There is no scenario file.", where=", ".join(map(str, paths)))
    if requirement:
        files = [f for f in files if requirement.upper() in requirements_of(f)]
    if not files:
        raise ConfigError(f"No story tells of {requirement}.", where=", ".join(map(str, paths)))
    verdicts = [play_scenario(f) for f in files]
    failures = [v for v in verdicts if v.failure]
    if as_json:
        print_json([{"file": v.scenario.file, "story": v.scenario.story, "failure": v.failure} for v in verdicts])
    else:
        for verdict in verdicts:
            good = not verdict.failure
            colour = ("green" if good else "red") if sys.stdout.isatty() else None
            click.echo(click.style("ok   " if good else "FAIL ", fg=colour) + verdict.scenario.story)
            if verdict.failure:
                click.echo(f"     {verdict.scenario.file}: {verdict.failure}")
        click.echo(f"{len(verdicts) - len(failures)} of {len(verdicts)} stories came true")
    return 1 if failures else 0
