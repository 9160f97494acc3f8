"""Scenarios are played on real parts: PIMs in memory, an embedded server, and a state in a file for each user."""

from __future__ import annotations

import atexit
import itertools
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING

from syncengine.bootstrap import embedded, open_store, read_mapping
from syncengine.config import mapping_folder
from syncengine.model.directory import Directory, RecordKey
from syncengine.model.mapping import Mapping
from syncengine.model.policies import Policy
from syncengine.model.scenario import Scenario, Step, Verdict
from syncengine.ports import ActivityServer, ClientState, OutboundStore, Pim, Sender
from syncengine.times import Clock, system_clock

if TYPE_CHECKING:
    from syncengine.services.outbound import Queue
    from syncengine.services.policies.monitor import PolicyStore
    from syncengine.services.scenario.stage import Postbox

STORY_LIMIT = 3_000_000
"""Bytes of one attachment on the server of a scenario: small, so that a story can have one that is too large."""


class _Stage:
    """The parts of a scenario: PIMs in memory, one embedded server and one state per user, in a folder that goes."""

    def __init__(self, folder: Path) -> None:
        from syncengine.store.contents import Contents

        self.folder = folder
        shutil.copy(_empty_databases() / "activities.db", folder)
        self._url = f"sqlite:///{folder}/activities.db"
        self._clock: Clock = system_clock
        self._policy_store: PolicyStore | None = None
        self._outbound: OutboundStore | None = None
        self.store = open_store(self._url, lambda: self._clock())  # noqa: PLW0108 - which is another one later
        self.contents = Contents(folder / "attachments", STORY_LIMIT)

    def mapping(self, name: str, edits: Sequence[tuple[str, str]]) -> Mapping:
        path = mapping_folder() / f"{name}.xml"
        return read_mapping(path, edits)

    def pim(self, user: str, *, mails_attendees: bool, clock: Clock) -> Pim:
        from connectors.memory.pim import Collection, MemoryPim

        return MemoryPim(Collection(clock=clock), mails_attendees=mails_attendees)

    def mailbox(self, user: str) -> Postbox:
        from connectors.memory.mailbox import MemoryMailbox

        return MemoryMailbox()

    def state(self, user: str) -> ClientState:
        from syncengine.store.state import State

        shutil.copy(_empty_databases() / "state.db", self.folder / f"{user}.db")
        return State(str(self.folder / f"{user}.db"))

    def anew(self, user: str, state: ClientState) -> ClientState:
        from syncengine.store.engine import files_of

        state.close()
        for file in files_of(state.path):
            file.unlink(missing_ok=True)
        return self.state(user)

    def put_directory(self, directory: Directory) -> None:
        with self.store.transaction(write=True):
            self.store.put_directory(directory)

    def remove_record(self, key: RecordKey) -> None:
        with self.store.transaction(write=True):
            self.store.remove_record(key)

    def server(self, user: str, generic_owner: str, clock: Clock) -> ActivityServer:
        return embedded(self.store, user, generic_owner, clock=clock, files=self.contents)

    def keep_time(self, clock: Clock) -> None:
        self._clock = clock

    def policies(self, xml: str) -> Sequence[Policy]:
        from syncengine.bootstrap.policies import parse_policies

        return parse_policies(xml.encode(), "the story's policies")

    def policy_store(self) -> PolicyStore:
        from syncengine.store.policies import Policies

        self._policy_store = self._policy_store or Policies(self._url)
        return self._policy_store

    def queue(self, clock: Clock) -> Queue:
        from syncengine.services.outbound import Queue
        from syncengine.services.outbound.inline import Inline
        from syncengine.store.outbound import Outbound

        self._outbound = self._outbound or Outbound(self._url)
        return Queue(self._outbound, Inline(), clock)

    def restart(self) -> None:
        if self._policy_store:
            self._policy_store.close()
        self._policy_store = None

    def change_sender(self, clock: Clock) -> Sender:
        from syncengine.bootstrap.outbound import changes_sender
        from syncengine.services.scenario import GENERIC_OWNER

        return changes_sender(self.store, GENERIC_OWNER, clock)

    def close(self) -> None:
        self.restart()
        if self._outbound:
            self._outbound.close()
        self.store.close()


@cache
def _empty_databases() -> Path:
    """A server's database and a client's state with their tables made: making them takes longer than most stories."""
    from syncengine.store.state import State

    folder = Path(mkdtemp(prefix="syncengine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_store(f"sqlite:///{folder}/activities.db").close()
    State(str(folder / "state.db")).close()
    return folder


def play_scenario(file: Path) -> Verdict:
    """Play one scenario file, in all the orders it allows. Raises ConfigError when it is not one."""
    from syncengine.core.scenario import orders, parse_scenario

    scenario = parse_scenario(file.read_text(encoding="utf-8"), str(file))
    verdicts = (_play(scenario, steps) for steps in orders(scenario.steps))
    return next((v for v in verdicts if v.failure), Verdict(scenario))


def _play(scenario: Scenario, steps: Sequence[Step]) -> Verdict:
    from syncengine.services.scenario import play

    with TemporaryDirectory(prefix="syncengine-") as folder:
        stage = _Stage(Path(folder))
        try:
            return play(scenario, steps, stage, (f"{n:08d}" for n in itertools.count(1)))
        finally:
            stage.close()
