"""What people do in a scenario about conflicts, and the copies they find in their calendar."""

from __future__ import annotations

import re
from typing import Any, cast

from syncengine.core.ical.read import read
from syncengine.core.sync.absorb import properties
from syncengine.core.wire import greeting_from_json
from syncengine.model.item import Item
from syncengine.model.pim import Resource
from syncengine.ports import Pim
from syncengine.services.client_activities import directory_of
from syncengine.services.conflicts import Conflicts, Wish
from syncengine.services.removal import NO_SERVER
from syncengine.services.scenario.runs import zone_of
from syncengine.services.scenario.stage import Actor, Line, Play, Untrue, each, long, native, uid_of
from syncengine.services.scenario.truths import equal
from syncengine.services.sync import Collection, Work


def resolves(here: Play, actor: Actor, details: Any) -> None:
    uid = uid_of(here, details)
    wish = Wish(
        tuple(each(details.get("take", ()))),
        tuple(each(details.get("set", ()))),
        details.get("keep_both", False),
        details.get("always", ""),
    )
    use = _conflicts(here, actor)
    proxy = next((p for p in use.waiting() if uid in (p.key, p.activity_id)), None)
    use.resolve(proxy.id if proxy else uid, wish)


def edits_mapping(here: Play, actor: Actor, details: Any) -> None:
    """An admin edits the mapping, for all: the story's own edits and these."""
    edits = [*here.scenario.mapping_edits, *((str(old), str(new)) for old, new in details)]
    here.mapping = here.stage.mapping(here.scenario.mapping, edits)


def forgets_answer(here: Play, actor: Actor, details: Any) -> None:
    _conflicts(here, actor).forget(details)


def copies(here: Play, actor: Actor, details: Any) -> None:
    found = [one for r in actor.pim.fetch(sorted(actor.pim.changes(None).etags)) if isinstance(r, Resource) for one in
             [(r.text, read(r.text, {*properties(here.mapping), *(long(n) for n in details)}))]]  # fmt: skip
    named = [(t, i) for t, i in found if isinstance(i, Item) and i.values.get("summary") == details["summary"]]
    if len(named) != 1:
        raise Untrue(f"{len(named)} entries are called {details['summary']!r}")
    text, item = named[0]
    for name, expected in details.items():
        if name == "without":
            there = [n for n in each(expected) if re.search(rf"^{n}[;:]", text, re.MULTILINE | re.IGNORECASE)]
            if there:
                raise Untrue(f"the copy has the property {there[0]}")
        elif not equal(item.values.get(long(name)), native(expected)):
            raise Untrue(f"{name} is {item.values.get(long(name))!r}, not {expected!r}")


def _conflicts(here: Play, actor: Actor) -> Conflicts:
    pim = cast(Pim, Line(actor.pim, "calendar", actor.broken))
    calendar = Collection("calendar", pim, here.mapping, frozenset(), frozenset())
    own = tuple(actor.settings.get("addresses", (actor.address,)))
    work = Work(actor.state, NO_SERVER, [calendar], own, zone_of(actor), lambda: here.now, here.ids.__next__)
    directory_of(actor.state)
    work.know(greeting_from_json(actor.state.fact("greeting")))
    return Conflicts(work)
