"""[outbound]: how what leaves is worked on, and what holds for all of it (OUT-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from syncengine.config.reading import Table
from syncengine.core.outbound.dates import DATE, MOMENT, checked_format
from syncengine.errors import ItemError
from syncengine.times import find_zone

SECTION = "outbound"
KNOWN = (
    "profile",
    "date",
    "moment",
    "timezone",
    "tasks",
    "keys",
    "batch",
    "tick",
    "dead_after",
    "keep_days",
    "executor",
)
MOST_TASKS = 64
DAY = 86_400


@dataclass(frozen=True)
class OutboundConfig:
    """profile: the communication profile of requests that name none; empty: the only one there is.
    date, moment: how dates and times look in messages (strftime). zone: on whose wall clock; None: the user's.
    tasks: batches worked on at once, started with the server. keys: the request keys this worker takes; none: those
    without a key. batch: requests taken at a time. tick: seconds between looks for what is due. dead_after: seconds
    without a sign of life after which another worker's requests are taken over. keep_days: how long what is finished
    is kept. executor: this worker's own name; empty: made of the machine's."""

    profile: str = ""
    date: str = DATE
    moment: str = MOMENT
    zone: ZoneInfo | None = None
    tasks: int = 1
    keys: tuple[str, ...] = ()
    batch: int = 50
    tick: float = 5.0
    dead_after: float = 60.0
    keep_days: int = 90
    executor: str = ""


def read_outbound(raw: Mapping[str, Any], faults: list[str]) -> OutboundConfig:
    """Of the whole file; what is wrong is added to `faults`."""
    values = raw.get(SECTION, {})
    if not isinstance(values, dict):
        faults.append(f"{SECTION}: write it as [{SECTION}]")
        return OutboundConfig()
    table = Table(SECTION, values, faults)
    table.only(KNOWN)
    return OutboundConfig(
        profile=table.text("profile"),
        date=_format(table, "date", DATE),
        moment=_format(table, "moment", MOMENT),
        zone=_zone(table),
        tasks=table.count("tasks", 1, least=1, most=MOST_TASKS),
        keys=table.texts("keys"),
        batch=table.count("batch", 50, least=1, most=1000),
        tick=table.seconds("tick", 5.0, most=3600),
        dead_after=table.seconds("dead_after", 60.0, most=DAY),
        keep_days=table.count("keep_days", 90, most=36_500),
        executor=table.text("executor"),
    )


def _format(table: Table, name: str, otherwise: str) -> str:
    try:
        return checked_format(table.text(name, otherwise))
    except ItemError as e:
        table.faults.append(f"{table.where}.{name}: {e.what.rstrip('.')}; {e.fix}")
        return otherwise


def _zone(table: Table) -> ZoneInfo | None:
    name = table.text("timezone")
    zone = find_zone(name) if name else None
    if name and zone is None:
        table.faults.append(f"{table.where}.timezone: {name!r} is no time zone; write a name like Europe/Berlin")
    return zone
