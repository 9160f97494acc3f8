"""The agent's loop: look what has changed, ask `core.schedule` what is due, run it, tell of it, wait.

Everything happens in the main thread, one run after the other. Other threads only put words into a queue. Nothing that
goes wrong with a run, a file or a hook ends the agent; only a signal does, or the end of the state it works for.
"""

from __future__ import annotations

import logging
import os
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from syncengine import bootstrap
from syncengine.agent.clock import Elapsed
from syncengine.agent.secrets_seen import SecretsSeen
from syncengine.agent.status import status_json
from syncengine.agent.watchers import Watcher
from syncengine.bootstrap.pims import open_watch
from syncengine.config import Config, PimConfig, load
from syncengine.core import schedule
from syncengine.errors import ConfigError, StorageError, SyncEngineError
from syncengine.model.agent import Changes, Due, Event, EventKind, Hook, Outcome, Standing, Trigger, Trouble
from syncengine.model.report import Report
from syncengine.process import signals
from syncengine.services.later import unhurried
from syncengine.services.sync import Sync
from syncengine.times import Clock, system_clock

log = logging.getLogger(__name__)

CALM = 0.7
"""Seconds after which a file that was changed counts as written: many editors write it in place, bit by bit."""

Word = tuple[str, Trigger | None]
"""What threads and signals tell: a PIM's name, or none for all, and what happened; None: only look up."""


