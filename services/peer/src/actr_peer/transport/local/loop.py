"""The way of messages to the own id: as much of a link as what is above a transport asks for.

It is for what must be bytes: a call that the mailbox keeps, and word about a named channel. There
is no wire and no session: nothing is lost on the way, and nothing has to be sent again. What is
sent in one turn of the loop arrives in the next, urgent messages and replies first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from actr_peer.errors import ClosedError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, PayloadType
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.tasks import note_failure
from actr_peer.transport.link_view import LinkView
from actr_peer.transport.local.lanes import LoopLane
from actr_peer.transport.publications import TrackLane

if TYPE_CHECKING:
    from actr_peer.wire.base import Wire

log = logging.getLogger(__name__)

MAX_DELIVERED = 64
"""Messages in one turn of the loop: then others get theirs."""

Delivered = Callable[["LoopLink", PayloadType, bytes, int], None]


class LoopLink:
    """Owned by the transport, which makes it when the own id is first asked for.

    Args:
        delivered: Given each message: this link, lane, message, and its number.
        gone: Told of the end.
        track_lane: Gives the lane of tracks to the own id.

    Attributes:
        used_at: When a message was last sent, by the loop's clock.
        is_shut: Nothing can be sent any more.
    """

    max_message_bytes = MAX_MESSAGE_BYTES
    was_ready = is_ready = True

    def __init__(
        self,
        self_id: ActrId,
        delivered: Delivered,
        gone: Callable[[LoopLink, PeerError], None],
        track_lane: Callable[[], TrackLane],
    ) -> None:
        self.remote = self_id
        self.loop = asyncio.get_running_loop()
        self.used_at = self.loop.time()
        self.is_shut = False
        self._delivered = delivered
        self._gone = gone
        self._track_lane = track_lane
        self._lanes = {kind: LoopLane(self, kind) for kind in _ORDER}
        self._replies: deque[tuple[PayloadType, bytes]] = deque()
        self._is_kicked = False

    is_ready = was_ready = True
    """There is nothing to be lost on."""

    @property
    def is_over(self) -> bool:
        """Whether the link is gone."""
        return self.is_shut

    def lane(self, payload_type: PayloadType) -> LoopLane | TrackLane:
        """The lane for this payload type, always the same one.

        Raises:
            ClosedError: For tracks, if this side leaves.
        """
        lane = self._lanes.get(payload_type)
        return self._track_lane() if lane is None else lane

    def view(self) -> LinkView:
        """How things stand."""
        lanes = {kind: lane.view() for kind, lane in self._lanes.items()}
        return LinkView(self.remote, (), None, lanes)

    def wire(self, kind: object) -> Wire | None:
        """There is none."""
        return None

    def refusal(self) -> PeerError | None:
        """Why nothing can be sent any more; None while it can."""
        return ClosedError(f"{self.remote} is closed") if self.is_shut else None

    def acknowledge(self, payload_type: PayloadType, number: int) -> None:
        """A message is stored, or useless; twice is harmless."""
        self._lanes[payload_type].settle(number)

    def answer(self, payload_type: PayloadType, message: bytes) -> None:
        """For lanes: take a reply."""
        self._replies.append((payload_type, message))
        self.kick()

    def kick(self) -> None:
        """For lanes: deliver what there is, in the next turn of the loop."""
        if not self._is_kicked:
            self._is_kicked = True
            self.loop.call_soon(self._deliver)

    def close(self) -> None:
        """Take no more; what is on its way is dropped. Twice is harmless."""
        if self.is_shut:
            return
        self.is_shut = True
        error = ClosedError(f"{self.remote} is closed")
        self._replies.clear()
        for lane in self._lanes.values():
            lane.fail(error)
        self._gone(self, error)

    def _deliver(self) -> None:
        self._is_kicked = False
        self.used_at = self.loop.time()
        for _ in range(MAX_DELIVERED):
            if self._replies:
                payload_type, message = self._replies.popleft()
                number = UNNUMBERED
            else:
                lane = next((lane for lane in self._lanes.values() if lane), None)
                if lane is None:
                    return
                payload_type = lane.payload_type
                message, number = lane.take()
            try:
                self._delivered(self, payload_type, message, number)
            except Exception as exc:  # noqa: BLE001 - one message ends nothing but itself
                note_failure("transport", f"link/{self.remote}", exc)
        self.kick()


_ORDER = (
    PayloadType.RPC_SIGNAL,
    PayloadType.RPC_RELIABLE,
    PayloadType.STREAM_LATENCY_FIRST,
    PayloadType.STREAM_RELIABLE,
)
"""Of what arrives in one turn, urgent lanes first."""
