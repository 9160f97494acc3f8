"""Passwords and tokens: where the configuration says they are, got when a connector needs them, and never printed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field

from syncengine.errors import ConfigError

_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Secret:
    """A password or token: given, or where to get it (`command`, `env`, `keyring`)."""

    source: str
    value: str | tuple[str, ...] = field(repr=False)
    where: str = ""

    def get(self) -> str:
        """The secret itself. Raises ConfigError, never naming it."""
        return _SECRETS[self.source](self)

    @property
    def is_ours(self) -> bool:
        """Whether it is kept for this program alone, in the system keyring."""
        return self.source == "keyring"

    def forget(self) -> bool:
        """Delete it from the system keyring. False: it is not there. Raises ConfigError, never naming it."""
        return self.is_ours and _forget_in_keyring(self)


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
    import keyring.errors  # noqa: PLC0415

    try:
        value = keyring.get_password("syncengine", str(secret.value))
    except keyring.errors.KeyringError as e:
        raise ConfigError(
            f"The system keyring cannot be used: {e}.",
            where=secret.where,
            fix="Unlock or install a keyring, or give the secret by { command = […] } or { env = … }.",
        ) from e
    if value is None:
        raise ConfigError(
            f"The system keyring holds nothing under {secret.value!r}.",
            where=secret.where,
            fix=f'Store it with "keyring set syncengine {secret.value}".',
        )
    return value


def _forget_in_keyring(secret: Secret) -> bool:
    import keyring  # noqa: PLC0415 - slow to import
    import keyring.errors  # noqa: PLC0415

    try:
        if keyring.get_password("syncengine", str(secret.value)) is None:
            return False
        keyring.delete_password("syncengine", str(secret.value))
    except keyring.errors.KeyringError as e:
        raise ConfigError(
            f"The system keyring cannot be used: {e}.",
            where=secret.where,
            fix=f'Delete it by hand: "keyring del syncengine {secret.value}".',
        ) from e
    return True


_SECRETS = {
    "text": lambda secret: str(secret.value),
    "command": _from_command,
    "env": _from_environment,
    "keyring": _from_keyring,
}
