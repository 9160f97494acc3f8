"""Workflow policies on the command line (POL-1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.desk import ME, Desk

POLICIES = """<policies>
  <policy name="New call" group="calls" record="activity">
    <condition comparison="is added"/>
    <condition field="type" comparison="eq" value="Call"/>
    <send-email><to relation="owner"/><subject>New: {{ record.description }}</subject><text>-</text></send-email>
  </policy>
  <policy name="Waits" group="waits" record="activity" duration="2 h">
    <condition field="status" comparison="eq" value="On Hold"/>
    <send-page><to relation="contacts-of-nobody"/><text>x</text></send-page>
  </policy>
</policies>
"""


@pytest.fixture
def served(desk: Desk) -> Desk:
    """A desk with policies, whose monitor has run once."""
    with desk.config.open("a", encoding="utf-8") as file:
        file.write('\n[policies]\npath = "rules.xml"\n')
    write(desk, POLICIES.replace("contacts-of-nobody", "owner"))
    assert desk.good("policies", "run").out.startswith("calls: 0 changes read, 0 occasions, 0 requests")
    return desk


def write(desk: Desk, text: str) -> Path:
    path = desk.config.parent / "rules.xml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_checked_with_every_mistake_at_its_line(served: Desk) -> None:
    assert served.good("policies", "check", "--json").json == {
        "policies": ["New call", "Waits"],
        "groups": ["calls", "waits"],
    }
    wrong = write(served, POLICIES.replace('field="type"', 'field="typ"'))
    done = served.do("policies", "check", str(wrong))
    assert done.code == 2
    assert 'rules.xml:4: unknown field "typ" of the record type activity; did you mean "type"?' in done.err
    assert 'rules.xml:9: <to relation="contacts-of-nobody"> is not allowed' in done.err
    assert served.do("policies", "run").code == 2


def test_the_shipped_example_is_right(desk: Desk) -> None:
    example = Path(__file__).parents[2] / "mappings" / "policies.xml"
    assert "3 policies in 2 groups: sales, service" in desk.good("policies", "check", str(example)).out


def test_a_change_is_acted_on_once_and_told_of(served: Desk) -> None:
    made = served.add(description="Ring them", type="Call", status="On Hold")
    (asked,) = served.good("policies", "replay", "--last", "1h", "--json").json["would"]
    assert asked["requests"] == [{"kind": "email", "what": f"email to {ME}: New: Ring them"}]
    ran = served.good("policies", "run", "--json").json
    assert [r["what"] for r in ran["calls"]["requests"]] == [f"email to {ME}: New: Ring them"]
    assert (ran["waits"]["changes"], ran["waits"]["requests"]) == (1, [])
    assert served.good("policies", "run", "calls", "--json").json["calls"]["requests"] == []

    calls, waits = served.good("policies", "list", "--json").json
    assert (calls["acted"], calls["waiting"], waits["acted"], waits["waiting"]) == (1, 0, 0, 1)
    first, second = served.good("policies", "explain", "activity", made, "--json").json
    assert [c["holds"] for c in first["conditions"]] == [True, True]
    assert first["last_acted"] is not None
    assert (second["matches"], second["last_acted"]) == (True, None)
    assert second["acts"] > second["waiting_since"]
    said = served.good("policies", "explain", "activity", made).out
    assert "Waits: matches; it acts at" in said
    assert "yes  status eq On Hold (it is 'On Hold')" in said
    assert "New call" in served.good("policies", "list").out


def test_a_replay_writes_nothing(served: Desk) -> None:
    served.add(description="Ring them", type="Call")
    for _ in range(2):
        done = served.good("policies", "replay", "--last", "1h", "--policy", "New call")
        assert "1 times since" in done.out
        assert "Nothing was asked for." in done.out
    assert served.good("policies", "replay", "--since", "2999-01-01T00:00:00Z", "--json").json["would"] == []
    assert len(served.good("policies", "run", "--json").json["calls"]["requests"]) == 1


def test_a_policy_that_was_stopped_or_could_not_ask_ends_with_exit_code_1(served: Desk) -> None:
    write(
        served,
        POLICIES.replace("contacts-of-nobody", "owner").replace(
            '<to relation="owner"/><s', '<to relation="contacts"/><s'
        ),
    )
    served.good("policies", "run")
    served.add(description="Ring them", type="Call")
    done = served.do("policies", "run")
    assert done.code == 1
    assert "could not ask: New call: " in done.out
    assert "nobody has an address: contacts" in served.good("policies", "list").out


@pytest.mark.parametrize(
    "words",
    [
        ("run", "call"),
        ("explain", "activity", "nothing"),
        ("explain", "activty", "x"),
        ("replay",),
        ("replay", "--last", "7 years"),
        ("replay", "--since", "yesterday"),
        ("replay", "--last", "7d", "--since", "2026-01-01T00:00:00Z"),
        ("replay", "--last", "7d", "--policy", "New cal"),
        ("check", "nothing.xml"),
    ],
)
def test_who_is_named_and_not_there_is_a_wrong_command_line(served: Desk, words: tuple[str, ...]) -> None:
    assert served.do("policies", *words).code == 2


def test_without_policies_it_says_how_to_configure_them(desk: Desk) -> None:
    done = desk.do("policies", "list")
    assert done.code == 2
    assert "[policies]" in done.err


def test_check_finds_the_mistakes_of_the_policies_too(served: Desk) -> None:
    assert "rules.xml" in served.good("check").out
    write(served, POLICIES.replace('field="type"', 'field="typ"'))
    done = served.do("check")
    assert (done.code, 'unknown field "typ"' in done.err) == (2, True)


def test_a_wrong_template_is_called_so_once(served: Desk) -> None:
    wrong = write(served, POLICIES.replace("<text>-", "<text>{{ record.description|uper }}"))
    said = served.do("policies", "check", str(wrong)).err
    assert said.count("cannot be used") == 1
    assert """there is no filter 'uper'; did you mean "upper"?; correct it""" in said
