"""The shapes of requests and answers, as the API's description shows them. Unknown members are refused.

What is inside `values` is checked by `core.wire`, command by command, so one wrong value refuses its command only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from syncengine.core.activities import MAX_KEY_FIELDS, MAX_KEYS

MAX_COMMANDS = 500
MAX_IDS = 1000
MAX_PAGE = 1000

Id = Annotated[str, Field(min_length=1, max_length=500)]
Key = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]],
    Field(
        min_length=1,
        max_length=MAX_KEY_FIELDS,
        description="Names of fields, each once: the owner, the integration id or the description, and others.",
        examples=[["integration_id", "owner"]],
    ),
]
FieldValues = Annotated[
    dict[str, Any],
    Field(
        description="Field name → value. Times are RFC 3339 with an offset, all-day values dates, lists are lists, "
        "null empties a field.",
        examples=[{"description": "Site visit", "planned": "2026-03-02T08:00:00Z", "owner": "e-1"}],
    ),
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InsertIn(Strict):
    """Make an activity, unless one of the natural keys finds it already there."""

    kind: Literal["insert"]
    id: Id = Field(description="The command's id; the same id gets the same answer again.")
    activity_id: Id = Field(description="Chosen by the client.")
    values: FieldValues
    keys: list[Key] = Field(default=[], max_length=MAX_KEYS, description="Natural keys, tried in order.")
    origin: Literal["pim", "server"] = "pim"


class UpdateIn(Strict):
    """Set the given fields, if the activity still has the base version."""

    kind: Literal["update"]
    id: Id
    activity_id: Id
    base_version: int
    values: FieldValues


class DeleteIn(Strict):
    """Delete the activity, if it still has the base version."""

    kind: Literal["delete"]
    id: Id
    activity_id: Id
    base_version: int
    series: bool = False


class LeaveIn(Strict):
    """Leave the team and the participants."""

    kind: Literal["leave"]
    id: Id
    activity_id: Id


CommandIn = Annotated[InsertIn | UpdateIn | DeleteIn | LeaveIn, Field(discriminator="kind")]


class CommandsIn(Strict):
    commands: list[CommandIn] = Field(max_length=MAX_COMMANDS)


class FetchIn(Strict):
    ids: list[Id] = Field(max_length=MAX_IDS)


class MissingIn(Strict):
    digests: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(max_length=MAX_IDS)


class MissingOut(BaseModel):
    missing: list[str]
    most_bytes: int = Field(description="How large one content may be.")


class ActivityOut(BaseModel):
    """One activity; `version` grows with every stored change."""

    id: str
    version: int
    origin: Literal["pim", "server"]
    complete: bool
    provisional: bool = Field(description="Its values came from a guest's copy and nobody has confirmed them.")
    values: FieldValues


class ActivitiesOut(BaseModel):
    activities: list[ActivityOut]


class OutcomeOut(BaseModel):
    """What became of one command.

    stored: `activity` as it now is · linked: an insert met an existing activity by `key`, and the caller joined it ·
    outdated: it has another version, `activity`; nothing was changed · removed: it is deleted, or not the caller's to
    see · refused: `what` and `fix`; nothing was changed."""

    kind: Literal["stored", "linked", "outdated", "removed", "refused"]
    command_id: str
    activity: ActivityOut | None = None
    key: list[str] | None = None
    activity_id: str | None = None
    what: str | None = None
    fix: str | None = None


class OutcomesOut(BaseModel):
    outcomes: list[OutcomeOut] = Field(description="One for each command, in their order.")


class FeedOut(BaseModel):
    """`left`: activities that exist but are not the caller's to see any more."""

    changed: list[ActivityOut]
    deleted: list[str]
    left: list[str]
    token: str = Field(description="Pass it next time.")
    more: bool = Field(description="Ask again at once, with the token.")


class GreetingOut(BaseModel):
    identity: str = Field(description="Made once with the database; another one is another server.")
    user: str = Field(description="The caller's employee id.")
    generic_owner: str
    directory_version: int
    addresses: list[str] = Field(description="The caller's own, as the directory has them.")
    now: str | None = Field(default=None, description="What the server's clock says, RFC 3339.")


class EmployeeOut(BaseModel):
    id: str
    name: str
    addresses: list[str]
    user: bool


class ContactOut(BaseModel):
    id: str
    name: str
    addresses: list[str]
    account: str | None
    save_correspondence: bool
    team: list[str]


class AccountOut(BaseModel):
    id: str
    name: str
    team: list[str]


class OpportunityOut(BaseModel):
    id: str
    name: str
    account: str | None
    revenue: float | None
    contacts: list[str]
    team: list[str]


class RecordKeyOut(BaseModel):
    type: str
    id: str


class DirectoryOut(BaseModel):
    employees: list[EmployeeOut]
    contacts: list[ContactOut]
    accounts: list[AccountOut]
    opportunities: list[OpportunityOut]
    version: int
    incomplete: list[RecordKeyOut] = Field(description="Those to look at only.")


class ProblemOut(BaseModel):
    what: str
    where: str
    fix: str
