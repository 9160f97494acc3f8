"""Connections to mail servers: encrypted or not at all, logged in, and never waited for without end.

Common to whatever speaks to one: the alarm, and the communication profiles by SMTP and POP3.
"""

from __future__ import annotations

import base64
import io
import poplib
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from syncengine.core.outbound.place import Place
from syncengine.core.outbound.replies import CLOSING
from syncengine.core.printable import one_line
from syncengine.errors import LoginRefused, SideError, Unreachable, log_in_anew
from syncengine.model.profile import Offer

SECONDS = 30.0
"""Of silence before a connection counts as broken."""
MOST_ANSWER = 256 * 1024
"""Bytes of one answer of a server's."""


@dataclass(frozen=True)
class MailServer:
    """name: in messages, such as `The mail server for alarms`. account: what `syncengine login` calls it. setting:
    where its address stands. username: empty for no login; `secret` is asked for when it is needed; with `oauth2` it is
    an access token. verify: the file with the certificates to trust, instead of the machine's. patience: seconds that
    one step may take in all, however lively the server is meanwhile."""

    place: Place
    name: str
    account: str = ""
    setting: str = ""
    username: str = ""
    secret: Callable[[], str] | None = field(default=None, repr=False)
    oauth2: bool = False
    verify: str = ""
    timeout: float = SECONDS
    patience: float = 10 * SECONDS

    def smtp(self) -> SmtpConnection:
        """A connection for mail, encrypted and logged in. Raises LoginRefused, Unreachable, SideError."""
        with self.explained():
            server = SmtpConnection(self)
            try:
                server.encrypt()
                server.log_in()
            except BaseException:
                server.close()
                raise
            return server

    def pop3(self) -> Offer:
        """Log in to the mailbox, and out again. Raises LoginRefused, Unreachable, SideError."""
        with self.explained():
            server = _Pop3(self)
            try:
                server.encrypt()
                offer = _pop3_offer(server)
                if self.secret is not None:
                    _pop3_login(self, server)
                    offer = replace(offer, messages=server.stat()[0])
                server.quit()
            finally:
                with suppress(OSError):  # of a line that broke
                    server.close()
            return offer

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What goes wrong before a message is begun, in plain words; none of the secrets is in them."""
        try:
            yield
        except smtplib.SMTPAuthenticationError as e:
            raise self._refused(e.smtp_code, e.smtp_error) from None
        except smtplib.SMTPNotSupportedError as e:
            raise self.failed(f"{self.name} cannot do this: {one_line(str(e))}") from None
        except smtplib.SMTPResponseException as e:
            raise self._answered(e) from None
        except poplib.error_proto as e:
            raise self.failed(f"{self.name} refused it: {_pop3_words(e)}") from None
        except ssl.SSLError as e:
            raise self.untrusted(e) from None
        except (OSError, smtplib.SMTPException, UnicodeError) as e:
            raise self.unreachable(e) from None

    def failed(self, what: str, fix: str = "") -> SideError:
        return SideError(what, where=str(self.place), fix=fix)

    def untrusted(self, error: ssl.SSLError) -> SideError:
        why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
        return self.failed(
            f"No encrypted connection could be made ({why}).",
            "Check the name of the server, and whether its certificate is valid; one that nobody else trusts can be "
            "named in the setting certificate of a profile.",
        )

    def unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"{self.name} cannot be used ({type(error).__name__}).",
            where=str(self.place),
            fix=f"Check the network and {self.setting}." if self.setting else "Check the network.",
        )

    def no_encryption(self) -> SideError:
        return self.failed(f"{self.name} offers no encryption.", f"Use {self.place.scheme.rstrip('s')}s://…")

    def context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.verify or None)
        except FileNotFoundError:
            raise self.failed(f"There is no certificate file {self.verify!r}.") from None

    def _refused(self, code: int, text: bytes | str) -> SideError:
        if 400 <= code < 500:  # RFC 4954 6: 454, a temporary failure
            return self._busy(code, _words(text))
        return LoginRefused(
            f"{self.name} refused the user name or password ({code}).",
            where=str(self.place),
            fix=log_in_anew(self.account),
        )

    def _answered(self, error: smtplib.SMTPResponseException) -> SideError:
        words = _words(error.smtp_error)
        if error.smtp_code == CLOSING or not 500 <= error.smtp_code < 600:
            return self._busy(error.smtp_code, words)
        return self.failed(f"{self.name} refused it ({error.smtp_code} {words}).")

    def _busy(self, code: int, words: str) -> Unreachable:
        return Unreachable(f"{self.name} takes nothing now ({code} {words}).", where=str(self.place))


class SmtpConnection(smtplib.SMTP):
    """smtplib's, with an end to every wait, and without a way to speak in the clear to another machine."""

    def __init__(self, server: MailServer, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server, self._monotonic, self._silence = server, monotonic, server.timeout
        self.until = monotonic() + server.patience
        super().__init__(server.place.host, server.place.port, timeout=server.timeout)

    def allow(self, seconds: float, *, silence: float = 0.0) -> None:
        """From now on, all that follows may take so long, and the server may be silent for `silence`, or as always."""
        self.until, self._silence = self._monotonic() + seconds, silence or self._server.timeout

    def pour(self, piece: bytes) -> None:
        """Part of a message. Raises OSError; an answer that came meanwhile can still be read."""
        if self.sock is None:
            raise ConnectionError("the connection is closed")
        self.sock.settimeout(self._left())
        self.sock.sendall(piece)

    @property
    def encrypted_by(self) -> str:
        """Empty in the clear."""
        return (self.sock.version() or "") if isinstance(self.sock, ssl.SSLSocket) else ""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        if not self._server.place.tls_at_once:
            return plain
        try:
            return self._server.context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(_Timed(self.sock, self._left))
        if isinstance(self.file, io.BufferedReader) and isinstance(self.file.raw, _Timed):
            self.file.raw.budget = MOST_ANSWER
        return super().getreply()

    def send(self, s: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._left())
        super().send(s)

    def encrypt(self) -> None:
        """By STARTTLS, unless it is so from the beginning."""
        self.ehlo_or_helo_if_needed()
        if self._server.place.tls_at_once:
            return
        if self.has_extn("starttls"):
            self.starttls(context=self._server.context())
            self.ehlo_or_helo_if_needed()
        elif not self._server.place.on_this_machine:
            raise self._server.no_encryption()

    def log_in(self) -> None:
        server = self._server
        if server.secret is None:
            return
        secret = server.secret()
        offered = self.esmtp_features.get("auth", "").upper().split()
        if server.oauth2:
            self._take(("XOAUTH2", f"user={server.username}\1auth=Bearer {secret}\1\1"))
        elif "PLAIN" in offered:  # smtplib's own takes passwords in ASCII only; RFC 4616 says UTF-8
            self._take(("PLAIN", f"\0{server.username}\0{secret}"))
        else:
            self.login(server.username, secret)

    def _take(self, initial: tuple[str, str]) -> None:
        mechanism, words = initial
        if mechanism not in self.esmtp_features.get("auth", "").upper().split():
            raise self._server.failed(
                f"{self._server.name} takes no login by {mechanism}.", "Check auth in the profile."
            )
        code, said = self.docmd("AUTH", f"{mechanism} {base64.b64encode(words.encode()).decode()}")
        if code == 334:  # the reason of a refused token, to be answered before it is said (RFC 7628 3.2.3)
            code, said = self.docmd("")
        if code not in (235, 503):
            raise smtplib.SMTPAuthenticationError(code, said)

    def offer(self) -> Offer:
        """What the server says it can do, and how the line is encrypted."""
        size = self.esmtp_features.get("size", "").strip()
        return Offer(
            tls=self.encrypted_by,
            size=int(size) if size.isdecimal() and int(size) else None,
            smtputf8=self.has_extn("smtputf8"),
            dsn=self.has_extn("dsn"),
            auth=tuple(dict.fromkeys(self.esmtp_features.get("auth", "").upper().split())),
        )

    def _left(self) -> float:
        """Seconds that the next read or write may take. Raises TimeoutError when there are none."""
        left = self.until - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._silence)


