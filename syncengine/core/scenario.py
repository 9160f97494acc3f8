"""Scenario files: TOML stories that a person who is no programmer can read and add to (CON-2).

    story = "A change on the server arrives in the calendar"
    requirements = ["ACT-6"]

    [[step]]
    user  = "one"
    saves = { uid = "lunch", summary = "Lunch", start = 2026-03-02T12:00:00+01:00, end = 2026-03-02T13:00:00+01:00 }

    [[step]]
    user  = "one"
    syncs = { server_created = 1 }

Each step is one user and one verb; `say` tells the reader why. What people do: `saves`, `changes`,
`changes_occurrence`, `restores_occurrence`, `deletes`, `renames`, `receives`, `answers`, `syncs`, `rehearses`,
`undoes`, `shares`, `unshares`, `confirms`, `reverts`, `replaces_calendar`, `disconnects`, `reconnects`,
`receives_mail`, `loses_mail`, `renumbers_mail`, `retries`, `ignores`; and `days_pass`, `minutes_pass`. With
their client's own records, without the server: `adds_offline`, `sets_offline`, `deletes_offline`, `relates`,
`deletes_here` (the item alone), `removes_product`. On the server: `adds`, `sets`, `attaches`, `detaches`, `removes`,
`imports`. What must be true: `sees`, `sees_nothing_of`, `server_has`, `server_has_nothing_of`, `server_count`, `holds`,
`explains`, `knows`, `has_mail`, `suggests`, `has_issue`. About records: `chooses`, `edits_record`, `undoes_edit`,
`keeps_edit`, `removes_record`, `pins`, and `finds`, `counts`, `has_record`, `has_no_record`, `has_under` to check.
About conflicts: `resolves`, `forgets_answer`, `edits_mapping` (by an admin, as `mapping_edits`), and `copies` to check.
About workflow policies: `monitors`, `carries_out`, `restarts_monitor`, `edits_policies`, `says_policy`, `replays`.

* `saves`: a new item. `uid`, `kind` (event or todo), then properties as in RFC 5545, `start`, `end`, `percent` and
  `body` in short; `lines`: whole content lines; or everything as `text`. `changes`: the same for an item that is
  there, `line = [old, new]` for one content line. `files` of both: the attachments, each with a `name` and `content`,
  `size` or `link`; `attaches` and `detaches` do the same on the server, one by one. An item made from an activity
  goes by the activity's name.
* `changes_occurrence`: one occurrence of a series, by its original start `of`; `later = true` for it and all that
  follow; `restores_occurrence` takes that back. `days_pass = 30`: the next steps happen that many days later.
* `retries = "words"`, `ignores = "words"`: the failed item whose place or problem holds these words. `has_issue`: one
  is listed, `{ where = "words", state = "parked", tries = 2, what = "words" }`; with `gone = true` it is not.
* `receives`: an invitation, or its update, arrives in the calendar: a copy of the item of the user `from`, with the
  answer given before. `answers = { uid = "…", with = "DECLINED" }`: the user answers it (PARTSTAT); the organizer
  hears of it in `tells = "one"`, the user with that name.
* `strand = "two"` beside a verb: steps that follow each other and belong to different strands may happen in any
  order, each strand's own steps in theirs; the story is played in every one of them. `syncs = "somehow"`: how much
  there is to do depends on the order.
* `adds`: a new activity, under a `name` the story calls it by; an item's activity goes by the item's UID. `refused`
  in `adds`, `sets`, `removes`: the server says no, in these words.
* `adds_offline`, `sets_offline`, `deletes_offline`: the same on the client's own records. `relates`: `contacts`,
  `employees`, `account`, `opportunity`, `no_contacts`, `no_employees` of an `activity`; `invite`: addresses.
* `removes_product`: everything the product made and keeps here goes, and it comes back as new; `deleted` and `unsent`
  count. `knows`: what the client knows of an `activity`.
* `syncs`: one run; a second one right after it would have nothing to do. Numbers it does not name must be zero
  (`unchanged`, `held`, `failed` and `not_shareable` only count when named). `stopped`: words of the reason the run
  ended early; `waiting`: how many deletions wait for a person while the rest was done. `rehearses`: the same as a dry
  run.
* `undoes`: the last run that wrote something is undone, or the one `ago` such runs before it, or (`undoing = true`) the
  last undoing; `restored` and `not_restored` count, `says` is words of what was put back or why not. Undoing once more
  puts nothing back, and a run right after has nothing to do; `pending = true`: it has, as things were changed since.
* `receives_mail`: a message comes into the user's mailbox (or into what they sent): `id`, `from`, `to`, `cc`, `bcc`,
  `subject`, `date`, `importance`, `sensitivity`, `body` or `html`, `attach` (names of files). `loses_mail` takes it
  away, `renumbers_mail = true` is a mail server that numbers anew, `has_mail` says it is there, `suggests` what
  it might be related to. `shares` may relate: `{ uid, account, opportunity, contacts, employees }`.
* `syncs = { notes = "words" }`: what a run tells beside its counts; `server_has = { files = [...] }`: attachments.
* `confirms = true`: a person accepts what the last run that asked was about; `reverts`: takes it back, `how` it is said
  to be. `replaces_calendar = [{ … }, …]`: another calendar, with these items, answers under the same address.
* `resolves`: a person answers the conflict of `uid` or `activity`, as `syncengine resolve` does: `take` (`server`,
  `pim`, `FIELD=server`, …, or several), `set` (`FIELD=VALUE`), `keep_both`, `always` (`item`, `field`, `type`).
  `forgets_answer` takes a remembered answer back. `copies`: the calendar has a copy with these values, found by its
  `summary`, `without` these properties.
* `disconnects = "server"` (or `"calendar"`, `"mailbox"`): it does not answer; with `after writing`, it does what it is
  told and the answer is lost. `reconnects = true` ends it.
* Records go by `type` and `id`. `chooses = { preset, only }`: what the user works with from now on, as in the
  configuration; `counts`: how much a choice would give, per type [complete, incomplete]. `has_under`: the activities
  kept on the client under a record, `complete` and `incomplete` by subject, `without` these fields.
* Workflow policies: the story gives them as `policies`, in XML as `mappings/policies.xsd` has it. `monitors`: every
  group is run, and `asks` for just these requests, in order: an `email` (its addresses), `page` (an employee) or
  `change` (an activity by its name, another record by its id, or "new"), and of each what is to be checked: `policy`,
  `subject`, `text`, `html`, `digits`, `set`, `profile`, `key`, `priority`. `stopped`: words of why policies were
  stopped; `faults`: words of what could not be asked for. `batch = true`: batch policies look at all records.
  `killed = true`: it dies right before the end. `carries_out`: the changes asked for are made. `restarts_monitor`: it
  begins anew. `edits_policies`: an admin replaces texts of the file. `says_policy`: what is known of a record and a
  `policy`: `matches`, `holds` (of each condition), `waiting`, `acts`, `last_acted` (moments), `because`. `replays`:
  what the policies would have asked for in the `last` so many minutes.
* `sees`: an item with these values, these `lines`, and `without` these properties.

`[users.NAME]` says what is special about a user: `share_new`, `share_existing` (lists of kinds), `addresses`, `zone`;
`employee` and `calendar` make a second client of the same person, with the same calendar; `mails_attendees = true`:
the calendar's server mails attendees whatever is written; `scheduling`, `save_mail`, `most_bytes`, `brake`,
`visibility` (`preset`, `only`) as in the configuration.
`mapping` names the mapping file, `mapping_edits = [["old", "new"]]` what an admin has changed in its text.
Every story ends with runs of every user that must come to have nothing to do.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from syncengine.errors import ConfigError
from syncengine.model.scenario import Scenario, Step

VERBS = (
    "saves", "changes", "changes_occurrence", "restores_occurrence", "deletes", "renames", "receives", "answers",
    "receives_mail", "loses_mail", "renumbers_mail", "has_mail", "suggests",
    "syncs", "rehearses", "undoes", "shares", "unshares", "confirms", "reverts", "replaces_calendar",
    "disconnects", "reconnects", "days_pass", "minutes_pass", "retries", "ignores", "has_issue",
    "adds", "sets", "attaches", "detaches", "removes", "imports",
    "resolves", "copies", "forgets_answer", "edits_mapping",
    "adds_offline", "sets_offline", "deletes_offline", "relates", "deletes_here", "removes_product", "knows",
    "sees", "sees_nothing_of", "server_has", "server_has_nothing_of", "server_count", "holds", "explains",
    "chooses", "edits_record", "undoes_edit", "keeps_edit", "removes_record", "pins",
    "finds", "counts", "has_record", "has_no_record", "has_under",
    "monitors", "carries_out", "restarts_monitor", "edits_policies", "says_policy", "replays",
)  # fmt: skip
_A_TABLE, _WORDS = "a table, { … }", "a text, or a list of texts"
_SHAPES: dict[str, tuple[str, tuple[type, ...]]] = {
    **dict.fromkeys(VERBS, (_A_TABLE, (dict,))),
    **dict.fromkeys(
        (
            "sees_nothing_of",
            "server_has_nothing_of",
            "deletes",
            "deletes_offline",
            "deletes_here",
            "loses_mail",
            "has_mail",
        ),
        (_WORDS, (str, list)),
    ),
    "syncs": (f'{_A_TABLE}, or "somehow"', (dict, str)),
    **dict.fromkeys(("unshares", "disconnects", "retries", "ignores", "forgets_answer"), ("a text", (str,))),
    "shares": (f"a text, or {_A_TABLE}", (str, dict)),
    **dict.fromkeys(("reconnects", "renumbers_mail", "carries_out", "restarts_monitor"), ("true", (bool,))),
    "confirms": (f"true, or {_A_TABLE}", (bool, dict)),
    "removes": (f"{_WORDS}, or {_A_TABLE}", (str, list, dict)),
    "reverts": (f"true, or {_A_TABLE}", (bool, dict)),
    "replaces_calendar": ("a list of tables", (list,)),
    **dict.fromkeys(("edits_mapping", "edits_policies"), ('[["old", "new"], …]', (list,))),
    "server_count": ("a number", (int,)),
    **dict.fromkeys(("days_pass", "minutes_pass"), ("a number", (int,))),
}
_NAMES = ("story", "requirements", "step", "users", "directory", "mapping", "mapping_edits", "policies")
_SETTINGS = (
    "share_new", "share_existing", "addresses", "zone", "employee", "calendar", "mails_attendees", "scheduling",
    "save_mail", "most_bytes", "visibility", "brake",
)  # fmt: skip
COUNTS = (
    "pim_created", "pim_updated", "pim_deleted", "server_created", "server_updated", "server_deleted", "linked",
)  # fmt: skip
OPTIONAL_COUNTS = ("unchanged", "held", "failed", "not_shareable")
_RUN = (*COUNTS, *OPTIONAL_COUNTS, "stopped", "notes", "waiting")


def parse_scenario(text: str, file: str) -> Scenario:
    """Raises ConfigError naming the step and the nearest valid word."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"The scenario is not TOML: {e}.", where=file) from e
    faults = [_unknown(name, _NAMES) for name in raw if name not in _NAMES]
    faults += [
        f"users.{user}: {_unknown(name, _SETTINGS)}"
        for user, settings in raw.get("users", {}).items()
        for name in settings
        if name not in _SETTINGS
    ]
    if not isinstance(raw.get("story"), str):
        faults.append("a scenario begins with a story: one sentence")
    steps = [_step(number, one, faults) for number, one in enumerate(raw.get("step", []), 1)]
    if not steps:
        faults.append("a scenario needs at least one [[step]]")
    if faults:
        raise ConfigError("The scenario cannot be run:\n" + "\n".join(f"  - {f}" for f in faults), where=file)
    settings = raw.get("users", {})
    users = tuple(dict.fromkeys([*settings, *(s.user for s in steps if s and s.user)]))
    return Scenario(
        file,
        raw["story"],
        tuple(raw.get("requirements", ())),
        tuple(s for s in steps if s),
        users or ("one",),
        settings,
        raw.get("directory"),
        raw.get("mapping", "default"),
        tuple((str(old), str(new)) for old, new in raw.get("mapping_edits", ())),
        raw.get("policies", ""),
    )


