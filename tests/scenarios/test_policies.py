"""Every story about workflow policies comes true (POL-1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.bootstrap.scenario import play_scenario

FILES = sorted((Path(__file__).parents[2] / "fixtures" / "scenarios" / "policies").glob("*.toml"))
POLICY = """
policies = '''
<policies><policy name="p" record="activity"><condition comparison="is added"/>
<send-email><to relation="owner"/><subject>S</subject><text>T</text></send-email></policy></policies>'''
"""
ADDS = '[[step]]\nadds = { name = "a", description = "A" }\n'


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_story(file: Path) -> None:
    verdict = play_scenario(file)
    assert verdict.failure == "", f"{verdict.scenario.story}\n{verdict.failure}"
    assert verdict.scenario.requirements == ("POL-1",)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("monitors = { asks = [] }", "1 requests are asked for, not 0: ['email to one@example.com: S']"),
        ('monitors = { asks = [{ subject = "X" }] }', "subject of the request is 'S', not 'X'"),
        ('monitors = { asks = [{ page = "one" }] }', "has no page"),
        ('monitors = { asks = [{}], stopped = ["x"] }', "stopped is [], not ['x']"),
        ('monitors = { asks = [{}], faults = ["x"] }', "faults is [], not ['x']"),
        ('says_policy = { activity = "a", policy = "p", waiting = true }', "waiting is False, not True"),
        ('says_policy = { activity = "a", policy = "q" }', "no such policy"),
        ("replays = { last = 10, asks = [] }", "1 requests are asked for, not 0"),
        ('edits_policies = [["nothing", "x"]]', "the policies do not hold 'nothing'"),
    ],
)
def test_a_story_that_does_not_come_true_says_why(tmp_path: Path, steps: str, words: str) -> None:
    file = tmp_path / "untrue.toml"
    file.write_text(f'story = "Untrue"\n{POLICY}{ADDS}[[step]]\n{steps}\n', encoding="utf-8")
    assert words in play_scenario(file).failure
