"""What signaling could do to descriptions of WebRTC: replace, strip, replay, answer itself."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from actr import signaling_pb2 as pb
from actr_peer import ActrId, WireKind
from actr_peer.errors import PeerError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.descriptions import Statements
from actr_peer.protocol.identity.identity import Identity
from actr_peer.protocol.identity.signatures import DESCRIPTION, signed_text
from actr_peer.protocol.webrtc.messages import pack_negotiate, unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage, Offer
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.wires import WebRtcWires
from tests.adversary.attack import Attack, Attacks, Refusal, SucceededError, demand, refused_first
from tests.adversary.between import Between
from tests.adversary.people import ALICE, MALLORY, VICTOR, WENDY, Forger, Victim, actor
from tests.adversary.world import World

WHAT = "description"


@dataclass
class Scene:
    """Alice and Victor, and a signaling service that lies to both.

    Nothing that Alice offers comes to Victor but by :meth:`attack`.
    """

    world: World
    between: Between
    alice: Victim
    victor: Victim
    sdp: str = ""

    async def offer(self, connection_id: str = "", *, exchange: int = 1) -> pb.Relayed:
        """A genuine offer of Alice for Victor, as the service has it; he never gets it."""
        signed = self.alice.node.assembly.network.signed
        assert signed is not None
        connection_id = connection_id or secrets.token_hex(16)
        message = NegotiateMessage(connection_id, exchange, Offer(self.sdp))

        def is_it(_: ActrId, said: pb.ClientMessage) -> bool:
            return said.relay.negotiate.connection_id == connection_id

        heard = asyncio.ensure_future(self.between.hears(is_it))
        await asyncio.sleep(0)
        await signed.relay(VICTOR, message)
        _, said = await heard
        return as_relayed(ALICE, said.relay.negotiate)

    async def attack(self, forged: pb.Relayed, fault: str, *, of: Victim | None = None) -> Refusal:
        """Bring it to a victim, who has to drop it for this fault, and not to answer it."""
        victim = of or self.victor
        before = victim.dropped.get(fault, 0)
        step = forged.negotiate

        def answers(who: ActrId, said: pb.ClientMessage) -> bool:
            negotiate = said.relay.negotiate
            is_answer = negotiate.HasField("answer")
            return who == victim.who and is_answer and negotiate.connection_id == step.connection_id

        taken = asyncio.ensure_future(self.between.hears(answers))
        await asyncio.sleep(0)
        await self.between.relay(victim.who, forged)
        event = await refused_first(victim.hears(WHAT), taken, f"{victim.who} answers it")
        count = victim.dropped.get(fault, 0) - before
        demand(count == 1, f"not counted as {fault}: {victim.dropped}")
        source = ActrId.from_message(getattr(forged, "from"))
        demand(event.remote == source, f"told of {event.remote}")
        return Refusal(f"descriptions dropped, {fault}: {count}", event.why)


def as_relayed(source: ActrId, negotiate: pb.Negotiate) -> pb.Relayed:
    relayed = pb.Relayed(negotiate=negotiate)
    getattr(relayed, "from").CopyFrom(source.to_message())
    return relayed


@asynccontextmanager
async def scene(world: World) -> AsyncIterator[Scene]:
    """Both actors, with a description of Alice's; one that is genuine is taken."""
    async with (
        Between(world.signaling[0]) as between,
        actor(world, ALICE, between.url) as alice,
        actor(world, VICTOR, between.url) as victor,
    ):
        set_ = Scene(world, between, alice, victor)
        offered = asyncio.ensure_future(
            between.hears(lambda _, said: said.relay.negotiate.HasField("offer"))
        )
        await asyncio.sleep(0)
        # What is relayed to Victor is swallowed from now on.
        between.to_peer = lambda who, message: (
            () if who == VICTOR and message.HasField("relayed") else (message,)
        )
        calling = asyncio.ensure_future(alice.call(VICTOR))
        _, said = await offered
        set_.sdp = said.relay.negotiate.offer.sdp
        calling.cancel()
        with suppress(asyncio.CancelledError, PeerError):
            await calling
        genuine = await set_.offer()
        answered = asyncio.ensure_future(
            between.hears(
                lambda who, said: (
                    who == VICTOR
                    and said.relay.negotiate.connection_id == genuine.negotiate.connection_id
                )
            )
        )
        await asyncio.sleep(0)
        await between.relay(VICTOR, genuine)
        await answered
        yield set_


