"""`recurrence`: what the server makes of recurrence rules, for whoever asks why an entry looks as it does."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from syncengine.bootstrap import load_mapping, shipped_mapping
from syncengine.cli.lines import answer_lines
from syncengine.cli.output import command, config_option, read_config
from syncengine.core.recurrence.answer import answer
from syncengine.model.recurrence import Limits
from syncengine.times import system_clock

_EXAMPLE = '{"dtstart":"2026-03-02T09:00:00","tzid":"Europe/Berlin","rrule":"FREQ=WEEKLY;INTERVAL=2;COUNT=4"}'


class _Date(click.ParamType[date]):
    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date like 2027-03-02.", param, ctx)


HELP = f"""Tell which of the server's series recurrence rules become.

Reads one recurrence per line of standard input as JSON, and answers each with one line of JSON:

\b
  {_EXAMPLE}

\b
  dtstart      local time or date      rrule        the rule, RFC 5545
  tzid         zone, null: floating    rdate        extra dates
  all_day      true for dates          exdate       excluded ones
  changed      originally here, changed or cancelled since

\b
  pattern      the server's pattern; null where it is no series
  start        its first occurrence    expires      its last day
  exceptions   what it leaves out      singles      single activities
  losses       what is not told        because      why

A line that cannot be understood is answered with "error", and the others go on; the exit code is 1 then.
"""


@click.command(help=HELP, short_help="Tell which of the server's series recurrence rules become.")
@click.option("--horizon", type=_Date(), help="Tell endless rules up to this day, not as far as the mapping says.")
@click.option("--mapping", "mapping_name", help="The mapping whose patterns count; without it, the default one.")
@config_option
@command
def recurrence(horizon: date | None, mapping_name: str | None, config_path: Path | None) -> int:
    if config_path is not None:
        config = read_config(config_path)
        mapping = load_mapping(mapping_name or config.pims[0].mapping, config)
    else:
        mapping = shipped_mapping(mapping_name or "default")
    limits = Limits(_today(), mapping.years, horizon)
    malformed: list[bool] = []

    def tell(line: bytes) -> dict[str, object]:
        told = answer(line.decode("utf-8", "replace"), mapping.patterns, limits)
        if "error" in told and not malformed:
            malformed.append(True)
        return told

    answer_lines(tell)
    return int(bool(malformed))


def _today() -> date:
    now: datetime = system_clock()
    return now.astimezone().date()
