"""Where policies put what they ask for. Stands in for `store.outbound.add`; both are called alike."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from syncengine.model.outbound import Request, State
from syncengine.store import outbound_tables as t
from syncengine.store.server_directory import insert
from syncengine.times import iso


def add(connection: sa.Connection, requests: Iterable[Request], at: datetime) -> list[Request]:
    """Put requests into the queue, as part of the caller's transaction. Those whose id is there already change
    nothing; the others are returned."""
    return [request for request in requests if _insert(connection, request, at)]


def _insert(connection: sa.Connection, request: Request, at: datetime) -> bool:
    row = {
        "id": request.id,
        "kind": request.kind.value,
        "profile": request.profile,
        "key": request.key,
        "state": State.QUEUED.value,
        "held": False,
        "priority": request.priority,
        "not_before": iso(at),
        "number": time.time_ns() // 1000,
        "tries": 0,
        "possibly_sent": False,
        "handed": False,
        "taken_by": "",
        "asked_by": request.asked_by,
        "message_id": request.message_id,
        "content": json.dumps(asdict(request.content), ensure_ascii=False),
        "because": "",
        "created": iso(at),
        "changed": iso(at),
    }
    fresh = insert(t.request, connection.dialect.name).on_conflict_do_nothing().returning(t.request.c.id)
    return connection.execute(fresh, row).scalar_one_or_none() is not None
