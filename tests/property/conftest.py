"""How many examples the property tests try: `quick` with every test run, the same ones each time; `long` looks for
new ones: `pytest tests/property --hypothesis-profile=long`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "quick",
    max_examples=50,
    stateful_step_count=14,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=_SLOW,
)
settings.register_profile(
    "long",
    max_examples=2000,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW,
)
