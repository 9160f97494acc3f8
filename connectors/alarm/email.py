"""An alarm sent as an email, over a connection nobody can read along."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from connectors.mail_server import SECONDS, MailServer
from syncengine.core.outbound.place import SMTP, Place, place
from syncengine.errors import ConfigError, SideError
from syncengine.model.alarm import Message

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
        self._sender, self._to = sender, to
        self._server = MailServer(
            _checked(url),
            "The mail server for alarms",
            ACCOUNT,
            "[alarm] smtp",
            username,
            secret,
            verify=verify,
            timeout=timeout,
        )

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
        with self._server.explained(), self._server.smtp() as server:
            try:
                question(server)
            except smtplib.SMTPRecipientsRefused:
                raise SideError("The mail server for alarms refused the recipient.", where="[alarm] email") from None


def _checked(url: str) -> Place:
    try:
        return place(url, SMTP)
    except ValueError:
        raise ConfigError(
            "This is not the address of a mail server.",
            where="[alarm] smtp",
            fix="Write smtps://host or smtp://host:587; user name and password have their own settings.",
        ) from None
