"""`sync`, `status`, `explain`, `share`, `unshare`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncengine.cli.alarm import look_after_run
from syncengine.cli.output import (
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    read_config,
    say,
    wakes_agent,
)
from syncengine.cli.progress import Progress
from syncengine.errors import ConfigError, SideError, Stopped, SyncEngineError
from syncengine.model.issue import IssueState
from syncengine.model.report import RunState
from syncengine.times import system_clock

if TYPE_CHECKING:
    from syncengine.services.sharing import Picks

ITEMS_WAIT = 1
MOST_UNSENT = 1000
_STATUS_CODES = {"stopped": Stopped.exit_code, "failed": SideError.exit_code}


@click.command()
@config_option
@json_option
@click.option("--dry-run", is_flag=True, help="Print what would be done and why; change nothing.")
@click.option("--pim", "pims", multiple=True, help="Only this PIM; may be given several times.")
@click.option("--local-only", is_flag=True, help="Only carry up what changed here; write nothing into PIMs.")
@command
def sync(config_path: Path | None, as_json: bool, dry_run: bool, pims: tuple[str, ...], local_only: bool) -> int:
    """Bring PIM and activity server in step. A second run right after finds nothing to do."""
    from syncengine import bootstrap, render
    from syncengine.services.sync import Sync

    config = read_config(config_path)
    error: SyncEngineError | None = None
    with ExitStack() as stack:
        work = bootstrap.open_work(config, stack, chosen=pims or None, dry_run=dry_run)
        work.progress, work.local_only = stack.enter_context(Progress()), local_only
        try:
            Sync(work).run()
        except (Stopped, SideError) as e:
            error = e
        report = work.report
    if not dry_run:
        look_after_run(config)
    if as_json:
        print_json(render.report_json(report, error))
    else:
        say(render.report_text(report, colour=sys.stdout.isatty()))
    if error is not None:
        say(str(error), err=True)
        return error.exit_code
    if report.state is RunState.STOPPED:
        return Stopped.exit_code
    return ITEMS_WAIT if report.held or report.failed or report.deletions else 0


@click.command()
@config_option
@json_option
@command
def status(config_path: Path | None, as_json: bool) -> int:
    """Tell what the last runs did and what waits for somebody."""
    from syncengine import bootstrap, render, render_health
    from syncengine.services.sync import braking

    config = read_config(config_path)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        runs, issues = state.runs(5), state.issues()
        heard_of = [(i.scope, i.subject, i.problem) for i in issues if i.state is not IssueState.IGNORED]
        asking = braking.unanswered(state)
        shown = render.status_json(runs, state.counts(), state.held(), heard_of, asking)
        often = {pim.name: timedelta(minutes=pim.interval or config.agent.interval) for pim in config.pims}
        health = state.fact("health") or {}
        shown |= render_health.health_json(health, often, issues, runs, system_clock(), asking)
        failing = [i.subject for i in issues]
        shown |= render_health.unsent_json(state.dirty("", MOST_UNSENT), state.edits(), failing)
        folder = bootstrap.agent_folder(config)
        shown["agent"] = render.agent_json(folder.status(), running=folder.running())
    if as_json:
        print_json(shown)
    else:
        words = render.status_text(shown), render_health.health_text(shown), render.agent_text(shown["agent"])
        say("\n".join(words))
    if shown["asks"]:
        return Stopped.exit_code
    return _STATUS_CODES.get(shown["state"]) or (
        ITEMS_WAIT if shown["held"] or shown["failed"] or shown["deletions"] else 0
    )


@click.command()
@click.argument("uid")
@config_option
@json_option
@command
def explain(uid: str, config_path: Path | None, as_json: bool) -> int:
    """Tell all that is known about one item or activity: UID, activity id or file name."""
    from syncengine import bootstrap, render, render_health
    from syncengine.core.issues import is_about, is_called
    from syncengine.services.answers import remembered

    config = read_config(config_path)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        issues = state.issues()
        failed = [i for i in issues if is_called(i, uid)]
        href = uid.partition("/")[2]  # `sync` names items as pim/href
        found = state.find(uid) or (state.find(href) if href else [])
        if not found and (history := state.history(uid)):
            shown = [render.gone_json(uid, history, state.runs(50)) | render_health.issues_of(failed)]
        elif not found and failed:
            shown = [render.gone_json(uid, [], []) | render_health.issues_of(failed) | render_health.NOT_TAKEN_IN]
        elif not found:
            raise ConfigError(
                f"Nothing is known of {uid!r}.",
                where=str(config.path),
                fix='Give a UID, an activity id or a file name; new items are known after "syncengine sync".',
            )
        else:
            directory = state.directory()
            answers = remembered(state)
            shown = [
                render.explain_json(p, state.history(p.key), state.runs(50), directory, answers)
                | render_health.issues_of(i for i in issues if is_about(i, p))
                for p in found
            ]
    if as_json:
        print_json(shown)
    else:
        say("\n\n".join(f"{render.explain_text(one)}{render_health.issues_text(one)}" for one in shown))
    return 0


@click.command()
@click.argument("uid", metavar="KEY")
@config_option
@json_option
@click.option("--account", default="", help="Relate it to this account (id).")
@click.option("--opportunity", default="", help="Relate it to this opportunity (id).")
@click.option("--contact", "contacts", multiple=True, help="Relate it to this contact (id or address); repeatable.")
@click.option("--employee", "employees", multiple=True, help="Put this employee on the team; repeatable.")
@click.option("--suggest", is_flag=True, help="Only list what a message might be related to; change nothing.")
@command
@wakes_agent(lambda said: not said["suggest"])
def share(
    uid: str,
    config_path: Path | None,
    as_json: bool,
    account: str,
    opportunity: str,
    contacts: tuple[str, ...],
    employees: tuple[str, ...],
    suggest: bool,
) -> int:
    """Share an item with the server, by UID, Message-ID or file name; the next sync carries it up.

    What it is related to is added to what it is related to already. A message's recipients never change by it."""
    from syncengine.services.sharing import Picks

    if suggest:
        return _suggest(uid, config_path, as_json)
    picks = Picks(account, opportunity, contacts, employees)
    return _share(uid, config_path, as_json, picks=picks, shared=True)


