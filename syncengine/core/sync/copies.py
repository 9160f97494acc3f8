"""A copy of what was not taken: an entry of the user's own, in the same calendar (CON-1).

It stands on a proxy from the moment it is decided, so that a kill loses none and makes none twice. Attendees and
organizer are left out: nobody is ever mailed because of it. It is not shared.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from syncengine.core.ical.write import new
from syncengine.core.mapping.apply import moved_down
from syncengine.core.mapping.context import Context
from syncengine.core.sync.reflect import ItemWrite, Verb
from syncengine.model.mapping import TypeMap
from syncengine.model.proxy import ItemState, Proxy, Share, There
from syncengine.model.values import Values

PREFIX = "Copy: "
_LEFT_OUT = frozenset({"attachments"})
"""The item keeps its files: lists are united."""


def copy_of(proxy: Proxy, values: Values, type_map: TypeMap, me: Context, identity: str, stamp: datetime) -> Proxy:
    """The proxy of an entry to be written, with the UID `identity`; its collection names it then. Raises ItemError
    where the values cannot be shown."""
    assert proxy.item is not None
    subject = f"{PREFIX}{values.get('description') or ''}".strip()
    kept = {n: v for n, v in values.items() if n not in _LEFT_OUT} | {"description": subject}
    text = new(type_map.kind, identity, moved_down({}, kept, None, type_map, me), stamp)
    item = ItemState(proxy.item.pim, identity, "", text, identity, gone=True)
    said = {**kept, "integration_id": identity}
    return Proxy(identity, type_map.kind, said, share=Share.COPY, there=There.ABSENT, item=item)


def writing(copy: Proxy) -> ItemWrite:
    assert copy.item is not None
    item = replace(copy.item, gone=False, href="")
    after = replace(copy, item=item, share=Share.UNSHARED)
    return ItemWrite(Verb.CREATE, item.pim, "", item.text, "", "a copy of what was not taken", after)
