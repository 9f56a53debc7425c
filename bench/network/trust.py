"""What certificates cost actors, beside the same actors without: ``make bench-trust [JSON=1]``.

Two pairs of actors by turns, one of which proves who it is by certificates of an issuer that only
this benchmark believes; on WebRTC, where descriptions are signed, or on WebSocket, which is in TLS
then. CPU is that of both processes, and ``times`` the median of what a round with certificates
takes over the same round without.

- ``set-up``: a first call of a new actor, with all that goes before its reply: the other one is
  looked up, a wire made, the call stored. What its own registration costs does not count.
- ``call``: durable calls, 16 in flight, as in ``bench-state``.
- ``item``: items of one client stream, as in ``bench-stream``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import jwt
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, NodeConfig, System
from actr_peer.protocol.identity.certificates import TYPE
from actr_peer.protocol.identity.keys import key_id, to_jwk, write_keys
from actr_peer.wire.issuer.credentials import IdentityConfig
from bench.network.paired import Cell, Meter, compared
from bench.report import console, show, write_json
from lab.echo import Echo, node_config
from lab.processes import child, signaling

KINDS = ("without", "certificates")
FAR = "bench:far@1:default"
SET_UPS = 3
CALLS, IN_FLIGHT = 1600, 16
ITEMS = {100: 6000, 65_536: 300}
"""Bytes to how many."""
DONE_SECONDS = 60.0


def identity_of(who: ActrId, folder: Path) -> IdentityConfig:
    """Files of a new key and its certificate, as an operator puts them there."""
    issuer, key = Ed25519PrivateKey.from_private_bytes(bytes(32)), Ed25519PrivateKey.generate()
    now, public = int(time.time()), issuer.public_key().public_bytes_raw()
    payload = {
        "iss": "bench",
        "sub": f"{who.actr_type}@{who.instance}",
        "realm": who.realm,
        "cnf": {"jwk": to_jwk(key.public_key().public_bytes_raw())},
        "claims": {},
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "jti": f"{who.name}-{who.instance}",
    }
    text = jwt.encode(payload, issuer, "EdDSA", {"typ": TYPE, "kid": key_id(public)})
    stem = folder / f"{who.name}-{who.instance}"
    files = [stem.with_suffix(f".{name}") for name in ("pem", "jwt", "json")]
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files[0].chmod(0o600)
    files[1].write_text(text)
    files[2].write_text(write_keys([public]))
    return IdentityConfig(key=files[0], certificate=files[1], issuer_keys=files[2])


def config(kind: str, name: str, url: str, wire: str, folder: Path) -> NodeConfig:
    """An actor's, ``without`` or with ``certificates``."""
    plain = node_config(name, url, wire, "process", str(folder / f"{name}.db"))
    if kind == KINDS[0]:
        return plain
    return replace(plain, identity=identity_of(plain.id, folder))


class Pair:
    """One kind's: an actor here, and one in another process."""

    def __init__(self, kind: str, wire: str, folder: Path) -> None:
        self.kind = kind
        self._wire, self._folder = wire, folder / kind
        self._folder.mkdir()
        self._numbers = count()

    async def open(self, stack: AsyncExitStack) -> None:
        self._url = await stack.enter_async_context(signaling())
        arguments = ["bench.network.trust", "--far", self.kind, "--wire", self._wire]
        far = await stack.enter_async_context(
            child([*arguments, "--url", self._url, "--folder", str(self._folder)])
        )
        await far.line()
        node = await stack.enter_async_context(System(self._config("near")).attach(Echo()))
        self._client = ChatClient(node.ref.to(FAR))
        self._meter = Meter(far.pid)
        await self._set_up()  # what loads, loads now
        await self._calls()

    async def measure(self) -> dict[str, Cell]:
        """One round."""
        found = [await self._set_up() for _ in range(SET_UPS)]
        rows = {"set-up": (min(cpu for cpu, _ in found), min(took for _, took in found))}
        rows["call"] = await self._calls()
        for size in ITEMS:
            rows[f"item of {size} B"] = await self._items(size)
        return rows

    def _config(self, name: str) -> NodeConfig:
        return config(self.kind, name, self._url, self._wire, self._folder)

    async def _set_up(self) -> Cell:
        async with System(self._config(f"new-{next(self._numbers)}")).attach(Echo()) as node:
            client = ChatClient(node.ref.to(FAR))
            self._meter.take()
            await client.say(pb.SayRequest(text="x"))
            return self._meter.take()

    async def _calls(self) -> Cell:
        async def some() -> None:
            for _ in range(CALLS // IN_FLIGHT):
                await self._client.say(pb.SayRequest(text="x" * 100))

        self._meter.take()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(some())
        return self._meter.take(CALLS)

    async def _items(self, size: int) -> Cell:
        number, data = ITEMS[size], bytes(size)

        async def items() -> AsyncIterator[pb.FilePiece]:
            for _ in range(number):
                yield pb.FilePiece(data=data)

        self._meter.take()
        taken = await self._client.upload(items(), timeout=DONE_SECONDS)
        if taken.size_bytes != number * size:
            raise AssertionError(f"{taken.size_bytes} bytes arrived")
        return self._meter.take(number)


async def measure(wire: str, rounds: int) -> list[dict[str, Any]]:
    """A row for each thing and kind."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="actr-bench-")))
        pairs = [Pair(kind, wire, folder) for kind in KINDS]
        for pair in pairs:
            await pair.open(stack)
        found: list[dict[str, dict[str, Cell]]] = []
        for number in range(rounds):
            # Each comes first in turn: what ran before is felt in what follows.
            order = pairs if number % 2 else pairs[::-1]
            measured = {pair.kind: await pair.measure() for pair in order}
            found.append({kind: measured[kind] for kind in KINDS})
    return [{"wire": wire, **row} for row in compared(found, KINDS[0])]


async def serve(kind: str, url: str, wire: str, folder: Path) -> None:
    """The far side, until it is ended."""
    async with System(config(kind, "far", url, wire, folder)).attach(Echo()) as node:
        sys.stdout.write('{"event": "ready"}\n')
        sys.stdout.flush()
        await node.ended.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wire", nargs="+", default=["webrtc"], help="webrtc, websocket or both")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    for hidden in ("--far", "--url", "--folder"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.far:
        uvloop.run(serve(chosen.far, chosen.url, chosen.wire[0], Path(chosen.folder)))
        return
    rows = [row for wire in chosen.wire for row in uvloop.run(measure(wire, chosen.rounds))]
    show("Actors with certificates", rows)
    console.print("times: with certificates over without, the median of all rounds")
    if chosen.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
