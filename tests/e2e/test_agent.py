"""The agent as a process, with real sides: what wakes it, what it survives, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from syncengine import bootstrap
from syncengine.agent import loop
from syncengine.config import load
from syncengine.model.agent import Event, EventKind, Outcome
from tests import imap_server
from tests.dav_servers import free_port, radicale_at
from tests.e2e.agents import agent, every, until
from tests.e2e.desk import FOLDER, Desk, event

NEVER = every(3600 * 24)
SECOND = """[[pim]]
name = "home"
connector = "vdir"
path = "home"
"""


def setting(desk: Desk, *, agents: str = NEVER, pims: str = FOLDER) -> None:
    desk.pims = f"{agents}{pims}"
    desk.configure()


def shared(desk: Desk) -> set[str]:
    return {str(a["description"]) for a in desk.activities()}


# --- what wakes it ---------------------------------------------------------------------------------------------------


def test_a_change_in_a_folder_is_carried_up_and_its_own_writes_make_no_ping_pong(desk: Desk) -> None:
    setting(desk)
    with agent(desk) as one:
        one.told(event="run", reason="the agent has started")
        desk.put("a", event("a", "Typed in the calendar"))
        until("the activity", lambda: "Typed in the calendar" in shared(desk))
        desk.add(
            description="Made on the server",
            display_in="Calendar and Activities",
            planned="2026-03-04T10:00:00+01:00",
            planned_completion="2026-03-04T11:00:00+01:00",
        )
        desk.put("b", event("b", "Another"))
        one.told(event="run", reason="something changed here", times=3)  # the last one by what the second wrote itself
        assert "Made on the server" in "".join(desk.items())
        assert one.lines(event="run")[-1].says(outcome="done")
        assert "writes" not in one.lines(event="run")[-1].parts
        before = len(one.lines(event="run"))
        desk.put("c", event("c", "Last"))
        until("the activity", lambda: "Last" in shared(desk))
        assert len(one.lines(event="run")) <= before + 1


def test_it_runs_at_its_interval_and_each_pim_has_its_own(desk: Desk) -> None:
    (desk.folder / "home").mkdir()
    setting(desk, pims=f"{FOLDER}interval = 0.02\n{SECOND}")
    with agent(desk) as one:
        one.told(event="run", pim="work", reason="its interval is over", times=2)
        assert [line.parts["reason"] for line in one.lines(event="run", pim="home")] == ["the agent has started"]


def test_sync_now_wakes_it_and_waits_for_it(desk: Desk) -> None:
    setting(desk)
    refused = desk.do("sync-now")
    assert (refused.code, "No agent is running" in refused.err) == (1, True)
    with agent(desk) as one:
        one.told(event="run")
        desk.add(
            description="Made on the server",
            display_in="Calendar and Activities",
            planned="2026-03-04T10:00:00+01:00",
            planned_completion="2026-03-04T11:00:00+01:00",
        )
        done = desk.do("sync-now", "--wait", "--json", "--pim", "work")
        assert (done.code, done.json["pims"]["work"]["outcome"]) == (0, "done")
        assert "Made on the server" in "".join(desk.items())
        assert one.lines(event="run", reason="asked for by hand")
        assert desk.do("sync-now").code == 0
        one.told(event="run", reason="asked for by hand", times=2)
        assert desk.do("sync-now", "--pim", "wrok").code == 2
        assert desk.do("status", "--json").json["agent"]["pid"] == one.process.pid
        assert f"process {one.process.pid}" in desk.do("status").out
    assert desk.do("status", "--json").json["agent"] == {"running": False}
    assert {path.name for path in one.folder.path.iterdir()} == {"lock", "status.json"}


def test_a_new_message_is_told_by_the_mail_server(desk: Desk) -> None:
    server = imap_server.start("verbose_proctitle = yes\n")
    try:
        setting(
            desk,
            pims=f"""[[pim]]
name = "mail"
connector = "imap"
url = "{server.url}"
username = "alice"
password = "secret"
folders = ["INBOX"]
""",
        )
        server.drop("INBOX", b"From: a@example.net\nSubject: old\n\nx")
        with agent(desk) as one:
            one.told(event="run", pim="mail", outcome="done")
            until("the IDLE", lambda: "IDLE" in _dovecot_says(server))
            server.drop("INBOX", b"From: con@example.net\nMessage-ID: <new@example.net>\nSubject: new\n\nx")
            one.told(event="run", pim="mail", reason="the PIM's server tells of something new")
    finally:
        server.stop()


def _dovecot_says(server: imap_server.ImapServer) -> str:
    """What the server's processes are doing, as it writes into their titles."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "imap" in words and "alice" in words:
            found.append(words)
    return "".join(found)


