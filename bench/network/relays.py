"""Relays per second of the signaling service: memory form, and two replicas on one Redis.

    python -m bench.network.relays [seconds] [redis://…]

Peers register in pairs and keep a window of relays of 1.5 KB in flight; each counts when its
receipt is back, after the target's socket has it. The service runs in processes of its own, the
load in this one. Figures are for comparison within one run, on one machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import psutil
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from actr import envelope_pb2
from actr import signaling_pb2 as pb

PAIRS = 16
WINDOW = 16
PAYLOAD_BYTES = 1_500
LIMITS = ("MESSAGES_PER_SECOND", "MESSAGES_BURST", "BYTES_PER_SECOND", "BYTES_BURST")


class Peer(WSListener):
    """One registered peer; a sender answers each receipt with the next relay."""

    def __init__(self, name: str, target: str | None) -> None:
        self.registered = asyncio.Event()
        self.receipts = 0
        self.others = 0
        self._id = envelope_pb2.ActrId(manufacturer="b", name="p", instance=name, realm="default")
        self._target = target
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.BINARY:
            return
        message = pb.ServerMessage.FromString(frame.get_payload_as_bytes())
        match message.WhichOneof("body"):
            case "hello":
                self._send(pb.ClientMessage(id=1, authenticate=pb.Authenticate(id=self._id)))
            case "authenticated":
                self._send(pb.ClientMessage(id=2, register=pb.Register(id=self._id)))
            case "registered":
                self.registered.set()
            case "receipt":
                self.receipts += 1
                self.relay()
            case "undelivered" | "error":
                self.others += 1
            case _:
                pass

    def relay(self) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.BINARY, self._message)

    def prepare(self) -> None:
        to = envelope_pb2.ActrId(
            manufacturer="b", name="p", instance=self._target or "", realm="default"
        )
        step = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp="x" * PAYLOAD_BYTES))
        message = pb.ClientMessage(id=3, relay=pb.Relay(to=to, negotiate=step))
        self._message = message.SerializeToString()

    def _send(self, message: pb.ClientMessage) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.BINARY, message.SerializeToString())


def start_replica(redis_url: str) -> tuple[subprocess.Popen[bytes], str]:
    limits = {f"ACTR_SIGNALING__{name}": "1e12" for name in LIMITS}
    settings = {"LISTEN": "127.0.0.1:0", "LOG_LEVEL": "error", "REDIS_URL": redis_url}
    named = {f"ACTR_SIGNALING__{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "actr_signaling"],
        stdout=subprocess.PIPE,
        env={**os.environ, **limits, **named},
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


async def measure(urls: Sequence[str], processes: Sequence[Any], seconds: float) -> dict[str, Any]:
    peers = []
    for number in range(PAIRS):
        for role, place in ((f"s{number}", 0), (f"t{number}", 1)):
            peer = Peer(role, f"t{number}" if role[0] == "s" else None)
            await ws_connect(lambda peer=peer: peer, urls[place % len(urls)])
            peers.append(peer)
    for peer in peers:
        await peer.registered.wait()
    await asyncio.sleep(1)  # views of both replicas are the same by then
    senders = peers[::2]
    for sender in senders:
        sender.prepare()
        for _ in range(WINDOW):
            sender.relay()
    watched = [psutil.Process(process.pid) for process in processes]
    before = sum(sum(one.cpu_times()[:2]) for one in watched)
    count = sum(sender.receipts for sender in senders)
    await asyncio.sleep(seconds)
    relays = sum(sender.receipts for sender in senders) - count
    spent = sum(sum(one.cpu_times()[:2]) for one in watched) - before
    return {
        "relays_per_second": round(relays / seconds),
        "service_cpu_us_per_relay": round(spent / max(1, relays) * 1e6, 1),
        "undelivered": sum(sender.others for sender in senders),
    }


def run(replicas: int, redis_url: str, seconds: float) -> dict[str, Any]:
    started = [start_replica(redis_url) for _ in range(replicas)]
    try:
        processes, urls = zip(*started, strict=True)
        return asyncio.run(measure(urls, processes, seconds))
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    rows = {"memory, one process": run(1, "", seconds)}
    if len(sys.argv) > 2:
        rows["two replicas on Redis"] = run(2, sys.argv[2], seconds)
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
