"""`policies`: check, list, explain, replay and run the workflow policies of an activity server (POL-1)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli.output import command, config_option, json_option, print_json, print_table, read_config, say, tell
from syncengine.errors import ConfigError
from syncengine.model.directory import RecordType
from syncengine.model.policies import TYPES, Policy
from syncengine.times import iso, parse_moment, system_clock

if TYPE_CHECKING:
    from syncengine.services.policies.monitor import Ran
    from syncengine.services.policies.telling import WouldHave

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@click.group()
def policies() -> None:
    """Workflow policies: conditions on records, and what is asked for once they are met."""


@policies.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
@command
def check(file: Path | None, config_path: Path | None, *, as_json: bool) -> int:
    """Read FILE, or the configured file, and name every mistake; changes nothing."""
    from syncengine.bootstrap import policies as parts

    found = parts.read_policies(file) if file else parts.configured_policies(read_config(config_path))
    groups = sorted({policy.group for policy in found})
    words = f"{len(found)} policies in {len(groups)} groups: {', '.join(groups)}" if found else "no policies"
    tell({"policies": [policy.name for policy in found], "groups": groups}, words, as_json=as_json)
    return 0


@policies.command("list")
@config_option
@json_option
@command
def list_policies(config_path: Path | None, *, as_json: bool) -> int:
    """List the policies: how many records wait, when each acted last, and which were stopped."""
    from syncengine.bootstrap import policies as parts
    from syncengine.services.policies.telling import listed

    with ExitStack() as stack:
        config = read_config(config_path)
        found = parts.configured_policies(config)
        rows = listed(parts.open_policy_store(config, stack), found)
    if as_json:
        print_json(rows)
        return 0
    shown = ("name", "group", "record", "begun", "waiting", "acted", "last_acted", "stopped", "faults")
    print_table([name.replace("_", " ") for name in shown], [[row[name] for name in shown] for row in rows])
    for row in rows:
        for what, why in (("stopped", row["why_stopped"]), ("could not ask", row["last_fault"])):
            if why:
                say(f"{row['name']}: {what}: {why}")
    return 0


@policies.command("explain")
@click.argument("kind", metavar="TYPE", type=click.Choice([kind.value for kind in TYPES]))
@click.argument("record_id", metavar="ID")
@config_option
@json_option
@command
def explain(kind: str, record_id: str, config_path: Path | None, *, as_json: bool) -> int:
    """Tell what each policy says of a record now: every condition with its value, since when it waits, when it acts."""
    from syncengine.bootstrap import policies as parts
    from syncengine.services.policies.telling import explained

    with ExitStack() as stack:
        config = read_config(config_path)
        found, store = parts.configured_policies(config), parts.open_policy_store(config, stack)
        rows = explained(store, found, (RecordType(kind), record_id), system_clock())
    if as_json:
        print_json(rows)
        return 0
    for row in rows:
        say(f"{row['policy']}: {'matches' if row['matches'] else 'does not match'}; {row['because']}")
        for one in row["conditions"]:
            say(f"  {'yes' if one['holds'] else 'no '}  {_condition_words(one)}")
        for name in ("waiting_since", "last_acted", "quiet_until"):
            if row[name]:
                say(f"  {name.replace('_', ' ')} {row[name]}")
    if not rows:
        say(f"No policy is about the record type {kind}.")
    return 0


def _condition_words(one: dict[str, Any]) -> str:
    what = " ".join(p for p in ("old" if one["of"] == "old" else "", one["field"], one["comparison"]) if p)
    wanted = f" {', '.join(one['values'])}" if one["values"] else ""
    if one["last_change"]:
        return f"{what}{wanted} (its last change, {one['last_change']})"
    return f"{what}{wanted} (it is {_shown(one['value'])})" if one["field"] else f"{what} (no change of it is kept)"


def _shown(value: Any) -> str:
    return "empty" if value is None else repr(value)


@policies.command("replay")
@click.option("--since", metavar="MOMENT", help="From this moment on, such as 2026-03-02T09:00:00+01:00.")
@click.option("--last", metavar="SPAN", help="The last so much, such as 7d, 12h or 90min.")
@click.option("--policy", "names", metavar="NAME", multiple=True, help="Only this policy; may be repeated.")
@config_option
@json_option
@command
def replay(
    since: str | None, last: str | None, names: tuple[str, ...], config_path: Path | None, *, as_json: bool
) -> int:
    """Tell what the policies would have asked for; writes nothing and asks for nothing.

    As far back as changes are kept: from the first run of a group, 30 days at most."""
    from syncengine.bootstrap import policies as parts
    from syncengine.bootstrap.senders_email import dates_of
    from syncengine.services.policies.telling import replayed

    now = system_clock()
    begin = _begin(since, last, now)
    with ExitStack() as stack:
        config = read_config(config_path)
        found = _chosen(parts.configured_policies(config), names)
        store = parts.open_policy_store(config, stack)
        would, first = replayed(store, found, begin, now, dates_of(config))
    if as_json:
        print_json({"since": iso(begin), "kept_since": iso(first) if first else None, "would": _would_json(would)})
        return 0
    for one in would:
        _say_would(one)
    kept = f"changes are kept since {iso(first)}" if first else "no change is kept since then"
    say(f"{len(would)} times since {iso(begin)}; {kept}. Nothing was asked for.")
    return 0


def _begin(since: str | None, last: str | None, now: datetime) -> datetime:
    if (since is None) is (last is None):
        raise ConfigError("Since when is not said, or twice.", fix="Give either --since MOMENT or --last SPAN.")
    if last is not None:
        match = re.fullmatch(r"([0-9]{1,7}) ?(s|min|h|d)", last.strip())
        if match is None:
            raise ConfigError(f"{last!r} is no span of time.", fix="Write one such as 7d, 12h or 90min.")
        return now - timedelta(seconds=min(int(match[1]) * _UNITS[match[2]], 86400 * 3650))
    try:
        found = parse_moment(since or "")
    except ValueError:
        found = now.replace(tzinfo=None)
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise ConfigError(f"{since!r} is no moment.", fix="Write one such as 2026-03-02T09:00:00+01:00.")
    return found


def _chosen(found: Sequence[Policy], names: Sequence[str]) -> list[Policy]:
    known = [policy.name for policy in found]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            fix = f'Did you mean "{near[0]}"?' if near else f"Known are {', '.join(known)}."
            raise ConfigError(f"There is no policy {name!r}.", fix=fix)
    return [policy for policy in found if not names or policy.name in names]


def _would_json(would: Sequence[WouldHave]) -> list[dict[str, Any]]:
    from syncengine.services.policies.telling import request_words

    return [
        {
            "at": iso(one.occasion.at),
            "policy": one.occasion.policy.name,
            "records": list(one.occasion.waits),
            "because": one.occasion.because,
            "requests": [{"kind": r.kind.value, "what": request_words(r)} for r in one.requests],
            "faults": list(one.faults),
        }
        for one in would
    ]


def _say_would(one: WouldHave) -> None:
    from syncengine.services.policies.telling import request_words

    policy, records = one.occasion.policy, ", ".join(one.occasion.waits)
    say(f"{iso(one.occasion.at)}  {policy.name}: {policy.type} {records}: {one.occasion.because}")
    for request in one.requests:
        say(f"  {request_words(request)}")
    for fault in one.faults:
        say(f"  could not ask: {fault}")


@policies.command("run")
@click.argument("group", required=False)
@click.option("--batch", is_flag=True, help="Batch policies look at every record as well.")
@config_option
@json_option
@command
def run(group: str | None, config_path: Path | None, *, batch: bool, as_json: bool) -> int:
    """Let the policies of GROUP, or of all groups, act once by hand."""
    from syncengine.bootstrap import policies as parts

    with ExitStack() as stack:
        config = read_config(config_path)
        monitor = parts.open_monitor(config, stack)
        if group is not None and group not in monitor.groups:
            raise ConfigError(f"There is no group {group!r}.", fix=f"Known are {', '.join(monitor.groups) or 'none'}.")
        ran = {name: monitor.run(name, batch=batch) for name in ([group] if group else monitor.groups)}
        monitor.tidy()
    if as_json:
        print_json({name: _ran_json(one) for name, one in ran.items()})
    else:
        for name, one in ran.items():
            _say_ran(name, one)
    return 1 if any(one.faults or one.loops for one in ran.values()) else 0


def _ran_json(ran: Ran) -> dict[str, Any]:
    from syncengine.services.policies.telling import request_words

    return {
        "changes": ran.changes,
        "occasions": ran.occasions,
        "requests": [{"id": r.id, "kind": r.kind.value, "what": request_words(r)} for r in ran.asked],
        "faults": ran.faults,
        "stopped": [
            {"policy": loop.policy, "record": loop.record, "at": iso(loop.at), "because": loop.because}
            for loop in ran.loops
        ],
    }


def _say_ran(name: str, ran: Ran) -> None:
    from syncengine.services.policies.telling import request_words

    say(f"{name}: {ran.changes} changes read, {ran.occasions} occasions, {len(ran.asked)} requests")
    for request in ran.asked:
        say(f"  {request.id}  {request_words(request)}")
    for fault in ran.faults:
        say(f"  could not ask: {fault}")
    for loop in ran.loops:
        say(f"  {loop.policy} was stopped for {loop.record}: {loop.because}")
