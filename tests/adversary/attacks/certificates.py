"""Who comes with a certificate that is none of its own: at signaling, at both kinds of wire."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect

from actr import signaling_pb2 as pb
from actr_peer import ActrId, IdentityConfig, WireKind
from actr_peer.errors import PeerError, UnreachableError
from actr_peer.protocol.identity.descriptions import Statements
from actr_peer.protocol.identity.signatures import AUTHENTICATE, sign
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.messages import pack_negotiate
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage, Offer
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket.wires import WebSocketWires
from tests.adversary.attack import (
    PATIENCE,
    Attack,
    Attacks,
    Refusal,
    SucceededError,
    demand,
    refused_first,
)
from tests.adversary.attacks.descriptions import as_relayed, scene
from tests.adversary.people import ALICE, MALLORY, VICTOR, Forger, Victim, actor, certified
from tests.adversary.recorder import TcpRecorder
from tests.adversary.world import World

_hosts = count(2)
EVE, OSCAR = (ActrId("acme", name, "1") for name in ("eve", "oscar"))
"""Those whose keys are taken back: none of them is enrolled again."""


class Bad(NamedTuple):
    """Somebody who comes with something wrong."""

    make: Callable[[World], Forger]
    at_signaling: str
    """The cause that signaling counts."""
    in_descriptions: str
    """The fault that an actor counts."""
    said: str
    """A piece of what is said at a wire."""


def _stolen(world: World) -> Forger:
    """The certificate of Mallory, which everybody sees, and a key of somebody else."""
    return Forger(Ed25519PrivateKey.generate(), world.authority.enrol(MALLORY).certificate)


def _changed(world: World) -> Forger:
    forger = world.authority.enrol(MALLORY)
    return Forger(forger.key, forger.certificate[:-8] + "AAAAAAAA")


CERTIFICATES: dict[str, Bad] = {
    "an expired certificate": Bad(
        lambda world: world.authority.enrol(MALLORY, begins=-7200),
        "expired",
        "certificate",
        "a certificate that ended at",
    ),
    "a certificate of the future": Bad(
        lambda world: world.authority.enrol(MALLORY, begins=3600),
        "not yet valid",
        "certificate",
        "a certificate that begins at",
    ),
    "a certificate of another issuer": Bad(
        lambda world: world.stranger.enrol(MALLORY),
        "unknown issuer key",
        "certificate",
        "issuer key",
    ),
    "a certificate of another pattern": Bad(
        lambda world: world.authority.enrol(MALLORY, subject="acme:room@*"),
        "id not covered",
        "foreign",
        "certificate of acme:room@*",
    ),
    "a certificate of another realm": Bad(
        lambda world: world.authority.enrol(MALLORY, realm="elsewhere"),
        "another realm",
        "foreign",
        "in realm elsewhere",
    ),
    "a stolen certificate without its key": Bad(_stolen, "key not proven", "signature", "the key"),
    "a certificate that was changed": Bad(_changed, "bad signature", "certificate", "did not sign"),
}


# At signaling


class Connection:
    """One connection to the real service, from an address of its own; a block."""

    def __init__(self, url: str) -> None:
        number = next(_hosts)
        source = f"127.0.{1 + number // 250}.{2 + number % 250}", 0
        self._connecting = connect(url, compression=None, local_addr=source)

    async def __aenter__(self) -> Connection:
        self.socket = await self._connecting
        self.hello = pb.ServerMessage.FromString(await self._read()).hello
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.transport.abort()

    def proof(self, who: ActrId, forger: Forger) -> pb.Authenticate:
        parts = self.hello.server_id.encode(), self.hello.nonce, str(who).encode()
        return pb.Authenticate(
            id=who.to_message(),
            certificate=forger.certificate.encode(),
            signature=sign(forger.key, AUTHENTICATE, *parts),
        )

    async def answer(self, proof: pb.Authenticate) -> pb.ServerMessage:
        message = pb.ClientMessage(id=1, authenticate=proof)
        await self.socket.send(message.SerializeToString())
        return pb.ServerMessage.FromString(await self._read())

    async def _read(self) -> bytes:
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return data


async def refused_at_signaling(world: World, who: ActrId, forger: Forger, cause: str) -> Refusal:
    before = await world.refused_at_signaling()
    async with Connection(world.signaling[0]) as connection:
        answer = await connection.answer(connection.proof(who, forger))
    return await judged_at_signaling(world, answer, cause, before)


async def judged_at_signaling(
    world: World, answer: pb.ServerMessage, cause: str, before: dict[str, int]
) -> Refusal:
    if answer.HasField("authenticated"):
        raise SucceededError("signaling lets it in")
    after = await world.refused_at_signaling()
    counted = after.get(cause, 0) - before.get(cause, 0)
    demand(counted == 1, f"not counted as {cause}: {after}")
    error = answer.error
    demand(error.code in (4401, 4403) and bool(error.message), f"answered with {answer}")
    return Refusal(f"refused_total, {cause}: {counted}", f"{error.code} {error.message}")


def at_signaling(bad: Bad) -> Attack:
    async def attack(world: World) -> Refusal:
        return await refused_at_signaling(world, MALLORY, bad.make(world), bad.at_signaling)

    return attack


async def no_certificate(world: World) -> Refusal:
    forger = Forger(Ed25519PrivateKey.generate(), "")
    return await refused_at_signaling(world, MALLORY, forger, "no certificate")


async def recorded_proof(world: World) -> Refusal:
    """What proved somebody on another connection."""
    honest = world.authority.enrol(MALLORY)
    before = await world.refused_at_signaling()
    async with Connection(world.signaling[0]) as first, Connection(world.signaling[0]) as second:
        proof = first.proof(MALLORY, honest)
        demand((await first.answer(proof)).HasField("authenticated"), "it proves nothing")
        answer = await second.answer(proof)
    return await judged_at_signaling(world, answer, "key not proven", before)


async def revoked(world: World) -> Refusal:
    """Enrolled, used, and then taken back by the issuer."""
    async with actor(world, MALLORY, world.signaling[0]) as mallory:
        forger = Forger(mallory.key, mallory.certificate)
    async with Connection(world.signaling[0]) as connection:
        answer = await connection.answer(connection.proof(MALLORY, forger))
        demand(answer.HasField("authenticated"), "it was not good before")
        async with taken_back(world, MALLORY):
            try:
                async with asyncio.timeout(20):
                    with suppress(Exception):
                        while True:
                            await connection.socket.recv()
            except TimeoutError as exc:
                raise SucceededError("its connection goes on") from exc
    return await refused_at_signaling(world, MALLORY, forger, "revoked")


@asynccontextmanager
async def taken_back(world: World, who: ActrId) -> AsyncIterator[None]:
    """Revoked by the issuer while the block runs."""
    subject = f"{who.actr_type}@{who.instance}"
    await world.issuer("revoke", subject)
    try:
        yield
    finally:
        await world.issuer("revoke", subject, "--lift")


def watchful(world: World, who: ActrId) -> IdentityConfig:
    """One that looks at what is revoked every half second."""
    url = world.issuer_url
    return IdentityConfig(key=world.key_file(who), issuer_url=url, revoked_every=0.5)


async def revoked_link(world: World) -> Refusal:
    """The far side of a link that is up is taken back: what it asks then is not heard."""
    async with (
        actor(world, VICTOR, world.signaling[0], identity=watchful(world, VICTOR)) as victor,
        actor(world, EVE, world.signaling[0]) as eve,
    ):
        await eve.call(VICTOR)
        async with taken_back(world, EVE):
            calls = asyncio.sleep(PATIENCE / 2)
            event = await refused_first(victor.hears("link"), calls, "its link stays")
            demand(event.remote == EVE and "revoked" in event.why, f"told as {event}")
            try:
                await eve.call(VICTOR, timeout=3)
            except PeerError:
                return Refusal("links ended: 1", event.why)
            raise SucceededError("Victor answers a call of it")


# At a WebSocket wire


def dialler(who: ActrId, forger: Forger) -> WebSocketWires:
    return WebSocketWires(
        self_id=who,
        listen=None,
        on_wire=lambda wire: None,
        secret=None,
        certified=certified(forger),
        rule=AddressRule(allow_loopback=True),
    )


async def refused_by_listener(world: World, who: ActrId, forger: Forger, said: str) -> Refusal:
    """Dial Victor's own listener."""
    async with (
        actor(world, VICTOR, world.signaling[0], prefer=(WireKind.WEBSOCKET,)) as victor,
        dialler(who, forger) as wires,
    ):
        try:
            await wires.dial(VICTOR, victor.node.assembly.network.websocket.address)
        except UnreachableError as exc:
            demand(said in str(exc), f"said as {exc}")
            return await counted_at_door(victor, str(exc))
        raise SucceededError("Victor's listener gives it a wire")


