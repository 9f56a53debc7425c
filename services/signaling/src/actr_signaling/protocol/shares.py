"""Sans-I/O: who is served next when many want the loop: fair queueing by the time that was used.

Between addresses first, then between the connections of one address: a thousand connections of
one host have the share of one. Whoever uses little waits behind nobody who uses much, however
many those are. (Start-time fair queueing: Goyal, Vin, Cheng, 1996.)

Times used are remembered only while somebody waits: who has used much when there was enough for
all owes nothing.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count


class Flow:
    """One connection's place.

    Args:
        group: Its address.
    """

    __slots__ = ("era", "group", "is_waiting", "tag")

    def __init__(self, group: str) -> None:
        self.group = group
        self.is_waiting = False
        self.tag = 0.0
        """Virtual time at which it may go on, in its group, in its era."""
        self.era = -1


class _Group:
    __slots__ = ("is_waiting", "now", "tag", "waiting")

    def __init__(self) -> None:
        self.now = 0.0
        self.tag = 0.0
        self.is_waiting = False
        self.waiting: list[tuple[float, int, Flow]] = []


class Shares:
    """Flows that wait to be served."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._waiting: list[tuple[float, int, _Group]] = []
        self._now = 0.0
        self._era = 0
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, flow: Flow) -> None:
        """Have it wait; harmless when it does."""
        if flow.is_waiting:
            return
        flow.is_waiting = True
        group = self._groups.get(flow.group)
        if group is None:
            group = self._groups[flow.group] = _Group()
        self._date(flow, group)
        heappush(group.waiting, (flow.tag, next(self._numbers), flow))
        self._queue(group)

    def take(self) -> Flow:
        """Who is next; :meth:`charge` must follow.

        Raises:
            IndexError: If nobody waits.
        """
        tag, _, group = heappop(self._waiting)
        self._now = max(self._now, tag)
        group.is_waiting = False
        flow_tag, _, flow = heappop(group.waiting)
        group.now = max(group.now, flow_tag)
        flow.is_waiting = False
        return flow

    def charge(self, flow: Flow, seconds: float, *, goes_on: bool) -> None:
        """Account for what it used after :meth:`take`.

        Args:
            goes_on: Whether it waits for more.
        """
        group = self._groups[flow.group]
        self._date(flow, group)
        flow.tag += seconds
        group.tag = max(group.tag, self._now) + seconds
        if goes_on:
            self.add(flow)
        self._queue(group)
        if not self._waiting:
            self._groups.clear()
            self._now = 0.0
            self._era += 1

    def _date(self, flow: Flow, group: _Group) -> None:
        if flow.era != self._era:
            flow.era, flow.tag = self._era, 0.0
        flow.tag = max(flow.tag, group.now)

    def _queue(self, group: _Group) -> None:
        if group.waiting and not group.is_waiting:
            group.is_waiting = True
            group.tag = max(group.tag, self._now)
            heappush(self._waiting, (group.tag, next(self._numbers), group))
