"""What settles a conflict, as rules: those of a mapping file, and before them the answers a person wants remembered
(CON-1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Conflict(StrEnum):
    """What both sides disagree about. The value is the word mapping files use."""

    CHANGE = "change"  # a field was changed differently on both sides
    DELETE = "delete"  # deleted on one side, changed on the other: a matter of the whole record
    DUPLICATE = "duplicate"  # item and activity met for the first time, and both say something else


class Policy(StrEnum):
    """What settles a conflict."""

    ASK = "ask"
    SERVER = "server"
    PIM = "pim"
    MERGE = "merge"  # texts whose changes do not touch each other; what overlaps is asked
    NEWEST = "newest"  # by the stamps the two servers give; where they do not tell, it is asked


class Loser(StrEnum):
    """What becomes of the values that are not taken. They are in the history either way."""

    DISCARD = "discard"
    COPY = "copy"  # an entry of its own in the calendar


@dataclass(frozen=True, slots=True)
class Rule:
    """`type`: a type's name in the mapping, `field`: an activity field, `key`: one record; None: any."""

    policy: Policy
    conflict: Conflict = Conflict.CHANGE
    type: str | None = None
    field: str | None = None
    key: str | None = None
    loser: Loser = Loser.DISCARD

    def applies(self, conflict: Conflict, type_name: str, field: str, key: str) -> bool:
        wanted = (self.type, type_name), (self.field, field), (self.key, key)
        return self.conflict is conflict and all(said in (None, one) for said, one in wanted)

    @property
    def words(self) -> str:
        """For people: what it is about and what it says."""
        name = "recurrence" if self.field == "repeating" else self.field
        about = [f"{what} {value}" for what, value in (("item", self.key), ("type", self.type), ("field", name))
                 if value]  # fmt: skip
        ending = ", the other as a copy" if self.loser is Loser.COPY else ""
        return f"{', '.join(about) or 'everything'}, conflict {self.conflict.value}: {self.policy.value}{ending}"


@dataclass(frozen=True, slots=True)
class Rules:
    """Ordered; the first that applies wins. What no rule is about is settled by `default`, but neither a deletion nor a
    duplicate is: these only by rules that name them."""

    rules: tuple[Rule, ...] = ()
    default: Policy = Policy.ASK
    loser: Loser = Loser.DISCARD

    def settle(self, conflict: Conflict, type_name: str, field: str = "", key: str = "") -> Rule:
        found = next((r for r in self.rules if r.applies(conflict, type_name, field, key)), None)
        if found is not None:
            return found
        return Rule(self.default if conflict is Conflict.CHANGE else Policy.ASK, conflict, loser=self.loser)

    def after(self, answers: Iterable[Rule]) -> Rules:
        """These rules behind remembered answers: those about an item first, then about a field, then about a type."""
        first = sorted(answers, key=lambda r: (r.key is None, r.field is None))
        return replace(self, rules=(*first, *self.rules))


ASK_ALWAYS = Rules()
