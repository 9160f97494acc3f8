"""`demo`: the main job on sample data, in words, in a folder of its own that is left behind to look at."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from syncengine.cli.output import command
from syncengine.cli.setup import DIRECTORY, TEMPLATE
from syncengine.config import Config, load

ME, GENERIC = "user.one@example.com", "generic.owner@example.com"
OWN = {
    "lunch.ics": "VEVENT\nUID:lunch@example.com\nDTSTAMP:20260101T000000Z\nSUMMARY:Lunch with Acme\n"
    "DTSTART;TZID=Europe/Berlin:20260302T120000\nDTEND;TZID=Europe/Berlin:20260302T130000\n"
    "X-MY-NOTE;COLOR=blue:bring the contract\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nEND:VALARM",
    "review.ics": "VTODO\nUID:review@example.com\nDTSTAMP:20260101T000000Z\nSUMMARY:Review the proposal\n"
    "DUE;VALUE=DATE:20260306\nPRIORITY:1\nSTATUS:NEEDS-ACTION",
    "broken.ics": "VEVENT\nUID:broken@example.com\nDTSTART:next Tuesday\nSUMMARY:Cut off in the mid",
}


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where to play; a new temporary folder by default.")
@command
def demo(folder: Path | None) -> int:
    """Show the main job on sample data: a folder calendar with real-world items, and an activity server."""
    home = folder or Path(tempfile.mkdtemp(prefix="syncengine-demo-"))
    config = _prepare(home)
    calendar = home / "calendar"
    _title(f"A calendar folder with {len(list(calendar.glob('*.ics')))} items, and an empty activity server")
    click.echo(f"  everything lies in {home}")
    first = _sync(config, "The first run carries the items up")
    second = _sync(config, "A second run right after has nothing to do")
    _title("The owner moves lunch to another place in the calendar, a colleague renames it on the server")
    _edit(calendar / "lunch.ics", "SUMMARY:", "LOCATION:Trattoria\nSUMMARY:")
    _on_server(config, lambda edit: edit("lunch@example.com", {"description": "Lunch with Acme (contract!)"}))
    click.echo("  … and marks the to-do ASAP, which no calendar can show; it is kept on the way")
    _on_server(config, lambda edit: edit("review@example.com", {"priority": "1-ASAP", "status": "In Progress"}))
    click.echo("  … and adds a visit on the server")
    _add(config)
    merged = _sync(config, "Both sides are brought in step, field by field")
    last = _sync(config, "And again there is nothing to do")
    _title("The lunch as it stands in the calendar now; the note and the alarm nobody mapped are untouched")
    click.echo("  " + "\n  ".join((calendar / "lunch.ics").read_text(encoding="utf-8").splitlines()))
    _title("In short")
    made, merges = first.writes["server", "created"], merged.writes
    click.echo(f"  {made} items became activities; {first.failed} could not be read, were named and left alone.")
    click.echo(f"  The second run wrote {second.writes.total()} records, the last one {last.writes.total()}.")
    click.echo(
        f"  The edits of both sides met: {merges['server', 'updated']} activity and {merges['pim', 'updated']} items"
    )
    click.echo(f"  were changed, {merges['pim', 'created']} item was made.")
    click.echo(f"  Try: syncengine explain lunch@example.com --config {config.path}")
    return 0 if not second.writes and not last.writes else 1


def _prepare(home: Path) -> Config:
    calendar = home / "calendar"
    calendar.mkdir(parents=True, exist_ok=True)
    for name, body in OWN.items():
        kind = body.partition("\n")[0]
        text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\nBEGIN:{body}\nEND:{kind}\nEND:VCALENDAR\n"
        (calendar / name).write_bytes(text.replace("\n", "\r\n").encode())
    for name, content in _samples():
        (calendar / name).write_bytes(content)
    values = {"employee": ME, "generic_owner": GENERIC, "calendar": "calendar"}
    path = home / "config.toml"
    path.write_text(TEMPLATE.format(**values), encoding="utf-8")
    (home / "directory.json").write_text(DIRECTORY.format(**values), encoding="utf-8")
    config = load(path)
    _import(config, home / "directory.json")
    return config


def _samples() -> Iterator[tuple[str, bytes]]:
    """Items of many programs that the iCalendar library carries for its own tests: those that are one item with a UID
    nobody else uses, as in a calendar folder."""
    seen: set[bytes] = set()
    for sample in sorted(files("icalendar").joinpath("tests", "calendars").iterdir(), key=lambda f: f.name):
        content = sample.read_bytes() if sample.name.endswith(".ics") else b""
        uids = re.findall(rb"^UID:(.+?)\r?$", content, re.MULTILINE)
        if content.count(b"BEGIN:VEVENT") + content.count(b"BEGIN:VTODO") == 1 == len(uids) and uids[0] not in seen:
            seen.add(uids[0])
            yield sample.name, content


def _import(config: Config, file: Path) -> None:
    from syncengine import bootstrap
    from syncengine.core.directory_file import parse_directory

    store = bootstrap.open_store(config.server.url)
    try:
        with store.transaction(write=True):
            store.put_directory(parse_directory(file.read_text(encoding="utf-8"), str(file)))
    finally:
        store.close()


def _sync(config: Config, title: str) -> Any:
    from syncengine import bootstrap, render
    from syncengine.services.sync import Sync

    _title(title)
    with ExitStack() as stack:
        work = bootstrap.open_work(config, stack)
        report = Sync(work).run()
    text = render.report_text(report).splitlines()
    click.echo("\n".join(f"  {line}" for line in text[:16]) + ("\n  …" if len(text) > 16 else ""))
    return report


def _on_server(config: Config, act: Callable[[Callable[[str, dict[str, Any]], object]], object]) -> None:
    from syncengine import bootstrap
    from syncengine.services import activity_editing

    server = bootstrap.open_server(config)
    try:
        ids = {str(a["integration_id"]): a.id for a in server.activities()}
        act(lambda uid, values: activity_editing.edit(server, ids[uid], values, bootstrap.new_id))
    finally:
        server.close()


def _add(config: Config) -> None:
    from syncengine import bootstrap
    from syncengine.services import activity_editing

    visit = {
        "description": "Visit Acme",
        "display_in": "Calendar and Activities",
        "planned": "2026-03-04T10:00:00+01:00",
        "planned_completion": "2026-03-04T11:00:00+01:00",
    }
    server = bootstrap.open_server(config)
    try:
        activity_editing.create(server, visit, bootstrap.new_id)
    finally:
        server.close()


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode().replace(old, new.replace("\n", "\r\n"), 1)
    spare = path.with_suffix(".tmp")
    spare.write_bytes(text.encode())
    shutil.move(spare, path)


def _title(words: str) -> None:
    click.echo()
    click.secho(words, bold=True)
