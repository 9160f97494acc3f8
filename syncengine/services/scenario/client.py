"""What people do in a scenario with their client's own records, and what those must say."""

from __future__ import annotations

from typing import Any, cast

from syncengine import render
from syncengine.model.removal import Fate
from syncengine.ports import Pim
from syncengine.services.client_activities import ClientActivities, Relations, directory_of, find_one
from syncengine.services.removal import NO_SERVER, Remover
from syncengine.services.scenario.deeds import plain
from syncengine.services.scenario.runs import zone_of
from syncengine.services.scenario.stage import Actor, Line, Play, Untrue, each, native, uid_of
from syncengine.services.scenario.truths import equal
from syncengine.services.sharing import delete_here
from syncengine.services.sync import Collection, Work


def removes_product(here: Play, actor: Actor, details: Any) -> None:
    """The product goes, and comes back as new: `deleted` and `unsent` say how many entries went, and how much had not
    been sent."""
    pim = cast(Pim, Line(actor.pim, "calendar", actor.broken))
    calendar = Collection("calendar", pim, here.mapping, frozenset(), frozenset())
    work = Work(
        actor.state, NO_SERVER, [calendar], (actor.address,), zone_of(actor), lambda: here.now, here.ids.__next__
    )
    done = Remover(work, ["calendar"]).carry_out()
    if done.unreachable:
        raise Untrue(f"it could not be finished: {done.unreachable}")
    found = {"deleted": sum(e.ending.fate is Fate.DELETED for e in done.entries), "unsent": len(done.unsent)}
    expected = {"deleted": 0, "unsent": 0, **details}
    if found != expected:
        said = [f"{e.key}: {e.ending.fate}, {e.ending.because}" for e in done.entries]
        raise Untrue(f"found {found}, not {expected}: {said} {done.unsent}")
    actor.state = here.stage.anew(actor.name, actor.state)


def deletes_here(here: Play, actor: Actor, details: Any) -> None:
    for name in each(details):
        delete_here(actor.state, uid_of(here, name))


def adds_offline(here: Play, actor: Actor, details: Any) -> None:
    values = {n: native(v) for n, v in details.items() if n != "name"}
    made = _records(here, actor).add(plain(values))
    here.activities[details.get("name", "activity")] = made.id


def sets_offline(here: Play, actor: Actor, details: Any) -> None:
    values = {n: native(v) for n, v in details.items() if n != "activity"}
    _records(here, actor).change(_key(here, details["activity"]), plain(values))


def deletes_offline(here: Play, actor: Actor, details: Any) -> None:
    for name in each(details):
        _records(here, actor).delete(_key(here, name))


def relates(here: Play, actor: Actor, details: Any) -> None:
    """To an `activity`: `contacts`, `employees`, `account`, `opportunity`; `no_contacts`, `no_employees`; `invite`."""
    said = {n: v for n, v in details.items() if n != "activity"}
    _records(here, actor).relate(_key(here, details["activity"]), Relations(**said))


def knows(here: Play, actor: Actor, details: Any) -> None:
    """What the client knows of an activity, without asking the server."""
    shown = render.known_json(find_one(actor.state, _key(here, details["activity"])), directory_of(actor.state))
    for name, expected in details.items():
        if name != "activity" and not equal(_tuple(shown[name]), native(expected)):
            raise Untrue(f"{name} is {shown[name]!r}, not {expected!r}")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _records(here: Play, actor: Actor) -> ClientActivities:
    return ClientActivities(actor.state, here.ids.__next__, zone_of(actor))


def _key(here: Play, name: str) -> str:
    return here.activities.get(name, name)
