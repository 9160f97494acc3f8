"""Tells a person once that something is wrong, and once that it is over, whoever runs the synchronization.

What stands is read from the state, so that it is the same for the agent, for cron, and after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from syncengine.core.alarm import news, raising, refused, silent, stopped, taking_back
from syncengine.errors import ConfigError, SideError, SyncEngineError
from syncengine.model.agent import Event, EventKind, Outcome
from syncengine.model.alarm import AlarmKind, Concern, Message, Side
from syncengine.model.report import RunState
from syncengine.ports import ClientState
from syncengine.times import Clock, iso, parse_moment

HEALTH, ALARMS, WATCHED, TROUBLES = "health", "alarms told", "alarms watched since", "alarms of the agent"
_PIM = "pim:"
Channel = Callable[[Message], None]
"""Tells a person. Raises SideError, ConfigError."""


def tell_all(channels: Sequence[Channel], message: Message) -> list[SyncEngineError]:
    """What kept channels from taking it. One that fails keeps the others from nothing."""
    failed: list[SyncEngineError] = []
    for channel in channels:
        try:
            channel(message)
        except (SideError, ConfigError) as e:
            failed.append(e)
    return failed


_KINDS = {
    Outcome.LOGIN: AlarmKind.LOGIN,
    Outcome.BRAKE: AlarmKind.BRAKE,
    Outcome.GONE: AlarmKind.BROKEN,
    Outcome.STORAGE: AlarmKind.BROKEN,
    Outcome.CONFIG: AlarmKind.BROKEN,
}
"""What the agent tells once → the alarm it is. Other outcomes pass by themselves, or become silence."""


@dataclass
class Alarms:
    """pims: the names in the configuration. after: of silence. host: where this runs, for who has several machines."""

    state: ClientState
    channels: Sequence[Channel]
    pims: Sequence[str]
    after: timedelta
    clock: Clock
    host: str
    failures: list[SyncEngineError] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Keep what the agent has told, or that it is mended."""
        kind = _KINDS.get(event.outcome) if event.outcome else None
        troubles: dict[str, Any] = dict(self.state.fact(TROUBLES) or {})
        if event.kind is EventKind.TOLD and kind is not None:
            troubles[event.pim] = {"kind": kind.value, "since": iso(event.at)}
        elif event.kind is EventKind.MENDED and event.pim in troubles:
            del troubles[event.pim]
        else:
            return
        with self.state.transaction():
            self.state.set_fact(TROUBLES, troubles)

    def look(self) -> list[Message]:
        """Tell what is new; what was told. What could not be told by any channel is tried by the next look."""
        told: dict[str, str] = dict(self.state.fact(ALARMS) or {})
        raised, over = news(self.standing(), told, self._pending(told))
        done: list[Message] = []
        for concern in raised:
            if self._tell(message := raising(concern, self.host)):
                told[concern.key] = iso(self.clock())
                done.append(message)
        for key in over:
            if self._tell(message := taking_back(key, self.host)):
                del told[key]
                done.append(message)
        if done:
            with self.state.transaction():
                self.state.set_fact(ALARMS, told)
        return done

    def standing(self) -> list[Concern]:
        """All that is wrong now."""
        now, sides = self.clock(), self._sides()
        found = [*silent(sides, self._watched(now), now, self.after), *refused(sides, now), *self._troubles()]
        if (last := next(iter(self.state.runs(1)), None)) and last["state"] == RunState.STOPPED:
            found.append(stopped(last["id"], _at(last["started"])))
        return found

    def _pending(self, told: Mapping[str, str]) -> Iterable[str]:
        """What was told and is not known to be over: a side that refused the login and is now out of reach, and what a
        brake asked while runs do not get that far."""
        succeeded = {side.name: side.succeeded for side in self._sides() if side.tried is not None}
        last = next(iter(self.state.runs(1)), None)
        for key, at in told.items():
            kind, _, side = key.partition(":")
            good = succeeded.get(side)
            if kind == AlarmKind.LOGIN and side in succeeded and (good is None or good < _at(at)):
                yield key
            if kind == AlarmKind.BRAKE and last is not None and last["state"] != RunState.DONE:
                yield key

    def _tell(self, message: Message) -> bool:
        """Whether a channel took it. One that fails keeps the others from nothing."""
        failed = tell_all(self.channels, message)
        self.failures += failed
        return len(failed) < len(self.channels)

    def _sides(self) -> list[Side]:
        health: Mapping[str, Any] = self.state.fact(HEALTH) or {}
        names = {"server": "server", **{f"{_PIM}{name}": name for name in self.pims}}
        return [_side(name, health.get(key, {})) for key, name in names.items()]

    def _watched(self, now: datetime) -> datetime:
        """Since when somebody looks; from the first look on."""
        if (known := self.state.fact(WATCHED)) is not None:
            return _at(known)
        with self.state.transaction():
            self.state.set_fact(WATCHED, iso(now))
        return now

    def _troubles(self) -> Iterable[Concern]:
        for pim, raw in (self.state.fact(TROUBLES) or {}).items():
            if not pim or pim in self.pims:
                kind = AlarmKind(raw["kind"])
                yield Concern(kind, "" if kind is AlarmKind.BRAKE else pim, _at(raw["since"]), *_WORDS[kind])


_WORDS = {
    AlarmKind.LOGIN: ("The login is refused, or its password cannot be had.", 'Give it with "syncengine login NAME".'),
    AlarmKind.BRAKE: ("A run stopped before it did damage, and waits for you.", 'See "syncengine status".'),
    AlarmKind.BROKEN: ("It cannot be used as it is configured.", 'See "syncengine status" and "syncengine check".'),
    AlarmKind.SILENT: ("Nothing has succeeded for long.", 'See "syncengine status".'),
}


def _side(name: str, raw: Mapping[str, Any]) -> Side:
    tried, succeeded = raw.get("tried"), raw.get("succeeded")
    kind = (raw.get("error") or {}).get("kind", "")
    return Side(name, _at(tried) if tried else None, _at(succeeded) if succeeded else None, kind == "LoginRefused")


def _at(text: str) -> datetime:
    found = parse_moment(text)
    assert isinstance(found, datetime)
    return found
