"""Files of messages are kept for a while, within bounds."""

from __future__ import annotations

from syncengine.core.mime.decompose import Part
from syncengine.services.sync.recent import MOST, Recent


def part(size: int) -> Part:
    return Part("a.bin", "application/octet-stream", b"x" * size)


def test_the_oldest_go_when_it_becomes_too_much() -> None:
    recent = Recent()
    for number in range(3):
        recent.put(("mail", str(number)), [part(MOST // 2)])
    assert [recent.get(("mail", str(n))) is not None for n in range(3)] == [False, True, True]


def test_the_last_message_is_kept_however_large() -> None:
    recent = Recent()
    recent.put(("mail", "small"), [part(10)])
    recent.put(("mail", "large"), [part(MOST + 1)])
    recent.put(("mail", "large"), [part(MOST + 1)])
    assert recent.get(("mail", "small")) is None
    assert recent.get(("mail", "large")) == {part(MOST + 1).attachment.digest: part(MOST + 1).content}
