"""The activity server as one user sees it: embedded in the client's process, or behind `web.app`.

Every command runs in a savepoint of its own inside one transaction, so one refused does not disturb the others
(SYN-3). What a command that changed something was answered is remembered under its id in the same transaction: asked
again after a lost answer, the server gives the same answer and does nothing (SYN-2). Refusals and outdated versions
changed nothing and are decided anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from syncengine.core import activities as rules
from syncengine.core.wire import outcome_from_json, outcome_to_json
from syncengine.errors import AlreadyThere, ConfigError, ItemError, Vanished
from syncengine.model.activity import Activity, derived_uid
from syncengine.model.commands import (
    Command,
    Delete,
    Feed,
    Greeting,
    Insert,
    Leave,
    Linked,
    NaturalKey,
    Outcome,
    Outdated,
    Refused,
    Removed,
    Stored,
    Update,
)
from syncengine.model.directory import Directory, Employee, RecordKey, RecordType
from syncengine.model.filters import View
from syncengine.model.values import Json, Values
from syncengine.model.visibility import Counts, EditAnswer, Match, RecordEdit, RecordFeed
from syncengine.ports import ActivityStore, ContentFiles
from syncengine.services import visibility
from syncengine.services.contents import Contents
from syncengine.times import Clock

ANSWERS_KEPT = timedelta(days=90)
"""How long a lost answer can be asked for again."""

PAGE = 1000


class Activities:
    """Implements `ports.ActivityServer` for one user."""

    def __init__(
        self,
        store: ActivityStore,
        user: str,
        generic_owner: str,
        clock: Clock,
        files: ContentFiles | None = None,
        by: str = "",
    ) -> None:
        """user: an employee's id or one of their addresses. generic_owner: the address (or id) of the employee who
        owns what nobody known owns (OWN-2). Both are looked up at every call: the directory may come later.
        files: where contents of attachments are; None refuses them. by: who signs what is changed; the user, if
        nobody else."""
        self._store, self._user, self._generic_owner, self._clock = store, user, generic_owner, clock
        self._contents = Contents(store, files, clock)
        self._by = by

    def greet(self) -> Greeting:
        """Raises ConfigError where user or generic owner are not in the directory."""
        with self._store.transaction(write=False):
            caller = self._caller()
            version = visibility.version(self._store, caller)
            return Greeting(
                self._store.identity(), caller.id, caller.generic_owner, version, tuple(caller.employee.addresses)
            )

    def directory(self) -> Directory:
        with self._store.transaction(write=False):
            return visibility.directory(self._store, self._caller())

    def fetch(self, ids: Sequence[str]) -> Sequence[Activity]:
        with self._store.transaction(write=False):
            caller = self._caller()
            return [a for a in self._store.visible(ids, caller.id) if not rules.is_withheld(a, caller)]

    # --- records and views (services.visibility) ---

    def see(self, view: View) -> None:
        with self._store.transaction(write=True):
            self._store.see(self._caller().id, view)

    def count(self, view: View) -> Counts:
        with self._store.transaction(write=False):
            return visibility.count(self._store, self._caller(), view)

    def records(self, token: str | None, limit: int = PAGE) -> RecordFeed:
        """Raises Vanished like `changes`."""
        with self._store.transaction(write=False):
            caller, identity = self._caller(), self._store.identity()
            after = (0, "", "") if token is None else self._position_of(token, identity)
            return visibility.records(self._store, caller, after, max(1, limit), identity)

    def _position_of(self, token: str, identity: str) -> tuple[int, str, str]:
        number, kind, record_id = (*token.split(":", 3)[1:], "", "", "")[:3]
        return self._number_of(f"{token.partition(':')[0]}:{number}", identity), kind, record_id

    def look_up(self, text: str, kind: RecordType | None = None, limit: int = 10) -> Sequence[Match]:
        with self._store.transaction(write=False):
            return visibility.look_up(self._caller(), text, kind, limit)

    def pin(self, key: RecordKey, *, pinned: bool = True) -> None:
        with self._store.transaction(write=True):
            visibility.pin(self._store, self._caller(), key, pinned=pinned)

    def edit_record(self, edit: RecordEdit) -> EditAnswer:
        with self._store.transaction(write=True):
            caller = self._caller()
            self._store.signed(self._by or caller.id)
            return visibility.edit(self._store, caller, edit)

    def activities(self) -> Iterator[Activity]:
        """Read page by page, each in a transaction of its own, so a slow reader holds nothing up."""
        seen: set[str] = set()
        token, more = None, True
        while more:
            feed = self.changes(token, PAGE)
            yield from (activity for activity in feed.changed if activity.id not in seen)
            seen |= {activity.id for activity in feed.changed}
            token, more = feed.token, feed.more

    # --- contents of attachments (ATT-1) ---

    def missing(self, digests: Collection[str]) -> frozenset[str]:
        with self._store.transaction(write=False):
            return self._contents.missing(digests, self._caller())

    def upload(self, digest: str, size: int, chunks: Iterable[bytes]) -> None:
        with self._store.transaction(write=False):
            caller = self._caller()
        self._contents.upload(digest, size, chunks, caller)

    @contextmanager
    def download(self, activity_id: str, digest: str) -> Iterator[Iterator[bytes]]:
        with self._store.transaction(write=False):
            self._contents.check_listed_in(activity_id, digest, self._caller())
        with self._contents.open(digest) as chunks:
            yield chunks

    def close(self) -> None:
        self._store.close()

    def _caller(self) -> rules.Caller:
        directory = self._store.directory()
        generic_owner = _generic_owner(directory, self._generic_owner)
        user = _known(directory, self._user)
        if user is None:
            raise ConfigError(
                f"The directory of the activity server knows no employee {self._user!r}.",
                fix=f'import a directory with an employee who has this address: "syncengine directory import" '
                f'of {{"employees": [{{"id": "…", "name": "…", "addresses": ["{self._user}"], "user": true}}]}}',
            )
        return rules.Caller(user, generic_owner.id, directory)

    # --- the change feed ---

    def changes(self, token: str | None, limit: int = PAGE) -> Feed:
        """What becomes private has left for everybody but its owner (PRV-1).

        Raises Vanished for a token of another server, or of a future this database does not know."""
        with self._store.transaction(write=False):
            caller, identity = self._caller(), self._store.identity()
            after = 0 if token is None else self._number_of(token, identity)
            changed, deleted, left = self._store.changes(caller.id, after, max(1, limit))
            last = max((number for number, _ in (*changed, *deleted, *left)), default=after)
            more = last > after and any(self._store.changes(caller.id, last, 1))
        first = token is None
        withheld = [activity.id for _, activity in changed if rules.is_withheld(activity, caller)]
        return Feed(
            changed=tuple(activity for _, activity in changed if not rules.is_withheld(activity, caller)),
            deleted=() if first else tuple(activity_id for _, activity_id in deleted),
            left=() if first else (*(activity_id for _, activity_id in left), *withheld),
            token=f"{identity}:{last}",
            more=more,
        )

    def _number_of(self, token: str, identity: str) -> int:
        server, _, number = token.rpartition(":")
        if server != identity:
            raise Vanished(
                "This is not the server this state was synchronized with.",
                fix="check the server's address; if it was replaced on purpose, start anew: records that are there "
                "on both sides are paired, not doubled",
            )
        if not (number.isascii() and number.isdigit()) or int(number) > self._store.number():
            raise Vanished(
                "The activity server is older than what was synchronized with it last.",
                fix="it was probably restored from a backup; start anew: records that are there on both sides are "
                "paired, not doubled",
            )
        return int(number)

    # --- commands ---

    def apply(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        with self._store.transaction(write=True):
            caller, now = self._caller(), self._clock()
            self._store.signed(self._by or caller.id)
            answers = dict(self._store.answers([command.id for command in commands], caller.id))
            known = set(answers)
            self._look_ahead(commands, caller)
            outcomes = [self._answer(command, caller, answers) for command in commands]
            given = {command_id: answer for command_id, answer in answers.items() if command_id not in known}
            self._store.remember(given, caller.id, now)
            self._store.forget_answers(now - ANSWERS_KEPT)
            self._contents.sweep(now)
        return outcomes

    def _look_ahead(self, commands: Sequence[Command], caller: rules.Caller) -> None:
        inserts = [command for command in commands if isinstance(command, Insert)]
        wanted = [{**c.values, "owner": rules.owner_of(c.values, caller)} for c in inserts]
        with suppress(ItemError), self._store.savepoint():  # what no database can hold is refused with its command
            self._store.expect([c.activity_id for c in inserts], wanted)

    def _answer(self, command: Command, caller: rules.Caller, answers: dict[str, Json]) -> Outcome:
        """The answer given already, or now; one that changed something is put to the `answers`."""
        if (known := answers.get(command.id)) is not None:
            return outcome_from_json(cast(Mapping[str, Any], known))
        try:
            with self._store.savepoint():
                outcome = self._carry_out(command, caller)
        except ItemError as e:
            return Refused(command.id, e.what, e.fix)
        except (ValueError, TypeError, KeyError, OverflowError) as e:
            return Refused(command.id, f"The command cannot be understood: {e}", "correct its values")
        if isinstance(outcome, (Stored, Linked, Removed)):
            answers[command.id] = outcome_to_json(outcome)
        return outcome

    def _carry_out(self, command: Command, caller: rules.Caller) -> Outcome:
        if isinstance(command, Insert):
            return self._insert(command, caller)
        found = self._store.get(command.activity_id)
        if found is None or not found[1] or not rules.may_see(found[0], caller):
            if any(not rules.is_withheld(one, caller) for one in self._store.visible([command.activity_id], caller.id)):
                raise ItemError(
                    "You may look at this activity, but not change it: you are not on its team.",
                    fix="ask its owner to add you",
                )
            return Removed(command.id, command.activity_id)
        activity = found[0]
        match command:
            case Update():
                return self._update(command, activity, caller)
            case Delete():
                return self._delete(command, activity, caller)
            case Leave():
                return self._leave(command, activity, caller)

    def _update(self, command: Update, activity: Activity, caller: rules.Caller) -> Outcome:
        if command.base_version != activity.version:
            return Outdated(command.id, activity)
        values = rules.updated(activity, command.values, caller)
        self._contents.check(values, activity.values, caller)
        provisional = activity.provisional and rules.stays_provisional(values, caller)
        return Stored(command.id, self._change(activity, values, provisional))

    def _delete(self, command: Delete, activity: Activity, caller: rules.Caller) -> Outcome:
        rules.check_may_delete(activity, caller)
        if command.base_version != activity.version:
            return Outdated(command.id, activity)
        for one in (*(self._changed_occurrences(activity, caller) if command.series else ()), activity):
            self._store.remove(one.id, self._clock())
        return Removed(command.id, activity.id)

    def _changed_occurrences(self, activity: Activity, caller: rules.Caller) -> list[Activity]:
        """The single activities that stand for changed occurrences of a series; they follow it (REC-3). Of the generic
        owner's only those the caller sees: anybody could make a series with the id of somebody else's."""
        found = []
        for series in {activity["integration_id"], derived_uid(activity.id)} - {None}:
            found += self._store.find(("series", "owner"), {"series": series, "owner": activity["owner"]})
        return [one for one in found if rules.may_see(one, caller)]

    def _leave(self, command: Leave, activity: Activity, caller: rules.Caller) -> Outcome:
        rules.check_may_leave(activity, caller)
        self._change(activity, rules.left(activity, caller), activity.provisional)
        return Removed(command.id, activity.id)

    def _change(self, activity: Activity, values: Values, provisional: bool) -> Activity:
        """Store the values unless they are there already; the activity as it is then."""
        if not rules.differs(activity, values):
            return activity
        new = replace(activity, version=activity.version + 1, values=values, provisional=provisional)
        self._store.change(new, self._clock())
        return self._stored(activity.id)

    def _stored(self, activity_id: str) -> Activity:
        found = self._store.get(activity_id)
        if found is None:
            raise LookupError(f"activity {activity_id} was stored and is not there")
        return found[0]

    # --- insert: look, link, or add (KEY-5) ---

    def _insert(self, command: Insert, caller: rules.Caller) -> Outcome:
        if found := self._store.get(command.activity_id):
            activity, live = found
            visible = live and rules.may_see(activity, caller)
            return Linked(command.id, activity, ("id",)) if visible else Removed(command.id, activity.id)
        rules.check_keys(command.keys)
        rules.check_id(command.activity_id)
        values = {**command.values, "owner": rules.owner_of(command.values, caller)}
        if match := self._look_up(command, values, caller):
            return self._link(command, match, values, caller)
        return self._add(command, values, caller)

    def _add(self, command: Insert, values: Values, caller: rules.Caller) -> Outcome:
        stored = rules.inserted(values, caller)
        self._contents.check(stored, {}, caller)
        provisional = rules.is_guests_copy(stored, command.origin, caller)
        new = Activity(command.activity_id, 1, stored, command.origin, provisional=provisional)
        try:
            return Stored(command.id, self._store.add(new, self._clock()))
        except AlreadyThere:
            found = self._store.find(rules.UNIQUE_KEY, values) if command.keys else []
            if not found:
                raise
            return self._link(command, (found[0], rules.UNIQUE_KEY), values, caller)

    def _look_up(self, command: Insert, values: Values, caller: rules.Caller) -> tuple[Activity, NaturalKey] | None:
        """The activity the natural keys mean, in their order; at last the integration id alone (KEY-7)."""
        plain = rules.look_up_values(values, command.keys)
        for key in command.keys:
            if not rules.is_filled(key, plain):
                continue
            found = self._store.find(key, plain)
            shown = self._store.given([activity.id for activity in found], caller.id) if found else ()
            if match := rules.first_match(key, plain, found, caller, shown):
                return match, key
        if not command.keys or not rules.is_filled(rules.ID_ALONE, plain):
            return None
        same_id = self._store.find(rules.ID_ALONE, plain)
        return next(((a, rules.ID_ALONE) for a in same_id if rules.takes_part(a, values["owner"], caller)), None)

    def _link(
        self, command: Insert, match: tuple[Activity, NaturalKey], values: Values, caller: rules.Caller
    ) -> Outcome:
        activity, key = match
        joined = self._change(activity, rules.linked(activity, values, caller), activity.provisional)
        shown = rules.withheld(joined, key) if rules.is_withheld(joined, caller) else joined
        return Linked(command.id, shown, key)


def _known(directory: Directory, who: str) -> Employee | None:
    """The employee with this id or address."""
    return directory.employee_by_id(who) or (directory.employee(who) if who else None)


def check_generic_owner(store: ActivityStore, configured: str) -> None:
    """What a server asks before it starts: raises ConfigError where nobody known is the generic owner (OWN-2)."""
    with store.transaction(write=False):
        _generic_owner(store.directory(), configured)


def _generic_owner(directory: Directory, configured: str) -> Employee:
    if found := _known(directory, configured):
        return found
    what = (
        f"The directory knows no employee {configured!r}, who is configured as the generic owner."
        if configured
        else "No generic owner is configured."
    )
    raise ConfigError(
        what,
        fix="configure the address of an employee of the directory who owns what no known employee owns and is not a "
        'real person, or bring that employee into the directory with "syncengine directory import"',
    )
