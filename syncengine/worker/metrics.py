"""Figures of the queue for Prometheus: how many requests wait, since when, which profiles are stopped, which workers
live. Labels are states, kinds and configured names."""

from __future__ import annotations

from datetime import datetime, timedelta

from syncengine.errors import ConfigError
from syncengine.model.outbound import Standing, State

try:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
except ImportError as e:  # an optional part of the installation
    raise ConfigError(
        "The library for Prometheus is not installed.", fix='Install it with pip install "syncengine[metrics]".'
    ) from e


def text(standing: Standing, now: datetime, dead_after: timedelta) -> str:
    """In Prometheus' text format. dead_after: without a sign of life for so long, a worker counts no more."""
    registry = CollectorRegistry()
    requests = _gauge(registry, "requests", "Requests by what became of them.", "kind", "profile", "state")
    for one in standing.counts:
        state = "HELD" if one.held else one.state.value
        requests.labels(one.group.kind.value, one.group.profile, state).inc(one.number)
    for state in State:  # a series that is there from the beginning can be watched
        requests.labels("email", "", state.value).inc(0)
    oldest = _gauge(registry, "oldest_seconds", "How long the oldest request waits that may leave.")
    oldest.set(max(0.0, (now - standing.oldest).total_seconds()) if standing.oldest else 0)
    stops = _gauge(registry, "profile_stopped", "1: the profile cannot be used.", "kind", "profile")
    for stop in standing.stops:
        stops.labels(stop.kind.value, stop.profile).set(1)
    workers = _gauge(registry, "workers", "Workers that live.")
    workers.set(sum(now - one.seen < dead_after for one in standing.workers))
    return generate_latest(registry).decode()


def _gauge(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"syncengine_outbound_{name}", what, labels, registry=registry)