# What is done to an offer on its way

Change = Callable[[Scene, pb.Relayed], None]


def _swap(text: str, by: str) -> Change:
    def change(_: Scene, relayed: pb.Relayed) -> None:
        offer = relayed.negotiate.offer
        new = re.sub(text, by, offer.sdp)
        assert new != offer.sdp, text
        offer.sdp = new

    return change


def _track(_: Scene, relayed: pb.Relayed) -> None:
    relayed.negotiate.offer.track_ids["7"] = "spy"


def _connection(_: Scene, relayed: pb.Relayed) -> None:
    relayed.negotiate.connection_id = secrets.token_hex(16)


def _exchange(_: Scene, relayed: pb.Relayed) -> None:
    relayed.negotiate.exchange += 1


def _strip(_: Scene, relayed: pb.Relayed) -> None:
    for name in ("signature", "statement", "certificate"):
        relayed.negotiate.ClearField(name)


def _foreign_ids(_: Scene, relayed: pb.Relayed) -> None:
    getattr(relayed, "from").CopyFrom(WENDY.to_message())


def _garbage(scene: Scene, relayed: pb.Relayed) -> None:
    relayed.negotiate.statement = b"\xff\xff"
    text = signed_text(DESCRIPTION, b"\xff\xff")
    relayed.negotiate.signature = scene.alice.key.sign(text)


def _own_signature(scene: Scene, relayed: pb.Relayed) -> None:
    """The fingerprint is replaced, and the statement; the certificate is Alice's own."""
    forger = Forger(scene.world.authority.enrol(MALLORY).key, scene.alice.certificate)
    resigned(scene, relayed, ALICE, forger)


def _own_certificate(scene: Scene, relayed: pb.Relayed) -> None:
    resigned(scene, relayed, ALICE, scene.world.authority.enrol(MALLORY))


def _held_back(scene: Scene, relayed: pb.Relayed) -> None:
    """As Alice made it two minutes ago."""
    made = Forger(scene.alice.key, scene.alice.certificate)
    resigned(scene, relayed, ALICE, made, begins=-120.0)


def _of_yesterday(scene: Scene, relayed: pb.Relayed) -> None:
    """As Alice made it yesterday, with the certificate that she had then."""
    public = scene.alice.key.public_key().public_bytes_raw()
    text = scene.world.authority.certify(public, "acme:alice@1", begins=-86_400)
    resigned(scene, relayed, ALICE, Forger(scene.alice.key, text), begins=-86_400)


def resigned(
    scene: Scene, relayed: pb.Relayed, source: ActrId, forger: Identity, *, begins: float = 0.0
) -> None:
    """Put another proof in, of another description."""
    sdp = relayed.negotiate.offer.sdp.replace("a=ice-pwd:", "a=ice-pwd:x")
    message = NegotiateMessage(relayed.negotiate.connection_id, 1, Offer(sdp))
    statements = Statements(
        source, 7, identity=forger, believe=scene.world.authority.verify, is_required=True
    )
    signed = statements.sign(VICTOR, message, now=time.time() + begins)
    relayed.negotiate.CopyFrom(pack_negotiate(signed))


