"""What a person asks for: what can be known to be wrong is refused at once, while they look."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.outbound.address import mailbox
from syncengine.errors import NotThere
from syncengine.model.outbound import Email, Page, Request
from syncengine.ports import ActivityStore


def settled(store: ActivityStore, request: Request) -> Request:
    """The request with the employee of a page by id, whom an address may have named. Raises NotThere for an employee
    the directory does not know, ItemError for what is no address of mail."""
    content = request.content
    if isinstance(content, Page):
        return replace(request, content=replace(content, employee=employee_id(store, content.employee)))
    if isinstance(content, Email):
        for text in (*content.to, *content.cc, *content.bcc, *filter(None, [content.reply_to])):
            mailbox(text)
    return request


def employee_id(store: ActivityStore, named: str) -> str:
    """Of whom the directory knows by this id or address. Raises NotThere."""
    with store.transaction(write=False):
        directory = store.directory()
    found = directory.employee_by_id(named) or directory.employee(named)
    if found is None:
        raise NotThere(f"The directory knows no employee {named!r}.", fix="give an address or id of one")
    return found.id
