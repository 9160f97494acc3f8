"""A sender of a few lines, by the standard library: one connection, `begun` before the data go out."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Mapping
from email.message import EmailMessage

from syncengine.config import Config
from syncengine.errors import Unreachable
from syncengine.model.outbound import Email, Outcome, Reply, Request, Verdict


class SmtpSender:
    """Implements `ports.Sender`."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self._connection = smtplib.SMTP(host, port, local_hostname="worker.test", timeout=20)
            self._connection.ehlo()
        except OSError as e:
            raise Unreachable("The mail server does not answer.") from e

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        content = request.content
        assert isinstance(content, Email)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "me@example.com", ", ".join(content.to), content.subject
        message["Message-ID"] = request.message_id
        message.set_content(content.text)
        self._connection.mail("me@example.com")
        for address in content.to:
            self._connection.rcpt(address)
        begun()
        code, text = self._connection.data(message.as_bytes())
        return Outcome(Verdict.SENT if code == 250 else Verdict.LATER, text.decode())

    def close(self) -> None:
        self._connection.close()


def open_sender(config: Config, profile: str) -> SmtpSender:
    host, _, port = config.profiles[0].smtp.removeprefix("smtp://").rpartition(":")
    return SmtpSender(host, int(port))
