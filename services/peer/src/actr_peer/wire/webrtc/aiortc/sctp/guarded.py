"""aiortc's SCTP as a receiver, made fit for strangers: what arrives is bounded, and wrong is told.

Source: RFC 9260 (SCTP), RFC 8831 (data channels).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine
from math import inf
from typing import Any, Protocol

from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    USERDATA_MAX_LENGTH,
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_STRING,
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    InboundStream,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
    parse_packet,
)

from actr_peer.errors import BrokenError, PeerError, RemoteProtocolError
from actr_peer.wire.base import CHANNELS
from actr_peer.wire.webrtc.aiortc import bounds
from actr_peer.wire.webrtc.aiortc.steps import run_now
from actr_peer.wire.webrtc.engine import TEXT_CHANNEL

ADVERTISED_WINDOW_BYTES = 1024 * 1024
SACK_EVERY = 2
SACK_EVERY_IN_FLOW = 4
"""Packets for one SACK, while they come thick and fast: acknowledging costs as much as sending."""
PACKETS_IN_FLOW = 16
SACK_DELAY = 0.005
SACK_BYTES = 16
QUIET = 0.1
"""Seconds without data after which an answer is acknowledged at once: most likely nothing follows,
and a timer of its own would wake the process once more."""

_Established = RTCSctpTransport.State.ESTABLISHED
_Closed = RTCSctpTransport.State.CLOSED


class SctpSink(Protocol):
    """Who owns an association hears from it here; none of these may raise."""

    def opened(self) -> None: ...

    def message(self, channel: int, data: bytes) -> None: ...

    def text(self, data: bytes) -> None: ...

    def writable(self) -> None: ...

    def overdue(self) -> None:
        """What was sent was not acknowledged in time."""

    def channels_closed(self, channels: frozenset[int]) -> None:
        """The far side closed these alone, the association lives."""

    def closed(self, error: PeerError | None) -> None:
        """The association is gone, once; None: the far side closed all channels."""


class Together(Chunk):
    """Two chunks for one packet, the second of data (RFC 9260, 6.10)."""

    def __init__(self, first: Chunk, second: Chunk) -> None:
        self._chunks = first, second

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self._chunks))


class GuardedSctp(RTCSctpTransport):
    """The receiving half of ``association.LaneSctp``."""

    def guard(self, sink: SctpSink) -> None:
        self._sink = sink
        self._turns = asyncio.get_running_loop()
        self._error: PeerError | None = None
        self._unacknowledged_packets = 0
        self._flow_packets = 0
        self._sack_timer: asyncio.TimerHandle | None = None
        self._is_answer = False
        """Whether the newest packet acknowledges something too."""
        self._data_at = -inf
        """When data last came."""

    async def _handle_data(self, data: bytes) -> None:
        """Take one packet; whatever is wrong in it ends here."""
        try:
            _, _, tag, chunks = parse_packet(data)
            is_init = any(isinstance(chunk, InitChunk) for chunk in chunks)
            if tag != (0 if is_init else self._local_verification_tag):
                return
            self._is_answer = type(chunks[0]) is SackChunk if chunks else False
            for chunk in chunks:
                await self._receive_chunk(chunk)
                if self._error is not None:
                    return
            if self._sack_needed:
                await self._send_sack()
        except PeerError as error:
            self._violated(error)
        except (ValueError, AssertionError, LookupError, TypeError, struct.error) as exc:
            # aiortc checks the length of a chunk and not what is in it.
            violation = RemoteProtocolError(f"malformed SCTP packet of {len(data)} bytes")
            violation.__cause__ = exc
            self._violated(violation)

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if chunk.stream_id >= CHANNELS:
            raise RemoteProtocolError(f"data on channel {chunk.stream_id}")
        stream = self._get_inbound_stream(chunk.stream_id)
        expected = ((self._last_received_tsn or 0) + 1) & 0xFFFFFFFF
        if chunk.tsn != expected and len(self._sack_misordered) >= bounds.MAX_OUT_OF_ORDER:
            self._sack_needed = True
            return  # as if lost: it comes again when what is missing has come
        is_next = chunk.tsn == expected and not self._sack_misordered
        if is_next and not chunk.flags & SCTP_DATA_UNORDERED:
            await self._receive_in_order(stream, chunk)
        else:
            await super()._receive_data_chunk(chunk)
        if stream.reassembly:
            bounds.check(stream, ADVERTISED_WINDOW_BYTES - self._advertised_rwnd)

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        for stream_id, _ in chunk.streams:
            if stream_id >= CHANNELS:
                raise RemoteProtocolError(f"skipped data on channel {stream_id}")
        await super()._receive_forward_tsn_chunk(chunk)

    async def _receive_in_order(self, stream: InboundStream, chunk: DataChunk) -> None:
        """As aiortc's, where nothing is missing: it searches all parts for each that comes."""
        self._sack_needed = True
        self._last_received_tsn = chunk.tsn
        parts = stream.reassembly
        parts.append(chunk)
        self._advertised_rwnd -= len(chunk.user_data)
        if chunk.flags & SCTP_DATA_LAST_FRAG:
            is_one = (
                parts[0].flags & SCTP_DATA_FIRST_FRAG
                and chunk.tsn - parts[0].tsn == len(parts) - 1
                and parts[0].stream_seq == chunk.stream_seq == stream.sequence_number
            )
            if is_one:
                stream.reassembly = []
                stream.sequence_number = (stream.sequence_number + 1) & 0xFFFF
                data = b"".join([part.user_data for part in parts])
                self._advertised_rwnd += len(data)
                await self._receive(chunk.stream_id, chunk.protocol, data)
            else:
                for message in stream.pop_messages():
                    self._advertised_rwnd += len(message[2])
                    await self._receive(*message)
        if self._reconfig_deferred is not None:
            await self._reset_deferred_streams()

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if self._error is not None:
            return
        if pp_id == WEBRTC_BINARY:
            bounds.check_whole(data)
            self._sink.message(stream_id, data)
        elif pp_id == WEBRTC_BINARY_EMPTY:
            self._sink.message(stream_id, b"")
        elif pp_id == WEBRTC_STRING and stream_id == TEXT_CHANNEL:
            bounds.check_whole(data)
            self._sink.text(data)
        else:
            raise RemoteProtocolError(f"payload protocol {pp_id} on channel {stream_id}")

    async def _send_sack(self) -> None:
        self._unacknowledged_packets += 1
        self._flow_packets += 1
        is_flow = self._flow_packets > PACKETS_IN_FLOW
        before, self._data_at = self._data_at, self._turns.time()
        is_last = self._is_answer and self._data_at - before > QUIET
        if (
            self._unacknowledged_packets < (SACK_EVERY_IN_FLOW if is_flow else SACK_EVERY)
            and not is_last
            and not self._sack_misordered
            and not self._sack_duplicates
            and self._association_state is _Established
        ):
            if self._sack_timer is None:
                self._sack_timer = self._turns.call_later(SACK_DELAY, self._sack_overdue)
            return
        self._unacknowledged_packets = 0
        await super()._send_sack()

    def _with_sack(self, chunk: DataChunk) -> Chunk:
        """Put word of what has come before ``chunk`` in its packet, where that is short: a packet
        costs as much as what is in it."""
        is_plain = not self._sack_misordered and not self._sack_duplicates
        if not is_plain or len(chunk.user_data) > USERDATA_MAX_LENGTH - SACK_BYTES:
            return chunk
        self._unacknowledged_packets = 0
        self._sack_needed = False
        self._stop_sack_timer()
        sack = SackChunk()
        sack.cumulative_tsn = self._last_received_tsn or 0
        sack.advertised_rwnd = max(0, self._advertised_rwnd)
        return Together(sack, chunk)

    def _sack_overdue(self) -> None:
        self._sack_timer = None
        self._flow_packets = 0
        if self._sack_needed and self._association_state is _Established:
            self._unacknowledged_packets = SACK_EVERY_IN_FLOW
            self._step(self._send_sack())

    def _stop_sack_timer(self) -> None:
        if self._sack_timer is not None:
            self._sack_timer.cancel()
            self._sack_timer = None

    def _violated(self, error: PeerError) -> None:
        """End the association because of ``error``."""
        if self._error is None and self._association_state is not _Closed:
            self._error = error
            self._step(self._abort())
            self._set_state(_Closed)

    def _step(self, coro: Coroutine[Any, Any, None]) -> None:
        """Run one of aiortc's coroutines within this call."""
        if not run_now(coro):
            violation = BrokenError("sending suspended: aiortc does that no longer as it did")
            self._violated(violation)
