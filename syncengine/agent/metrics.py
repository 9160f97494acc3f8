"""Figures for Prometheus: served by an agent that was asked to, or printed once for a textfile collector.

Labels are names of configured PIMs, and words of the program; so there is a bounded number of series. Only imported
when somebody asks for figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from syncengine.bootstrap import open_state
from syncengine.config import SERVER, Config
from syncengine.errors import ConfigError
from syncengine.model.agent import Event, EventKind, Outcome
from syncengine.model.report import RunState
from syncengine.ports import ClientState
from syncengine.times import parse_moment

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Summary, generate_latest, start_http_server
except ImportError as e:  # an optional part of the installation
    raise ConfigError(
        "The library for Prometheus is not installed.", fix='Install it with pip install "syncengine[metrics]".'
    ) from e

HEALTH, PIM = "health", "pim:"


class Metrics:
    """The figures of one configuration. `running`: with those that only a running agent can count."""

    def __init__(self, pims: Collection[str], *, running: bool) -> None:
        self.registry, self._pims = CollectorRegistry(), frozenset(pims)
        self._succeeded = self._gauge("last_success_timestamp_seconds", "When a side last succeeded.", "side")
        self._refused = self._gauge("side_failing", "1: the side failed when it was last tried.", "side")
        self._waiting = self._gauge("items", "Items by what they wait for: held, failed or parked.", "state")
        self._ended = self._gauge("last_run_timestamp_seconds", "When the last run ended.")
        self._good = self._gauge("last_run_ok", "1: the last run ended well.")
        self._took = self._gauge("last_run_duration_seconds", "How long the last run took.")
        self._wrote = self._gauge("last_run_writes", "Writes of the last run.", "side", "verb")
        if running:
            self._runs = Counter("syncengine_runs", "Runs by their end.", ["pim", "outcome"], registry=self.registry)
            self._writes = Counter(
                "syncengine_writes", "Writes by side and what was done.", ["side", "verb"], registry=self.registry
            )
            self._seconds = Summary("syncengine_run_seconds", "How long runs took.", ["pim"], registry=self.registry)
            self._next = self._gauge("next_run_timestamp_seconds", "When the next run is due.", "pim")
            for pim in self._pims:
                self._runs.labels(pim, Outcome.DONE)  # a series that is there from the beginning can be watched

    def read(self, state: ClientState) -> None:
        """Take over what the state knows."""
        for side, facts in (state.fact(HEALTH) or {}).items():
            name = side.removeprefix(PIM)
            if name in self._pims or name == SERVER:
                self._read_side(name, facts)
        counts = state.counts()
        for word in ("held", "failed", "parked"):
            self._waiting.labels(word).set(counts.get(word, 0))
        last = next((run for run in state.runs(5) if run["finished"]), None)
        if last is not None:
            self._read_run(last)

    def hear(self, event: Event, state: ClientState) -> None:
        """Count what an agent tells."""
        if event.kind is not EventKind.RUN or event.pim not in self._pims:
            return
        self.read(state)
        if "seconds" in event.counts:
            self._seconds.labels(event.pim).observe(event.counts["seconds"])
        if event.wait is not None:
            self._next.labels(event.pim).set(event.at.timestamp() + event.wait)
        for run in state.runs(5):
            if event.run and run["id"] == event.run:
                for side, verb, number in _writes(run):
                    self._writes.labels(side, verb).inc(number)
        self._runs.labels(event.pim, event.outcome or Outcome.DONE).inc()

    def text(self) -> str:
        """All of it in Prometheus' own format."""
        return str(generate_latest(self.registry).decode())

    def _gauge(self, name: str, words: str, *labels: str) -> Any:
        return Gauge(f"syncengine_{name}", words, labels, registry=self.registry)

    def _read_side(self, name: str, facts: Mapping[str, Any]) -> None:
        if facts.get("succeeded"):
            self._succeeded.labels(name).set(_seconds(facts["succeeded"]))
        self._refused.labels(name).set(1 if facts.get("error") else 0)

    def _read_run(self, run: Mapping[str, Any]) -> None:
        self._ended.set(_seconds(run["finished"]))
        self._good.set(1 if run["state"] == RunState.DONE else 0)
        self._took.set(max(0.0, _seconds(run["finished"]) - _seconds(run["started"])))
        self._wrote.clear()
        for side, verb, number in _writes(run):
            self._wrote.labels(side, verb).set(number)


class MetricsHook:
    """An agent's hook that serves the figures at `config.metrics` until it is closed. Raises ConfigError."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._metrics = Metrics([p.name for p in config.pims], running=True)
        host, _, port = config.metrics.rpartition(":")
        try:
            self._server, self._thread = start_http_server(int(port), host.strip("[]"), self._metrics.registry)
        except OSError as e:
            raise ConfigError(
                f"The figures for Prometheus cannot be served: {e.strerror}.",
                where=f"[agent] metrics = {config.metrics}",
                fix="Choose another port.",
            ) from e

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def __call__(self, event: Event) -> None:
        with ExitStack() as stack:
            state = open_state(self._config)
            stack.callback(state.close)
            self._metrics.hear(event, state)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _writes(run: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    return [(str(side), str(verb), int(n)) for side, verb, n in (run["report"] or {}).get("writes", [])]


def _seconds(text: str) -> float:
    found = parse_moment(text)
    assert isinstance(found, datetime)
    return found.timestamp()
