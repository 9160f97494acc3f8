"""What an agent tells, as lines of a log without secrets and without contents of items (`process.log`).

Of an event only the fields below are written, its sentences without whatever they quote.
"""

from __future__ import annotations

import logging
from typing import Any

from syncengine.core.scrub import scrubbed
from syncengine.model.agent import Event, EventKind, Outcome

AGENT = "syncengine.agent"
log = logging.getLogger(AGENT)


def write(event: Event) -> None:
    """Log an event; an agent's hook."""
    log.log(_level(event), event.kind.value, extra={"fields": fields_of(event)})


def fields_of(event: Event) -> dict[str, Any]:
    """What is written of an event; what is empty is left out."""
    quotes = event.outcome is Outcome.CONFIG  # then they are around names of settings, which say what to mend
    found: dict[str, Any] = {
        "pim": event.pim,
        "outcome": event.outcome.value if event.outcome else "",
        "run": event.run,
        **{name: scrubbed(getattr(event, name), quotes=quotes) for name in ("reason", "what", "where", "fix")},
        **{name: round(value, 3) for name, value in event.counts.items() if value},
        "failures": event.failures or "",
        "wait": round(event.wait) if event.wait is not None else "",
    }
    return {name: value for name, value in found.items() if value != ""}


def _level(event: Event) -> int:
    """What repeats itself is for those who look closely: a run that found nothing, a trouble that was told."""
    if event.kind is EventKind.TOLD:
        return logging.WARNING
    if event.kind is not EventKind.RUN:
        return logging.INFO
    if event.outcome is not Outcome.DONE:
        return logging.WARNING if event.failures == 1 else logging.DEBUG
    return logging.INFO if event.counts.get("writes") or event.counts.get("linked") else logging.DEBUG
