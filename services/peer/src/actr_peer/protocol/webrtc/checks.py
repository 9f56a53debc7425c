"""Sans-I/O: STUN checks of a path that is in use, which are the same again and again (RFC 8489).

::

    0     2       4        8              20            -32              -24     -8       -4
    | type | length | cookie | transaction | attributes ... | 0008 0014 | HMAC | 8028 0004 | CRC |

Of a check only the transaction is new each time, and what follows from it: MESSAGE-INTEGRITY and
FINGERPRINT. So it need not be taken apart, nor its answer put together, a second time: what is as
before, byte by byte, means what it meant before.
"""

from __future__ import annotations

import hmac
import zlib
from ipaddress import IPv4Address
from struct import Struct

COOKIE = 0x2112A442
TRANSACTION = slice(8, 20)
"""Where it stands."""
REQUEST, ANSWER = b"\x00\x01", b"\x01\x01"
"""How a binding request begins, and the answer to one that was taken."""
HEAD_BYTES = 20

_HEAD = Struct("!2sHI12s")
_ADDRESS = Struct("!HHBBHI")
_XOR_MAPPED_ADDRESS, _IPV4 = 0x0020, 1
_INTEGRITY, _INTEGRITY_BYTES = b"\x00\x08\x00\x14", 24
_FINGERPRINT, _FINGERPRINT_BYTES = b"\x80\x28\x00\x04", 8
_FINGERPRINT_XOR = 0x5354554E
_TAIL_BYTES = _INTEGRITY_BYTES + _FINGERPRINT_BYTES


def sealed(kind: bytes, transaction: bytes, attributes: bytes, key: bytes) -> bytes:
    """A whole message: what is given, with both attributes that prove it.

    Args:
        attributes: Padded, and neither of those two among them.
        key: The password of who answers.
    """
    whole = len(attributes) + _TAIL_BYTES
    part = _HEAD.pack(kind, whole - _FINGERPRINT_BYTES, COOKIE, transaction) + attributes
    mac = _INTEGRITY + hmac.digest(key, part, "sha1")
    body = _HEAD.pack(kind, whole, COOKIE, transaction) + attributes + mac
    return body + _FINGERPRINT + _crc(body)


def is_sealed(message: bytes, key: bytes) -> bool:
    """Whether ``message`` is whole, and ends with both proofs by ``key``, both right."""
    if len(message) < HEAD_BYTES + _TAIL_BYTES:
        return False
    kind, length, cookie, transaction = _HEAD.unpack_from(message)
    if length != len(message) - HEAD_BYTES or cookie != COOKIE:
        return False
    if message[-8:-4] != _FINGERPRINT or message[-4:] != _crc(message[:-8]):
        return False
    part = _HEAD.pack(kind, length - _FINGERPRINT_BYTES, cookie, transaction) + message[20:-32]
    return message[-32:-28] == _INTEGRITY and hmac.compare_digest(
        message[-28:-8], hmac.digest(key, part, "sha1")
    )


def _crc(body: bytes) -> bytes:
    return (zlib.crc32(body) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


class Known:
    """A request that was taken, and how others of its sender that are the same are answered.

    Args:
        request: Whole, sealed.
        address: Host, IPv4 in numbers, and port from which it came.
        key: This side's password.
    """

    __slots__ = ("_answer", "_attributes", "_head", "_key")

    def __init__(self, request: bytes, address: tuple[str, int], key: bytes) -> None:
        self._head = request[:8]
        self._attributes = request[20:-32]
        self._key = key
        self._answer = _ADDRESS.pack(
            _XOR_MAPPED_ADDRESS,
            8,
            0,
            _IPV4,
            address[1] ^ COOKIE >> 16,
            int(IPv4Address(address[0])) ^ COOKIE,
        )

    def answer(self, request: bytes) -> bytes | None:
        """The answer to a request that is as the one before; None if it is not, or not proved."""
        is_same = request[:8] == self._head and request[20:-32] == self._attributes
        if not is_same or not is_sealed(request, self._key):
            return None
        return sealed(ANSWER, request[TRANSACTION], self._answer, self._key)
