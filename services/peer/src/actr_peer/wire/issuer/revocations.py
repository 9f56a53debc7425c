"""What the issuer has revoked, kept up to date while an actor runs: by a file, or by its own word.

An issuer that is away stops nobody: what was known before stays, and that is said once. So does a
file that cannot be read, once it could be at the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from actr_peer.errors import ConfigError, PeerError
from actr_peer.protocol.identity.revoked import (
    MAX_REVOKED_BYTES,
    NOTHING,
    Revoked,
    read_revoked,
)
from actr_peer.state.identity.files import Watched
from actr_peer.wire.issuer.client import IssuerClient
from actr_peer.wire.issuer.looks import Looks

log = logging.getLogger(__name__)

KEY = "identity.revoked_file"


class Revocations(Looks):
    """Inside its block, what is revoked.

    Args:
        file: Where somebody puts the issuer's list; read again when it changes. None: the issuer
            itself is asked.
        client: The issuer that is asked where there is no file; None: nothing is ever revoked.
        every: Seconds between two looks, at most.
        looked: Called after each look at which something is revoked, new or not.
        failed: Told once of what cannot be read, until it can be again.
        wait: As ``asyncio.sleep``.

    Raises:
        ConfigError: If the file cannot be used at the start.
    """

    def __init__(
        self,
        *,
        file: Path | None,
        client: IssuerClient | None,
        every: float,
        looked: Callable[[], None],
        failed: Callable[[PeerError], None],
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(every=every, wait=wait)
        self.revoked: Revoked = NOTHING
        self._client = client
        self._looked, self._failed = looked, failed
        self._tag = ""
        self._trouble = ""
        self._spoilt: list[ConfigError] = []
        """What the file could not be read for, at this look."""
        self._file: Watched[Revoked] | None = None
        if file is not None:
            self._file = Watched(file, KEY, read_revoked, self._spoilt.append, MAX_REVOKED_BYTES)
            self.revoked = self._file.value

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self._file is not None or self._client is not None:
            self._begin(at_once=True)
        return self

    async def look(self) -> None:
        """Take what is new."""
        try:
            known = await self._read()
        except PeerError as exc:
            self._note(exc)
        else:
            if known is not None:
                self._take(known)
        if self.revoked:
            self._looked()

    async def _read(self) -> Revoked | None:
        """The list; None: nothing new has been said.

        Raises:
            PeerError: If the issuer does not answer, or what it says cannot be used.
        """
        if self._file is not None:
            # Long lists take a while to read: not on the loop.
            read = await asyncio.to_thread(lambda file: file.value, self._file)
            if self._spoilt:
                raise self._spoilt.pop()
            return None if read is self.revoked else read
        assert self._client is not None
        said = await self._client.revoked(self._tag)
        if said is None:
            return self.revoked
        read = await asyncio.to_thread(read_revoked, said.text)
        self._tag = said.tag
        return read

    def _take(self, read: Revoked) -> None:
        if self._trouble:
            log.info("what is revoked is known again")
        self._trouble = ""
        more = len(read.keys - self.revoked.keys) + len(read.serials - self.revoked.serials)
        if more:
            log.info("revoked: new=%d all=%d", more, len(read.keys) + len(read.serials))
        self.revoked = read

    def _note(self, error: PeerError) -> None:
        if not self._trouble:
            log.warning("what is revoked is not known anew, and what was stays: cause=%s", error)
            self._failed(error)
        self._trouble = str(error)
