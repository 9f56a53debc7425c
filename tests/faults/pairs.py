"""Two peers under numbered traffic both ways, and the comparison at the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import record
from lab.actors import Actor, actor, verdicts
from lab.hosts import Network
from lab.record import LANES, RELIABLE

HERE = Path(__file__).parent
SESSION_FAULTS = HERE.parents[1] / "services/peer/tests"
BOTH = ("webrtc", "websocket")
RATES = dict.fromkeys(LANES, 60.0)
MAX_AGE = 0.1 + 0.9
"""Seconds: the life of a latency-first item, and what a busy machine adds to the path. Less than
a cut takes: what waited for its end is found."""

Property = Callable[[str, object], None]
MakePair = Callable[..., AbstractAsyncContextManager["Pair"]]


@dataclass
class Pair:
    """The peers ``a`` and ``b``, each on its host; made by :func:`pair`."""

    net: Network
    a: Actor
    b: Actor
    folder: Path
    stack: AsyncExitStack
    note: Property
    options: Mapping[str, object]
    fault: str
    """The deliberate fault that its processes have; empty: none."""
    restarted: set[str] = field(default_factory=set)
    """Names of peers of which there was more than one process."""

    async def flow(self, rates: Mapping[str, float] = RATES, *, size: int = 100) -> None:
        """Send both ways, and wait until both kinds of wire are up."""
        for peer, other in ((self.a, self.b), (self.b, self.a)):
            await peer.ask("send", to=other.id, rates=dict(rates), size=size)
        await self.ready()

    async def ready(
        self, *, active: str | None = None, kinds: list[str] | None = None, within: float = 20
    ) -> float:
        """Wait until every wire is ready, or those of these kinds, and this kind in use; return
        the seconds."""
        active = active or str(self._prefer[0])
        kinds = self._prefer if kinds is None else kinds
        waited = 0.0
        for peer, other in ((self.a, self.b), (self.b, self.a)):
            answer = await peer.ask(
                "expect", to=other.id, timeout=within, ready=kinds, active=active
            )
            assert answer["ok"], f"{peer.name} is not back on {active}: {answer['wires']}"
            waited += answer["seconds"]
        return waited

    @property
    def _prefer(self) -> list[str]:
        kinds = self.options.get("prefer", BOTH)
        assert isinstance(kinds, list | tuple)
        return [str(kind) for kind in kinds]

    async def restart(self, name: str, **options: object) -> Actor:
        """Start another process of one of the peers."""
        peer = await self.stack.enter_async_context(
            actor(self.net, name, self.folder, options={**self.options, **options})
        )
        self.restarted.add(name)
        setattr(self, name, peer)
        return peer

    async def compare(self) -> dict[str, dict[str, int]]:
        """Stop, let everything settle, compare; return what was found by direction and lane."""
        for peer in (self.a, self.b):
            stopped = await peer.ask("stop")
            assert not stopped["given_up"], "sends or calls never ended"
            assert not stopped["refused"] or self.restarted, stopped["refused"]
        for peer, other in ((self.a, self.b), (self.b, self.a)):
            settled = await peer.ask("settle", to=other.id)
            assert settled["ok"], f"{peer.name} is not idle: {settled['lanes']}"
        return self.counted()

    def counted(self) -> dict[str, dict[str, int]]:
        """What has arrived so far, beside what was accepted."""
        found: dict[str, dict[str, int]] = {}
        for sender, receiver in ((self.a, self.b), (self.b, self.a)):
            for lane, verdict in verdicts(sender, receiver).items():
                name = f"{sender.name} to {receiver.name}, {lane}"
                if self.restarted and lane == "stream":
                    name += ", reset"
                found[name] = verdict.row()
        self.note("lanes", found)
        return found

    async def assert_clean(self, *, max_age: float | None = None) -> None:
        """Nothing lost, doubled or out of order on the reliable lanes.

        Args:
            max_age: Seconds: no latency-first item was older when it arrived. Only where the
                path itself holds nothing back: TCP delivers late what it had taken.
        """
        found = await self.compare()
        for name, counts in found.items():
            if name.endswith("latency"):
                assert counts["doubled"] == 0, f"{name}: {counts}"
                continue
            assert counts["accepted"] > 0, f"{name}: nothing was accepted"
            assert is_clean(counts), f"{name}: {counts}"
        ages = [record.oldest(peer.arrived(), "latency") for peer in (self.a, self.b)]
        self.note("oldest_latency_first_s", round(max(ages), 3))
        assert max_age is None or max(ages) <= max_age

    def silence(self, since: float) -> float:
        """The longest silence of any reliable lane since an instant, in either direction."""
        now = time.monotonic()
        found = max(
            record.silences(peer.arrived(), lane, [since], now)[0]
            for peer in (self.a, self.b)
            for lane in RELIABLE
        )
        self.note("silence_s", round(found, 3))
        return found


def is_clean(counts: Mapping[str, int]) -> bool:
    """Whether all that was accepted arrived, once and in order."""
    return not (counts["lost"] or counts["doubled"] or counts["out_of_order"])


@asynccontextmanager
async def pair(
    net: Network,
    folder: Path,
    note: Property,
    *,
    options: Mapping[str, Any] | None = None,
    fault: str = "",
    hosts: tuple[str, str] = ("a", "b"),
) -> AsyncIterator[Pair]:
    """Two fresh peers; with ``fault``, both have it (see ``saboteur.py``)."""
    module, env = "lab.traffic", {}
    if fault:
        module = "saboteur"
        paths = [str(HERE), str(SESSION_FAULTS), os.environ.get("PYTHONPATH", "")]
        env = {"FAULT": fault, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    async with AsyncExitStack() as stack:
        a, b = await asyncio.gather(
            *(
                stack.enter_async_context(
                    actor(net, host, folder, name=name, options=options, module=module, env=env)
                )
                for name, host in zip(("a", "b"), hosts, strict=True)
            )
        )
        made = Pair(net, a, b, folder, stack, note, options or {}, fault)
        try:
            yield made
        finally:
            made.a.kill()  # what they had to show is in their records
            made.b.kill()
