"""Sans-I/O: what an identity key signs, and whether it did (docs/protocol/trust.md).

A signature is over a label, which says what it is for, and over parts whose lengths are in it: no
bytes signed for one purpose are good for another, and no two lists of parts are the same bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from actr_peer.protocol.identity.keys import is_key

# The library takes a tenth of a second to load: only who has something to prove waits for it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_BYTES = 64

AUTHENTICATE = b"actr/signaling/v2/authenticate"
"""Parts: id of the signaling service, its nonce, the actor's id as text."""
REGISTER = b"actr/signaling/v2/register"
"""Parts: the bytes of ``Register``."""
DIAL = b"actr/wire/v2/dial"
"""Parts: ids of dialler and listener, nonces of dialler and listener, raw key of the listener's TLS
certificate (empty without TLS)."""
LISTEN = b"actr/wire/v2/listen"
"""Parts: those of :data:`DIAL`."""
NONCE = b"actr/wire/v2/nonce"
"""Hashed, not signed. Parts: what only one TLS has."""
DESCRIPTION = b"actr/webrtc/v2/description"
"""Parts: the bytes of ``DescriptionStatement``."""
SDP = b"actr/webrtc/v2/sdp"
"""Hashed, not signed. Parts: the SDP, then mid and track id of each pair, sorted by mid."""
ENROL = b"actr/issuer/v1/enrol"
"""Parts: nonce, id or pattern, realm, raw public key."""
RENEW = b"actr/issuer/v1/renew"
"""Parts: nonce, raw public key."""
ROTATE = b"actr/issuer/v1/rotate"
"""Parts: nonce, raw old key, raw new key; each of the two signs."""


def signed_text(label: bytes, *parts: bytes) -> bytes:
    """The bytes to sign: the label, a zero byte, and each part behind its length, as 32 bits in
    network byte order."""
    lengths = (struct.pack(">I", len(part)) for part in parts)
    return b"".join((label, b"\0", *(x for pair in zip(lengths, parts, strict=True) for x in pair)))


def sign(key: Ed25519PrivateKey, label: bytes, *parts: bytes) -> bytes:
    """The 64 bytes of a signature."""
    return key.sign(signed_text(label, *parts))


def verify(public: bytes, signature: bytes, label: bytes, *parts: bytes) -> bool:
    """Whether the holder of a key (raw, 32 bytes) signed just this.

    A key that anybody can sign for has signed nothing.
    """
    if len(signature) != SIGNATURE_BYTES or not is_key(public):
        return False
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, signed_text(label, *parts))
    except InvalidSignature:
        return False
    return True
