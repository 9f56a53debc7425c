"""Looks into a mailbox's file from outside, while its peer runs or not; changes nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from actr_peer.errors import ConfigError
from actr_peer.protocol.mailbox.requests import State
from actr_peer.state.mailbox.dead_letters import Filter, Letter, list_letters, read_letter
from actr_peer.state.mailbox.stored import list_requests, read_request
from actr_peer.state.mailbox.tables import VERSION
from actr_peer.state.storage.database import real_path
from actr_peer.state.storage.journal import read_running


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    if not os.path.isfile(path):
        raise ConfigError(f"no mailbox file {path}; name one with --file, or in mailbox.path")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
            connection.execute("PRAGMA query_only=ON")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise ConfigError(f"{path} has version {version}, this program reads {VERSION}")
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
        return list_requests(connection, which, state, read_running(real_path(path) + "-run"))


def show(path: str, sequence: int) -> Letter | None:
    """One request with what the file has of it: its envelope, or its reply once it is done.

    Raises:
        ConfigError: If ``path`` is no mailbox file.
    """
    with _opened(path) as connection:
        letter = read_letter(connection, sequence=sequence)
        return letter or read_request(connection, sequence, read_running(real_path(path) + "-run"))
