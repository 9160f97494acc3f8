"""Files of the messages read last: a message is read once, to tell of it and to upload what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from syncengine.core.mime.decompose import Part

MOST = 32_000_000
"""Bytes that are kept. What is no longer there is read again."""
Place = tuple[str, str]


class Recent:
    """Places are (mailbox, href). The message that was put last is kept, however large."""

    def __init__(self) -> None:
        self._files: dict[Place, Mapping[str, bytes]] = {}
        self._bytes = 0

    def put(self, place: Place, files: Iterable[Part]) -> None:
        self._drop(place)
        self._files[place] = {part.attachment.digest: part.content for part in files}
        self._bytes += _size(self._files[place])
        while self._bytes > MOST and len(self._files) > 1:
            self._drop(next(iter(self._files)))

    def get(self, place: Place) -> Mapping[str, bytes] | None:
        """Digest → content of each file; None where the message has to be read."""
        return self._files.get(place)

    def _drop(self, place: Place) -> None:
        self._bytes -= _size(self._files.pop(place, {}))


def _size(files: Mapping[str, bytes]) -> int:
    return sum(map(len, files.values()))
