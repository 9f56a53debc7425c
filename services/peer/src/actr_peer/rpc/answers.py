"""Replies on their way back: each call that arrived is answered, if only with why it cannot be."""

from __future__ import annotations

import logging
from contextlib import suppress

from actr_peer.errors import CallError, Code, LimitError, PeerError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.bounds import MAX_ID_CHARS
from actr_peer.protocol.rpc.envelopes import Envelope, encode_error
from actr_peer.protocol.streams.chunks import encode_end
from actr_peer.transport.link import Link
from actr_peer.transport.streams import say

log = logging.getLogger(__name__)


def answer(link: Link, payload_type: PayloadType, request_id: str, reply: bytes) -> None:
    """Send a reply, or RESOURCE_EXHAUSTED in place of one that the caller does not take.

    Args:
        payload_type: Of the request.
        reply: A whole envelope, from the handler or from the mailbox's memory.

    Raises:
        LimitError, UnreachableError, BrokenError, ClosedError: If the link is gone, or goes now
            because the caller takes nothing.
    """
    lane = link.lane(payload_type)
    try:
        lane.answer(reply)
    except LimitError:
        limit = link.max_message_bytes
        if len(reply) <= limit or link.is_shut:
            raise
        log.warning("reply too long: caller=%s bytes=%d limit=%d", link.remote, len(reply), limit)
        text = f"the reply has {len(reply)} bytes; this caller takes messages of {limit}"
        lane.answer(encode_error(request_id, CallError(Code.RESOURCE_EXHAUSTED, text)))


def refuse(link: Link, payload_type: PayloadType, envelope: Envelope, error: CallError) -> None:
    """Say why a request is not taken, where its caller listens; who is gone hears nothing.

    For a stream of replies that is its channel. Of a method that is not known here an opening
    without credit may be of either kind (latency-first replies have none): both are told.
    """
    channel_id = envelope.channel_id if envelope.opens_stream else ""
    if 0 < len(channel_id) <= MAX_ID_CHARS:
        say(link, encode_end(channel_id, 0, error))
        if envelope.credit > 0:
            return
    with suppress(PeerError):
        answer(link, payload_type, envelope.request_id, encode_error(envelope.request_id, error))
