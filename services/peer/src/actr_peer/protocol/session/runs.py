"""Sans-I/O: consecutive fragments of one message as one frame, where a wire takes long messages.

A fragment costs as much as a whole message on either side, and an item of 64 KiB is five. What is
numbered, held, acknowledged and sent again are still single fragments, for each of them has to fit
any wire (docs/protocol.md#session-frames).
"""

from __future__ import annotations

from collections.abc import Iterator

from actr_peer.protocol.session.fragments import frame_count
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Data, fragment_head
from actr_peer.protocol.session.sender import Outgoing, Sender


def is_run(frame: Data) -> bool:
    """Whether a frame stands for more than one fragment."""
    return frame.parts > 1 and len(frame.payload) > FRAGMENT_BYTES


def singles(run: Data) -> Iterator[Data]:
    """The fragments that a run stands for, in order, with views of its payload."""
    view = memoryview(run.payload)
    for nth in range(frame_count(len(view))):
        part = view[nth * FRAGMENT_BYTES : (nth + 1) * FRAGMENT_BYTES]
        yield type(run)(run.seq + nth, run.part + nth, run.parts, part)


def run_of(sender: Sender, frame: Outgoing, room: int) -> tuple[bytes, memoryview]:
    """Head and payload of a fragment that was just taken, and of those behind it, as many as may
    go beside it; they count as sent with it.

    Args:
        sender: Which gave it, of a reliable lane.
        frame: The newest, or one that is sent again.
        room: Payload bytes that the wire message can take; that of the fragment, and it goes alone.
    """
    message, first, size = frame.data, frame.first, frame.size
    assert isinstance(message, bytes)
    count = frame_count(len(message))
    if size < room and frame.tries == 1:  # what is sent again may go another way than new ones
        credit = min(sender.credit_bytes - sender.flight_bytes, sender.spare_bytes)
        size += _take_more(sender, frame, min(room - size, credit), min(first + count, sender.edge))
    index = frame.seq - first
    begin = index * FRAGMENT_BYTES
    head = fragment_head(frame.seq, size, index, count, flag=sender.flag)
    return head, memoryview(message)[begin : begin + size]


def _take_more(sender: Sender, frame: Outgoing, room: int, end: int) -> int:
    """Take fragments below the number ``end`` while there is room; return their bytes."""
    seq = sender.unsent
    frames, at, wire = sender.frames, frame.at, frame.wire
    taken = 0
    while seq < end:
        other = frames[seq]
        if taken + other.size > room:
            break
        taken += other.size
        other.at = at
        other.wire = wire
        other.tries = 1
        seq += 1
    sender.sent += seq - sender.unsent
    sender.unsent = seq
    sender.flight_bytes += taken
    return taken
