"""``actr send`` and ``actr receive`` as processes, over a wire that is cut, and through kills.

A signaling service beside them, and one WebSocket wire through a proxy that resets it. At a third
of the file the receiver is killed with SIGKILL and started again, at two thirds the sender. At the
end both files are hashed as wholes by SHA-256, and compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from actr_peer.protocol.files.manifest import BLOCK_BYTES, DIGEST_BYTES
from actr_peer.protocol.files.names import HOLD

RECEIVER = "acme:shelf@1:default"
LOOK_SECONDS = 0.02
CHUNK_BYTES = 16 * 1024 * 1024
PASSED_BYTES = 256 * 1024


class Proxy:
    """A path of TCP that can be cut, and counts what it carries; a block.

    Takes connections on the loopback and joins each with one to the target.

    Attributes:
        port: Where it listens.
        carried_bytes: From whoever connects to the target, over all connections.
        cuts: How often it was cut.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.carried_bytes = 0
        self.cuts = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End every connection, both ways, as a reset does."""
        self.cuts += 1
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._open.discard(writer)
        self._open |= {writer, far}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far, counted=True))
                both.create_task(self._pass(far_reader, writer, counted=False))
        finally:
            self._open -= {writer, far}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(PASSED_BYTES):
                writer.write(data)
                self.carried_bytes += counted * len(data)
                await writer.drain()
        writer.transport.abort()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to one transfer."""

    mb: int = 1024
    cut_every: float = 5.0
    """Seconds; 0: never."""
    kills_receiver: bool = True
    kills_sender: bool = True
    patience: float = 60.0


@dataclass
class Stage:
    """The processes of one run."""

    folder: Path
    environment: dict[str, str]
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        with (self.folder / "stderr").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                env=self.environment | environment,
                cwd=self.folder,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self.running.append(process)
        return process

    async def end(self) -> None:
        for process in self.running:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            process._transport.close()  # type: ignore[attr-defined] # closes its pipes now


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A signaling service, and what actors of its realm need to know."""
    made = Stage(
        folder,
        {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "ACTR_WIRES__PREFER": "websocket",
            "ACTR_CONTROL__SOCKET": "",
            "ACTR_LOG__FORMAT": "json",
        },
    )
    try:
        service = await made.start("actr_signaling", ACTR_SIGNALING__LISTEN="127.0.0.1:0")
        assert service.stdout is not None
        ready = json.loads(await service.stdout.readline())
        made.environment["ACTR_SIGNALING__URL"] = ready["url"]
        yield made
    finally:
        await made.end()


async def transfer(plan: Plan, folder: Path) -> dict[str, Any]:
    """Send one file under a plan; return the row."""
    source, target = folder / "big.bin", folder / "in"
    make_file(source, plan.mb)
    port = _free_port()
    async with stage(folder) as on, Proxy(port) as proxy, asyncio.TaskGroup() as beside:
        shelf = {
            "ACTR_ACTOR__ID": RECEIVER,
            "ACTR_WIRES__LISTEN": f"127.0.0.1:{port}",
            "ACTR_WIRES__ADVERTISE": f"127.0.0.1:{proxy.port}",
        }
        receive = ("actr_peer", "receive", str(target), "--json")
        patience = ("--patience", str(plan.patience))
        send = ("actr_peer", "send", str(source), RECEIVER, "--json", *patience)
        receiver = await on.start(*receive, **shelf)
        began = time.monotonic()
        sender = await on.start(*send)
        cutter = beside.create_task(_cut(proxy, plan.cut_every))
        third = plan.mb * (1 << 20) // BLOCK_BYTES // 3
        if plan.kills_receiver:
            await _until(target, third, sender)
            receiver.send_signal(signal.SIGKILL)
            await receiver.wait()
            receiver = await on.start(*receive, **shelf)
        if plan.kills_sender:
            await _until(target, 2 * third, sender)
            sender.send_signal(signal.SIGKILL)
            await sender.wait()
            sender = await on.start(*send)
        said, _ = await sender.communicate()
        seconds = time.monotonic() - began
        cutter.cancel()
        there = target / source.name
        is_equal = there.exists() and sha256(there) == sha256(source)
        size = plan.mb * (1 << 20)
        return {
            "system": "actr send",
            "wire": "websocket",
            "mb": plan.mb,
            "seconds": round(seconds, 2),
            "mb_per_s": round(plan.mb / seconds, 1),
            "cuts": proxy.cuts,
            "restarts": plan.kills_receiver + plan.kills_sender,
            "resent_mb": round((proxy.carried_bytes - size) / (1 << 20), 1),
            "exit": sender.returncode,
            "hash_equal": is_equal,
            "sender": json.loads(said or b"null"),
        }


async def _cut(proxy: Proxy, every: float) -> None:
    while every:
        await asyncio.sleep(every)
        proxy.cut()


async def _until(target: Path, blocks: int, sender: asyncio.subprocess.Process) -> None:
    """Wait until so many blocks are written down at the receiver, or the sender has ended."""
    # The receiver's folder is all that there is to look at: it is another process.
    while verified(target) < blocks and sender.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


def verified(target: Path) -> int:
    """How many blocks of the one partial transfer are written down."""
    for sidecar in (target / HOLD).glob("*/digests"):
        with suppress(FileNotFoundError):
            return sidecar.stat().st_size // DIGEST_BYTES
    return 0


def make_file(path: Path, mb: int) -> None:
    """Bytes of which no two mebibytes are alike."""
    body = secrets.token_bytes((1 << 20) - 8)
    with path.open("wb") as file:
        for number in range(mb):
            file.write(number.to_bytes(8, "big") + body)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
