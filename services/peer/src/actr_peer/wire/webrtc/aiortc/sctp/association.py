"""aiortc's SCTP, made fit for lanes: what is urgent overtakes, and what arrives is bounded.

The class of one connection's transport is swapped (:func:`upgrade`): nothing global is patched.
What differs from aiortc 1.16, each measured to matter (docs/decisions/0004-latency-first.md):

- messages leave by the rank of their channel, not in order of arrival
- the congestion window has an upper bound, the retransmission time-out a lower lower bound
- one SACK for two packets, for four in a steady flow, or for 5 ms; none of its own where data
  goes the same way
- no search for chunks to send again while nothing was lost
- a message that grows beyond what we advertise, or a channel that does not exist, ends the
  association (aiortc buffers without end)
- messages reach the sink directly: no event emitter, no task, no queue
- what is latency-first ages by the monotonic clock: a step of the wall clock drops nothing
- a malformed packet ends the association instead of killing the transport silently

Source: RFC 9260 (SCTP), RFC 8831 (data channels), RFC 6525 (stream reset).
"""

from __future__ import annotations

import asyncio
import math
import time

from aiortc import RTCDataChannel
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
    RTCSctpTransport,
    SackChunk,
    serialize_packet,
)
from OpenSSL import SSL

from actr_peer.errors import BrokenError
from actr_peer.protocol.payload import TRAFFIC, PayloadType
from actr_peer.wire.webrtc.aiortc import bounds
from actr_peer.wire.webrtc.aiortc.sctp.guarded import GuardedSctp, SctpSink
from actr_peer.wire.webrtc.aiortc.sctp.lane_queue import ChunkQueue, LaneQueue, OutboundChunk
from actr_peer.wire.webrtc.engine import EngineOptions

LATENCY_FIRST = int(PayloadType.STREAM_LATENCY_FIRST)
LIFETIME = TRAFFIC[PayloadType.STREAM_LATENCY_FIRST].lifetime or 0.1

INITIAL_WINDOW_BYTES = 10 * USERDATA_MAX_LENGTH  # RFC 6928's ten segments
INITIAL_RESEND_AFTER = 0.5
"""Until a round trip is measured. aiortc's 3 s make one lost INIT cost 3 s."""

_Established = RTCSctpTransport.State.ESTABLISHED
_Closed = RTCSctpTransport.State.CLOSED
_PAST = -math.inf
"""Before any reading of any clock."""


