"""What breaks, one at a time: a shuffled deck, dealt to its end before it is shuffled again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from lab.hosts import TCP_CUT, TCP_RESET, UDP_CUT, Fault
from tests.soak.stage import MORTAL, PEERS, REPLICAS, Stage

CUT_SECONDS = 6.0
FROZEN_SECONDS = 6.0
DOWN_SECONDS = 2.0
LOSS = (Fault(protocol="udp", share=0.3), Fault(protocol="tcp", share=0.1))


class Faults:
    """Breaks one thing after the other, and makes it whole again.

    Args:
        dice: Seeded: the same seed breaks the same things in the same order.

    Attributes:
        dealt: How often each happened.
        may_end_first: Whether the first replica may be ended: only while nobody measures it.
    """

    def __init__(self, stage: Stage, dice: random.Random) -> None:
        self.dealt: Counter[str] = Counter()
        self.may_end_first = True
        self._stage = stage
        self._dice = dice
        self._deck: dict[str, Callable[[], Awaitable[None]]] = {
            "cut UDP": lambda: self._cut(UDP_CUT),
            "cut TCP": lambda: self._cut(TCP_CUT),
            "cut both": lambda: self._cut(UDP_CUT, TCP_CUT),
            "reset TCP": lambda: self._cut(TCP_RESET, seconds=1),
            "lose packets": lambda: self._cut(*LOSS),
            "cut signaling": self._cut_signaling,
            "freeze peer": lambda: self._freeze(PEERS),
            "freeze replica": lambda: self._freeze(tuple(REPLICAS)),
            "terminate replica": lambda: self._end(self._replicas(), signal.SIGTERM),
            "kill replica": lambda: self._end(self._replicas(), signal.SIGKILL),
            "terminate peer": lambda: self._end(MORTAL, signal.SIGTERM),
            "kill peer": lambda: self._end(MORTAL, signal.SIGKILL),
            "empty Redis": self._empty_redis,
            "freeze Redis": self._freeze_redis,
            "storm": lambda: self._stage.storm(self._dice.choice("ab")),
        }
        self._cards = self._deal()

    def __len__(self) -> int:
        return len(self._deck)

    def next(self) -> str:
        """The name of the next card."""
        return next(self._cards)

    async def happen(self, name: str) -> None:
        """Break, wait, heal."""
        self.dealt[name] += 1
        await self._deck[name]()

    def _deal(self) -> Iterator[str]:
        while True:
            names = list(self._deck)
            self._dice.shuffle(names)
            yield from names

    def _replicas(self) -> tuple[str, ...]:
        return tuple(REPLICAS) if self.may_end_first else ("two",)

    async def _cut(self, *faults: Fault, seconds: float = CUT_SECONDS) -> None:
        async with self._stage.net.broken(*faults):
            await asyncio.sleep(seconds)

    async def _cut_signaling(self) -> None:
        """What the hosts send to the replicas is lost."""
        rule = ["INPUT", "-p", "tcp", "--dport", "8080", "-j", "DROP"]
        await _iptables("-I", rule)
        try:
            await asyncio.sleep(CUT_SECONDS)
        finally:
            await _iptables("-D", rule)

    async def _freeze(self, names: tuple[str, ...]) -> None:
        name = self._dice.choice(names)
        self._stage.freeze(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            self._stage.freeze(name, signal.SIGCONT)

    async def _end(self, names: tuple[str, ...], number: signal.Signals) -> None:
        name = self._dice.choice(names)
        await self._stage.end(name, number)
        await asyncio.sleep(DOWN_SECONDS)
        await self._stage.start(name)

    async def _empty_redis(self) -> None:
        await self._stage.kill_redis()
        await asyncio.sleep(DOWN_SECONDS)
        await self._stage.start_redis()

    async def _freeze_redis(self) -> None:
        self._stage.freeze_redis(signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            self._stage.freeze_redis(signal.SIGCONT)


async def _iptables(verb: str, rule: list[str]) -> None:
    process = await asyncio.create_subprocess_exec("iptables", "-w", verb, *rule)
    if await process.wait() != 0:
        raise RuntimeError(f"iptables {verb} {' '.join(rule)}: failed")
