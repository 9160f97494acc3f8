"""`syncengine`: the commands, each imported only when it is called, so that a run that finds nothing costs little."""

from __future__ import annotations

import importlib
from typing import Any

import click

COMMANDS = {
    "init": ("syncengine.cli.setup", "Write a first configuration, asking nothing that has a sensible default."),
    "check": ("syncengine.cli.setup", "Check configuration, mappings and both sides before anything is synchronized."),
    "demo": ("syncengine.cli.demo", "Show the main job on sample data, in a folder of its own."),
    "login": ("syncengine.cli.login", "Keep a password or token in the system keyring, after trying it."),
    "logout": ("syncengine.cli.login", "Delete a password or token from the system keyring."),
    "sync": ("syncengine.cli.sync", "Bring PIM and activity server in step."),
    "agent": ("syncengine.cli.agent", "Keep everything in step, at regular times and when something changes."),
    "sync-now": ("syncengine.cli.agent", "Ask the running agent for a run now."),
    "status": ("syncengine.cli.sync", "Tell what the last runs did and what waits for somebody."),
    "issues": ("syncengine.cli.issues", "List the items that failed, and when each is tried again."),
    "retry": ("syncengine.cli.issues", "Try failed items again with the next sync."),
    "ignore": ("syncengine.cli.issues", "Hear no more of failed items until they change."),
    "runs": ("syncengine.cli.issues", "List the runs that are kept, or what one of them did and why."),
    "explain": ("syncengine.cli.sync", "Tell all that is known about one item or activity, and why."),
    "confirm": ("syncengine.cli.confirm", "Answer a stopped run: accept its deletions, or put back what was deleted."),
    "undo": ("syncengine.cli.undo", "Put back what a run changed, as far as nothing has changed since."),
    "conflicts": ("syncengine.cli.conflicts", "List the conflicts that wait for you, and remembered answers."),
    "show": ("syncengine.cli.conflicts", "Show one conflict: what both sides say, and what would resolve it."),
    "resolve": ("syncengine.cli.conflicts", "Answer a conflict; the next sync carries it out."),
    "share": ("syncengine.cli.sync", "Share an item with the server."),
    "unshare": ("syncengine.cli.sync", "Stop sharing an item; it stays in the calendar."),
    "delete": ("syncengine.cli.client", "Delete an item here only; its activity stays."),
    "relate": ("syncengine.cli.client", "Relate people and companies to an activity, offline as well."),
    "remove": ("syncengine.cli.removal", "Remove what the product made and all that it keeps here."),
    "metrics": ("syncengine.cli.metrics", "Print figures for Prometheus."),
    "alarm": ("syncengine.cli.alarm", "Tell you when nothing succeeds for long, or something waits for you."),
    "profile": ("syncengine.cli.profile", "List the communication profiles, or try whether one works."),
    "activities": ("syncengine.cli.server", "List the activities of the server the user may see."),
    "activity": ("syncengine.cli.server", "Add, change or delete an activity, as a user of the server would."),
    "attachments": ("syncengine.cli.attachments", "List the attachments of an activity, and save them."),
    "attach": ("syncengine.cli.attachments", "Attach a file to an activity."),
    "detach": ("syncengine.cli.attachments", "Take an attachment off an activity."),
    "filter": ("syncengine.cli.records", "Count what the configured filter, or another, would give."),
    "lookup": ("syncengine.cli.records", "Find people, companies and opportunities by name; the closest comes first."),
    "record": ("syncengine.cli.records", "Look at, and edit, accounts, contacts and opportunities; offline as well."),
    "directory": ("syncengine.cli.server", "The people and companies activities relate to."),
    "token": ("syncengine.cli.server", "Issue a token with which one user may use the served activity server."),
    "serve": ("syncengine.cli.server", "Serve the activity database over HTTP."),
    "worker": ("syncengine.cli.worker", "Send what waits in the queue, and carry out other background work."),
    "outbound": ("syncengine.cli.outbound", "Emails, pages and changes that leave: ask, list, hold, cancel, retry."),
    "message-id": ("syncengine.cli.identity", "Tell the stable key of Message-IDs or calendar UIDs, one per line."),
    "recurrence": ("syncengine.cli.recurrence", "Tell which of the server's series recurrence rules become."),
    "scenario": ("syncengine.cli.scenario", "Run scenario files: stories of what must happen."),
}
"""Name → (module that defines it under the same name, `_` for `-`; one line for the overview)."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        import difflib

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'There is no command "{args[0]}".{hint}', ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="syncengine", prog_name="syncengine")
def main() -> None:
    """Keeps calendars, to-dos and mail in step with an activity server.

    Exit codes: 0 done; 1 done, but items failed or are held, or refused; 2 configuration, mapping or command line
    wrong, or it names what is not there; 3 stopped by a brake or waiting for confirmation; 4 a side cannot be reached,
    has vanished, or refuses the login.
    """


if __name__ == "__main__":
    main(prog_name="syncengine")
