"""What an SCTP association holds of messages that are not whole yet: aiortc sets no bound."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, InboundStream

from actr_peer.errors import LimitError

MAX_MESSAGE_BYTES = 256 * 1024
"""What aiortc advertises in ``a=max-message-size``, and does not enforce."""
MAX_HELD_BYTES = 4 * 1024 * 1024
"""Of messages not whole yet, over all channels. We advertise a window of 1 MiB, which aiortc
as a sender ignores: its own congestion window ends near that."""
MAX_HELD_CHUNKS = 8192
MAX_OUT_OF_ORDER = 1024
"""Chunks received beyond one that is missing: each that follows costs a look at all of them."""


def check_whole(data: bytes) -> None:
    """Refuse a message longer than we say that we take.

    Raises:
        LimitError: If it is.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise LimitError("bytes of a message", limit=MAX_MESSAGE_BYTES, asked=len(data))


def check(stream: InboundStream, held_bytes: int) -> None:
    """Bound what waits to become whole.

    Args:
        stream: The channel to which a part came.
        held_bytes: Over all channels.

    Raises:
        LimitError: If one message, or all of them, are larger than we take.
    """
    if held_bytes > MAX_HELD_BYTES:
        raise LimitError("bytes of unfinished messages", limit=MAX_HELD_BYTES, asked=held_bytes)
    if len(stream.reassembly) > MAX_HELD_CHUNKS:
        raise LimitError(
            "chunks of unfinished messages", limit=MAX_HELD_CHUNKS, asked=len(stream.reassembly)
        )
    if held_bytes > MAX_MESSAGE_BYTES:
        longest = longest_message(stream)
        if longest > MAX_MESSAGE_BYTES:
            raise LimitError("bytes of a message", limit=MAX_MESSAGE_BYTES, asked=longest)


def acknowledged(gaps: Sequence[tuple[int, int]], outstanding: int) -> list[tuple[int, int]]:
    """What ``gaps`` of a SACK say of chunks that were sent, each named once, in order.

    Args:
        gaps: First and last of each block, counted from the cumulative acknowledgement.
        outstanding: How many chunks were given a number after that.
    """
    found: list[tuple[int, int]] = []
    after = 0
    for first, last in sorted(gaps):
        first, last = max(first, after + 1), min(last, outstanding)
        if first <= last:
            found.append((first, last))
            after = last
    return found


def longest_message(stream: InboundStream) -> int:
    """Bytes of the longest run of chunks that belong to one unfinished message."""
    longest = run = 0
    for chunk in stream.reassembly:
        if chunk.flags & SCTP_DATA_FIRST_FRAG:
            run = 0
        run += len(chunk.user_data)
        if chunk.flags & SCTP_DATA_LAST_FRAG:
            run = 0
        longest = max(longest, run)
    return longest
