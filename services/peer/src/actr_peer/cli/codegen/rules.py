"""What a method's options mean, and which of them do not fit it (docs/codegen.md).

Each rule returns the value that holds; where the contract is wrong it says so through
``refuse`` and returns the default, so that the faults after it are found too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import MethodOptions, ServiceOptions

from actr import options_pb2
from actr_peer.errors import ConfigError
from actr_peer.protocol.payload import RPC_LANES, STREAM_LANES, PayloadType
from actr_peer.protocol.rpc.access.requirements import requirements
from actr_peer.protocol.rpc.contracts.fields import is_scalar
from actr_peer.service import MethodKind

Refuse = Callable[[str], None]

SENDER = "sender"
"""The conflict key that means the caller, also where the request has a field of that name."""

_NO_MEDIA = "does not fit any method: media is published, not called"
_KIND_TEXT = {
    MethodKind.UNARY: "a unary method",
    MethodKind.SERVER_STREAM: "a method that streams replies",
    MethodKind.CLIENT_STREAM: "a method that streams requests",
    MethodKind.BIDI_STREAM: "a method that streams both ways",
}


def kind_of(*, requests_stream: bool, replies_stream: bool) -> MethodKind:
    """Name the kind after which sides stream."""
    if requests_stream:
        return MethodKind.BIDI_STREAM if replies_stream else MethodKind.CLIENT_STREAM
    return MethodKind.SERVER_STREAM if replies_stream else MethodKind.UNARY


def lanes_of(kind: MethodKind) -> tuple[PayloadType, ...]:
    """Payload types that fit, the default first."""
    return RPC_LANES if kind is MethodKind.UNARY else STREAM_LANES


def default_payload_type(options: ServiceOptions, refuse: Refuse) -> PayloadType | None:
    """Read the service's option; presence counts, for 0 is a real choice."""
    if not options.HasExtension(options_pb2.default_payload_type):
        return None
    default = PayloadType(options.Extensions[options_pb2.default_payload_type])
    if default is PayloadType.MEDIA_RTP:
        allowed = _names(RPC_LANES + STREAM_LANES)
        refuse(f"default_payload_type {default.name} {_NO_MEDIA}; allowed: {allowed}")
        return None
    return default


def payload_type(
    options: MethodOptions, default: PayloadType | None, kind: MethodKind, refuse: Refuse
) -> PayloadType:
    """The method's option, else the service's default where it fits, else the kind's own."""
    fitting = lanes_of(kind)
    if not options.HasExtension(options_pb2.payload_type):
        return default if default in fitting else fitting[0]
    chosen = PayloadType(options.Extensions[options_pb2.payload_type])
    if chosen in fitting:
        return chosen
    fault = _NO_MEDIA if chosen is PayloadType.MEDIA_RTP else f"does not fit {_KIND_TEXT[kind]}"
    refuse(f"payload_type {chosen.name} {fault}; allowed: {_names(fitting)}")
    return fitting[0]


def conflict_key(
    options: MethodOptions, kind: MethodKind, request: Descriptor, refuse: Refuse
) -> str | None:
    """The key by which requests may run side by side."""
    if not options.HasExtension(options_pb2.conflict_key):
        return None
    key = options.Extensions[options_pb2.conflict_key]
    if key == SENDER:
        return key
    if kind.requests_stream:
        refuse(
            f'conflict_key "{key}": no request is known when {_KIND_TEXT[kind]} opens; '
            f'allowed: "{SENDER}"'
        )
        return None
    allowed = [field.name for field in request.fields if is_scalar(field)]
    if key in allowed:
        return key
    fault = "is not a scalar" if key in request.fields_by_name else "is missing"
    choices = ", ".join(f'"{name}"' for name in (SENDER, *allowed))
    refuse(f'conflict_key "{key}": that field of {request.full_name} {fault}; allowed: {choices}')
    return None


def max_failures(options: MethodOptions, kind: MethodKind, refuse: Refuse) -> int:
    """Tries of a failing handler; 0: the first failure is answered."""
    failures = options.Extensions[options_pb2.max_failures]
    if failures and kind is not MethodKind.UNARY:
        refuse(
            f"max_failures {failures} does not fit {_KIND_TEXT[kind]}: a stream is not kept in "
            "the mailbox; allowed: 0, or no max_failures"
        )
        return 0
    return failures


def handler_timeout(options: MethodOptions, refuse: Refuse) -> float | None:
    """Seconds a handler may run; None: no bound but the caller's deadline."""
    if not options.HasExtension(options_pb2.handler_timeout_ms):
        return None
    timeout_ms = options.Extensions[options_pb2.handler_timeout_ms]
    if timeout_ms == 0:
        refuse("handler_timeout_ms 0 lets no handler run; allowed: 1 and more, or none at all")
        return None
    return timeout_ms / 1000


def requires(options: MethodOptions, refuse: Refuse) -> tuple[str, ...]:
    """Claims that the caller's certificate must have."""
    texts = tuple(options.Extensions[options_pb2.requires])
    try:
        requirements(texts)
    except ConfigError as exc:
        refuse(str(exc))
        return ()
    if len(set(texts)) < len(texts):
        refuse("requires names a claim twice; allowed: each once")
        return ()
    return texts


def _names(payload_types: Iterable[PayloadType]) -> str:
    return ", ".join(payload_type.name for payload_type in payload_types)
