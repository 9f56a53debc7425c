"""Steps of ICE: the addresses of this machine, and each STUN and TURN server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from actr_peer.cli.verbs.running.doctor.case import Case
from actr_peer.cli.verbs.running.doctor.here import CONFIGURATION
from actr_peer.cli.verbs.running.doctor.steps import FaultError, SkippedError
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.wire.webrtc.engine import EngineOptions, IcePolicy

if TYPE_CHECKING:
    from actr_peer.wire.webrtc.aiortc.gathering import Gathered

GATHERING: Final = "gathering"
MOST_SERVERS: Final = 16
"""That are asked: signaling may hand out as many as it likes."""
SECONDS: Final = 6.0
_REFUSED: Final = ("401 ", "403 ", "438 ", "441 ")
"""How a TURN server begins to say that it does not take a user or a password (RFC 8656, 19)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One URL of one server."""

    url: str
    server: IceServer
    is_handed_out: bool
    """By the signaling service; else it is in the configuration."""
    is_first: bool
    """Of its kind: connections ask that alone."""

    @property
    def is_turn(self) -> bool:
        return self.url.startswith("turn")


class Servers:
    """Args:
    case: What is known.
    """

    def __init__(self, case: Case) -> None:
        self._case = case

    async def run(self) -> None:
        """Gathering, then each server by its URL."""
        step = self._case.checkup.step
        await asyncio.to_thread(_load)
        await step(
            GATHERING,
            self._addresses,
            seconds=SECONDS,
            advice="connect this machine to a network, and let programs open UDP sockets on it",
            needs=(CONFIGURATION,),
        )
        if not self._case.checkup.is_ok(CONFIGURATION):
            return
        for asked in self._servers()[:MOST_SERVERS]:
            await step(
                asked.url,
                partial(self._ask, asked),
                seconds=SECONDS,
                advice=_unanswered(asked),
                needs=(CONFIGURATION,),
            )

    def _servers(self) -> list[Asked]:
        """Each URL once, those of the configuration first, as connections have them."""
        case = self._case
        handed_out: Sequence[IceServer] = ()
        if case.node is not None:
            handed_out = case.node.assembly.signaling.ice_servers
        found: dict[str, Asked] = {}
        for servers, is_handed_out in ((case.own.ice_servers, False), (handed_out, True)):
            for server in servers:
                for url in server.urls:
                    is_first = not any(known[:4] == url[:4] for known in found)
                    found.setdefault(url, Asked(url, server, is_handed_out, is_first))
        return list(found.values())

    async def _addresses(self) -> str:
        own = self._case.own
        if WireKind.WEBRTC not in own.prefer:
            raise SkippedError("wires.prefer leaves WebRTC out")
        if own.ice_policy == "relay":
            raise SkippedError("wires.ice_policy is relay: no address of this machine is used")
        found = await _gather(EngineOptions())
        if not found.candidates:
            why = "; ".join(found.failures) or "it has no address that may be used"
            raise FaultError(f"no candidate on this machine: {why}")
        hosts = [f"{host}:{port}" for _, host, port in found.candidates]
        return f"{len(hosts)} of this machine: {', '.join(hosts[:4])}"

    async def _ask(self, asked: Asked) -> str:
        if WireKind.WEBRTC not in self._case.own.prefer:
            raise SkippedError("wires.prefer leaves WebRTC out")
        # A relay alone: the machine's own addresses need not be gathered for it.
        policy = IcePolicy.RELAY if asked.is_turn else IcePolicy.ALL
        server = replace(asked.server, urls=(asked.url,))
        found = await _gather(EngineOptions(ice_servers=(server,), ice_policy=policy))
        if not found.was_asked:
            raise SkippedError("no such server is ever asked: only stun:, turn: and turns: are")
        given = [f"{host}:{port}" for kind, host, port in found.candidates if kind != "host"]
        if given:
            whose = "relays at" if asked.is_turn else "sees this machine at"
            unused = "" if asked.is_first else "; connections ask the first of its kind alone"
            return f"{whose} {', '.join(given[:4])}{unused}"
        failures = [each for each in found.failures if not each.startswith("host:")]
        why = failures[-1] if failures else "it gave no candidate"
        refused = any(f": {code}" in why for code in _REFUSED)
        raise FaultError(why, _refused(asked) if refused else "")


def _load() -> None:
    """Load the WebRTC library, which takes a second of nobody's step; the step says what fails."""
    with suppress(Exception):
        import actr_peer.wire.webrtc.aiortc.gathering  # noqa: F401


async def _gather(options: EngineOptions) -> Gathered:
    from actr_peer.wire.webrtc.aiortc.gathering import gather

    return await gather(options)


def _where(asked: Asked) -> str:
    if asked.is_handed_out:
        return "ACTR_SIGNALING__TURN_URLS of the signaling service"
    return "wires.ice_servers"


def _unanswered(asked: Asked) -> str:
    """What to do about a server that does not answer."""
    what = "TURN" if asked.is_turn else "STUN"
    how = "TCP" if asked.url.endswith("transport=tcp") or asked.url[:5] == "turns" else "UDP"
    return (
        f"start the {what} server, let {how} to it through, or correct its address in "
        f"{_where(asked)}"
    )


def _refused(asked: Asked) -> str:
    """What to do about a TURN server that takes no user or password of this actor."""
    if asked.is_handed_out:
        return (
            "give the signaling service the secret that the TURN server has: "
            "ACTR_SIGNALING__TURN_SECRET_FILE there, static-auth-secret at coturn"
        )
    return (
        "correct username and credential_file of this server in wires.ice_servers: they must be "
        "those of the TURN server"
    )
