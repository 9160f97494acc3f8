"""Two hundred cuts at random instants, with edits on both sides in between: the real command is killed (SIGKILL), the
requests to a real Radicale meet faults, or the power fails and the state is what it was a while ago.

At rest nothing is lost, doubled or risen from the dead: what somebody typed last is on both sides, or held, or was
kept in history; each record is one item and one activity; another run writes nothing.

What an older state cannot know is let pass, and said in the README: what was synchronized for the first time after
the copy was made, and deleted since, may come back or stay on one side.

`SYNCENGINE_CUTS=2000` makes as many; `SYNCENGINE_SEED` is the first of the seeds, which are in the names of the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import CONFIG, ME, Commands, event, todo
from tests.e2e.shop import Shop
from tests.fault_proxy import FAULTS, Cut, FaultProxy, at_random, undisturbed

CUTS = int(os.environ.get("SYNCENGINE_CUTS", "200"))
EACH = 25
SEEDS = [int(os.environ.get("SYNCENGINE_SEED", "1")) + n for n in range(-(-CUTS // EACH))]
LONGEST_RUN = 0.6
"""Seconds; a run that is killed dies somewhere in between."""
FAULTY = [f for f in FAULTS if f.cut not in {Cut.STALL, Cut.DRIP}]

PIM, SERVER = "pim", "server"
OTHER = {PIM: SERVER, SERVER: PIM}
FIELDS = {"LOCATION": "location", "DESCRIPTION": "comments"}


@dataclass
class Record:
    """What is to come of one record. `typed`: by field and side, what was typed there and not seen on the other."""

    name: str
    origin: str
    uid: str
    typed: dict[str, dict[str, str]] = field(default_factory=lambda: {f: {} for f in FIELDS})
    deleted_on: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class Copy:
    """The state's files as they lay at some moment, and the number of the round it was."""

    folder: Path
    round: int


Shown = dict[str, dict[str, dict[str, str]]]
"""side → name of a record → field → value."""


