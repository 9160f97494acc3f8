"""What says when an item takes place and how it repeats is several fields, and one thing to a person: where a series
is changed on both sides it is one conflict, decided and shown as one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from syncengine.core.mapping.apply import recurring_among
from syncengine.model.mapping import FieldMap
from syncengine.model.proxy import Proxy
from syncengine.model.values import Value, Values, to_json

RECURRENCE = "recurrence"
"""What people call these fields together."""
RULE = "repeating"
"""The field whose rules settle it."""
_HORIZON = frozenset({"repeating_expires", "exceptions"})
_ORDER = ("planned", "planned_completion", "due", "repeating_type", "repeating_expires", "exceptions")


def members(rows: Mapping[str, FieldMap]) -> frozenset[str]:
    """The fields in question; none of a type whose items do not repeat."""
    found = recurring_among(rows.values())
    return found if RULE in found else frozenset()


def contradict(proxy: Proxy, here: Collection[str], there: Collection[str]) -> bool:
    """Whether changes of these fields, that differ, are one conflict. Exceptions alone are united; what a client tells
    more of an endless series, as time goes on, contradicts nothing (REC-4)."""
    if not here or not there or {*here, *there} == {"exceptions"}:
        return False
    return not (proxy.more_from and _HORIZON.issuperset(here))


def repeats(*records: Values) -> bool:
    return any(values.get(RULE) for values in records)


def words(values: Values, names: Collection[str]) -> str:
    """How it repeats, for people."""
    said = [f"{name}: {_plain(values.get(name))}" for name in _ORDER if name in names and values.get(name)]
    return "; ".join(said if repeats(values) else [*said, "not repeating"])


def _plain(value: Value) -> str:
    found = to_json(value)
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
