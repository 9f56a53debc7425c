"""Shell: keeps a :class:`Trust` up to date: issuer keys, what is revoked, access rules.

One task looks at all, every few seconds. What cannot be read or used leaves what was known
before, and is said once: an issuer that is away stops nobody who has a certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn, Self

import structlog

from actr_signaling.errors import BadMessageError, ConfigError
from actr_signaling.protocol.access.documents import MAX_DOCUMENT_BYTES, read_document
from actr_signaling.protocol.client.trust import MAX_REVOKED_BYTES, Trust, read_revoked
from actr_signaling.protocol.identity.keys import MAX_KEYS_CHARACTERS, read_keys
from actr_signaling.tasks import Tasks
from actr_signaling.trust.sources import SourceError, source

log = structlog.get_logger()


class _Kept:
    """One of the issuer's texts, and who takes it."""

    def __init__(self, what: str, place: str, most: int, take: Callable[[bytes], None]) -> None:
        self.what = what
        self.is_address = place.startswith(("http://", "https://"))
        self._source = source(place, most)
        self._take = take
        self._trouble = ""

    def look(self) -> bool:
        """Take it if it has changed; in a thread it may block.

        Raises:
            SourceError, BadMessageError, ConfigError: If it cannot be read, or used.
        """
        data = self._source.read()
        if data is None:
            return False
        try:
            self._take(data)
        except BaseException:
            self._source.forget()
            raise
        return True

    async def keep(self) -> bool:
        """Look without blocking; say once what is wrong, and when it is over."""
        try:
            is_new = await asyncio.to_thread(self.look)
        except (SourceError, BadMessageError, ConfigError) as exc:
            if str(exc) != self._trouble:
                log.error("what was known before stays", what=self.what, why=str(exc))
            self._trouble = str(exc)
            return False
        if is_new or self._trouble:
            log.info("known from now on", what=self.what)
        self._trouble = ""
        return is_new


class Keeper:
    """A block: inside it ``trust`` follows the issuer.

    Args:
        keys: File or address of the issuer's public keys; empty: nothing is kept.
        revoked: File or address of what it has revoked; empty: nothing is.
        is_there: Whether files are there already; else they are when the block is entered.
        access: File or address of its access rules; empty: none are taken.
        interval: Seconds between looks.
        changed: Called when something more is revoked.

    Raises:
        ConfigError: If a file cannot be read or used; an issuer may still be starting.
    """

    def __init__(
        self,
        trust: Trust,
        *,
        keys: str,
        revoked: str,
        interval: float,
        changed: Callable[[], None],
        is_there: bool = True,
        access: str = "",
    ) -> None:
        self._trust = trust
        self._interval = interval
        self._changed = changed
        self._tasks = Tasks("trust")
        self._keys = self._revoked = self._access = None
        if keys:
            self._keys = _Kept("ISSUER_KEYS", keys, MAX_KEYS_CHARACTERS, self._take_keys)
        if revoked:
            self._revoked = _Kept("REVOKED", revoked, MAX_REVOKED_BYTES, self._take_revoked)
        if access:
            trust.takes_access = True
            self._access = _Kept("ACCESS", access, MAX_DOCUMENT_BYTES, self._take_access)
        self._is_there = is_there
        if is_there:
            self._read_files()

    def _may_look(self, kept: _Kept) -> bool:
        """Whether it can be read already: what is signed cannot before the keys are known."""
        return kept is not self._access or bool(self._trust.issuer_keys)

    @property
    def is_ready(self) -> bool:
        """Whether somebody can be let in."""
        trust = self._trust
        return (trust.issuer_keys is None or bool(trust.issuer_keys)) and (
            not trust.takes_access or trust.access is not None
        )

    async def __aenter__(self) -> Self:
        if not self._is_there:
            self._read_files()
        await self._tasks.__aenter__()
        if self._keys is not None:
            self._tasks.start("keeper", self._keep())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._tasks.__aexit__(None, None, None)

    def _read_files(self) -> None:
        for kept in (self._keys, self._revoked, self._access):
            if kept is not None and not kept.is_address and self._may_look(kept):
                try:
                    kept.look()
                except (SourceError, BadMessageError, ConfigError) as exc:
                    raise ConfigError(f"ACTR_SIGNALING__{kept.what}: {exc}") from exc

    async def look(self) -> None:
        """Take what is new of both."""
        if self._keys is not None:
            await self._keys.keep()
        if self._revoked is not None and await self._revoked.keep():
            self._changed()
        if self._access is not None:
            await self._access.keep()

    async def _keep(self) -> NoReturn:
        while True:
            await self.look()
            await asyncio.sleep(self._interval)

    def _take_keys(self, data: bytes) -> None:
        try:
            self._trust.issuer_keys = read_keys(data.decode())
        except UnicodeDecodeError as exc:
            raise ConfigError("issuer keys: not UTF-8") from exc

    def _take_access(self, data: bytes) -> None:
        self._trust.take_access(read_document(data, self._trust.issuer_keys or {}))

    def _take_revoked(self, data: bytes) -> None:
        self._trust.revoked = read_revoked(data)
