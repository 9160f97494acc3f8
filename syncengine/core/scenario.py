"""Scenario files: TOML stories that a person who is no programmer can read and add to (CON-2).

    story = "A change on the server arrives in the calendar"
    requirements = ["ACT-6"]

    [[step]]
    user  = "one"
    saves = { uid = "lunch", summary = "Lunch", start = 2026-03-02T12:00:00+01:00, end = 2026-03-02T13:00:00+01:00 }

    [[step]]
    user  = "one"
    syncs = { server_created = 1 }

Each step is one user and one verb. What people do: `saves`, `changes`, `deletes`, `renames`, `receives`, `syncs`,
`rehearses`, `shares`, `unshares`, `confirms`. What they do on the server: `adds`, `sets`, `removes`, `imports`.
What must be true: `sees`, `sees_nothing_of`, `server_has`, `server_has_nothing_of`, `server_count`, `holds`,
`explains`.
Numbers a `syncs` does not name must be zero (`unchanged`, `held`, `failed` and `not_shareable` only count when named).
Every story ends with a second run of every user that has nothing to do.
"""

from __future__ import annotations

import difflib
import tomllib
from typing import Any

from syncengine.errors import ConfigError
from syncengine.model.scenario import Scenario, Step

VERBS = (
    "saves", "changes", "deletes", "renames", "receives", "syncs", "rehearses", "shares", "unshares", "confirms",
    "adds", "sets", "removes", "imports",
    "sees", "sees_nothing_of", "server_has", "server_has_nothing_of", "server_count", "holds", "explains",
)  # fmt: skip
_NAMES = ("story", "requirements", "step", "users", "directory", "mapping")
COUNTS = (
    "pim_created", "pim_updated", "pim_deleted", "server_created", "server_updated", "server_deleted", "linked",
)  # fmt: skip
OPTIONAL_COUNTS = ("unchanged", "held", "failed", "not_shareable")


def parse_scenario(text: str, file: str) -> Scenario:
    """Raises ConfigError naming the step and the nearest valid word."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"The scenario is not TOML: {e}.", where=file) from e
    faults = [_unknown(name, _NAMES) for name in raw if name not in _NAMES]
    if not isinstance(raw.get("story"), str):
        faults.append("a scenario begins with a story: one sentence")
    steps = [_step(number, one, faults) for number, one in enumerate(raw.get("step", []), 1)]
    if not steps:
        faults.append("a scenario needs at least one [[step]]")
    if faults:
        raise ConfigError("The scenario cannot be run:\n" + "\n".join(f"  - {f}" for f in faults), where=file)
    settings = raw.get("users", {})
    users = tuple(dict.fromkeys([*settings, *(s.user for s in steps if s and s.user)]))
    return Scenario(
        file,
        raw["story"],
        tuple(raw.get("requirements", ())),
        tuple(s for s in steps if s),
        users or ("one",),
        settings,
        raw.get("directory"),
        raw.get("mapping", "default"),
    )


def _step(number: int, raw: dict[str, Any], faults: list[str]) -> Step | None:
    verbs = [name for name in raw if name not in ("user", "say")]
    if len(verbs) != 1:
        faults.append(f"step {number}: one verb is needed, there are {len(verbs)} ({', '.join(verbs)})")
        return None
    if verbs[0] not in VERBS:
        faults.append(f"step {number}: {_unknown(verbs[0], VERBS)}")
        return None
    return Step(number, raw.get("user", ""), verbs[0], raw[verbs[0]], raw.get("say", ""))


def _unknown(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f'"{word}" is not known; ' + (f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}")
