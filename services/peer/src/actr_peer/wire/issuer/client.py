"""The issuer over HTTP: one connection for each question, bounded in time and bytes."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actr_peer.errors import CertificateError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId, asking
from actr_peer.protocol.identity.asking import Answer, Issuer, Refusal
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.revoked import MAX_REVOKED_BYTES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Said:
    """What the issuer says on one of its pages."""

    text: str
    tag: str
    """By which it is asked for next time; empty: it has none."""


class IssuerClient:
    """Asks one issuer; keeps nothing.

    Every question raises :class:`UnreachableError` where no answer comes, or one that cannot be
    read; cancelling one closes its connection.
    """

    def __init__(self, issuer: Issuer, *, seconds: float = ANSWER_SECONDS) -> None:
        self.issuer = issuer
        self._seconds = seconds

    async def enrol(
        self, key: Ed25519PrivateKey, actor: ActrId, *, token: str = "", secret: bytes = b""
    ) -> Certificate | Refusal:
        """A certificate for a key that the issuer may not know yet."""
        nonce = await self._nonce()
        if isinstance(nonce, Refusal):
            return nonce
        body = asking.enrol(key, actor, nonce, token=token, secret=secret)
        return await self._given("/v1/enrol", body)

    async def renew(self, key: Ed25519PrivateKey) -> Certificate | Refusal:
        """Another certificate for a key that it knows."""
        nonce = await self._nonce()
        if isinstance(nonce, Refusal):
            return nonce
        return await self._given("/v1/renew", asking.renew(key, nonce))

    async def rotate(self, key: Ed25519PrivateKey, new: Ed25519PrivateKey) -> Certificate | Refusal:
        """A certificate for a new key, in the place of one that it knows."""
        nonce = await self._nonce()
        if isinstance(nonce, Refusal):
            return nonce
        return await self._given("/v1/rotate", asking.rotate(key, new, nonce))

    async def keys(self) -> str:
        """The file of its public keys."""
        answer = await self._ask("/v1/keys")
        if answer.status != 200:
            raise self._away(asking.read_refusal(answer).text)
        return answer.body.decode("utf-8", "replace")

    async def access(self) -> str:
        """Its access rules, signed."""
        answer = await self._ask("/v1/access")
        if answer.status != 200:
            raise self._away(asking.read_refusal(answer).text)
        return answer.body.decode("utf-8", "replace")

    async def revoked(self, tag: str = "") -> Said | None:
        """The list of what it has revoked.

        Args:
            tag: Of the list that is known; None is returned where that is still the one.
        """
        answer = await self._ask("/v1/revoked", tag=tag, most=MAX_REVOKED_BYTES)
        if answer.status == asking.NOT_MODIFIED and tag:
            return None
        if answer.status != 200:
            raise self._away(asking.read_refusal(answer).text)
        return Said(answer.body.decode("utf-8", "replace"), answer.tag)

    async def _nonce(self) -> bytes | Refusal:
        answer = await self._ask("/v1/nonce")
        if answer.status != 200:
            return asking.read_refusal(answer)
        try:
            return asking.read_nonce(answer)
        except RemoteProtocolError as exc:
            raise self._away(str(exc)) from exc

    async def _given(self, path: str, body: bytes) -> Certificate | Refusal:
        answer = await self._ask(path, body)
        try:
            return asking.read_given(answer)
        except (RemoteProtocolError, CertificateError) as exc:
            raise self._away(str(exc)) from exc

    async def _ask(
        self,
        path: str,
        body: bytes | None = None,
        *,
        tag: str = "",
        most: int = asking.MAX_ANSWER_BYTES,
    ) -> Answer:
        request = asking.write_request(self.issuer, path, body, tag=tag)
        try:
            async with asyncio.timeout(self._seconds):
                return asking.read_answer(await exchange(self.issuer, request, most))
        except TimeoutError as exc:
            raise self._away(f"no answer within {self._seconds:.0f} s") from exc
        except OSError as exc:
            raise self._away(exc.strerror or str(exc)) from exc
        except RemoteProtocolError as exc:
            raise self._away(str(exc)) from exc

    def _away(self, why: str) -> UnreachableError:
        return UnreachableError(f"the issuer {self.issuer}", why)


async def exchange(site: Issuer, request: bytes, most: int) -> bytes:
    """Send a request by a connection of its own; return all that is answered.

    Args:
        most: Bytes of the answer.

    Raises:
        OSError: If nobody answers.
        RemoteProtocolError: If the answer is longer.
    """
    context = ssl.create_default_context() if site.is_secure else None
    reader, writer = await asyncio.open_connection(site.host, site.port, ssl=context)
    try:
        writer.write(request)
        await writer.drain()
        data = bytearray()
        while chunk := await reader.read(asking.MAX_ANSWER_BYTES):
            data += chunk
            if len(data) > most:
                raise RemoteProtocolError(f"the answer is over {most} bytes")
        return bytes(data)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
