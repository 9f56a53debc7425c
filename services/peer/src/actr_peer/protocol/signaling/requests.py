"""Sans-I/O: what the client says to the service: dataclasses, and their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Load, Registration, Visibility
from actr_peer.protocol.webrtc.messages import pack_negotiate
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage


@dataclass(frozen=True, slots=True)
class Authenticate:
    id: ActrId
    mac: bytes
    certificate: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Signed:
    """What an actor signs of itself, and with what others check it."""

    register: bytes
    certificate: bytes
    signature: bytes
    at_ms: int
    """When; what is in ``register`` says so too."""


@dataclass(frozen=True, slots=True)
class Register:
    registration: Registration
    only_if_free: bool = False
    """Refused while another process holds the identity."""
    signed: Signed | None = None
    """What is registered, by itself; None: it has no key."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    load: Load


@dataclass(frozen=True, slots=True)
class Subscribe:
    actr_type: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    actr_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discover:
    actr_type: str = ""
    service: str = ""
    fingerprint: str = ""
    stickiness: str = ""
    limit: int = 0
    id: ActrId | None = None
    """Only this actor, where the service knows the question."""
    after: str = ""
    """Only those behind an earlier answer: its ``next``."""


@dataclass(frozen=True, slots=True)
class Relay:
    to: ActrId
    negotiate: NegotiateMessage


@dataclass(frozen=True, slots=True)
class Unregister:
    pass


Request = (
    Authenticate | Register | Heartbeat | Subscribe | Unsubscribe | Discover | Relay | Unregister
)


def encode(number: int, request: Request) -> bytes:
    """Return the binary frame of one client message.

    Args:
        number: From 1, rising; the reply carries it.
    """
    message = pb.ClientMessage(id=number)
    match request:
        case Authenticate(actr_id, mac, certificate, signature):
            proof = pb.Authenticate(
                id=actr_id.to_message(), mac=mac, certificate=certificate, signature=signature
            )
            message.authenticate.CopyFrom(proof)
        case Register():
            message.register.CopyFrom(_pack_register(request))
        case Heartbeat(load):
            message.heartbeat.load.CopyFrom(_pack_load(load))
        case Subscribe(actr_type):
            message.subscribe.actr_type = actr_type
            message.subscribe.SetInParent()
        case Unsubscribe(actr_type):
            message.unsubscribe.actr_type = actr_type
            message.unsubscribe.SetInParent()
        case Discover():
            message.discover.CopyFrom(
                pb.Discover(
                    actr_type=request.actr_type,
                    service=request.service,
                    fingerprint=request.fingerprint,
                    stickiness=request.stickiness,
                    limit=request.limit,
                    id=None if request.id is None else request.id.to_message(),
                    after=request.after,
                )
            )
        case Relay(to, negotiate):
            relay = pb.Relay(to=to.to_message(), negotiate=pack_negotiate(negotiate))
            message.relay.CopyFrom(relay)
        case Unregister():
            message.unregister.SetInParent()
        case _:
            assert_never(request)
    return message.SerializeToString()


def _pack_register(request: Register) -> pb.Register:
    wire = _pack_registration(request.registration)
    wire.only_if_free = request.only_if_free
    if request.signed is not None:
        signed = request.signed
        wire.signed_at_ms = signed.at_ms
        wire.signed.register = signed.register
        wire.signed.certificate = signed.certificate
        wire.signed.signature = signed.signature
    return wire


def write_register(registration: Registration, signed_at_ms: int) -> bytes:
    """The bytes to sign."""
    packed = _pack_registration(registration)
    packed.signed_at_ms = signed_at_ms
    return packed.SerializeToString(deterministic=True)


def _pack_load(load: Load) -> pb.Load:
    backlog = min(load.mailbox_backlog, 0xFFFF_FFFF)
    return pb.Load(mailbox_backlog=backlog, power_reserve=load.power_reserve)


def _pack_registration(registration: Registration) -> pb.Register:
    hidden = registration.visibility is Visibility.HIDDEN
    return pb.Register(
        id=registration.id.to_message(),
        ws_address=registration.ws_address,
        services=[
            pb.ServiceFingerprint(service=service, fingerprint=fingerprint)
            for service, fingerprint in registration.services
        ],
        incarnation=registration.incarnation,
        metadata=registration.metadata,
        visibility=pb.HIDDEN if hidden else pb.REALM,
        allowed_realms=registration.allowed_realms,
    )
