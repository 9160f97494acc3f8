"""People decide, by rule and by hand, while clients of one person run at the same time: whatever they decide, the two
sides come to rest, and what somebody typed is on a side, in a held conflict or in history.

One person has two clients, laptop and phone, on one calendar; a second person shares some of the meetings. An admin has
chosen a conflict policy. At any point of one client's run the other may run, be killed, or somebody may edit.

What this cannot make: series, guests' copies, unreliable lines (`test_convergence` has them); processes of an
operating system, which `tests/e2e` starts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from syncengine.core.ical.write import new, write
from syncengine.errors import ConfigError, Stopped
from syncengine.model.activity import derived_uid
from syncengine.model.brakes import Brakes, Limits, Mode
from syncengine.model.pim import Kind
from syncengine.services.conflicts import Wish
from tests.property import world as w
from tests.property.oracle import FIELDS, come_to_rest, everything, nothing_left_open, one_to_one, shown, token
from tests.property.world import Killed, Trouble, World, at

ASKS = '<conflicts default="ask" loser="discard">'
POLICIES = {
    "ask": (ASKS,),
    "server wins": ('<conflicts default="server" loser="discard">',),
    "the PIM wins": ('<conflicts default="pim" loser="discard">',),
    "merge": ('<conflicts default="merge" loser="discard">',),
    "the newest wins": (ASKS, '<rule type="calendar" policy="newest"/>'),
    "the server wins everything": (
        ASKS,
        '<rule type="calendar" policy="server"/>',
        '<rule conflict="delete" policy="server"/>',
        '<rule conflict="duplicate" policy="server"/>',
    ),
    "the PIM wins everything, with copies": (
        ASKS,
        '<rule type="calendar" policy="pim" loser="copy"/>',
        '<rule type="calendar" conflict="delete" policy="pim" loser="copy"/>',
        '<rule type="calendar" conflict="duplicate" policy="pim" loser="copy"/>',
    ),
    "copies": (ASKS, '<rule type="calendar" policy="server" loser="copy"/>'),
}
BRAKES = {
    "as shipped": Brakes(),
    "every deletion stops": Brakes(Limits(0, 0.0)),
    "every deletion waits": Brakes(Limits(mode=Mode.CONFIRM)),
    "none": Brakes(Limits(mode=Mode.SUPPRESS)),
}
CLIENTS = st.sampled_from(["laptop", "phone", "two"])
ALWAYS = st.sampled_from(["", "", "item", "field", "type"])
PICK = st.integers(0, 5)
FIELD = st.sampled_from(["description", "location", "comments"])
MOMENT = st.integers(0, 25)
"""At which point of a run something happens meanwhile."""


@dataclass
class Thing:
    """An entry that somebody made in a calendar or on the server, and per field what must still be somewhere."""

    uid: str
    owner: str
    live: dict[str, set[str]] = field(default_factory=dict)

    def typed(self, name: str, seen: str | None, value: str) -> None:
        tokens = self.live.setdefault(name, set())
        tokens.discard(seen or "")
        tokens.add(value)

    def saw(self, name: str, seen: str | None) -> None:
        self.live.get(name, set()).discard(seen or "")


SOMETHING = precondition(lambda self: bool(self.things))


class Decisions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.things: list[Thing] = []
        self.number = 0
        self.world: World | None = None

    @initialize(policy=st.sampled_from(sorted(POLICIES)), brakes=st.sampled_from(sorted(BRAKES)))
    def begin(self, policy: str, brakes: str) -> None:
        self.world = World(
            names=("laptop", "two"),
            clients=[("phone", "laptop")],
            addresses={"laptop": "one"},
            edits=[(ASKS, "".join(POLICIES[policy]))],
            brakes=BRAKES[brakes],
        )

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            self._check()
        finally:
            self.world.close()

    @property
    def here(self) -> World:
        assert self.world, "a story begins with a world"
        return self.world

    def _text(self) -> str:
        self.number += 1
        return f"v{self.number:04d}"

    # --- in the calendar ---

    @rule(user=st.sampled_from(["laptop", "two"]))
    def create(self, user: str) -> None:
        thing = Thing(f"item-{self.number}", user)
        start, values = at(self.number), {}
        for name in ("description", "comments"):
            values[name] = self._text()
            thing.typed(name, None, values[name])
        said = {FIELDS[name]: value for name, value in values.items()}
        text = new(Kind.EVENT, thing.uid, {**said, "dtstart": start, "dtend": start}, self.here.now)
        self.here.put(user, thing.uid, text)
        self.things.append(thing)

    @SOMETHING
    @rule(pick=PICK, name=FIELD)
    def edit_item(self, pick: int, name: str) -> None:
        self._edit_item(pick, name)

    def _edit_item(self, pick: int, name: str) -> None:
        if (thing := self._pick(pick, self._in_calendar)) is None:
            return
        resource, item = self.here.items(thing.owner)[thing.uid]
        value = self._text()
        thing.typed(name, shown(item, name), value)
        self.here.put(thing.owner, thing.uid, write(resource.text, {FIELDS[name]: value}, w.ZoneInfo("UTC")))

    @SOMETHING
    @rule(pick=PICK)
    def delete_item(self, pick: int) -> None:
        if (thing := self._pick(pick, self._in_calendar)) is None:
            return
        item = self.here.items(thing.owner)[thing.uid][1]
        self.here.drop(thing.owner, thing.uid)
        for name in FIELDS:
            thing.saw(name, shown(item, name))

    # --- on the server ---

    @rule(user=st.sampled_from(["laptop", "two"]))
    def add(self, user: str) -> None:
        thing = Thing("", user)
        values = {name: self._text() for name in ("description", "comments")}
        start = at(self.number).isoformat()
        made = {"display_in": "Calendar and Activities", "planned": start, "planned_completion": start, **values}
        thing.uid = derived_uid(self.here.add(user, **made).id)
        for name, value in values.items():
            thing.typed(name, None, value)
        self.things.append(thing)

    @SOMETHING
    @rule(pick=PICK, name=FIELD)
    def edit_activity(self, pick: int, name: str) -> None:
        self._edit_activity(pick, name)

    def _edit_activity(self, pick: int, name: str) -> None:
        if (thing := self._pick(pick, self._on_server)) is None:
            return
        identity = self._on_server(thing)[0]
        value = self._text()
        thing.typed(name, token(self.here.activities()[identity][name]), value)
        self.here.edit(thing.owner, identity, **{name: value})

    @SOMETHING
    @rule(pick=PICK)
    def delete_activity(self, pick: int) -> None:
        if (thing := self._pick(pick, self._on_server)) is None:
            return
        identity = self._on_server(thing)[0]
        activity = self.here.activities()[identity]
        self.here.remove(thing.owner, identity)
        for name in FIELDS:
            thing.saw(name, token(activity[name]))

    def _in_calendar(self, thing: Thing) -> bool:
        return thing.uid in self.here.items(thing.owner)

    def _on_server(self, thing: Thing) -> list[str]:
        """The ids of its live activities."""
        found = [a.id for a in self.here.with_integration_id(thing.uid)]
        return found + [i for i in self.here.activities() if derived_uid(i) == thing.uid and i not in found]

    def _pick(self, pick: int, among: Callable[[Thing], Any]) -> Thing | None:
        found = [t for t in self.things if among(t)]
        return found[pick % len(found)] if found else None

    # --- clients ---

    @rule(client=CLIENTS)
    def sync(self, client: str) -> None:
        self._run(client, w.QUIET)

    @rule(client=CLIENTS, kill_at=MOMENT)
    def sync_killed(self, client: str, kill_at: int) -> None:
        self._run(client, Trouble(kill_at=kill_at))

    @SOMETHING
    @rule(client=CLIENTS, other=CLIENTS, moment=MOMENT, killed=st.none() | MOMENT)
    def sync_at_once(self, client: str, other: str, moment: int, killed: int | None) -> None:
        """Another client runs, whole or killed, while this one is on its way."""
        if client != other:
            meanwhile = (moment, lambda: self._run(other, Trouble(kill_at=killed)))
            self._run(client, Trouble(meanwhile=meanwhile))

    @SOMETHING
    @rule(client=CLIENTS, moment=MOMENT, pick=PICK, name=FIELD, there=st.booleans())
    def edit_meanwhile(self, client: str, moment: int, pick: int, name: str, there: bool) -> None:
        edit = self._edit_activity if there else self._edit_item
        self._run(client, Trouble(meanwhile=(moment, lambda: edit(pick, name))))

    @rule(client=CLIENTS)
    def confirm(self, client: str) -> None:
        self.here.accept(client)

    @rule(client=CLIENTS)
    def revert(self, client: str) -> None:
        self.here.revert(client)

    @SOMETHING
    @rule(client=CLIENTS, pick=PICK, take=st.sampled_from(["server", "pim", "both"]), always=ALWAYS)
    def answer(self, client: str, pick: int, take: str, always: str) -> None:
        self.here.answer(client, pick, Wish(always=always, keep_both=take == "both", take=(take,) * (take != "both")))

    @SOMETHING
    @rule(client=CLIENTS, pick=PICK, name=FIELD)
    def merge_by_hand(self, client: str, pick: int, name: str) -> None:
        self.here.answer(client, pick, Wish(take=(f"{name}=merged",)))

    @SOMETHING
    @rule(client=CLIENTS, kill_at=st.none() | MOMENT)
    def undo(self, client: str, kill_at: int | None) -> None:
        """The last run that wrote something is undone, perhaps not to its end."""
        with suppress(Stopped, Killed, ConfigError):
            self.here.run(client, Trouble(kill_at=kill_at), undo="last")

    @SOMETHING
    @rule()
    def rest(self) -> None:
        self._check()

    def _run(self, client: str, trouble: Trouble) -> None:
        with suppress(Stopped, Killed):
            self.here.run(client, trouble)

    def _check(self) -> None:
        come_to_rest(self.here)
        activities = self.here.activities()
        nothing_left_open(self.here)
        one_to_one(self.here, activities)
        found = everything(self.here, activities)
        for thing in self.things:
            assert len(self._on_server(thing)) <= 1, f"{thing.uid} has several activities"
            for name, tokens in thing.live.items():
                for one in tokens:
                    assert one in found, f"{name} {one!r} of {thing.uid} is nowhere"


Decisions.TestCase.settings = settings.get_profile("long" if settings.get_current_profile_name() == "long" else "quick")
test_decisions = Decisions.TestCase
