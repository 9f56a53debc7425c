"""What a receiver takes, and what it does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actr_peer.actor.files.told import FileProgress, ReceivedFile
from actr_peer.protocol.files import bounds
from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
from actr_peer.protocol.files.manifest import FileOffer
from actr_peer.protocol.identity import ActrId


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRules:
    """What a receiver takes, and what it does with it."""

    allow: Callable[[ActrId, FileOffer], bool] = field(default=lambda sender, offer: True)
    """Whether this sender may send this; it is asked on the loop and must not wait."""
    quota: FileQuota = field(default_factory=FileQuota)
    existing: ExistingFile = ExistingFile.NUMBER
    hidden: bool = False
    """Whether names may begin with a dot."""
    keep_seconds: float = bounds.KEEP_SECONDS
    """That a partial transfer waits for its sender."""
    on_received: Callable[[ReceivedFile], None] | None = None
    on_progress: Callable[[FileProgress], None] | None = None
