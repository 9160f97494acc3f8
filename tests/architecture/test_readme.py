"""What README.md shows works: its configuration is read, its commands and options exist."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import click
import pytest

from syncengine.cli.main import main
from syncengine.config import load

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_EXAMPLES = sorted({line.strip() for line in re.findall(r"^    syncengine ([^#\n]*)", README, re.M)})


def test_the_configuration_it_shows_is_read_as_it_says(tmp_path: Path) -> None:
    start = README.index("    [user]\n")
    text = textwrap.dedent(README[start : README.index("\n\n", start)])
    (tmp_path / "config.toml").write_text(re.sub(r"\{ (keyring|command) = .*? \}", '"secret"', text), encoding="utf-8")
    found = load(tmp_path / "config.toml")
    work, _, mail = found.pims
    assert work.share_existing == work.share_new
    assert (sorted(mail.share_new), sorted(mail.share_existing)) == (["email"], [])


@pytest.mark.parametrize("example", _EXAMPLES)
def test_the_commands_it_shows_exist_with_their_options(example: str) -> None:
    words = example.split()
    found: click.Command | None = main
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        found = found.get_command(click.Context(found), words.pop(0))
    assert found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
