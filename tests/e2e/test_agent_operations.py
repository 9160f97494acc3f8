"""What an agent leaves behind for those who look after it: its log, figures and alarms; and what never stands there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dav_servers import DavServer
from tests.e2e.desk import FOLDER, ROOT, Desk, event

PATIENCE = 60.0
MARKERS = ("Subjekt", "Inhalt", "Geheim", "Teilnehmer", "Ort", "Merker")
"""Each is in something of the run below that must not be in a log."""
SPEAKING = event(
    "one",
    "Subjekt-Eins",
    "20260302T090000Z",
    "20260302T100000Z",
    "DESCRIPTION:Inhalt der Sache",
    "LOCATION:Ort der Sache",
    "ATTENDEE;CN=Teilnehmer:mailto:teilnehmer@example.com",
)
WRONG = """[[pim]]
name = "phone"
connector = "caldav"
url = "{url}"
username = "alice"
password = "Geheim-Passwort"
[[pim]]
name = "nowhere"
connector = "caldav"
url = "http://Merker-Nutzer:Geheim-Zwei@127.0.0.1:9/x/"
username = "alice"
password = "Geheim-Drei"
[[pim]]
name = "gone"
connector = "vdir"
path = "not there"
"""


@contextlib.contextmanager
def running(desk: Desk, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.e2e.run_command", "agent", *options, "--config", "config.toml"]
    environment = {**os.environ, **desk.env, "PYTHONPATH": str(ROOT)}
    with (desk.folder / "stderr").open("wb") as log:
        process = subprocess.Popen(command, cwd=desk.folder, env=environment, stderr=log, stdout=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (desk.folder / "stderr").read_text()


def until(what: Callable[[], Any]) -> Any:
    """What is found once it is; fails when it does not come."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return found


def configure(desk: Desk, more: str) -> None:
    desk.configure()
    with desk.config.open("a") as file:
        file.write(more)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_log_holds_no_secret_and_nothing_of_what_is_in_items(desk: Desk, radicale: DavServer, form: str) -> None:
    desk.put("one", SPEAKING)
    desk.put("bad", SPEAKING.replace("UID:one", "UID:bad").replace("20260302T090000Z", "Merker"))
    desk.put("Merker-two", SPEAKING)
    desk.pims = FOLDER + WRONG.format(url=radicale.make_collection())
    configure(desk, f'[log]\nformat = "{form}"\nfile = "log/agent.log"\nlevel = "debug"\n')
    log = desk.folder / "log" / "agent.log"
    with running(desk, "--verbose"):
        ended = {"phone": "login", "nowhere": "config", "gone": "gone", "work": "done"}
        said = until(lambda: _has_all(log, form, ended))
    assert all(re.search(rf"\b{name}\b", said) for name in ended)
    for marker in MARKERS:
        assert marker.lower() not in said.lower(), f"{marker} is in the log:\n{said}"
        assert marker.lower() not in (desk.folder / "stderr").read_text().lower()
    assert "@" not in said
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def _has_all(log: Path, form: str, ended: dict[str, str]) -> str:
    """The log's text once each PIM has had a run."""
    if form == "json":
        runs = {line["pim"]: line["outcome"] for line in lines_of(log) if line["event"] == "run"}
    else:
        text = log.read_text() if log.exists() else ""
        runs = dict(re.findall(r"event=run pim=(\w+) outcome=(\w+)", text))
    return log.read_text() if set(ended) <= set(runs) else ""


def test_each_line_is_json_with_the_same_names(desk: Desk) -> None:
    desk.put("one", event("one", "An entry"))
    configure(desk, '[log]\nformat = "json"\nfile = "agent.log"\n')
    log = desk.folder / "agent.log"
    with running(desk):
        (run,) = until(lambda: [line for line in lines_of(log) if line["event"] == "run"])
    assert {"time", "level", "event", "pim", "outcome", "run", "reason", "writes", "seconds", "wait"} <= set(run)
    assert (run["level"], run["pim"], run["outcome"], run["writes"]) == ("info", "work", "done", 1)
    assert run["run"] == desk.do("status", "--json").json["runs"][0]["run"]
    assert [line["event"] for line in lines_of(log)][-1] == "stopped"


