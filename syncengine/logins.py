"""Which secrets a person can log in with, and whether one works."""

from __future__ import annotations

from dataclasses import replace

from syncengine.bootstrap import is_remote, mailer, open_server
from syncengine.bootstrap.pims import open_pim
from syncengine.bootstrap.senders_email import log_in
from syncengine.config import ALARM, SERVER, Config
from syncengine.config.pagers import PagerConfig
from syncengine.config.profiles import POP3_LOGIN, ProfileConfig
from syncengine.errors import ConfigError
from syncengine.model.pim import Kind
from syncengine.secrets import Secret, in_keyring
from syncengine.services.sync.greeting import check_user


def account(config: Config, name: str) -> Secret:
    """The secret a login is about, as the configuration names it; one in the keyring where it names none.
    Raises ConfigError where there is nothing to log in to."""
    if name == SERVER:
        if not is_remote(config):
            raise ConfigError(
                "The activity server is a database; no token is needed for it.",
                where="[server] url",
                fix="A password of PostgreSQL belongs into the file ~/.pgpass, or into url.",
            )
        return config.server.token or in_keyring(name, "server.token")
    if name == ALARM and config.alarm and config.alarm.smtp:
        return config.alarm.password or in_keyring(name, "alarm.password")
    if profile := _profile(config, name):
        return profile.login(name)
    if pager := next((p for p in config.pagers if p.name == name), None):
        return pager_secret(pager)
    pim = next((p for p in config.pims if p.name == name), None)
    if pim is None:
        raise _unknown(config, name)
    if not pim.url:
        raise ConfigError(f"The PIM {name!r} is a folder; no password is needed for it.", where=str(config.path))
    return pim.password or in_keyring(name, f"pim[{name}].password")


def pager_secret(pager: PagerConfig) -> Secret:
    """Raises ConfigError where there is none."""
    if not pager.secret_setting:
        raise ConfigError(
            f"The pager service {pager.name!r} has no secret of its own.",
            where=f"pager[{pager.name}]",
            fix="Log in to its communication profile.",
        )
    return pager.secret or in_keyring(pager.name, f"pager[{pager.name}].{pager.secret_setting}")


def _profile(config: Config, name: str) -> ProfileConfig | None:
    """The communication profile a name is about: its own, or that of its POP3 mailbox."""
    return next(
        (p for p in config.profiles if name == p.name or (name == p.name + POP3_LOGIN and p.pop3)),
        None,
    )


def _unknown(config: Config, name: str) -> ConfigError:
    profiles = {secret.account for p in config.profiles for secret in p.secrets}
    names = [*(p.name for p in config.pims if p.url), *sorted(profiles)]
    known = ", ".join([*names, *([SERVER] if is_remote(config) else [])])
    return ConfigError(
        f"There is no PIM named {name!r}, and no communication profile.",
        where=str(config.path),
        fix=f"You can log in to {known}." if known else "Nothing in this configuration needs a login.",
    )


def try_login(config: Config, name: str, secret: str) -> None:
    """Log in for once with this password or token. Raises LoginRefused, SideError, ConfigError."""
    if any(p.name == name for p in config.pagers):
        raise ConfigError(
            "The secret of a pager service cannot be tried without a page.",
            where=f"pager[{name}]",
            fix=f'Keep it with --no-check, and say "syncengine pager test {name} --page EMPLOYEE".',
        )
    given = Secret("text", secret, account=name)
    if name == SERVER:
        server = open_server(replace(config, server=replace(config.server, token=given)))
        try:
            check_user(server.greet(), server.directory(), config.user.employee)
        finally:
            server.close()
        return
    if name == ALARM and config.alarm:
        mailer(replace(config.alarm, password=given)).log_in()
        return
    if profile := _profile(config, name):
        pop3 = name != profile.name
        tried = replace(profile, pop3_password=given) if pop3 else replace(profile, password=given)
        log_in(tried, pop3=pop3)
        return
    pim = open_pim(replace(next(p for p in config.pims if p.name == name), password=given))
    try:
        if Kind.EMAIL in pim.kinds:  # known without asking
            pim.changes(None)
    finally:
        pim.close()
