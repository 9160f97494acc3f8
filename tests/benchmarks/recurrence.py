"""What expanding and translating series costs, beside recurring-ical-events and python-dateutil in the same run.

    python -m tests.benchmarks.recurrence [--series 1000] [--json]

Every library gets the same series, of kinds as calendars have them, begun up to ten years ago, and lists the
occurrences of one year. Parsing is not counted. Translating them into the patterns of a server has no peer. Absolute
figures are this machine's; compare within one run only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import recurring_ical_events
from dateutil.rrule import rrulestr
from icalendar import Calendar

from syncengine.bootstrap import shipped_mapping
from syncengine.core.recurrence.expand import between
from syncengine.core.recurrence.rule import parse_rule
from syncengine.core.recurrence.translate import translate
from syncengine.model.recurrence import YEARS, Limits, Recurrence, Translation
from syncengine.times import Moment

ROUNDS = 5
"""How often each expands everything, taking turns; the median counts."""
YEAR = date(2026, 1, 1), date(2026, 12, 31)
OURS, DATEUTIL, RECURRING = "syncengine", "python-dateutil", "recurring-ical-events"
WORDS = """
ms            of processor time to list the occurrences of {year} of all series, median of {rounds} rounds
us each       the same for one occurrence
ratio         how many times as long as syncengine it takes
spread        (largest - smallest) / median of the rounds: differences below that mean nothing

python-dateutil lists local times and knows neither all-day series nor the gaps that the clock leaves.
recurring-ical-events makes a component for each occurrence; syncengine and python-dateutil make times.
"""

_ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
_RULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO",
    "FREQ=WEEKLY;BYDAY=TH;COUNT=400",
    "FREQ=WEEKLY;UNTIL=20260630T235959Z",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=3",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=2TU",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=15",
)


@dataclass(frozen=True)
class Entry:
    """One series, for all libraries."""

    rule: str
    start: Moment

    def text(self, number: int) -> str:
        if not isinstance(self.start, datetime):
            begin = f"DTSTART;VALUE=DATE:{self.start:%Y%m%d}"
        else:
            begin = f"DTSTART;TZID={self.start.tzinfo}:{self.start:%Y%m%dT%H%M%S}"
        lines = ("BEGIN:VEVENT", f"UID:{number}", "DTSTAMP:20260101T000000Z", begin, f"RRULE:{self.rule}", "END:VEVENT")
        return "\r\n".join(lines)


@dataclass(frozen=True)
class Figures:
    """ms: processor time of a round. occurrences: how many were found."""

    ms: float
    occurrences: int
    spread: float


def entries(count: int) -> list[Entry]:
    """The same for the same count. All begin before the year, as recurring-ical-events also lists a start that its own
    rule does not produce."""
    random = Random(20260101)
    made = []
    for number in range(count):
        rule = _RULES[number % len(_RULES)]
        day = YEAR[0] - timedelta(days=1 + random.randrange(3650))
        if random.random() < 0.2 and "T" not in rule.partition("UNTIL=")[2]:
            made.append(Entry(rule, day))
            continue
        zone = ZoneInfo(random.choice(_ZONES))
        made.append(Entry(rule, datetime(day.year, day.month, day.day, random.randrange(6, 20), 30, tzinfo=zone)))
    return made


Expand = Callable[[], list[int]]
"""Expands every series; how many occurrences each has."""


def _ours(series: Sequence[Entry]) -> Expand:
    parsed = [(parse_rule(entry.rule), entry.start) for entry in series]
    return lambda: [len(between(rule, start, *YEAR)) for rule, start in parsed]


def _dateutil(series: Sequence[Entry]) -> Expand:
    starts = [entry.start if isinstance(entry.start, datetime) else _midnight(entry.start) for entry in series]
    rules = [rrulestr(entry.rule, dtstart=start) for entry, start in zip(series, starts, strict=True)]
    windows = [_window(start) for start in starts]
    return lambda: [len(rule.between(*window, inc=True)) for rule, window in zip(rules, windows, strict=True)]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a date has no zone


def _window(start: datetime) -> tuple[datetime, datetime]:
    begin, end = (_midnight(day).replace(tzinfo=start.tzinfo) for day in YEAR)
    return begin, end + timedelta(days=1, seconds=-1)


def _recurring(series: Sequence[Entry]) -> Expand:
    """A calendar for each series, as one resource of a CalDAV server is."""
    head, tail = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//bench//EN\r\n", "\r\nEND:VCALENDAR\r\n"
    calendars = [Calendar.from_ical(head + entry.text(number) + tail) for number, entry in enumerate(series)]
    end = YEAR[1] + timedelta(days=1)
    return lambda: [len(recurring_ical_events.of(calendar).between(YEAR[0], end)) for calendar in calendars]


LIBRARIES: dict[str, Callable[[Sequence[Entry]], Expand]] = {
    OURS: _ours,
    DATEUTIL: _dateutil,
    RECURRING: _recurring,
}


def compare(count: int) -> dict[str, Figures]:
    """What each library takes. Raises ValueError when they do not find the same number of occurrences."""
    series = entries(count)
    expand = {name: prepare(series) for name, prepare in LIBRARIES.items()}
    found = {name: run() for name, run in expand.items()}
    for name, counts in found.items():
        _same(series, name, counts, found[OURS])
    rounds: dict[str, list[float]] = {name: [] for name in expand}
    for _ in range(ROUNDS):
        for name, run in expand.items():
            rounds[name].append(_milliseconds(run))
    return {name: _figures(times, sum(found[name])) for name, times in rounds.items()}


def _same(series: Sequence[Entry], name: str, counts: Sequence[int], ours: Sequence[int]) -> None:
    for entry, theirs, own in zip(series, counts, ours, strict=True):
        if theirs != own:
            raise ValueError(f"{entry.rule} from {entry.start}: {name} finds {theirs}, {OURS} {own}")


def _milliseconds(run: Expand) -> float:
    begun = time.process_time()
    run()
    return (time.process_time() - begun) * 1000


def _figures(times: Sequence[float], occurrences: int) -> Figures:
    median = statistics.median(times)
    return Figures(median, occurrences, (max(times) - min(times)) / median)


def translations(count: int) -> float:
    """How many of the series a second are translated into the default mapping's patterns, rule texts read and all."""
    patterns = shipped_mapping("default").patterns
    limits = Limits(YEAR[0], YEARS)
    series = [Recurrence(entry.start, entry.rule) for entry in entries(count)]

    def run() -> list[int]:
        return [isinstance(translate(one, patterns, limits), Translation) for one in series]

    if not all(run()):
        raise ValueError("a series was not translated")
    return count * 1000 / statistics.median(_milliseconds(run) for _ in range(ROUNDS))