async def counted_at_door(victor: Victim, named: str) -> Refusal:
    refused = victor.node.assembly.network.websocket.refused
    demand(sum(refused.values()) == 1, f"not counted: {refused}")
    event = await victor.hears("wire")
    (cause,) = refused
    return Refusal(f"wires refused, {cause}: 1", event.why)


def at_listener(bad: Bad) -> Attack:
    async def attack(world: World) -> Refusal:
        return await refused_by_listener(world, MALLORY, bad.make(world), bad.said)

    return attack


async def revoked_at_listener(world: World) -> Refusal:
    """Believed by Victor until he knows."""
    async with actor(world, OSCAR, world.signaling[0]) as oscar:
        forger = Forger(oscar.key, oscar.certificate)
    by_websocket = (WireKind.WEBSOCKET,)
    async with (
        actor(
            world,
            VICTOR,
            world.signaling[0],
            prefer=by_websocket,
            identity=watchful(world, VICTOR),
        ) as victor,
        dialler(OSCAR, forger) as wires,
    ):
        address = victor.node.assembly.network.websocket.address
        await wires.dial(VICTOR, address)
        async with taken_back(world, OSCAR):
            await victor.hears("link")
            try:
                await wires.dial(VICTOR, address)
            except UnreachableError as exc:
                demand("revoked" in str(exc), f"said as {exc}")
                return await counted_at_door(victor, str(exc))
            raise SucceededError("Victor's listener gives it a wire")


