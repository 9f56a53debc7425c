"""A thousand of each thing that a stranger can say, each changed a little; seeded."""

from __future__ import annotations

import asyncio
import random

from actr import signaling_pb2 as pb
from actr_peer import WireKind
from actr_peer.errors import PeerError
from tests.adversary.attack import Attacks, Refusal, SucceededError, demand
from tests.adversary.attacks.certificates import Connection, dialler, port_of
from tests.adversary.attacks.descriptions import WHAT, scene
from tests.adversary.people import ALICE, MALLORY, VICTOR, Forger, actor
from tests.adversary.recorder import Mutator
from tests.adversary.world import World

COUNT = 1000
FRESH = 100
"""One genuine one is changed so many times."""
SEED = 13
MAX_SIGNATURE = 64


def mutated(dice: random.Random, data: bytes, *, most: int = 1 << 16) -> bytes:
    """Other bytes: some changed, left out, or put in; at most ``most``."""
    new = bytearray(data)
    while bytes(new) == data or len(new) > most:
        at = dice.randrange(len(new))
        match dice.randrange(3):
            case 0:
                new[at] ^= 1 << dice.randrange(8)
            case 1:
                del new[at : at + dice.randint(1, 4)]
            case _:
                new[at:at] = dice.randbytes(dice.randint(1, 4))
        if not new or len(new) > most:
            new = bytearray(data)
    return bytes(new)


def mutate_description(dice: random.Random, negotiate: pb.Negotiate) -> None:
    match dice.randrange(6):
        case 0:
            negotiate.statement = mutated(dice, negotiate.statement)
        case 1:
            negotiate.certificate = mutated(dice, negotiate.certificate)
        case 2:
            negotiate.signature = mutated(dice, negotiate.signature, most=MAX_SIGNATURE)
        case 3:
            negotiate.connection_id = f"{dice.getrandbits(128):032x}"
        case 4:
            negotiate.exchange += dice.randint(1, 1000)
        case _:
            sdp = mutated(dice, negotiate.offer.sdp.encode()).decode("latin-1")
            negotiate.offer.sdp = sdp


async def descriptions(world: World) -> Refusal:
    """Each is dropped, and told; none is answered."""
    dice = random.Random(SEED)
    async with scene(world) as set_:
        victor, between = set_.victor, set_.between
        answered = asyncio.ensure_future(
            between.hears(
                lambda who, said: who == VICTOR and said.relay.negotiate.HasField("answer")
            )
        )
        before = sum(victor.dropped.values())
        for number in range(COUNT):
            if number % FRESH == 0:
                genuine = await set_.offer()
            forged = pb.Relayed()
            forged.CopyFrom(genuine)
            mutate_description(dice, forged.negotiate)
            await between.relay(VICTOR, forged)
            hearing = asyncio.ensure_future(victor.hears(WHAT))
            await asyncio.wait((hearing, answered), return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                hearing.cancel()
                raise SucceededError(f"Victor answers {forged}")
        answered.cancel()
        count = sum(victor.dropped.values()) - before
        demand(count == COUNT, f"{count} counted")
        return Refusal(f"descriptions dropped: {count}", f"{len(victor.dropped)} faults")


async def proofs_at_signaling(world: World) -> Refusal:
    """Each on a connection of its own: none of them lets anybody in."""
    dice = random.Random(SEED)
    honest = world.authority.enrol(MALLORY)
    before = sum((await world.refused_at_signaling()).values())
    refused = 0
    for _ in range(COUNT):
        async with Connection(world.signaling[0]) as connection:
            proof = connection.proof(MALLORY, honest)
            match dice.randrange(3):
                case 0:
                    proof.certificate = mutated(dice, proof.certificate)
                case 1:
                    proof.signature = mutated(dice, proof.signature)
                case _:
                    proof.id.instance = f"{dice.randrange(2, 1 << 30)}"
            answer = await connection.answer(proof)
            if answer.HasField("authenticated"):
                raise SucceededError(f"signaling takes {proof}")
            refused += answer.error.code in (4400, 4401)
    counts = await world.refused_at_signaling()
    demand(refused == COUNT, f"{refused} refused")
    counted = sum(counts.values()) - before
    demand(counted == COUNT, f"{counted} counted: {counts}")
    return Refusal(f"refused_total: {counted}", f"{len(counts)} causes")


async def handshakes(world: World) -> Refusal:
    """Alice's own, changed inside of TLS by who could do that: one with Victor's key.

    What is changed may be of no meaning, as a header is; whoever then gets a wire must be Alice.
    """
    dice = random.Random(SEED)
    async with actor(world, VICTOR, world.signaling[0], prefer=(WireKind.WEBSOCKET,)) as victor:
        websocket = victor.node.assembly.network.websocket
        alice = world.authority.enrol(ALICE)
        insider = Forger(victor.key, victor.certificate)
        refused = tried = 0
        async with (
            Mutator(port_of(websocket.address), insider, dice) as place,
            dialler(ALICE, alice) as wires,
        ):
            while place.changed < COUNT:
                tried += 1
                demand(tried < 4 * COUNT, f"of {tried} only {place.changed} were changed")
                before = place.changed
                try:
                    async with asyncio.timeout(1):
                        wire = await wires.dial(VICTOR, place.url)
                except (PeerError, TimeoutError):
                    refused += place.changed > before
                else:
                    wire.abort()
                place.cut()
                for link in victor.node.assembly.transport.links():
                    if link.remote != ALICE:
                        raise SucceededError(f"Victor takes it for {link.remote}")
        demand(refused > COUNT // 2, f"only {refused} of {COUNT} changed anything")
        counted = sum(websocket.refused.values())
        demand(counted > 0, "none is counted")
        event = await victor.hears("wire")
        others = f"{COUNT - refused} changed nothing, and were Alice's"
        return Refusal(f"wires refused: {counted} of {refused}; {others}", event.why)


ATTACKS: Attacks = {
    f"{COUNT:,} descriptions": descriptions,
    f"{COUNT:,} proofs, at signaling": proofs_at_signaling,
    f"{COUNT:,} handshakes, at a listener": handshakes,
}
