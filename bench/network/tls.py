"""What TLS costs a WebSocket wire: ``make bench-tls [JSON=1]``.

Two processes with the same wires: plain, with the realm secret, and in TLS, by turns. CPU is that
of both processes. ``times`` is the median of what a kind takes over what a plain wire takes in the
same round, in CPU and in time: the second is noise where others use the machine.

Set-ups are measured over a distance besides, through a relay that delays (``delayed.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

import jwt
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import TYPE, verify_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.keys import key_id, to_jwk
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket.wires import WebSocketWires
from bench.network.delayed import relay
from bench.network.paired import Cell, Meter, compared
from bench.report import console, show, write_json
from lab.processes import child

NEAR, FAR = ActrId("bench", "wire", "near"), ActrId("bench", "wire", "far")
KINDS = ("plain", "secret", "tls")
MESSAGES = {100: 10_000, 16_384: 2000, 65_536: 800}
"""Bytes to how many."""
SET_UPS, FAR_SET_UPS = 40, 4
ASK, BULK = 1, 2


class Identity:
    """A key with a certificate of an issuer that only this benchmark believes."""

    def __init__(self, who: ActrId) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(who.instance.encode().ljust(32))
        self.issuer = Ed25519PrivateKey.from_private_bytes(bytes(32))
        now = int(time.time())
        public = self.issuer.public_key().public_bytes_raw()
        self.keys = {key_id(public): public}
        payload = {
            "iss": "bench",
            "sub": f"{who.actr_type}@{who.instance}",
            "realm": who.realm,
            "cnf": {"jwk": to_jwk(self.key.public_key().public_bytes_raw())},
            "claims": {},
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": who.instance,
        }
        headers = {"typ": TYPE, "kid": key_id(public)}
        self.certificate = jwt.encode(payload, self.issuer, "EdDSA", headers)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


def wires(who: ActrId, kind: str, listen: str | None = None) -> WebSocketWires:
    """One side's: ``plain``, ``secret`` or ``tls``. It remembers whose certificate was good."""
    identity = Identity(who)
    certified = Certified(
        identity=identity,
        verify=cache(lambda data: verify_certificate(data, identity.keys, now=time.time())),
        now=time.time,
    )
    return WebSocketWires(
        self_id=who,
        listen=listen,
        on_wire=lambda wire: wire.attach(Counter()),
        secret=b"bench" if kind == "secret" else None,
        certified=certified if kind == "tls" else None,
        rule=AddressRule(allow_loopback=True),
    )


class Counter:
    """Counts what comes, and says how much when asked; at the near side, hears the answer."""

    def __init__(self) -> None:
        self.count = 0
        self.answer: asyncio.Future[bytes] | None = None
        self.has_room = asyncio.Event()

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        if channel == BULK:
            self.count += 1
        elif self.answer is not None:
            self.answer.set_result(data)
        else:
            wire.send(ASK, str(self.count).encode())
            self.count = 0

    def writable(self, wire: Wire) -> None:
        self.has_room.set()

    def closed(self, wire: Wire, error: PeerError | None) -> None: ...


async def set_up(near: WebSocketWires, url: str, meter: Meter, count: int) -> Cell:
    """One wire; what its end costs does not count."""
    cpu = seconds = 0.0
    for _ in range(count):
        meter.take()
        wire = await near.dial(FAR, url)
        cell = meter.take(count)
        cpu, seconds = cpu + cell[0], seconds + cell[1]
        await wire.close()
    return cpu, seconds


async def carry(wire: Wire, sink: Counter, size: int, meter: Meter) -> Cell:
    """One message of a burst."""
    count, data = MESSAGES[size], bytes(size)
    meter.take()
    for number in range(count):
        wire.send(BULK, data)
        if wire.is_full:
            sink.has_room.clear()
            await sink.has_room.wait()
        elif number % 64 == 0:
            await asyncio.sleep(0)
    sink.answer = asyncio.get_running_loop().create_future()
    wire.send(ASK, b"")
    if int(await sink.answer) != count:
        raise AssertionError("not all arrived")
    sink.answer = None
    return meter.take(count)


class Pair:
    """One kind's: wires here, and a process there, near and over some distances."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.sink = Counter()
        self.urls: dict[float, str] = {}
        """By seconds of delay each way."""

    async def open(self, stack: AsyncExitStack, delays: Sequence[float]) -> None:
        far = await stack.enter_async_context(child(["bench.network.tls", "--far", self.kind]))
        self.near = await stack.enter_async_context(wires(NEAR, self.kind))
        url = str((await far.line())["url"])
        port = url.rpartition(":")[2].partition("/")[0]
        self.urls[0.0] = url
        for delay in delays:
            arguments = ["bench.network.tls", "--relay", port, "--delays", str(delay)]
            far_off = await stack.enter_async_context(child(arguments))
            self.urls[delay] = url.replace(port, str((await far_off.line())["port"]))
        self.meter = Meter(far.pid)
        self.wire = await self.near.dial(FAR, url)
        self.wire.attach(self.sink)
        await set_up(self.near, url, self.meter, SET_UPS)  # what loads, loads now

    async def measure(self) -> dict[str, Cell]:
        """One round."""
        found = {}
        for delay, url in self.urls.items():
            count = SET_UPS if delay < 0.005 else FAR_SET_UPS
            name = "set-up" if delay == 0 else f"set-up, {delay * 1e3:g} ms each way"
            found[name] = await set_up(self.near, url, self.meter, count)
        for size in MESSAGES:
            found[f"{size} B"] = await carry(self.wire, self.sink, size, self.meter)
        return found


async def measure(rounds: int, delays: Sequence[float]) -> list[dict[str, Any]]:
    """A row for each thing and kind, of several rounds by turns."""
    pairs = [Pair(kind) for kind in KINDS]
    async with AsyncExitStack() as stack:
        for pair in pairs:
            await pair.open(stack, delays)
        found = [{pair.kind: await pair.measure() for pair in pairs} for _ in range(rounds)]
    return compared(found, KINDS[0])


async def serve(kind: str) -> None:
    """The far side, until it is ended."""
    async with wires(FAR, kind, "127.0.0.1:0") as far:
        sys.stdout.write(f'{{"url": "{far.address}"}}\n')
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--delays", type=float, nargs="*", default=[1, 20], help="milliseconds, each way"
    )
    parser.add_argument("--relay", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--far", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.relay:
        asyncio.run(relay(arguments.relay, arguments.delays[0]))  # its timers are finer
        return
    if arguments.far:
        uvloop.run(serve(arguments.far))
        return
    delays = [delay / 1e3 for delay in arguments.delays]
    rows = uvloop.run(measure(arguments.rounds, delays))
    show("Wires in TLS", rows)
    console.print("times: what it takes over what a plain wire takes, the median of all rounds")
    if arguments.json:
        write_json({"rows": rows})


if __name__ == "__main__":
    main()
