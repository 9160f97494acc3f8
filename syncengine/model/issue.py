"""What failed: items that wait to be tried again (SYN-3), and sides that could not be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from syncengine.errors import Problem


class IssueState(StrEnum):
    OPEN = "open"  # tried again by itself
    PARKED = "parked"  # tried often enough: again when it changes, or on `syncengine retry`
    IGNORED = "ignored"  # somebody knows and does not want to hear of it until it changes


@dataclass(frozen=True, slots=True)
class Issue:
    """One item that failed, and when it is tried next.

    scope: which step of a run looks after it (`pim:<name>`, `proxy`, `attachment`, `record`, `activity`). subject: what
    that step calls it (an href, a proxy's id, …). since: when it failed first; tried: last. due: when it is tried next;
    None: not by itself. seen: what it was like when it failed; something else is tried at once. waits_for: the item it
    cannot be beside, an href or a proxy's id; it is tried as soon as that one moves."""

    scope: str
    subject: str
    problem: Problem
    since: datetime
    tried: datetime
    due: datetime | None
    tries: int = 1
    state: IssueState = IssueState.OPEN
    seen: str = ""
    waits_for: str = ""