def _step(number: int, raw: dict[str, Any], faults: list[str]) -> Step | None:
    verbs = [name for name in raw if name not in ("user", "say", "strand")]
    if len(verbs) != 1:
        faults.append(f"step {number}: one verb is needed, there are {len(verbs)} ({', '.join(verbs)})")
        return None
    if verbs[0] not in VERBS:
        faults.append(f"step {number}: {_unknown(verbs[0], VERBS)}")
        return None
    details: Any = raw[verbs[0]]
    shape, types = _SHAPES[verbs[0]]
    if not isinstance(details, types):
        faults.append(f"step {number}: {verbs[0]} is followed by {shape}")
        return None
    if verbs[0] in ("syncs", "rehearses") and isinstance(details, dict):
        faults += [f"step {number}: {_unknown(name, _RUN)}" for name in raw[verbs[0]] if name not in _RUN]
    if details == "somehow" and verbs[0] != "syncs":
        faults.append(f"step {number}: only a run can happen somehow")
    return Step(number, raw.get("user", ""), verbs[0], details, raw.get("say", ""), raw.get("strand", ""))


def orders(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """The steps in every order their strands allow, the one they are written in first."""
    at = next((i for i, s in enumerate(steps) if s.strand), len(steps))
    end = next((i for i in range(at, len(steps)) if not steps[i].strand), len(steps))
    if at == end:
        yield tuple(steps)
        return
    strands: dict[str, list[Step]] = {}
    for step in steps[at:end]:
        strands.setdefault(step.strand, []).append(step)
    rest = list(orders(steps[end:]))
    for middle in _interleaved(tuple(tuple(s) for s in strands.values())):
        for after in rest:
            yield (*steps[:at], *middle, *after)


def _interleaved(strands: tuple[tuple[Step, ...], ...]) -> Iterator[tuple[Step, ...]]:
    if not any(strands):
        yield ()
    for n, strand in enumerate(strands):
        if strand:
            for after in _interleaved((*strands[:n], strand[1:], *strands[n + 1 :])):
                yield (strand[0], *after)


def _unknown(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f'"{word}" is not known; ' + (f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}")
