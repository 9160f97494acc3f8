"""The configured PIMs: what reads and writes each, and what notices changes there."""

from __future__ import annotations

from collections.abc import Callable

from syncengine.config import PimConfig
from syncengine.ports import Pim, Watch


def open_pim(config: PimConfig) -> Pim:
    return _CONNECTORS[config.connector](config)


def _vdir(config: PimConfig) -> Pim:
    from connectors.vdir.pim import VdirPim

    return VdirPim(config.path)


def _caldav(config: PimConfig) -> Pim:
    from connectors.caldav.pim import CaldavPim

    password = config.password.get() if config.password else ""
    return CaldavPim(config.url, config.username, password, scheduling=config.scheduling, account=config.name)


def _imap(config: PimConfig) -> Pim:
    from connectors.imap.mailbox import ImapMailbox

    secret = config.password.get() if config.password else ""
    return ImapMailbox(
        config.url,
        config.username,
        secret,
        folders=config.folders,
        since=config.since,
        auth=config.auth,
        account=config.name,
    )


def _eml(config: PimConfig) -> Pim:
    from connectors.eml.mailbox import EmlFolder

    return EmlFolder(config.path)


_CONNECTORS: dict[str, Callable[[PimConfig], Pim]] = {"vdir": _vdir, "caldav": _caldav, "imap": _imap, "eml": _eml}


def open_watch(config: PimConfig) -> Watch | None:
    """What notices changes in a PIM; None where it can only be asked. Raises ConfigError."""
    suffixes = {"vdir": ".ics", "eml": ".eml"}
    if config.connector in suffixes:
        from connectors.watching import watch_suffix

        return watch_suffix(config.path, suffixes[config.connector])
    if config.connector == "imap":
        from connectors.imap.watch import ImapWatch

        secret = config.password.get() if config.password else ""
        return ImapWatch(config.url, config.username, secret, folder=(*config.folders, "INBOX")[0], auth=config.auth)
    return None
