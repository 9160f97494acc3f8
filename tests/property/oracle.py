"""What people may expect after all of it: a model of what they typed, to compare the two sides with.

Every text and start anybody types is a *token* that occurs once in the world. Typing replaces the token that is seen
at that moment, at that place; so `live` holds, per field, what nobody entitled has knowingly overwritten. With one
live token in a field there is no conflict and both sides must show it; with more, none may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from syncengine.errors import Stopped
from syncengine.model.activity import DERIVED, Activity
from syncengine.model.item import Item
from syncengine.model.pim import Kind
from syncengine.model.proxy import Share, There
from tests.property.world import World

TEXTS = {"description": "summary", "comments": "description", "location": "location"}
FIELDS = {**TEXTS, "planned": "dtstart"}
ROUNDS = 8
"""So many rounds may the world take to come to rest; two rounds suffice but for answers lost on the way."""


@dataclass
class Thing:
    """One calendar entry or to-do, wherever it is. `owner`: one, two or generic; `made`: by the user or the server.

    people: who must be related at last, or must not. hidden: what no item can hold. keep: the unknown line of a user's
    item. guests: what guests typed into their own copies.
    vague: only the weak promises hold (state lost, shared anew, paired by subject and start, restored).
    gone: "item" or "activity": its owner deleted it on that side and nobody had changed it on the other."""

    uid: str
    kind: Kind
    owner: str
    made: str
    activity: str | None = None
    live: dict[str, set[str]] = field(default_factory=dict)
    guests: dict[tuple[str, str], str] = field(default_factory=dict)
    hidden: dict[str, object] = field(default_factory=dict)
    people: dict[str, bool] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    calendars: set[str] = field(default_factory=set)
    vague: bool = False
    contested: bool = False
    gone: str = ""

    def typed(self, name: str, seen: str | None, token: str) -> None:
        tokens = self.live.setdefault(name, set())
        tokens.discard(seen or "")
        tokens.add(token)

    def saw(self, name: str, seen: str | None) -> None:
        self.live.get(name, set()).discard(seen or "")

    @property
    def untouched(self) -> bool:
        """Nothing is left that nobody has knowingly thrown away."""
        return not any(self.live.values())


def token(value: object) -> str | None:
    """What identifies a value: its first word, or the instant."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    words = str(value or "").split()
    return words[0] if words else None


def shown(item: Item, name: str) -> str | None:
    return token(item.values.get(FIELDS[name])) if name in FIELDS else None


def come_to_rest(world: World) -> None:
    """All lines are good now: everybody synchronizes until nothing moves any more (a). A listing that lags shows
    everything the second time, so two quiet rounds are rest."""
    quiet = 0
    for _ in range(ROUNDS):
        world.now += timedelta(days=1)  # what has failed is tried again after a pause
        quiet = 0 if sum([_writes(world, name) for name in world.users]) else quiet + 1
        if quiet == 2:
            return
    raise AssertionError(f"no rest after {ROUNDS} rounds: {[_said(world, name) for name in world.users]}")


def _writes(world: World, name: str) -> int:
    try:
        report = world.run(name)
    except Stopped:
        world.accept(name)
        return 1
    return sum(report.writes.values()) + report.linked


def _said(world: World, name: str) -> list[str]:
    try:
        return [f"{a.side} {a.verb} {a.key}: {a.because}" for a in world.run(name).actions]
    except Stopped as e:
        return [str(e)]


def check(world: World, things: list[Thing]) -> None:
    come_to_rest(world)
    activities = world.activities()
    nothing_left_open(world)
    one_to_one(world, activities)
    left = everything(world, activities)
    items = {name: {uid: item for uid, (_, item) in world.items(name).items()} for name in world.users}
    for name, found in items.items():
        expected = {t.uid for t in things if name in t.calendars}
        assert {uid for uid in found if not uid.startswith(DERIVED)} == {
            uid for uid in expected if not uid.startswith(DERIVED)
        }, "(e) the product neither makes nor deletes what is the user's own"
    for thing in things:
        _check_thing(world, thing, activities, items, left)


TWINS = "already linked with another item"
"""The problem of an item that looks just like one made from an activity: a person must tell them apart."""


def nothing_left_open(world: World) -> None:
    for name in world.users:
        state = world.state(name)
        assert not state.intents("pim"), name
        assert not state.intents("server"), name
        problems = [i for i in state.issues() if TWINS not in i.problem.what]
        assert not problems, (name, problems)


