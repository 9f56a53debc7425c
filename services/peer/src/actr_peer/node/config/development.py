"""What ``actr dev`` tells of itself in the folder where it runs: the signaling service there, and
the issuer that is part of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from actr_peer.node.process.probe import ask
from actr_peer.state.folder import STATE_FOLDER

SOCKET: Final = Path(STATE_FOLDER, "dev.sock")
REPORT: Final = "dev"
SIGNALING: Final = "signaling.url"
IDENTITY: Final = ("identity.issuer_url", "identity.issuer_keys_file", "realm.secret_file")
"""What it tells besides: whom to ask for a certificate, whom to believe, and what to enrol with."""
TIMEOUT: Final = 1.0
"""Seconds: it is on this machine."""

Keys: TypeAlias = Mapping[str, str]
"""Values by ``section.key``."""


def asked(folder: Path) -> Mapping[str, Any] | None:
    """What the ``actr dev`` of ``folder`` answers; None: none of this user runs there."""
    path = folder / SOCKET
    with suppress(OSError, ValueError):
        if path.stat().st_uid == os.getuid():
            answer = ask(str(path), REPORT, timeout=TIMEOUT)
            return answer if isinstance(answer, dict) else None
    return None


def settings_of_dev() -> Keys:
    """What the ``actr dev`` that runs in the current folder has actors configured with."""
    answer = asked(Path())
    found = None if answer is None else answer.get("settings")
    if not isinstance(found, dict) or not isinstance(found.get(SIGNALING), str):
        return {}
    known = (SIGNALING, *IDENTITY)
    return {key: text for key in known if isinstance(text := found.get(key), str)}


def actor_of_dev(actor: str, url: str) -> tuple[str, str] | None:
    """What the ``actr dev`` that runs in the current folder says of one of its actors: its state,
    and why there is no process; None: it is not one of them.

    Args:
        url: Of the signaling service by which the actor is reached.
    """
    answer = asked(Path()) or {}
    actors, settings = answer.get("actors"), answer.get("settings")
    if not (isinstance(actors, dict) and isinstance(settings, dict)):
        return None
    found = actors.get(actor)
    if not isinstance(found, dict) or settings.get(SIGNALING) != url:
        return None
    return str(found.get("state", "")), str(found.get("why", ""))
