"""Stored requests that are not dead letters, for those who look into the file."""

from __future__ import annotations

from actr_peer.protocol.mailbox.requests import State
from actr_peer.state.mailbox.dead_letters import MAX_LISTED, Filter, Letter
from actr_peer.state.mailbox.tables import is_tell, payload_type_of
from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.operations import Row

_COLUMNS = (
    "sequence, sender, request_id, kind, route_key, ifnull(length(body), 0), attempts, crashes,"
    " failures, state, body"
)


def list_requests(
    connection: Connection, which: Filter, state: State, running: frozenset[int]
) -> list[Letter]:
    """Requests that are queued, running or done, oldest first, without envelopes.

    Args:
        running: Sequence numbers that run now, from the run journal.
    """
    stored = State.DONE if state is State.DONE else State.QUEUED
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM actr_inbox WHERE state=:state"  # noqa: S608 - no input
        " AND (:sender = '' OR instr(sender, :sender))"
        " AND (:route = '' OR instr(route_key, :route))"
        " AND (:request_id = '' OR request_id = :request_id)"
        " AND sequence > :after ORDER BY sequence",
        {
            "state": stored.value,
            "sender": which.sender,
            "route": which.route,
            "request_id": which.request_id,
            "after": which.after,
        },
    )
    found: list[Letter] = []
    while len(found) < min(which.limit, MAX_LISTED) and (row := rows.fetchone()):
        letter = _letter(row, running)
        if letter.state is state and (not which.sequences or row[0] in which.sequences):
            found.append(letter)
    return found


def read_request(connection: Connection, sequence: int, running: frozenset[int]) -> Letter | None:
    """One request, with its body."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM actr_inbox WHERE sequence=?",  # noqa: S608 - no input
        (sequence,),
    ).fetchone()
    return _letter(row, running, has_body=True) if row else None


def _letter(row: Row, running: frozenset[int], *, has_body: bool = False) -> Letter:
    state = State(row[9])
    if state is State.QUEUED and row[0] in running:
        state = State.RUNNING
    return Letter(
        sequence=row[0],
        sender=row[1],
        request_id=row[2],
        payload_type=payload_type_of(row[3]),
        is_tell=is_tell(row[3]),
        route_key=row[4],
        size=row[5],
        reason="",
        attempts=row[6],
        crashes=row[7],
        failures=row[8],
        died_at=0.0,
        envelope=(row[10] or b"") if has_body else None,
        state=state,
    )
