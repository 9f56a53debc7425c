"""What senders have shown of themselves, beside their requests, for those that outlive the process.

A certificate is written once, when its holder shows it, and is on the disk before any request that
comes after it is acknowledged.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from actr_peer.protocol.mailbox.requests import ROW_BYTES
from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.operations import Task
from actr_peer.state.storage.pages import VITAL
from actr_peer.state.storage.state_file import StateFile

MAX_KEPT = 4096
"""Certificates kept between two times that those of senders of whom nothing waits are deleted."""
PRUNE = (
    "DELETE FROM actr_certificate WHERE sender NOT IN"
    " (SELECT sender FROM actr_inbox WHERE state=0)"
    " AND sender NOT IN (SELECT sender FROM actr_dead)"
)


class Certificates:
    """The newest one of each sender; owned by the mailbox.

    Attributes:
        found: Sender and certificate, as the start found them.
    """

    def __init__(self, state_file: StateFile[Any]) -> None:
        self.found: list[tuple[str, str]] = []
        self._state_file = state_file
        self._kept = 0

    def keep(self, sender: str, certificate: str) -> None:
        """Have it on the disk before the sender's next request is acknowledged."""
        self._kept += 1
        is_many = self._kept % MAX_KEPT == 0
        work = partial(_write, sender=sender, certificate=certificate, is_many=is_many)
        size = ROW_BYTES + len(certificate)
        done = self._state_file.keep_if_failed
        self._state_file.ride(Task(work, done, size=size, reserve=VITAL))


def _write(connection: Connection, *, sender: str, certificate: str, is_many: bool) -> None:
    if is_many:
        connection.execute(PRUNE)
    connection.execute(
        "INSERT OR REPLACE INTO actr_certificate VALUES(?, ?)", (sender, certificate)
    )
