"""A page as a short email to an address made of the pager's number or PIN, such as `{number}@pager.example.com`.

It leaves by a communication profile: what that profile's sender says of the address is what is said of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from syncengine.core.outbound.paging import addressee, text_of
from syncengine.core.outbound.phone import within_country
from syncengine.errors import ItemError
from syncengine.model.directory import Pager, PagerType
from syncengine.model.outbound import Email, Outcome, Page, Reply, Request, Verdict
from syncengine.model.paging import GatewaySettings
from syncengine.ports import Sender

TAKES = frozenset({PagerType.ALPHANUMERIC, PagerType.NUMERIC, PagerType.MOBILE})
NUMBER, PIN = "{number}", "{pin}"


class GatewayPager:
    """Implements `ports.Sender`. sender: of the communication profile, closed with this one."""

    def __init__(self, settings: GatewaySettings, pager_of: Callable[[str], Pager | None], sender: Sender) -> None:
        self._settings, self._pager_of, self._sender = settings, pager_of, sender

    def send(self, request: Request, done: Mapping[str, Reply], begun: Callable[[], None]) -> Outcome:
        page = request.content
        assert isinstance(page, Page)
        try:
            pager = addressee(page, self._pager_of(page.employee), TAKES)
            address = self._address(pager)
        except ItemError as e:
            because = f"{e.what} {e.fix}".strip()
            return Outcome(Verdict.NEVER, because, {page.employee: Reply(Verdict.NEVER, 0, because)})
        known = {address: done[page.employee]} if page.employee in done else {}
        outcome = self._sender.send(self._as_email(request, page, pager, address), known, begun)
        # The address holds the number, which is nobody else's to read: the employee's id stands for it.
        reply = next(iter(outcome.replies.values()), None)
        return replace(outcome, replies={} if reply is None else {page.employee: reply})

    def close(self) -> None:
        self._sender.close()

    def _address(self, pager: Pager) -> str:
        """Raises ItemError."""
        number = within_country(pager.number, self._settings.dialling).replace(",", "")
        if PIN in self._settings.pattern and not pager.pin:
            raise ItemError("The employee's pager has no PIN, of which the address is made.", fix="Give it one.")
        return self._settings.pattern.replace(NUMBER, number.lstrip("+")).replace(PIN, pager.pin.replace(",", ""))

    def _as_email(self, request: Request, page: Page, pager: Pager, address: str) -> Request:
        text = page.digits if pager.type is PagerType.NUMERIC else text_of(page, self._settings.most)
        return replace(
            request,
            content=Email((address,), self._settings.subject, text),
            profile=self._settings.profile,
            message_id=request.message_id or f"<page.{request.id}@syncengine.invalid>",  # the same for every try
        )
