"""Steps to another actor: whether it is there, by which way, and what it serves."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from actr_peer.cli.verbs.running.doctor.case import START_SECONDS, Case
from actr_peer.cli.verbs.running.doctor.service import PROOF
from actr_peer.cli.verbs.running.doctor.steps import FaultError, SkippedError
from actr_peer.cli.verbs.running.rounds import NOBODY, round_trip
from actr_peer.errors import CallError, Code, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc.contracts.differences import difference
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.cli.contracts.asked import Contract
    from actr_peer.node.node import Node
    from actr_peer.service import Method
    from actr_peer.wire.webrtc.engine import PairView

ACTOR: Final = "actor"
CANDIDATES: Final = "candidates"
PAIR: Final = "pair"
MTU: Final = "MTU"
WEBSOCKET: Final = "WebSocket"
CONTRACT: Final = "contract"

ASK_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 10.0
"""A dial takes eight, and says then what it has tried."""
LOOK_SECONDS: Final = 0.02
"""Between two looks at the pairs of a connection: nothing tells when they change."""
LONG_BYTES: Final = 4096
"""Of a message that fills packets."""
SHOWN_PAIRS: Final = 4
IP_MTU: Final = 14
"""Of a connected socket: what the kernel knows of the path (ip(7)); Python has no name for it."""
_STUCK: Final = (
    "let UDP through between the two machines, or name a TURN server that both reach in "
    "wires.ice_servers (turn:host:3478?transport=tcp passes where UDP does not)"
)


class Far:
    """Args:
    case: What is known, and is made known here.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._pairs: tuple[PairView, ...] = ()
        self._rtt: float | None = None

    async def run(self) -> None:
        """Actor, candidates, pair, MTU, WebSocket, contract."""
        step = self._case.checkup.step
        await step(
            ACTOR,
            self._actor,
            seconds=ASK_SECONDS,
            advice="start it ('actr run … --id ID'), or name one that 'actr ls' shows",
            needs=(PROOF,),
        )
        near = (PROOF, ACTOR)
        await step(
            CANDIDATES, self._candidates, seconds=CONNECT_SECONDS + 2, advice=_STUCK, needs=near
        )
        by_webrtc = (*near, CANDIDATES)
        await step(PAIR, self._pair, seconds=1.0, advice=_STUCK, needs=by_webrtc)
        await step(
            MTU,
            self._mtu,
            seconds=ASK_SECONDS + 1,
            advice="let packets of 1300 bytes through, and ICMP 'fragmentation needed' with them; "
            "raise the MTU of the tunnel that is between (at least 1300)",
            needs=by_webrtc,
        )
        await step(
            WEBSOCKET,
            self._websocket,
            seconds=ASK_SECONDS + 2,
            advice="let the other actor listen where this machine reaches it: wires.listen, or "
            "wires.advertise, there; and let TCP to that port through",
            needs=near,
        )
        await step(
            CONTRACT,
            self._contract,
            seconds=START_SECONDS + ASK_SECONDS,
            advice="bring both sides to one contract: generate the module anew ('actr gen'), and "
            "compare the .proto files ('actr proto check')",
            needs=near,
        )

    @property
    def _target(self) -> ActrId:
        return self._case.far.id

    async def _actor(self) -> str:
        case, node = self._case, self._case.here
        whom = case.whom
        if isinstance(whom, ActrId):
            case.presence = await node.assembly.signaling.lookup(whom, timeout=ASK_SECONDS)
        elif whom is not None:
            found = await node.ref.discover(whom.text, limit=2)
            case.presence = next((each for each in found if each.id != node.id), None)
        if case.presence is None:
            raise FaultError(f"{whom} is not online: signaling knows no such actor")
        address = case.presence.ws_address or "nowhere"
        return f"{case.presence.id} is online, and listens at {address}"

    async def _candidates(self) -> str:
        node = self._case.here
        if WireKind.WEBRTC not in self._case.own.prefer:
            raise SkippedError("wires.prefer leaves WebRTC out")
        looking = Tasks("doctor")
        await looking.__aenter__()
        looking.start("look", self._look(node))
        try:
            await round_trip(node.ref.to(self._target), CONNECT_SECONDS)
        except PeerError as exc:
            why = exc.why if isinstance(exc, UnreachableError) else str(exc)
            raise FaultError(f"no WebRTC connection: {self._tried()}; {why}") from exc
        finally:
            await looking.__aexit__(None, None, None)
        self._see(node)
        return self._tried()

    async def _look(self, node: Node) -> None:
        while True:
            self._see(node)
            await asyncio.sleep(LOOK_SECONDS)

    def _see(self, node: Node) -> None:
        """Keep the pairs of the newest connection: one that came to nothing is gone at once."""
        for wire in node.assembly.network.webrtc.wires():
            view = wire.view() if wire.remote == self._target else {}
            if view.get("pairs"):
                self._pairs, self._rtt = view["pairs"], view["rtt"]

    def _tried(self) -> str:
        """The pairs in words, as many as are shown."""
        if not self._pairs:
            return "no candidate of the far side came"
        shown = (f"{_between(pair)} {_STATES[pair.state]}" for pair in self._pairs[:SHOWN_PAIRS])
        more = f" and {len(self._pairs) - SHOWN_PAIRS} more" if self._pairs[SHOWN_PAIRS:] else ""
        return f"{', '.join(shown)}{more}"

    async def _pair(self) -> str:
        used = self._used
        if used is None:
            raise FaultError("the connection has no pair in use: it was lost again")
        relayed = "relayed" if "relay" in (used.local[0], used.remote[0]) else "direct"
        rtt = "" if self._rtt is None else f", round trip {self._rtt * 1000:.1f} ms"
        return f"{_between(used)}, {relayed}{rtt}"

    @property
    def _used(self) -> PairView | None:
        return next((pair for pair in self._pairs if pair.is_used), None)

    async def _mtu(self) -> str:
        caller = self._case.here.ref.to(self._target)
        await round_trip(caller, ASK_SECONDS)
        try:
            await round_trip(caller, ASK_SECONDS, question=NOBODY.ljust(LONG_BYTES, "."))
        except PeerError as exc:
            raise FaultError("short messages pass, and full packets do not") from exc
        used = self._used
        known = None
        if used is not None and used.local[0] != "relay":
            known = path_mtu(used.remote[1], used.remote[2])
        return "full packets pass" + ("" if known is None else f", path MTU {known} bytes")

    async def _websocket(self) -> str:
        if WireKind.WEBSOCKET not in self._case.own.prefer:
            raise SkippedError("wires.prefer leaves WebSocket out")
        address = self._case.far.ws_address
        if not address:
            raise SkippedError(f"{self._target} has no WebSocket listener")
        try:
            wire = await self._case.here.assembly.network.websocket.dial(self._target, address)
        except UnreachableError as exc:
            raise FaultError(f"no WebSocket to {address}: {exc.why}") from exc
        await wire.close()
        return f"{address} answers as {self._target}"

    async def _contract(self) -> str:
        from actr_peer.cli.contracts.asked import ask
        from actr_peer.cli.contracts.methods import methods_of

        # Before the question, for what is wrong with the module's name is known already.
        wanted = methods_of(self._case.module) if self._case.module else {}
        caller = (await self._reaching()).ref.to(self._target)
        try:
            contract = await ask(caller, self._target, ASK_SECONDS)
        except CallError as exc:
            if exc.code in (Code.UNIMPLEMENTED, Code.PERMISSION_DENIED):
                raise SkippedError(f"it does not tell what it serves: {exc.message}") from exc
            raise
        why = mismatch(wanted, contract)
        if why is not None:
            raise FaultError(why)
        served = [each.name for each in contract.services if not each.name.startswith("actr.")]
        said = f"it serves {', '.join(served[:SHOWN_PAIRS]) or 'no service of its own'}"
        return f"{said}; as {self._case.module} has it" if wanted else said

    async def _reaching(self) -> Node:
        """An actor of the doctor's that reaches the far one, by the kind of wire that works."""
        case = self._case
        if case.checkup.is_ok(CANDIDATES) or WireKind.WEBRTC not in case.own.prefer:
            return case.here
        if not case.checkup.is_ok(WEBSOCKET):
            raise SkippedError("there is no way to ask it")
        return await case.start(case.another(), WireKind.WEBSOCKET)


_STATES: Final[Mapping[str, str]] = {
    "frozen": "not tried",
    "waiting": "not tried",
    "in_progress": "not answered",
    "succeeded": "answered",
    "failed": "not answered",
}


def _between(pair: PairView) -> str:
    (near, *here), (far, *there) = pair.local, pair.remote
    return f"{near} {here[0]}:{here[1]} → {far} {there[0]}:{there[1]}"


def mismatch(wanted: Mapping[str, Method[Any, Any]], contract: Contract) -> str | None:
    """What keeps a caller with these methods from being understood; None: nothing does."""
    for route_key, own in wanted.items():
        theirs = contract.methods.get(route_key)
        if theirs is None:
            served = ", ".join(each.name for each in contract.services)
            return f"it has no method {route_key}; it serves {served}"
        why = difference(json.loads(own.form), json.loads(theirs.form))
        if why is not None:
            return f"{route_key} has another contract there: {why}"
    return None


def path_mtu(host: str, port: int) -> int | None:
    """What the kernel knows of the way there; None: it does not tell."""
    is_v6 = ":" in host
    with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((host, port))  # sends nothing
            return sock.getsockopt(socket.IPPROTO_IP, IP_MTU) if not is_v6 else None
        except OSError:
            return None
