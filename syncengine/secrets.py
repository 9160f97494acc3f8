"""Passwords and tokens: where the configuration says they are, got when a connector needs them, and never printed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from syncengine.errors import ConfigError, log_in_anew

_COMMAND_SECONDS = 60
_SERVICE = "syncengine"
"""Under which the system keyring keeps what is ours."""


@dataclass(frozen=True)
class Secret:
    """A password or token: given, or where to get it (`command`, `env`, `keyring`). account: what `syncengine login`
    calls it: a PIM's name, or `server`."""

    source: str
    value: str | tuple[str, ...] = field(repr=False)
    where: str = ""
    account: str = ""

    def get(self) -> str:
        """The secret itself. Raises ConfigError, never naming it."""
        return _SECRETS[self.source](self)

    @property
    def is_ours(self) -> bool:
        """Whether it is kept for this program alone, in the system keyring."""
        return self.source == "keyring"

    def remember(self, text: str) -> None:
        """Keep it in the system keyring, from where `get` then has it. Raises ConfigError, never naming it."""
        import keyring  # noqa: PLC0415 - slow to import

        with _words(self):
            keyring.set_password(_SERVICE, str(self.value), text)
            kept = keyring.get_password(_SERVICE, str(self.value)) == text
        if not kept:  # keyring's null backend takes everything and keeps nothing
            raise _no_keyring(self)

    def forget(self) -> bool:
        """Delete it from the system keyring. False: it is not there. Raises ConfigError, never naming it."""
        return self.is_ours and _forget_in_keyring(self)


def in_keyring(account: str, where: str) -> Secret:
    """The secret of that account as the system keyring keeps it where the configuration gives it no other name."""
    return Secret("keyring", account, where, account)


def _from_command(secret: Secret) -> str:
    command = [str(part) for part in secret.value]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as e:
        raise ConfigError(
            f"The command for the secret failed ({type(e).__name__}).",
            where=secret.where,
            fix=f'Try it by hand: "{command[0]} …" must print the secret and nothing else.',
        ) from None
    return done.stdout.rstrip("\r\n")


def _from_environment(secret: Secret) -> str:
    name = str(secret.value)
    if not (value := os.environ.get(name)):
        raise ConfigError(f"The environment variable {name} is not set.", where=secret.where, fix="Set it.")
    return value


def _from_keyring(secret: Secret) -> str:
    import keyring  # noqa: PLC0415 - slow to import

    with _words(secret):
        value = keyring.get_password(_SERVICE, str(secret.value))
    if value is None:
        raise ConfigError(
            f"The system keyring holds nothing under {secret.value!r}.",
            where=secret.where,
            fix=log_in_anew(secret.account),
        )
    return value


def _forget_in_keyring(secret: Secret) -> bool:
    import keyring  # noqa: PLC0415 - slow to import

    with _words(secret, fix=f'Delete it by hand: "keyring del {_SERVICE} {secret.value}".'):
        if keyring.get_password(_SERVICE, str(secret.value)) is None:
            return False
        keyring.delete_password(_SERVICE, str(secret.value))
    return True


@contextmanager
def _words(secret: Secret, fix: str = "") -> Iterator[None]:
    """What goes wrong with the system keyring, in plain words."""
    import keyring.errors  # noqa: PLC0415 - slow to import

    try:
        yield
    except keyring.errors.NoKeyringError:
        raise _no_keyring(secret) from None
    except Exception as e:  # backends raise what their desktops do; only keyring's own words are known to be harmless
        words = str(e) if isinstance(e, keyring.errors.KeyringError) and str(e) else type(e).__name__
        raise ConfigError(
            f"The system keyring cannot be used: {words}.",
            where=secret.where,
            fix=fix or f"Unlock it, or give the secret in another way: {_otherwise(secret)}.",
        ) from None


def _no_keyring(secret: Secret) -> ConfigError:
    return ConfigError(
        "This machine has no system keyring that keeps anything; machines without a desktop seldom have one.",
        where=secret.where,
        fix=f"Give the secret in another way: {_otherwise(secret)}.",
    )


def _otherwise(secret: Secret) -> str:
    setting, name = secret.where.rpartition(".")[2], secret.account or str(secret.value)
    variable = "".join(c if c.isascii() and c.isalnum() else "_" for c in f"syncengine_{name}").upper()
    quoted = json.dumps(name, ensure_ascii=False)
    return f'{setting} = {{ command = ["pass", {quoted}] }}, or {setting} = {{ env = "{variable}" }}'


_SECRETS = {
    "text": lambda secret: str(secret.value),
    "command": _from_command,
    "env": _from_environment,
    "keyring": _from_keyring,
}
