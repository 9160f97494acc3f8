"""The server's side of a run: take in its change feed, and carry commands to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncengine.core.mapping.apply import matches
from syncengine.core.mapping.place import type_for
from syncengine.core.sync.absorb import snapshot
from syncengine.core.sync.correlate import keys_of_activity, link, pairs
from syncengine.core.sync.reconcile import Decision, Verdict, predicted, stored, unlinked
from syncengine.core.sync.reflect import rows_of
from syncengine.core.wire import command_from_json, command_to_json, values_to_json
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
from syncengine.model.pim import Kind
from syncengine.model.proxy import Proxy, Share, There
from syncengine.model.values import Values
from syncengine.services.remembered import strangers
from syncengine.services.sync.work import ODD, Work, as_item_error

SIDE = "server"
PROBLEMS = "proxy"


class ServerSide:
    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state
        self._replaced: set[str] = set()  # proxies whose activity has turned out to be another item's

    # --- what changed there ----------------------------------------------------------------------------------------

    def take_in(self) -> None:
        """Read the change feed to its end; each page is one step."""
        more = True
        while more:
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
            more = feed.more

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
            except ODD as e:
                error = as_item_error(e)
                where = f"{activity.id} ({activity['description'] or 'no subject'})"
                self.work.fail(PROBLEMS, activity.id, Problem(error.what, where, error.fix))

    def _note(self, activity: Activity, proxy: Proxy | None) -> None:
        mapping = self.work.mapping_of(proxy) if proxy else self.work.mapping_for(activity.values)
        type_map = type_for(mapping, activity.values)
        if type_map is not None and not matches(type_map.filter, activity.values):
            if proxy is not None and proxy.there is There.LIVE:
                self.work.save([replace(proxy, server=activity, there=There.LEFT)], dirty=True)
            return
        if proxy is not None and proxy.server is None and proxy.share is not Share.SHARED:
            if proxy.share is Share.NEVER and not proxy.alone:  # it went out of sight and is back
                self._link(proxy, activity, "visible again")
            return
        if proxy is not None:
            self.work.save([replace(proxy, server=activity, there=There.LIVE)], dirty=True)
            return
        if type_map is not None:
            keys = keys_of_activity(activity, type_map)
            partner = pairs(keys, self._not_strangers(activity, self.state.waiting(keys, "item")))
            if partner is not None:
                self._link(self.state.proxies([partner])[partner], activity, "the same on both sides")
                return
        self.work.save([Proxy(activity.id, None, server=activity, there=There.LIVE)], dirty=True)

    def _not_strangers(self, activity: Activity, candidates: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Without those of which a person has said that they are not the same as this activity."""
        uids = {uid for uid, other in strangers(self.state) if other == activity.id} if candidates else set()
        if not uids:
            return candidates
        waiting = self.state.proxies(identity for _, identity in candidates)
        return [(k, i) for k, i in candidates if (item := waiting[i].item) is None or item.uid not in uids]

    def _link(self, proxy: Proxy, activity: Activity, because: str) -> Proxy:
        type_map = self.work.type_of(proxy)
        assert type_map is not None
        item = snapshot(proxy, type_map)
        linked = link(proxy, activity, item, type_map, self.work.me(self.work.mapping_of(proxy)))
        self.work.save([linked], dirty=True)
        self.work.share_parts(linked)
        self.work.linked(linked, because)
        return linked

    def _vanished(self, ids: Sequence[str], there: There) -> None:
        self.state.forget_looked_at(ids)
        proxies = self.state.by_activity(ids)
        found = [replace(p, there=there) for p in proxies.values() if p.there is There.LIVE]
        self.work.save(found, dirty=True)

    # --- what is to be told there ----------------------------------------------------------------------------------

    def tell(self, decisions: Sequence[Decision]) -> list[Proxy]:
        """Carry out the commands of a batch of decisions. Returns the proxies that go on to their items."""
        told = [(d, d.command) for d in decisions if d.command is not None]
        if told:
            with self.state.transaction():
                self.state.intend(SIDE, [(c.id, d.proxy.id, command_to_json(c)) for d, c in told])
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
        outcomes = self._apply([c for _, c in commands], [p or Proxy("", None) for p, _ in commands])
        with self.state.transaction():
            for (proxy, command), outcome in zip(commands, outcomes, strict=True):
                if proxy is not None:
                    self._answered(proxy, command, outcome, "begun by the run before")
            self.state.done(i for i, _, _ in intents)

    def _answered(self, proxy: Proxy, command: Command, outcome: Outcome, because: str) -> Proxy | None:
        """Record an answer. Returns the proxy when its item is to be looked at next."""
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
                return self._removed(proxy, command, because)
            case Refused():
                where = f"{proxy.key} ({proxy.values.get('description') or 'no subject'})"
                self.work.fail(PROBLEMS, proxy.id, Problem(outcome.what, where, outcome.fix))
        return None

    def _stored(self, proxy: Proxy, command: Command, outcome: Stored, because: str) -> Proxy:
        sent = command.values if isinstance(command, Insert | Update) else {}
        rows = rows_of(self.work.type_of(proxy))
        after = stored(proxy, sent, outcome.activity, rows)
        verb = "created" if isinstance(command, Insert) else "updated"
        if isinstance(command, Update) and proxy.server is not None:
            old = {name: proxy.server.values.get(name) for name in sent}
            self._keep(proxy, because, old)
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

    def _keep(self, proxy: Proxy, because: str, old: Values) -> None:
        run = self.work.report.run
        self.state.keep_history(run, self.work.clock(), [(proxy, SIDE, because, values_to_json(old))])

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
                self.work.fail(PROBLEMS, proxy.id, problem)
                return None
            self.state.forget([other.id])
            self._replaced.add(other.id)
        self.state.solve(PROBLEMS, [proxy.id])
        linked = self._link(proxy, outcome.activity, f"already on the server, found by {' + '.join(outcome.key)}")
        if linked.values != linked.agreed:  # what this side says besides is decided like any other difference
            self.work.again = True
            return None
        return linked

    def _removed(self, proxy: Proxy, command: Command, because: str) -> Proxy | None:
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
        if proxy.server is not None:
            self._keep(proxy, because, proxy.server.values)
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