class Agent:
    """The agent of one configuration. `work` returns when it is told to end.

    on_event: called with each `model.agent.Event`. elapsed, clock: the clock of the schedule, and that of people.
    chance: 0 to 1, for the jitter. Raises ConfigError for a configuration that is wrong from the beginning."""

    def __init__(
        self,
        path: Path,
        on_event: Hook,
        *,
        elapsed: Callable[[], float] | None = None,
        clock: Clock = system_clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.path, self.on_event = path, on_event
        self.elapsed, self.clock, self.chance = elapsed or Elapsed(), clock, chance
        self.config = load(path)
        self.folder = bootstrap.agent_folder(self.config)
        self.standings: dict[str, Standing] = {}
        self.trouble: Trouble | None = None  # with the configuration as a whole
        self.requests: dict[str, _Request] = {}
        self.since = clock()
        self._words: SimpleQueue[Word] = SimpleQueue()
        self._watchers: dict[str, tuple[PimConfig | None, Watcher]] = {}
        self._seen: Mapping[Path, object] = {}
        self._fresh: tuple[Mapping[Path, object], float] = {}, 0.0  # files that have changed, and since when so
        self._secrets = SecretsSeen()
        self._state_was_there = False
        self._changed = True  # something `status` would show

    def work(self) -> None:
        """Raises NotNow when another agent is at work on this state, StorageError where its folder cannot be used."""
        with self.folder.hold(), signals.handled(lambda: self._words.put(("", Trigger.CONFIG))):
            try:
                self._begin()
                while not self._is_over():
                    self._try()
            except signals.Ended:
                log.debug("told to end")
            finally:
                self._end()

    def _begin(self) -> None:
        self.folder.tidy()
        self._take_over(self.config)
        self._seen = _stamps(self.config)
        requests = Watcher(
            "requests", lambda: bootstrap.watch_requests(self.config), lambda: self._words.put(("", None))
        )
        self._watchers[""] = (None, requests)
        requests.start()
        self._show()
        self._tell(Event(EventKind.STARTED, self.clock(), what="The agent has started."))

    def _end(self) -> None:
        for _, watcher in self._watchers.values():
            watcher.stop()
        for request in self.requests:
            with suppress(StorageError):
                self.folder.answer(request, {"ended": True, "pims": {}})
        with suppress(StorageError):
            self.folder.tell(status_json(self, ended=True))
        self._tell(Event(EventKind.STOPPED, self.clock(), what="The agent has ended."))

    def _is_over(self) -> bool:
        """A state that is gone was removed: a run would begin anew, as if nothing had ever been synchronized."""
        try:
            there = Path(self.config.state).exists()
        except OSError:  # it cannot be seen now: the runs say so
            return False
        if self._state_was_there and not there:
            log.warning("The state %s is gone; the agent ends.", self.config.state)
            return True
        self._state_was_there = there
        return False

    def _try(self) -> None:
        """A step; one that fails as nobody has foreseen is not the last."""
        try:
            self._step()
        except Exception:
            log.exception("A step of the agent failed; it goes on.")
            self._wait(schedule.LONGEST_WAIT)

    def _step(self) -> None:
        if self._look_at_files():
            self._wait(CALM)
            return
        self._look_at_requests()
        plan = schedule.plan(() if self.trouble else self.standings.values(), self.elapsed())
        for name in plan.look:
            self._look_at_secrets(name)
        if plan.due:
            self._run(plan.due[0])
        self._answer()
        self._show()
        if not plan.due:
            self._wait(plan.wait)

    def _wait(self, seconds: float) -> None:
        with suppress(Empty):
            self._hear(self._words.get(timeout=seconds))
            while True:
                self._hear(self._words.get_nowait())

    def _hear(self, word: Word) -> None:
        name, trigger = word
        if trigger is None:
            return
        if not name:
            self._seen = {}  # told to read everything anew
        self._poke([name] if name else list(self.standings), trigger)

    def _poke(self, names: Sequence[str], trigger: Trigger) -> None:
        now = self.elapsed()
        for name in names:
            if name in self.standings:
                self.standings[name] = schedule.poked(self.standings[name], trigger, now)
                self._changed = True

    # --- what has changed ------------------------------------------------------------------------------------------

    def _look_at_files(self) -> bool:
        """Take over a configuration that has changed, once it has been the same for a moment: until then somebody may
        still be writing it, and nothing is said or run. While it is wrong nothing runs: what the user meant is not
        known. Whether it is to be looked at again soon."""
        stamps = _stamps(self.config)
        if stamps == self._seen:
            return False
        if stamps != self._fresh[0]:
            self._fresh = stamps, self.elapsed()
        if self.elapsed() < self._fresh[1] + CALM:
            return True
        self._seen = stamps
        try:
            config = load(self.path)
            if config.state != self.config.state:
                raise ConfigError(
                    "The state is to be another file now.",
                    where=f"{self.path}: [state] path",
                    fix="Start the agent anew, or put the old path back.",
                )
        except ConfigError as e:
            self._complain(e)
            return False
        self._complain(None)
        self._take_over(config)
        self._seen = _stamps(config)
        self._poke(list(self.standings), Trigger.CONFIG)
        self._tell(Event(EventKind.CONFIGURED, self.clock(), what="The configuration was read anew."))
        return False

    def _complain(self, error: ConfigError | None) -> None:
        before, self.trouble = self.trouble, schedule.trouble_of(error)
        self._tell_news("", before, self.trouble)

    def _take_over(self, config: Config) -> None:
        self.config, self._changed = config, True
        known = self.standings
        self.standings = {
            pim.name: replace(
                known.get(pim.name, Standing(pim.name, 0.0)), interval=60.0 * (pim.interval or config.agent.interval)
            )
            for pim in config.pims
        }
        wanted = {pim.name: pim for pim in config.pims}
        for name, (pim, watcher) in list(self._watchers.items()):
            if pim is not None and wanted.get(name) != pim:
                watcher.stop()
                del self._watchers[name]
        for name, pim in wanted.items():
            if name not in self._watchers:
                self._watchers[name] = pim, self._watcher(pim)
                self._watchers[name][1].start()

    def _watcher(self, pim: PimConfig) -> Watcher:
        trigger = Trigger.LOCAL if pim.path else Trigger.REMOTE
        return Watcher(pim.name, lambda: open_watch(pim), lambda: self._words.put((pim.name, trigger)))

    def _look_at_requests(self) -> None:
        for request, content in self.folder.requests().items():
            if request in self.requests:
                continue
            names = [str(name) for name in content.get("pims") or self.standings]
            self.requests[request] = _Request(names, bool(content.get("waits")), self.elapsed())
            self._poke(names, Trigger.NOW)

    def _look_at_secrets(self, name: str) -> None:
        """Whether what was refused is still what would be used."""
        if self._secrets.differ(name, self._secrets_of(name)):
            self._poke([name], Trigger.CREDENTIALS)
        self.standings[name] = replace(self.standings[name], looked=self.elapsed())

    def _secrets_of(self, name: str) -> list[Any]:
        own = [pim.password for pim in self.config.pims if pim.name == name]
        return [secret for secret in (*own, self.config.server.token) if secret is not None]

    # --- a run -----------------------------------------------------------------------------------------------------

    def _run(self, due: Due) -> None:
        started = self.elapsed()
        report, error = Report(), None
        try:
            with ExitStack() as stack:
                work = bootstrap.open_work(self.config, stack, chosen=[due.name])
                report = work.report
                work.local_only = self.config.agent.changes is Changes.LOCAL and not due.by_hand
                work.server = unhurried(work.server, self.config.agent.delay, work.zone, self.clock)
                Sync(work).run()
        except Exception as e:
            error = e
            if not isinstance(e, SyncEngineError):
                log.debug("%s", "".join(traceback.format_exception(e)))
        self._ran(due, report, error, started)

    def _ran(self, due: Due, report: Report, error: Exception | None, started: float) -> None:
        before, now = self.standings[due.name], self.elapsed()
        after = schedule.ended(before, error, started=started, now=now, chance=self.chance())
        self.standings[due.name], self._changed = after, True
        if after.outcome is Outcome.TAKEN:
            return
        if after.outcome is Outcome.LOGIN:
            self._secrets.remember(due.name, self._secrets_of(due.name))
        elif after.outcome is Outcome.DONE and due.name in self._watchers:
            self._watchers[due.name][1].wake()
        trouble = schedule.trouble_of(error)
        self._tell(
            Event(
                EventKind.RUN,
                self.clock(),
                due.name,
                after.outcome,
                trouble.what if trouble else "",
                trouble.where if trouble else "",
                trouble.fix if trouble else "",
                report.run,
                due.reason,
                _counts(report, now - started),
                after.failures,
                schedule.due(after)[0] - now,
            )
        )
        self._tell_news(due.name, before.trouble, after.trouble)

    def _answer(self) -> None:
        """Tell those who wait what became of their request, once each of its PIMs has had a run since."""
        for request, asked in list(self.requests.items()):
            found = {name: self.standings.get(name) for name in asked.pims}
            waiting = [s for s in found.values() if s is not None and not _ran_since(s, asked.at)]
            if self.trouble is None and not all(schedule.is_asked_to_wait(s, self.elapsed()) for s in waiting):
                continue
            answer = {"ended": False, "pims": {name: _ending(s, self.trouble) for name, s in found.items()}}
            del self.requests[request]
            with suppress(StorageError):
                self.folder.answer(request, answer if asked.waits else None)

    # --- telling ---------------------------------------------------------------------------------------------------

    def _tell_news(self, name: str, before: Trouble | None, after: Trouble | None) -> None:
        kind = schedule.news(before, after)
        told = after if kind is EventKind.TOLD else before
        if kind is None or told is None:
            return
        self._changed = True
        self._tell(Event(kind, self.clock(), name, told.outcome, told.what, told.where, told.fix))

    def _tell(self, event: Event) -> None:
        try:
            self.on_event(event)
        except Exception:
            log.exception("The hook for the event %s failed.", event.kind)

    def _show(self) -> None:
        if not self._changed:
            return
        self._changed = False
        with suppress(StorageError):  # a full disk; the runs say so
            self.folder.tell(status_json(self))


@dataclass(frozen=True)
class _Request:
    pims: Sequence[str]
    waits: bool
    at: float


def _ran_since(standing: Standing, at: float) -> bool:
    return not any(trigger is Trigger.NOW for trigger, _ in standing.triggers) and (
        standing.ended is not None and standing.ended >= at and standing.outcome is not Outcome.TAKEN
    )


def _ending(standing: Standing | None, trouble: Trouble | None) -> dict[str, str]:
    if trouble is not None:
        return {"outcome": trouble.outcome.value, "what": trouble.what}
    if standing is None or standing.outcome is None:
        return {"outcome": Outcome.CONFIG.value, "what": "There is no PIM of this name."}
    if standing.outcome is Outcome.DONE:
        return {"outcome": Outcome.DONE.value, "what": ""}
    told = standing.trouble.what if standing.trouble else schedule.AFTER[standing.outcome]
    return {"outcome": standing.outcome.value, "what": told}


def _counts(report: Report, seconds: float) -> dict[str, float]:
    return {
        "writes": report.writes.total(),
        "linked": report.linked,
        "held": report.held,
        "failed": report.failed,
        "seconds": round(seconds, 3),
    }


def _stamps(config: Config) -> dict[Path, object]:
    """What tells that the files a run depends on are others now."""
    found: dict[Path, object] = {}
    for file in bootstrap.settings_files(config):
        try:
            status = os.stat(file)
            found[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            found[file] = None
    return found
