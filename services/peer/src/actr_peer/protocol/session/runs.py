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


def extend(sender: Sender, frame: Outgoing, room: int) -> tuple[bytes, bytes | memoryview]:
    """Take the fragments behind one that was just taken, as many as may go beside it; they count
    as sent with it.

    Args:
        sender: Which gave it.
        frame: The newest, or one that is sent again.
        room: Payload bytes that the wire message can still take beside it.

    Returns:
        Head and payload of a frame with all of them; the frame's own where none follows.
    """
    first, data = frame.first, frame.data
    seq = sender.unsent
    if frame.tries > 1 or not isinstance(data, memoryview):
        return frame.head, data  # new ones may go another way, or it is whole
    message = data.obj
    assert isinstance(message, bytes)
    count = frame_count(len(message))
    credit = min(sender.credit_bytes - sender.flight_bytes, sender.spare_bytes)
    end = min(first + count, sender.edge)
    frames, size, at, wire = sender.frames, frame.size, frame.at, frame.wire
    while seq < end:
        other = frames[seq]
        room -= other.size
        credit -= other.size
        if room < 0 or credit < 0:
            break
        size += other.size
        other.at = at
        other.wire = wire
        other.tries = 1
        seq += 1
    taken = seq - sender.unsent
    if not taken:
        return frame.head, data
    sender.unsent = seq
    sender.sent += taken
    sender.flight_bytes += size - frame.size
    index = frame.seq - first
    begin = index * FRAGMENT_BYTES
    head = fragment_head(frame.seq, size, index, count, flag=sender.flag)
    return head, memoryview(message)[begin : begin + size]
