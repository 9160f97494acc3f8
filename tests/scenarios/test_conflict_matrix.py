"""Every policy meets every kind of conflict, for entries and to-dos, as stories (CON-1, CON-2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.bootstrap.scenario import play_scenario

KINDS = {
    "event": "start = 2026-03-02T12:00:00Z, end = 2026-03-02T13:00:00Z",
    "todo": 'kind = "todo", start = 2026-03-02T12:00:00Z',
}
ONE = '[[step]]\nuser = "one"\n'


def story(*steps: str, rule: str = "", users: str = "") -> str:
    edits = (
        f"""mapping_edits = [['<conflicts default="ask" loser="discard">', '<conflicts>{rule}']]\n""" if rule else ""
    )
    return f'story = "A story"\n{edits}{users}' + "".join(ONE + s + "\n" for s in steps)


def play(tmp_path: Path, text: str) -> None:
    file = tmp_path / "story.toml"
    file.write_text(text, encoding="utf-8")
    assert play_scenario(file).failure == ""


def item(kind: str, **extra: str) -> str:
    more = "".join(f', {n} = "{v}"' for n, v in extra.items())
    return f'saves = {{ uid = "lunch", summary = "Lunch", {KINDS[kind]}{more} }}'


def changed(kind: str, *, pim_first: bool = True) -> tuple[str, ...]:
    mine = 'changes = { uid = "lunch", location = "Bar" }'
    theirs = 'sets = { activity = "lunch", location = "Hall" }'
    both = (mine, theirs) if pim_first else (theirs, mine)
    return (item(kind, location="Canteen"), "syncs = { server_created = 1 }", *both)


def ends(value: str) -> tuple[str, str]:
    return (
        f'sees = {{ uid = "lunch", location = "{value}" }}',
        f'server_has = {{ integration_id = "lunch", location = "{value}" }}',
    )


HISTORY = {
    "Hall": """explains = { uid = "lunch", words = ["location was 'Bar'"] }""",
    "Bar": """explains = { uid = "lunch", words = ["location was 'Hall'"] }""",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("policy", "pim_first", "winner"),
    [("server", True, "Hall"), ("pim", True, "Bar"), ("newest", True, "Hall"), ("newest", False, "Bar")],
)
def test_a_change_on_both_sides_is_settled_by_its_rule(
    tmp_path: Path, kind: str, policy: str, winner: str, *, pim_first: bool
) -> None:
    count = "pim_updated" if winner == "Hall" else "server_updated"
    steps = (*changed(kind, pim_first=pim_first), f"syncs = {{ {count} = 1 }}", *ends(winner), HISTORY[winner])
    play(tmp_path, story(*steps, rule=f'<rule field="location" policy="{policy}"/>'))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("policy", "copied"), [("server", "Bar"), ("pim", "Hall")])
def test_the_loser_is_kept_as_a_copy(tmp_path: Path, kind: str, policy: str, copied: str) -> None:
    count = "pim_updated" if policy == "server" else "server_updated"
    steps = (
        *changed(kind),
        f"syncs = {{ {count} = 1, pim_created = 1 }}",
        *ends("Hall" if copied == "Bar" else "Bar"),
        f'copies = {{ summary = "Copy: Lunch", location = "{copied}", without = ["ATTENDEE", "ORGANIZER"] }}',
        "server_count = 1",
        "syncs = {}",
    )
    play(tmp_path, story(*steps, rule=f'<rule policy="{policy}" loser="copy"/>'))


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_a_text_that_do_not_overlap_are_merged(tmp_path: Path, kind: str) -> None:
    steps = (
        item(kind, body="one\\ntwo\\nthree\\n"),
        "syncs = { server_created = 1 }",
        'changes = { uid = "lunch", body = "ONE\\ntwo\\nthree\\n" }',
        'sets = { activity = "lunch", comments = "one\\ntwo\\nTHREE\\n" }',
        "syncs = { server_updated = 1, pim_updated = 1 }",
        'server_has = { integration_id = "lunch", comments = "ONE\\ntwo\\nTHREE\\n" }',
        'sees = { uid = "lunch", body = "ONE\\ntwo\\nTHREE\\n" }',
    )
    play(tmp_path, story(*steps, rule='<rule policy="merge"/>'))


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_a_text_that_overlap_are_asked(tmp_path: Path, kind: str) -> None:
    steps = (*changed(kind), "syncs = { held = 1 }", 'holds = { uid = "lunch", field = "location" }')
    play(tmp_path, story(*steps, rule='<rule policy="merge"/>'))


OTHER = 'saves = { uid = "other", summary = "Other", start = 2026-03-03T12:00:00Z, end = 2026-03-03T13:00:00Z }'
GONE_HERE = ('deletes = "lunch"', 'sets = { activity = "lunch", location = "Hall" }')
GONE_THERE = ('changes = { uid = "lunch", location = "Bar" }', 'removes = "lunch"')
BACK = ('sees = { uid = "lunch", location = "Hall" }', 'server_has = { integration_id = "lunch", location = "Hall" }')
ENDS = {
    ("here", "server"): ("syncs = { pim_created = 1, pim_updated = 1 }", *BACK),
    ("here", "pim"): ("syncs = { server_deleted = 1 }", 'server_has_nothing_of = "lunch"'),
    ("there", "server"): ("syncs = { held = 0 }", "server_count = 1", 'sees = { uid = "lunch", location = "Bar" }'),
    ("there", "pim"): ("syncs = { server_created = 1 }", *ends("Bar")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("where", "policy"), ENDS)
def test_a_deletion_against_a_change_is_settled_by_a_rule_that_says_so(
    tmp_path: Path, kind: str, where: str, policy: str
) -> None:
    happens = GONE_HERE if where == "here" else GONE_THERE
    steps = (item(kind), OTHER, "syncs = { server_created = 2 }", *happens, *ENDS[where, policy])
    play(tmp_path, story(*steps, rule=f'<rule conflict="delete" policy="{policy}"/>'))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("where", "side"), ENDS)
def test_a_deletion_against_a_change_is_answered_by_hand(tmp_path: Path, kind: str, where: str, side: str) -> None:
    happens = GONE_HERE if where == "here" else GONE_THERE
    asked = ("syncs = { held = 1 }", f'resolves = {{ uid = "lunch", take = "{side}" }}')
    play(tmp_path, story(item(kind), OTHER, "syncs = { server_created = 2 }", *happens, *asked, *ENDS[where, side]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["server", "pim", "newest"])
def test_no_rule_about_changes_settles_a_deletion(tmp_path: Path, kind: str, policy: str) -> None:
    steps = (item(kind), OTHER, "syncs = { server_created = 2 }", *GONE_HERE, "syncs = { held = 1 }")
    play(tmp_path, story(*steps, rule=f'<rule policy="{policy}"/>'))


LAPTOP = '[users.one]\n[users.laptop]\nemployee = "one"\n'


def met(*steps: str, rule: str = "") -> str:
    """The same entry was there on both sides before they met, with another location."""
    before = (item("event", location="Canteen"), "syncs = { server_created = 1 }")
    there = item("event", location="Garden")
    text = story(*before, rule=rule, users=LAPTOP)
    return text + "".join(f'[[step]]\nuser = "laptop"\n{s}\n' for s in (there, *steps))


@pytest.mark.parametrize(("policy", "value"), [("server", "Canteen"), ("pim", "Garden")])
def test_a_duplicate_is_settled_by_a_rule_about_duplicates(tmp_path: Path, policy: str, value: str) -> None:
    count = "pim_updated" if policy == "server" else "server_updated"
    rule = f'<rule conflict="duplicate" policy="{policy}"/>'
    play(tmp_path, met(f"syncs = {{ linked = 1, {count} = 1 }}", *ends(value), rule=rule))


def test_no_rule_about_changes_settles_a_duplicate(tmp_path: Path) -> None:
    play(tmp_path, met("syncs = { linked = 1, held = 1 }", rule='<rule policy="server"/>'))


def test_of_a_duplicate_with_the_same_id_both_are_kept_by_a_copy(tmp_path: Path) -> None:
    asked = ("syncs = { linked = 1, held = 1 }", 'resolves = { uid = "lunch", keep_both = true }')
    copy = 'copies = { summary = "Copy: Lunch", location = "Garden" }'
    play(
        tmp_path,
        met(*asked, "syncs = { pim_updated = 1, pim_created = 1 }", copy, *ends("Canteen"), "server_count = 1"),
    )


LOOKS_ALIKE = (
    'adds = { name = "visit", description = "Lunch", display_in = "Calendar and Activities", location = "Hall", '
    "planned = 2026-03-02T12:00:00Z, planned_completion = 2026-03-02T13:00:00Z }"
)


def test_two_that_only_look_alike_are_two_again_and_stay_so(tmp_path: Path) -> None:
    steps = (
        LOOKS_ALIKE,
        item("event", location="Bar"),
        "syncs = { linked = 1, held = 1 }",
        'server_has = { name = "visit", location = "Hall", integration_id = "" }',
        'resolves = { uid = "lunch", keep_both = true }',
        "syncs = { server_created = 1, pim_created = 1 }",
        "server_count = 2",
        'sees = { uid = "lunch", location = "Bar" }',
        'sees = { activity = "visit", location = "Hall" }',
        'sets = { activity = "visit", location = "Foyer" }',
        "syncs = { pim_updated = 1 }",
        'sees = { uid = "lunch", location = "Bar" }',
    )
    play(tmp_path, story(*steps))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('take = "server"', "Hall"),
        ('take = "pim"', "Bar"),
        ('take = "location=server"', "Hall"),
        ('take = "location=pim"', "Bar"),
        ('set = "location=Foyer"', "Foyer"),
    ],
)
def test_a_person_answers(tmp_path: Path, kind: str, answer: str, value: str) -> None:
    counts = {"Hall": "pim_updated = 1", "Bar": "server_updated = 1", "Foyer": "pim_updated = 1, server_updated = 1"}
    steps = (
        *changed(kind),
        "syncs = { held = 1 }",
        f'resolves = {{ uid = "lunch", {answer} }}',
        f"syncs = {{ {counts[value]}, held = 0 }}",
        *ends(value),
        *(HISTORY[v] for v in HISTORY if v == value),
    )
    play(tmp_path, story(*steps))


@pytest.mark.parametrize("scope", ["item", "field", "type"])
def test_an_answer_is_remembered_and_goes_before_the_mapping(tmp_path: Path, scope: str) -> None:
    again = ('changes = { uid = "lunch", location = "Cellar" }', 'sets = { activity = "lunch", location = "Roof" }')
    steps = (
        *changed("event"),
        "syncs = { held = 1 }",
        f'resolves = {{ uid = "lunch", take = "pim", always = "{scope}" }}',
        "syncs = { server_updated = 1 }",
        *again,
        "syncs = { server_updated = 1 }",
        *ends("Cellar"),
        'forgets_answer = "1"',
        'changes = { uid = "lunch", location = "Attic" }',
        'sets = { activity = "lunch", location = "Tower" }',
        "syncs = { held = 1 }",
    )
    play(tmp_path, story(*steps))


SERIES = (
    'saves = { uid = "lunch", summary = "Lunch", start = 2026-03-02T12:00:00Z, end = 2026-03-02T13:00:00Z, '
    'lines = ["RRULE:FREQ=WEEKLY;COUNT=4"] }'
)


@pytest.mark.parametrize(("side", "count"), [("server", "pim_updated"), ("pim", "server_updated")])
def test_rule_against_rule_is_one_conflict(tmp_path: Path, side: str, count: str) -> None:
    steps = (
        SERIES,
        "syncs = { server_created = 1 }",
        'changes = { uid = "lunch", line = ["RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=DAILY;COUNT=3"] }',
        'sets = { activity = "lunch", repeating_expires = 2026-04-06 }',
        "syncs = { held = 1 }",
        'holds = { uid = "lunch", field = "recurrence" }',
        f'resolves = {{ uid = "lunch", take = "{side}" }}',
        f"syncs = {{ {count} = 1, held = 0 }}",
    )
    play(tmp_path, story(*steps))


@pytest.mark.parametrize("kind", KINDS)
def test_both_values_of_a_field_are_kept_by_a_copy(tmp_path: Path, kind: str) -> None:
    steps = (
        *changed(kind),
        "syncs = { held = 1 }",
        'resolves = { uid = "lunch", keep_both = true }',
        "syncs = { pim_updated = 1, pim_created = 1, held = 0 }",
        *ends("Hall"),
        'copies = { summary = "Copy: Lunch", location = "Bar", without = ["ATTENDEE", "ORGANIZER"] }',
        "server_count = 1",
    )
    play(tmp_path, story(*steps))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_deletion_takes_away_is_kept_as_a_copy(tmp_path: Path, kind: str) -> None:
    steps = (
        item(kind),
        OTHER,
        "syncs = { server_created = 2 }",
        *GONE_HERE,
        "syncs = { server_deleted = 1, pim_created = 1 }",
        'server_has_nothing_of = "lunch"',
        'sees_nothing_of = "lunch"',
        'copies = { summary = "Copy: Lunch", location = "Hall" }',
        "syncs = {}",
    )
    play(tmp_path, story(*steps, rule='<rule conflict="delete" policy="pim" loser="copy"/>'))


@pytest.mark.parametrize(("policy", "count"), [("pim", "server_created = 1, held = 0"), ("server", "held = 0")])
def test_rules_about_changes_and_deletions_may_be_edited_while_something_waits(
    tmp_path: Path, policy: str, count: str
) -> None:
    steps = (item("event"), OTHER, "syncs = { server_created = 2 }", *GONE_THERE, "syncs = { held = 1 }")
    rule = f'<rule conflict="delete" policy="{policy}"/>'
    edits = f"""edits_mapping = [['<conflicts default="ask" loser="discard">', '<conflicts>{rule}']]"""
    play(tmp_path, story(*steps, edits, f"syncs = {{ {count} }}"))
