"""What can go wrong, as values a person can act on.

Every error says *what* happened, *where*, and how to *fix* it, and knows whether trying again later may help.
The class decides how far the error reaches: an `ItemError` concerns one item and the run goes on;
every other kind ends the run with the exit code it carries.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong with one item, kept in reports (SYN-3)."""

    what: str
    where: str
    fix: str


class SyncEngineError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns; `retry` tells whether
    the same call may succeed later without anybody mending anything."""

    exit_code = 1
    retry = False

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)

    @property
    def problem(self) -> Problem:
        return Problem(self.what, self.where, self.fix)


class ItemError(SyncEngineError):
    """One item, activity or file cannot be processed; the others go on."""


class NotThere(ItemError):
    """The named item is not there (any more). On a command line: it names something unknown, and nothing was done."""

    exit_code = 2


class AlreadyThere(ItemError):
    """A create met something under the same href or UID. Never retried blindly: look, then plan again."""


class ChangedMeanwhile(ItemError):
    """The item is no longer the one the write was planned on (RFC 9110 412). Read again, plan again, never loop."""


class ConfigError(SyncEngineError):
    """Configuration, mapping or command line is wrong: nothing was started."""

    exit_code = 2


class Stopped(SyncEngineError):
    """A brake stopped the run, or it waits for a person's confirmation. Nothing was deleted."""

    exit_code = 3


class SideError(SyncEngineError):
    """A side as a whole cannot be used now. `retry_after`: seconds it asked to be left alone (RFC 9110 10.2.3)."""

    exit_code = 4

    def __init__(self, what: str, *, where: str = "", fix: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.retry_after = retry_after


class Unreachable(SideError):
    """No answer, a broken connection, or a server error: trying again later may help."""

    retry = True


class LoginRefused(SideError):
    """The side refused the user's credentials."""


def log_in_anew(name: str) -> str:
    """How to give the password or token of the PIM of this name, or of the `server`, once more."""
    return f'Enter it anew with "syncengine login {name}".' if name else "Enter it anew."


class Vanished(SideError):
    """The collection or database that was there is not there any more. Never taken for 'everything was deleted'."""


class StorageError(SideError):
    """Our own state cannot be read or written (disk full, newer version, damaged)."""


class UnderWay(StorageError):
    """Another process is at work on this state; its turn ends by itself."""

    retry = True


class NotNow(SyncEngineError):
    """What was asked for cannot be done as things are, and nothing was changed."""


class Withdrawn(SyncEngineError):
    """A request is another batch's by now: this one must not send it."""
