"""Two people, their calendars and one server, with everything going wrong: at rest nothing is lost, doubled or risen
from the dead.

What is promised at rest, and checked in `oracle.py`: (a) another run writes nothing; (b) one thing is one activity
and at most one item per user; (c) what somebody typed and nobody entitled overwrote knowingly is on a side, in a held
conflict or in history, and on both sides where nobody contradicted; (d) what its owner deleted stays deleted; (e) the
user's own items are never deleted; (f) what only the server holds survives edits of the item; (g) unknown lines of an
item survive everything.

What this cannot make, and others must test: series (`test_series_convergence.py` does); all-day and floating
entries; private items; attendees added or taken out later, declined invitations; a directory that changes; filters; a
changed display-in; two collections of one user; items with equal UIDs; more than one batch or page; two clients of one
user at the same moment; an organizer whose newer revision arrives; a resolved conflict; the wire of the HTTP server.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connectors.memory.pim import Fault
from syncengine.core.ical.write import new, write
from syncengine.errors import SideError, Stopped
from syncengine.model.pim import Kind
from syncengine.services.sharing import set_shared
from tests.property import world as w
from tests.property.oracle import FIELDS, TEXTS, Thing, check, shown, token
from tests.property.world import Killed, Trouble, World, at

KINDS = st.sampled_from([Kind.EVENT, Kind.TODO])
USERS = st.sampled_from(["one", "two"])
PICK = st.integers(0, 5)
FIELD = st.sampled_from(sorted(FIELDS))
TEXT = st.sampled_from(sorted(TEXTS))
WRITES = st.lists(
    st.sampled_from(
        [
            frozenset[Fault](),
            frozenset({Fault.UNREACHABLE}),
            frozenset({Fault.ANSWER_LOST}),
            frozenset({Fault.NO_ETAG}),
            frozenset({Fault.REWRITTEN}),
            frozenset({Fault.LAGS}),
            frozenset({Fault.NO_ETAG, Fault.REWRITTEN}),
            frozenset({Fault.LAGS, Fault.ANSWER_LOST}),
            frozenset({Fault.REWRITTEN, Fault.ANSWER_LOST}),
        ]
    ),
    max_size=3,
)
CHANGES = st.lists(
    st.sampled_from([frozenset[Fault](), frozenset({Fault.UNREACHABLE}), frozenset({Fault.TOKEN_REFUSED})]), max_size=2
)
FETCH = st.lists(
    st.sampled_from([frozenset[Fault](), frozenset({Fault.UNREACHABLE}), frozenset({Fault.UNREADABLE})]), max_size=3
)
SERVER = st.lists(st.sampled_from(["fine", "fine", "before", "after"]), max_size=5)
CUSTOMER = "ATTENDEE:mailto:customer@client.test\r\n"
TROUBLE = st.builds(Trouble, CHANGES, FETCH, WRITES, SERVER)


SOMETHING = precondition(lambda self: bool(self.things))


class Convergence(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.things: list[Thing] = []
        self.number = 0
        self.world: World | None = None

    @initialize(rounds=st.booleans(), rewrite=st.sampled_from(sorted(w.REWRITES)))
    def begin(self, rounds: bool, rewrite: str) -> None:
        self.world = World(rounds=rounds, rewrite=rewrite)

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            check(self.here, self.things)
        finally:
            self.here.close()

    # --- helpers ---

    @property
    def here(self) -> World:
        assert self.world, "a story begins with a world"
        return self.world

    def _value(self, field: str, long: bool = False) -> tuple[Any, str]:
        """A value nobody has typed before, and its token."""
        self.number += 1
        value: Any = at(self.number) if field == "planned" else f"v{self.number:04d}" + (w.LONG if long else "")
        found = token(value)
        assert found
        return value, found

    def _in_calendar(self, user: str, pick: int, kind: Kind | None = None) -> Thing | None:
        present = self.here.items(user)
        found = [t for t in self.things if t.uid in present and kind in (None, t.kind)]
        return found[pick % len(found)] if found else None

    def _on_server(self, pick: int) -> tuple[Thing, str, str] | None:
        """A thing with an activity, its id, and a user who may edit it."""
        found = []
        for thing in self.things:
            ids = {a.id for a in self.here.with_integration_id(thing.uid)} | {thing.activity or ""}
            for user in (thing.owner,) if thing.owner != "generic" else ("one", "two"):
                found += [(thing, a.id, user) for a in self.here.server(user).activities() if a.id in ids]
        return found[pick % len(found)] if found else None

    def _unseen(self, thing: Thing, user: str) -> bool:
        """Whether the server has something of the thing that this client has not taken in."""
        versions = {a.id: a.version for a in self.here.activities().values()}
        known = [p for p in self.here.proxies(user) if p.item and p.item.uid == thing.uid]
        ids = {a.id for a in self.here.with_integration_id(thing.uid)} | ({thing.activity} & versions.keys())
        synced = {p.server.id: p.server.version for p in known if p.server}
        return any(synced.get(i or "") != versions.get(i or "") for i in ids)

    # --- the user, in the calendar ---

    @rule(
        user=USERS,
        kind=KINDS,
        twin=st.sampled_from([False, False, True]),
        organizer=st.sampled_from(["nobody", "nobody", "self", "outside"]),
        filled=st.sets(st.sampled_from(["comments", "location"])),
        long=st.booleans(),
        lags=st.booleans(),
    )
    def create_item(
        self, user: str, kind: Kind, twin: bool, organizer: str, filled: set[str], long: bool, lags: bool
    ) -> None:
        self.number += 1
        uid = f"item-{self.number}"
        organizer = "nobody" if kind is Kind.TODO else organizer
        thing = Thing(uid, kind, "generic" if organizer == "outside" else user, "user", vague=twin)
        values: dict[str, Any] = {}
        for field in sorted({"description", "planned"} | filled):
            value, typed = self._value(field, long)
            if twin and field in ("description", "planned"):
                value = at(0) if field == "planned" else "Twin"
            else:
                thing.typed(field, None, typed)
            values[FIELDS[field]] = value
        if kind is Kind.EVENT:
            values["dtend"] = values["dtstart"] + w.timedelta(minutes=30)
        text = new(kind, uid, values, self.here.now)
        thing.keep[user] = f"k{self.number}"
        lines = [f"X-KEEP:{thing.keep[user]}"]
        if organizer != "nobody":
            address = "boss@outside.test" if organizer == "outside" else f"{user}@example.com"
            lines += [f"ORGANIZER:mailto:{address}"]
            lines += [f"ATTENDEE:mailto:{who}@example.com" for who in ("one", "two")]
        self.here.put(user, uid, _with(text, lines), lags=lags)
        thing.calendars.add(user)
        self.things.append(thing)

    @SOMETHING
    @rule(user=USERS, pick=PICK)
    def invite(self, user: str, pick: int) -> None:
        """The copy of a meeting arrives in the other calendar, or arrives again after a change."""
        thing = self._in_calendar(user, pick, Kind.EVENT)
        other = "two" if user == "one" else "one"
        if thing is None or thing.owner == other or thing.made == "server":
            return
        text = self.here.items(user)[thing.uid][0].text
        if "ORGANIZER" not in text or (thing.owner == "generic" and other in thing.calendars):
            return
        self.here.put(other, thing.uid, text)
        thing.calendars.add(other)
        thing.keep[other] = thing.keep[user]
        thing.guests = {key: value for key, value in thing.guests.items() if key[0] != other}

    @SOMETHING
    @rule(user=USERS, pick=PICK, field=FIELD, long=st.booleans(), lags=st.booleans())
    def edit_item(self, user: str, pick: int, field: str, long: bool, lags: bool) -> None:
        if (thing := self._in_calendar(user, pick)) is None:
            return
        value, typed = self._value(field, long)
        self._save(user, thing, field, value, typed, lags)

    @SOMETHING
    @rule(user=USERS, pick=PICK, field=TEXT)
    def agree(self, user: str, pick: int, field: str) -> None:
        """Types just what the server says."""
        thing = self._in_calendar(user, pick)
        if thing is None or user != thing.owner:
            return
        for activity in self.here.with_integration_id(thing.uid):
            if typed := token(activity[field]):
                self._save(user, thing, field, activity[field], typed, False)

    def _save(self, user: str, thing: Thing, field: str, value: Any, typed: str, lags: bool) -> None:
        resource, item = self.here.items(user)[thing.uid]
        if thing.owner in (user, "generic"):
            thing.typed(field, shown(item, field), typed)
        else:
            thing.guests[user, field] = typed
        changes = {FIELDS[field]: value}
        if field == "planned" and thing.kind is Kind.EVENT:
            changes["dtend"] = value + w.timedelta(minutes=30)
        self.here.put(user, thing.uid, write(resource.text, changes, w.ZoneInfo("UTC")), lags=lags)

    @SOMETHING
    @rule(user=USERS, pick=PICK, priority=st.sampled_from([1, 3, 5, 9]), done=st.booleans())
    def tick_todo(self, user: str, pick: int, priority: int, done: bool) -> None:
        if (thing := self._in_calendar(user, pick, Kind.TODO)) is None:
            return
        thing.contested = True
        thing.hidden.pop("priority", None)
        thing.hidden.pop("status", None)
        changes = {"priority": priority, "status": "COMPLETED" if done else "IN-PROCESS"}
        text = self.here.items(user)[thing.uid][0].text
        self.here.put(user, thing.uid, write(text, changes, w.ZoneInfo("UTC")))

    @SOMETHING
    @rule(user=USERS, pick=PICK)
    def invite_customer(self, user: str, pick: int) -> None:
        """The owner invites one more, or takes the invitation back."""
        thing = self._in_calendar(user, pick, Kind.EVENT)
        if thing is None or thing.owner != user or thing.made == "server":
            return
        text = self.here.items(user)[thing.uid][0].text
        thing.people["customer"] = CUSTOMER not in text
        text = text.replace(CUSTOMER, "") if CUSTOMER in text else _with(text, [CUSTOMER.strip()])
        self.here.put(user, thing.uid, text)

    @SOMETHING
    @rule(user=USERS, pick=PICK)
    def edit_unknown_line(self, user: str, pick: int) -> None:
        thing = self._in_calendar(user, pick)
        if thing is None or user not in thing.keep:
            return
        self.number += 1
        text, old = self.here.items(user)[thing.uid][0].text, thing.keep[user]
        thing.keep[user] = f"k{self.number}"
        self.here.put(user, thing.uid, text.replace(f"X-KEEP:{old}\r\n", f"X-KEEP:{thing.keep[user]}\r\n"))

    @SOMETHING
    @rule(user=USERS, pick=PICK)
    def delete_item(self, user: str, pick: int) -> None:
        if (thing := self._in_calendar(user, pick)) is None:
            return
        item = self.here.items(user)[thing.uid][1]
        unseen = self._unseen(thing, user)
        self.here.drop(user, thing.uid)
        thing.calendars.discard(user)
        if thing.owner == "generic":
            thing.live.clear()  # everybody's word counts, the last one's too
        if thing.owner != user:
            return
        for field in FIELDS:
            thing.saw(field, shown(item, field))
        if not unseen:
            thing.saw("type", next(iter(thing.live.get("type", ())), None))
        thing.contested = thing.contested or unseen or not thing.untouched
        thing.gone = thing.gone or "item"

    @SOMETHING
    @rule(user=USERS, pick=PICK)
    def put_back(self, user: str, pick: int) -> None:
        """Deleted, and restored before or after anybody has noticed."""
        thing = self._in_calendar(user, pick)
        if thing is None or thing.made == "server":
            return
        text = self.here.items(user)[thing.uid][0].text
        self.here.drop(user, thing.uid)
        with suppress(Stopped):
            self.here.run(user)
        self.here.put(user, thing.uid, text)
        thing.vague = True

    # --- people on the server ---

    @rule(user=USERS, kind=KINDS, twin=st.sampled_from([False, False, True]), to_both=st.booleans())
    def server_add(self, user: str, kind: Kind, twin: bool, to_both: bool) -> None:
        thing = Thing("", kind, user, "server", vague=twin)
        thing.hidden = {"type": "Field Repair", "account": "acme", "priority": "1-ASAP", "status": "Requested"}
        values: dict[str, Any] = dict(thing.hidden)
        values["display_in"] = "Calendar and Activities" if kind is Kind.EVENT else "To Do and Activities"
        for field in ("description", "location", "planned"):
            value, typed = self._value(field)
            if twin and field != "location":
                value = at(0) if field == "planned" else "Twin"
            else:
                thing.typed(field, None, typed)
            values[field] = value
        if kind is Kind.EVENT:
            values["planned_completion"] = values["planned"] + w.timedelta(minutes=30)
            if to_both:
                values["participants"] = ["one@example.com", "two@example.com"]
        thing.activity = self.here.add(user, **{n: _plain(v) for n, v in values.items()}).id
        thing.uid = f"activity-{thing.activity}"
        self.things.append(thing)

    @SOMETHING
    @rule(pick=PICK, field=FIELD)
    def server_edit(self, pick: int, field: str) -> None:
        if (found := self._on_server(pick)) is None:
            return
        thing, identity, user = found
        value, typed = self._value(field)
        thing.typed(field, token(self.here.activities()[identity][field]), typed)
        self._touched_there(thing)
        self.here.edit(user, identity, **{field: _plain(value)})

    @SOMETHING
    @rule(pick=PICK)
    def server_edit_unmapped(self, pick: int) -> None:
        """The type, which no item shows."""
        if (found := self._on_server(pick)) is None:
            return
        thing, identity, user = found
        self.number += 1
        activity = self.here.edit(user, identity, type=f"t{self.number:04d}")
        thing.hidden["type"] = activity["type"]
        thing.activity = thing.activity or identity
        self._touched_there(thing)

    @SOMETHING
    @rule(pick=PICK)
    def server_relate(self, pick: int) -> None:
        """Somebody is put on the team, or taken off, who was never invited."""
        if (found := self._on_server(pick)) is None:
            return
        thing, identity, user = found
        team = set(self.here.activities()[identity]["employees"] or ()) ^ {"three"}  # type: ignore[arg-type]
        thing.people["three"] = "three" in team
        self.here.edit(user, identity, employees=sorted(team))
        self._touched_there(thing)

    @SOMETHING
    @rule(
        pick=PICK,
        status=st.sampled_from(["Requested", "On Hold", "Done"]),
        priority=st.sampled_from(["1-ASAP", "4-Low"]),
    )
    def server_edit_state(self, pick: int, status: str, priority: str) -> None:
        if (found := self._on_server(pick)) is None:
            return
        thing, identity, user = found
        self._touched_there(thing)
        self.here.edit(user, identity, status=status, priority=priority)
        if thing.activity == identity and "priority" in thing.hidden:
            thing.hidden |= {"status": status, "priority": priority}

    def _touched_there(self, thing: Thing) -> None:
        if thing.gone == "item":
            thing.contested = True

    @SOMETHING
    @rule(pick=PICK)
    def server_delete(self, pick: int) -> None:
        if (found := self._on_server(pick)) is None:
            return
        thing, identity, user = found
        activity = self.here.activities()[identity]
        self.here.remove(user, identity)
        for field in (*FIELDS, "type"):
            thing.saw(field, token(activity[field]))
        thing.gone = thing.gone or "activity"
        if thing.owner == "generic":
            thing.vague = True

    # --- the client ---

    @SOMETHING
    @rule(user=USERS, pick=PICK, shared=st.booleans())
    def share(self, user: str, pick: int, shared: bool) -> None:
        thing = self._in_calendar(user, pick)
        state = self.here.state(user)
        if thing is None or not any(p.has_item for p in state.find(thing.uid)):
            return
        thing.vague = True
        set_shared(state, thing.uid, shared=shared)

    @rule(user=USERS)
    def lose_state(self, user: str) -> None:
        self.here.lose_state(user)
        for thing in self.things:
            thing.vague = True

    @rule(user=USERS)
    def sync(self, user: str) -> None:
        self._run(user, w.QUIET)

    @rule(user=USERS, trouble=st.just(w.QUIET) | TROUBLE, kill_at=st.none() | st.integers(0, 30))
    def sync_local_only(self, user: str, trouble: Trouble, kill_at: int | None) -> None:
        self._run(user, w.replace(trouble, kill_at=kill_at), local_only=True)

    @rule(user=USERS, trouble=TROUBLE)
    def sync_in_trouble(self, user: str, trouble: Trouble) -> None:
        self._run(user, trouble)

    @rule(user=USERS, kill_at=st.integers(0, 45))
    def sync_killed(self, user: str, kill_at: int) -> None:
        self._run(user, Trouble(kill_at=kill_at))

    @rule(user=USERS, trouble=TROUBLE, kill_at=st.integers(0, 30))
    def sync_killed_in_trouble(self, user: str, trouble: Trouble, kill_at: int) -> None:
        self._run(user, w.replace(trouble, kill_at=kill_at))

    @rule(user=USERS)
    def confirm(self, user: str) -> None:
        self.here.accept(user)

    @SOMETHING
    @rule()
    def rest(self) -> None:
        check(self.here, self.things)

    def _run(self, user: str, trouble: Trouble, *, local_only: bool = False) -> None:
        try:
            self.here.run(user, trouble, local_only=local_only)
        except (Stopped, Killed):
            pass
        except SideError:
            assert not trouble.none


def _with(text: str, lines: list[str]) -> str:
    end = "END:VTODO" if "END:VTODO" in text else "END:VEVENT"
    return text.replace(end, "".join(f"{line}\r\n" for line in lines) + end)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


Convergence.TestCase.settings = settings.get_profile(
    "long" if settings.get_current_profile_name() == "long" else "quick"
)
test_convergence = Convergence.TestCase
