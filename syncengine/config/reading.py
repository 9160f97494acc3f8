"""Reading one table of the configuration, value by value; what is wrong is collected, not raised."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from syncengine.secrets import Secret

T = TypeVar("T")


def hint(word: str, known: Iterable[str]) -> str:
    """How to go on after a word that is none of the known ones: the nearest of them, or all."""
    known = list(known)
    near = difflib.get_close_matches(word, known, 1)
    return f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"


@dataclass
class Table:
    """where: what the table is called in a fault, such as `profile[support]`. faults: added to by whatever reads."""

    where: str
    values: Mapping[str, Any]
    faults: list[str]

    def only(self, known: Collection[str]) -> None:
        """Nothing but these settings may be there."""
        for name in self.values:
            if name not in known:
                self.faults.append(f"{self.where}.{name} is not a setting; {hint(name, known)}")

    def text(self, name: str, otherwise: str = "") -> str:
        value = self.values.get(name, otherwise)
        return value if isinstance(value, str) else self._wrong(name, "a text", otherwise)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name, [])
        right = isinstance(value, list) and all(isinstance(v, str) for v in value)
        return tuple(value) if right else self._wrong(name, "a list of texts", ())

    def count(self, name: str, otherwise: int, *, least: int = 0, most: int) -> int:
        value = self.values.get(name, otherwise)
        right = type(value) is int and least <= value <= most
        return value if right else self._wrong(name, f"a whole number from {least} to {most}", otherwise)

    def seconds(self, name: str, otherwise: float, *, most: float) -> float:
        value = self.values.get(name, otherwise)
        right = type(value) in (int, float) and 0 < value <= most
        return float(value) if right else self._wrong(name, f"seconds, more than 0, at most {most:g}", otherwise)

    def word(self, name: str, known: Collection[str], otherwise: str) -> str:
        value = self.text(name, otherwise)
        if value not in known:
            self.faults.append(f"{self.where}.{name}: {value!r} is not known; {hint(value, known)}")
            return otherwise
        return value

    def secret(self, name: str, account: str) -> Secret | None:
        """A password or token, or where it is; `account` is what `syncengine login` calls it."""
        value = self.values.get(name)
        if value is None:
            return None
        if not is_secret(value):
            return self._wrong(name, "a secret", None)
        return secret_of(value, f"{self.where}.{name}", account)

    def _wrong(self, name: str, kind: str, otherwise: T) -> T:
        self.faults.append(f"{self.where}.{name} must be {kind}")
        return otherwise


def is_secret(value: object) -> bool:
    """A text, or a table that says where it is."""
    if isinstance(value, str):
        return True
    if not isinstance(value, dict) or len(value) != 1:
        return False
    source, content = next(iter(value.items()))
    if source == "command":
        return isinstance(content, list) and bool(content) and all(isinstance(c, str) for c in content)
    return source in ("env", "keyring") and isinstance(content, str)


def secret_of(value: Any, where: str, account: str) -> Secret:
    """Of what `is_secret`."""
    if isinstance(value, str):
        return Secret("text", value, where, account)
    source, content = next(iter(value.items()))
    return Secret(source, tuple(content) if isinstance(content, list) else content, where, account)
