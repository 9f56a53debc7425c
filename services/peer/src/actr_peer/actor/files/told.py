"""What the two sides of a transfer are told: how far it is, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from actr_peer.protocol.identity import ActrId


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """How far a transfer is: what the receiver has written down."""

    name: str
    done_bytes: int
    total_bytes: int
    resumed_bytes: int = 0
    """Of ``done_bytes``, what was there before this try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A transfer that has ended well, at its sender."""

    name: str
    """As the receiver calls it."""
    size_bytes: int
    files: int
    digest: str
    """SHA-256 over the SHA-256 of each block of 1 MiB, in hex."""
    was_there: bool
    """The receiver had it already, whole and equal."""
    sent_bytes: int
    """Bytes of files that left, over all tries."""
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFile:
    """A transfer that has ended well, at its receiver."""

    sender: ActrId
    path: str
    """Of the file or directory, in the receiver's folder."""
    is_directory: bool
    size_bytes: int
    files: int
    digest: str
    was_there: bool
