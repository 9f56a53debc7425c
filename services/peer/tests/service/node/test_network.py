"""Actors with certificates, introduced by a real signaling service that takes nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import DescribeRequest
from actr_peer import ActrId, IdentityConfig, Node, NodeConfig, Service, System, WireKind
from actr_peer.errors import ConfigError, PeerError
from actr_peer.node.process.status import status
from actr_peer.state.identity.keys import make_key, read_key
from peer_kit.signaling import SignalingService, config
from peer_kit.signaling.holders import Authority, Holder

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

ROOM = ActrId("acme", "room", "1")
GUEST = ActrId("acme", "guest", "1")
SECRET = b"a secret of the realm"


class Room(Service):
    """Has no more than every actor has: it tells what it serves."""


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def signaling(authority: Authority, tmp_path: Path) -> AsyncIterator[SignalingService]:
    keys = tmp_path / "issuer.json"
    keys.write_text(authority.file)
    async with SignalingService(None, ISSUER_KEYS=str(keys), PRODUCTION="true") as running:
        yield running


def actor(
    who: ActrId, authority: Authority, signaling: SignalingService, tmp_path: Path
) -> NodeConfig:
    """Its key and its certificate are files that somebody has put there."""
    place = tmp_path / who.name
    place.mkdir()
    holder = Holder(who, make_key(place / "identity.pem"))
    authority.renew(holder)
    (place / "certificate.jwt").write_text(holder.certificate)
    return NodeConfig(
        id=who,
        signaling_url=signaling.url,
        prefer=(WireKind.WEBSOCKET,),
        identity=IdentityConfig(
            key=place / "identity.pem",
            certificate=place / "certificate.jwt",
            issuer_keys=tmp_path / "issuer.json",
        ),
    )


async def test_actors_with_certificates_find_and_call_each_other(
    authority: Authority, signaling: SignalingService, tmp_path: Path
) -> None:
    room = actor(ROOM, authority, signaling, tmp_path)
    guest = actor(GUEST, authority, signaling, tmp_path)
    async with System(room).attach(Room()), System(guest).attach(Room()) as here:
        async with asyncio.timeout(60):
            told = ReflectionClient(here.ref.to(str(ROOM))).describe(DescribeRequest())
            services = [part async for part in told]
        assert services
        assert here.view().refused == {}
        shown = status(here.view())
        (wire,) = shown["wires"]
        for proved, name in ((shown["identity"], "guest"), (wire["identity"], "room")):
            assert (proved["by"], proved["subject"]) == ("certificate", f"acme:{name}@1")
            public = read_key(tmp_path / name / "identity.pem").public_key().public_bytes_raw()
            assert proved["fingerprint"] == hashlib.sha256(public).hexdigest()
            assert 0 < proved["seconds_left"] <= 900


async def test_a_stolen_certificate_is_of_no_use_without_its_key(
    authority: Authority, signaling: SignalingService, tmp_path: Path
) -> None:
    config = actor(ROOM, authority, signaling, tmp_path)
    assert config.identity is not None
    assert config.identity.key is not None
    config.identity.key.unlink()
    make_key(config.identity.key)
    with pytest.raises(ConfigError, match="key"):
        async with System(config).attach(Room()):
            pass


WIRES = [WireKind.WEBSOCKET, WireKind.WEBRTC]


async def is_reached(node: Node, whom: ActrId) -> bool:
    """Whether an actor answers what every actor answers."""
    try:
        async with asyncio.timeout(30):
            words = ReflectionClient(node.ref.to(whom)).describe(DescribeRequest(), timeout=4)
            return [word async for word in words] != []
    except PeerError:
        return False


async def reached(room: NodeConfig, guest: NodeConfig) -> tuple[bool, bool]:
    """Whether the guest reaches the room, and the room the guest."""
    async with System(room).attach(Room()) as one, System(guest).attach(Room()) as other:
        return await is_reached(other, room.id), await is_reached(one, guest.id)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("shown", "is_let_in"),
    [("nothing", False), ("secret", False), ("another issuer's", False), ("its own", True)],
)
async def test_who_requires_certificates_takes_nothing_less_on_any_wire(
    authority: Authority, tmp_path: Path, wire: WireKind, shown: str, *, is_let_in: bool
) -> None:
    """Signaling lets everybody in: it is the actor that looks."""
    (tmp_path / "issuer.json").write_text(authority.file)
    (tmp_path / "secret").write_bytes(SECRET)
    by_secret = tmp_path / "secret" if shown == "secret" else None
    async with SignalingService(by_secret) as lenient:
        room = replace(
            actor(ROOM, authority, lenient, tmp_path),
            prefer=(wire,),
            realm_secret=SECRET if by_secret else None,
        )
        guest = NodeConfig(
            id=GUEST, signaling_url=lenient.url, prefer=(wire,), realm_secret=room.realm_secret
        )
        if shown not in ("nothing", "secret"):
            issuer = authority if shown == "its own" else Authority()
            guest = replace(actor(GUEST, issuer, lenient, tmp_path), prefer=(wire,))
        assert await reached(room, guest) == (is_let_in, is_let_in)


@pytest.mark.parametrize("wire", WIRES)
async def test_where_nobody_has_anything_everybody_is_taken_on_either_wire(wire: WireKind) -> None:
    async with SignalingService() as lenient:
        room, guest = (
            NodeConfig(id=who, signaling_url=lenient.url, prefer=(wire,)) for who in (ROOM, GUEST)
        )
        assert await reached(room, guest) == (True, True)


@pytest.mark.parametrize(
    "secret", [None, b"the secret of the realm"], ids=["development", "secret"]
)
async def test_without_certificates_a_wire_says_what_else_there_is(
    secret: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(secret or b"")
    async with SignalingService(path if secret else None) as service:
        configs = [config(who.name, service.url, realm_secret=secret) for who in (ROOM, GUEST)]
        async with System(configs[0]).attach(Room()), System(configs[1]).attach(Room()) as here:
            async with asyncio.timeout(60):
                told = ReflectionClient(here.ref.to(str(ROOM))).describe(DescribeRequest())
                assert [part async for part in told]
            shown = status(here.view())
    word = "secret" if secret else "development"
    assert shown["identity"] == {"by": word}
    assert [wire["identity"] for wire in shown["wires"]] == [{"by": word}]
