"""Minutes of work without pause: two people edit calendars, a folder and the activity server as fast as is sensible,
their agents carry it to and fro, and networks, servers and processes fail at random (SYN-2, SYN-3, AGT-1).

When it is quiet again both sides agree, nothing is doubled or lost, what was made less what was deleted is what is
there, and the agents need no more memory, files and threads than after their first minutes.

For 25 seconds by default; `SYNCENGINE_SOAK_SECONDS=300` is `make soak`; `SYNCENGINE_SEED` makes it another story.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.dav_servers import DavServer
from tests.e2e.agents import until
from tests.e2e.desk import GENERIC, Commands, Desk
from tests.e2e.served import served
from tests.e2e.soak import FIELDS, PIM, SERVER, Driver, Office, Person, Record, Sample, prop_of

SECONDS = float(os.environ.get("SYNCENGINE_SOAK_SECONDS", "25"))
SEED = int(os.environ.get("SYNCENGINE_SEED", "1"))
INTERVAL = 1.5
REST_SECONDS = 180.0
GROWTH_BYTES, GROWTH_SHARE = 15_000_000, 0.10
"""What an agent may need more than after its warm-up, whichever is more."""
MORE_FILES, MORE_THREADS = 4, 2
DEEDS = ("created", "updated", "deleted")


@pytest.fixture
def office(request: pytest.FixtureRequest, tmp_path: Path, radicale: DavServer, commands: Commands) -> Iterator[Office]:
    """On PostgreSQL where there is one."""
    database = "sqlite:///activities.db"
    if shutil.which("pg_config"):
        database = str(request.getfixturevalue("postgresql_url"))
    owner = Desk(tmp_path / "server", commands, GENERIC, database, 'attachments = "files"').set_up()
    with served(owner) as url:
        found = Office(tmp_path, radicale, owner, url, SEED, INTERVAL)
        yield found
        found.close()


@dataclass(frozen=True)
class Work:
    """What was done, and by whom."""

    office: Office
    driver: Driver


@pytest.mark.skipif(not SECONDS, reason="SYNCENGINE_SOAK_SECONDS is 0")
def test_after_minutes_of_edits_and_faults_all_is_where_it_belongs(office: Office) -> None:
    driver = Driver(office)
    try:
        work = _work(office, driver)
        memory = _memory(work)
        print(f"MB after the warm-up, and at the end: {memory}")
        _rest(office)
        _agrees(work)
        for person in office.people:
            until(f"{person.name}'s conflicts are answered", lambda p=person: _answered(driver, p))
        _rest(office)
        _agrees(work, held=False)
        _balances(work)
        _state_is_small(work)
        _logs_are_clean(office)
        print(json.dumps(_figures(work, memory), indent=1))
    except AssertionError as e:
        pytest.fail(f"{e}\n\nwith seed {SEED}:\n" + "\n".join(driver.told[-400:]))


def _work(office: Office, driver: Driver) -> Work:
    """In the first third everybody's agent is killed now and then, after that, up to the half, bob's alone."""
    for person in office.people:
        person.start()
        until(f"{person.name}'s agent is at work", person.is_at_work)
    office.faults(on=True)
    begun = time.monotonic()
    end = begun + SECONDS
    killed = {"alice": begun + SECONDS / 3, "bob": begun + SECONDS / 2}
    disturbed = sampled = begun
    while (now := time.monotonic()) < end:
        driver.edit()
        if now > disturbed + 1.5:
            who, disturbed = driver.random.choice(office.people), now
            driver.disturb(who, kill=now < killed[who.name])
        if now > sampled + 0.3:
            sampled = now
            for person in office.people:
                person.sample()
    return Work(office, driver)


# --- at rest ---------------------------------------------------------------------------------------------------------


def _rest(office: Office) -> None:
    """No faults any more; until a round of runs finds nothing to do."""
    office.faults(on=False)
    for person in office.people:
        until(f"{person.name}'s agent is at work", person.is_at_work)
    until("rest", lambda: not sum([_round(person) for person in office.people]), REST_SECONDS)


def _round(person: Person) -> int:
    """How much a run of everything did, or failed to do."""
    person.desk.do("retry", "--all")
    ((before,),) = person.rows("SELECT coalesce(max(rowid), 0) FROM run")
    done = person.desk.do("sync-now", "--wait", "--json")
    reports = [json.loads(r) for (r,) in person.rows("SELECT report FROM run WHERE rowid > ? AND report > ''", before)]
    wrote = sum(n for report in reports for *_, n in report["writes"]) + sum(r["linked"] for r in reports)
    bad = sum(one["outcome"] != "done" for one in done.json["pims"].values())
    ((open_,),) = person.rows("SELECT count(*) FROM problem")
    return int(wrote + bad + open_)


def _answered(driver: Driver, person: Person) -> bool:
    driver.answers(person, 1000)
    return not person.conflicts()


# --- what must hold --------------------------------------------------------------------------------------------------

Shown = dict[str, dict[str, str]]
"""name of a record → field → value."""


def _calendar(person: Person, pim: str) -> Shown:
    place, found = person.places[pim], {}
    for file in place.names():
        text, _ = place.get(file) or ("", "")
        name = prop_of(text, "SUMMARY")
        assert name not in found, f"{name} is twice in {person.name}'s {pim}"
        found[name] = {prop: prop_of(text, prop) for prop in FIELDS}
    return found


def _server(office: Office) -> Shown:
    """Both people's activities: one for each record."""
    by_id = {a.id: a for person in office.people for a in person.server.activities()}
    found: Shown = {}
    for activity in by_id.values():
        name = str(activity["description"])
        assert name not in found, f"{name} is twice on the server"
        found[name] = {prop: str(activity[its] or "") for prop, its in FIELDS.items()}
    return found


