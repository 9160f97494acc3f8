"""Templates: what they may say, what they say when they are wrong, and that no template costs more than its share."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from syncengine.core.outbound.dates import Dates
from syncengine.core.outbound.template import MOST_SHOWN, check, has_places, render
from syncengine.errors import ItemError

DATES = Dates("%d.%m.%Y", "%d.%m.%Y %H:%M", ZoneInfo("Europe/Berlin"))
VALUES: dict[str, Any] = {
    "subject": "Pump <3>",
    "due": "2026-03-04T23:30:00Z",
    "day": date(2026, 3, 4),
    "moment": datetime(2026, 3, 4, 23, 30, tzinfo=UTC),
    "count": 3,
    "owner": None,
    "done": False,
    "account": {"name": "Ada & Co", "items": "bolts"},
    "records": [{"id": "a1", "subject": "one"}, {"id": "a2", "subject": "two"}],
    "parts": ["a", "<b>"],
}


def text(template: str, *, html: bool = False) -> str:
    return render(template, VALUES, DATES, html=html)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ subject }} of {{ account.name }}", "Pump <3> of Ada & Co"),
        ("{{ account.items }} {{ account['name'] }}", "bolts Ada & Co"),
        ("{{ due }} {{ day }} {{ moment }}", "05.03.2026 00:30 04.03.2026 05.03.2026 00:30"),
        ("{{ due|date('%A %H.%M') }}{{ owner|date }}", "Thursday 00.30"),
        ("[{{ owner }}] {{ done }} {{ count + 1 }} {{ 7 // 2 }} {{ 1 / 4 }}", "[] no 4 3 0.25"),
        ("{{ nothing|default('-') }}{{ owner|default('nobody') }}", "-nobody"),
        ("{{ 'many' if count > 2 else 'few' }}", "many"),
        ("{% if 'Pump' in subject and not done %}yes{% endif %}", "yes"),
        ("{{ parts|join(', ') }} {{ parts|length }} {{ parts|first }} {{ parts|last }}", "a, <b> 2 a <b>"),
        ("{{ subject|upper|truncate(5) }} {{ ' x '|trim }} {{ 2.345|round(1) }}", "PUMP… x 2.3"),
        ("{{ 'a' ~ count ~ subject|replace('Pump', 'Tank') }}", "a3Tank <3>"),
        ("{# nothing #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ zz is defined }} {{ owner is none }} {{ count is odd }}", "no yes yes"),
    ],
)
def test_a_template_says_what_it_means(template: str, shown: str) -> None:
    assert text(template) == shown


def test_a_section_repeats_for_each_record() -> None:
    template = (
        "{{ records|length }} visits\n"
        "{% for r in records %}\n"
        "{{ loop.index }}. {{ r.subject }} ({{ r.id }})\n"
        "{% else %}\n"
        "none\n"
        "{% endfor %}\n"
        "bye"
    )
    assert text(template) == "2 visits\n1. one (a1)\n2. two (a2)\nbye"


@pytest.mark.parametrize(
    "template",
    [
        "{{ subject }}",
        "{{ 'x' ~ subject }}",
        "{{ subject|upper|lower }}",
        "{{ [subject]|join }}",
        "{{ subject + '' }}",
        "{{ subject|replace('P', '<') }}",
        "{{ subject|truncate(7) }}",
        "{{ nothing|default(subject) }}",
        "{{ subject|lines|first }}",
    ],
)
def test_in_html_no_value_makes_markup(template: str) -> None:
    shown = text(f"<p>{template}</p>", html=True)
    assert shown.startswith("<p>")
    assert shown.count("<") == 2
    assert "&lt;" in shown
    assert "&amp;" not in shown, "escaped once"


@pytest.mark.parametrize(
    ("template", "what", "where"),
    [
        ("a\nb {{ subjekt }}", "did you mean subject?", "line 2"),
        ("{{ account.nam }}", "did you mean name?", "line 1"),
        ("{% for r in records %}\n{{ r.subjct }}\n{% endfor %}", "did you mean subject?", "line 2"),
        ("{% for r in recrds %}{% endfor %}", "did you mean records?", "line 1"),
        ("\n\n{{ subject|uper }}", 'did you mean "upper"?', "line 3"),
        ("{% if count is ood %}{% endif %}", 'did you mean "odd"?', "line 1"),
        ("x\n{% if count %}", "Unexpected end", "line 2"),
        ("x\n{{ 1 / 0 }}", "zero", "line 2"),
        ("x\n{{ 1 + 'a' }}", "numbers", "line 2"),
        ("{{ records }}", "shown by a loop", "line 1"),
        ("{{ due|date('%Q') }}", "no format of a date", "line 1"),
        ("{{ subject|date }}", "for dates", "line 1"),
        ("{% for c in subject %}{% endfor %}", "goes through a list", "line 1"),
    ],
)
def test_a_wrong_template_says_what_and_where(template: str, what: str, where: str) -> None:
    with pytest.raises(ItemError) as refused:
        text(template)
    assert what in refused.value.what
    assert refused.value.where == where


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ subject.__class__.__mro__ }}",
        "{{ account.__init__ }}",
        "{{ subject.upper() }}",
        "{{ subject.upper }}",
        "{{ records.append(1) }}",
        "{{ self }}",
        "{{ self.__dict__ }}",
        "{{ lipsum }}",
        "{{ cycler }}",
        "{{ range }}",
        "{{ range(3) }}",
        "{{ subject|attr('upper') }}",
        "{{ subject|safe }}",
        "{{ subject|map('upper') }}",
        "{{ subject[0:2] }}",
        "{% set x = 1 %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% macro m() %}{% endmacro %}",
        "{% filter upper %}x{% endfilter %}",
        "{% with x = 1 %}{% endwith %}",
        "{% for r in records recursive %}{% endfor %}",
        "{% for r in records %}{{ loop }}{% endfor %}",
        "{% for r in records %}{{ loop.cycle }}{% endfor %}",
        "{{ 'counted turns' | counted }}",
    ],
)
def test_what_is_not_listed_has_no_place_in_a_template(template: str) -> None:
    with pytest.raises(ItemError):
        text(template)


def test_a_template_can_be_checked_before_there_are_values() -> None:
    check("{{ anything.at_all }} {% for r in records %}{{ r|upper }}{% endfor %}")
    for wrong in ("{{ x", "{{ x|uper }}", "{% set x = 1 %}", "{{ x() }}", "x" * 70_000, "{{ " + "(" * 9_000 + " }}"):
        with pytest.raises(ItemError):
            check(wrong)
    assert [has_places(one) for one in ("plain", "{{ x }}", "{% if x %}{% endif %}")] == [False, True, True]


# --- attacks ---------------------------------------------------------------------------------------------------------

RECORDS = "{% for a in records %}"
END = "{% endfor %}"
ATTACKS = {
    "a multiplied text": "{{ 'a' * 10**8 }}",
    "a multiplied text without a power": "{{ 'a' * 100000000 }}",
    "a multiplied list": "{{ ([1] * 100000000)|length }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "large numbers": "{{ 999999999999999 * 999999999999999 * 999999999999999 }}",
    "a number of many digits": "{{ " + "9" * 60000 + " }}",
    "a loop over a range": "{% for i in range(10000000000) %}{% endfor %}",
    "loops that show nothing": RECORDS * 4 + END * 4,
    "too many loops": RECORDS * 15 + END * 15,
    "loops that look": RECORDS * 3 + "{% if 'zz' in big %}{% endif %}" + END * 3,
    "loops that compare": RECORDS * 3 + "{{ big == big ~ 'x' }}" + END * 3,
    "loops with a condition": "{% for a in records if 'zz' in big or 'z' in big %}" * 2 + RECORDS * 2 + END * 4,
    "loops that show": RECORDS * 2 + "{{ big }}" + END * 2,
    "loops that show what is escaped": RECORDS * 2 + "{{ quotes }}" + END * 2,
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a wide format filter": "{{ '%1000000000d'|format(1) }}",
    "a method": "{{ '{:>1000000000}'.format(1) }}",
    "a wide date": "{{ '2026-03-04'|date('%1000000000Y') }}",
    "centering": "{{ 'a'|center(1000000000) }}",
    "indenting": "{{ 'a'|indent(1000000000) }}",
    "wrapping": "{{ big|wordwrap(1) }}",
    "replacing": "{{ big|replace('a', big)|replace('a', big) }}",
    "joining": "{{ records|join(big) }}",
    "joining texts": "{{ letters|join(big) }}",
    "doubling": "{{ " + "(" * 30 + "big" + " ~ big)" * 30 + " }}",
    "a text that is only measured": "{{ (big" + " ~ big" * 25 + ")|length }}",
    "a long sum of texts": "{{ big" + " ~ big" * 10_000 + " }}",
    "a long sum": "{{ 1" + " + 1" * 15_000 + " }}",
    "many filters": "{{ big" + "|upper" * 8_000 + " }}",
    "many parentheses": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "many signs": "{{ " + "-" * 60_000 + "1 }}",
    "many brackets": "{{ " + "[" * 20_000 + "]" * 20_000 + " }}",
    "many conditions": "{% if 1 %}" * 4_000 + "{% endif %}" * 4_000,
    "many looks": "{% if " + " or ".join(["'zz' in big"] * 4_000) + " %}{% endif %}",
    "many comparisons": "{{ " + "big == " * 8_000 + "1 }}",
    "a large template": "{{ subject }}" * 1_000_000,
    "many undefined names": "".join(f"{{{{ x{n}|default('') }}}}" for n in range(2_000)) + "{{ nope }}",
    "rounding": "{{ 5|round(-1000000000) }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "a loop that calls itself": "{% for r in records recursive %}{{ loop(records) }}{% endfor %}",
    "a broken tag, many times": "{% " * 20_000,
    "an open comment": "{#" * 30_000,
    "blanks": "{{" + " " * 65_000,
    "a text that never ends": "{{ '" + "\\" * 65_000,
}
REASONS = {
    "a power": "no place in a template",
    "a method": "a call has no place",
    "large numbers": "numbers up to",
    "loops that show nothing": "steps",
    "many comparisons": "steps",
    "loops that show": "its result is longer",
    "joining texts": "makes texts",
    "replacing": "makes texts",
    "a text that is only measured": "makes texts",
    "too many loops": "nested too deeply",
    "many looks": "nested too deeply",
    "a large template": "longer than",
}
"""Attack → which limit meets it first."""


@pytest.mark.parametrize("attack", REASONS)
def test_each_limit_holds_by_itself(attack: str) -> None:
    records = [{"id": str(n)} for n in range(1000)]
    values = {"subject": "x", "big": "a" * 1_000_000, "letters": list("abcdefghij") * 100, "records": records}
    with pytest.raises(ItemError, match=REASONS[attack]):
        render(ATTACKS[attack], values, Dates())


PROGRAM = """
import json, os, resource, sys
from syncengine.core.outbound.dates import Dates
from syncengine.core.outbound.template import render
from syncengine.errors import ItemError

def attacked(template, html):
    values = {
        "subject": "x",
        "big": "a" * 1_000_000,
        "quotes": "'" * 100_000,
        "letters": list("abcdefghij") * 100,
        "records": [{"id": str(n)} for n in range(1000)],
    }
    try:
        return ["shown", len(render(template, values, Dates(), html=html))]
    except ItemError as e:
        return ["refused", e.what]

for name, template in json.load(sys.stdin).items():
    for html in (False, True):
        if not (child := os.fork()):
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            print(json.dumps([name, *attacked(template, html)]), flush=True)
            os._exit(0)
        if status := os.waitpid(child, 0)[1]:
            print(json.dumps([name, "ended", status]), flush=True)
"""


def test_every_attack_ends_within_its_limits() -> None:
    """Each in a process of its own, which ends with a signal where it takes too much time or memory."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=json.dumps(ATTACKS), capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {name for name, _, _ in found} == set(ATTACKS), done.stderr[-2000:]
    ended = [line for line in found if line[1] == "ended"]
    assert ended == []
    assert [line for line in found if line[1] == "shown" and line[2] > MOST_SHOWN] == []
    assert [line for line in found if line[1] == "refused" and "Error" in line[2]] == [], "in plain words"
