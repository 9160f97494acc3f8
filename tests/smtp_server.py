"""A mail server for the tests (aiosmtpd, in a thread), which behaves as badly as a test wants."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD, TOKEN = "me", "geheim-ü", "token-geheim"


@dataclass
class Arrived:
    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class Behaviour:
    """answers: to `RCPT TO` by address, to `MAIL` and to `DATA` (`END`) under these words; each time the first of the
    list, until one is left. drop: the step at which the line is cut, `RCPT`, `DATA` (before the message), `MIDDLE`,
    `END` (it has the whole message, and says nothing), `RSET`. drip: seconds between the bytes of the greeting to EHLO.
    waits: told before the last answer."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    drop: str = ""
    drip: float = 0.0
    dsn: bool = False
    waits: Callable[[], None] = lambda: None

    def answer(self, step: str, otherwise: str = "") -> str:
        left = self.answers.get(step)
        if not left:
            return otherwise
        return left.pop(0) if len(left) > 1 else left[0]


class _Handler:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, answers: list[str]) -> Any:
        session.host_name = hostname
        self.sink.greeted += 1
        return [*answers[:-1], "250-DSN", answers[-1]] if self.sink.behaviour.dsn else answers

    async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:
        if base64.b64decode(args[1]).decode() == f"user={USER}\1auth=Bearer {TOKEN}\1\1":
            return AuthResult(success=True, auth_data=USER)
        await server.push("334 eyJzdGF0dXMiOiI0MDEifQ==")  # {"status":"401"}
        assert await server._reader.readline() == b"\r\n"
        return AuthResult(success=False, handled=False)

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self.sink.behaviour.answer("MAIL", "250 OK")
        if answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.sink.behaviour.drop == "RCPT":
            server.transport.abort()
        answer = self.sink.behaviour.answer(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_RSET(self, server: Any, session: Any, envelope: Any) -> str:
        if self.sink.behaviour.drop == "RSET":
            server.transport.abort()
        self.sink.resets += 1
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.sink.behaviour.waits()
        answer = self.sink.behaviour.answer("END", "250 OK queued")
        if answer.startswith("2"):
            self.sink.arrived.append(Arrived(envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
            self.sink.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self.sink.behaviour.drop == "END":
            server.transport.abort()
        return answer


class _Server(SMTP):
    sink: Sink

    async def smtp_DATA(self, arg: str) -> None:
        behaviour = self.sink.behaviour
        if behaviour.drop == "DATA":
            self.transport.abort()
            return
        if answer := behaviour.answer("DATA"):
            await self.push(answer)
            return
        if behaviour.drop == "MIDDLE":
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)

    async def smtp_MAIL(self, arg: str) -> None:
        self.sink.commands.append(f"MAIL {arg}")
        words = (arg or "").split(" ")
        await super().smtp_MAIL(" ".join(w for w in words if not w.startswith(("RET=", "ENVID="))))

    async def smtp_RCPT(self, arg: str) -> None:
        self.sink.commands.append(f"RCPT {arg}")
        words = (arg or "").split(" ")
        await super().smtp_RCPT(" ".join(w for w in words if not w.startswith(("NOTIFY=", "ORCPT="))))

    async def push(self, status: Any) -> None:
        drip = self.sink.behaviour.drip
        if not drip:
            await super().push(status)
            return
        for byte in status if isinstance(status, bytes) else str(status).encode():
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(drip)


class Sink(Controller):
    """starttls, at_once: how the line is encrypted, if it is. login: demands one."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        at_once: bool = False,
        login: bool = False,
        utf8: bool = True,
        most: int | None = 30_000_000,
        host: str = "127.0.0.1",
    ) -> None:
        self.behaviour, self.login, self.utf8, self.most = Behaviour(), login, utf8, most
        self.arrived: list[Arrived] = []
        self.commands: list[str] = []
        self.encrypted: list[bool] = []
        self.greeted = self.resets = 0
        self.starttls = None if at_once else context
        super().__init__(_Handler(self), host, _free_port(), ssl_context=context if at_once else None)

    def stop(self, no_assert: bool = False) -> None:
        """As often as one likes."""
        if not self.loop.is_closed():
            super().stop(no_assert)

    @property
    def url(self) -> str:
        return f"{'smtps' if self.ssl_context else 'smtp'}://{self.hostname}:{self.port}"

    def factory(self) -> SMTP:
        server = _Server(
            self.handler,
            data_size_limit=self.most,
            enable_SMTPUTF8=self.utf8,
            tls_context=self.starttls,
            require_starttls=self.starttls is not None,
            authenticator=_authenticate if self.login else None,
            auth_required=self.login,
            auth_require_tls=not self.login or self.starttls is not None,
        )
        server.sink = self
        return server


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sinks() -> Iterator[Callable[..., Sink]]:
    """Makes servers, which end with the test."""
    running: list[Sink] = []

    def start(**options: Any) -> Sink:
        running.append(Sink(**options))
        running[-1].start()
        return running[-1]

    yield start
    for sink in running:
        sink.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """Of localhost, signed by itself: its file, and what a server needs of it."""
    assert shutil.which("openssl")
    folder: Path = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return str(folder / "cert.pem"), context
