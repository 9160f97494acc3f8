"""Logs of the processes that run for long, the agent and workers, without secrets and without contents.

The standard library does it: one formatter of a few lines is all that a library for structured logs would be used for.
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
from syncengine.times import iso

ALL = "syncengine"
OLDER = 3
"""How many full files are kept beside the one that is written."""
MEGABYTE = 1_000_000


def complain(error: SyncEngineError, name: str = ALL) -> None:
    """Log what failed beside the regular work, an alarm for instance. name: of the logger."""
    fields = {"error": type(error).__name__, "what": scrubbed(error.what), "fix": scrubbed(error.fix)}
    logging.getLogger(name).warning("trouble", extra={"fields": fields})


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
    if (fields := getattr(record, "fields", None)) is not None:
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
