"""Shell: the ICE servers that an actor is given, with TURN credentials that are fresh now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from actr_signaling.protocol.client.proofs import turn_credential
from actr_signaling.protocol.client.replies import IceServer
from actr_signaling.protocol.identity import ActrId


class IceServers:
    """STUN servers as they are, TURN servers with credentials for one actor.

    Args:
        urls: ``stun:``, ``stuns:``, ``turn:`` and ``turns:``.
        secret: Shared with the TURN server; empty: no TURN.
        ttl: Seconds for which credentials are good.
        clock: Unix time in seconds: the TURN server compares with its own.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        secret: bytes,
        ttl: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stun = tuple(url for url in urls if url.startswith("stun"))
        self._turn = tuple(url for url in urls if url.startswith("turn"))
        self._secret = secret
        self._ttl = ttl
        self._clock = clock

    @property
    def ttl(self) -> float | None:
        """Seconds after which what was given is of no use; None: never."""
        return float(self._ttl) if self._turn else None

    def give(self, id: ActrId) -> list[IceServer]:
        servers = [IceServer(urls=self._stun)] if self._stun else []
        if self._turn:
            username, credential = turn_credential(
                self._secret, id=id, expires_at=int(self._clock()) + self._ttl
            )
            servers.append(
                IceServer(urls=self._turn, username=username, credential=credential, ttl=self._ttl)
            )
        return servers
