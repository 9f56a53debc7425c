"""The processes of a soak, in its private network: Redis, two replicas, six peers, storms.

Each process keeps its standard error in a file of the run's folder. One that ends without being
told to is noted with its last lines, and started again, so that the run goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab.actors import Actor
from lab.hosts import Network
from lab.processes import Child
from tests.soak.vitals import Life

REDIS_PORT = 6390
SIGNALING = "signaling"
"""A name with the addresses of both replicas."""
URL = f"ws://{SIGNALING}:8080/v1/ws"
REPLICAS = {"one": "10.77.1.1", "two": "10.77.2.1"}
STEADY = ("p0", "p1", "p2", "p3")
"""Peers that are cut and frozen, but live all the time: theirs are the long slopes."""
MORTAL = ("p4", "p5")
PEERS = (*STEADY, *MORTAL)
PUBLISHERS = {"p0": "p1", "p3": "p2", "p4": "p0"}
READY_SECONDS = 60.0
END_SECONDS = 40.0
LAST_LINES = 50


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended by itself, or not as it was told."""

    process: str
    status: int
    seconds: float
    last_lines: list[str]


@dataclass(slots=True)
class Running:
    """One process and what is known of it."""

    name: str
    process: asyncio.subprocess.Process
    actor: Actor
    life: Life
    log: Path
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_expected_to_end: bool = False
    is_frozen: bool = False
    frames: float = 0


