"""The issuer over real sockets: what it answers, and whatever else may be at its address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.asking import MAX_ANSWER_BYTES, Issuer, Refusal
from actr_peer.protocol.identity.certificates import Certificate, verify_certificate
from actr_peer.protocol.identity.keys import read_keys
from actr_peer.protocol.identity.revoked import read_revoked
from actr_peer.wire.issuer.client import IssuerClient
from peer_kit.signaling.issuer import TOKEN, FakeIssuer
from peer_kit.signaling.running import RealIssuer
from peer_kit.signaling.servers import serving

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

ROOM = ActrId("acme", "room", "1")
KEY, NEW = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


async def test_a_key_enrols_renews_and_gives_its_place_to_another() -> None:
    async with FakeIssuer() as issuer:
        client = IssuerClient(Issuer.parse(issuer.url))
        unknown = await client.renew(KEY)
        assert isinstance(unknown, Refusal)
        assert unknown.cause == "unknown-key"
        for given in (
            await client.enrol(KEY, ROOM, token=TOKEN),
            await client.renew(KEY),
            await client.rotate(KEY, NEW),
        ):
            assert isinstance(given, Certificate)
        assert isinstance(await client.renew(KEY), Refusal)
        assert list(read_keys(await client.keys()))


@asynccontextmanager
async def answering(
    serve: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[IssuerClient]:
    """A client of something that answers each connection so, and then ends it."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(writer)

    async with serving(served) as port:
        yield IssuerClient(Issuer.parse(f"http://127.0.0.1:{port}"), seconds=0.5)


def saying(data: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return serve


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "no nonce"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER_BYTES + 1), "over 131072 bytes"),
    ],
    ids=["nothing", "something else", "too much"],
)
async def test_an_answer_that_is_none_is_an_issuer_that_is_away(data: bytes, why: str) -> None:
    async with answering(saying(data)) as client:
        with pytest.raises(UnreachableError, match=f"the issuer http://127.*{why}"):
            await client.renew(KEY)


async def test_one_that_is_too_busy_for_a_nonce_refuses_for_now() -> None:
    data = b"HTTP/1.1 429 x\r\nRetry-After: 7\r\n\r\n{}"
    async with answering(saying(data)) as client:
        for asked in (client.renew(KEY), client.enrol(KEY, ROOM), client.rotate(KEY, NEW)):
            assert await asked == Refusal("", "status 429", is_final=False, retry_after=7.0)
        with pytest.raises(UnreachableError, match="status 429"):
            await client.keys()


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    ended = asyncio.Event()

    async def silent(_: asyncio.StreamWriter) -> None:
        await ended.wait()

    async with answering(silent) as client:
        with pytest.raises(UnreachableError, match="no answer within"):
            await client.keys()
        ended.set()


async def test_nobody_at_the_address_is_an_issuer_that_is_away() -> None:
    async with answering(saying(b"")) as client:
        pass
    with pytest.raises(UnreachableError, match=r"refused|Connect call failed"):
        await client.keys()


async def test_a_certificate_that_is_none_is_an_issuer_that_is_away() -> None:
    async with FakeIssuer() as issuer:
        issuer.changed["exp"] = 2**50
        with pytest.raises(UnreachableError, match="a certificate for "):
            await IssuerClient(Issuer.parse(issuer.url)).enrol(KEY, ROOM, token=TOKEN)


async def test_the_real_issuer_understands_what_is_asked(tmp_path: Path) -> None:
    async with RealIssuer(tmp_path) as issuer:
        client = IssuerClient(Issuer.parse(issuer.url))
        unknown = await client.renew(KEY)
        assert isinstance(unknown, Refusal)
        assert unknown.cause == "unknown-key"
        token = (await issuer.do("token", "new", "acme:room@*"))["token"]
        keys = read_keys(await client.keys())
        for given, key in (
            (await client.enrol(KEY, ROOM, token=token), KEY),
            (await client.renew(KEY), KEY),
            (await client.rotate(KEY, NEW), NEW),
        ):
            assert isinstance(given, Certificate)
            read = verify_certificate(given.text.encode(), keys, now=given.issued_at)
            assert read.covers(ROOM)
            assert read.key == key.public_key().public_bytes_raw()
        refused = await client.enrol(KEY, ROOM, token="actr-join-nonsense")
        assert isinstance(refused, Refusal)
        assert refused.is_final


async def test_the_real_issuer_tells_what_it_has_revoked_when_that_is_new(tmp_path: Path) -> None:
    async with RealIssuer(tmp_path) as issuer:
        client = IssuerClient(Issuer.parse(issuer.url))
        before = await client.revoked()
        assert before is not None
        assert not read_revoked(before.text)
        assert await client.revoked(before.tag) is None
        token = (await issuer.do("token", "new", "acme:room@*"))["token"]
        await client.enrol(KEY, ROOM, token=token)
        await issuer.do("revoke", "acme:room@1")
        after = await client.revoked(before.tag)
        assert after is not None
        assert read_revoked(after.text).keys == {KEY.public_key().public_bytes_raw()}


async def test_an_issuer_without_the_page_is_one_that_is_away() -> None:
    async with answering(saying(b"HTTP/1.1 404 x\r\n\r\n{}")) as client:
        with pytest.raises(UnreachableError, match="status 404"):
            await client.revoked()
    async with answering(saying(b"HTTP/1.1 304 x\r\n\r\n")) as client:
        with pytest.raises(UnreachableError, match="status 304"):
            await client.revoked()
