"""Replies on their way back: each call that arrived is answered, if only with why it cannot be."""

from __future__ import annotations

import logging

from actr_peer.errors import CallError, Code, LimitError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import encode_error
from actr_peer.transport.link import Link

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
