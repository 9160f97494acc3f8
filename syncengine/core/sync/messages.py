"""What a message that is shared tells the server beside its header: text, files, relations (EML-4, OWN-7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncengine.core.correspondence import Correspondence, correspondence, related
from syncengine.core.mapping.apply import up
from syncengine.core.mapping.context import Context
from syncengine.core.mapping.messages import picked
from syncengine.core.mime.decompose import Part, decompose, whole
from syncengine.core.sync.absorb import snapshot
from syncengine.model.item import Item
from syncengine.model.mapping import TypeMap
from syncengine.model.pim import Kind, SaveMail
from syncengine.model.proxy import Proxy, Share, There


@dataclass(frozen=True, slots=True)
class Contents:
    """`left_out`: the names of files that are not saved because they are too large, or beyond what was read."""

    text: str
    files: tuple[Part, ...] = ()
    left_out: tuple[str, ...] = ()


def is_to_be_read(proxy: Proxy) -> bool:
    """Whether the next thing the server is told is this message: its whole is read just before, never earlier."""
    return proxy.kind is Kind.EMAIL and proxy.share is Share.SHARED and proxy.there is There.ABSENT and proxy.has_item


def contents(raw: bytes, *, complete: bool, save: SaveMail, most_bytes: int, subject: str) -> Contents:
    """What is saved of a message; `most_bytes` of one file. complete: `raw` is all of it."""
    found = decompose(raw, complete=complete)
    if save is SaveMail.NOTHING:
        return Contents(found.text)
    if save is SaveMail.MESSAGE:
        message = whole(raw, subject)
        fits = complete and len(raw) <= most_bytes
        return Contents(found.text, (message,), ()) if fits else Contents(found.text, (), (message.name,))
    files = tuple(p for p in found.parts if len(p.content) <= most_bytes)
    too_large = (p.name for p in found.parts if len(p.content) > most_bytes)
    return Contents(found.text, files, (*too_large, *found.left_out))


def with_contents(proxy: Proxy, found: Contents, type_map: TypeMap, me: Context) -> Proxy:
    """The proxy of a message that is shared, with all that it tells; what was picked by hand stays."""
    item = snapshot(proxy, type_map)
    if item is None:
        return proxy
    files = tuple(sorted({part.attachment.text for part in found.files}))
    told = up(Item(item.kind, item.uid, {**item.values, "body": found.text, "files": files}), type_map, me)
    picks = picked(proxy.values)
    team = {*_ids(picks.get("employees")), *_ids(told.get("employees"))}
    relations = related(concerned(item, me), picks)
    if "contacts" not in told:  # an administrator does not want them
        relations.pop("contacts")
    return replace(proxy, values={**proxy.values, **told, **picks, "employees": tuple(sorted(team)), **relations})


def concerned(item: Item, me: Context) -> Correspondence:
    return correspondence(item.values, me.directory, me.own_addresses)


def _ids(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, tuple) else ()
