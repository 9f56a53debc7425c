"""Sans-I/O: who asks has the key that is to be certified, and the secret of the realm.

Each proof is a signature, or an HMAC, over a label and parts with their lengths, so that none can
be read as another.
"""

from __future__ import annotations

import hashlib
import hmac

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.requests import Enrol, Renew, Rotate
from actr_signaling.protocol.identity.signatures import ENROL, RENEW, signed_text, verify

ROTATE = b"actr/issuer/v1/rotate"
"""Parts: nonce, raw public key, raw public key that takes its place."""
_NOBODY = bytes(32)
"""In place of the secret of a realm that has none: the answer takes as long."""


def enrol_text(request: Enrol) -> bytes:
    """Over which a new key signs, and the HMAC of the realm's secret is made."""
    return signed_text(ENROL, *_enrol_parts(request))


def check_enrol(request: Enrol) -> None:
    """See that the sender has the key.

    Raises:
        RefusalError: If the signature is not by it.
    """
    _check(request.key, request.proof, ENROL, *_enrol_parts(request))


def check_renew(request: Renew) -> None:
    """Likewise.

    Raises:
        RefusalError: If the signature is not by the key.
    """
    _check(request.key, request.proof, RENEW, request.nonce, request.key)


def check_rotate(request: Rotate) -> None:
    """See that the sender has the old key and the new one.

    Raises:
        RefusalError: If one signature is not by its key.
    """
    parts = request.nonce, request.key, request.new_key
    _check(request.key, request.proof, ROTATE, *parts)
    _check(request.new_key, request.new_proof, ROTATE, *parts)


def check_mac(request: Enrol, secret: bytes | None) -> None:
    """See that the sender has the secret of the realm.

    Args:
        secret: Of the realm; None: it has none here.

    Raises:
        RefusalError: If it has not; with the same words and as late where there is no secret.
    """
    expected = hmac.digest(secret or _NOBODY, enrol_text(request), hashlib.sha256)
    if not hmac.compare_digest(request.mac or b"", expected) or not secret:
        raise RefusalError(
            Cause.SECRET, f"that is not the secret of realm {request.realm}: see that it is whole"
        )


def _enrol_parts(request: Enrol) -> tuple[bytes, ...]:
    return request.nonce, str(request.subject).encode(), request.realm.encode(), request.key


def _check(key: bytes, signature: bytes, label: bytes, *parts: bytes) -> None:
    if not verify(key, signature, label, *parts):
        raise RefusalError(Cause.PROOF, "the signature is not by the key of the request")
