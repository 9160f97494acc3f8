"""The version of the data model: what proxies mean, beyond what the database's migrations can carry over.

Raise MODEL where what is kept in a state means something else than before. Raise NEEDS_ANEW to the same number only
where neither a migration nor reading the items again can make the old meaning out of the new one: a state of an
earlier model then starts with a first sync.
"""

from __future__ import annotations

MODEL = 1
NEEDS_ANEW = 1


def needs_anew(known: int | None) -> bool:
    """Whether a state of that model starts anew; None: of before models were counted, which is the first."""
    return (known or 1) < NEEDS_ANEW