def _agrees(work: Work, *, held: bool = True) -> None:
    """Each record on both sides alike, or on none, or held; of what was typed last all is on a side or kept."""
    there = _server(work.office)
    here = {(p.name, pim): _calendar(p, pim) for p in work.office.people for pim in p.places}
    kept = set().union(*(p.kept() for p in work.office.people))
    waiting = {str(c["subject"]) for p in work.office.people for c in (p.conflicts() if held else ())}
    assert set(there) <= set(work.driver.records)
    wrong = [
        fault
        for record in work.driver.records.values()
        for fault in _faults(
            record,
            here[record.owner.name, record.pim].get(record.name),
            there.get(record.name),
            kept,
            is_held=record.name in waiting,
        )
    ]
    assert not wrong, "\n".join(wrong)


def _faults(
    record: Record, here: dict[str, str] | None, there: dict[str, str] | None, kept: set[str], *, is_held: bool
) -> Iterator[str]:
    name, stays = record.name, record.origin == PIM and record.deleted_on == SERVER
    if record.deleted_on and not is_held:
        right = not there and (here is not None) is (stays and not record.left_alone)
        if record.doubtful:  # it was answered: both again, or none; an entry of one's own may stay
            right = (there is None and (here is None or record.origin == PIM)) or here == there
        if not right:
            yield f"{name}, deleted on the {record.deleted_on}'s side, is here: {here}, there: {there}"
    if not record.deleted_on and not is_held:
        if here is None or there is None:
            yield f"{name} is here: {here}, there: {there}"
            return
        for prop in FIELDS:
            typed = set(record.typed[prop].values())
            answered = typed <= kept  # what a write whose answer was lost met may have been asked about
            if here[prop] != there[prop] or (typed and here[prop] not in typed and not answered):
                yield f"{name}: {prop} is {here[prop]!r} here, {there[prop]!r} there, typed was {record.typed[prop]}"
    shown = {value for side in (here, there) if side for value in side.values()}
    typed_last = {value for by_side in record.typed.values() for value in by_side.values()}
    if lost := typed_last - shown - kept:
        yield f"{name} has lost {lost}"


