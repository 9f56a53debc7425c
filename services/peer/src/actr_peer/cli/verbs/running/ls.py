"""``actr ls``: who is online, as the signaling service tells it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.live import Live

from actr_peer.cli.callers import Visit
from actr_peer.cli.options import AsJson, Flags, ShowAll, Timeout, with_flags
from actr_peer.cli.tables import console, table
from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrId, ActrType, parse_destination
from actr_peer.protocol.signaling.presence import Change, Presence, PresenceEvent

RUNTIME: Final = "actr"
"""The manufacturer of the actors behind verbs."""
SHORT: Final = 8
"""Digits of a fingerprint that are shown."""
ALWAYS: Final = 4
"""Columns that are shown also where they are empty."""
CHANGES: Final[Mapping[Change, str]] = {
    Change.JOIN: "online",
    Change.UPDATE: "changed",
    Change.LEAVE: "offline",
}


@with_flags
def ls(
    actr_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Only these, as acme:room; all without.")
    ] = "",
    *,
    is_watched: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, and show who comes and goes.")
    ] = False,
    realm: Annotated[str | None, typer.Option(help="Of another realm than actor.id's.")] = None,
    is_all: ShowAll = False,
    timeout: Timeout = None,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """List the actors that are online, with services, fingerprints and load."""
    if actr_type and not _is_type(actr_type):
        raise ConfigError(f"type {actr_type!r}: write manufacturer:name, for example acme:room")
    loaded = flags.settings()
    log_warnings(loaded.log)
    own = flags.caller("ls", realm=realm or "")
    shown = _Lines() if is_json or not sys.stdout.isatty() else _Screen()
    listing = Listing(timeout, actr_type, hides=() if is_all else (RUNTIME,))
    run_loop(_list(own, listing, shown if is_watched else None, is_json=is_json))


def _is_type(text: str) -> bool:
    try:
        return isinstance(parse_destination(text), ActrType)
    except ConfigError:
        return False


class Listing(Visit):
    """Who is online, from the answer to the subscription and the changes after it.

    Args:
        hides: Manufacturers of whom nothing is shown.
    """

    def __init__(self, timeout: float | None, actr_type: str, hides: Iterable[str]) -> None:
        super().__init__(timeout)
        self.actr_type = actr_type
        self._hides = frozenset(hides)
        self.events: asyncio.Queue[PresenceEvent] = asyncio.Queue()
        self._present: dict[ActrId, Presence] = {}
        self._own: ActrId | None = None

    def fill(self, own: ActrId, present: Iterable[Presence]) -> None:
        """Take those that are online now."""
        self._own = own
        self._present = {presence.id: presence for presence in present}

    def apply(self, event: PresenceEvent) -> bool:
        """Take a change; False if it is of one that is not shown."""
        presence = event.presence
        if event.kind is Change.LEAVE:
            self._present.pop(presence.id, None)
        else:
            self._present[presence.id] = presence
        return self._is_shown(presence)

    @property
    def actors(self) -> list[Presence]:
        """Those that are shown, by id."""
        return sorted(filter(self._is_shown, self._present.values()), key=lambda found: found.id)

    def _is_shown(self, presence: Presence) -> bool:
        return presence.id != self._own and presence.id.manufacturer not in self._hides

    async def on_presence(self, event: PresenceEvent) -> None:
        self.events.put_nowait(event)


async def _list(
    config: NodeConfig, listing: Listing, watched: _Lines | None, *, is_json: bool
) -> None:
    async with listing.running(config) as node:
        found = await node.ref.subscribe(listing.actr_type)
        listing.fill(node.id, found)
        if watched is not None:
            with watched:
                watched.begin(listing)
                while True:
                    event = await listing.events.get()
                    if listing.apply(event):
                        watched.change(event, listing)
    if is_json:
        print(json.dumps({"actors": [row_of(actor) for actor in listing.actors]}, indent=2))
    else:
        console().print(table_of(listing.actors))


def row_of(presence: Presence) -> dict[str, object]:
    """One actor as JSON has it."""
    return {
        "id": str(presence.id),
        "type": presence.id.actr_type,
        "services": dict(presence.services),
        "waiting": presence.load.mailbox_backlog,
        "power_reserve": round(presence.load.power_reserve, 2),
        "ws_address": presence.ws_address,
        "metadata": dict(presence.metadata),
    }


def table_of(actors: Iterable[Presence]) -> RenderableType:
    rows = [
        (
            actor.id,
            "\n".join(f"{name} {mark[:SHORT]}".strip() for name, mark in actor.services),
            actor.load.mailbox_backlog,
            f"{actor.load.power_reserve:.0%}",
            actor.ws_address,
            "\n".join(f"{key}={value}" for key, value in sorted(actor.metadata.items())),
        )
        for actor in actors
    ]
    names = ("actor", "services", "waiting", "free", "address", "metadata")
    # A terminal is narrow: what no actor has takes no room.
    shown = [at for at, name in enumerate(names) if at < ALWAYS or any(row[at] for row in rows)]
    cells = [[row[at] for at in shown] for row in rows]
    return table(f"{len(rows)} online", [names[at] for at in shown], cells)


class _Lines:
    """One JSON document for each change, the first ones for those that are online already."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, listing: Listing) -> None:
        for presence in listing.actors:
            self._print("online", presence)

    def change(self, event: PresenceEvent, listing: Listing) -> None:
        self._print(CHANGES[event.kind], event.presence)

    def _print(self, change: str, presence: Presence) -> None:
        print(json.dumps({"change": change, **row_of(presence)}), flush=True)


class _Screen(_Lines):
    """The table, written anew with each change."""

    def __init__(self) -> None:
        self._live = Live(console=console(), auto_refresh=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, listing: Listing) -> None:
        self._live.update(table_of(listing.actors), refresh=True)

    def change(self, event: PresenceEvent, listing: Listing) -> None:
        self.begin(listing)
