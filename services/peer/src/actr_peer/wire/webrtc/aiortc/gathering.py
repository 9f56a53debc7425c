"""The candidates that this machine, and one server, give: for who looks for a fault."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc import RTCIceTransport
from aiortc.rtcicetransport import RTCIceGatherer

from actr_peer.wire.webrtc.aiortc import ice
from actr_peer.wire.webrtc.aiortc.engine import configuration
from actr_peer.wire.webrtc.engine import EngineOptions


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one gathering came to."""

    candidates: tuple[tuple[str, str, int], ...]
    """Kind (``host``, ``srflx``, ``relay``), address and port of each."""
    failures: tuple[str, ...]
    """Why an address or a server gave none, in words."""
    was_asked: bool
    """Whether there was a server that this library asks: it knows no ``stuns:``."""


async def gather(options: EngineOptions) -> Gathered:
    """Gather as a connection with these options does, and free all of it.

    Raises:
        ConfigError: If the URL of a server cannot be used.
    """
    made = configuration(options)
    gatherer = RTCIceGatherer(made.iceServers, made.iceTransportPolicy)
    agent = ice.upgrade(RTCIceTransport(gatherer), options)
    try:
        await agent.gather_candidates()
        if agent.asks_servers:
            await agent.ask_servers(lambda _: None)
        found = tuple((each.type, each.host, each.port) for each in agent.local_candidates)
        was_asked = bool(agent.stun_server or agent.turn_server)
        return Gathered(found, tuple(agent.failures), was_asked)
    finally:
        await agent.close()
