"""How many TCP connections there may be: over all, for each address, and of those that say nothing.

An address of IPv6 is its network of 64 bits: who has one has all of them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from actr_signaling.protocol.client.limits import Bucket

_MAX_ADDRESSES = 16_384
MAX_SILENT = 4_096
"""That have not sent a whole request yet."""
MAX_SILENT_PER_ADDRESS = 512
SCARCE = 0.75
"""Share of all places from which on an address with many gets no more."""
MANY = 64
"""This part of all places is many."""


@dataclass(slots=True, kw_only=True)
class Doors:
    """Counts connections in and out; owns no clock."""

    max_connections: int = 20_000
    max_per_address: int = 2_000  # replicas behind one proxy or one NAT are one address
    rate_per_address: float = 200.0
    """New connections per second."""
    burst_per_address: float = 1_000.0
    _open: Counter[str] = field(default_factory=Counter)
    _total: int = 0
    _buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)
    _silent: dict[str, OrderedDict[object, Callable[[], None]]] = field(default_factory=dict)
    _silent_total: int = 0

    def enter(self, address: str, now: float) -> bool:
        """Count a new connection in; False: it is one too many, and is not counted."""
        if self._total >= self.max_connections or self._open[address] >= self.max_per_address:
            return False
        is_scarce = self._total >= SCARCE * self.max_connections
        if is_scarce and self._open[address] * MANY > self.max_connections:
            return False
        bucket = self._buckets.pop(address, None)
        if bucket is None:
            bucket = Bucket(self.rate_per_address, self.burst_per_address, now)
        self._buckets[address] = bucket  # newest last
        while len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not bucket.take(1, now):
            return False
        self._total += 1
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def listen(self, address: str, connection: object, cut: Callable[[], None]) -> None:
        """Wait for its request; when too many wait, the oldest of an address with most is cut.

        Args:
            cut: Ends that connection; :meth:`heard` must have the same effect when called after.
        """
        waiting = self._silent.setdefault(address, OrderedDict())
        waiting[connection] = cut
        self._silent_total += 1
        if len(waiting) > MAX_SILENT_PER_ADDRESS:
            self._cut_oldest(address)
        elif self._silent_total > MAX_SILENT:
            self._cut_oldest(max(self._silent, key=lambda one: len(self._silent[one])))

    def heard(self, address: str, connection: object) -> None:
        """It has sent its request, or has ended; harmless when called again."""
        waiting = self._silent.get(address)
        if waiting is None or waiting.pop(connection, None) is None:
            return
        self._silent_total -= 1
        if not waiting:
            del self._silent[address]

    def _cut_oldest(self, address: str) -> None:
        connection, cut = next(iter(self._silent[address].items()))
        self.heard(address, connection)
        cut()


def network_of(host: str) -> str:
    """What counts as one address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64)) + "/64"
    return host