def _balances(work: Work) -> None:
    """Of every calendar and the server: what people made less what they deleted, and what the agents made there less
    what they deleted, as their own journals say, is what is there. An agent that was killed, or heard an error, after
    it had made or deleted an item may have found that out instead of noting it: one more, or one less, of that file is
    right then, and few are like that."""
    driver, office = work.driver, work.office
    unheard = office.unheard()
    for person in office.people:
        there = Counter(file for place in person.places.values() for file in place.names())
        expected = person.items_made()
        for sign, by_people in ((1, driver.made), (-1, driver.removed)):
            for (whose, file), n in by_people.items():
                expected[file] += sign * n if whose == person.name else 0
        for file in unheard:
            expected[file] = min(expected[file], there[file])
        unnoted = {file: (expected[file], there[file]) for file in {*expected, *there} if there[file] != expected[file]}
        wrong = {file: (n, found) for file, (n, found) in unnoted.items() if found != n + 1}
        assert not wrong, f"items of {person.name}, (expected, there): {wrong}"
        assert len(unnoted) <= max(3, there.total() // 5), unnoted
    wrote = {person.name: person.wrote() for person in office.people}
    activities = driver.made[SERVER, ""] - driver.removed[SERVER, ""]
    activities += sum(w[SERVER, "created"] - w[SERVER, "deleted"] for w in wrote.values())
    assert len(_server(office)) == activities, f"{len(_server(office))} activities instead of {activities}: {wrote}"


def _memory(work: Work) -> dict[str, list[float]]:
    """Of each agent, since it was killed last: memory, files and threads at the end against after the warm-up, which
    is a third of that."""
    found = {}
    for person in work.office.people:
        own = [s for s in person.samples if s.pid == person.at_work().process.pid]
        warm = own[len(own) // 3 :]
        early, late = warm[: len(warm) // 2], warm[len(warm) // 2 :]
        before, after = _most(early, "memory"), median(s.memory for s in late)
        found[person.name] = [round(before / 1e6, 1), round(after / 1e6, 1)]
        allowed = max(GROWTH_BYTES, GROWTH_SHARE * before)
        assert after - before <= allowed, f"{person.name}'s agent grew from {before} to {after} bytes"
        assert _most(late, "files") <= _most(early, "files") + MORE_FILES, [s.files for s in own]
        assert _most(late, "threads") <= _most(early, "threads") + MORE_THREADS, [s.threads for s in own]
    return found


def _most(samples: list[Sample], what: str) -> int:
    return max(int(getattr(s, what)) for s in samples)


def _state_is_small(work: Work) -> None:
    """All but the history and the runs is about what there is, however much there was."""
    live = sum(len(p.names()) for person in work.office.people for p in person.places.values()) + len(
        _server(work.office)
    )
    for person in work.office.people:
        tables = [t for (t,) in person.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {t: person.rows(f'SELECT count(*) FROM "{t}"')[0][0] for t in tables}
        assert not rows["intent"], "something is still on its way"
        large = {t: n for t, n in rows.items() if t not in {"history", "run", "sqlite_sequence"} and n > live + 50}
        assert not large, f"{person.name}'s state holds {large}, of {live} records"


def _logs_are_clean(office: Office) -> None:
    for person in office.people:
        token = person.desk.more_server.split('"')[1]
        for log in person.desk.folder.glob("agent-*.log"):
            text = log.read_text(errors="replace")
            assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:5000]
            assert "outcome=fault" not in text, text[text.index("outcome=fault") - 500 :][:3000]
            assert token not in text
            assert "secret" not in text


def _figures(work: Work, memory: dict[str, list[float]]) -> dict[str, object]:
    runs = Counter(s for p in work.office.people for (s,) in p.rows("SELECT state FROM run"))
    return {
        "seconds": SECONDS,
        "deeds": dict(work.driver.deeds),
        "runs": dict(runs),
        "faults": sum(work.office.met().values()),
        "kinds of faults": len(work.office.met()),
        "writes": {p.name: {" ".join(k): n for k, n in sorted(p.wrote().items())} for p in work.office.people},
        "reported": {p.name: {" ".join(k): n for k, n in sorted(p.reported().items())} for p in work.office.people},
        "records": len(work.driver.records),
        "items": {p.name: sum(len(place.names()) for place in p.places.values()) for p in work.office.people},
        "activities": len(_server(work.office)),
        "MB": memory,
        "state MB": {p.name: round((p.desk.folder / "state.db").stat().st_size / 1e6, 1) for p in work.office.people},
    }
