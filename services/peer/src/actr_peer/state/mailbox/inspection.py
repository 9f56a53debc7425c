"""Looks into a mailbox's file from outside, while its peer runs or not; changes nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from actr_peer.errors import ConfigError
from actr_peer.protocol.mailbox.requests import State
from actr_peer.state.mailbox.dead_letters import (
    MAX_LISTED,
    Filter,
    Letter,
    list_letters,
    read_letter,
)
from actr_peer.state.mailbox.tables import VERSION, is_tell, payload_type_of
from actr_peer.state.storage.database import Connection, real_path
from actr_peer.state.storage.journal import read_running
from actr_peer.state.storage.operations import Row

_COLUMNS = (
    "sequence, sender, request_id, kind, route_key, ifnull(length(body), 0), attempts, crashes,"
    " failures, state, ifnull(last_error, ''), body"
)


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    if not os.path.isfile(path):
        raise ConfigError(
            f"no mailbox file {path}; say whose with --id, "
            "or name one with --file or in mailbox.path"
        )
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 1:  # its next start makes it a new one; until then it reads like one
                for table in ("actr_inbox", "actr_dead"):
                    connection.execute(
                        f"CREATE TEMP VIEW {table} AS SELECT *, '' AS last_error"  # noqa: S608
                        f" FROM main.{table}"
                    )
            elif version != VERSION:
                raise ConfigError(f"{path} has version {version}, this program reads {VERSION}")
            connection.execute("PRAGMA query_only=ON")
            yield connection
    except sqlite3.DatabaseError as exc:
        raise ConfigError(f"{path} is no mailbox file, or cannot be read: {exc}") from exc


def look(path: str, which: Filter, state: State = State.DEAD) -> list[Letter]:
    """The requests in ``state`` that fit, oldest first, without their envelopes.

    Raises:
        ConfigError: If ``path`` is no mailbox file.
    """
    with _opened(path) as connection:
        if state is State.DEAD:
            return list_letters(connection, which=which)
        return _list_requests(connection, which, state, read_running(real_path(path) + "-run"))


def show(path: str, sequence: int) -> Letter | None:
    """One request with what the file has of it: its envelope, or its reply once it is done.

    Raises:
        ConfigError: If ``path`` is no mailbox file.
    """
    with _opened(path) as connection:
        letter = read_letter(connection, sequence=sequence)
        return letter or _read_request(connection, sequence, read_running(real_path(path) + "-run"))


def _list_requests(
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


def _read_request(connection: Connection, sequence: int, running: frozenset[int]) -> Letter | None:
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
        last_error=row[10],
        died_at=0.0,
        envelope=(row[11] or b"") if has_body else None,
        state=state,
    )
