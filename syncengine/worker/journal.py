"""What a worker tells, as lines of the log, without contents and without whom it is for (`process.log`)."""

from __future__ import annotations

import logging
from typing import Any

from syncengine.core.scrub import scrubbed
from syncengine.model.outbound import Tiding, Word

WORKER = "syncengine.worker"
log = logging.getLogger(WORKER)

_LEVELS = {
    Word.FAILED: logging.WARNING,
    Word.LOST: logging.WARNING,
    Word.STOPPED: logging.ERROR,
    Word.TROUBLE: logging.ERROR,
    Word.SUCCEEDED: logging.DEBUG,
    Word.PUT_OFF: logging.DEBUG,
}


def write(tiding: Tiding) -> None:
    log.log(_LEVELS.get(tiding.word, logging.INFO), tiding.word.value, extra={"fields": fields_of(tiding)})


def fields_of(tiding: Tiding) -> dict[str, Any]:
    """What is written of it; what is empty is left out."""
    group = tiding.group
    found = {
        "kind": group.kind.value if group else "",
        "profile": group.profile if group else "",
        "key": group.key if group else "",
        "request": tiding.request,
        "because": scrubbed(tiding.because),
        "number": tiding.number or "",
    }
    return {name: value for name, value in found.items() if value != ""}
