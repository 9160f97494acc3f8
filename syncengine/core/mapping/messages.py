"""Converters for messages (EML-1, OWN-6, OWN-7). They only go up: a message is never written (EML-2)."""

from __future__ import annotations

from syncengine.core.correspondence import addresses, correspondence
from syncengine.core.mapping.context import Context
from syncengine.model.attachment import LONGEST_NAME
from syncengine.model.item import PimValues
from syncengine.model.mapping import FieldMap
from syncengine.model.values import Value, Values

OUTBOUND, INBOUND = "Email - Outbound", "Email - Inbound"


def _listed(values: PimValues, name: str) -> tuple[str, ...]:
    found = values.get(name)
    return tuple(str(v) for v in found) if isinstance(found, tuple) else (str(found),) if found else ()


def owner_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """Nobody owns a message: the generic owner does (OWN-6, OWN-7)."""
    return context.generic_owner


def type_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """By the sender, whoever's inbox it is in (EML-1)."""
    senders = _listed(values, "from")
    ours = any(s in context.own_addresses or context.directory.employee(s) for s in senders)
    return OUTBOUND if ours else INBOUND


def employees_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The user who shares it, and every employee among sender and recipients."""
    employees, _ = context.directory.resolve(addresses(values))
    return tuple(sorted({*employees, context.user}))


def contacts_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    found = correspondence(values, context.directory, context.own_addresses)
    return tuple(sorted(c.id for c in found.contacts))


def addresses_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return tuple(sorted(set(_listed(values, row.pim))))


def address_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    """The first, where there are several."""
    return next(iter(_listed(values, row.pim)), None)


def name_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return str(values.get(row.pim) or "")[:LONGEST_NAME] or None


def files_up(values: PimValues, row: FieldMap, context: Context) -> Value:
    return tuple(sorted(_listed(values, row.pim)))


def picked(values: Values) -> dict[str, Value]:
    """Of a message's activity, what a person relates to it by hand."""
    return {name: values[name] for name in ("account", "opportunity", "contacts", "employees") if values.get(name)}
