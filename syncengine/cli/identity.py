"""`message-id`: the stable keys of Message-IDs and calendar UIDs, for scripts that correlate mail and calendars."""

from __future__ import annotations

import re

import click

from syncengine.cli.lines import answer_lines
from syncengine.core.ical import uid as calendar
from syncengine.core.mime import message_id as mail

_ESCAPE = re.compile(r"\\([\\rnt])")
_MEANT = {"\\": "\\", "r": "\r", "n": "\n", "t": "\t"}


def _families(families: dict[str, str]) -> str:
    return "\n".join(f"  {name:<16} {meaning}" for name, meaning in families.items())


HELP = f"""Tell the stable key of Message-IDs or calendar UIDs, one per line.

Reads one value per line from standard input, in which \\r, \\n, \\t and \\\\ stand for line ends, tabs and backslashes,
and answers each line at once with one line of JSON. Two spellings of one id have one key; without an id it is null.

\b
  key              what all copies share
  message_id       the id without brackets, comments and folding
  family           how the key was found

\b
Families of Message-IDs:
{_families(mail.FAMILIES)}

\b
Families of UIDs (--uid):
{_families(calendar.FAMILIES)}
"""


@click.command(help=HELP, short_help="Tell stable keys of Message-IDs or calendar UIDs.")
@click.option("--uid", "as_uid", is_flag=True, help="The lines are UIDs of calendar entries.")
def message_id(as_uid: bool) -> None:
    tell = _tell_uid if as_uid else _tell_message_id
    answer_lines(lambda line: tell(_value(line)))


def _value(line: bytes) -> str:
    return _ESCAPE.sub(lambda found: _MEANT[found[1]], line.decode("utf-8", "surrogateescape"))


def _tell_message_id(value: str) -> dict[str, str | None]:
    found = mail.parse(value)
    return {"key": found.key, "family": found.family, "message_id": found.message_id}


def _tell_uid(value: str) -> dict[str, str | None]:
    found = calendar.normalise(value)
    return {"key": found.key, "family": found.family, "message_id": found.uid}
