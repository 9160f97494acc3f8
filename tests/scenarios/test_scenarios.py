"""Every story under `fixtures/scenarios` comes true, and together they cover the rules of synchronization (CON-2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.bootstrap.scenario import play_scenario
from syncengine.core.scenario import parse_scenario
from syncengine.errors import ConfigError

STORIES = Path(__file__).parents[2] / "fixtures" / "scenarios" / "sync"
FILES = sorted(STORIES.glob("*.toml"))

COVERED = [
    f"{rule}-{number}"
    for rule, numbers in {
        "ATT": [1],
        "ACT": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        "KEY": [1, 2, 3, 4, 5, 6, 7, 8],
        "OWN": [1, 2, 3, 4, 5, 6, 7, 8],
        "EML": [1, 2, 3, 4],
        "MID": [1, 5],
        "CAL": [1, 2, 3, 4, 5, 6, 7, 8],
        "TODO": [1],
        "FLD": [1],
        "PRV": [1],
        "CON": [1, 2],
        "SYN": [1, 2, 3, 4, 5],
        "MAP": [1],
        "REM": [1, 2],
        "REC": [1, 2, 3, 5, 6, 7],
        "VIS": [1, 2, 3, 4, 5, 6],
    }.items()
    for number in numbers
]
"""Rules that stories tell; the others are proved elsewhere."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_story(file: Path) -> None:
    verdict = play_scenario(file)
    assert verdict.failure == "", f"{verdict.scenario.story}\n{verdict.failure}"


@pytest.mark.parametrize("requirement", COVERED)
def test_requirement_has_a_story(requirement: str) -> None:
    told = {id_ for file in FILES for id_ in parse_scenario(file.read_text(encoding="utf-8"), str(file)).requirements}
    assert requirement in told


def test_no_two_stories_say_the_same_sentence() -> None:
    sentences = [parse_scenario(file.read_text(encoding="utf-8"), str(file)).story for file in FILES]
    assert len(set(sentences)) == len(sentences)


STORY = 'story = "A story"\n'
SYNC = '[[step]]\nuser = "one"\nsyncs = {}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("story = ", "not TOML"),
        (SYNC, "begins with a story"),
        (STORY, "at least one [[step]]"),
        (STORY + 'requirement = ["ACT-1"]\n' + SYNC, 'did you mean "requirements"?'),
        (STORY + '[[step]]\nuser = "one"\nsynchs = {}\n', 'step 1: "synchs" is not known; did you mean "syncs"?'),
        (STORY + SYNC + '[[step]]\nuser = "one"\n', "step 2: one verb is needed, there are 0"),
        (STORY + "[[step]]\nsyncs = {}\nsees = {}\n", "there are 2 (syncs, sees)"),
        (STORY + "[[step]]\nsyncs = { server_create = 1 }\n", 'did you mean "server_created"?'),
        (STORY + '[[step]]\nsaves = "lunch"\n', "step 1: saves is followed by a table"),
        (STORY + '[[step]]\nserver_count = "two"\n', "step 1: server_count is followed by a number"),
        (STORY + '[users.one]\nshare = ["todo"]\n' + SYNC, 'users.one: "share" is not known'),
    ],
)
def test_a_wrong_file_is_refused_in_plain_words(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        play_scenario(file)
    assert words in str(raised.value)
    assert raised.value.where == str(file)


def failure(tmp_path: Path, steps: str) -> str:
    file = tmp_path / "untrue.toml"
    file.write_text(STORY + steps, encoding="utf-8")
    return play_scenario(file).failure


LUNCH = 'saves = { uid = "lunch", summary = "Lunch", start = 2026-03-02T12:00:00Z, end = 2026-03-02T13:00:00Z }\n'


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("[[step]]\n" + LUNCH + "[[step]]\nsyncs = {}\n", "step 2: user one syncs: server_created is 1, not 0"),
        ("[[step]]\n" + LUNCH + "[[step]]\nsyncs = {}\n", "server created lunch (shared here, new to the server)"),
        ('[[step]]\nsay = "why"\nsees = { uid = "lunch" }\n', "step 1 (why): user one sees: the calendar has no item"),
        ("[[step]]\n" + LUNCH + '[[step]]\nsees = { uid = "lunch", summary = "Dinner" }\n', "'Lunch', not 'Dinner'"),
        ('[[step]]\nchanges = { summary = "Lunch" }\n', "the step does not say 'uid'"),
        ('[[step]]\nadds = { description = "Visit", refused = "never" }\n', "the story says it is refused: never"),
        ('[[step]]\nuser = "nobody"\nsyncs = {}\n', 'no employee with the id "nobody"'),
        ('[[step]]\nsyncs = { stopped = "6 of 8" }\n', "expected it to stop: 6 of 8, found no stop"),
        ("[[step]]\nserver_count = 1\n", "user one sees 0 activities, not 1"),
    ],
)
def test_a_story_that_does_not_come_true_says_where_and_why(tmp_path: Path, steps: str, words: str) -> None:
    assert words in failure(tmp_path, steps)
