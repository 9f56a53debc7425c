"""The issuer's access rules, kept up to date while an actor runs: by a file, or by its own word.

An issuer that is away changes nothing: the last rules hold, also over a start where they are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Self

from actr_peer.errors import ConfigError, PeerError
from actr_peer.protocol.rpc.access.published import Published, read_published
from actr_peer.state.identity.files import read_text, write_whole
from actr_peer.wire.issuer.client import IssuerClient
from actr_peer.wire.issuer.looks import Looks

log = logging.getLogger(__name__)

KEY: Final = "identity.access_file"
KEPT_RULES: Final = "access.json"
"""Beside the certificate."""
OLD_SECONDS: Final = 600.0
"""After which it is said that the issuer has not stood by its rules for as long."""


class Ruling(Looks):
    """A block: inside it ``took`` is told of each new set of rules.

    Args:
        file: The issuer's ``access.json``; None: the issuer itself is asked.
        client: The issuer that is asked where there is no file.
        keys: The issuer keys of now.
        now: Unix seconds at the issuer.
        kept: Where the newest is kept, for a start without the issuer; None: nowhere.
        every: Seconds between two looks, at most.
        took: Told of rules; raises ConfigError where they cannot be used.
        failed: Told once of what cannot be read, until it can be again.
        wait: As ``asyncio.sleep``.
    """

    def __init__(
        self,
        *,
        file: Path | None,
        client: IssuerClient | None,
        keys: Callable[[], Mapping[str, bytes]],
        now: Callable[[], float],
        kept: Path | None,
        every: float,
        took: Callable[[Published], None],
        failed: Callable[[PeerError], None],
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(every=every, wait=wait)
        self.refused = 0
        """What was no newer word of the issuer."""
        self._file, self._client, self._kept = file, client, kept
        self._keys, self._now = keys, now
        self._took, self._failed = took, failed
        self._known: Published | None = None
        self._trouble = ""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            if self._kept is not None and (text := read_text(self._kept, KEY)):
                self._take(text)
        except ConfigError as exc:
            log.warning("access rules of before cannot be read: cause=%s", exc)
        await self.look()
        self._begin(at_once=False)
        return self

    async def look(self) -> None:
        """Take what is new."""
        try:
            text = await self._read()
            is_new = self._take(text)
        except PeerError as exc:
            self.refused += 1
            self._note(exc)
            return
        self._trouble = ""
        if is_new and self._kept is not None:
            try:
                await asyncio.to_thread(write_whole, self._kept, text.encode(), replace=True)
            except OSError as exc:
                log.warning("access rules not kept: path=%s cause=%s", self._kept, exc.strerror)

    async def _read(self) -> str:
        if self._file is not None:
            text = await asyncio.to_thread(read_text, self._file, KEY)
            if text is None:
                raise ConfigError(f"{KEY} = {str(self._file)!r}: no such file")
            return text
        assert self._client is not None
        return await self._client.access()

    def _take(self, text: str) -> bool:
        """Take rules, if they are no older than those that are known; returns whether they are new.

        Raises:
            ConfigError: If they are older, or not the issuer's.
        """
        read, known = read_published(text, self._keys()), self._known
        if known is not None and read.version < known.version:
            raise ConfigError(
                f"access rules of the issuer: version {read.version}, where {known.version} was "
                "seen: they are old, and somebody shows them again"
            )
        is_new = known is None or read.version > known.version
        if is_new:
            self._took(read)
            count = "none" if read.tables is None else len(read.tables)
            log.info("access rules of the issuer: version=%d rules=%s", read.version, count)
        self._known = read
        age = self._now() - read.issued_at
        if age > OLD_SECONDS and not is_new:
            raise ConfigError(
                f"access rules of the issuer: signed {age:.0f} s ago, and it signs them each "
                "minute: it is away, or somebody holds newer ones back"
            )
        return is_new

    def _note(self, error: PeerError) -> None:
        if str(error).split(":")[0:2] != self._trouble.split(":")[0:2]:
            log.warning("access rules are not known anew, and what was holds: cause=%s", error)
            self._failed(error)
        self._trouble = str(error)