# --- what it survives ------------------------------------------------------------------------------------------------


def test_suspended_it_makes_up_for_it_once(desk: Desk) -> None:
    interval = 2.0
    setting(desk, agents=every(interval))
    with agent(desk) as one:
        one.told(event="run", reason="its interval is over")
        one.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        desk.put("a", event("a", "While it slept"))
        until("several intervals", lambda: time.monotonic() > stopped + 3 * interval)
        before = len(one.lines(event="run"))
        one.signal(signal.SIGCONT)
        one.told(event="run", reason="its interval is over", times=len(one.lines(reason="its interval is over")) + 2)
        assert "While it slept" in shared(desk)
        after = [line for line in one.lines(event="run")[before:] if line.says(reason="its interval is over")]
        gaps = [later.at - earlier.at for earlier, later in pairwise(after)]
        assert min(gaps) > 0.85 * interval, "what was missed is made up for once"


@pytest.fixture
def dav(desk: Desk, tmp_path: Path) -> tuple[Path, int, Callable[..., None]]:
    """Folder and port of a Radicale that is not running, and how a desk is set to use a calendar on it."""
    folder, port = tmp_path / "radicale", free_port()
    folder.mkdir()
    script = desk.folder / "password.sh"
    (desk.folder / "password").write_text("secret")
    script.write_text(f'echo >> "{desk.folder}/counted"; cat "{desk.folder}/password"')

    def use(url: str, interval: float) -> None:
        setting(
            desk,
            agents=every(interval),
            pims=f"""[[pim]]
name = "phone"
connector = "caldav"
url = "{url}"
username = "alice"
password = {{ command = ["sh", "{script}"] }}
""",
        )

    return folder, port, use


def test_the_network_goes_and_comes_back(desk: Desk, dav: tuple[Path, int, Callable[..., None]]) -> None:
    folder, port, use = dav
    with ExitStack() as stack, ExitStack() as network:
        server = network.enter_context(radicale_at(folder, port))
        url = server.make_collection()
        server.request("PUT", f"{url}a.ics", body=event("a", "Before"))
        use(url, 1.5)
        one = stack.enter_context(agent(desk))
        one.told(event="run", outcome="done", writes="1")
        network.close()
        one.told(event="run", outcome="offline", failures="2")
        assert one.pim("phone")["failures"] >= 2
        assert one.pim("phone")["waits"] is None, "nobody has to do anything"
        network.enter_context(radicale_at(folder, port))
        server.request("PUT", f"{url}b.ics", body=event("b", "Afterwards"))
        until("the activity", lambda: "Afterwards" in shared(desk))
        until("all is well", lambda: one.pim("phone")["failures"] == 0)
        assert one.lines(event="told") == []


def test_expired_credentials_are_told_once_and_their_renewal_is_noticed(
    desk: Desk, dav: tuple[Path, int, Callable[..., None]]
) -> None:
    folder, port, use = dav
    with radicale_at(folder, port) as server:
        url = server.make_collection()
        use(url, 1.2)
        with agent(desk) as one:
            one.told(event="run", outcome="done")
            (folder / "users").write_text("alice:renewed\n")
            one.told(event="told", outcome="login")
            looks = _looks(desk)
            until("it looks whether there is another password", lambda: _looks(desk) > looks + 3)
            assert len(one.lines(event="run", outcome="login")) == 1, "an account is not locked by trying"
            assert len(one.lines(event="told")) == 1
            assert one.pim("phone")["waits"]["fix"]
            (desk.folder / "password").write_text("renewed")
            one.told(event="mended", outcome="login")
            assert one.lines(event="run", reason="password")[-1].says(outcome="done")
        assert "secret" not in one.log.read_text()
        assert "renewed" not in one.log.read_text()


def _looks(desk: Desk) -> int:
    """How often the password was asked for."""
    return (desk.folder / "counted").stat().st_size if (desk.folder / "counted").exists() else 0


