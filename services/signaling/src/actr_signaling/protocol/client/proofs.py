"""Sans-I/O: the proof of the realm secret, and time-limited TURN credentials."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

from actr_signaling.protocol.identity import ActrId

CONTEXT = b"actr/signaling/v1"
NONCE_BYTES = 32


def proof(secret: bytes, *, server_id: str, nonce: bytes, id: ActrId) -> bytes:
    """HMAC-SHA256 over context, server id, nonce and id in text form, one after the other."""
    text = CONTEXT + server_id.encode() + nonce + str(id).encode()
    return hmac.digest(secret, text, hashlib.sha256)


def is_proof(mac: bytes, secret: bytes, *, server_id: str, nonce: bytes, id: ActrId) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(mac, proof(secret, server_id=server_id, nonce=nonce, id=id))


def turn_credential(secret: bytes, *, id: ActrId, expires_at: int) -> tuple[str, str]:
    """User name and password for a TURN server that shares ``secret``.

    Source: draft-uberti-behave-turn-rest-00, section 2.2; coturn's ``use-auth-secret``.

    Args:
        secret: Shared with the TURN server.
        id: Who may use it.
        expires_at: Unix time in seconds.
    """
    username = f"{expires_at}:{id}"
    # SHA-1 is what the draft fixes; HMAC does not rest on its collision resistance.
    password = hmac.digest(secret, username.encode(), hashlib.sha1)
    return username, b64encode(password).decode()
