"""What signaling could say of actors: another address, another process, other services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from actr import signaling_pb2 as pb
from actr_peer import ActrId, WireKind
from actr_peer.protocol.identity.signatures import REGISTER, sign
from tests.adversary.attack import Attack, Attacks, Refusal, demand, refused_first
from tests.adversary.between import Between
from tests.adversary.people import ALICE, MALLORY, VICTOR, Forger, Victim, actor
from tests.adversary.recorder import TcpRecorder
from tests.adversary.world import World

Lie = Callable[[World, pb.Presence], None]
"""Changes what is said of Victor."""
ELSEWHERE = "wss://127.0.0.1:{port}/v1/wire"
FORGED_SERVICE = "acme.Payments"


def _incarnation(_: World, body: pb.Presence) -> None:
    body.incarnation += 1


def _services(_: World, body: pb.Presence) -> None:
    body.services.add(service=FORGED_SERVICE, fingerprint="ab12")


def _metadata(_: World, body: pb.Presence) -> None:
    body.metadata["role"] = "operator"


def _strip(_: World, body: pb.Presence) -> None:
    body.ClearField("signed")


def _altered(_: World, body: pb.Presence) -> None:
    """What is signed is altered as well, so that both say the same."""
    body.incarnation += 1
    said = pb.Register.FromString(body.signed.register)
    said.incarnation = body.incarnation
    body.signed.register = said.SerializeToString()


def _signed_by(forger: Forger, body: pb.Presence) -> None:
    body.incarnation += 1
    said = pb.Register.FromString(body.signed.register)
    said.incarnation = body.incarnation
    body.signed.register = said.SerializeToString()
    body.signed.certificate = forger.certificate.encode()
    body.signed.signature = sign(forger.key, REGISTER, body.signed.register)


def _own_certificate(world: World, body: pb.Presence) -> None:
    _signed_by(world.authority.enrol(MALLORY), body)


def _stolen_certificate(world: World, body: pb.Presence) -> None:
    stolen = body.signed.certificate.decode()
    _signed_by(Forger(world.authority.enrol(MALLORY).key, stolen), body)


def _old_certificate(world: World, body: pb.Presence) -> None:
    _signed_by(world.authority.enrol(VICTOR, begins=-7200), body)


def _foreign_certificate(world: World, body: pb.Presence) -> None:
    _signed_by(world.stranger.enrol(VICTOR), body)


LIES: dict[str, tuple[str, Lie]] = {
    "names another process": ("differs from what is signed", _incarnation),
    "adds a service": ("differs from what is signed", _services),
    "adds metadata": ("differs from what is signed", _metadata),
    "strips the signature off a registration": ("not signed", _strip),
    "alters a registration and what is signed": ("bad signature", _altered),
    "signs a registration with a certificate of its own": ("id not covered", _own_certificate),
    "signs a registration with a stolen certificate": ("bad signature", _stolen_certificate),
    "signs a registration with an expired certificate": ("expired", _old_certificate),
    "signs a registration with another issuer's certificate": (
        "unknown issuer key",
        _foreign_certificate,
    ),
}


def bodies(message: pb.ServerMessage) -> Iterable[pb.Presence]:
    """All that a message says of actors."""
    match message.WhichOneof("body"):
        case "discovered":
            return message.discovered.found
        case "snapshot":
            return message.snapshot.present
        case "presence":
            return (message.presence.presence,)
        case _:
            return ()


def lying(between: Between, lie: Callable[[pb.Presence], None], *, to: ActrId = ALICE) -> None:
    """Lie of Victor from now on."""

    def alter(who: ActrId | None, message: pb.ServerMessage) -> Iterable[pb.ServerMessage]:
        for body in bodies(message) if who == to else ():
            if ActrId.from_message(body.id) == VICTOR:
                lie(body)
        return (message,)

    between.to_peer = alter


async def judged(alice: Victim, fault: str, success: Awaitable[object], wanted: str) -> Refusal:
    """What Alice makes of it."""
    event = await refused_first(alice.hears("presence"), success, wanted)
    count = alice.unbelieved.get(fault, 0)
    demand(count >= 1, f"not counted as {fault}: {alice.unbelieved}")
    demand((event.remote, event.why) == (VICTOR, fault), f"told as {event}")
    return Refusal(f"actors refused, {fault}: {count}", f"{event.remote}: {event.why}")


def telling(fault: str, lie: Lie) -> Attack:
    async def attack(world: World) -> Refusal:
        async with (
            Between(world.signaling[0]) as between,
            actor(world, ALICE, between.url, prefer=(WireKind.WEBSOCKET,)) as alice,
            actor(world, VICTOR, between.url, prefer=(WireKind.WEBSOCKET,)),
        ):
            lying(between, lambda body: lie(world, body))
            return await judged(alice, fault, found(alice), "Alice takes the lie for the truth")

    return attack


async def found(alice: Victim) -> None:
    """Alice looks for Victor until he is there."""
    lookup = alice.node.assembly.network.signaling.lookup
    while await lookup(VICTOR) is None:  # noqa: ASYNC110 - it asks again, as an actor does
        await asyncio.sleep(0.05)


async def names_another_address(world: World) -> Refusal:
    """Alice would come to the adversary's own door."""
    async with (
        TcpRecorder() as door,
        Between(world.signaling[0]) as between,
        actor(world, ALICE, between.url, prefer=(WireKind.WEBSOCKET,)) as alice,
        actor(world, VICTOR, between.url, prefer=(WireKind.WEBSOCKET,)),
    ):

        def lie(body: pb.Presence) -> None:
            body.ws_address = ELSEWHERE.format(port=door.port)

        lying(between, lie)
        calling = asyncio.ensure_future(alice.call(VICTOR))
        try:
            return await judged(
                alice, "differs from what is signed", door.came.wait(), "Alice comes to its door"
            )
        finally:
            calling.cancel()
            await asyncio.wait([calling])
            if not calling.cancelled():
                calling.exception()


ATTACKS: Attacks = {
    "names another address": names_another_address,
    **{name: telling(fault, lie) for name, (fault, lie) in LIES.items()},
}
