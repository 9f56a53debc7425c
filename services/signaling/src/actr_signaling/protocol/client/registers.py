"""Sans-I/O: what an actor says of itself when it registers, every field within its bound."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError, Close, RefusedError
from actr_signaling.protocol.identity import MAX_SERVICE_CHARACTERS, PART, SERVICE, ActrId
from actr_signaling.protocol.presence.records import Registration, Signed

MAX_TEXT_CHARACTERS = 256
"""Of connection ids, reasons, mids, track ids, stickiness keys, fingerprints and addresses."""
MAX_SERVICES = 64
MAX_METADATA_ENTRIES = 16
MAX_METADATA_ENTRY_BYTES = 256
"""Of one entry, key and value together."""
MAX_ALLOWED_REALMS = 16
MAX_PROOF_BYTES = 8 * 1024
"""Of a certificate, a signature or a proof of a secret."""


def read_register(body: pb.Register) -> Registration:
    """Check what is registered and take it.

    Raises:
        BadMessageError: If it is out of bounds, or says something else than is signed in it.
        RefusedError: If a service's name or a fingerprint is none.
    """
    if not _is_socket_address(body.ws_address):
        raise BadMessageError(
            f"ws_address {body.ws_address[:64]!r}: empty, or ws:// or wss:// and at most "
            f"{MAX_TEXT_CHARACTERS} characters"
        )
    if len(body.services) > MAX_SERVICES:
        raise BadMessageError(f"{len(body.services)} services are over {MAX_SERVICES}")
    for service in body.services:
        check_service(service.service)
        check_short("fingerprint", service.fingerprint)
    _check_metadata(body.metadata)
    if len(body.allowed_realms) > MAX_ALLOWED_REALMS:
        raise BadMessageError(f"more than {MAX_ALLOWED_REALMS} allowed realms")
    for realm in body.allowed_realms:
        if PART.fullmatch(realm) is None:
            raise BadMessageError(f"allowed realm {realm[:64]!r} is no realm name")
    if body.HasField("signed"):
        _check_signed(body)
    return Registration.from_wire(ActrId.check(body.id), body)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise BadMessageError(f"{len(metadata)} metadata entries are over {MAX_METADATA_ENTRIES}")
    for key, value in metadata.items():
        if len(key.encode()) + len(value.encode()) > MAX_METADATA_ENTRY_BYTES:
            raise BadMessageError(f"a metadata entry is over {MAX_METADATA_ENTRY_BYTES} bytes")


def _check_signed(body: pb.Register) -> None:
    """Who signed it is not asked here: that it fits the rest, which others read, is."""
    signed = Signed.from_wire(body.signed)
    if max(len(signed.certificate), len(signed.signature)) > MAX_PROOF_BYTES:
        raise BadMessageError(f"a certificate or a signature is over {MAX_PROOF_BYTES} bytes")
    try:
        said = pb.Register.FromString(signed.register)
    except DecodeError as exc:
        raise BadMessageError("what is signed is no Register") from exc
    if said.HasField("signed"):
        raise BadMessageError("what is signed has something signed in it")
    # The rest is compared; what is asked of this service is nothing to others.
    said.signed.CopyFrom(body.signed)
    said.only_if_free = body.only_if_free
    if said != body:
        raise BadMessageError("what is registered differs from what is signed in it")


def check_service(service: str) -> None:
    """
    Raises:
        RefusedError: If it is no name of a service.
    """
    if len(service) > MAX_SERVICE_CHARACTERS or SERVICE.fullmatch(service) is None:
        raise RefusedError(Close.BAD_MESSAGE, f"{service[:64]!r} is not package.Service")


def check_short(what: str, text: str, limit: int = MAX_TEXT_CHARACTERS) -> None:
    """
    Raises:
        RefusedError: If it is over ``limit``.
    """
    if len(text) > limit:
        raise RefusedError(Close.TOO_BIG, f"{what}: {len(text)} characters are over {limit}")


def _is_socket_address(text: str) -> bool:
    return not text or (
        len(text) <= MAX_TEXT_CHARACTERS and text.isascii() and text.startswith(("ws://", "wss://"))
    )
