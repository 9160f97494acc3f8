"""Who may change what: the one place for the rules on owners, guests and whose copy an item is."""

from __future__ import annotations

from enum import StrEnum

from syncengine.core.mapping.context import Context
from syncengine.model.activity import Activity, Origin
from syncengine.model.directory import canonical_address
from syncengine.model.item import PimValues
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy
from syncengine.model.values import Values


class Role(StrEnum):
    """What the user is to an activity."""

    OWNER = "owner"
    TEAM = "team of the generic owner"  # nobody known owns it: every participant's changes count
    GUEST = "guest"  # somebody else's: this copy's values are never changes and never differences (CAL-1, KEY-5)


def role(values: Values, me: Context) -> Role:
    owner = values.get("owner")
    if not owner or owner == me.user:
        return Role.OWNER
    return Role.TEAM if owner == me.generic_owner else Role.GUEST


def role_in(proxy: Proxy, me: Context) -> Role:
    """The server's word on the owner counts where there is one."""
    return role(proxy.server.values if proxy.server else proxy.values, me)


def shows_server_changes(proxy: Proxy, me: Context) -> bool:
    """Whether changes of the activity are laid onto the item: onto the product's own items and the user's own.
    A copy that came by invitation belongs to the calendar system; the organizer's update brings it up to date. A
    message is never written (EML-2)."""
    if proxy.item is None or proxy.kind is Kind.EMAIL:
        return False
    return proxy.item.made or role_in(proxy, me) is Role.OWNER


def gets_item(activity: Activity, type_map: TypeMap | None, me: Context) -> bool:
    """Whether an activity without an item is shown as one (ACT-4, ACT-8, CAL-5): made on the server, of a shown
    kind and no message, not private, and the user its owner or, for a calendar entry, a listed participant."""
    if type_map is None or type_map.kind is Kind.EMAIL or activity.origin is not Origin.SERVER or activity["private"]:
        return False
    if role(activity.values, me) is Role.OWNER:
        return type_map.kind is Kind.TODO or activity["planned"] is not None
    if type_map.kind is Kind.TODO or activity["planned"] is None:
        return False
    participants = activity["participants"]
    if not participants:
        return me.user in (activity["employees"] or ())  # type: ignore[operator]
    return not _addresses(me).isdisjoint(canonical_address(str(a)) for a in participants)  # type: ignore[union-attr]


def newer_revision(mine: Values, theirs: Values) -> bool | None:
    """Of a meeting of an external organizer, whether a copy is of a newer revision than what the server holds, or of
    an older one, which changes nothing (CAL-8). None where both are of the same, or nobody can tell."""
    one, other = mine.get("revision"), theirs.get("revision")
    return str(one) > str(other) if one and other and one != other else None


def declined(values: PimValues, me: Context) -> bool:
    """Whether the user has declined the invitation this item is (CAL-3). Who organizes does not decline."""
    mine, found = _addresses(me), values.get("declined")
    if not isinstance(found, tuple) or mine.isdisjoint(map(str, found)):
        return False
    return canonical_address(str(values.get("organizer") or "")) not in mine


def _addresses(me: Context) -> frozenset[str]:
    """All addresses of the user: those of their own accounts and those the directory knows."""
    employee = me.directory.employee_by_id(me.user)
    return me.own_addresses.union(canonical_address(a) for a in (employee.addresses if employee else ()))