def test_a_brake_is_told_once_and_ends_when_what_was_missing_is_back(desk: Desk) -> None:
    (desk.folder / "home").mkdir()
    setting(desk, agents=every(1.2), pims=FOLDER + SECOND)
    names = [f"n{number}" for number in range(10)]
    for name in names:
        desk.put(name, event(name, name))
    with agent(desk) as one:
        one.told(event="run", writes="10")
        texts = {name: desk.text(name) for name in names}
        desk.remove(*names)
        one.told(event="run", outcome="brake", times=3)
        assert len(one.lines(event="told")) == 1
        assert desk.do("sync-now", "--wait", "--pim", "work").code == 3
        assert desk.do("status", "--json").json["agent"]["pims"][0]["waits"]["what"]
        (desk.folder / "home" / "other.ics").write_bytes(event("other", "Not stopped").encode())
        until("the activity of the other PIM", lambda: "Not stopped" in shared(desk))
        for name, text in texts.items():
            desk.put(name, text)
        one.told(event="mended", outcome="brake")
        assert len(shared(desk)) == 11


def test_another_run_under_way_is_waited_for(desk: Desk) -> None:
    setting(desk)
    with agent(desk) as one:
        one.told(event="run")
        state = bootstrap.open_state(load(desk.config))
        with state.lock():
            desk.put("a", event("a", "Patience"))
            until("it waits", lambda: one.pim()["outcome"] == "taken")
            assert shared(desk) == set()
        state.close()
        until("the activity", lambda: "Patience" in shared(desk))
        assert one.lines(event="told") == []


def test_two_agents_started_at_once_are_one(desk: Desk) -> None:
    setting(desk)
    with agent(desk, "first") as first, agent(desk, "second") as second:
        loser = until("one ends", lambda: next((a for a in (first, second) if a.process.poll() is not None), None))
        winner = second if loser is first else first
        assert loser.process.returncode == 1
        assert "An agent is running already" in loser.log.read_text()
        winner.told(event="run", outcome="done")
        assert winner.folder.running()
        third = desk.do("agent")
        assert (third.code, f"process {winner.process.pid}" in third.err) == (1, True)
        desk.put("a", event("a", "Once"))
        until("the activity", lambda: shared(desk) == {"Once"})


def test_a_changed_configuration_is_taken_over_and_a_broken_one_waits_until_it_is_mended(desk: Desk) -> None:
    setting(desk)
    (desk.folder / "home").mkdir()
    with agent(desk) as one:
        one.told(event="run", pim="work")
        setting(desk, pims=FOLDER + SECOND)
        one.told(event="run", pim="home")
        desk.config.write_text(desk.config.read_text().replace('connector = "vdir"', 'connector = "vdri"'))
        (line,) = one.told(event="told", outcome="config")
        assert "vdri" in line.parts["what"]
        assert desk.do("status").code == 2
        desk.put("a", event("a", "Later"))
        setting(desk, pims=FOLDER + SECOND.replace('"home"', '"away"', 1))
        one.told(event="mended", outcome="config")
        until("the activity", lambda: "Later" in shared(desk))
        one.told(event="run", pim="away")
        assert not one.pim("home")


def test_a_configuration_that_is_being_written_is_not_read(desk: Desk) -> None:
    """An editor that writes in place: the agent, told to look, meets half of it again and again."""
    setting(desk)
    with agent(desk) as one:
        one.told(event="run")
        whole = desk.config.read_text()
        for _ in range(15):
            with desk.config.open("w") as file:
                for line in whole.splitlines(keepends=True):
                    file.write(line)
                    file.flush()
                    one.signal(signal.SIGHUP)
        one.told(event="configured")
        assert not one.lines(event="told"), "it never complained"


def test_a_wrong_mapping_stops_its_pim_alone(desk: Desk) -> None:
    (desk.folder / "home").mkdir()
    setting(desk, pims=f'{FOLDER}{SECOND}mapping = "own"\n')
    own = desk.folder / "own.xml"
    own.write_text("<mapping/>")
    with agent(desk) as one:
        one.told(event="told", outcome="config")
        own.write_text((bootstrap.mapping_folder() / "default.xml").read_text())
        one.told(event="mended", outcome="config")
        assert one.process.poll() is None


def test_hanging_up_makes_it_run_all_now(desk: Desk) -> None:
    setting(desk)
    with agent(desk) as one:
        one.told(event="run")
        one.signal(signal.SIGHUP)
        one.told(event="run", reason="the configuration or a mapping has changed")


def test_a_state_that_is_removed_is_not_begun_anew(desk: Desk) -> None:
    setting(desk)
    desk.put("a", event("a", "Mine"))
    with agent(desk) as one:
        one.told(event="run")
        refused = desk.do("remove", "--yes")
        assert (refused.code, "agent is running" in refused.err) == (1, True)
        for file in desk.folder.glob("state.db*"):
            if file.is_file():
                file.unlink()
        assert one.process.wait(20) == 0
    assert not (desk.folder / "state.db").exists()
    assert desk.sync()["state"] == "done"
    assert desk.do("remove", "--yes").code == 0
    assert not one.folder.path.exists()


