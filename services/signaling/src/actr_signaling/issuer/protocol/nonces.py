"""Sans-I/O: nonces that are good once, for a minute, and cost no memory until they are used.

::

    expiry in ms (8) │ random (8) │ HMAC of both by a secret of this process (16)

So asking for a million of them takes nothing from anybody; those that were used are remembered
until their time is over.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict

from actr_signaling.issuer.protocol.causes import Cause, RefusalError

NONCE_BYTES = 32
RANDOM_BYTES = 8
_STAMP_BYTES = 8
LIFE = 60.0
MAX_USED = 100_000


class Nonces:
    """Made and taken by one process; another one, or the same after a restart, takes none of them.

    Args:
        secret: Random, at least 32 bytes.
        life: Seconds.
        max_used: Remembered at a time.
    """

    def __init__(self, secret: bytes, *, life: float = LIFE, max_used: int = MAX_USED) -> None:
        self._secret = secret
        self._life = life
        self._max_used = max_used
        self._used: OrderedDict[bytes, float] = OrderedDict()

    def make(self, random: bytes, now: float) -> bytes:
        """A new one.

        Args:
            random: ``RANDOM_BYTES`` of them.
        """
        head = round((now + self._life) * 1000).to_bytes(_STAMP_BYTES, "big") + random
        return head + self._seal(head)

    def take(self, nonce: bytes, now: float) -> None:
        """Use it up.

        Raises:
            RefusalError: If it was not made here, is over, or was used before; or if so many were
                used in a minute that no more can be remembered.
        """
        while self._used and next(iter(self._used.values())) <= now:
            self._used.popitem(last=False)
        head, seal = nonce[:-16], nonce[-16:]
        if len(nonce) != NONCE_BYTES or not hmac.compare_digest(seal, self._seal(head)):
            raise RefusalError(Cause.NONCE, "this nonce is not of this issuer: ask for a new one")
        if int.from_bytes(head[:_STAMP_BYTES], "big") <= now * 1000:
            raise RefusalError(Cause.NONCE, "this nonce is too old: ask for a new one")
        if nonce in self._used:
            raise RefusalError(Cause.NONCE, "this nonce was used before: ask for a new one")
        if len(self._used) >= self._max_used:
            raise RefusalError(
                Cause.FULL, "too many requests in a minute: try again", retry_after=self._life
            )
        self._used[nonce] = now + self._life

    def _seal(self, head: bytes) -> bytes:
        return hmac.digest(self._secret, head, hashlib.sha256)[:16]