def report(count: int) -> dict[str, object]:
    """What `--json` prints: `expansion` holds the figures and ratio of each library, `translations` those a second."""
    figures = compare(count)
    ours = figures[OURS].ms
    rows = {name: {**asdict(f), "ratio": f.ms / ours} for name, f in figures.items()}
    return {"series": count, "year": YEAR[0].year, "expansion": rows, "translations": translations(count)}


def as_text(count: int, figures: dict[str, Figures]) -> str:
    columns = ("ms", "us each", "ratio", "spread")
    lines = [f"{count} series, {figures[OURS].occurrences} occurrences", ""]
    lines.append(f"{'':24}" + "".join(f"{column:>12}" for column in columns))
    for name, f in figures.items():
        each = f.ms * 1000 / max(f.occurrences, 1)
        lines.append(f"{name:24}{f.ms:12.1f}{each:12.1f}{f.ms / figures[OURS].ms:12.1f}{f.spread:12.0%}")
    return "\n".join(lines) + "\n" + WORDS.format(year=YEAR[0].year, rounds=ROUNDS)


def main(arguments: Sequence[str] | None = None) -> int:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recurrence", description=summary)
    parser.add_argument("--series", type=int, default=1000, help="how many series (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    chosen = parser.parse_args(arguments)
    if chosen.json:
        print(json.dumps(report(chosen.series), indent=2))
    else:
        print(as_text(chosen.series, compare(chosen.series)))
        print(f"{translations(chosen.series):,.0f} translations a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
