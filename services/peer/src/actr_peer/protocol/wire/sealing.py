"""Sans-I/O: what a relayed wire is sealed with, so that the service between can neither read nor
change it (docs/protocol/relayed.md)::

    dialler                             listener
       | hello: nonce = X25519 public key, certificate …
       |------------------------------------->|
       | challenge: nonce = X25519 public key, certificate …
       |<-------------------------------------|
       | proof, welcome, and all that follows: AES-256-GCM, each message under the next number
       |<------------------------------------>|

The handshake is that of any WebSocket wire. What it proves it proves of both nonces, by signature
or mac, and so of the keys. The keys are of this wire only: HKDF-SHA256 (RFC 5869) of the shared
secret, salted with both first messages, so that neither can have been another one. Each direction
has a key of its own and counts; what is missing, doubled or out of order does not open.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.identity.signatures import signed_text
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, decode, parse_step

# The library takes a tenth of a second to load: only who seals something waits for it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT = b"actr/wire/v2/relayed"
"""Hashed. Parts: the first message of the dialler, that of the listener."""
INFO = b"actr/wire/v2/sealed"
KEY_BYTES = 32
TAG_BYTES = 16
MAX_MESSAGES = 1 << 24
"""Under one key (RFC 8446, section 5.5, for records as long); then another wire takes over."""


class Sealing:
    """One end's.

    Args:
        private: 32 random bytes, new for each wire.
        is_dialler: Which end this is.

    Attributes:
        public: To be the nonce of this side's first step.
    """

    def __init__(self, private: bytes, *, is_dialler: bool) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()
        self._is_dialler = is_dialler
        self._first_out: bytes | None = None
        self._first_in: bytes | None = None
        self._keys: tuple[AESGCM, AESGCM] | None = None
        """Of what goes and of what comes; None until both first messages are known."""
        self._sent = self._received = 0

    def seal(self, frame: bytes) -> bytes:
        """What to send for a frame: the first one goes as it is.

        Raises:
            LimitError: If so many have gone that the keys are used up.
            RemoteProtocolError: If the far side gave no key that can be used.
        """
        if self._first_out is None:
            self._first_out = frame
            return frame
        if self._sent == MAX_MESSAGES:
            raise LimitError("messages of a relayed wire", limit=MAX_MESSAGES, asked=self._sent + 1)
        out, _ = self._keys or self._agree()
        self._sent += 1
        return out.encrypt(_number(self._sent), frame, None)

    def open(self, message: bytes) -> bytes:
        """The frame of a message that has come: the first one is it.

        Raises:
            RemoteProtocolError: If it is not what the far side has sealed, and next.
        """
        if self._first_in is None:
            self._first_in = message
            return message
        from cryptography.exceptions import InvalidTag

        _, come = self._keys or self._agree()
        self._received += 1
        try:
            return come.decrypt(_number(self._received), message, None)
        except InvalidTag as exc:
            raise RemoteProtocolError("a message of a relayed wire that does not open") from exc

    def _agree(self) -> tuple[AESGCM, AESGCM]:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        if self._first_out is None or self._first_in is None:
            raise RemoteProtocolError("a second message before the first of the other end")
        pair = self._first_out, self._first_in
        dialler, listener = pair if self._is_dialler else pair[::-1]
        try:
            far = X25519PublicKey.from_public_bytes(_nonce_of(self._first_in))
            shared = self._private.exchange(far)
        except ValueError as exc:  # another length, or a point of small order
            raise RemoteProtocolError("a nonce that is no key to seal with") from exc
        salt = hashlib.sha256(signed_text(SALT, dialler, listener)).digest()
        made = HKDF(hashes.SHA256(), 2 * KEY_BYTES, salt, INFO).derive(shared)
        keys = AESGCM(made[:KEY_BYTES]), AESGCM(made[KEY_BYTES:])
        self._keys = keys if self._is_dialler else keys[::-1]
        return self._keys


def _nonce_of(frame: bytes) -> bytes:
    """The nonce of a first step; empty: it is none that has one."""
    kind, data = decode(frame)
    if kind == HANDSHAKE:
        step = parse_step(data)
        return step.hello.nonce or step.challenge.nonce
    return b""


def _number(count: int) -> bytes:
    return count.to_bytes(12, "big")