FINGERPRINT = r"(a=fingerprint:sha-256 )..:..:.."
OFFERS: dict[str, tuple[str, Change]] = {
    "swaps the fingerprint of an offer": ("swapped", _swap(FINGERPRINT, r"\1EE:EE:EE")),
    "sets candidates of its own": ("swapped", _swap("typ host", "typ relay")),
    "sets an ICE password of its own": ("swapped", _swap("a=ice-pwd:", "a=ice-pwd:x")),
    "adds a track to an offer": ("swapped", _track),
    "puts an offer into another connection": ("swapped", _connection),
    "puts an offer into a later exchange": ("swapped", _exchange),
    "strips the signature off an offer": ("stripped", _strip),
    "exchanges the id of who offers": ("foreign", _foreign_ids),
    "signs an offer for another, with its own certificate": ("foreign", _own_certificate),
    "signs an offer for another, with a stolen certificate": ("signature", _own_signature),
    "sets a statement that cannot be read": ("malformed", _garbage),
    "holds an offer back for two minutes": ("late", _held_back),
    "replays an offer of yesterday": ("certificate", _of_yesterday),
}


def altering(fault: str, change: Change) -> Attack:
    async def attack(world: World) -> Refusal:
        async with scene(world) as set_:
            forged = await set_.offer()
            change(set_, forged)
            return await set_.attack(forged, fault)

    return attack


async def back_to_its_sender(world: World) -> Refusal:
    async with scene(world) as set_:
        offer = await set_.offer()
        getattr(offer, "from").CopyFrom(VICTOR.to_message())
        return await set_.attack(offer, "foreign", of=set_.alice)


async def to_somebody_else(world: World) -> Refusal:
    """As an offer is for an actor that hides: it names no process of it."""
    async with scene(world) as set_, actor(world, WENDY, set_.between.url) as wendy:
        offer = await set_.offer()
        resigned(set_, offer, ALICE, Forger(set_.alice.key, set_.alice.certificate))
        return await set_.attack(offer, "reflected", of=wendy)


async def when_its_connection_has_been(world: World) -> Refusal:
    """The first time it is taken; then its connection ends, and it comes once more."""
    async with scene(world) as set_:
        offer = await set_.offer()
        try:
            await set_.attack(offer, "none")
        except SucceededError:
            bye = pb.Negotiate(connection_id=offer.negotiate.connection_id, exchange=1)
            bye.bye.reason = "enough"
            await set_.between.relay(VICTOR, as_relayed(ALICE, bye))
            knows = set_.victor.node.assembly.network.webrtc.knows
            # Nobody is told of its end.
            while knows(ALICE, offer.negotiate.connection_id):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return await set_.attack(offer, "replayed")
        raise AssertionError("the genuine offer was not taken")


async def to_the_next_process(world: World) -> Refusal:
    async with scene(world) as set_:
        offer = await set_.offer()
        # It takes the identity over; the one before ends.
        async with actor(world, VICTOR, set_.between.url) as next_:
            return await set_.attack(offer, "replayed", of=next_)


# Answers of its own


class Impostor:
    """A WebRTC endpoint that answers Alice in Victor's name.

    Args:
        identity: With which it signs what it says; None: it signs nothing.
        believe: Reads certificates.
    """

    def __init__(
        self,
        between: Between,
        identity: Identity | None,
        believe: Callable[[bytes], Certificate],
    ) -> None:
        self.wire: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()
        self.wires = WebRtcWires(
            self_id=VICTOR, relay=self._relay, ice_servers=tuple, on_wire=self.wire.set_result
        )
        self._between, self._identity, self._believe = between, identity, believe
        self._statements: Statements | None = None

    async def _relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        if self._statements is not None:
            message = self._statements.sign(remote, message, now=time.time())
        await self._between.relay(remote, as_relayed(VICTOR, pack_negotiate(message)))

    def swallow(self, who: ActrId, message: pb.ClientMessage) -> Iterable[pb.ClientMessage]:
        """What Alice sends to Victor comes here."""
        if who != ALICE or not message.HasField("relay"):
            return (message,)
        negotiate = unpack_negotiate(message.relay.negotiate)
        if self._identity is not None and negotiate.proof is not None:
            said = pb.DescriptionStatement.FromString(negotiate.proof.statement)
            self._statements = Statements(
                VICTOR,
                said.to_incarnation,
                identity=self._identity,
                believe=self._believe,
                is_required=True,
            )
            # It remembers the offer that it answers.
            self._statements.check(ALICE, negotiate, now=time.time(), is_live=True)
        receipt = pb.ServerMessage(reply_to=message.id, receipt=pb.Receipt())
        telling = asyncio.ensure_future(self._between.say(who, receipt))
        telling.add_done_callback(lambda _: self.wires.receive(ALICE, negotiate))
        return ()


