"""When a person is told that something is wrong (AGT-1): once when it begins, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from syncengine.errors import log_in_anew
from syncengine.model.alarm import AlarmKind, Concern, Message, Side

_LOOK = 'See what "syncengine status" says.'


def silent(sides: Sequence[Side], watched: datetime, now: datetime, after: timedelta) -> list[Concern]:
    """The sides on which nothing has succeeded for that long; one that never did counts from `watched`, when it was
    seen first. A clock that was set back makes nobody silent."""
    found = []
    for side in sides:
        since = side.succeeded or watched
        if now - since >= after:
            what = f"Nothing has succeeded on {side.name} since {since:%Y-%m-%d %H:%M} UTC."
            found.append(Concern(AlarmKind.SILENT, side.name, since, what, _LOOK))
    return found


def refused(sides: Sequence[Side], now: datetime) -> list[Concern]:
    return [
        Concern(AlarmKind.LOGIN, s.name, s.tried or now, f"{s.name} refuses the login.", log_in_anew(s.name))
        for s in sides
        if s.refused
    ]


def stopped(run: str, since: datetime) -> Concern:
    """A run that waits for a person."""
    what = f"A run stopped before it did damage, and waits for you ({run})."
    return Concern(AlarmKind.BRAKE, "", since, what, f'Look at it with "syncengine confirm {run}".')


def news(
    standing: Sequence[Concern], told: Mapping[str, str], pending: Iterable[str] = ()
) -> tuple[list[Concern], list[str]]:
    """(what to raise, keys of what is over), by what stands now and what was told before. `pending`: keys about which
    nothing is known at the moment; they are not over."""
    keys = {c.key for c in standing}
    raised = {c.key: c for c in standing if c.key not in told}
    return list(raised.values()), sorted(set(told) - keys - set(pending))


def raising(concern: Concern, host: str) -> Message:
    where = f" on {concern.side}" if concern.side else ""
    text = f"{concern.what}\n{concern.fix}\n\nThis is said once; you will hear when it is over.\n"
    return Message(f"syncengine: {_HEADS[concern.kind]}{where} ({host})", text, _facts(concern.key, over=False))


def taking_back(key: str, host: str) -> Message:
    kind, _, side = key.partition(":")
    head = _HEADS.get(AlarmKind(kind), kind) if kind in tuple(AlarmKind) else kind
    where = f" on {side}" if side else ""
    return Message(
        f"syncengine: over: {head}{where} ({host})",
        "It works again; there is nothing to do.\n",
        _facts(key, over=True),
        over=True,
    )


def testing(host: str) -> Message:
    text = "This is a test: alarms arrive.\n"
    return Message(f"syncengine: a test ({host})", text, _facts("test:", over=False))


_HEADS = {
    AlarmKind.SILENT: "nothing has succeeded for long",
    AlarmKind.LOGIN: "the login is refused",
    AlarmKind.BRAKE: "a run waits for you",
    AlarmKind.BROKEN: "something is broken",
}


def _facts(key: str, *, over: bool) -> tuple[tuple[str, str], ...]:
    kind, _, side = key.partition(":")
    return (("KIND", kind), ("SIDE", side), ("STATE", "over" if over else "raised"))
