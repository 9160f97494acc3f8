"""The server's side of a run: take in its change feed, and carry commands to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncengine.core.issues import is_due
from syncengine.core.mapping.apply import matches
from syncengine.core.mapping.place import type_for
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.correlate import keys_of_activity, link, pairs
from syncengine.core.sync.reconcile import Decision, Verdict, predicted, stored, unlinked
from syncengine.core.sync.reflect import rows_of
from syncengine.core.sync.traces import of_command
from syncengine.core.wire import command_from_json, command_to_json
from syncengine.errors import Problem
from syncengine.model.activity import Activity
from syncengine.model.commands import (
    Command,
    Insert,
    Leave,
    Linked,
    Outcome,
    Outdated,
    Refused,
    Removed,
    Stored,
    Update,
)
from syncengine.model.issue import Issue
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.services.sync.work import ODD, Work, as_item_error

SIDE = "server"
PROBLEMS = "proxy"
ACTIVITIES = "activity"
"""The scope of issues about activities that could not be taken in."""


class ServerSide:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self.issues: dict[str, Issue] = {}  # of activities, by their ids
        self.told = 0  # commands, for who watches
        self._replaced: set[str] = set()  # proxies whose activity has turned out to be another item's

    # --- what changed there ----------------------------------------------------------------------------------------

    def take_in(self) -> None:
        """Read the change feed to its end; each page is one step."""
        self.issues = {issue.subject: issue for issue in self.state.issues(ACTIVITIES)}
        self._take_in_again([i.subject for i in self.issues.values() if is_due(i, self.work.began)])
        more, read = True, 0
        while more:
            self.work.progress("reading from the server", read)
            token = self.state.token(SIDE)
            feed = self.work.server.changes(token)
            if feed.token != token or feed.changed or feed.deleted or feed.left:
                self.work.busy = True
                with self.state.transaction():
                    self._changed([a for a in feed.changed if a.complete])
                    self._looked_at([a for a in feed.changed if not a.complete])
                    self._vanished(feed.deleted, There.DELETED)
                    self._vanished(feed.left, There.LEFT)
                    self.state.set_token(SIDE, feed.token)
            more, read = feed.more, read + len(feed.changed)

    def _take_in_again(self, ids: Sequence[str]) -> None:
        """Activities that could not be taken in before (SYN-3); some may not be there any more."""
        if not ids:
            return
        self.work.busy = True
        self.work.earlier.update({(ACTIVITIES, i): self.issues[i] for i in ids})
        found = self.work.server.fetch(ids)
        with self.state.transaction():
            self.state.solve(ACTIVITIES, ids)
            self._changed([a for a in found if a.complete])
            self._looked_at([a for a in found if not a.complete])

    def _looked_at(self, activities: Sequence[Activity]) -> None:
        """What is only to be looked at is kept apart from the proxies, so that it can have no item, be in conflict or
        be sent (VIS-1). What was complete before goes out of sight."""
        self._vanished([a.id for a in activities], There.LEFT)
        self.state.keep_looked_at(activities)

    def _changed(self, activities: Sequence[Activity]) -> None:
        self.state.forget_looked_at(a.id for a in activities)
        seen = self.state.versions(a.id for a in activities)
        news = [a for a in activities if seen.get(a.id) != (a.version, There.LIVE.value)]
        known = self.state.by_activity(a.id for a in news)
        for activity in news:
            try:
                self._note(activity, known.get(activity.id))
                self._solved([activity.id])
            except ODD as e:
                error = as_item_error(e)
                where = f"{activity.id} ({activity['description'] or 'no subject'})"
                problem = Problem(error.what, where, error.fix)
                self.work.fail(ACTIVITIES, activity.id, problem, str(activity.version))

    def _note(self, activity: Activity, proxy: Proxy | None) -> None:
        mapping = self.work.mapping_of(proxy) if proxy else self.work.mapping_for(activity.values)
        type_map = type_for(mapping, activity.values)
        if type_map is not None and not matches(type_map.filter, activity.values):
            if proxy is not None and proxy.there is There.LIVE:
                self.work.save([replace(proxy, server=activity, there=There.LEFT)], dirty=True)
            return
        if proxy is not None and proxy.server is None and proxy.share is not Share.SHARED:
            if self.work.type_of(proxy) is None:  # of a kind that is not mapped any more
                return
            if proxy.share is Share.NEVER and not proxy.alone:  # it went out of sight and is back
                self._link(proxy, activity, "visible again")
            return
        if proxy is not None and proxy.server is None and proxy.item is not None and self.work.type_of(proxy):
            self._link(proxy, activity, "the same by id or natural key")  # known by its id, and nothing else of it
            return
        if proxy is not None:
            self.work.save([replace(proxy, server=activity, there=There.LIVE)], dirty=True)
            return
        if type_map is not None:
            keys = keys_of_activity(activity, type_map)
            partner = pairs(keys, self._not_strangers(activity, self.state.waiting(keys, "item")))
            if partner is not None:
                self._meets(self.state.proxies([partner])[partner], activity)
                return
        self.work.save([Proxy(activity.id, None, server=activity, there=There.LIVE)], dirty=True)

    def look_again(self, proxy: Proxy) -> None:
        """Look at an activity without an item as if it had just come. Inside a transaction."""
        activity = proxy.server
        if activity is None or proxy.there is not There.LIVE:
            return
        type_map = type_for(self.work.mapping_for(activity.values), activity.values)
        if type_map is not None and not matches(type_map.filter, activity.values):
            self.work.save([replace(proxy, there=There.LEFT)], dirty=True)
            return
        keys = keys_of_activity(activity, type_map) if type_map else ()
        partner = pairs(keys, self._not_strangers(activity, self.state.waiting(keys, "item")))
        found = self.state.proxies([partner]).get(partner) if partner else None
        if found is None or found.server is not None:
            self.work.save([proxy], dirty=True)
            return
        self.state.forget([proxy.id])
        self._link(found, activity, "the same by id or natural key")

    def _meets(self, proxy: Proxy, activity: Activity) -> None:
        if proxy.share is Share.DROPPED:  # its user wants no item of it, on whatever server
            self.work.save([replace(proxy, server=activity, there=There.LIVE)], dirty=True)
        else:
            self._link(proxy, activity, "the same by id or natural key")

    def _not_strangers(self, activity: Activity, candidates: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Without those of which a person has said that they are not the same as this activity."""
        uids = {uid for uid, other in self.work.strangers if other == activity.id} if candidates else set()
        if not uids:
            return candidates
        waiting = self.state.proxies(identity for _, identity in candidates)
        return [(k, i) for k, i in candidates if (item := waiting[i].item) is None or item.uid not in uids]

    def _link(self, proxy: Proxy, activity: Activity, because: str, *, joined: bool = False) -> Proxy:
        type_map = self.work.type_of(proxy)
        assert type_map is not None
        item = snapshot(proxy, type_map)
        linked = link(proxy, activity, item, type_map, self.work.me(self.work.mapping_of(proxy)))
        self.work.save([linked], dirty=True)
        self.work.share_parts(linked)
        self.work.linked(linked, because, joined=joined)
        return linked

    def _solved(self, ids: Sequence[str]) -> None:
        """Those that could be taken in after all, or are gone."""
        self.state.solve(ACTIVITIES, [i for i in ids if i in self.issues])

    def _vanished(self, ids: Sequence[str], there: There) -> None:
        self._solved(ids)
        self.state.forget_looked_at(ids)
        proxies = self.state.by_activity(ids)
        found = [replace(p, there=there) for p in proxies.values() if p.there is There.LIVE]
        self.work.save(found, dirty=True)

    # --- what is to be told there ----------------------------------------------------------------------------------

    def tell(self, decisions: Sequence[Decision], first: Sequence[Proxy] = ()) -> list[Proxy]:
        """Carry out the commands of a batch of decisions. Returns the proxies that go on to their items. `first`: saved
        with the intents, where what is told changes what they are."""
        told = [(d, d.command) for d in decisions if d.command is not None]
        if told:
            run = self.work.report.run
            with self.state.transaction():
                self.work.save(first, dirty=True)
                self.state.intend(SIDE, [(c.id, d.proxy.id, {**command_to_json(c), "run": run}) for d, c in told])
            self.told += len(told)
            self.work.progress("telling the server", self.told)
        outcomes = self._apply([c for _, c in told], [d.proxy for d, _ in told])
        going_on = [d.proxy for d in decisions if d.command is None]
        with self.state.transaction():
            for (decision, command), outcome in zip(told, outcomes, strict=True):
                try:
                    after = self._answered(decision.proxy, command, outcome, decision.because)
                except ODD as e:
                    error = as_item_error(e)
                    self.work.fail(PROBLEMS, decision.proxy.id, Problem(error.what, decision.proxy.key, error.fix))
                    continue
                if after is not None:
                    going_on.append(after)
            self.state.done(c.id for _, c in told)
        return [p for p in going_on if p.id not in self._replaced]

    def _apply(self, commands: Sequence[Command], proxies: Sequence[Proxy]) -> Sequence[Outcome]:
        if not commands:
            return ()
        if self.work.dry_run:
            return [predicted(p, c) for p, c in zip(proxies, commands, strict=True)]
        return self.work.server.apply(commands)

    def recover(self) -> None:
        """Send again what was on its way when the last run ended. The server answers a command it has carried out
        with the answer it gave then (SYN-2)."""
        intents = self.state.intents(SIDE)
        if not intents:
            return
        self.work.busy = True
        proxies = self.state.proxies(p for _, p, _ in intents)
        commands = [(proxies.get(p), command_from_json(doc)) for _, p, doc in intents]
        runs = [str(doc.get("run", "")) for _, _, doc in intents]
        outcomes = self._apply([c for _, c in commands], [p or Proxy("", None) for p, _ in commands])
        with self.state.transaction():
            for (proxy, command), outcome, run in zip(commands, outcomes, runs, strict=True):
                if proxy is not None:
                    self._answered(proxy, command, outcome, "begun by the run before", run)
            self.state.done(i for i, _, _ in intents)

    def _answered(self, proxy: Proxy, command: Command, outcome: Outcome, because: str, run: str = "") -> Proxy | None:
        """Record an answer. Returns the proxy when its item is to be looked at next. `run`: the id of the one that
        sent the command first, where it is not this one."""
        if isinstance(outcome, Stored):
            self.work.trace(of_command(proxy, command, outcome.activity, because), run)
        match outcome:
            case Stored() if isinstance(command, Insert) and self._found_its_item(proxy, outcome.activity):
                self.work.again = True  # the item's id goes up
            case Stored():
                return self._stored(proxy, command, outcome, because)
            case Linked():
                return self._met(proxy, outcome)
            case Outdated():
                self.work.save([replace(proxy, server=outcome.activity)], dirty=True)
                self.work.again = True
            case Removed():
                return self._removed(proxy, command, because, run)
            case Refused():
                where = f"{proxy.key} ({proxy.values.get('description') or 'no subject'})"
                self.work.fail(PROBLEMS, proxy.id, Problem(outcome.what, where, outcome.fix))
        return None

    def _stored(self, proxy: Proxy, command: Command, outcome: Stored, because: str) -> Proxy:
        sent = command.values if isinstance(command, Insert | Update) else {}
        rows = rows_of(self.work.type_of(proxy))
        after = stored(proxy, sent, outcome.activity, rows)
        verb = "created" if isinstance(command, Insert) else "updated"
        self.work.save([after], dirty=True)
        self.state.solve(PROBLEMS, [proxy.id])
        self.work.did(after, SIDE, verb, because)
        return after

    def _found_its_item(self, proxy: Proxy, activity: Activity) -> bool:
        """An activity made by hand looks for its item before it gets one (ACT-8): one that was never shared. The
        activity is then that item's."""
        if proxy.item is not None:
            return False
        type_map = type_for(self.work.mapping_for(activity.values), activity.values)
        keys = keys_of_activity(activity, type_map) if type_map else ()
        found = pairs(keys, self._not_strangers(activity, self.state.waiting(keys, "item")))
        partner = self.state.proxies([found]).get(found) if found else None
        if partner is None or partner.share is not Share.NEVER:
            return False
        self.state.forget([proxy.id])
        self.work.did(proxy, SIDE, "created", "made here, new to the server")
        self._link(partner, activity, "the item of an activity made by hand")
        return True

    def _met(self, proxy: Proxy, outcome: Linked) -> Proxy | None:
        """Our insert met an activity that was there (KEY-5): this item is its item."""
        other = self.state.by_activity([outcome.activity.id]).get(outcome.activity.id)
        if other is not None and other.id != proxy.id:
            if other.has_item and proxy.kind is Kind.EMAIL:  # another copy of the same message
                self.state.save([replace(proxy, share=Share.NEVER)], dirty=False)
                return None
            if other.has_item:
                assert other.item is not None
                problem = Problem(
                    f"The activity of this item is already linked with another item, {other.item.href}.",
                    proxy.key,
                    "Delete or unshare one of the two items.",
                )
                self.work.fail(PROBLEMS, proxy.id, problem, waits_for=other.id)
                return None
            self.state.forget([other.id])
            self._replaced.add(other.id)
        self.state.solve(PROBLEMS, [proxy.id])
        because = f"already on the server, found by {' + '.join(outcome.key)}"
        linked = self._link(proxy, outcome.activity, because, joined=True)
        if linked.values != linked.agreed:  # what this side says besides is decided like any other difference
            self.work.again = True
            return None
        return linked

    def _removed(self, proxy: Proxy, command: Command, because: str, run: str) -> Proxy | None:
        """The activity is gone, as asked or before we asked. Returns the proxy when its item has to go as well."""
        self.state.solve(PROBLEMS, [proxy.id])
        if isinstance(command, Insert | Update):
            self.work.again = True
            if isinstance(command, Insert):  # an activity had this id and is gone; shared again, it gets a new one
                self.state.forget([proxy.id])
                self.work.save([replace(proxy, id=self.work.new_id())], dirty=True)
            else:
                self.work.save([replace(proxy, there=There.DELETED)], dirty=True)
            return None
        verb = "left" if isinstance(command, Leave) else "deleted"
        self.work.did(proxy, SIDE, "updated" if verb == "left" else verb, because)
        self.work.trace(of_command(proxy, command, None, because), run)
        if proxy.share is Share.DELETED and proxy.has_item and proxy.item and proxy.item.made:
            without = replace(proxy, there=There.DELETED)
            self.work.save([without], dirty=True)
            return without
        if proxy.share in (Share.UNSHARED, Share.DELETED) and proxy.has_item:
            self.work.save([unlinked(replace(proxy, share=Share.UNSHARED))], dirty=False)
        elif proxy.share is Share.UNSHARED or (proxy.alone and proxy.has_item):
            self.work.save([unlinked(proxy)], dirty=False)
        else:
            self.state.forget([proxy.id])
        return None


def held_back(decision: Decision) -> bool:
    """Whether a decision ends here: nothing is told, nothing shown."""
    return decision.verdict in (Verdict.HOLD, Verdict.UNLINK, Verdict.STAY) and decision.command is None