class Stage:
    """Starts, breaks, samples and ends the processes."""

    def __init__(self, net: Network, folder: Path) -> None:
        self.net = net
        self.folder = folder
        self.running: dict[str, Running] = {}
        self.lives: list[Life] = []
        self.deaths: list[Death] = []
        self.storms: list[str] = []
        self._redis: asyncio.subprocess.Process | None = None
        self._starts = 0
        self._is_over = False

    # Redis.

    async def start_redis(self) -> None:
        """An empty Redis, on the router."""
        log = (self.folder / "redis.log").open("ab")
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(REDIS_PORT), "--save", "",
                   "--appendonly", "no", "--dir", str(self.folder)]  # fmt: skip
        self._redis = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        log.close()

    async def kill_redis(self) -> None:
        """What it knew is gone."""
        if self._redis is not None and self._redis.returncode is None:
            self._redis.kill()
            await self._redis.wait()

    def freeze_redis(self, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT."""
        if self._redis is not None:
            self._redis.send_signal(number)

    # Replicas and peers.

    async def start(self, name: str) -> None:
        """Start a replica or a peer, and wait until it is ready."""
        if name in REPLICAS:
            env = {
                "ACTR_SIGNALING__LISTEN": f"{REPLICAS[name]}:8080",
                "ACTR_SIGNALING__REDIS_URL": f"redis://127.0.0.1:{REDIS_PORT}/0",
                "ACTR_SIGNALING__LOG_LEVEL": "warning",
            }
            await self._spawn(name, [], ["tests.soak.replica"], env)
        else:
            index = PEERS.index(name)
            targets = [PEERS[(index + step) % len(PEERS)] for step in (1, 2)]
            arguments = ["tests.soak.peer", name, URL, str(self.folder), ",".join(targets),
                         PUBLISHERS.get(name, "")]  # fmt: skip
            await self._spawn(name, ["ip", "netns", "exec", host_of(name)], arguments, {})

    async def _spawn(
        self, name: str, prefix: Sequence[str], arguments: Sequence[str], env: dict[str, str]
    ) -> None:
        self._starts += 1
        started = f"{name}-{self._starts}"
        log = self.folder / f"{started}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *prefix, sys.executable, "-X", "faulthandler", "-m", *arguments,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**_environment(), **env}, limit=1 << 20,
            )  # fmt: skip
        child = Child(process)
        actor = Actor(name, self.folder, child)
        life = Life(started, time.monotonic())
        running = Running(name, process, actor, life, log)
        loop = asyncio.get_running_loop()
        ready = loop.create_task(_ready(child))
        running.tasks.append(loop.create_task(self._watch(running)))
        self.running[name] = running
        self.lives.append(life)
        with suppress(RuntimeError):  # it has ended: the watcher says so
            async with asyncio.timeout(READY_SECONDS):
                await ready
            running.tasks.append(loop.create_task(actor.listen()))

    async def _watch(self, running: Running) -> None:
        """Note a process that ends though nobody told it to."""
        status = await running.process.wait()
        if running.is_expected_to_end:
            return
        self._note_death(running, status)
        if not self._is_over:
            await asyncio.sleep(1)
            await self.start(running.name)

    def _note_death(self, running: Running, status: int) -> None:
        lines = running.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        seconds = time.monotonic() - running.life.began_at
        self.deaths.append(Death(running.name, status, round(seconds, 1), lines))
        text = "\n    ".join(lines)
        sys.stderr.write(f"{running.name} ended by itself with {status}:\n    {text}\n")

    async def end(self, name: str, number: signal.Signals) -> None:
        """End a process by a signal; SIGTERM must end it with status 0, and in time."""
        running = self.running[name]
        if running.process.returncode is not None:
            return
        running.is_expected_to_end = True
        running.process.send_signal(number)
        try:
            async with asyncio.timeout(END_SECONDS):
                status = await running.process.wait()
        except TimeoutError:
            running.process.send_signal(signal.SIGABRT)  # faulthandler shows where it hangs
            status = await running.process.wait()
        if number is signal.SIGTERM and status != 0:
            self._note_death(running, status)

    def freeze(self, name: str, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT."""
        running = self.running[name]
        running.is_frozen = number is signal.SIGSTOP
        if running.process.returncode is None:
            running.process.send_signal(number)

    async def storm(self, host: str) -> None:
        """Twenty actors come, call and go."""
        name = f"storm{len(self.storms)}"
        self.storms.append(name)
        log = self.folder / f"{name}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", host, sys.executable, "-m", "tests.soak.storm",
                name, URL, str(self.folder), ",".join(STEADY),
                stdin=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        status = await process.wait()
        if status != 0:
            life = Life(name, time.monotonic())
            actor = Actor(name, self.folder, Child(process))
            self._note_death(Running(name, process, actor, life, log), status)

    # What they use.

    async def sample(self) -> None:
        """Ask every process that can answer."""
        await asyncio.gather(*(self._sample(one) for one in tuple(self.running.values())))

    async def _sample(self, running: Running) -> None:
        if running.is_frozen or running.is_expected_to_end or len(running.tasks) < 2:
            return
        with suppress(RuntimeError, TimeoutError, OSError):
            answer = await running.actor.ask("sample")
            running.life.add(time.monotonic(), answer)
            running.frames = answer["frames"]

    async def quiesce(self, seconds: float) -> dict[str, int]:
        """Have all peers begin nothing more; return what each still has open after a while."""
        peers = [self.running[name] for name in PEERS]
        for peer in peers:
            await peer.actor.ask("stop")
        still: dict[str, int] = {}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            still = {peer.name: (await peer.actor.ask("open"))["open"] for peer in peers}
            if not any(still.values()):
                break
            await asyncio.sleep(0.5)
        return {name: count for name, count in still.items() if count}

    async def close(self) -> None:
        """End everything, peers first, as an operator does."""
        self._is_over = True
        for name in self.running:
            self.freeze(name, signal.SIGCONT)
        await asyncio.gather(
            *(self.end(name, signal.SIGTERM) for name in PEERS if name in self.running)
        )
        await asyncio.gather(
            *(self.end(name, signal.SIGTERM) for name in REPLICAS if name in self.running)
        )
        await self.kill_redis()
        for running in self.running.values():
            for task in running.tasks:
                task.cancel()


def host_of(name: str) -> str:
    """The host of a peer: neighbours are on different ones."""
    return "ab"[PEERS.index(name) % 2]


def name_signaling(folder: Path) -> None:
    """Give both replicas one name, in this private network only."""
    hosts = folder / "hosts"
    lines = [f"{address} {SIGNALING}" for address in REPLICAS.values()]
    hosts.write_text("127.0.0.1 localhost\n" + "\n".join(lines) + "\n")
    command = ["mount", "--bind", str(hosts), "/etc/hosts"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _environment() -> dict[str, str]:
    return {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


async def _ready(child: Child) -> None:
    while (await child.line(timeout=READY_SECONDS)).get("event") != "ready":
        pass
