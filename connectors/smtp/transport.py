"""Letters handed to a server by SMTP, several over one connection.

When something can have arrived: a server may throw away a message whose end it has not seen, and takes responsibility
only with its answer to the final dot (RFC 5321 4.1.1.4, 6.1). So `begun` is called when all but that dot has left, and
until then a broken connection is a failure like any other. After it, only an answer tells; without one the message is
possibly sent.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Mapping, Sequence

from connectors.mail_sender import Mailing
from connectors.mail_server import MailServer, SmtpConnection
from syncengine.core.outbound.address import Mailbox
from syncengine.core.outbound.message import NOTIFY
from syncengine.core.outbound.replies import CLOSING, Step, all_alike, reply
from syncengine.errors import LoginRefused, SideError, log_in_anew
from syncengine.model.outbound import Reply, Verdict
from syncengine.model.profile import Offer

LAST_ANSWER = 600.0
"""Seconds for the answer to the final dot: who gives up sooner sends twice (RFC 5321 4.5.3.2.6)."""
SLOWEST = 20_000
"""Octets a second: a connection that takes a message more slowly than this is broken off."""
_DOT = re.compile(rb"(?m)^\.")
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_BROKE = "the connection broke before the message was handed over"
_NO_LOGIN = frozenset({530, 534, 535, 538})


class SmtpTransport:
    """last_answer: seconds to wait for the final answer."""

    def __init__(self, server: MailServer, *, last_answer: float = LAST_ANSWER) -> None:
        self._server, self._last_answer = server, last_answer
        self._connection: SmtpConnection | None = None

    def ready(self) -> Offer:
        """A connection that was used before is reset, and made anew where it has ended meanwhile."""
        if self._connection and not self._reset(self._connection):
            self._drop()
        if self._connection is None:
            self._connection = self._server.smtp()
        return self._connection.offer()

    def deliver(self, mailing: Mailing, begun: Callable[[], None]) -> Mapping[str, Reply]:
        if self._connection is None:
            self.ready()
        assert self._connection is not None
        try:
            return self._converse(self._connection, mailing, begun)
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        if self._connection:
            try:
                self._connection.allow(5.0)
                self._connection.quit()
            except (OSError, smtplib.SMTPException):
                pass
            self._drop()

    def _reset(self, connection: SmtpConnection) -> bool:
        try:
            connection.allow(self._server.patience)
            connection.command_encoding = "ascii"
            return connection.rset()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _converse(self, connection: SmtpConnection, mailing: Mailing, begun: Callable[[], None]) -> Mapping[str, Reply]:
        connection.allow(self._server.patience + mailing.letter.size / SLOWEST)
        replies: dict[str, Reply] = {}
        try:
            if opened := self._open(connection, mailing):
                return all_alike(_addresses(mailing.recipients), opened)
            for recipient in mailing.recipients:
                replies[recipient.address] = self._name(connection, mailing, recipient)
            accepted = [address for address, one in replies.items() if one.verdict is Verdict.SENT]
            if accepted:
                replies |= all_alike(accepted, self._hand_over(connection, mailing, begun))
            return replies
        except (OSError, smtplib.SMTPException):
            self._drop()
            broke = Reply(Verdict.LATER, 0, _BROKE)
            settled = {address: one for address, one in replies.items() if one.verdict is not Verdict.SENT}
            return {**all_alike(_addresses(mailing.recipients), broke), **settled}

    def _open(self, connection: SmtpConnection, mailing: Mailing) -> Reply | None:
        """MAIL FROM. None: the sender is accepted."""
        sender = mailing.letter.sender
        code, text = connection.docmd("MAIL", f"FROM:<{sender}>{_parameters(connection, mailing)}")
        said = self._heard(Step.SENDER, code, text)
        return None if said.verdict is Verdict.SENT else said

    def _name(self, connection: SmtpConnection, mailing: Mailing, recipient: Mailbox) -> Reply:
        """RCPT TO."""
        code, text = connection.docmd("RCPT", f"TO:<{recipient.address}>{_reports(connection, mailing, recipient)}")
        return self._heard(Step.RECIPIENT, code, text)

    def _hand_over(self, connection: SmtpConnection, mailing: Mailing, begun: Callable[[], None]) -> Reply:
        code, text = connection.docmd("DATA")
        if code != 354:
            said = self._heard(Step.DATA, code, text)
            return said if said.verdict is not Verdict.SENT else Reply(Verdict.LATER, code, said.text)
        for piece in mailing.letter.pieces():
            if broken := self._pour(connection, _DOT.sub(b"..", piece)):
                return broken
        begun()
        return self._finish(connection)

    def _pour(self, connection: SmtpConnection, piece: bytes) -> Reply | None:
        """A server that ends the connection has sometimes said why."""
        try:
            connection.pour(piece)
        except OSError:
            try:
                said = self._heard(Step.END, *connection.getreply())
            except (OSError, smtplib.SMTPException):
                said = Reply(Verdict.LATER, 0, _BROKE)
            self._drop()
            return said if said.verdict is not Verdict.SENT else Reply(Verdict.LATER, said.code, said.text)
        return None

    def _finish(self, connection: SmtpConnection) -> Reply:
        connection.allow(self._last_answer, silence=self._last_answer)
        try:
            connection.pour(b".\r\n")
            code, text = connection.getreply()
        except (OSError, smtplib.SMTPException):
            code, text = 0, b""
        if code // 100 not in (2, 4, 5):
            self._drop()
            return Reply(Verdict.UNKNOWN, 0, "the mail server did not say whether it has taken the message")
        return self._heard(Step.END, code, text)

    def _heard(self, step: Step, code: int, text: bytes) -> Reply:
        """Raises SideError for what concerns all letters of the profile."""
        said = reply(step, code, text)
        if code == CLOSING or code < 200:
            self._drop()
        if said.verdict is not Verdict.STOP:
            return said
        if code in _NO_LOGIN:
            raise LoginRefused(
                f"{self._server.name} wants a login before it takes mail ({code} {said.text}).",
                where=str(self._server.place),
                fix=log_in_anew(self._server.account),
            )
        raise SideError(
            f"{self._server.name} refused the sender ({code} {said.text}).",
            where=str(self._server.place),
            fix="Check from in the profile: the server may let this login send as other addresses only.",
        )


def _addresses(recipients: Sequence[Mailbox]) -> list[str]:
    return [m.address for m in recipients]


def _parameters(connection: SmtpConnection, mailing: Mailing) -> str:
    found = []
    if connection.has_extn("size"):
        found.append(f"SIZE={mailing.letter.size}")
    if mailing.needs_utf8:
        connection.command_encoding = "utf-8"
        found += ["BODY=8BITMIME", "SMTPUTF8"]
    if mailing.notify and connection.has_extn("dsn"):
        found += ["RET=HDRS", f"ENVID={_xtext(mailing.envid)[:100]}"]
    return "".join(f" {word}" for word in found)


def _reports(connection: SmtpConnection, mailing: Mailing, recipient: Mailbox) -> str:
    """RFC 3461 4.1, 4.2."""
    wanted = [word.upper() for word in NOTIFY if word in mailing.notify]
    if not wanted or not connection.has_extn("dsn"):
        return ""
    original = "" if recipient.needs_utf8 else f" ORCPT=rfc822;{_xtext(recipient.address)}"
    return f" NOTIFY={','.join(wanted)}{original}"


def _xtext(text: str) -> str:
    """RFC 3461 4."""
    return _NOT_XTEXT.sub(lambda found: "".join(f"+{octet:02X}" for octet in found[0].encode()), text)