class Story:
    def __init__(self, shop: Shop, commands: Commands, seed: int) -> None:
        self.shop, self.commands, self.random = shop, commands, Random(seed)
        self.proxy = FaultProxy(shop.url)
        login = f'username = "{shop.server.username}"\npassword = "{shop.server.password}"\n'
        pims = f'[[pim]]\nname = "dav"\nconnector = "caldav"\nurl = "{shop.url}"\n{login}[brake]\ncount = 1000\n'
        config = CONFIG.format(user=ME, server="sqlite:///activities.db", more_server="", pims=pims)
        (shop.folder / "config.toml").write_text(config)
        self.records: dict[str, Record] = {}
        self.copies: list[Copy] = []
        self.round = 0
        self.told: list[str] = []
        self.kept = ""

    # --- what people do ---

    def edit(self) -> None:
        shown = self.shown()
        for record in self.records.values():  # what both sides show has arrived
            for name in FIELDS:
                if self._agree(record, name, shown):
                    record.typed[name].clear()
        for _ in range(self.random.randrange(4)):
            deed = self.random.choices((self._type, self._create, self._delete), (6, 2, 1))[0]
            deed(shown)

    def _agree(self, record: Record, name: str, shown: Shown) -> bool:
        here, there = (shown[side].get(record.name) for side in (PIM, SERVER))
        return here is not None and there is not None and here[name] == there[name]

    def _alive(self, side: str, shown: Shown) -> list[Record]:
        return [r for n, r in sorted(self.records.items()) if not r.deleted_on and n in shown[side]]

    def _type(self, shown: Shown) -> None:
        side = self.random.choice((PIM, SERVER))
        if not (found := self._alive(side, shown)):
            return
        record, name = self.random.choice(found), self.random.choice(sorted(FIELDS))
        value = f"r{self.round}n{self.random.randrange(10**6)}"
        if self._agree(record, name, shown):
            record.typed[name].clear()
        record.typed[name][side] = value
        self._say(f"types {value} into {name} of {record.name} on the {side}'s side")
        if side == PIM:
            self._type_here(record.name, name, value)
        else:
            self.shop.change(self._id(record.name), **{FIELDS[name]: value})
        shown[side][record.name][name] = value

    def _type_here(self, name: str, prop: str, value: str) -> None:
        (file,) = [h for h, text in self.shop.texts().items() if _name(text) == name]
        text = re.sub(rf"^{prop}:.*\r?\n", "", self.shop.texts()[file], flags=re.MULTILINE)
        self.shop.put(file.removesuffix(".ics"), text.replace("SUMMARY:", f"{prop}:{value}\r\nSUMMARY:", 1))

    def _create(self, shown: Shown) -> None:
        if sum(not r.deleted_on for r in self.records.values()) > 9:
            return
        side, name = self.random.choice((PIM, SERVER)), f"rec {len(self.records)}"
        uid = f"uid-{name}"
        self._say(f"creates {name} on the {side}'s side")
        minute = len(self.records) % 60
        if side == PIM and self.random.random() < 0.5:
            self.shop.put(name.replace(" ", "-"), todo(uid, name))
        elif side == PIM:
            times = (f"20260302T09{minute:02}00Z", f"20260302T10{minute:02}00Z")
            self.shop.put(name.replace(" ", "-"), event(uid, name, *times))
        elif self.random.random() < 0.5:
            uid = f"activity-{self.shop.add(description=name, display_in='To Do and Activities')}"
        else:
            at = {"planned": f"2026-04-01T08:{minute:02}:00Z", "planned_completion": f"2026-04-01T09:{minute:02}:00Z"}
            uid = f"activity-{self.shop.add(description=name, display_in='Calendar and Activities', **at)}"
        self.records[name] = Record(name, side, uid)
        shown[side][name] = dict.fromkeys(FIELDS, "")

    def _delete(self, shown: Shown) -> None:
        """Only what both sides show alike: what becomes of other deletions is told elsewhere."""
        found = [r for r in self._alive(PIM, shown) if all(self._agree(r, name, shown) for name in FIELDS)]
        if len(found) < 3:
            return
        side, record = self.random.choice((PIM, SERVER)), self.random.choice(found)
        record.deleted_on = side
        self._say(f"deletes {record.name} on the {side}'s side")
        if side == PIM:
            (file,) = [h for h, text in self.shop.texts().items() if _name(text) == record.name]
            self.shop.remove(file.removesuffix(".ics"))
        else:
            self.shop.delete(self._id(record.name))
        del shown[side][record.name]

    def _id(self, name: str) -> str:
        return self.shop.ids()[name]

    def _say(self, what: str) -> None:
        self.told.append(f"{self.round}: {what}")

    # --- what goes wrong ---

    def cut(self) -> None:
        self.round += 1
        cut = self.random.choices((self._kill, self._faults, self._power), (4, 4, 2))[0]
        cut()
        if self.random.random() < 0.3:
            self.shop.run()

    def _faults(self) -> None:
        self.proxy.plan, self.proxy.done[:] = at_random(self.random, FAULTY, 0.4), []
        ended = self.shop.run(self.proxy.url(self.shop.url))
        met = [f"{fault} ({asked.ask.name})" for asked, fault in self.proxy.done if fault]
        self.proxy.plan = undisturbed
        self._say(f"a run meets {', '.join(met)}, and says {ended.words}")

    def _kill(self) -> None:
        """The command is killed at a random instant; a copy is made of what then lies there, or while it runs."""
        patience = self.random.uniform(0, LONGEST_RUN)
        run = threading.Thread(target=self._sync, args=(patience,))
        run.start()
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, patience))
            self._back_up()
            run.join()
        else:
            run.join()
            self._copy_files()
        self._say(f"a run is killed after {patience:.3f} s, copy {len(self.copies)} is made")

    def _sync(self, patience: float) -> None:
        self.commands.run(["sync", "--config", "config.toml"], self.shop.folder, kill_after=patience)

    def _back_up(self) -> None:
        """What a moment's state is on disk, as SQLite gives it."""
        copy = self._new_copy()
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{self._state}?mode=ro", uri=True)) as db,
            closing(sqlite3.connect(copy / "state.db")) as target,
        ):
            db.backup(target)
        self._keep(copy)

    def _copy_files(self) -> None:
        """The database and its log as they lie, without the shared memory, which no power cut leaves. The end of a
        log that was not flushed may be missing."""
        copy, log = self._new_copy(), Path(f"{self._state}-wal")
        shutil.copy(self._state, copy)
        if log.exists():
            octets = log.read_bytes()
            lost = self.random.randrange(len(octets) + 1) if self.random.random() < 0.5 else 0
            (copy / log.name).write_bytes(octets[: len(octets) - lost])
        self._keep(copy)

    @property
    def _state(self) -> Path:
        return self.shop.folder / "state.db"

    def _new_copy(self) -> Path:
        copy = self.shop.folder / f"copy-{len(self.copies)}-{self.round}"
        copy.mkdir()
        return copy

    def _keep(self, folder: Path) -> None:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(folder / "state.db")) as db:
            db.execute("SELECT count(*) FROM proxy").fetchone()
            self.copies.append(Copy(folder, self.round))

    def _power(self) -> None:
        """The state is what it was at one of the last copies."""
        if not self.copies:
            return
        self._remember()
        copy = self.random.choice(self.copies[-4:])
        for file in self.shop.folder.glob("state.db*"):
            file.unlink()
        for file in copy.folder.glob("state.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, self.shop.folder)
        linked = self._linked()
        for record in self.records.values():
            record.doubtful = record.doubtful or record.uid not in linked
        self._say(f"the power fails; the state is that of round {copy.round}")

    def _linked(self) -> set[str]:
        """The UIDs of what the state knows on both sides."""
        known = "SELECT i.uid FROM item i JOIN proxy p ON p.id = i.proxy_id WHERE p.there = 'live'"
        with closing(sqlite3.connect(self._state)) as db:
            return {uid for (uid,) in db.execute(known)}

    def _remember(self) -> None:
        """What was kept in a history that is about to be lost."""
        with closing(sqlite3.connect(self._state)) as db:
            self.kept += str(db.execute("SELECT old FROM history").fetchall())

    # --- how it ends ---

    def shown(self) -> Shown:
        here = {}
        for text in self.shop.texts().values():
            assert _name(text) not in here, f"{_name(text)} is twice in the calendar"
            here[_name(text)] = {prop: _property(text, prop) for prop in FIELDS}
        there = {}
        for activity in self.shop.activities():
            name = activity["description"]
            assert name not in there, f"{name} is twice on the server"
            there[name] = {prop: activity[its] or "" for prop, its in FIELDS.items()}
        return {PIM: here, SERVER: there}

    def end(self) -> None:
        self.shop.still()
        ended = self.shop.good()
        assert not ended.writes, f"at rest it still writes: {ended.report.actions}"
        assert not ended.report.problems, ended.words
        held = {subject for _, subject, _ in ended.report.conflicts}
        self._remember()
        self.kept += str(ended.report.conflicts)
        shown = self.shown()
        assert {*shown[PIM], *shown[SERVER]} <= set(self.records)
        for record in self.records.values():
            self._check(record, shown, is_held=record.name in held)

    def _check(self, record: Record, shown: Shown, *, is_held: bool) -> None:
        here, there = (shown[side].get(record.name) for side in (PIM, SERVER))
        if record.deleted_on:
            stays = record.origin == PIM and record.deleted_on == SERVER  # the user's own entry
            right = (here is not None) is stays and there is None
            assert right or record.doubtful or is_held, f"{record} is here: {here}, there: {there}"
            return
        assert here is not None, f"{record} is not in the calendar"
        assert there is not None, f"{record} is not on the server"
        for name in FIELDS:
            typed = set(record.typed[name].values())
            if not is_held:
                assert here[name] == there[name], f"{record}: {name} differs, {here[name]} and {there[name]}"
                assert not typed or here[name] in typed, f"{record}: {name} is {here[name]}"
            on_a_side = {here[name], there[name]}
            lost = [value for value in typed if value not in on_a_side and value not in self.kept]
            assert not lost, f"{record}: {name} has lost {lost}, shows {on_a_side}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_at_random_instants_it_ends_as_if_it_had_not_been(
    seed: int, radicale: DavServer, runs: Commands, tmp_path: Path
) -> None:
    story = Story(Shop.open(tmp_path / "shop", radicale), runs, seed)
    try:
        for _ in range(EACH):
            story.edit()
            story.cut()
        story.edit()
        story.end()
    except AssertionError as e:
        pytest.fail(f"{e}\n\nwith seed {seed}:\n" + "\n".join(story.told))
    finally:
        story.proxy.close()


def _name(text: str) -> str:
    return _property(text, "SUMMARY")


def _property(text: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(f"{name}:")), "")
