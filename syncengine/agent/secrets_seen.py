"""Whether a secret that was refused is another one now, without keeping it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from syncengine.errors import ConfigError
from syncengine.secrets import Secret


class SecretsSeen:
    """Keeps digests under a key that this process alone has."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._seen: dict[str, bytes] = {}

    def remember(self, name: str, secrets: Sequence[Secret]) -> None:
        self._seen[name] = self._digest(secrets)

    def differ(self, name: str, secrets: Sequence[Secret]) -> bool:
        return self._seen.get(name) != self._digest(secrets)

    def _digest(self, secrets: Sequence[Secret]) -> bytes:
        found = hashlib.blake2b(key=self._key)
        for secret in secrets:
            try:
                text = secret.get()
            except ConfigError:
                text = ""
            found.update(hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest())
        return found.digest()
