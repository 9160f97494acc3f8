"""The agent's log lines: one for each run that did something, one for each thing that waits for a person."""

from __future__ import annotations

import logging

from syncengine.model.agent import Event, EventKind, Outcome

log = logging.getLogger("syncengine.agent")


def write(event: Event) -> None:
    """Log an event. Its parts are extras of the record as well, for those who want more than a line."""
    extra = {name: getattr(event, name) for name in ("kind", "pim", "outcome", "run", "failures")}
    log.log(_level(event), "%s", line(event), extra=extra)


def line(event: Event) -> str:
    """`name=value` for all that is filled; texts in quotes, in one line."""
    parts: dict[str, object] = {"event": event.kind.value, "pim": event.pim}
    parts["outcome"] = event.outcome.value if event.outcome else ""
    parts |= {"run": event.run, "reason": event.reason, "what": event.what, "where": event.where, "fix": event.fix}
    parts |= {name: round(value, 3) for name, value in event.counts.items() if value}
    parts |= {"failures": event.failures} if event.failures else {}
    parts |= {"wait": round(event.wait)} if event.wait is not None else {}
    return " ".join(f"{name}={_quoted(value)}" for name, value in parts.items() if value != "")


def _level(event: Event) -> int:
    """What repeats itself is for those who look closely: a run that found nothing, a trouble that was told."""
    if event.kind is EventKind.TOLD:
        return logging.WARNING
    if event.kind is not EventKind.RUN:
        return logging.INFO
    if event.outcome is not Outcome.DONE:
        return logging.WARNING if event.outcome is Outcome.OFFLINE and event.failures == 1 else logging.DEBUG
    return logging.INFO if event.counts.get("writes") or event.counts.get("linked") else logging.DEBUG


def _quoted(value: object) -> str:
    text = " ".join(str(value).split())
    return f'"{text.replace(chr(34), chr(39))}"' if " " in text or not text else text