# --- only what changed here ------------------------------------------------------------------------------------------


def test_scheduled_runs_may_carry_up_only_what_changed_here(desk: Desk) -> None:
    setting(desk, agents=every(1.2, changes='"local"'))
    with agent(desk) as one:
        one.told(event="run")
        desk.add(
            description="Made on the server",
            display_in="Calendar and Activities",
            planned="2026-03-04T10:00:00+01:00",
            planned_completion="2026-03-04T11:00:00+01:00",
        )
        desk.put("a", event("a", "Typed in the calendar"))
        until("the activity", lambda: "Typed in the calendar" in shared(desk))
        one.told(event="run", reason="its interval is over", times=3)
        assert len(desk.items()) == 1
        assert desk.do("sync-now", "--wait").code == 0
        assert len(desk.items()) == 2


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.fixture
def silence() -> Iterator[tuple[int, threading.Event]]:
    """The port of somebody who accepts and never answers, and whether anybody has come."""
    listener = socket.create_server(("127.0.0.1", 0))
    came, kept = threading.Event(), []

    def accept() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return
            came.set()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], came
    listener.close()
    for connection in kept:
        connection.close()


@pytest.mark.parametrize(
    ("side", "number"),
    [("http", signal.SIGTERM), ("http", signal.SIGINT), ("caldav", signal.SIGTERM), ("imap", signal.SIGTERM)],
)
def test_it_ends_at_once_while_a_side_hangs(
    desk: Desk, silence: tuple[int, threading.Event], side: str, number: signal.Signals
) -> None:
    port, came = silence
    login = 'username = "alice"\npassword = "secret"\n'
    if side == "http":
        setting(desk)
        text = desk.config.read_text().replace('"sqlite:///activities.db"', f'"http://127.0.0.1:{port}"\ntoken = "abc"')
        desk.config.write_text(text)
    elif side == "caldav":
        setting(desk, pims=f'[[pim]]\nname = "p"\nconnector = "caldav"\nurl = "http://127.0.0.1:{port}/c/"\n{login}')
    else:
        setting(desk, pims=f'[[pim]]\nname = "p"\nconnector = "imap"\nurl = "imap://127.0.0.1:{port}"\n{login}')
    with agent(desk) as one:
        assert came.wait(30)
        until("the run", lambda: desk.do("status", "--json").json["runs"])
        one.signal(number)
        assert one.ends() == 0
        assert one.lines(event="stopped")
    runs = desk.do("status", "--json").json["runs"]
    assert [run["state"] for run in runs] == ["interrupted"]
    assert not one.folder.running()


def test_killed_it_leaves_nothing_behind_that_keeps_the_next(desk: Desk) -> None:
    setting(desk)
    with agent(desk, "first") as one:
        one.told(event="run")
        one.signal(signal.SIGKILL)
        one.process.wait()
    with agent(desk, "second") as another:
        another.told(event="run", outcome="done")
        assert json.loads((another.folder.path / "status.json").read_text())["pid"] == another.process.pid


def test_what_is_told_to_others_and_what_they_do_with_it(desk: Desk) -> None:
    """In this process: a hook that fails changes nothing."""
    setting(desk)
    desk.put("a", event("a", "Mine"))
    told: list[Event] = []

    def hook(one: Event) -> None:
        told.append(one)
        if one.kind is EventKind.RUN:
            os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("a hook that fails")

    loop.Agent(desk.config, hook).work()
    assert [one.kind for one in told] == [EventKind.STARTED, EventKind.RUN, EventKind.STOPPED]
    run = told[1]
    assert (run.pim, run.outcome, run.counts["writes"], run.failures) == ("work", Outcome.DONE, 1, 0)
    assert run.run == desk.do("status", "--json").json["runs"][0]["run"]


def test_what_a_person_answers_is_done_at_once(desk: Desk) -> None:
    setting(desk)
    with agent(desk) as one:
        one.told(event="run")
        desk.put("a", event("a", "Mine"))
        until("the activity", lambda: "Mine" in shared(desk))
        one.told(2, event="run")  # a run has the state to itself until its end
        done = desk.do("unshare", "a", "--json")
        assert (done.code, done.err) == (0, "The agent does it now.\n"), done.err
        assert done.json[0]["key"] == "a"
        one.told(event="run", reason="asked for by hand")
        assert "The agent" not in desk.do("share", "a", "--suggest").err, "there is nothing to do"
    assert "The agent" not in desk.do("share", "a").err
