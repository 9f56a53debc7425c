"""Sans-I/O: what an actor signs of itself, and what is believed of others (docs/protocol/trust.md).

The service and its store hand on what actors say. An actor that knows issuer keys takes of it what
the actor itself has signed: id, address, services, incarnation and metadata, and nothing that is
older than what it has seen. Load, epoch and who left are the service's word: with them it can delay
and deny, and lead nobody elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.errors import CertificateError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import LEEWAY, Certificate
from actr_peer.protocol.identity.signatures import REGISTER, verify
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.protocol.signaling.reading import read_presence

MAX_REMEMBERED = 16_384
"""Actors of which it is known when their newest registration was signed."""

Verify = Callable[[bytes], Certificate]
"""Believes a certificate, or raises :class:`CertificateError`."""


class Fault(StrEnum):
    """Why an actor is not believed to be online; a certificate has faults of its own."""

    UNSIGNED = "not signed"
    ID = "id not covered"
    SIGNATURE = "bad signature"
    ALTERED = "differs from what is signed"
    OLD = "older than one seen before"


class Newest:
    """When the newest registration of each actor was signed that has been seen here.

    Args:
        most: Actors that are remembered; the one that was seen longest ago is forgotten first.
    """

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._seen: OrderedDict[ActrId, float] = OrderedDict()
        self._most = most

    def is_old(self, actor: ActrId, at: float, now: float) -> bool:
        """Whether a registration is older than one that was seen, by more than clocks may differ;
        remember it, if it is not. Times are in Unix seconds."""
        newest = self._seen.get(actor, 0.0)
        if at < newest - LEEWAY:
            return True
        # Who was ahead of its time is not kept out by that when its clock is right again.
        self._seen[actor] = max(newest, min(at, now))
        self._seen.move_to_end(actor)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return False


@dataclass(frozen=True, slots=True)
class SignedReader:
    """Reads one actor as :func:`read_presence` does, if the actor itself has signed it.

    Args:
        verify: Believes a certificate.
        refused: Told whom the service named, and why nobody is believed to be that.
        now: Unix seconds, by the issuer's clock.
    """

    verify: Verify
    refused: Callable[[ActrId, str], None]
    now: Callable[[], float]
    newest: Newest = field(default_factory=Newest)

    def __call__(self, body: pb.Presence) -> Presence | None:
        presence = read_presence(body)
        if presence is None:
            return None
        fault = self._fault(body, presence)
        if fault:
            self.refused(presence.id, fault)
            return None
        return presence

    def _fault(self, body: pb.Presence, presence: Presence) -> str:
        if not body.HasField("signed"):
            return Fault.UNSIGNED
        signed = body.signed
        try:
            certificate = self.verify(signed.certificate)
        except CertificateError as exc:
            return exc.fault.value
        if not certificate.covers(presence.id):
            return Fault.ID
        if not verify(certificate.key, signed.signature, REGISTER, signed.register):
            return Fault.SIGNATURE
        try:
            register = pb.Register.FromString(signed.register)
        except DecodeError:
            return Fault.ALTERED
        said = _said(register)
        if said is None or _sayable(said) != _sayable(presence):
            return Fault.ALTERED
        is_old = self.newest.is_old(presence.id, register.signed_at_ms / 1000, self.now())
        return Fault.OLD if is_old else ""


def _said(said: pb.Register) -> Presence | None:
    return read_presence(
        pb.Presence(
            id=said.id,
            ws_address=said.ws_address,
            services=said.services,
            incarnation=said.incarnation,
            metadata=said.metadata,
        )
    )


def _sayable(presence: Presence) -> tuple[Presence, dict[str, str]]:
    """What an actor says of itself; its services in any order."""
    own = Presence(
        id=presence.id,
        incarnation=presence.incarnation,
        ws_address=presence.ws_address,
        metadata=presence.metadata,
    )
    return own, dict(presence.services)
