"""What the outbox writes for a call, and what the call hears of it."""

from __future__ import annotations

import errno
from typing import ClassVar

from actr_peer.errors import CallError, Code
from actr_peer.protocol.mailbox.outbox.call import CallEvent
from actr_peer.protocol.mailbox.requests import ROW_BYTES
from actr_peer.state.outbox.call import DurableCall, unheard
from actr_peer.state.outbox.store import done_row, gone_row, open_row
from actr_peer.state.storage.database import is_full
from actr_peer.state.storage.operations import Finish, Insert

RETRY_AFTER = 1.0
"""Seconds that a caller is asked to wait when the disk is full."""


class WriteCall(Insert):
    """A new row."""

    __slots__ = ()
    outcomes: ClassVar = (CallEvent.STORED, CallEvent.NOT_STORED)

    def __init__(self, call: DurableCall) -> None:
        self.size = len(call.envelope) + ROW_BYTES
        self.error = None
        self.owner = call
        self.row = open_row(call)


class WriteReply(Finish):
    """Its reply, which is kept: the row gets it for its body."""

    __slots__ = ()
    outcomes: ClassVar = (CallEvent.REPLY_SAVED, CallEvent.REPLY_NOT_SAVED)

    def __init__(self, call: DurableCall) -> None:
        reply = call.reply or b""
        super().__init__(call, done_row(call.number, reply), len(reply) + ROW_BYTES)


class WriteMark(Finish):
    """That its row is needed no more: it may be deleted, with others."""

    __slots__ = ()
    outcomes: ClassVar = (CallEvent.MARKED, CallEvent.NOT_MARKED)

    def __init__(self, call: DurableCall) -> None:
        self.size = ROW_BYTES
        self.error = None
        self.owner = call
        self.row = gone_row(call.number)


Write = WriteCall | WriteReply | WriteMark
WRITES = (WriteCall, WriteReply, WriteMark)


def tell(call: DurableCall, write: Write) -> None:
    """Tell who put a call whether its row is on disk; once."""
    saved, call.saved = call.saved, unheard  # it may know the call: no circle stays
    saved(None if write.error is None else failure(call, write))


def failure(call: DurableCall, write: Write | None) -> CallError:
    """Why those who wait for a reply wait in vain."""
    if write is None or write.error is None:
        return CallError(Code.NOT_FOUND, f"{call.call_key!r} has been forgotten")
    has_room = not (is_full(write.error) or _is_without_room(write.error.__cause__))
    return CallError(
        Code.UNAVAILABLE if has_room else Code.RESOURCE_EXHAUSTED,
        f"the outbox cannot store a durable call: {write.error}",
        retryable=True,
        retry_after=RETRY_AFTER,
    )


def _is_without_room(cause: BaseException | None) -> bool:
    """Whether the file could not be made, or its notes not be written, for want of room."""
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