def one_to_one(world: World, activities: dict[str, Activity]) -> None:
    """(b): in every client one item has one activity, and one activity has at most one item."""
    keys = [(a["integration_id"], a["owner"]) for a in activities.values() if a["integration_id"]]
    assert len(keys) == len(set(keys)), "two live activities with one integration id and owner"
    for name in world.users:
        linked = [p for p in world.proxies(name) if p.share is Share.SHARED and p.has_item and p.there is There.LIVE]
        ids = [p.activity_id for p in linked]
        assert len(ids) == len(set(ids)), f"one activity has two items of {name}"
        for proxy in linked:
            assert proxy.activity_id in activities, f"{name}: {proxy.key} is linked with nothing"
        hrefs = {resource.href for resource, _ in world.items(name).values()}
        for proxy in world.proxies(name):
            assert not (proxy.has_item and proxy.item and proxy.item.href not in hrefs), f"{proxy.key} has no item"
        twins = {i.subject for i in world.state(name).issues() if TWINS in i.problem.what}
        unsent = [p for p in world.proxies(name) if p.share is Share.SHARED and p.there is There.ABSENT]
        waiting = [p.key for p in unsent if p.id not in twins]
        assert not waiting, f"{name}: shared and not on the server: {waiting}"


def everything(world: World, activities: dict[str, Activity]) -> str:
    """All that is still somewhere: items, activities, held conflicts, history."""
    parts = [resource.text.replace("\r\n ", "") for n in world.users for resource, _ in world.items(n).values()]
    parts += [_text(item.values) for n in world.users for _, item in world.items(n).values()]
    parts += [_text(a.values) for a in activities.values()]
    for name in world.users:
        parts += [_text({"b": h.base, "h": h.here, "t": h.there}) for p in world.proxies(name) for h in p.held]
        parts.append(world.kept(name).replace("Z", "+00:00").replace("\\\\r\\\\n ", ""))
    return " \n".join(parts) + " "


def _text(values: object) -> str:
    assert hasattr(values, "values")
    return " ".join(f"{token(v)} {v}" for v in values.values())


def _check_thing(
    world: World,
    thing: Thing,
    activities: dict[str, Activity],
    items: dict[str, dict[str, Item]],
    left: str,
) -> None:
    mine = {a.id: a for a in world.with_integration_id(thing.uid)}
    if thing.activity in activities:
        mine[thing.activity] = activities[thing.activity]
    assert len(mine) <= 1, f"(b) {thing.uid} has {len(mine)} activities"
    activity = next(iter(mine.values()), None)
    for name, keep in thing.keep.items():
        if name in thing.calendars:
            assert items[name][thing.uid].values.get("x-keep") == keep, "(g) an unknown line was lost"
    for name, value in thing.hidden.items():
        if activity is not None and activity.id == thing.activity:
            assert activity[name] == value, f"(f) {name} of {thing.uid} was {value!r}"
    for (name, what), value in thing.guests.items():
        if name in thing.calendars:
            assert shown(items[name][thing.uid], what) == value, "a guest's own copy was overwritten"
    for what, tokens in thing.live.items():
        for one in tokens:
            assert one in left, f"(c) {what} {one!r} of {thing.uid} is nowhere"
    if not thing.vague and not thing.contested and thing.owner != "generic":
        _strict(thing, activity, items[thing.owner].get(thing.uid))


def _strict(thing: Thing, activity: Activity | None, item: Item | None) -> None:
    guests = bool(thing.calendars - {thing.owner})
    if thing.gone == "item":
        assert item is None, f"(d) {thing.uid} came back"
        assert activity is None or guests, f"(d) the activity of {thing.uid} is still there"
    elif thing.gone == "activity":
        assert activity is None or guests, f"(d) the activity of {thing.uid} came back"
        if thing.made == "server" and thing.untouched:
            assert item is None, f"(d) {thing.uid} is still there"
    else:
        assert item is not None, f"(c) the item {thing.uid} is not there"
        assert activity is not None, f"(c) {thing.uid} has no activity"
        related = (*(activity["employees"] or ()), *(activity["contacts"] or ()))  # type: ignore[misc]
        for who, there in thing.people.items():
            assert (who in related) is there, f"(c) {who} is {'not ' if there else ''}related"
        for what, tokens in thing.live.items():
            if len(tokens) == 1:
                (one,) = tokens
                assert token(activity[what]) == one, f"(c) the activity's {what} is {activity[what]!r}, not {one}"
                if what in FIELDS:
                    assert shown(item, what) == one, f"(c) the item's {what} is {shown(item, what)!r}, not {one}"
