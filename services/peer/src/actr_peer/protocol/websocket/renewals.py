"""Sans-I/O: how the next certificate of an open WebSocket wire goes: as a handshake step."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import RemoteProtocolError


def write_renewal(certificate: bytes) -> bytes:
    """The step that has this certificate."""
    return WireHandshake(renewal=certificate).SerializeToString()


def read_renewal(step: bytes) -> bytes:
    """The certificate of a step.

    Raises:
        RemoteProtocolError: If it has none.
    """
    try:
        parsed = WireHandshake.FromString(step)
    except DecodeError as exc:
        raise RemoteProtocolError("a handshake step that cannot be decoded") from exc
    if parsed.WhichOneof("step") != "renewal":
        raise RemoteProtocolError("a step of the handshake after its end")
    return parsed.renewal