def test_a_log_that_cannot_be_written_is_refused_at_the_start(desk: Desk) -> None:
    configure(desk, '[log]\nfile = "calendar"\n')
    done = desk.do("agent")
    assert done.code == 2
    assert "The log cannot be written" in done.err


# --- figures ---------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def figures(text: str) -> dict[str, float]:
    rows = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_an_agent_serves_figures_where_it_is_asked_to(desk: Desk) -> None:
    desk.put("one", event("one", "Subjekt"))
    port = free_port()
    configure(desk, f'[agent]\nmetrics = "127.0.0.1:{port}"\n')
    with running(desk):
        found = until(lambda: _served(port, 'syncengine_runs_total{outcome="done",pim="work"}'))
    assert found['syncengine_runs_total{outcome="done",pim="work"}'] == 1
    assert found['syncengine_writes_total{side="server",verb="created"}'] == 1
    assert found['syncengine_run_seconds_count{pim="work"}'] == 1
    assert found['syncengine_next_run_timestamp_seconds{pim="work"}'] > found["syncengine_last_run_timestamp_seconds"]
    assert found["syncengine_last_run_ok"] == 1
    assert found['syncengine_items{state="held"}'] == 0


def _served(port: int, name: str) -> dict[str, float]:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        found = figures(answer.read().decode())
        return found if found.get(name) else {}
    return {}


def test_figures_are_printed_once_for_a_collector_of_text_files(desk: Desk) -> None:
    desk.put("one", event("one", "Subjekt"))
    desk.put("bad", "no calendar at all")
    desk.do("sync")
    found = figures(desk.good("metrics").out)
    assert found["syncengine_last_run_ok"] == 1
    assert found['syncengine_items{state="failed"}'] == 1
    assert found['syncengine_last_run_writes{side="server",verb="created"}'] == 1
    desk.calendar.rename(desk.folder / "away")
    desk.do("sync")
    assert figures(desk.good("metrics").out)["syncengine_last_run_ok"] == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('metrics = "0.0.0.0:9464"', "open to other machines"),
        ('metrics = "9464"', "write host:port"),
        ('metrics = "127.0.0.1:99999"', "write host:port"),
    ],
)
def test_figures_are_for_this_machine_unless_said_otherwise(desk: Desk, line: str, words: str) -> None:
    configure(desk, f"[agent]\n{line}\n")
    done = desk.do("check")
    assert done.code == 2
    assert words in done.err
    configure(desk, '[agent]\nmetrics = "0.0.0.0:9464"\nmetrics_everywhere = true\n')
    desk.good("check")


def test_prometheus_is_not_imported_unless_asked_for(desk: Desk) -> None:
    code = "import sys; import syncengine.agent.hooks, syncengine.agent.loop; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


# --- alarms ----------------------------------------------------------------------------------------------------------


def test_an_agent_tells_a_refused_login_once_and_that_it_is_over(desk: Desk, radicale: DavServer) -> None:
    script = f'echo "$SYNCENGINE_ALARM_KIND $SYNCENGINE_ALARM_SIDE $SYNCENGINE_ALARM_STATE" >> {desk.folder}/told'
    desk.pims = f"""[[pim]]
name = "phone"
connector = "caldav"
url = "{radicale.make_collection()}"
username = "alice{radicale.suffix}"
password = {{ command = ["cat", "{desk.folder}/password"] }}
interval = 0.01
"""
    (desk.folder / "password").write_text("mistyped")
    configure(desk, f"[alarm]\ncommand = {json.dumps(['sh', '-c', script])}\n")
    told = desk.folder / "told"
    with running(desk, "--verbose"):
        until(lambda: told.exists() and "login phone raised" in told.read_text())
        (desk.folder / "password").write_text("secret")
        desk.do("sync-now")
        until(lambda: "login phone over" in told.read_text())
    assert told.read_text().splitlines() == ["login phone raised", "login phone over"]
