"""Envelopes from the fields that a vector names, and back."""

from __future__ import annotations

from typing import Any

from actr_peer.errors import CallError, Code
from actr_peer.protocol.rpc.envelopes import (
    CANCEL,
    REQUEST,
    RESPONSE,
    TELL,
    Envelope,
    Extras,
    encode_cancel,
    encode_error,
    encode_reply,
    encode_request,
)

Fields = dict[str, Any]
_DIRECTIONS = {REQUEST: "REQUEST", RESPONSE: "RESPONSE", TELL: "TELL", CANCEL: "CANCEL"}


def error_of(fields: Fields) -> CallError:
    wait = fields.get("retry_after_ms", 0)
    return CallError(
        Code(fields["code"]),
        fields["message"],
        retryable=fields.get("retryable", False),
        retry_after=wait / 1000 if wait else None,
        domain=fields.get("domain", ""),
    )


def fields_of_error(error: CallError) -> Fields:
    """Its fields, without those that say nothing."""
    said = {
        "retryable": error.retryable,
        "retry_after_ms": round(1000 * (error.retry_after or 0)),
        "domain": error.domain,
    }
    filled = {name: value for name, value in said.items() if value}
    return {"code": int(error.code), "message": error.message, **filled}


def write(fields: Fields) -> bytes:
    """The envelope as this side makes it."""
    request_id = fields["request_id"]
    match fields.get("direction", "REQUEST"):
        case "RESPONSE" if "error" in fields:
            return encode_error(request_id, error_of(fields["error"]))
        case "RESPONSE":
            return encode_reply(request_id, bytes.fromhex(fields.get("payload", "")))
        case "CANCEL":
            return encode_cancel(request_id)
        case direction:
            timeout = fields.get("timeout_ms")
            return encode_request(
                request_id,
                fields["route_key"],
                bytes.fromhex(fields.get("payload", "")),
                timeout=timeout / 1000 if timeout else None,
                is_tell=direction == "TELL",
                metadata=fields.get("metadata", {}),
                contract=int(fields.get("contract", "0"), 16),
                extras=_extras(fields),
            )


def _extras(fields: Fields) -> Extras:
    return Extras(
        traceparent=fields.get("traceparent", ""),
        tracestate=fields.get("tracestate", ""),
        channel_id=fields.get("channel_id", ""),
        credit=fields.get("credit_messages", 0),
        credit_bytes=fields.get("credit_bytes", 0),
        call_number=fields.get("call_number", 0),
        low_water=fields.get("low_water", 0),
        store_id=int(fields.get("store_id", "0"), 16),
        call_chain=fields.get("call_chain", ()),
    )


def fields_of(envelope: Envelope) -> Fields:
    """The fields that are set."""
    error = envelope.error
    read: Fields = {
        "request_id": envelope.request_id,
        "route_key": envelope.route_key,
        "payload": envelope.payload.hex(),
        "metadata": dict(envelope.metadata),
        "timeout_ms": round(1000 * (envelope.timeout or 0)),
        "traceparent": envelope.traceparent,
        "tracestate": envelope.tracestate,
        "channel_id": envelope.channel_id,
        "credit_messages": envelope.credit,
        "credit_bytes": envelope.credit_bytes,
        "call_number": envelope.call_number,
        "low_water": envelope.low_water,
        "store_id": f"{envelope.store_id:016x}" if envelope.store_id else "",
        "call_chain": list(envelope.call_chain),
        "contract": f"{envelope.contract:016x}" if envelope.contract else "",
        "error": None if error is None else fields_of_error(error),
    }
    filled = {name: value for name, value in read.items() if value}
    if envelope.direction != REQUEST:
        filled["direction"] = _DIRECTIONS[envelope.direction]
    return filled
