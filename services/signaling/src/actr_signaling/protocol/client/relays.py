"""Sans-I/O: a relay looked at where it lies, if its bytes have the form that nearly all have.

::

    id (1) relay (8) { to (1) negotiate (2) { connection_id (1)? exchange (2)? step
                                              signature (15)? statement (16)? certificate (17)? } }
    step: offer (3) or answer (4) { sdp (1) }
          candidate (5) { candidate (1)? sdp_mid (2)? sdp_m_line_index (3)? }

Each field comes once, in this order and with nothing beside it; texts are of ASCII and within the
bounds of :mod:`actr_signaling.protocol.client.messages`. protobuf would make an object of each part
and write the step anew, which is most of what a relay costs. Whatever is of another form, and all
that is wrong, is for it: this reader refuses nothing.
"""

from __future__ import annotations

from actr_signaling.protocol.client.messages import MAX_CANDIDATE_CHARACTERS, MAX_SDP_CHARACTERS
from actr_signaling.protocol.client.registers import MAX_TEXT_CHARACTERS
from actr_signaling.protocol.identity.ids import MAX_ID_BYTES

Seen = tuple[int, bytes, bytes]
"""The message's id, ``to`` and ``negotiate``, as serialized; ``to`` may still be no id at all."""

MAX_NUMBER_BYTES = 5
"""Of the varint; ids of messages rise from 1."""
MAX_EXCHANGE_BYTES = 4
_ID = 1 << 3
_RELAY = 8 << 3 | 2
_TO = 1 << 3 | 2
_NEGOTIATE = 2 << 3 | 2
_CONNECTION_ID = 1 << 3 | 2
_EXCHANGE = 2 << 3
_DESCRIPTIONS = (3 << 3 | 2, 4 << 3 | 2)
_SDP = 1 << 3 | 2
_CANDIDATE = 5 << 3 | 2
_SDP_MID = 2 << 3 | 2
_SDP_LINE = 3 << 3
_SIGNED = (bytes((15 << 3 | 2,)), b"\x82\x01", b"\x8a\x01")  # 15, 16 and 17
_MORE = 0x80  # of a varint


def look(data: bytes) -> Seen | None:
    """Find the parts of a message of at most 64 KiB; None: it is of another form."""
    size = len(data)
    try:
        if data[0] != _ID:
            return None
        number, at = data[1], 2
        if number >= _MORE:
            number, at = _number(data)
        if data[at] != _RELAY:
            return None
        at, end = _span(data, at + 1)
        if end != size or data[at] != _TO:
            return None
        to_at, to_end = at + 2, at + 2 + data[at + 1]
        if data[at + 1] >= _MORE:
            to_at, to_end = _span(data, at + 1)
        if to_end - to_at > MAX_ID_BYTES or data[to_end] != _NEGOTIATE:
            return None
        at, end = _span(data, to_end + 1)
        if end != size or _step_end(data, at) != size:
            return None
    except IndexError:  # it ends within a field
        return None
    return number, data[to_at:to_end], data[at:]


def _number(data: bytes) -> tuple[int, int]:
    """The varint behind the first byte, and where it ends; 0, 0: it is too long."""
    end = _varint_end(data, 1, MAX_NUMBER_BYTES)
    number = 0
    for place in range(end - 1, 0, -1):
        number = number << 7 | data[place] & 0x7F
    return number, end


def _step_end(data: bytes, at: int) -> int:
    """Where a negotiation ends that begins at ``at``; 0: it is of another form."""
    tag = data[at]
    if tag == _CONNECTION_ID:
        at = _text_end(data, at + 1, MAX_TEXT_CHARACTERS)
        tag = data[at] if at else 0
    if tag == _EXCHANGE:
        at = _varint_end(data, at + 1, MAX_EXCHANGE_BYTES)
        tag = data[at] if at else 0
    if tag in _DESCRIPTIONS:
        start, end = _span(data, at + 1)
        if data[start] != _SDP or _text_end(data, start + 1, MAX_SDP_CHARACTERS) != end:
            return 0
    elif tag == _CANDIDATE:
        start, end = _span(data, at + 1)
        if _candidate_end(data, start, end) != end:
            return 0
    else:
        return 0
    return end if end == len(data) else _signed_end(data, end)


def _candidate_end(data: bytes, at: int, end: int) -> int:
    if at < end and data[at] == _SDP:
        at = _text_end(data, at + 1, MAX_CANDIDATE_CHARACTERS) or end + 1
    if at < end and data[at] == _SDP_MID:
        at = _text_end(data, at + 1, MAX_TEXT_CHARACTERS) or end + 1
    if at < end and data[at] == _SDP_LINE:
        at = _varint_end(data, at + 1, 1)
    return at


def _signed_end(data: bytes, at: int) -> int:
    for tag in _SIGNED:
        if data.startswith(tag, at):
            _, at = _span(data, at + len(tag))
    return at


def _text_end(data: bytes, at: int, most: int) -> int:
    """Where a text ends whose length is at ``at``; 0: it is too long, cut off, or not of ASCII."""
    size = data[at]
    if size < _MORE:
        start, end = at + 1, at + 1 + size
    else:
        start, end = _span(data, at)
    is_plain = end - start <= most and end <= len(data) and data[start:end].isascii()
    return end if is_plain else 0


def _span(data: bytes, at: int) -> tuple[int, int]:
    """Where a value begins and ends whose length is at ``at``, in three bytes at most."""
    size = data[at]
    if size < _MORE:
        return at + 1, at + 1 + size
    high = data[at + 1]
    if high < _MORE:
        return at + 2, at + 2 + (size & 0x7F | high << 7)
    # A fourth byte would follow a third over 0x7F: then this is more than any message has.
    return at + 3, at + 3 + (size & 0x7F | (high & 0x7F) << 7 | data[at + 2] << 14)


def _varint_end(data: bytes, at: int, most: int) -> int:
    """Where a varint ends that begins at ``at``; 0: it has more than ``most`` bytes."""
    for end in range(at, at + most):
        if data[end] < _MORE:
            return end + 1
    return 0
