"""Presence and its watchers without sockets, as a hub joins them."""

from __future__ import annotations

import asyncio

from google.protobuf import json_format

from actr import signaling_pb2 as pb
from actr_signaling.errors import Close
from actr_signaling.hub.meetings import Meetings
from actr_signaling.hub.peers import Burst
from actr_signaling.hub.watchers import Watchers
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Trust
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import PresenceView, Reason
from signaling_kit.client import PATIENCE, actor


class Watcher:
    """A connection without a socket that has proven who it is."""

    def __init__(self, name: str = "w") -> None:
        self.session = Session(Challenge(server_id="s", nonce=b"", trust=Trust()), Terms(), 0.0)
        self.session.receive(messages.Authenticate(actor(name), b""), 1, 0.0)
        self.is_slow = False
        self.is_json = False
        self.is_cut = False
        self.heard: list[pb.ServerMessage] = []
        self.bursts: list[Burst] = []
        self.news = asyncio.Event()

    def send(self, data: bytes | str) -> bool:
        if isinstance(data, str):
            self.heard.append(json_format.Parse(data, pb.ServerMessage()))
        else:
            self.heard.append(pb.ServerMessage.FromString(data))
        self.news.set()
        return True

    def send_burst(self, burst: Burst) -> bool:
        self.bursts.append(burst)
        for message in burst.messages:
            self.send(message)
        return True

    def end(self, code: Close, message: str) -> None:
        del code, message
        self.is_cut = True
        self.news.set()

    def events(self) -> list[tuple[str, int, int]]:
        """Kind, version and epoch of each event."""
        return [
            (pb.PresenceEvent.Kind.Name(one.presence.kind), one.presence.version,
             one.presence.presence.epoch)
            for one in self.heard
            if one.HasField("presence")
        ]  # fmt: skip

    async def ends(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.is_cut:
                self.news.clear()
                await self.news.wait()

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.events()) < count:
                self.news.clear()
                await self.news.wait()


class View:
    """Presence and its watchers, as a hub joins them."""

    def __init__(self) -> None:
        self.presence = PresenceView()
        self.watchers = Watchers(self.presence, Meetings())
        self.version = 100

    def put(self, name: str, epoch: int, **fields: object) -> Entry:
        registration = Registration(id=actor(name), **fields)  # type: ignore[arg-type]
        entry = Entry(registration=registration, load=Load(), epoch=epoch, session="x", replica="r")
        self.version += 2
        self.watchers.changed(self.presence.put(entry, self.version))
        return entry

    def remove(self, entry: Entry) -> None:
        self.version += 2
        moves = self.presence.remove(entry.text, entry.epoch, Reason.CLOSED, self.version)
        self.watchers.changed(moves)

    def reset(self, entries: list[Entry]) -> None:
        """All of the store is read anew: whatever has changed has one version."""
        self.version += 2
        self.watchers.changed(self.presence.reset(entries, self.version, is_partial=False))

    def watching(self, name: str = "w", actr_type: str = "") -> Watcher:
        watcher = Watcher(name)
        watcher.session.watches.add(actr_type)
        self.watchers.watch(watcher, actr_type, 1)  # type: ignore[arg-type]
        return watcher
