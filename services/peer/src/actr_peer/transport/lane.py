"""Lanes: one payload type's way to one destination, whatever is below.

``ByteLane``
    takes a message, as bytes, and sends it over data channels or WebSockets. The same bytes arrive
    at the ``message`` of the far link's sink.
``TrackLane``
    takes a source of media, and sends what is read from it as an RTP track. Its frames arrive at
    the callback that the far side gives to its WebRTC wire.
``LocalLane``
    takes a call, and hands it over inside the process. The very object arrives, from ``receive``.

What arrives is pushed up, so it is no method here: a plain call for each message, with no queue and
no task between a wire and the mailbox.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Protocol, TypeVar

from actr_peer.errors import LimitError, PeerError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.fragments import frame_count
from actr_peer.protocol.session.frames import FRAGMENT_BYTES
from actr_peer.protocol.session.lanes import AnySender
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES, Sender
from actr_peer.protocol.streams.fair_queue import FairQueue, Quantum, Waiter

MAX_POSTED_BYTES = 64 * 1024 * 1024
MAX_POSTED_FRAMES = 64 * 1024
"""What may be posted and not acknowledged: a remote that takes no replies is dropped here."""

LIGHT_BYTES = 128 * 1024
"""What may be posted in a lane without being counted anew at each message."""

Item_contra = TypeVar("Item_contra", contravariant=True)


class Lane(Protocol[Item_contra]):
    """What all lanes have in common."""

    @property
    def payload_type(self) -> PayloadType:
        """What it carries."""

    async def send(self, item: Item_contra, /) -> object:
        """Take one item for delivery; wait while the lane is full.

        Cancelling while waiting sends nothing.

        Returns:
            What the caller may hold of it: a track's publication, else None.

        Raises:
            ClosedError: If this side has closed it.
            PeerError: As each lane says.
        """


class LaneOwner(Protocol):
    """What a lane needs of its link."""

    @property
    def loop(self) -> AbstractEventLoop: ...

    def submit(self, sender: AnySender, message: bytes) -> None:
        """Take a message, and send it in this turn if a wire takes it."""

    @property
    def is_shut(self) -> bool:
        """Whether nothing can be sent any more."""

    def refusal(self) -> PeerError | None:
        """Why nothing can be sent any more, as a new exception; None while it can."""

    def weigh(self) -> None:
        """Much is posted: see what the process holds for all remotes."""

    def overrun(self, error: LimitError) -> None:
        """The far side takes nothing of what is posted: drop it."""

    @property
    def max_message_bytes(self) -> int:
        """Longest message that both sides take."""


class ByteLane:
    """Messages over wires; made by :meth:`Link.lane <actr_peer.transport.link.Link.lane>`.

    It owns nobody and is closed with its link.
    """

    __slots__ = (
        "_is_recalling", "_link", "_replies", "_sender", "_waiters", "payload_type",
    )  # fmt: skip

    def __init__(
        self,
        link: LaneOwner,
        payload_type: PayloadType,
        sender: AnySender,
        replies: Sender | None = None,
    ) -> None:
        self.payload_type = payload_type
        self._link = link
        self._sender = sender
        self._replies = replies
        """Of what answers this lane's messages, RPC lanes only."""
        self._waiters: FairQueue[Future[None]] = FairQueue()
        """Who waits for room."""
        self._is_recalling = False

    def __repr__(self) -> str:
        return f"<ByteLane {self.payload_type.name}: {self._sender.queued} queued>"

    @property
    def is_crowded(self) -> bool:
        """Whether someone waits for room."""
        return self._waiters.count > 0

    async def send(
        self,
        message: bytes,
        *,
        quantum: Quantum | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Take ``message`` for delivery; wait while the window is full.

        Returning means accepted: it is sent on the first wire there is, and again until the far
        side acknowledges it or the link is gone. The latency-first lane never waits: it drops
        its oldest message instead, and counts it. Cancelling while waiting sends nothing.

        Args:
            message: Whole.
            quantum: Of its writer, who sends several in one turn where it has waited.
            check: Called where the message has waited, before it goes: what it raises is raised
                here, and nothing was sent.

        Raises:
            LimitError: If the message is longer than the far side takes; nothing was sent.
            UnreachableError: If no wire to the remote could be made.
            BrokenError: If the link is gone.
            ClosedError: If this side closed it.
        """
        if not self.offer(message, quantum):
            assert isinstance(self._sender, Sender)
            await self._wait(self._sender, message, quantum, check)

    def offer(self, message: bytes, quantum: Quantum | None = None) -> bool:
        """Take ``message`` if the window has room now, as :meth:`send` would; else do nothing.

        Raises:
            LimitError, UnreachableError, BrokenError, ClosedError: As :meth:`send`.
        """
        sender = self._sender
        self._check(message)
        if isinstance(sender, Sender):
            size = len(message)
            if not self._waiters.count:  # nearly always
                if not sender.has_room(size):
                    return False
            elif quantum is None or not self._waiters.may_pass(
                quantum, size, frame_count(size), *_free(sender)
            ):
                return False
            else:
                quantum.spend(size)
        self._link.submit(sender, message)
        return True

    def post(self, message: bytes) -> None:
        """Take ``message`` at once, whatever the window says: word about streams, and requests
        that go out again.

        The caller bounds what it has outstanding; a far side that takes nothing of it is
        dropped with a ``LimitError``.

        Raises:
            LimitError, UnreachableError, BrokenError, ClosedError: As :meth:`send`.
        """
        self._check(message)
        self._put(self._sender, message)

    def answer(self, message: bytes) -> None:
        """Take a reply, or word that a caller has left, at once; RPC lanes only.

        It goes by the lane's reply lane: full mailboxes hold up requests, and never this.
        Otherwise as :meth:`post`.

        Raises:
            LimitError, UnreachableError, BrokenError, ClosedError: As :meth:`send`.
        """
        self._check(message)
        assert self._replies is not None
        self._put(self._replies, message)

    def cancel(self, message: bytes) -> None:
        """Take word that a caller has left: at once, and once more behind its request, which
        the first may overtake; RPC lanes only.

        Raises:
            LimitError, UnreachableError, BrokenError, ClosedError: As :meth:`send`.
        """
        self.answer(message)
        self.post(message)

    def _put(self, sender: AnySender, message: bytes) -> None:
        if sender.held_bytes > MAX_POSTED_BYTES or sender.queued > MAX_POSTED_FRAMES:
            error = LimitError(
                "bytes posted and not taken", limit=MAX_POSTED_BYTES, asked=sender.held_bytes
            )
            self._link.overrun(error)
            raise error
        self._link.submit(sender, message)
        if sender.held_bytes > LIGHT_BYTES:
            self._link.weigh()

    def _check(self, message: bytes) -> None:
        link = self._link
        if link.is_shut:
            refusal = link.refusal()
            assert refusal is not None
            raise refusal
        if len(message) <= FRAGMENT_BYTES:  # which every far side takes
            return
        limit = link.max_message_bytes
        if len(message) > limit:
            raise LimitError("bytes of a message", limit=limit, asked=len(message))

    async def _wait(
        self,
        sender: Sender,
        message: bytes,
        quantum: Quantum | None,
        check: Callable[[], None] | None,
    ) -> None:
        size = len(message)
        waiter = Waiter(self._link.loop.create_future(), size, frame_count(size), quantum)
        self._waiters.join(waiter)
        has_left = True
        try:
            await waiter.who
            # Between waking and running, new callers queue behind: the order stays.
            self._check(message)
            if check is not None:
                check()
            if quantum is not None:
                quantum.spend(size)
            self._link.submit(sender, message)
            has_left = False
        finally:
            self._waiters.leave(waiter)
            if has_left:  # its room is another's
                self.wake()

    def wake(self) -> None:
        """Let as many go on as have room."""
        sender = self._sender
        queue = self._waiters
        if not queue.count or not isinstance(sender, Sender):
            return
        free, is_empty = _free(sender), sender.is_empty
        may_leave_room = False
        while (waiter := queue.call(*free, is_empty=is_empty)) is not None:
            if not waiter.who.done():  # one that was cancelled gives its room back when it runs
                waiter.who.set_result(None)
            may_leave_room = may_leave_room or waiter.quantum is not None
        if may_leave_room and not self._is_recalling:
            self._is_recalling = True
            self._link.loop.call_soon(self._recall)  # behind those who were just called

    def _recall(self) -> None:
        """Those who were called have run: what room they have left over is others'."""
        self._is_recalling = False
        self.wake()

    def fail(self) -> None:
        """The link is gone: so tell all who wait."""
        for future in self._waiters.waiting():
            error = self._link.refusal()
            if error is not None and not future.done():
                future.set_exception(error)


def _free(sender: Sender) -> tuple[int, int]:
    """What the window has left, in bytes and frames; less than nothing after what was posted."""
    frames = sender.next_seq - sender.acknowledged
    return WINDOW_BYTES - sender.held_bytes, WINDOW_FRAMES - frames
