# ruff: noqa: E501 - messages are quoted whole
"""MAP-1, MAP-2, KEY-4: mapping files are read whole, or refused with every mistake named at once."""

from __future__ import annotations

import pytest

from syncengine.core.mapping.parse import LARGEST, parse
from syncengine.errors import ConfigError
from syncengine.model.conflicts import Conflict, Loser, Policy, Rules
from syncengine.model.filters import Comparison, Condition, Filter
from syncengine.model.mapping import Authority, Direction, Mapping, Pattern
from syncengine.model.pim import Kind
from tests.core.mapping_world import EVENTS, FOLDER, SCHEMA, TODOS, shipped

SMALL = """<mapping name="small" version="1">
 <recurrence_patterns>
  <pattern name="Daily" unit="day"/>
 </recurrence_patterns>
 <value_maps>
  <value_map name="priority">
   <row pim="1" server="High"/>
   <row pim="9" server="Low"/>
  </value_map>
 </value_maps>
 <types>
  <type name="todo" kind="todo" display_in="To Do and Activities">
   <fields>
    <field activity="description" pim="summary" converter="text"/>
    <field activity="priority" pim="priority" converter="value-map" value_map="priority"/>
    <field activity="owner" pim="organizer" converter="owner" direction="up"/>
   </fields>
   <defaults>
    <default field="type">To Do</default>
   </defaults>
   <natural_keys>
    <natural_key>
     <field>description</field>
     <field>owner</field>
    </natural_key>
   </natural_keys>
   <filter>
    <condition field="type" comparison="eq"><value>To Do</value></condition>
   </filter>
  </type>
 </types>
 <conflicts default="ask">
  <rule field="owner" policy="server"/>
 </conflicts>
</mapping>
"""


def read(text: str) -> object:
    return parse(text.encode(), SCHEMA, "m.xml")


def complaints(*changes: tuple[str, str]) -> list[str]:
    text = SMALL
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    with pytest.raises(ConfigError) as refused:
        read(text)
    return refused.value.what.split("\n")


