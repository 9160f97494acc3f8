"""Policies as they are read, and what they ask for (POL-1). When they act, tests/property and the stories tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncengine.core.outbound.dates import AS_STORED
from syncengine.core.policies.conditions import happens, holds
from syncengine.core.policies.evaluate import LONGEST_CHAIN, evaluate, evaluate_batch, signature
from syncengine.core.policies.parse import parse
from syncengine.core.policies.requests import asked
from syncengine.errors import ConfigError
from syncengine.model.directory import Account, Contact, Directory, Employee, Opportunity, RecordType
from syncengine.model.outbound import Change as ChangeRecord
from syncengine.model.outbound import Email, Page
from syncengine.model.policies import (
    Change,
    Compare,
    Condition,
    Deed,
    Occasion,
    Policy,
    PolicyState,
    Recipient,
    Relation,
    SendEmail,
    SendPage,
    Waiting,
)
from syncengine.model.values import Json

FOLDER = Path(__file__).parents[2] / "mappings"
SCHEMA = (FOLDER / "policies.xsd").read_bytes()
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = "<send-email><to>a@example.com</to><subject>S</subject><text>T</text></send-email>"
ADDED = '<condition comparison="is added"/>'


def read(text: str, processes: tuple[str, ...] = ()) -> tuple[Policy, ...]:
    return parse(text.encode(), SCHEMA, "p.xml", processes)


def policy(
    inside: str = MAIL, *, conditions: str = ADDED, attributes: str = "", record: str = "activity", name: str = "p"
) -> str:
    return f'<policy name="{name}" record="{record}" {attributes}>{conditions}{inside}</policy>'


def one(*args: str, **options: str) -> Policy:
    (found,) = read(f"<policies>{policy(*args, **options)}</policies>")
    return found


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return str(raised.value)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_shipped_example_is_read() -> None:
    found = parse((FOLDER / "policies.xml").read_bytes(), SCHEMA, "policies.xml")
    assert [p.group for p in found] == ["service", "sales", "sales"]
    assert len({p.digest for p in found}) == 3


def test_what_is_not_said_has_its_default() -> None:
    found = one()
    assert (found.group, found.duration, found.quantity) == ("default", timedelta(0), 1)
    assert found.interval == timedelta(seconds=3600)
    assert (found.activation, found.expiration, found.batch, found.consolidate) == (None, None, False, False)
    assert found.actions == (SendEmail((Recipient("a@example.com"),), "S", "T"),)


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("0 s", 0), ("90s", 90), ("30 min", 1800), ("2 h", 7200), ("1d", 86400), ("3660 d", 316224000)],
)
def test_spans_have_units(span: str, seconds: int) -> None:
    assert one(attributes=f'duration="{span}"').duration == timedelta(seconds=seconds)


def test_moments_carry_their_offset() -> None:
    found = one(attributes='activation="2026-03-02T10:00:00+01:00" expiration="2026-03-02T10:00:00Z"')
    assert (found.activation, found.expiration) == (NINE, NINE + timedelta(hours=1))


def test_a_digest_is_of_the_meaning_not_of_the_layout() -> None:
    assert one().digest == one(attributes='duration="0 s"  interval="1 h"').digest
    assert one().digest != one(attributes='interval="2 h"').digest
    assert one().digest != one(MAIL.replace("<text>T<", "<text>U<")).digest


def test_several_fields_set_are_one_change() -> None:
    found = one('<set-field field="status">Done</set-field><set-field field="percent_complete">100</set-field>')
    assert [a.values for a in found.actions] == [{"status": "Done", "percent_complete": "100"}]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<policies><policy/>", "p.xml:1: this is not well-formed XML"),
        ('<!DOCTYPE x [<!ENTITY e "x">]><policies/>', "<!DOCTYPE is not allowed"),
        ("<polices/>", "p.xml:1: the file's outermost element is <polices>; it must be <policies>"),
        (f"<policies>{policy()}\n{policy()}</policies>", 'p.xml:2: two policies are named "p"; the other is in line 1'),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ('durration="1 h"', 'p.xml:1: <policy> has no attribute "durration"; did you mean "duration"?'),
        ('duration="1 y"', 'write a number and its unit, such as "90 s"'),
        ('duration="4000 d"', "longer than 3660 days"),
        ('quantity="0"', "is no number above 0"),
        ('batch="maybe"', "write true or false"),
        ('activation="soon"', "or a moment such as"),
        ('activation="2026-03-02T09:00:00"', "has no offset"),
        ('activation="2026-03-02T09:00:00Z" expiration="2026-03-02T09:00:00Z"', "is not after the activation"),
        ('batch="true"', "a batch sees records, not changes"),
    ],
)
def test_wrong_attributes_are_named(attributes: str, words: str) -> None:
    assert words in refused(f"<policies>{policy(attributes=attributes)}</policies>")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"record": "activty"}, 'did you mean "activity"?'),
        ({"record": "employee"}, '<policy record="employee"> is not allowed'),
        ({"name": "a &gt; b"}, "choose a name without it"),
    ],
)
def test_wrong_names_are_named(options: dict[str, str], words: str) -> None:
    assert words in refused(f"<policies>{policy(**options)}</policies>")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ('field="statu" comparison="eq" value="x"', 'did you mean "status"?'),
        ('field="status" comparison="equals" value="x"', "is not allowed; "),
        ('comparison="eq" value="x"', "<condition> names no field"),
        ('field="status" comparison="eq"', "exactly one value"),
        ('field="status" comparison="eq" value=""', '"is null"'),
        ('field="status" comparison="in"', "at least one value"),
        ('field="status" comparison="is null" value="x"', "compares with no value"),
        ('field="status" comparison="is added"', "about the whole record"),
        ('field="due" comparison="is updated" of="old"', 'take of="old" out'),
        ('field="due" comparison="lt" value="soon"', '"due" cannot hold this'),
        ('field="done" comparison="lt" value="true"', "nothing is less or more"),
    ],
)
def test_wrong_conditions_are_named(condition: str, words: str) -> None:
    assert words in refused(f"<policies>{policy(conditions=f'<condition {condition}/>')}</policies>")


@pytest.mark.parametrize(
    "second",
    ['comparison="is deleted"', 'comparison="is updated"', 'field="status" of="old" comparison="is null"'],
)
def test_conditions_that_never_meet_are_refused(second: str) -> None:
    text = policy(conditions=f"{ADDED}<condition {second}/>")
    assert "make two policies of it" in refused(f"<policies>{text}</policies>")


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (MAIL.replace("<to>a@example.com", "<to>nobody"), '"nobody" is no address'),
        (MAIL.replace("<to>a@example.com", "<to>"), "<to> holds an address, or has a relation"),
        (MAIL.replace("<to>", '<to relation="owner">'), "<to> holds an address, or has a relation"),
        ("<send-page><to relation='contacts'/><text>x</text></send-page>", "to employees only"),
        ("<send-page><to relation='owner'/></send-page>", "<send-page> says nothing"),
        (MAIL.replace("<text>T", "<text>{{ record."), "the template of <text> cannot be used"),
        (MAIL.replace("<text>T", "<text>\n{% if record.locaton %}x{% endif %}"), 'did you mean "location"?'),
        ('<set-field field="statu">x</set-field>', 'did you mean "status"?'),
        ('<set-field field="done">perhaps</set-field>', "is not yes or no"),
        ('<run-process name="Escalate"/>', "there are none yet: take it out"),
        ("<send-mail/>", "did you mean <send-email>?"),
    ],
)
def test_wrong_actions_are_named(inside: str, words: str) -> None:
    assert words in refused(f"<policies>{policy(inside)}</policies>")


def test_what_a_record_does_not_have_is_refused() -> None:
    owner = policy(MAIL.replace("<to>a@example.com", '<to relation="owner">'), record="account")
    assert 'have no "owner"' in refused(f"<policies>{owner}</policies>")
    gone = policy('<set-field field="status">x</set-field>', conditions='<condition comparison="is deleted"/>')
    assert "a record that is deleted cannot be changed" in refused(f"<policies>{gone}</policies>")


def test_every_mistake_of_a_file_is_named_at_once() -> None:
    text = (
        "<policies>\n"
        + policy(attributes='qantity="2"')
        + "\n"
        + policy('<set-field field="x">x</set-field>')
        + "</policies>"
    )
    said = refused(text)
    assert [line[:7] for line in said.splitlines() if line.startswith("p.xml")] == ["p.xml:2", "p.xml:3", "p.xml:3"]


def test_a_process_that_is_known_may_be_run() -> None:
    (found,) = read("<policies>" + policy('<run-process name="Escalate"/>') + "</policies>", ("Escalate",))
    assert found.actions[0].name == "Escalate"  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match='did you mean "Escalate"'):
        read("<policies>" + policy('<run-process name="Escalat"/>') + "</policies>", ("Escalate",))


# --- conditions ------------------------------------------------------------------------------------------------------

ACTIVITY, OPPORTUNITY = RecordType.ACTIVITY, RecordType.OPPORTUNITY


@pytest.mark.parametrize(
    ("field", "comparison", "value", "record", "expected"),
    [
        ("due", Compare.EQ, "2026-03-10T13:00:00+01:00", {"due": "2026-03-10T12:00:00Z"}, True),
        ("due", Compare.EQ, "2026-03-10", {"due": "2026-03-10T00:00:00Z"}, True),
        ("due", Compare.LT, "2026-03-10T12:00:00Z", {"due": "2026-03-10"}, True),
        ("due", Compare.LT, "2026-03-10T12:00:00Z", {"due": "2026-03-10T12:00:00"}, False),  # floating: no instant
        ("due", Compare.LT, "2026-03-10", {"due": "what nobody can read"}, False),
        ("due", Compare.NE, "2026-03-10", {}, True),
        ("percent_complete", Compare.LT, "10", {"percent_complete": 9}, True),
        ("percent_complete", Compare.LT, "10", {}, False),
        ("done", Compare.EQ, "false", {}, True),
        ("done", Compare.NULL, "", {"done": True}, False),
        ("done", Compare.NULL, "", {}, True),
        ("employees", Compare.EQ, "b", {"employees": ["a", "b"]}, True),
        ("employees", Compare.NE, "b", {"employees": ["a", "b"]}, False),
        ("employees", Compare.CONTAINS, "B", {"employees": ["a", "abc"]}, True),
        ("employees", Compare.NULL, "", {}, True),
        ("employees", Compare.CONTAINS, "a", {}, False),
        ("participants", Compare.CONTAINS, "@CLIENT.test", {"participants": ["x@client.test"]}, True),
        ("status", Compare.EQ, "done", {"status": "Done"}, False),
        ("status", Compare.CONTAINS, "none", {}, False),
    ],
)
def test_a_condition_compares_in_the_fields_type(
    field: str, comparison: Compare, value: str, record: dict[str, object], expected: bool
) -> None:
    condition = Condition(field, comparison, (value,) if value else ())
    assert expected is holds(condition, ACTIVITY, record)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Compare.LT, [True, False, False]),
        (Compare.LE, [True, True, False]),
        (Compare.GT, [False, False, True]),
        (Compare.GE, [False, True, True]),
    ],
)
def test_less_and_more_at_below_and_above_the_value(comparison: Compare, expected: list[bool]) -> None:
    condition = Condition("percent_complete", comparison, ("10",))
    assert expected == [holds(condition, ACTIVITY, {"percent_complete": n}) for n in (9, 10, 11)]


def test_numbers_with_a_fraction_are_numbers() -> None:
    assert holds(Condition("revenue", Compare.GE, ("9.5",)), OPPORTUNITY, {"revenue": 10})


def change(
    deed: Deed, old: dict[str, object] | None = None, new: dict[str, object] | None = None, by: str = ""
) -> Change:
    return Change(1, 0, NINE, ACTIVITY, "r", deed, old or {}, new or {}, by)  # type: ignore[arg-type]


def test_an_update_is_of_a_field_or_of_any() -> None:
    updated = change(Deed.UPDATED, {"due": None}, {"due": "2026-03-10"})
    assert happens(Condition("due", Compare.UPDATED), updated)
    assert happens(Condition("", Compare.UPDATED), updated)
    assert not happens(Condition("status", Compare.UPDATED), updated)
    assert not happens(Condition("", Compare.UPDATED), change(Deed.UPDATED))
    assert not happens(Condition("due", Compare.UPDATED), change(Deed.ADDED, new={"due": "2026-03-10"}))


def test_an_old_value_may_have_been_empty_but_a_new_record_had_none() -> None:
    empty = Condition("due", Compare.NULL, old=True)
    assert happens(empty, change(Deed.UPDATED, {"due": None}, {"due": "2026-03-10"}))
    assert not happens(empty, change(Deed.ADDED))
    assert not happens(Condition("due", Compare.NE, ("2026-03-10",), old=True), change(Deed.ADDED))


# --- chains ----------------------------------------------------------------------------------------------------------


def test_a_chain_of_policies_has_an_end() -> None:
    found = one()
    names = [f"q{n}" for n in range(LONGEST_CHAIN)]
    for length, acts in ((LONGEST_CHAIN - 1, 1), (LONGEST_CHAIN, 0)):
        by = signature(names[: length - 1], names[length - 1])
        result = evaluate(found, PolicyState(NINE), [change(Deed.ADDED, by=by)], NINE)
        assert (acts, 1 - acts) == (len(result.occasions), len(result.loops))
    assert "the 11th policy in a row" in result.loops[0].because


def test_a_clock_that_runs_ahead_does_not_take_the_others_along() -> None:
    found = one(attributes='duration="1 h"')
    ahead = Change(2, 0, NINE + timedelta(days=1), ACTIVITY, "s", Deed.ADDED, {}, {})
    result = evaluate(found, PolicyState(NINE), [change(Deed.ADDED), ahead], NINE + timedelta(minutes=1))
    assert result.occasions == ()
    assert result.state.clock == NINE + timedelta(minutes=1)
    assert result.wake == NINE + timedelta(hours=1)
    assert result.state.waiting["s"].since == NINE + timedelta(minutes=1)


def test_a_pass_at_an_earlier_moment_than_the_last_one_changes_nothing() -> None:
    found = one(attributes='duration="1 h"')
    first = evaluate(found, PolicyState(NINE), [change(Deed.ADDED)], NINE)
    again = evaluate(found, first.state, [], NINE - timedelta(hours=5))
    assert again.state == first.state


# --- edges of spans ---------------------------------------------------------------------------------------------------

MINUTE = timedelta(minutes=1)


def at_minutes(found: Policy, *changes: tuple[int, Deed, dict[str, object]], until: int = 300) -> list[int]:
    """The minutes at which a policy acts on these changes of one record, read in one go."""
    log = [
        Change(n, 0, NINE + minute * MINUTE, ACTIVITY, "r", deed, {"status": "was"}, new)  # type: ignore[arg-type]
        for n, (minute, deed, new) in enumerate(changes, 1)
    ]
    result = evaluate(found, PolicyState(NINE), log, NINE + until * MINUTE)
    return [int((o.at - NINE) / MINUTE) for o in result.occasions]


OPEN = '<condition field="status" comparison="eq" value="Open"/>'
UPDATED = '<condition comparison="is updated"/>'


@pytest.mark.parametrize(
    ("second", "expected"), [(59, [0]), (60, [0, 60]), (61, [0, 61])], ids=["inside", "at its end", "after"]
)
def test_a_change_at_the_end_of_the_interval_is_outside(second: int, expected: list[int]) -> None:
    found = one(conditions=UPDATED, attributes='interval="60 min"')
    assert expected == at_minutes(found, (0, Deed.UPDATED, {}), (second, Deed.UPDATED, {}))


@pytest.mark.parametrize(("second", "expected"), [(59, [10]), (60, [10, 70])], ids=["inside", "outside"])
def test_it_is_the_moment_of_acting_that_is_inside_the_interval_or_not(second: int, expected: list[int]) -> None:
    found = one(conditions=UPDATED, attributes='interval="60 min" duration="10 min"')
    assert expected == at_minutes(found, (0, Deed.UPDATED, {}), (second, Deed.UPDATED, {}))


def test_a_match_resumed_within_the_duration_is_a_new_one() -> None:
    found = one(conditions=OPEN, attributes='duration="60 min"')
    life = [(0, Deed.ADDED, {"status": "Open"}), (50, Deed.UPDATED, {}), (55, Deed.UPDATED, {"status": "Open"})]
    assert at_minutes(found, *life) == [115]  # type: ignore[arg-type]


def test_a_match_broken_and_resumed_in_one_transaction_begins_then() -> None:
    found = one(conditions=OPEN, attributes='duration="60 min"')
    lives = [(1, 0, Deed.ADDED, "Open"), (2, 50, Deed.UPDATED, "Done"), (2, 50, Deed.UPDATED, "Open")]
    log = [
        Change(number, position, NINE + minute * MINUTE, ACTIVITY, "r", deed, {"status": "was"}, {"status": status})
        for position, (number, minute, deed, status) in enumerate(lives)
    ]
    result = evaluate(found, PolicyState(NINE), log, NINE + 300 * MINUTE)
    assert [o.at for o in result.occasions] == [NINE + 110 * MINUTE]


@pytest.mark.parametrize(("ends", "expected"), [(59, []), (60, [60]), (61, [60])])
def test_what_ends_at_the_very_moment_it_is_due_was_there_long_enough(ends: int, expected: list[int]) -> None:
    found = one(conditions=OPEN, attributes='duration="60 min"')
    assert expected == at_minutes(found, (0, Deed.ADDED, {"status": "Open"}), (ends, Deed.UPDATED, {}))


def test_a_batch_keeps_since_when_and_acts_by_batches_only() -> None:
    found = one(conditions=OPEN, attributes='batch="true" duration="60 min"')
    record: dict[str, dict[str, Json]] = {"r": {"status": "Open"}}
    first = evaluate_batch(found, PolicyState(NINE), record.items(), NINE)
    assert first.wake is None
    between = evaluate(found, first.state, [change(Deed.UPDATED)], NINE + 90 * MINUTE)
    assert (between.occasions, between.state.waiting) == ((), first.state.waiting)
    early = evaluate_batch(found, between.state, record.items(), NINE + 59 * MINUTE)
    assert early.occasions == ()
    back = evaluate_batch(found, early.state, record.items(), NINE)
    assert back.state.clock == NINE + 59 * MINUTE
    assert [o.at for o in evaluate_batch(found, back.state, record.items(), NINE + 60 * MINUTE).occasions] == [
        NINE + 60 * MINUTE
    ]
    assert evaluate_batch(found, back.state, [], NINE + 60 * MINUTE).state.waiting == {}


# --- what is asked for ------------------------------------------------------------------------------------------------

PEOPLE = Directory(
    employees=(
        Employee("e1", "Ann", ("ann@example.com", "ann@home.example")),
        Employee("e2", "Bob", ("bob@example.com",)),
    ),
    contacts=(Contact("c1", "Dora", ("dora@client.example",), account="a1"), Contact("c2", "No mail", ())),
    accounts=(Account("a1", "Client", ("e2",)),),
    opportunities=(Opportunity("o1", "Deal", "a1", 5.0, ("c1",), ("e1", "e2")),),
)


def occasion(found: Policy, **records: dict[str, object]) -> Occasion:
    waits = {r: Waiting(NINE, n, 0, (), values) for n, (r, values) in enumerate(records.items(), 1)}  # type: ignore[arg-type]
    return Occasion(found, NINE, waits, "it matches")


def emails(found: Policy, **records: dict[str, object]) -> list[Email]:
    return [
        r.content for r in asked(occasion(found, **records), PEOPLE, AS_STORED).requests if isinstance(r.content, Email)
    ]


def test_the_same_occasion_asks_for_the_same_and_another_for_another() -> None:
    found = one()
    first = asked(occasion(found, r={}), PEOPLE, AS_STORED).requests
    assert first == asked(occasion(found, r={}), PEOPLE, AS_STORED).requests
    others = [
        asked(Occasion(found, NINE + timedelta(seconds=1), occasion(found, r={}).waits, ""), PEOPLE, AS_STORED),
        asked(Occasion(found, NINE, {"r": Waiting(NINE, 2, 0, (), {})}, ""), PEOPLE, AS_STORED),
        asked(occasion(found, s={}), PEOPLE, AS_STORED),
        asked(occasion(one(name="q"), r={}), PEOPLE, AS_STORED),
    ]
    assert len({first[0].id, *(o.requests[0].id for o in others)}) == 5
    assert first[0].asked_by == "policy p"


def test_everybody_is_addressed_once() -> None:
    to = "".join(f'<to relation="{r}"/>' for r in ("owner", "employees", "contacts")) + "<to>bob@example.com</to>"
    found = one(MAIL.replace("<to>a@example.com</to>", to))
    (email,) = emails(found, r={"owner": "e1", "employees": ["e1", "e2"], "contacts": ["c1", "c2", "gone"]})
    assert email.to == ("ann@example.com", "bob@example.com", "dora@client.example")


@pytest.mark.parametrize(
    ("record", "relation", "values", "to"),
    [
        ("contact", "contacts", {}, ("dora@client.example",)),
        ("contact", "employees", {"team": ["e2"]}, ("bob@example.com",)),
        ("opportunity", "contacts", {"contacts": ["c1"]}, ("dora@client.example",)),
        ("opportunity", "employees", {"team": ["e1", "e2"]}, ("ann@example.com", "bob@example.com")),
        ("account", "employees", {"team": ["e2"]}, ("bob@example.com",)),
    ],
)
def test_relations_of_every_type(record: str, relation: str, values: dict[str, object], to: tuple[str, ...]) -> None:
    found = one(MAIL.replace("<to>a@example.com", f'<to relation="{relation}">'), record=record)
    assert to == emails(found, c1=values)[0].to


def test_a_subject_stays_one_line_and_html_is_escaped() -> None:
    text = MAIL.replace("<subject>S", "<subject>{{ record.description }}")
    text = text.replace("</text>", "</text><html>{{ record.description }}</html>")
    (email,) = emails(one(text), r={"description": "a\r\nBcc: <x>"})
    assert (email.subject, email.html) == ("a Bcc: <x>", "a\r\nBcc: &lt;x&gt;")


def test_a_field_that_is_empty_is_nothing_and_one_that_is_none_is_a_fault() -> None:
    text = MAIL.replace("<text>T", "<text>[{{ record.location }}{% for who in record.contacts %}{{ who }}{% endfor %}]")
    assert [e.text for e in emails(one(text), r={})] == ["[]"]
    found = asked(occasion(one(MAIL.replace("<text>T", "<text>{{ recrd.location }}")), r={}), PEOPLE, AS_STORED)
    assert (found.requests, len(found.faults)) == ((), 1)
    assert "recrd" in found.faults[0]


def test_a_page_goes_to_each_employee() -> None:
    to = "<to relation='employees'/><to>ann@home.example</to>"
    page = f"<send-page key='k' priority='2'>{to}<text>{{{{ policy }}}}</text></send-page>"
    found = asked(occasion(one(page), r={"employees": ["e2", "gone"]}), PEOPLE, AS_STORED)
    assert [Page("e2", "p"), Page("e1", "p")] == [r.content for r in found.requests]
    assert {("k", 2)} == {(r.key, r.priority) for r in found.requests}
    assert len({r.id for r in found.requests}) == 2


@pytest.mark.parametrize(
    ("record", "values", "under"),
    [
        ("activity", {"owner": "e1", "contacts": ["c1"]}, {"contacts": ["c1"], "owner": "e1"}),
        ("contact", {"team": ["e2"]}, {"contacts": ["c1"], "account": "a1", "owner": "e2"}),
        ("opportunity", {"account": "a1"}, {"opportunity": "c1", "account": "a1"}),
        ("account", {}, {"account": "c1"}),
    ],
)
def test_an_activity_is_inserted_under_the_record(
    record: str, values: dict[str, object], under: dict[str, object]
) -> None:
    fields = '<set field="description">Call {{ record.id }}</set><set field="due">2026-03-10</set>'
    insert = f"<insert-activity>{fields}</insert-activity>"
    (request,) = asked(occasion(one(insert, record=record), c1=values), PEOPLE, AS_STORED).requests
    assert isinstance(request.content, ChangeRecord)
    assert {
        "display_in": "Activities Only",
        "description": "Call c1",
        "due": "2026-03-10",
        **under,
    } == request.content.values
    assert request.content.user == under.get("owner", "")


def test_changes_are_asked_for_one_by_one_and_with_their_chain() -> None:
    found = one(
        '<set-field field="percent_complete">{{ record.percent_complete + 1 }}</set-field>' + MAIL,
        attributes='consolidate="true"',
    )
    waits = {
        "a": Waiting(NINE, 1, 0, (), {"percent_complete": 1}),
        "b": Waiting(NINE, 1, 1, ("q",), {"percent_complete": 2}),
    }
    requests = asked(Occasion(found, NINE, waits, ""), PEOPLE, AS_STORED).requests
    assert [r.content.values["percent_complete"] for r in requests if isinstance(r.content, ChangeRecord)] == [2, 3]
    assert [r.asked_by for r in requests] == ["policy p", "policy q > p", "policy q > p"]


def test_a_page_is_what_the_policy_says() -> None:
    assert one("<send-page><to relation='owner'/><digits>1</digits></send-page>").actions == (
        SendPage((Recipient(relation=Relation.OWNER),), digits="1"),
    )