def answering(fault: str, who: Callable[[World, str], Identity | None]) -> Attack:
    async def attack(world: World) -> Refusal:
        async with (
            Between(world.signaling[0]) as between,
            actor(world, ALICE, between.url) as alice,
            actor(world, VICTOR, between.url) as victor,
        ):
            impostor = Impostor(between, who(world, victor.certificate), world.authority.verify)
            between.to_service = impostor.swallow
            async with impostor.wires:
                calling = asyncio.ensure_future(alice.call(VICTOR))
                try:
                    event = await refused_first(
                        alice.hears(WHAT), impostor.wire, "Alice talks to it in Victor's place"
                    )
                except SucceededError as exc:
                    succeeded: SucceededError | None = exc
                else:
                    succeeded = None
                calling.cancel()
                with suppress(asyncio.CancelledError, PeerError):
                    await calling
            if succeeded is not None:
                raise succeeded
            count = alice.dropped.get(fault, 0)
            demand(count >= 1, f"not counted as {fault}: {alice.dropped}")
            return Refusal(f"descriptions dropped, {fault}: {count}", event.why)

    return attack


def _stolen(world: World, certificate: str) -> Identity:
    return Forger(world.authority.enrol(MALLORY).key, certificate)


def _genuine(world: World, _: str) -> Identity:
    return world.authority.enrol(MALLORY)


# It refuses


async def hands_nothing_over(world: World) -> Refusal:
    """Each relay is answered as undelivered: the call fails in time, for a reason."""
    async with (
        Between(world.signaling[0]) as between,
        actor(world, ALICE, between.url) as alice,
        actor(world, VICTOR, between.url),
    ):

        def refuse(who: ActrId | None, said: pb.ServerMessage) -> Iterable[pb.ServerMessage]:
            if said.HasField("receipt"):
                offline = pb.Undelivered(reason=pb.Undelivered.OFFLINE, to=VICTOR.to_message())
                return (pb.ServerMessage(reply_to=said.reply_to, undelivered=offline),)
            return () if said.HasField("relayed") else (said,)

        between.to_peer = refuse
        return await fails_with_a_word(alice, VICTOR)


async def shows_nobody(world: World) -> Refusal:
    """Whoever is looked for is not there."""
    async with (
        Between(world.signaling[0]) as between,
        actor(world, ALICE, between.url, prefer=(WireKind.WEBSOCKET,)) as alice,
        actor(world, VICTOR, between.url),
    ):

        def hide(who: ActrId | None, said: pb.ServerMessage) -> Iterable[pb.ServerMessage]:
            for name in ("discovered", "snapshot"):
                if said.HasField(name):
                    getattr(said, name).ClearField("found" if name == "discovered" else "present")
            return () if said.HasField("presence") else (said,)

        between.to_peer = hide
        return await fails_with_a_word(alice, VICTOR)


async def fails_with_a_word(alice: Victim, whom: ActrId, *, seconds: float = 4.0) -> Refusal:
    """A call that cannot be ends with a typed error."""
    try:
        await alice.call(whom, timeout=seconds)
    except PeerError as exc:
        return Refusal("the caller's own error: 1", f"{type(exc).__name__}: {exc}")
    raise SucceededError("the call went through")


ATTACKS: Attacks = {
    **{name: altering(fault, change) for name, (fault, change) in OFFERS.items()},
    "sends an offer back to its sender": back_to_its_sender,
    "brings an offer to somebody else": to_somebody_else,
    "replays an offer when its connection has been": when_its_connection_has_been,
    "replays an offer to the next process": to_the_next_process,
    "answers itself, with no certificate": answering("stripped", lambda *_: None),
    "answers itself, with its own certificate": answering("foreign", _genuine),
    "answers itself, with a stolen certificate": answering("signature", _stolen),
    "hands nothing over": hands_nothing_over,
    "shows nobody": shows_nobody,
}
