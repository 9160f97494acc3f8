"""An alarm sent as an email, over a connection nobody can read along."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from syncengine.errors import ConfigError, LoginRefused, SideError, Unreachable, log_in_anew
from syncengine.model.alarm import Message

SECONDS = 30.0
PORTS = {"smtp": 587, "smtps": 465}
ACCOUNT = "alarm"


class Mailer:
    """`url`: smtps://host[:port] for TLS from the beginning, smtp://host[:port] for STARTTLS, without which nothing is
    said to another machine. `verify`: the path of a certificate file for a server of your own. `secret` is asked for
    when it is needed. Raises ConfigError for what is no address."""

    def __init__(
        self,
        url: str,
        sender: str,
        to: str,
        username: str = "",
        secret: Callable[[], str] | None = None,
        *,
        verify: str = "",
        timeout: float = SECONDS,
    ) -> None:
        self._parts, self._sender, self._to = _checked(url), sender, to
        self._username, self._secret, self._verify, self._timeout = username, secret, verify, timeout
        self._where = f"{self._parts.scheme}://{self._parts.netloc}"

    def tell(self, message: Message) -> None:
        """Raises SideError, of its own kind where the login is refused."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self._sender, self._to, message.subject
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="syncengine.invalid")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: nobody answers it by itself
        mail.set_content(message.text)
        self._ask(lambda server: server.send_message(mail))

    def log_in(self) -> None:
        """Only try whether the server lets us in. Raises like `tell`."""
        self._ask(lambda server: server.noop())

    def _ask(self, question: Callable[[smtplib.SMTP], object]) -> None:
        try:
            with self._connected() as server:
                if self._secret is not None:
                    server.login(self._username, self._secret())
                question(server)
        except smtplib.SMTPAuthenticationError:
            raise LoginRefused(
                "The mail server for alarms refused the user name or password.",
                where=self._where,
                fix=log_in_anew(ACCOUNT),
            ) from None
        except smtplib.SMTPNotSupportedError as e:
            raise SideError(f"The mail server for alarms cannot do this: {e}", where=self._where) from None
        except smtplib.SMTPResponseException as e:
            raise SideError(f"The mail server for alarms refused it ({e.smtp_code}).", where=self._where) from None
        except smtplib.SMTPRecipientsRefused:
            raise SideError("The mail server for alarms refused the recipient.", where="[alarm] email") from None
        except ssl.SSLError as e:
            raise SideError(f"No encrypted connection could be made ({e.reason}).", where=self._where) from None
        except (OSError, smtplib.SMTPException, UnicodeError) as e:
            raise Unreachable(
                f"The mail server for alarms cannot be used ({type(e).__name__}).",
                where=self._where,
                fix="Check the network and [alarm] smtp.",
            ) from None

    def _connected(self) -> smtplib.SMTP:
        host, port = self._parts.hostname or "", self._parts.port or PORTS[self._parts.scheme]
        context = ssl.create_default_context(cafile=self._verify or None)
        if self._parts.scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=context)
        server = smtplib.SMTP(host, port, timeout=self._timeout)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not _is_loopback(host):
                raise SideError(
                    "The mail server for alarms offers no encryption.", where=self._where, fix="Use smtps://…"
                )
        except BaseException:
            server.close()
            raise
        return server


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or "@" in url:
        raise ConfigError(
            "This is not the address of a mail server.",
            where="[alarm] smtp",
            fix="Write smtps://host or smtp://host:587; user name and password have their own settings.",
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
