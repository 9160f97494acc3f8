"""[[profile]]: the communication profiles, each a way by which messages leave and answers come in (OUT-1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.config.outbound import OutboundConfig
from syncengine.config.reading import Table, hint
from syncengine.core.outbound.address import mailbox
from syncengine.core.outbound.place import POP3, SMTP, place, sendmail_command
from syncengine.errors import ConfigError, ItemError
from syncengine.secrets import Secret, in_keyring

SECTION = "profile"
KNOWN = (
    "name",
    "from",
    "smtp",
    "username",
    "password",
    "auth",
    "certificate",
    "pop3",
    "pop3_username",
    "pop3_password",
    "per_minute",
    "max_message_mb",
)
AUTHS = ("password", "oauth2")
POP3_LOGIN = ".pop3"
"""What is added to a profile's name to log in to its POP3 mailbox, where that has a password of its own."""


@dataclass(frozen=True)
class ProfileConfig:
    """sender: the From address, bare or `Name <local@domain>`. smtp: `smtp://host`, `smtps://host`, or `sendmail:` with
    or without a path. auth: what the secrets are (one of AUTHS). certificate: a file with the certificates trusted
    instead of the machine's. pop3: `pop3s://host` or `pop3://host`, empty for none; its account and password are those
    of SMTP where it has none of its own. per_minute: messages; 0 for no limit. most_bytes: of one message."""

    name: str
    sender: str
    smtp: str = field(repr=False)
    username: str = ""
    password: Secret | None = None
    auth: str = AUTHS[0]
    certificate: str = ""
    pop3: str = field(default="", repr=False)
    pop3_username: str = ""
    pop3_password: Secret | None = None
    per_minute: int = 0
    most_bytes: int = 25_000_000

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return tuple(s for s in (self.password, self.pop3_password) if s is not None)

    @property
    def has_own_pop3_password(self) -> bool:
        return self.pop3_password is not None and self.pop3_password.account == self.name + POP3_LOGIN

    def login(self, name: str) -> Secret:
        """What `syncengine login` is about by this name; one in the keyring where the file names none."""
        if name.endswith(POP3_LOGIN) and name != self.name:
            own = self.pop3_password if self.has_own_pop3_password else None
            return own or in_keyring(name, f"{SECTION}[{self.name}].pop3_password")
        return self.password or in_keyring(name, f"{SECTION}[{self.name}].password")


def profile_named(profiles: Sequence[ProfileConfig], name: str, default: str) -> ProfileConfig:
    """The profile of exactly this name; the default one where it is empty. Raises ConfigError naming the near miss."""
    if not profiles:
        raise ConfigError(
            "No communication profile is configured.", fix="Add a [[profile]] with name, from and smtp to the file."
        )
    wanted = name or default or (profiles[0].name if len(profiles) == 1 else "")
    if not wanted:
        raise ConfigError(
            "None of the communication profiles is the default one.",
            where="[outbound] profile",
            fix=f"Name one of {', '.join(p.name for p in profiles)} there.",
        )
    for profile in profiles:
        if profile.name == wanted:
            return profile
    raise ConfigError(
        f"There is no communication profile {wanted!r}.",
        where="[[profile]]",
        fix=f"Names match exactly: {hint(wanted, [p.name for p in profiles])}",
    )


def read_profiles(
    raw: Mapping[str, Any], outbound: OutboundConfig, taken: Collection[str], path: Any, faults: list[str]
) -> tuple[ProfileConfig, ...]:
    """Of the whole file. taken: names that already mean something to log in to. path: makes a file's path absolute."""
    tables = raw.get(SECTION, [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        faults.append(f"{SECTION}: write each communication profile as [[{SECTION}]]")
        return ()
    found = [_profile(Table(f"{SECTION}[{t.get('name', n)}]", t, faults), path) for n, t in enumerate(tables, 1)]
    names = [login for p in found for login in (p.name, p.name + POP3_LOGIN)]
    for name in sorted({n for n in names if n and (names.count(n) > 1 or n in taken)}):
        faults.append(f"{SECTION}: the name {name!r} is used twice, or by something else one can log in to")
    if outbound.profile and outbound.profile not in names[::2]:
        faults.append(
            f"outbound.profile: there is no profile {outbound.profile!r}; {hint(outbound.profile, names[::2])}"
        )
    return tuple(found)


def _profile(table: Table, path: Any) -> ProfileConfig:
    table.only(KNOWN)
    name, smtp, pop3 = table.text("name"), table.text("smtp"), table.text("pop3")
    for setting in ("name", "from", "smtp"):
        if not table.values.get(setting):
            table.faults.append(f"{table.where}.{setting} is missing")
    _check_places(table, smtp, pop3)
    sender = table.text("from")
    try:
        sender and mailbox(sender)
    except ItemError as e:
        table.faults.append(f"{table.where}.from: {e.what}")
    profile = ProfileConfig(
        name=name,
        sender=sender,
        smtp=smtp,
        username=table.text("username"),
        password=table.secret("password", name),
        auth=table.word("auth", AUTHS, AUTHS[0]),
        certificate=path(table.text("certificate")) if table.text("certificate") else "",
        pop3=pop3,
        pop3_username=table.text("pop3_username") or table.text("username"),
        pop3_password=table.secret("pop3_password", name + POP3_LOGIN) or table.secret("password", name),
        per_minute=table.count("per_minute", 0, most=100_000),
        most_bytes=table.count("max_message_mb", 25, least=1, most=2_000) * 1_000_000,
    )
    _check_logins(table, profile)
    return profile


def _check_places(table: Table, smtp: str, pop3: str) -> None:
    for setting, url, ports, example in (
        ("smtp", smtp, SMTP, "smtp://host:587, smtps://host, or sendmail:"),
        ("pop3", pop3, POP3, "pop3s://host, or pop3://host:110"),
    ):
        if not url or (setting == "smtp" and sendmail_command(url).startswith("/")):
            continue
        try:
            place(url, ports)
        except ValueError:
            table.faults.append(
                f"{table.where}.{setting} is no address of such a server: write {example}; "
                "user name and password have their own settings"
            )


def _check_logins(table: Table, profile: ProfileConfig) -> None:
    """Who gives one of a user name and a password means both."""
    if bool(profile.username) != (profile.password is not None):
        table.faults.append(
            f"{table.where}.username and {table.where}.password belong together; write password = "
            f'{{ keyring = "{profile.name}" }} and give it with "syncengine login {profile.name}"'
        )
    if profile.pop3 and not (profile.pop3_username and profile.pop3_password):
        table.faults.append(f"{table.where}.pop3 needs pop3_username and pop3_password, or username and password")
