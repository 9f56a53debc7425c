"""Sans-I/O: what a receiver says of one try, held to what its sender has said."""

from __future__ import annotations

from actr_peer.errors import CallError, RemoteProtocolError
from actr_peer.protocol.files import messages
from actr_peer.protocol.files.messages import FilesReply
from actr_peer.protocol.files.names import check_name
from actr_peer.protocol.files.order import SENDING, Event, Order, State


class Replies:
    """What one try of a sender has heard.

    A receiver cannot keep a sender for ever by words: only what goes on is progress.

    Args:
        blocks: Of the transfer.

    Attributes:
        kept: Blocks that the receiver says it has.
        verified: Blocks that it says are written.
        sent: Blocks that this side has said whole; the sender counts them.
        is_said: This side has said the end; the sender sets it.
    """

    def __init__(self, blocks: int) -> None:
        self.kept = 0
        self.verified = 0
        self.sent = 0
        self.is_said = False
        self._order = Order(SENDING)
        self._blocks = blocks

    @property
    def is_moving(self) -> bool:
        """Blocks go over."""
        return self._order.state is State.MOVING

    def hear(self, reply: FilesReply) -> tuple[Event, bool]:
        """Take the next reply; return what is said, and whether it is progress.

        Raises:
            RemoteProtocolError: If it may not come now, or says what cannot be.
        """
        event = messages.event_of(reply)
        was_new = self._order.state is State.NEW
        self._order.hear(event)
        match event:
            case Event.KEPT:
                self.kept = _held(reply.kept.blocks, 0, self._blocks)
            case Event.BEGIN:
                if reply.begin.block not in (0, self.kept):
                    raise _bad("it begins where nothing is")
                self.verified = self.sent = reply.begin.block
            case Event.VERIFIED:
                most = self._blocks if was_new else self.sent
                before = self.verified
                self.verified = _held(reply.verified.blocks, before, most)
                return event, self.verified > before
            case _:
                _check_done(reply, is_said=self.is_said)
        return event, True


def _held(blocks: int, least: int, most: int) -> int:
    if not least <= blocks <= most:
        raise _bad(f"{blocks} blocks, where {least} to {most} can be there")
    return blocks


def _check_done(reply: FilesReply, *, is_said: bool) -> None:
    if not is_said:
        raise _bad("it is done before its end was said")
    try:
        check_name(reply.done.name, hidden=True)
    except CallError as exc:
        raise _bad(f"it is called {reply.done.name[:80]!r} there") from exc


def _bad(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"a transfer of files: {text}")
