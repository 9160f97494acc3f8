"""Which secrets a person can log in with, and whether one works."""

from __future__ import annotations

from dataclasses import replace

from syncengine.bootstrap import is_remote, mailer, open_server
from syncengine.bootstrap.pims import open_pim
from syncengine.config import ALARM, SERVER, Config
from syncengine.config.pagers import PagerConfig
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
    if pager := next((p for p in config.pagers if p.name == name), None):
        return pager_secret(pager)
    pim = next((p for p in config.pims if p.name == name), None)
    if pim is None:
        known = ", ".join([*(p.name for p in config.pims if p.url), *([SERVER] if is_remote(config) else [])])
        raise ConfigError(
            f"There is no PIM named {name!r}.",
            where=str(config.path),
            fix=f"You can log in to {known}." if known else "Nothing in this configuration needs a login.",
        )
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
    pim = open_pim(replace(next(p for p in config.pims if p.name == name), password=given))
    try:
        if Kind.EMAIL in pim.kinds:  # known without asking
            pim.changes(None)
    finally:
        pim.close()
