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
    """The calendar holds one entry of this summary, with these values, and `without` these properties."""
    text, item = _entry(here, actor, details)
    for name in each(details.get("without", ())):
        if re.search(rf"^{name}[;:]", text, re.MULTILINE | re.IGNORECASE):
            raise Untrue(f"the copy has the property {name}")
    for name in (n for n in details if n != "without"):
        if not equal(item.values.get(long(name)), native(details[name])):
            raise Untrue(f"{name} is {item.values.get(long(name))!r}, not {details[name]!r}")


def _entry(here: Play, actor: Actor, details: Any) -> tuple[str, Item]:
    wanted = {*properties(here.mapping), *(long(name) for name in details)}
    resources = actor.pim.fetch(sorted(actor.pim.changes(None).etags))
    found = [(r.text, read(r.text, wanted)) for r in resources if isinstance(r, Resource)]
    named = [(t, i) for t, i in found if isinstance(i, Item) and i.values.get("summary") == details["summary"]]
    if len(named) != 1:
        raise Untrue(f"{len(named)} entries are called {details['summary']!r}")
    return named[0]


def _conflicts(here: Play, actor: Actor) -> Conflicts:
    pim = cast(Pim, Line(actor.pim, "calendar", actor.broken))
    calendar = Collection("calendar", pim, here.mapping, frozenset(), frozenset())
    own = tuple(actor.settings.get("addresses", (actor.address,)))
    work = Work(actor.state, NO_SERVER, [calendar], own, zone_of(actor), lambda: here.now, here.ids.__next__)
    directory_of(actor.state)
    work.know(greeting_from_json(actor.state.fact("greeting")))
    return Conflicts(work)
