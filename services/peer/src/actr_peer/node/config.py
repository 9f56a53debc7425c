"""What a node needs to know, as plain values; ``settings`` fills it from files and environment.

No key chooses a lane: lanes follow from the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import CAPACITY, MAX_ATTEMPTS, MAX_BYTES, REMEMBER
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.webrtc.candidates import DEFAULT_RULE, AddressRule
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.state.storage.database import Durability
from actr_peer.state.storage.witness import AfterLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One actor's configuration."""

    id: ActrId
    signaling_url: str
    """``ws://host:port/v1/ws`` of a signaling service, or of the name of several."""
    realm_secret: bytes | None = field(default=None, repr=False)
    """Proves membership of the realm; None is development mode."""
    prefer: Sequence[WireKind] = (WireKind.WEBRTC, WireKind.WEBSOCKET)
    """Kinds of wire to use, best first; all that are listed are raced."""
    listen: str | None = "127.0.0.1:0"
    """``host:port`` of the WebSocket listener; port 0 takes a free one; None: no listener."""
    advertise: str | None = None
    """Address that others dial, ``ws://host:port/v1/wire``; None: derived from ``listen``."""
    reach: AddressRule = DEFAULT_RULE
    """Which addresses of other actors are tried, of either kind of wire. The loopback is one,
    whatever this says, while this actor is known by it or reaches signaling over it."""
    ice_servers: tuple[IceServer, ...] = ()
    """Besides those that signaling hands out; never a third party by default."""
    ice_policy: Literal["all", "relay"] = "all"
    health_interval: float = 10.0
    """Seconds between health rounds of the links."""
    mailbox_path: Path | None = None
    """SQLite file; None keeps the mailbox in memory whatever ``durability`` says."""
    mailbox_capacity: int = CAPACITY
    """Messages that may wait."""
    mailbox_max_bytes: int = MAX_BYTES
    """Of the file; half of what the volume has, where that is less."""
    remember: float = REMEMBER
    """Seconds for which a repeated call that is not durable gets the first one's reply."""
    max_attempts: int = MAX_ATTEMPTS
    """Starts of one message before it becomes a dead letter."""
    durability: Durability = "power"
    after_loss: AfterLoss = "refuse"
    """What a start does with a mailbox or outbox that has lost what was promised."""
    reflection: bool = True
    """Whether ``actr describe`` and ``actr call`` may ask it for its services and messages."""
    call_timeout: float = 30.0
    """Seconds a unary call may take where the caller gives no timeout."""
    close_timeout: float = 8.0
    """Seconds that closing may take, all phases together; compose kills after ten."""
