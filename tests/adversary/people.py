"""Who takes part: actors that are real, and an adversary with keys and certificates of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, Hooks, IdentityConfig, Node, NodeConfig, System, WireKind
from actr_peer.node.hooks import RefusalEvent
from actr_peer.protocol.identity.certificates import verify_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.keys import key_id
from actr_peer.state.identity.keys import read_key
from actr_signaling.protocol.identity.certificates import make_certificate
from lab.quiet import Quiet

if TYPE_CHECKING:
    from tests.adversary.world import World

ALICE, MALLORY, VICTOR, WENDY = (
    ActrId("acme", name, "1") for name in ("alice", "mallory", "victor", "wendy")
)
"""Of two the first one offers. Mallory is enrolled as the others are."""
_serials = count(1)


class Victim(Quiet, Hooks):
    """An actor whose workload hears of refusals."""

    def __init__(self, who: ActrId, world: World) -> None:
        self.who = who
        self.refusals: asyncio.Queue[RefusalEvent] = asyncio.Queue()
        self._world = world
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        assert self._node is not None
        return self._node

    @property
    def key(self) -> Ed25519PrivateKey:
        """Its private key: nobody has it but this actor and this test."""
        key = read_key(self._world.key_file(self.who))
        assert key is not None
        return key

    @property
    def certificate(self) -> str:
        """What it shows to everybody."""
        credentials = self.node.assembly.network.credentials
        assert credentials is not None
        return credentials.certificate

    @property
    def dropped(self) -> dict[str, int]:
        """Descriptions that it did not believe."""
        signed = self.node.assembly.network.signed
        assert signed is not None
        return dict(signed.dropped)

    @property
    def unbelieved(self) -> dict[str, int]:
        """Actors that signaling named to it and that it did not believe."""
        return dict(self.node.assembly.network.signaling.refused)

    async def on_refusal(self, event: RefusalEvent) -> None:
        self.refusals.put_nowait(event)

    async def hears(self, what: str) -> RefusalEvent:
        """The next refusal of this kind."""
        while (event := await self.refusals.get()).what != what:
            pass
        return event

    async def call(self, whom: ActrId, text: str = "hello", *, timeout: float = 20.0) -> int:
        request = pb.SayRequest(author=self.who.name, text=text)
        return (await ChatClient(self.node.ref.to(whom)).say(request, timeout=timeout)).number


@asynccontextmanager
async def actor(
    world: World,
    who: ActrId,
    url: str,
    *,
    prefer: tuple[WireKind, ...] = (WireKind.WEBRTC,),
    victim: Victim | None = None,
    **more: Any,
) -> AsyncIterator[Victim]:
    """A real actor, enrolled by its issuer; ``url`` is signaling, or who is in front of it."""
    identity = IdentityConfig(key=world.key_file(who), issuer_url=world.issuer_url)
    config = NodeConfig(
        id=who,
        signaling_url=url,
        prefer=prefer,
        **{"identity": identity, "realm_secret": world.secret, "durability": "memory", **more},
    )
    made = victim or Victim(who, world)
    async with System(config).attach(made) as node:
        made._node = node
        yield made


@dataclass(frozen=True)
class Forger:
    """Somebody with a key, and a certificate that may be of another one."""

    key: Ed25519PrivateKey = field(repr=False)
    certificate: str

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


def certified(forger: Forger) -> Certified:
    """As which it comes to a wire; it takes whatever the other side shows."""

    def believe(data: bytes) -> Any:
        from actr_peer.protocol.identity.certificates import read_certificate

        return read_certificate(data)

    return Certified(identity=forger, verify=believe, now=time.time)


class Authority:
    """The issuer's key, as its owner could use it, or one that nobody believes."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key
        public = key.public_key().public_bytes_raw()
        self.keys = {key_id(public): public}

    def certify(
        self,
        public: bytes,
        subject: str,
        *,
        begins: float = 0.0,
        realm: str = "default",
    ) -> str:
        """A certificate of a quarter of an hour.

        Args:
            begins: Seconds from now.
        """
        made = make_certificate(
            self.key,
            issuer="actr-issuer",
            subject=subject,
            realm=realm,
            public=public,
            claims={},
            now=int(time.time() + begins),
            serial=f"forged-{next(_serials)}",
        )
        return made.text

    def enrol(self, who: ActrId, **how: Any) -> Forger:
        """A new key, and a certificate of it."""
        key = Ed25519PrivateKey.generate()
        subject = how.pop("subject", f"{who.actr_type}@{who.instance}")
        return Forger(key, self.certify(key.public_key().public_bytes_raw(), subject, **how))

    def verify(self, data: bytes) -> Any:
        return verify_certificate(data, self.keys, now=time.time())
