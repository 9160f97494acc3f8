"""Two people who work without pause, each with an agent of their own, and what may be said of it in the end.

`Office` holds all of it: calendars on a real Radicale, a watched folder, a served activity server, both servers
behind fault proxies as the agents see them. `Driver` is the people: whatever they do is done beside the proxies, and
noted in `Record`s. Every value they type is a word of its own, so that it can be looked for wherever it may be.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol

import requests

from connectors.http.server import HttpActivityServer
from syncengine.bootstrap import new_id
from syncengine.core.activity_values import normal
from syncengine.core.ical.href import href_for
from syncengine.model.activity import Activity, Origin
from syncengine.model.commands import Delete, Insert, Removed, Stored, Update
from tests.dav_servers import DavServer
from tests.e2e.agents import Agent, agent, every
from tests.e2e.desk import FOLDER, ME, OTHER, Desk, event, todo
from tests.e2e.served import client_of
from tests.fault_proxy import FAULTS, JSON_FAULTS, Cut, FaultProxy, at_random, undisturbed

PIM, SERVER = "pim", "server"
SIDES = (PIM, SERVER)
FIELDS = {"LOCATION": "location", "DESCRIPTION": "comments"}
SECRET = "s0ak-pass"
MOST_RECORDS = 90
"""So many live at once: then as many are deleted as are made."""
DAV_FAULTS = [f for f in FAULTS if f.cut not in {Cut.STALL, Cut.DRIP}]
DAV_SHARE, SERVER_SHARE = 0.10, 0.05
LIST_SECONDS = 2.0
ARRIVED = "the item of an activity already known has arrived"
ITEM = re.compile(r"<(?:\w+:)?href>[^<]*/([^</]+\.ics)</")
TOKEN = re.compile(r"typed\d+x")
CALDAV = """[[pim]]
name = "phone"
connector = "caldav"
url = "{url}"
username = "{user}"
password = "{password}"
"""


class Place(Protocol):
    """Where items are, as a calendar program sees it. A write that finds something else than `seen` is not done."""

    def names(self) -> list[str]: ...
    def get(self, name: str) -> tuple[str, str] | None: ...
    def put(self, name: str, text: str, seen: str = "") -> bool: ...
    def remove(self, name: str, seen: str) -> bool: ...


class Calendar:
    """On Radicale, not through the proxy."""

    def __init__(self, url: str, login: tuple[str, str]) -> None:
        self._url, self._session = url, requests.Session()
        self._session.auth = login

    def names(self) -> list[str]:
        body = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        return sorted(ITEM.findall(self._ask("PROPFIND", "", body, {"Depth": "1"}).text))

    def get(self, name: str) -> tuple[str, str] | None:
        answer = self._ask("GET", name)
        answer.encoding = "utf-8"
        return (answer.text, answer.headers["ETag"]) if answer.status_code == 200 else None

    def put(self, name: str, text: str, seen: str = "") -> bool:
        condition = {"If-Match": seen} if seen else {"If-None-Match": "*"}
        kind = {"Content-Type": "text/calendar; charset=utf-8"}
        return self._ask("PUT", name, text, {**condition, **kind}).status_code in {200, 201, 204}

    def remove(self, name: str, seen: str) -> bool:
        return self._ask("DELETE", name, headers={"If-Match": seen}).status_code in {200, 204}

    def _ask(self, method: str, name: str, body: str = "", headers: dict[str, str] | None = None) -> requests.Response:
        answer = self._session.request(method, self._url + name, data=body.encode(), headers=headers, timeout=60)
        assert answer.status_code < 300 or answer.status_code in {404, 412}, f"{method} {name}: {answer.status_code}"
        return answer


class Files:
    """A folder; a new file takes the place of the old one, as calendar programs do it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("*.ics"))

    def get(self, name: str) -> tuple[str, str] | None:
        with suppress(FileNotFoundError):
            return (self._folder / name).read_bytes().decode(), self._seen(name)
        return None

    def put(self, name: str, text: str, seen: str = "") -> bool:
        new = self._folder / f".{name}.new"
        new.write_bytes(text.encode())
        if self._seen(name) != seen:
            new.unlink()
            return False
        new.replace(self._folder / name)
        return True

    def remove(self, name: str, seen: str) -> bool:
        if self._seen(name) != seen:
            return False
        (self._folder / name).unlink()
        return True

    def _seen(self, name: str) -> str:
        with suppress(FileNotFoundError):
            status = (self._folder / name).stat()
            return f"{status.st_ino} {status.st_mtime_ns}"
        return ""


