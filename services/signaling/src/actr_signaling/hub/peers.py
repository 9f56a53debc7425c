"""What the hub and its parts see of one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from actr_signaling.errors import Close
from actr_signaling.ledger.base import Ledger
from actr_signaling.protocol.client.effects import Effects
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import PresenceView
from actr_signaling.protocol.websocket import frames


@dataclass(frozen=True, slots=True)
class Burst:
    """Messages for several connections of one form, and their frames, written once."""

    messages: Sequence[bytes | str]
    frames: bytes

    @classmethod
    def of(cls, messages: Sequence[bytes | str]) -> Burst:
        return cls(messages, b"".join(map(frames.whole, messages)))


class Peer(Protocol):
    """One connection, as the hub sees it (:class:`actr_signaling.web.connection.Connection`)."""

    session_id: str
    session: Session
    head: bytes
    """The relayed head of this sender, from ``relayed_head``."""
    entry: Entry | None
    """As registered by this connection, once confirmed."""
    ice_until: float | None
    """When its TURN credentials are to be renewed, on the loop's clock; None: it has none."""

    took_over: bool
    """Whether another process held the identity when this one asked for it."""
    is_json: bool
    """Whether its messages are text in protobuf's JSON form."""

    def send(self, data: bytes | str) -> bool:
        """Hand a ServerMessage to the socket; False: it is gone, or too slow and being cut.

        Args:
            data: In bytes whatever the form of the connection, or in its JSON form already.
        """

    def send_burst(self, burst: Burst) -> bool:
        """The same for several messages, in the form of the connection."""

    def pass_on(self, data: bytes) -> bool:
        """The same for what another peer sends; too slow is then no reason to cut it."""

    def pass_on_parts(self, start: bytes, rest: bytes) -> bool:
        """The same for a message in two parts."""

    def confirm(self, reply_to: int) -> bool:
        """Send a receipt, as :meth:`send` does."""

    @property
    def is_slow(self) -> bool:
        """Whether it leaves unread what it was told; :meth:`Hub.relieved` tells when it has."""

    def end(self, code: Close, message: str) -> None:
        """Close the socket; the hub is told at once by :meth:`Hub.gone`."""


class Bounds(Protocol):
    """What is asked before a relay (:class:`actr_signaling.hub.meetings.Meetings`)."""

    def may_relay(self, peer: Peer, to: ActrId, entry: Entry | None) -> bool: ...


class Board(Protocol):
    """What the hub's parts see of it."""

    server_id: str
    presence: PresenceView

    @property
    def meetings(self) -> Bounds:
        """Whom the access rules keep apart."""

    is_draining: bool

    @property
    def peers(self) -> Mapping[str, Peer]:
        """By session id: every open connection."""

    @property
    def here(self) -> Mapping[str, Peer]:
        """By id: registered connections."""

    @property
    def ledger(self) -> Ledger: ...

    def perform(self, peer: Peer, todo: Effects) -> None:
        """Do what a session decided, in order."""
