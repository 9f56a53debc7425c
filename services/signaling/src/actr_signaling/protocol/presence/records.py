"""Sans-I/O: what is known of one registered actor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Self

from actr import signaling_pb2 as pb
from actr_signaling.protocol import json_form
from actr_signaling.protocol.identity import ActrId


@dataclass(frozen=True, slots=True)
class Load:
    """What an actor says of itself with each heartbeat."""

    mailbox_backlog: int = 0
    power_reserve: float = 1.0
    """0 (none left) to 1 (idle)."""

    @classmethod
    def from_wire(cls, wire: pb.Load) -> Self:
        reserve = wire.power_reserve
        return cls(
            wire.mailbox_backlog, min(1.0, max(0.0, reserve)) if math.isfinite(reserve) else 0.0
        )

    @property
    def step(self) -> tuple[int, int]:
        """Others are told when this changes: twice the backlog, or a tenth of the reserve."""
        return self.mailbox_backlog.bit_length(), round(self.power_reserve * 10)


@dataclass(frozen=True, slots=True)
class Signed:
    """What an actor itself has signed; carried as it is, for those who check it."""

    register: bytes
    certificate: bytes
    signature: bytes

    @classmethod
    def from_wire(cls, wire: pb.SignedRegistration) -> Self:
        return cls(wire.register, wire.certificate, wire.signature)

    def to_wire(self) -> pb.SignedRegistration:
        return pb.SignedRegistration(
            register=self.register, certificate=self.certificate, signature=self.signature
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What an actor registers (``Register`` in actr/signaling.proto)."""

    id: ActrId
    ws_address: str = ""
    services: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Service name to fingerprint."""
    incarnation: int = 0
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    is_hidden: bool = False
    allowed_realms: frozenset[str] = frozenset()
    signed: Signed | None = field(default=None, compare=False)
    """The same by the actor itself. A newer certificate under it is nothing to tell others."""

    @classmethod
    def from_wire(cls, id: ActrId, wire: pb.Register) -> Self:
        return cls(
            id=id,
            ws_address=wire.ws_address,
            services=MappingProxyType({s.service: s.fingerprint for s in wire.services}),
            incarnation=wire.incarnation,
            metadata=MappingProxyType(dict(wire.metadata)),
            is_hidden=wire.visibility == pb.HIDDEN,
            allowed_realms=frozenset(wire.allowed_realms),
            signed=Signed.from_wire(wire.signed) if wire.HasField("signed") else None,
        )

    def to_wire(self) -> pb.Register:
        return pb.Register(
            id=self.id.to_wire(),
            ws_address=self.ws_address,
            services=_services(self.services),
            incarnation=self.incarnation,
            metadata=dict(self.metadata),
            visibility=pb.HIDDEN if self.is_hidden else pb.REALM,
            allowed_realms=sorted(self.allowed_realms),
            signed=None if self.signed is None else self.signed.to_wire(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered actor as every replica knows it.

    Whoever holds the entry with the highest epoch of an id is that actor; ``session`` tells
    two connections apart, ``replica`` says where the connection is.
    """

    registration: Registration
    load: Load
    epoch: int
    session: str
    replica: str
    text: str = field(init=False)
    """The id in text form: the key of the entry everywhere."""
    step: tuple[int, float] = field(init=False, compare=False, repr=False)
    """Of its load, the better ones first."""
    place: int = field(init=False, compare=False, repr=False)
    """Of 64 bits, from its id: discovery mixes it with a key."""
    _packed: bytes = field(init=False, default=b"", compare=False, repr=False)
    _listed: bytes = field(init=False, default=b"", compare=False, repr=False)
    _shown: str = field(init=False, default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.registration.id.text)
        backlog, reserve = self.load.step
        object.__setattr__(self, "step", (backlog, -reserve))
        object.__setattr__(self, "place", _place(self.text))

    def write(self) -> None:
        """Write all forms now, for the first snapshot would else write those of all actors."""
        if self._packed:
            return
        wire = self.to_wire()
        packed = wire.SerializeToString()
        object.__setattr__(self, "_packed", packed)
        object.__setattr__(self, "_listed", varint(len(packed)) + packed)
        object.__setattr__(self, "_shown", json_form.presence(wire))

    @property
    def packed(self) -> bytes:
        """:meth:`to_wire` in bytes, written once: every snapshot has every entry in it."""
        self.write()
        return self._packed

    @property
    def listed(self) -> bytes:
        """The same after its length."""
        if not self._listed:
            self.write()
        return self._listed

    @property
    def shown(self) -> str:
        """The same in JSON form."""
        if not self._shown:
            self.write()
        return self._shown

    @property
    def realm(self) -> str:
        return self.registration.id.realm

    @property
    def audience(self) -> frozenset[str]:
        """Realms in which snapshots, events and discovery show it."""
        if self.registration.is_hidden:
            return frozenset()
        return self.registration.allowed_realms | {self.realm}

    def may_be_reached_from(self, realm: str) -> bool:
        return realm == self.realm or realm in self.registration.allowed_realms

    def to_wire(self) -> pb.Presence:
        """What others see of it."""
        registration = self.registration
        return pb.Presence(
            id=registration.id.to_wire(),
            ws_address=registration.ws_address,
            services=_services(registration.services),
            incarnation=registration.incarnation,
            metadata=dict(registration.metadata),
            load=pb.Load(
                mailbox_backlog=self.load.mailbox_backlog, power_reserve=self.load.power_reserve
            ),
            epoch=self.epoch,
            signed=None if registration.signed is None else registration.signed.to_wire(),
        )


@lru_cache(maxsize=8192)  # an entry is made anew with each change
def _place(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def varint(value: int) -> bytes:
    if value < 1 << 7:
        return bytes((value,))
    if value < 1 << 14:  # as nearly all are
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _services(services: Mapping[str, str]) -> list[pb.ServiceFingerprint]:
    return [pb.ServiceFingerprint(service=s, fingerprint=f) for s, f in services.items()]