@dataclass
class Person:
    """`places`: by the name of the PIM; the first gets what others make."""

    name: str
    desk: Desk
    server: HttpActivityServer
    places: dict[str, Place]
    life: ExitStack = field(default_factory=ExitStack)
    numbers: Iterator[int] = field(default_factory=count)
    agent: Agent | None = None
    samples: list[Sample] = field(default_factory=list)

    def start(self) -> None:
        self.agent = self.life.enter_context(agent(self.desk, f"agent-{next(self.numbers)}"))

    def is_at_work(self) -> bool:
        return self.at_work().folder.running() and self.at_work().folder.status() is not None

    def at_work(self) -> Agent:
        assert self.agent is not None
        return self.agent

    def kill(self) -> None:
        one = self.at_work()
        one.signal(signal.SIGKILL)
        one.process.wait()

    def asks_for_a_run(self) -> None:
        if self.is_at_work():
            self.at_work().folder.ask(list(self.places), waits=False)

    def sample(self) -> None:
        self.samples.append(sample(self.at_work().process.pid))

    # --- what its state knows ---

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.desk.folder / 'state.db'}?mode=ro", uri=True, timeout=60)) as db:
            return db.execute(statement, values).fetchall()

    def knows(self, file: str) -> bool:
        """Whether its agent has linked the item. An activity that goes before was never there for it, though somebody
        else's agent may have made it: a meeting still in this calendar is then shared as new, and rightly."""
        linked = "SELECT 1 FROM item JOIN proxy ON proxy.id = proxy_id WHERE href = ? AND there = 'live'"
        return bool(self.rows(linked, file))

    def wrote(self) -> Counter[tuple[str, str]]:
        """(side, deed) → how often, by the traces of its writes."""
        rows = self.rows("SELECT side, verb, count(*) FROM history WHERE verb != '' GROUP BY 1, 2")
        return Counter({(side, verb): n for side, verb, n in rows})

    def items_made(self) -> Counter[str]:
        """File → how often it was made less how often it was deleted, as far as its agent knows. One that was made
        while the answer said otherwise has arrived, or is noted as made only later, or both."""
        found: Counter[str] = Counter()
        made = set()
        for deed, place in self.rows("SELECT verb, place FROM history WHERE side = 'pim' AND place > ''"):
            href = json.loads(place)["href"]
            found[href] += {"created": 1, "deleted": -1}.get(deed, 0)
            made |= {href} if deed == "created" else set()
        arrived = (
            "SELECT i.href FROM history h JOIN item i USING (proxy_id) WHERE i.made AND verb = 'linked' AND because = ?"
        )
        found.update(href for (href,) in self.rows(arrived, ARRIVED) if href not in made)
        return found

    def reported(self) -> Counter[tuple[str, str]]:
        """The same, as the reports of its runs count."""
        found: Counter[tuple[str, str]] = Counter()
        for (report,) in self.rows("SELECT report FROM run WHERE report IS NOT NULL"):
            found.update({(side, verb): n for side, verb, n in json.loads(report).get("writes", [])})
        return found

    def conflicts(self) -> list[dict[str, Any]]:
        """Those that wait, as the command line tells them; none while it cannot."""
        done = self.desk.do("conflicts", "--json")
        return list(done.json) if isinstance(done.json, list) else []

    def kept(self) -> set[str]:
        """All words that are in its history, or held."""
        texts = self.rows("SELECT old FROM history UNION ALL SELECT doc FROM proxy WHERE held > 0")
        return {word for (text,) in texts for word in TOKEN.findall(text or "")}


@dataclass(frozen=True)
class Sample:
    """Of a process: its memory in bytes, its open files and its threads, and when that was."""

    at: float
    pid: int
    memory: int
    files: int
    threads: int