class _Timed(io.RawIOBase):
    """Reads from a socket, each time for at most as long as is left, and no more than `budget` bytes."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock, self._left, self.budget = sock, left, MOST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.budget <= 0:
            raise ConnectionError("the server said too much")
        self._sock.settimeout(self._left())
        count = self._sock.recv_into(buffer, min(len(buffer), self.budget))
        self.budget -= count
        return count


class _Pop3(poplib.POP3):
    """poplib's, with an end to every wait."""

    def __init__(self, server: MailServer) -> None:
        self._until, self._server = time.monotonic() + server.patience, server
        super().__init__(server.place.host, server.place.port, timeout=server.timeout)

    def _create_socket(self, timeout: float) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout)
        if not self._server.place.tls_at_once:
            return plain
        try:
            return self._server.context().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def encrypt(self) -> None:
        """By STLS, unless it is so from the beginning."""
        if self._server.place.tls_at_once:
            return
        if "STLS" in _capabilities(self):
            self.stls(self._server.context())
        elif not self._server.place.on_this_machine:
            raise self._server.no_encryption()

    def _getline(self) -> tuple[bytes, int]:
        if not isinstance(getattr(self.file, "raw", None), _Timed):
            self.file.close()
            self.file = io.BufferedReader(_Timed(self.sock, self._left))
        return super()._getline()  # type: ignore[misc, no-any-return]

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._server.timeout)


def _pop3_login(server: MailServer, connection: _Pop3) -> None:
    secret = server.secret() if server.secret else ""
    try:
        if server.oauth2:
            words = base64.b64encode(f"user={server.username}\1auth=Bearer {secret}\1\1".encode()).decode()
            _pop3_token(connection, words)
        else:
            connection.encoding = "utf-8"
            connection.user(server.username)
            connection.pass_(secret)
    except poplib.error_proto as e:
        words = _pop3_words(e)
        if "SYS/TEMP" in words or "IN-USE" in words:  # RFC 3206, RFC 2449
            raise Unreachable(f"{server.name} takes nothing now ({words}).", where=str(server.place)) from None
        raise LoginRefused(
            f"{server.name} refused the user name or password.",
            where=str(server.place),
            fix=log_in_anew(server.account),
        ) from None


def _pop3_token(connection: _Pop3, words: str) -> None:
    answer = connection._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # 255 octets a line (RFC 2449 4)
    if answer.startswith(b"+"):
        answer = connection._shortcmd(words)  # type: ignore[attr-defined]
        if answer.startswith(b"+ "):  # the reason of a refusal, to be answered before it is said
            connection._shortcmd("")  # type: ignore[attr-defined]


def _pop3_offer(connection: _Pop3) -> Offer:
    offered = _capabilities(connection)
    tls = connection.sock.version() or "" if isinstance(connection.sock, ssl.SSLSocket) else ""
    return Offer(tls=tls, auth=tuple(offered.get("SASL", ())), uidl="UIDL" in offered)


def _capabilities(connection: _Pop3) -> dict[str, list[str]]:
    try:
        return {name.upper(): words for name, words in connection.capa().items()}
    except poplib.error_proto:
        return {}


def _pop3_words(error: poplib.error_proto) -> str:
    return _words(error.args[0] if error.args else "")


def _words(text: bytes | str) -> str:
    return one_line(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))[:300]
