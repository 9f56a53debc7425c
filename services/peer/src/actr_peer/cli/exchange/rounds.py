"""Rounds with every actor of the own type that is online: all five payload types, and again."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

from actr_peer import ActrId, ActrRef, MediaFrame, PayloadType, PeerError
from actr_peer.cli.exchange.burst import Burst, make_clip
from actr_peer.cli.exchange.room import CountingRoom
from actr_peer.cli.exchange.steps import Steps
from actr_peer.cli.exchange.tally import Heard, Link
from actr_peer.node.hooks import WireEvent
from actr_peer.node.process.status import actor_row, wire_in_use
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import Presence, PresenceEvent
from actr_peer.tasks import Tasks

SECONDS_PER_LINK: Final = 0.5
"""Least time between rounds for each link: many links make fewer rounds, not more load."""
CRASH_TIMEOUT: Final = 600.0
"""Seconds for which rounds with a remote that crashed may go on when it is back."""
SPREAD: Final = 0.1
"""Part of the interval by which rounds of different links are moved apart."""


class Exchange:
    """The rounds of one actor; they run as long as its block lasts.

    A remote that leaves ends the rounds with it after the one that runs; one that comes back
    goes on with the same numbers.
    """

    def __init__(
        self, ref: ActrRef, room: CountingRoom, *, interval: float, is_json: bool = False
    ) -> None:
        self.links: dict[ActrId, Link] = {}
        self.run = f"{ref.node.view().incarnation:016x}"
        self._ref = ref
        self._room = room
        self._interval = interval
        self._is_json = is_json
        self.present: dict[ActrId, Presence] = {}
        """Who is online, this actor too."""
        self._meeting: set[ActrId] = set()
        self._crashed: set[ActrId] = set()
        self._tasks = Tasks("exchange")

    async def __aenter__(self) -> Self:
        self._clip = await make_clip()
        await self._tasks.__aenter__()
        self._ref.register_media(None, self._frame)
        self._room.listeners.append(self)
        for present in await self._ref.subscribe(self._ref.id.actr_type):
            self._meet(present)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(exc_type, exc, traceback)

    def report(self) -> dict[str, Any]:
        """Who is online, the counts of both directions, and those of all runs that are kept."""
        links = [self._links_row(self.links[remote]) for remote in sorted(self.links)]
        return {
            "actors": [actor_row(self.present[actor]) for actor in sorted(self.present)],
            "exchange": links,
            "heard": [asdict(heard) for heard in self._room.all_heard()],
        }

    def _links_row(self, link: Link) -> dict[str, Any]:
        heard = self._room.heard(link.remote) or Heard(link.remote, "")
        done = {payload_type.name: count for payload_type, count in link.done.items()}
        return {
            **asdict(link),
            "own_run": self.run,
            "done": {**done, PayloadType.MEDIA_RTP.name: link.frames},
            **asdict(heard),
        }

    def presence_changed(self, event: PresenceEvent) -> None:
        """Of the room: who comes is met."""
        if event.kind is PresenceEvent.Kind.LEAVE:
            self.present.pop(event.presence.id, None)
            if event.reason is PresenceEvent.Reason.EXPIRED:
                self._crashed.add(event.presence.id)
        else:
            self._meet(event.presence)

    def _link(self, remote: ActrId) -> Link:
        return self.links.setdefault(remote, Link(str(remote)))

    def _frame(self, frame: MediaFrame, sender: ActrId) -> None:
        link = self._link(sender)
        link.frames += 1
        link.frames_since += 1

    def wire_changed(self, event: WireEvent) -> None:
        """Of the room: wires that fail are counted."""
        link = self.links.get(event.remote)
        if link is not None and event.state is WireState.FAILED:
            kind = event.kind.value
            link.wire_failures[kind] = link.wire_failures.get(kind, 0) + 1

    def _meet(self, presence: Presence) -> None:
        remote = presence.id
        self.present[remote] = presence
        if remote != self._ref.id and remote not in self._meeting:
            self._meeting.add(remote)
            self._tasks.start(str(remote), self._rounds(remote))

    async def _rounds(self, remote: ActrId) -> None:
        """One round after the other while the remote is online."""
        burst = Burst(self._ref, remote, self._clip)
        steps = Steps(self._ref, remote, self._link(remote), run=self.run, burst=burst)
        try:
            while remote in self.present:
                await self._round(steps, remote)
                if remote in self._crashed:
                    await self._wait_for(remote, steps)
                elif remote not in self.present:
                    await burst.close()  # it may be back when this ends
        finally:
            self._meeting.discard(remote)

    async def _wait_for(self, remote: ActrId, steps: Steps) -> None:
        """Say a line to a remote that crashed; it hears it when it is back."""
        self._print(f"{remote} is gone without a word: a line waits for it")
        with suppress(PeerError):
            await steps.say(timeout=CRASH_TIMEOUT)
            self._print(f"{remote} is back and has heard the line that waited")
        self._crashed.discard(remote)

    def _print(self, text: str) -> None:
        print(json.dumps({"event": text}) if self._is_json else text, flush=True)

    async def _round(self, steps: Steps, remote: ActrId) -> None:
        """One round and its line, then a pause."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        done = await steps.round()
        seconds = loop.time() - started
        wire = wire_in_use(self._ref.node.view(), remote)
        ends = (str(self._ref.id), str(remote))
        if self._is_json:
            print(json.dumps(done.row(*ends, wire=wire, seconds=seconds)), flush=True)
        else:
            self._print(done.line(*ends, wire=wire, seconds=seconds))
        interval = max(self._interval, SECONDS_PER_LINK * len(self.present))
        spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # pace, no secret
        await asyncio.sleep(interval * spread - seconds)