def sample(pid: int) -> Sample:
    said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    memory, threads = int(said["VmRSS"].split()[0]) * 1024, int(said["Threads"])
    return Sample(time.monotonic(), pid, memory, len(os.listdir(f"/proc/{pid}/fd")), threads)


@dataclass
class Record:
    """What is to come of one record. `typed`: by field and side, what was typed there and not seen on the other.
    doubtful: deleted here while the other side had something new."""

    name: str
    uid: str
    origin: str
    owner: Person
    pim: str
    file: str
    meeting: bool = False
    typed: dict[str, dict[str, str]] = field(default_factory=lambda: {f: {} for f in FIELDS})
    activity: str = ""
    deleted_on: str = ""
    doubtful: bool = False
    left_alone: bool = False

    @property
    def place(self) -> Place:
        return self.owner.places[self.pim]


class Office:
    """`interval`: seconds between runs of each agent."""

    def __init__(self, folder: Path, radicale: DavServer, owner: Desk, served: str, seed: int, interval: float) -> None:
        self.random = Random(seed)
        self.dav, self.activities = FaultProxy(radicale.home_of()), FaultProxy(served)
        self.people = []
        for name, address in (("alice", ME), ("bob", OTHER)):
            url = radicale.make_collection(name)
            pims = CALDAV.format(url=self.dav.url(url), user=name, password=radicale.password)
            pims += FOLDER if name == "alice" else ""
            brakes = '[brake]\nmode = "suppress"\n'
            desk = client_of(folder / name, owner, address, self.activities.base, brakes + every(interval) + pims)
            places: dict[str, Place] = {"phone": Calendar(url, (name, radicale.password))}
            if name == "alice":
                places["work"] = Files(desk.calendar)
            token = desk.more_server.split('"')[1]
            self.people.append(Person(name, desk, HttpActivityServer(served, token), places))

    def faults(self, *, on: bool) -> None:
        self.dav.plan = at_random(Random(self.random.random()), DAV_FAULTS, DAV_SHARE) if on else undisturbed
        self.activities.plan = at_random(Random(self.random.random()), JSON_FAULTS, SERVER_SHARE) if on else undisturbed

    def unheard(self) -> set[str]:
        """The files Radicale has deleted for an agent that was told otherwise, or nothing."""
        deleted = ((asked.path, fault) for asked, fault in self.dav.done if asked.method == "DELETE" and fault)
        return {path.rsplit("/", 1)[-1] for path, f in deleted if f.instead is None and f.cut is not Cut.BEFORE}

    def met(self) -> Counter[str]:
        """Fault → how many requests it hit."""
        done = [*self.dav.done, *self.activities.done]
        return Counter(str(fault) for _, fault in done if fault)

    def close(self) -> None:
        for person in self.people:
            person.life.close()
            person.server.close()
        self.dav.close()
        self.activities.close()


