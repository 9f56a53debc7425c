"""Actors that have a key and a certificate, and who believes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt import PyJWS

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate, verify_certificate
from actr_peer.protocol.identity.keys import key_id, write_keys
from actr_peer.protocol.identity.signatures import REGISTER, sign
from actr_peer.wire.issuer.credentials import IdentityConfig
from peer_kit.signaling.issuer import certify


class Authority:
    """An issuer's key: it certifies whom the test wants.

    A certificate ends 900 s after it was issued. Where a module makes one as it is imported, its
    authority is told what time it is: a run of all tests takes longer than that on a slow machine.

    Args:
        clock: Unix seconds, by which it issues certificates and believes them.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes_raw()
        self.keys = {key_id(public): public}
        self.file = write_keys([public])

    def enrol(self, who: ActrId, **certificate: Any) -> Holder:
        """An actor with a new key and a certificate for its id; payload members as given."""
        holder = Holder(who, Ed25519PrivateKey.generate())
        self.renew(holder, **certificate)
        return holder

    def renew(self, holder: Holder, **certificate: Any) -> None:
        who = holder.id
        said = {
            "subject": f"{who.actr_type}@{who.instance}",
            "realm": who.realm,
            "now": self.clock(),
            **certificate,
        }
        holder.certificate = certify(self.key, holder.public, **said)

    def place(self, folder: Path, who: ActrId, **certificate: Any) -> IdentityConfig:
        """Files of a new key and its certificate, as an operator puts them there."""
        holder = self.enrol(who, **certificate)
        folder.mkdir()
        key, own, keys = (folder / name for name in ("key.pem", "own.jwt", "issuers.json"))
        pem = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key.write_bytes(pem)
        key.chmod(0o600)
        own.write_text(holder.certificate)
        keys.write_text(self.file)
        return IdentityConfig(key=key, certificate=own, issuer_keys=keys)

    def rule(self, path: Path, version: int, *tables: dict[str, Any]) -> None:
        """Write access rules of this issuer."""
        payload = {"iss": "t", "version": version, "iat": int(self.clock()), "rules": tables}
        header = {"typ": "actr-access+jwt", "kid": next(iter(self.keys))}
        text = PyJWS().encode(json.dumps(payload).encode(), self.key, "EdDSA", headers=header)
        path.write_text(json.dumps({"access": text}))

    def verify(self, data: bytes) -> Certificate:
        return verify_certificate(data, self.keys, now=self.clock())


@dataclass
class Holder:
    """One actor's own identity."""

    id: ActrId
    key: Ed25519PrivateKey = field(repr=False)
    certificate: str = ""

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def presence(self, *, load: pb.Load | None = None, epoch: int = 1, **said: Any) -> pb.Presence:
        """As a service shows it: what is said, and what of it is signed."""
        register = pb.Register(id=self.id.to_message(), **said).SerializeToString()
        said.pop("signed_at_ms", None)  # of that a service says nothing
        return pb.Presence(
            id=self.id.to_message(),
            load=load,
            epoch=epoch,
            signed=pb.SignedRegistration(
                register=register,
                certificate=self.certificate.encode(),
                signature=sign(self.key, REGISTER, register),
            ),
            **said,
        )
