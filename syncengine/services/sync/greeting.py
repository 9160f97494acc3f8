"""Who is there: what the server says of itself and of the user, and of the records that concern them."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.mapping.apply import up
from syncengine.core.sync.absorb import snapshot
from syncengine.core.wire import greeting_from_json, greeting_to_json
from syncengine.errors import ConfigError, Vanished
from syncengine.model.commands import Greeting
from syncengine.model.directory import Directory, canonical_address
from syncengine.model.pim import Kind
from syncengine.model.proxy import Share
from syncengine.services.sync import anew, guards
from syncengine.services.sync.health import SERVER
from syncengine.services.sync.records_side import RecordsSide
from syncengine.services.sync.work import Work


class Greeter:
    """Asks the server in a run, once before each pass."""

    def __init__(self, work: Work) -> None:
        self.work, self.state = work, work.state

    def remember(self) -> None:
        """What the last run knew, so that items can be absorbed before the server is asked anything (ACT-2)."""
        greeting = self.state.fact("greeting")
        if greeting:
            self.work.know(greeting_from_json(greeting))

    def greet(self) -> None:
        """Ask the server who the user is there. Another server, or another user, is never synchronized into this
        state unasked: that would look as if everything had been deleted. Confirmed, it is a first contact."""
        self.work.health.tried(SERVER)
        self.work.progress("asking the server", 0)
        greeting, known = self.work.server.greet(), self.work.greeting
        if known is not None and guards.is_another(self.work, known, greeting):
            anew.start_anew(self.work)
            known = None
        guards.check_servers_clock(self.work, greeting)
        try:
            greeting, new = self._take_in_records(greeting)
        except Vanished as e:
            self.start_over(e)
            return
        if not new:  # nobody has moved since the last run: what it knew stands
            return
        self.work.know(greeting)
        anew.go_on(self.work)
        with self.state.transaction():
            self.state.set_fact("greeting", greeting_to_json(greeting))
        if known is not None and known != greeting:
            self._find_owners(greeting.generic_owner)

    def start_over(self, error: Vanished) -> None:
        """The server is older than what was synchronized with it: all is compared as at a first contact. Raises Stopped
        unless a person has confirmed that."""
        guards.check_restored(self.work, error)
        anew.start_anew(self.work, other=False)
        self.greet()

    def _take_in_records(self, greeting: Greeting) -> tuple[Greeting, bool]:
        """Tell and fetch what concerns the user's records; the greeting that tells of them, and whether anything is
        new. Nothing is told or kept before it is certain that the login is the user's own."""
        records, known, address = RecordsSide(self.work), self.work.greeting, self.work.addresses[0]
        own = canonical_address(address) in {canonical_address(a) for a in greeting.addresses}
        new = known != greeting or not records.known
        if not own:
            feeds = records.fetch() if new else []
            with self.state.transaction():
                records.take_in(feeds)
                check_user(greeting, self.state.directory(), address)
        if records.tell():
            greeting, new, own = self.work.server.greet(), True, True
        if new and own:
            feeds = records.fetch()
            with self.state.transaction():
                records.take_in(feeds)
        return greeting, new

    def _find_owners(self, generic_owner: str) -> None:
        """The directory has changed: what the generic owner owned may have found its employee. The activity is
        updated; it must not be inserted anew under the other owner."""
        changed = []
        for proxy in self.state.owned_by(generic_owner):
            type_map = self.work.type_of(proxy)
            if proxy.share is not Share.SHARED or not proxy.has_item or type_map is None or type_map.kind is Kind.EMAIL:
                continue
            item = snapshot(proxy, type_map)
            if item is None:
                continue
            owner = up(item, type_map, self.work.me(self.work.mapping_of(proxy))).get("owner")
            if owner and owner != generic_owner:
                changed.append(replace(proxy, values={**proxy.values, "owner": owner}))
        with self.state.transaction():
            self.work.save(changed, dirty=True)


def check_user(greeting: Greeting, directory: Directory, employee: str) -> None:
    """Whether the server knows the caller as the configured employee. Raises ConfigError: somebody else's token would
    write in somebody else's name."""
    expected, answered = directory.employee(employee), directory.employee_by_id(greeting.user)
    if expected is not None and expected.id != greeting.user:
        name = answered.addresses[0] if answered and answered.addresses else greeting.user
        raise ConfigError(
            f"The server knows this login as {name}, not as {employee}.",
            where="[user] employee and [server] token",
            fix="Use the token issued to this employee, or correct the employee.",
        )