class Driver:
    """What people do, at random. `made` and `removed`: what they did to calendars and server themselves, by (whose,
    file), or (SERVER, "")."""

    def __init__(self, office: Office) -> None:
        self.office, self.random = office, office.random
        self.alice, self.bob = office.people
        self.records: dict[str, Record] = {}
        self.made: Counter[tuple[str, str]] = Counter()
        self.removed: Counter[tuple[str, str]] = Counter()
        self.deeds: Counter[str] = Counter()
        self.told: list[str] = []
        self._numbers = count()
        self._ids: dict[str, str] = {}
        self._listed = 0.0

    def edit(self) -> None:
        """One deed. One that finds nothing to do, or somebody quicker, is none."""
        live = [r for r in self.records.values() if not r.deleted_on]
        fewer = len(live) / MOST_RECORDS
        weights = {self._type: 70, self._conflict: 3, self._create: 16 * (1.5 - fewer), self._delete: 16 * fewer}
        deed = self.random.choices(list(weights), [max(w, 0) for w in weights.values()])[0]
        if live or deed == self._create:
            self._do(deed, live)
        self._tidy()

    def _do(self, deed: Callable[[list[Record]], bool], live: list[Record]) -> None:
        if deed(live):
            self.deeds[deed.__name__.strip("_")] += 1

    # --- what both sides show ---

    def activity_of(self, record: Record) -> Activity | None:
        if not record.activity and time.monotonic() > self._listed + LIST_SECONDS:
            found = [a for p in self.office.people for a in p.server.activities()]
            self._ids, self._listed = {str(a["description"]): a.id for a in found}, time.monotonic()
        record.activity = record.activity or self._ids.get(record.name, "")
        return next(iter(record.owner.server.fetch([record.activity])), None) if record.activity else None

    # --- deeds ---

    def _type(self, live: list[Record]) -> bool:
        return self._write(self.random.choice(live), self.random.choice(SIDES), self.random.choice([*FIELDS]))

    def _conflict(self, live: list[Record]) -> bool:
        record, prop = self.random.choice(live), self.random.choice([*FIELDS])
        done = [self._write(record, side, prop) for side in SIDES]
        return all(done)

    def _write(self, record: Record, side: str, prop: str) -> bool:
        value = f"typed{next(self._numbers)}x"
        shown = self._into_item(record, prop, value) if side == PIM else self._into_activity(record, prop, value)
        if shown is None:
            return False
        typed = record.typed[prop]
        typed[side] = value
        record.typed[prop] = {s: v for s, v in typed.items() if s == side or v != shown}  # what was shown has arrived
        self._say(f"{prop} of {record.name} is {value} on the {side}'s side")
        return True

    def _into_item(self, record: Record, prop: str, value: str) -> str | None:
        """What was shown before; None where nothing was typed."""
        found = record.place.get(record.file)
        if found is None:
            return None
        text = re.sub(rf"^{prop}:.*\r?\n", "", found[0], flags=re.MULTILINE)
        text = text.replace("SUMMARY:", f"{prop}:{value}\r\nSUMMARY:", 1)
        return prop_of(found[0], prop) if record.place.put(record.file, text, found[1]) else None

    def _into_activity(self, record: Record, prop: str, value: str) -> str | None:
        activity = self.activity_of(record)
        if activity is None:
            return None
        who = self.random.choice(self.office.people) if record.meeting else record.owner
        update = Update(new_id(), activity.id, activity.version, {FIELDS[prop]: value})
        done = isinstance(who.server.apply([update])[0], Stored)
        return str(activity[FIELDS[prop]] or "") if done else None

    def _create(self, _live: list[Record]) -> bool:
        number, who = len(self.records), self.random.choice(self.office.people)
        name, is_task = f"rec {number}", self.random.random() < 0.4
        make = self.random.choices((self._item, self._activity, self._meeting), (5, 4, 2))[0]
        self.records[name] = record = make(name, who, is_task=is_task)
        self._say(f"{name} is made by {record.owner.name} on the {record.origin}'s side, {record.pim}")
        return True

    def _item(self, name: str, who: Person, *, is_task: bool) -> Record:
        uid, pim = f"uid-{name.replace(' ', '-')}", self.random.choice([*who.places])
        self._new(who, pim, uid, todo(uid, name) if is_task else event(uid, name, *_times(name)))
        return Record(name, uid, PIM, who, pim, f"{uid}.ics")

    def _activity(self, name: str, who: Person, *, is_task: bool) -> Record:
        start, end = (f"{t[:4]}-{t[4:6]}-{t[6:11]}:{t[11:13]}:00Z" for t in _times(name))
        shown = {"display_in": "Calendar and Activities", "planned": start, "planned_completion": end}
        values = {"display_in": "To Do and Activities"} if is_task else shown
        filled = normal({"owner": who.server.greet().user, "description": name, **values})
        insert = Insert(new_id(), new_id(), filled, keys=(), origin=Origin.SERVER)
        assert isinstance(who.server.apply([insert])[0], Stored)
        self.made[SERVER, ""] += 1
        uid = f"activity-{insert.activity_id}"
        return Record(name, uid, SERVER, who, "phone", href_for(uid), activity=insert.activity_id)

    def _meeting(self, name: str, _who: Person, *, is_task: bool) -> Record:
        """alice invites bob: both have it in their calendars."""
        uid, people = f"uid-{name.replace(' ', '-')}", [f"ORGANIZER:mailto:{ME}"]
        people += [f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{who}" for who in (ME, OTHER)]
        text = event(uid, name, *_times(name), *people)
        for who in self.random.sample(self.office.people, 2):
            self._new(who, "phone", uid, text)
        return Record(name, uid, PIM, self.alice, "phone", f"{uid}.ics", meeting=True)

    def _new(self, who: Person, pim: str, uid: str, text: str) -> None:
        assert who.places[pim].put(f"{uid}.ics", text)
        self.made[who.name, f"{uid}.ics"] += 1

    def _delete(self, live: list[Record]) -> bool:
        """Mostly what both sides show alike."""
        record, side = self.random.choice(live), self.random.choice(SIDES)
        item, activity = record.place.get(record.file), self.activity_of(record)
        whose = self.office.people if record.meeting else [record.owner]
        if not item or not activity or not all(who.knows(record.file) for who in whose):
            return False
        here = {prop: prop_of(item[0], prop) for prop in FIELDS}
        there = {prop: str(activity[name] or "") for prop, name in FIELDS.items()}
        seen, alike = here if side == PIM else there, here == there
        if not alike and self.random.random() < 0.9:
            return False
        if side == PIM:
            done = record.place.remove(record.file, item[1])
            self.removed[record.owner.name, record.file] += done
        else:
            outcome = record.owner.server.apply([Delete(new_id(), activity.id, activity.version)])[0]
            done = isinstance(outcome, Removed)
            self.removed[SERVER, ""] += done
        if done:
            record.deleted_on, record.doubtful = side, not alike
            for prop, shown in seen.items():  # what they saw, they deleted
                by_side = record.typed[prop]
                by_side.pop(side, None)
                record.typed[prop] = {s: v for s, v in by_side.items() if v != shown}
            self._say(f"{record.name} is deleted on the {side}'s side{', in doubt' if record.doubtful else ''}")
        return done

    def _tidy(self) -> None:
        """Entries that were left to their users, which would pile up."""
        left = [r for r in self.records.values() if r.deleted_on and r.origin == PIM and not r.left_alone]
        if len(left) < 30:
            return
        record = left[0]
        record.left_alone = True
        for who in self.office.people if record.meeting else [record.owner]:
            found = who.places[record.pim].get(record.file)
            if found and (not record.doubtful or who is not record.owner):
                self.removed[who.name, record.file] += who.places[record.pim].remove(record.file, found[1])

    def _say(self, what: str) -> None:
        self.told.append(what)

    # --- disturbances ---

    def disturb(self, who: Person, *, kill: bool) -> None:
        deeds = [(who.asks_for_a_run, 5), (lambda: self._suspend(who), 1), (lambda: self._answer(who), 1)]
        if kill:
            deeds.append((lambda: self._kill(who), 1))
        self.random.choices([d for d, _ in deeds], [w for _, w in deeds])[0]()

    def _suspend(self, who: Person) -> None:
        """For as long as some edits take."""
        who.at_work().signal(signal.SIGSTOP)
        for _ in range(5):
            self.edit()
        who.at_work().signal(signal.SIGCONT)
        self.deeds["suspended"] += 1

    def _kill(self, who: Person) -> None:
        if not who.is_at_work():
            return
        who.kill()
        self.edit()
        who.start()
        self.deeds["killed"] += 1
        self._say(f"{who.name}'s agent is killed")

    def _answer(self, who: Person) -> None:
        """One of the conflicts that wait, where no run is under way."""
        self.deeds["answered"] += self.answers(who, 1)

    def answers(self, who: Person, most: int) -> int:
        waiting = who.conflicts()[:most]
        done = 0
        for one in waiting:
            took = self.random.choice(SIDES)
            done += who.desk.do("resolve", one["id"], "--take", took).code == 0
            self._say(f"{who.name} answers {one['subject']}: {took}")
        return done


def prop_of(text: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(f"{name}:")), "")


def _times(name: str) -> tuple[str, str]:
    """No two records at the same time: those that are alike and close would be taken for one."""
    number = int(name.removeprefix("rec "))
    day, minute = 1 + number // 60 % 28, number % 60
    month = 1 + number // 1680 % 12
    return f"2026{month:02}{day:02}T09{minute:02}00Z", f"2026{month:02}{day:02}T10{minute:02}00Z"
