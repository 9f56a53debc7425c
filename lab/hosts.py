"""Two hosts and the network between them, which can be cut: inside ``lab.netns`` only.

::

    host a  10.77.1.2 ─── 10.77.1.1  router  10.77.2.1 ─── 10.77.2.2  host b

The signaling service runs on the router. All faults are rules of the router's FORWARD chain:
what is dropped is lost on the way, as in a network; a rule in the sender's own OUTPUT chain
would make its ``send`` fail. Signaling is not forwarded, so it is never disturbed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from lab.processes import Child, child

SIGNALING_PORT = 8080
HOSTS = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to packets between the hosts.

    Attributes:
        protocol: ``udp`` is the WebRTC wire, ``tcp`` the WebSocket wire.
        source: Only what this host sends; empty: both directions.
        share: How many packets, 1: all.
        how: ``reset`` answers the sender with a TCP reset; else they are lost in silence.
    """

    protocol: Literal["udp", "tcp"]
    source: str = ""
    share: float = 1.0
    how: Literal["drop", "reset"] = "drop"

    def rule(self) -> list[str]:
        """As iptables takes it."""
        words = ["FORWARD", "-p", self.protocol]
        if self.source:
            words += ["-s", address(self.source)]
        if self.share < 1:
            words += ["-m", "statistic", "--mode", "random", "--probability", f"{self.share}"]
        if self.how == "reset":
            return [*words, "-j", "REJECT", "--reject-with", "tcp-reset"]
        return [*words, "-j", "DROP"]


UDP_CUT = Fault(protocol="udp")
TCP_CUT = Fault(protocol="tcp")
TCP_RESET = Fault(protocol="tcp", how="reset")


def address(host: str) -> str:
    """The address of a host."""
    return f"10.77.{HOSTS.index(host) + 1}.2"


def signaling_url(host: str) -> str:
    """The signaling service as this host reaches it."""
    return f"ws://10.77.{HOSTS.index(host) + 1}.1:{SIGNALING_PORT}/v1/ws"


class Network:
    """The two hosts; made by :func:`network`."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    async def break_with(self, *faults: Fault) -> None:
        """Let these happen until :meth:`heal`."""
        for fault in faults:
            await _run("iptables", "-w", "-I", *fault.rule())
            self._faults.append(fault)

    async def heal(self, *faults: Fault) -> None:
        """End these, or all."""
        for fault in faults or tuple(self._faults):
            if fault in self._faults:
                self._faults.remove(fault)
                await _run("iptables", "-w", "-D", *fault.rule())

    @asynccontextmanager
    async def broken(self, *faults: Fault) -> AsyncIterator[None]:
        """These happen while the block runs."""
        await self.break_with(*faults)
        try:
            yield
        finally:
            await self.heal(*faults)

    @asynccontextmanager
    async def process(
        self, host: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> AsyncIterator[Child]:
        """``python -m …`` on one of the hosts."""
        prefix = ("ip", "netns", "exec", host)
        async with child(arguments, env=env, prefix=prefix) as started:
            yield started


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    """Both hosts, joined by a router; gone at the end."""
    made = Network()
    try:
        for number, host in enumerate(HOSTS, 1):
            inside = ("-n", host)
            await _run("ip", "netns", "add", host)
            await _run("ip", "link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0",
                       "netns", host)  # fmt: skip
            await _run("ip", "addr", "add", f"10.77.{number}.1/24", "dev", f"to-{host}")
            await _run("ip", "link", "set", f"to-{host}", "up")
            await _run("ip", *inside, "addr", "add", f"10.77.{number}.2/24", "dev", "eth0")
            await _run("ip", *inside, "link", "set", "lo", "up")
            await _run("ip", *inside, "link", "set", "eth0", "up")
            await _run("ip", *inside, "route", "add", "default", "via", f"10.77.{number}.1")
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:  # noqa: ASYNC230  one byte
            file.write("1")
        yield made
    finally:
        await made.heal()
        for host in HOSTS:
            await _run("ip", "netns", "del", host)


@asynccontextmanager
async def router_signaling() -> AsyncIterator[None]:
    """A signaling service on memory, where both hosts reach it."""
    env = {
        "ACTR_SIGNALING__LISTEN": f"0.0.0.0:{SIGNALING_PORT}",
        "ACTR_SIGNALING__LOG_LEVEL": "error",
    }
    async with child(["actr_signaling"], env=env) as process:
        await process.line()
        yield


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    _, errors = await process.communicate()
    if process.returncode != 0:
        sys.stderr.write(errors.decode())
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