class LaneSctp(GuardedSctp):
    """One association; made by :func:`upgrade`, never constructed."""

    _options: EngineOptions
    _data_channel_queue: LaneQueue  # type: ignore[assignment]
    _outbound_queue: ChunkQueue

    def adopt(self, options: EngineOptions, sink: SctpSink) -> None:
        self.guard(sink)
        self._options = options
        self.is_full = False
        self.stale = 0
        """Latency-first messages that waited too long and were never sent."""
        self._window = INITIAL_WINDOW_BYTES
        self._rto = INITIAL_RESEND_AFTER
        self._is_flushing = False
        self._is_closing = False
        self._may_resend = False
        """Something was lost, and may not all be sent again yet."""
        self._closed_channels: set[int] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._data_channel_queue = LaneQueue()
        self._outbound_queue = ChunkQueue()

    # sending

    @property
    def buffered_bytes(self) -> int:
        return self._data_channel_queue.bytes + self._outbound_queue.bytes

    @property
    def is_established(self) -> bool:
        return self._association_state is _Established and not self._is_closing

    def send(self, channel: RTCDataChannel, data: bytes) -> None:
        """Queue ``data`` and send what the window lets go, now.

        Raises:
            BrokenError: If the association is not established.
        """
        if self._association_state is not _Established or self._is_closing:
            raise BrokenError("the WebRTC connection is not open")
        if data:
            self._data_channel_queue.append((channel, WEBRTC_BINARY, data))
        else:
            self._data_channel_queue.append((channel, WEBRTC_BINARY_EMPTY, b"\0"))
        if not self._outbound_queue and not self._is_flushing:
            self._step(self._data_channel_flush())
        if self.buffered_bytes > self._options.high_water_bytes:
            self.is_full = True

    def send_text(self, channel: RTCDataChannel, data: bytes) -> None:
        """As :meth:`send`, for what is rare, not empty, and no message of a session.

        Raises:
            BrokenError: If the association is not established.
        """
        if not self.is_established:
            raise BrokenError("the WebRTC connection is not open")
        self._data_channel_queue.append((channel, WEBRTC_STRING, data))
        self._step(self._data_channel_flush())

    def reopened(self, channel: RTCDataChannel) -> None:
        """Send what waited for ``channel``, which was closed alone and is open again."""
        self._data_channel_queue.reopened(channel)
        self._step(self._data_channel_flush())

    async def _data_channel_flush(self) -> None:
        if self._is_flushing or self._association_state is not _Established:
            return
        self._is_flushing = True
        try:
            queue = self._data_channel_queue
            while not self._outbound_queue and queue:
                channel, protocol, data, queued_at = queue.popleft()
                expiry = None
                if channel.id == LATENCY_FIRST:
                    left = LIFETIME - (time.monotonic() - queued_at)
                    if left <= 0:
                        self.stale += 1
                        continue
                    expiry = queued_at + LIFETIME
                self._cut(channel, protocol, data, expiry)
                await self._transmit()
        finally:
            self._is_flushing = False
        if self._reconfig_queue:
            await self._transmit_reconfig()
        if self.is_full and self.buffered_bytes <= self._options.low_water_bytes:
            self.is_full = False
            self._sink.writable()

    def _cut(
        self, channel: RTCDataChannel, protocol: int, data: bytes, expiry: float | None
    ) -> None:
        """Cut a message into chunks and queue them, as aiortc's ``_send`` does."""
        channel_id = channel.id or 0
        number, flags = 0, SCTP_DATA_UNORDERED
        if channel.ordered:
            number, flags = self._outbound_stream_seq.get(channel_id, 0), 0
            self._outbound_stream_seq[channel_id] = (number + 1) & 0xFFFF
        stream = (channel_id, number, protocol)
        first, last = SCTP_DATA_FIRST_FRAG, max(0, len(data) - USERDATA_MAX_LENGTH)
        for at in range(0, len(data), USERDATA_MAX_LENGTH):
            part = flags | first | (SCTP_DATA_LAST_FRAG if at >= last else 0)
            self._outbound_queue.append(
                OutboundChunk(
                    part, self._local_tsn, stream, data[at : at + USERDATA_MAX_LENGTH], expiry
                )
            )
            self._local_tsn = (self._local_tsn + 1) & 0xFFFFFFFF
            first = 0

    async def _transmit(self) -> None:
        self._abandon_stale()
        if self._may_resend or self._forward_tsn_chunk is not None:
            await super()._transmit()
            self._may_resend = any(chunk._retransmit for chunk in self._sent_queue)
            return
        # As aiortc's, without its search of all that is in flight for what to send again.
        burst = (4 if self._fast_recovery_exit is None else 2) * USERDATA_MAX_LENGTH
        window = min(self._flight_size + burst, self._window)
        while self._outbound_queue and self._flight_size < window:
            chunk = self._outbound_queue.popleft()
            self._sent_queue.append(chunk)
            self._flight_size_increase(chunk)
            chunk._sent_count += 1
            chunk._sent_time = time.time()
            await self._send_chunk(chunk)
            if self._t3_handle is None:
                self._t3_start()

    def _t3_expired(self) -> None:
        self._may_resend = True
        self._sink.overdue()
        super()._t3_expired()

    def _abandon_stale(self) -> None:
        """Drop what waited for the window longer than its life: aiortc looks at that only when
        its timer fires, and would send it, or send it again, when the path heals."""
        if self._may_resend:
            repeats = [c for c in self._sent_queue if c._retransmit and c._expiry is not None]
            if [chunk for chunk in repeats if self._maybe_abandon(chunk)]:
                self._update_advanced_peer_ack_point()
        queue = self._outbound_queue
        if not queue or queue[0]._expiry is None or queue[0]._expiry >= time.monotonic():
            return
        if self._sent_queue and not queue[0].flags & SCTP_DATA_FIRST_FRAG:
            self._maybe_abandon(self._sent_queue[-1])  # its first part, where not acknowledged
        for chunk in queue:
            chunk._abandoned = True
            if chunk.flags & SCTP_DATA_LAST_FRAG:
                break
        self.stale += 1
        self._update_advanced_peer_ack_point()

    def _maybe_abandon(self, chunk: DataChunk) -> bool:
        # aiortc compares with the wall clock, which steps; our times are those of the monotonic.
        expiry = chunk._expiry
        if expiry is None:
            return super()._maybe_abandon(chunk)
        chunk._expiry = _PAST if expiry < time.monotonic() else None
        try:
            return super()._maybe_abandon(chunk)
        finally:
            chunk._expiry = expiry

    async def _send_chunk(self, chunk: Chunk) -> None:
        if self._sack_needed and isinstance(chunk, DataChunk):
            chunk = self._with_sack(chunk)
        try:
            await self.transport._send_data(
                serialize_packet(
                    self._local_port, self._remote_port or 0, self._remote_verification_tag, chunk
                )
            )
        except (ConnectionError, SSL.Error):
            # The transport below is closing and says so itself; timers here may still fire.
            return

    async def drained(self) -> None:
        """Wait until all that was sent is acknowledged, or the association is gone."""
        while self._association_state is _Established and (self.buffered_bytes or self._sent_queue):
            await self._wait()

    async def close_channels(self) -> None:
        """Close all channels and wait until the far side has done so too."""
        self._is_closing = True
        for channel in tuple(self._data_channels.values()):
            channel.close()
        while self._association_state is _Established and self._data_channels:
            await self._wait()

    async def _wait(self) -> None:
        if self._waiter is None:
            self._waiter = self._turns.create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    # window and timers

    @property
    def _cwnd(self) -> int:
        return self._window

    @_cwnd.setter
    def _cwnd(self, value: int) -> None:
        self._window = min(value, self._options.max_window_bytes)

    def _update_rto(self, R: float) -> None:  # noqa: N803
        # A step of the wall clock, by which aiortc measures, is no round trip.
        super()._update_rto(min(max(R, 0.0), 10.0))
        if self._srtt is not None and self._rttvar is not None:
            self._rto = max(self._options.min_resend_after, self._srtt + 4 * self._rttvar)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        # aiortc walks through all that the blocks of one packet name: up to 20 million numbers.
        outstanding = (self._local_tsn - 1 - chunk.cumulative_tsn) & 0xFFFFFFFF
        chunk.gaps = bounds.acknowledged(chunk.gaps, outstanding)
        if chunk.gaps:
            self._may_resend = True
        await super()._receive_sack_chunk(chunk)
        if self._waiter is not None and not self._sent_queue:
            self._wake()

    # closing

    async def stop(self) -> None:
        """aiortc's: the transport below is gone, or this side frees the connection."""
        self._error = self._error or BrokenError("the path to the far side is gone")
        await super().stop()

    def _data_channel_closed(self, stream_id: int) -> None:
        super()._data_channel_closed(stream_id)
        if self._association_state is not _Established:
            return
        if not self._closed_channels:
            # A far side that closes the connection closes all of them, within this turn.
            self._turns.call_soon(self._after_channels_closed)
        self._closed_channels.add(stream_id)
        self._wake()

    def _data_channel_close(self, channel: RTCDataChannel) -> None:
        if not self._is_closing and channel.id is not None:
            self._data_channel_queue.held.add(channel.id)
        super()._data_channel_close(channel)

    def _after_channels_closed(self) -> None:
        closed, self._closed_channels = frozenset(self._closed_channels), set()
        if self._is_closing or self._association_state is not _Established:
            return
        if self._data_channels:
            self._sink.channels_closed(closed)
        else:
            self._is_closing = True
            self._sink.closed(None)

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        before = self._association_state
        super()._set_state(state)
        if state is before:
            return
        if state is _Established:
            self._sink.opened()
        elif state is _Closed:
            self._stop_sack_timer()
            self._wake()
            self._sink.closed(self._error or BrokenError("the far side ended the association"))


def upgrade(transport: RTCSctpTransport, options: EngineOptions, sink: SctpSink) -> LaneSctp:
    """Make ``transport`` a :class:`LaneSctp`; to be done before it starts."""
    del transport.__dict__["_cwnd"]  # a property from now on
    transport.__class__ = LaneSctp
    assert isinstance(transport, LaneSctp)
    transport.adopt(options, sink)
    return transport