MISTAKES = [
    (
        ('activity="description"', 'activity="descripton"'),
        ['m.xml:14: unknown activity field "descripton"; did you mean "description"?',
         'm.xml:23: the natural key names "description", which this type does not map up; choose one of: "display_in", '
           '"integration_id", "owner", "priority", "type"'],
    ),
    (('pim="summary"', 'pim="sumary"'), ['m.xml:14: unknown PIM property "sumary"; did you mean "summary"?']),
    (('pim="summary"', 'pim="dtend"'), ['m.xml:14: no todo has the PIM property "dtend"; only a type of the kind "event" may']),
    (('converter="text"', 'converter="txt"'), ['m.xml:14: unknown converter "txt"; did you mean "text"?']),
    (
        ('value_map="priority"', 'value_map="priorities"'),
        ['m.xml:15: unknown value map "priorities"; did you mean "priority"?'],
    ),
    (
        (' value_map="priority"', ""),
        ['m.xml:15: the converter "value-map" needs a value map; write value_map="…": "priority"'],
    ),
    (
        ('converter="text"', 'converter="text" value_map="priority"'),
        ['m.xml:14: the converter "text" uses no value map; take value_map out'],
    ),
    (
        ('converter="owner" direction="up"', 'converter="owner"'),
        ['m.xml:16: the converter "owner" does not go down; write direction="up"'],
    ),
    (
        ('pim="organizer"', 'pim="attendee"'),
        ['m.xml:16: the converter "owner" does not read "attendee"; it reads "organizer"'],
    ),
    (
        ('activity="priority" pim="priority" converter="value-map" value_map="priority"',
         'activity="percent_complete" pim="percent-complete" converter="text"'),
        ['m.xml:15: the converter "text" does not serve the field "percent_complete"; use "integer" or "percent"'],
    ),
    (
        ('activity="priority" pim="priority" converter="value-map" value_map="priority"',
         'activity="description" pim="comment" converter="text"'),
        ['m.xml:15: the field "description" is mapped twice; see line 14: take one out'],
    ),
    (
        ('activity="priority" pim="priority" converter="value-map" value_map="priority"',
         'activity="comments" pim="summary" converter="text"'),
        ['m.xml:15: the property "summary" is written twice; see line 14: give one of them direction="up"'],
    ),
    (
        ('activity="priority" pim="priority" converter="value-map" value_map="priority"',
         'activity="updated" pim="x-when" converter="text" direction="up"'),
        ['m.xml:15: only the server sets "updated"; write direction="down"'],
    ),
    (
        ("<field>owner</field>", "<field>location</field>"),
        ['m.xml:24: the natural key names "location", which this type does not map up; choose one of: "description", '
         '"display_in", "integration_id", "owner", "priority", "type"'],
    ),
    (('policy="server"', 'policy="newer"'), ['m.xml:33: <rule policy="newer"> is not allowed; did you mean "newest"?']),
    (('policy="server"', 'conflict="delete" policy="newest"'),
     ['m.xml:33: a deletion cannot be settled by "newest"; write policy="server", "pim" or "ask": the record is restored '
      'or deleted as a whole',
      'm.xml:33: a deletion is not about one field; take field out, or write conflict="change"']),
    (('direction="up"', 'direction="upp"'), ['m.xml:16: <field direction="upp"> is not allowed; did you mean "up"?',
     'm.xml:16: the converter "owner" does not go down; write direction="up"']),
    (('rule field="owner"', 'rule field="location"'),
     ['m.xml:33: the rule names "location", which no row maps; choose one of: "description", "owner", "priority"']),
    (('rule field="owner"', 'rule type="todos" field="owner"'), ['m.xml:33: unknown type "todos"; did you mean "todo"?']),
    (('display_in="To Do and Activities"', 'display_in="To Do"'),
     ['m.xml:12: unknown display_in "To Do"; choose one of: "Activities Only", "Calendar and Activities", '
      '"Communication and Activities", "To Do and Activities"']),
    (('<row pim="9" server="Low"/>', '<row pim="1" server="Low"/>'),
     ['m.xml:8: the row in line 7 already takes pim="1" up; give one of them direction="down", or take it out']),
    (("<value>To Do</value>", ""), ['m.xml:28: "eq" needs exactly one <value>, not 0; use "in" for several']),
    (('condition field="type" comparison="eq"', 'condition field="planned" comparison="eq"'),
     ["m.xml:28: \"planned\" cannot hold this: 'To Do' is not a date like 2026-03-02 or a time with its offset like "
      "2026-03-02T09:00:00+01:00; write a value of that form"]),
    (('comparison="eq"', 'comparison="empty"'), ['m.xml:28: "empty" compares with no value; take <value> out']),
    (('<default field="type">', '<default field="typ">'), ['m.xml:19: unknown activity field "typ"; did you mean "type"?']),
    (("<defaults>", "<default>"), ['m.xml:20: this is not well-formed XML: Opening and ending tag mismatch: default '
     "line 18 and defaults, line 20, column 15; close every tag and quote every value"]),
    (('unit="day"', 'unit="days"'), ['m.xml:3: <pattern unit="days"> is not allowed; did you mean "day"?']),
    (('unit="day"', 'unit="day" interval="0"'),
     ['m.xml:3: <pattern interval="0"> is no number above 0; write a whole number such as "1"']),
    ((' unit="day"', ""), ['m.xml:3: <pattern> lacks the attribute "unit"; write <pattern unit="…">']),
    (('converter="text"', 'convertor="text"'),
     ['m.xml:14: <field> has no attribute "convertor"; did you mean "converter"?']),
    (("<filter>", "<filter><presets/>"),
     ["m.xml:27: there is no element <presets>; choose one of: <condition>"]),
    (("<types>", "<value_maps/><types>"),
     ["m.xml:11: <value_maps> must not stand here, or not twice, in <mapping>; take it out"]),
    (("<types>", "<types>hello"), ["m.xml:11: <types> holds text beside its elements; take the text out"]),
    (('name="small" version="1"', 'name="" version="1"'), ["m.xml:1: <mapping> has an empty name; write a name"]),
    (('version="1"', 'version="2"'), ['m.xml:1: <mapping version="2"> is not allowed; choose one of: "1"']),
    (("<natural_key>\n     <field>description</field>\n     <field>owner</field>\n    </natural_key>", "<natural_key/>"),
     ["m.xml:22: <natural_key> lacks an element; add <field>"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), MISTAKES, ids=[m[1][0][6:60] for m in MISTAKES])
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(change: tuple[str, str], expected: list[str]) -> None:
    assert complaints(change) == expected


def test_all_mistakes_are_named_at_once() -> None:
    assert complaints(
        ("<recurrence_patterns>", "<recurrence_pattern>"),
        ("</recurrence_patterns>", "</recurrence_pattern>"),
        ('unit="day"', 'unti="dya"'),
        ('converter="text"', 'converter="tetx"'),
        ('direction="up"', 'directon="up"'),
        ("<defaults>", "<foo/><defaults>"),
        ("<field>owner</field>", "<field>ownr</field>"),
        ('policy="server"', 'policy="sever"'),
    ) == [
        "m.xml:2: there is no element <recurrence_pattern>; did you mean <recurrence_patterns>?",
        'm.xml:3: <pattern unit="dya"> is not allowed; did you mean "day"?',
        'm.xml:3: <pattern> has no attribute "unti"; did you mean "unit"?',
        'm.xml:14: unknown converter "tetx"; did you mean "text"?',
        'm.xml:16: <field> has no attribute "directon"; did you mean "direction"?',
        "m.xml:18: there is no element <foo>; choose one of: <defaults>, <filter>, <natural_keys>, <pim_defaults>",
        'm.xml:24: unknown activity field "ownr"; did you mean "owner"?',
        'm.xml:33: <rule policy="sever"> is not allowed; did you mean "server"?',
    ]


def test_two_types_of_one_kind() -> None:
    start, end = SMALL.index("  <type "), SMALL.index(" </types>")
    assert complaints((SMALL[start:end], SMALL[start:end] * 2)) == [
        'm.xml:31: two types are named "todo"; the other is in line 12: take one out',
        'm.xml:31: two types are of the kind "todo"; the other is in line 12: take one out',
        'm.xml:31: two types show in "To Do and Activities"; the other is in line 12: take one out',
    ]


def test_a_series_needs_patterns() -> None:
    row = '<field activity="repeating" pim="rrule" converter="repeating"/>'
    pattern = ('<pattern name="Daily" unit="day"/>', "")
    assert complaints(("<fields>", "<fields>" + row), pattern) == [
        "m.xml:13: a recurring field, but no recurrence patterns; add <recurrence_patterns>"
    ]


@pytest.mark.parametrize(
    ("xml", "line"),
    [
        (b'<!DOCTYPE mapping SYSTEM "http://evil.example/x.dtd">\n<mapping/>', "m.xml:1: <!DOCTYPE is not allowed; "),
        (b'\n<!DOCTYPE m [<!ENTITY a "a"><!ENTITY b "&a;&a;">]><mapping name="&b;"/>', "m.xml:2: <!DOCTYPE"),
        (b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<mapping>&x;</mapping>', "m.xml:1: <!DOCTYPE"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE m>'.encode("utf-16"), "m.xml:1: the file is not in UTF-8"),
        (b"<mapping>&x;</mapping>", "m.xml:1: this is not well-formed XML: Entity 'x' not defined"),
        (b"<a>" * 300 + b"</a>" * 300, "m.xml:1: this is not well-formed XML: Excessive depth"),
        (b"<mapping>" + b" " * LARGEST, f"m.xml:1: the file has {LARGEST + 9} bytes; at most {LARGEST} are allowed"),
        (b"", "m.xml:1: this is not well-formed XML: "),
        (b"<mapping>\n\n</maping>", "m.xml:3: this is not well-formed XML: "),
        (b"<map/>", "m.xml:1: the file's outermost element is <map>; it must be <mapping>"),
    ],
)
def test_what_could_be_an_attack_or_is_no_mapping_is_refused(xml: bytes, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(xml, SCHEMA, "m.xml")
    assert refused.value.what.startswith(line)


def test_an_encoding_that_hides_a_doctype_does_not() -> None:
    """UTF-7 is plain ASCII that may mean anything; the declared encoding is not believed."""
    hidden = b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE m+AD4-<mapping/>'
    with pytest.raises(ConfigError, match="not well-formed"):
        parse(hidden, SCHEMA, "m.xml")


def test_rubbish_never_escapes_as_another_error() -> None:
    for text in (SMALL[:n] for n in range(0, len(SMALL) - 10, 37)):
        with pytest.raises(ConfigError):
            read(text)
    for word in ("description", "text", "priority", "up", "todo", "owner", "1"):
        changed = SMALL.replace(word, "x" * len(word))
        with pytest.raises(ConfigError) as refused:
            read(changed)
        assert all(line.startswith("m.xml:") for line in refused.value.what.split("\n"))


@pytest.mark.parametrize("name", ["default", "siebel"])
def test_shipped_files_are_valid(name: str) -> None:
    assert shipped(name).name == name
    assert {path.name for path in FOLDER.glob("mapping.*")} == {"mapping.xsd"}


def test_the_default_mapping_is_read_as_it_stands() -> None:
    mapping = shipped("default")
    assert (mapping.for_kind(Kind.EVENT), mapping.for_display("To Do and Activities")) == (EVENTS, TODOS)
    assert mapping.patterns == (
        Pattern("Daily", "day"),
        Pattern("Weekly", "week"),
        Pattern("Monthly", "month"),
        Pattern("Quarterly", "month", 3),
        Pattern("Yearly", "year"),
    )
    assert EVENTS.natural_keys == (("integration_id", "owner"), ("description", "planned", "owner"))
    assert TODOS.natural_keys == (("integration_id", "owner"), ("description", "owner"))
    assert (EVENTS.pim_defaults, EVENTS.filter) == ({"transp": "OPAQUE"}, Filter())
    rows = {row.field: row for row in EVENTS.fields}
    change, met = (
        mapping.conflicts.settle(c, "calendar", "owner").policy for c in (Conflict.CHANGE, Conflict.DUPLICATE)
    )
    assert (change, met) == (Policy.SERVER, Policy.SERVER)
    assert mapping.conflicts.settle(Conflict.CHANGE, "calendar", "description").policy is Policy.ASK
    assert (rows["employees"].authority, rows["employees"].direction) == (Authority.SERVER, Direction.UP)
    assert (rows["comments"].private, rows["planned"].private) == ("", None)


def test_the_servers_names_and_ours_may_both_be_used() -> None:
    renamed = SMALL.replace(
        "<recurrence_patterns>",
        '<server><name field="owner" as="Primary Owner Id"/><extra field="Region"/>'
        '<value field="type" ours="To Do" as="Task"/></server><recurrence_patterns>',
    )
    one = read(renamed)
    other = read(
        renamed.replace('activity="owner"', 'activity="Primary Owner Id"')
        .replace("<field>owner</field>", "<field>Primary Owner Id</field>")
        .replace('rule field="owner"', 'rule field="Primary Owner Id"')
        .replace("<value>To Do</value>", "<value>Task</value>")
        .replace('<default field="type">To Do', '<default field="type">Task')
    )
    assert one == other
    names = one.names  # type: ignore[attr-defined]
    assert (names.fields, names.values) == ({"owner": "Primary Owner Id"}, {"type": {"To Do": "Task"}})
    with_extra = read(renamed.replace('condition field="type"', 'condition field="Region"'))
    assert with_extra.types[0].filter.conditions == (Condition("Region", Comparison.EQ, ("To Do",)),)  # type: ignore[attr-defined]


PRESETS = """<filters>
  <preset name="mine" default="true">
    <record type="contact">
      <group link="or">
        <condition field="team" comparison="eq" function="me"/>
        <condition field="account" comparison="in"><value>a-1</value><value>a-2</value></condition>
      </group>
    </record>
    <record type="activity"><condition field="type" comparison="eq"><value>To Do</value></condition></record>
  </preset>
</filters></mapping>"""


def test_presets_are_views_of_groups_and_conditions() -> None:
    (preset,) = read(SMALL.replace("</mapping>", PRESETS)).presets  # type: ignore[attr-defined]
    (group,) = preset.view.filters["contact"].conditions
    me, accounts = group.conditions
    assert (preset.name, preset.default, group.link) == ("mine", True, "or")
    assert me == Condition("team", Comparison.EQ, (), "me")
    assert accounts == Condition("account", Comparison.IN, ("a-1", "a-2"))
    assert set(preset.view.filters) == {"contact", "activity"}


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('field="team"', 'field="taem"', 'unknown field "taem" of the record type contact; did you mean "team"?'),
        ('field="type"', 'field="tpye"', 'unknown activity field "tpye"; did you mean "type"?'),
        ('type="contact"', 'type="contcat"', 'did you mean "contact"?'),
        ('function="me"', 'function="you"', 'choose one of: "me"'),
        ('function="me"', 'functoin="me"', 'did you mean "function"?'),
        ('comparison="in"', 'comparison="eq"', '"eq" needs exactly one value, not 2'),
        (' function="me"', "", '"eq" needs exactly one value, not 0'),
        ('type="activity"', 'type="contact"', "two filters are given to the record type"),
    ],
)
def test_a_wrong_preset_is_refused_with_its_line(right: str, wrong: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(SMALL.replace("</mapping>", PRESETS.replace(right, wrong, 1)))
    assert words in refused.value.what


def test_the_siebel_mapping_names_every_field() -> None:
    fields = shipped("siebel").names.fields
    chosen = ("integration_id", "owner", "planned", "planned_completion", "display_in")
    assert [fields[f] for f in chosen] == [
        "CRMD Integration Id",
        "Primary Owner Id",
        "Planned",
        "Planned Completion",
        "Display In",
    ]


def test_the_digest_follows_the_meaning() -> None:
    def digest(text: str) -> str:
        return parse(text.encode(), SCHEMA, "m.xml").digest

    base = digest(SMALL)
    assert digest(SMALL.replace("<types>", "<!-- hello -->\n<types>").replace('name="small"', 'name="other"')) == base
    for old, new in (
        ("<field>description</field>\n     <field>owner</field>", "<field>owner</field><field>description</field>"),
        ('policy="server"', 'policy="pim"'),
        ('server="Low"', 'server="Lower"'),
        ('unit="day"', 'unit="week"'),
        ('converter="text"', 'converter="text" private="Busy"'),
    ):
        assert digest(SMALL.replace(old, new)) != base, new


def test_rules_settle_policies_in_order() -> None:
    text = SMALL.replace(
        '<conflicts default="ask">', '<conflicts default="pim"><rule type="todo" field="priority" policy="ask"/>'
    )
    assert policies(text) == [Policy.PIM, Policy.ASK, Policy.SERVER]
    assert policies(SMALL.replace("<rule field", '<rule type="todo" policy="pim"/><rule field')) == [Policy.PIM] * 3


def policies(text: str) -> list[Policy]:
    rules = conflicts(text)
    return [rules.settle(Conflict.CHANGE, "todo", name).policy for name in ("description", "priority", "owner")]


def conflicts(text: str) -> Rules:
    found = read(text)
    assert isinstance(found, Mapping)
    return found.conflicts


def test_deletions_and_duplicates_are_settled_by_rules_that_name_them_alone() -> None:
    rules = conflicts(SMALL.replace('<conflicts default="ask">', '<conflicts default="server" loser="copy">'))
    assert rules.settle(Conflict.CHANGE, "todo", "description").policy is Policy.SERVER
    assert rules.settle(Conflict.DELETE, "todo").policy is Policy.ASK
    assert rules.settle(Conflict.DUPLICATE, "todo", "description").policy is Policy.ASK
    assert rules.settle(Conflict.CHANGE, "todo", "owner").loser is Loser.COPY


def test_no_copy_is_kept_of_an_email() -> None:
    """Mail is only ever read; a rule that would write some is refused, not ignored."""
    text = (FOLDER / "default.xml").read_text()
    rule = '<conflicts><rule type="email" conflict="delete" policy="server" loser="copy"/>'
    with pytest.raises(ConfigError, match="no copy can be kept of an email: mail is only read"):
        read(text.replace('<conflicts default="ask" loser="discard">', rule))
    read(text.replace('<conflicts default="ask" loser="discard">', rule.replace("email", "todo")))
