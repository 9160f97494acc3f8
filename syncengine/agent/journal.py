"""What an agent tells, as lines of a log without secrets and without contents of items.

Of an event only the fields below are written, its sentences without whatever they quote. The standard library does it:
one formatter of a few lines is all that a library for structured logs would be used for.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from syncengine.config import LogConfig
from syncengine.core.scrub import scrubbed
from syncengine.errors import ConfigError, SyncEngineError
from syncengine.model.agent import Event, EventKind, Outcome
from syncengine.times import iso

ALL, AGENT = "syncengine", "syncengine.agent"
OLDER = 3
"""How many full files are kept beside the one that is written."""
MEGABYTE = 1_000_000
log = logging.getLogger(AGENT)


def write(event: Event) -> None:
    """Log an event; an agent's hook."""
    log.log(_level(event), event.kind.value, extra={"fields": fields_of(event)})


def complain(error: SyncEngineError) -> None:
    """Log what failed beside the runs, an alarm for instance."""
    fields = {"error": type(error).__name__, "what": scrubbed(error.what), "fix": scrubbed(error.fix)}
    log.warning("trouble", extra={"fields": fields})


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


def open_log(config: LogConfig, stream: TextIO | None = None, *, verbose: bool = False) -> None:
    """Let everything that is logged go where the configuration says. Raises ConfigError where that cannot be written.
    Libraries, which would print parts of answers on standard error, are not heard."""
    logging.getLogger().addHandler(logging.NullHandler())
    logger = logging.getLogger(ALL)
    try:
        handler = _OwnFile(config) if config.file else _Stream(stream or sys.stderr)
    except OSError as e:
        raise ConfigError(f"The log cannot be written: {e.strerror}.", where=config.file, fix="See [log] file.") from e
    handler.setFormatter(_FORMATTERS[config.format]())
    before, logger.handlers = logger.handlers, [handler]
    for old in before:
        old.close()
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else config.level.upper())


def _level(event: Event) -> int:
    """What repeats itself is for those who look closely: a run that found nothing, a trouble that was told."""
    if event.kind is EventKind.TOLD:
        return logging.WARNING
    if event.kind is not EventKind.RUN:
        return logging.INFO
    if event.outcome is not Outcome.DONE:
        return logging.WARNING if event.failures == 1 else logging.DEBUG
    return logging.INFO if event.counts.get("writes") or event.counts.get("linked") else logging.DEBUG


class _Quiet(logging.Handler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A log that cannot be written any more keeps nobody from the work."""


class _Stream(_Quiet, logging.StreamHandler[TextIO]):
    pass


class _OwnFile(_Quiet, RotatingFileHandler):
    """A file for its user alone, in pieces of a bounded size."""

    def __init__(self, config: LogConfig) -> None:
        Path(config.file).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(config.file, maxBytes=config.megabytes * MEGABYTE, backupCount=OLDER, encoding="utf-8")

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_for_its_user_alone)


def _for_its_user_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _said(record: logging.LogRecord) -> Mapping[str, Any]:
    """The fields of a record. Of an error only its kind and its place are known to be harmless."""
    if fields := getattr(record, "fields", None):
        return {"event": record.getMessage(), **fields}
    found = {"event": "trouble", "what": scrubbed(record.getMessage())}
    if record.exc_info and record.exc_info[0]:
        place = traceback.extract_tb(record.exc_info[2])[-1:]
        found["error"] = record.exc_info[0].__name__
        found["place"] = " ".join(f"{Path(p.filename).name}:{p.lineno}" for p in place)
    return found


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).replace(microsecond=int(record.msecs) * 1000)
        return json.dumps({"time": iso(at), "level": record.levelname.lower(), **_said(record)}, ensure_ascii=False)


class _Text(logging.Formatter):
    """`name=value` for all that is filled; texts in quotes, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        parts = " ".join(f"{name}={_quoted(value)}" for name, value in _said(record).items())
        return f"{self.formatTime(record)} {record.levelname} {parts}"


def _quoted(value: object) -> str:
    text = "".join(c if c.isprintable() else " " for c in str(value)).replace('"', "'")
    return f'"{text}"' if " " in text or not text else text


_FORMATTERS = {"json": _Json, "text": _Text}