async def own_certificate_at_listener(world: World) -> Refusal:
    """It is somebody, and comes in the name of somebody else."""
    forger = world.authority.enrol(MALLORY)
    return await refused_by_listener(world, ALICE, forger, "certificate of acme:mallory@1")


class Heard:
    """Whether anything comes on a wire."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        self.came.set()

    def writable(self, wire: Wire) -> None: ...

    def closed(self, wire: Wire, error: PeerError | None) -> None: ...


def in_place_of_listener(make: Callable[[World, str], Forger], said: str) -> Attack:
    """At Victor's address, which he signed himself, somebody else listens.

    It may learn that Alice has dialled, and who she is; nothing that she says.
    """

    async def attack(world: World) -> Refusal:
        heard = Heard()
        async with (
            TcpRecorder() as place,
            actor(
                world,
                VICTOR,
                world.signaling[0],
                prefer=(WireKind.WEBSOCKET,),
                advertise=f"127.0.0.1:{place.port}",
            ) as victor,
            actor(world, ALICE, world.signaling[0], prefer=(WireKind.WEBSOCKET,)) as alice,
            WebSocketWires(
                self_id=VICTOR,
                listen="127.0.0.1:0",
                on_wire=lambda wire: wire.attach(heard),
                secret=None,
                certified=certified(make(world, victor.certificate)),
            ) as impostor,
        ):
            place.far = port_of(impostor.address)
            calling = asyncio.ensure_future(alice.call(VICTOR, timeout=PATIENCE))
            try:
                event = await refused_first(
                    alice.hears("wire"), heard.came.wait(), "it hears what Alice says"
                )
            finally:
                calling.cancel()
                with suppress(asyncio.CancelledError, PeerError):
                    await calling
            demand(event.remote == VICTOR and said in event.why, f"told as {event}")
            refused = alice.node.assembly.network.websocket.refused
            demand(sum(refused.values()) >= 1, "not counted")
            counted = ", ".join(f"{cause}: {n}" for cause, n in refused.items())
            return Refusal(f"wires refused, {counted}", event.why)

    return attack


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1].split("/")[0])


# At a WebRTC wire


def in_offer(bad: Bad) -> Attack:
    """A service that lets anybody in brings Victor its offer."""

    async def attack(world: World) -> Refusal:
        async with scene(world) as set_:
            statements = Statements(
                MALLORY,
                7,
                identity=bad.make(world),
                believe=world.authority.verify,
                is_required=True,
            )
            message = NegotiateMessage(secrets.token_hex(16), 1, Offer(set_.sdp))
            signed = statements.sign(VICTOR, message, now=time.time())
            offer = as_relayed(MALLORY, pack_negotiate(signed))
            return await set_.attack(offer, bad.in_descriptions)

    return attack


ATTACKS: Attacks = {
    **{f"{name}, at signaling": at_signaling(bad) for name, bad in CERTIFICATES.items()},
    "no certificate, at signaling": no_certificate,
    "a recorded proof, at signaling": recorded_proof,
    "a revoked key, at signaling": revoked,
    **{f"{name}, at a listener": at_listener(bad) for name, bad in CERTIFICATES.items()},
    "one's own certificate for another, at a listener": own_certificate_at_listener,
    "a revoked key, at a listener": revoked_at_listener,
    "a link of a revoked actor": revoked_link,
    "a listener with a stolen certificate": in_place_of_listener(
        lambda world, certificate: Forger(Ed25519PrivateKey.generate(), certificate),
        "another key than its certificate's",
    ),
    "a listener with its own certificate": in_place_of_listener(
        lambda world, _: world.authority.enrol(MALLORY), "certificate of acme:mallory@1"
    ),
    "a listener with an expired certificate": in_place_of_listener(
        lambda world, _: world.authority.enrol(VICTOR, begins=-7200),
        "a certificate that ended at",
    ),
    "a listener with another issuer's certificate": in_place_of_listener(
        lambda world, _: world.stranger.enrol(VICTOR), "issuer key"
    ),
    **{f"{name}, in an offer": in_offer(bad) for name, bad in CERTIFICATES.items()},
}
