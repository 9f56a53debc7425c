"""An issuer that a test plays, and actors with keys: what they sign, and what others make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr import signaling_pb2 as pb
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.certificates import make_certificate
from actr_signaling.protocol.identity.keys import encode, key_id, write_keys
from actr_signaling.protocol.identity.signatures import AUTHENTICATE, REGISTER, sign
from signaling_kit.client import actor

NOW = 1_800_000_000
_serials = count(1)


class Issuer:
    """Signs certificates; its keys and what it has revoked are files of ``place``."""

    def __init__(self, seed: int = 1) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.revoked: list[dict[str, Any]] = []

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def keys(self) -> dict[str, bytes]:
        return {key_id(self.public): self.public}

    def write(self, place: Path, *others: Issuer) -> dict[str, str]:
        """Write both files; returns the settings that name them."""
        keys, revoked = place / "issuer.json", place / "revoked.json"
        keys.write_text(write_keys([self.public, *(other.public for other in others)]))
        revoked.write_text(json.dumps({"revoked": self.revoked, "version": len(self.revoked)}))
        return {"issuer_keys": str(keys), "revoked": str(revoked)}

    def enrol(self, text: str, **certificate: Any) -> Holder:
        """An actor with a new key and a certificate for its id."""
        who = actor(text)
        return self.renew(Holder(who, Ed25519PrivateKey.generate(), b"", ""), **certificate)

    def renew(
        self,
        holder: Holder,
        *,
        now: float = NOW,
        life: int = 900,
        subject: str | None = None,
        realm: str | None = None,
        claims: Mapping[str, str] = MappingProxyType({}),
    ) -> Holder:
        """The same actor and key with another certificate."""
        who = holder.id
        serial = f"serial-{next(_serials)}"
        made = make_certificate(
            self.key,
            issuer="issuer.example",
            subject=subject or f"{who.actr_type}@{who.instance}",
            realm=realm or who.realm,
            public=holder.public,
            claims=claims,
            now=int(now),
            life=life,
            serial=serial,
        )
        return replace(holder, certificate=made.text.encode(), serial=serial)

    def revoke_key(self, holder: Holder) -> None:
        self.revoked.append({"key": encode(holder.public), "at": NOW})

    def revoke_serial(self, holder: Holder) -> None:
        self.revoked.append({"serial": holder.serial, "at": NOW})


@dataclass(frozen=True)
class Holder:
    """An actor that has a key."""

    id: ActrId
    key: Ed25519PrivateKey = field(repr=False)
    certificate: bytes
    serial: str

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def authenticate(self, server_id: str, nonce: bytes, **changed: Any) -> pb.Authenticate:
        signature = sign(self.key, AUTHENTICATE, server_id.encode(), nonce, str(self.id).encode())
        said = {"id": self.id.to_wire(), "certificate": self.certificate, "signature": signature}
        return pb.Authenticate(**{**said, **changed})

    def register(self, **registration: Any) -> pb.Register:
        """A Register with what is signed in it."""
        body = pb.Register(id=self.id.to_wire(), **registration)
        register = body.SerializeToString()
        body.signed.CopyFrom(
            pb.SignedRegistration(
                register=register,
                certificate=self.certificate,
                signature=sign(self.key, REGISTER, register),
            )
        )
        return body