@click.command()
@click.argument("uid", metavar="KEY")
@config_option
@json_option
@command
@wakes_agent()
def unshare(uid: str, config_path: Path | None, as_json: bool) -> int:
    """Stop sharing an item. It stays in the calendar, and is not linked again by itself."""
    return _share(uid, config_path, as_json, picks=None, shared=False)


def _share(uid: str, config_path: Path | None, as_json: bool, *, picks: Picks | None, shared: bool) -> int:
    from syncengine import bootstrap
    from syncengine.model.activity import Origin
    from syncengine.services.sharing import set_shared

    config = read_config(config_path)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        stack.enter_context(state.lock())
        proxies = set_shared(state, uid, shared=shared, picks=picks)
    word = "shared" if shared else "not shared any more"
    if as_json:
        print_json([{"key": p.key, "description": p.values.get("description"), "shared": shared} for p in proxies])
    else:
        print_table(["item", "subject", ""], [(p.key, p.values.get("description"), word) for p in proxies])
        for one in proxies:
            if shared and not one.has_item and one.origin is Origin.PIM:
                say(f'{one.key} was made in a calendar: put its entry back there ("syncengine explain" shows it).')
    return 0


def _suggest(uid: str, config_path: Path | None, as_json: bool) -> int:
    from syncengine import bootstrap
    from syncengine.services.sharing import suggest

    config = read_config(config_path)
    with ExitStack() as stack:
        state = bootstrap.open_state(config)
        stack.callback(state.close)
        found = suggest(state, uid, config.user.addresses)
    rows = [("contact", c.id, c.name) for c in found.contacts]
    rows += [("account", a.id, a.name) for a in found.accounts]
    rows += [("opportunity", o.id, o.name) for o in found.opportunities]
    if as_json:
        suggested = [{"kind": kind, "id": identity, "name": name} for kind, identity, name in rows]
        print_json({"suggested": suggested, "several_contacts": list(found.doubtful)})
        return 0
    print_table(["relate to", "id", "name"], rows)
    for address in found.doubtful:
        say(f"{address} is the address of several contacts; relate the right one by its id.")
    return 0
