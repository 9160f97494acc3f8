"""Different values that look the same in an item."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.mapping.apply import down, recurring
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.converters import is_private
from syncengine.core.mapping.series import CannotShow
from syncengine.core.mapping.silence import SILENT
from syncengine.core.sync.absorb import snapshot
from syncengine.model.activity import field_type
from syncengine.model.mapping import FieldMap, TypeMap
from syncengine.model.proxy import Proxy, There, same
from syncengine.model.values import SETS


def alike(proxy: Proxy, type_map: TypeMap | None, me: Context) -> Proxy:
    """The proxy with the server's value in each field that moved on both sides, differently, where the item shows
    just what it would show of the server's value: that is one change and no conflict (CON-1). So it is where a value
    no item can hold came down, and the record of its coming was lost."""
    if proxy.server is None or proxy.there is not There.LIVE or not proxy.has_item or type_map is None:
        return proxy
    rows = [row for row in type_map.fields if _in_doubt(proxy, row) and row.field not in recurring(type_map)]
    item = snapshot(proxy, type_map) if rows else None
    if item is None or is_private(item.values):
        return proxy
    found = {}
    for row in rows:
        theirs = proxy.server.values.get(row.field)
        try:
            image = down({**proxy.values, row.field: theirs}, type_map, me).get(row.pim, SILENT)
        except CannotShow:
            continue
        if image is not SILENT and image is not None and image == item.values.get(row.pim):
            found[row.field] = theirs
    return replace(proxy, values={**proxy.values, **found}) if found else proxy


def _in_doubt(proxy: Proxy, row: FieldMap) -> bool:
    name, there = row.field, proxy.server.values if proxy.server else {}
    if field_type(name) in SETS or name in proxy.shown or name in ("integration_id", "owner"):
        return False
    differ = not same(proxy.values, there, name) and bool(proxy.values.get(name)) and bool(there.get(name))
    return differ and not same(proxy.values, proxy.agreed, name) and not same(there, proxy.stored, name)
