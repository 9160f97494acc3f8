"""IMAP IDLE: a connection of its own on which the server tells at once of messages that come or go (RFC 2177)."""

from __future__ import annotations

from connectors.imap import quirks
from connectors.imap.wire import Refused, Wire
from syncengine.errors import NotThere, SideError, Unreachable

_FOLDER = "INBOX"


class ImapWatch:
    """Implements `ports.Watch` for one folder of an account. Settings as of `mailbox.ImapMailbox`."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        folder: str = _FOLDER,
        auth: str = "password",
        timeout: float = 60.0,
        verify: bool | str = True,
        allow_plain: bool = False,
    ) -> None:
        self._wire = Wire(url, username, password, auth=auth, timeout=timeout, verify=verify, allow_plain=allow_plain)
        self._folder, self._lost, self._closed = folder, False, False

    def wait(self, seconds: float) -> bool:
        """A connection that broke may have missed something: that counts as news once there is one again."""
        if self._lost:
            self._reconnect()
            return True
        try:
            found = self._wire.idle(self._folder, min(seconds, quirks.IDLE_SECONDS))
        except Refused as e:
            raise SideError(f"The folder {self._folder!r} cannot be watched.", where=self._wire.url) from e
        except Unreachable:
            self._lost = True
            if self._closed:
                return False
            raise
        if found is None:
            raise NotThere("The server does not tell of new messages.", where=self._wire.url, fix="It is asked.")
        return found

    def _reconnect(self) -> None:
        try:
            self._wire.examine(self._folder, anew=True)
        except Refused as e:
            raise SideError(f"The folder {self._folder!r} cannot be watched.", where=self._wire.url) from e
        self._lost = False

    def close(self) -> None:
        self._closed = True
        self._wire.abandon()
