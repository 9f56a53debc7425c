"""``actr ping``: how long a question and its answer take, by each kind of wire."""

from __future__ import annotations

import asyncio
import json
import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actr_peer.cli.callers import Visit, read_destination
from actr_peer.cli.options import ActorArgument, AsJson, Flags, Timeout, with_flags
from actr_peer.cli.tables import console, table
from actr_peer.cli.verbs.running.rounds import round_trip
from actr_peer.errors import BrokenError, DeadlineError, PeerError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.payload import WireKind
from actr_peer.transport.link_view import every_lane

if TYPE_CHECKING:
    from actr_peer.node.node import Node

ANSWER_SECONDS: Final = 3.0
"""After which a question counts as lost: wires send again what the network loses."""
CONNECT_SECONDS: Final = 10.0
MAX_COUNT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Asking:
    """How often one kind of wire is asked, and how fast."""

    count: int
    interval: float
    """Seconds between two questions."""


@dataclass(slots=True)
class Pinged:
    """What one kind of wire came to."""

    kind: WireKind
    sent: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each question that was answered."""
    resent: int = 0
    """Frames that this side sent again."""
    error: PeerError | None = None
    """Why there is no such wire."""

    @property
    def loss(self) -> float:
        """The share of questions without an answer; 0 where none was asked."""
        return 1 - len(self.seconds) / self.sent if self.sent else 0.0

    @property
    def times(self) -> tuple[float, float, float] | None:
        """Least, median and most, in milliseconds; None: no answer came."""
        if not self.seconds:
            return None
        of_all = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        least, median, most = (round(each * 1000, 3) for each in of_all)
        return least, median, most


@with_flags
def ping(
    actor: ActorArgument,
    *,
    count: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="Questions by each wire.")] = 5,
    interval: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds between two of them.")
    ] = 0.2,
    timeout: Timeout = None,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Ask an actor again and again, by WebRTC alone and by WebSocket alone, and show the times.

    What is asked is what every actor answers at once; its handlers have no
    part in it.
    """
    log_warnings(flags.settings().log)
    whom = read_destination(actor)
    own = flags.caller("ping", whom)
    target, pinged = run_loop(_ping(own, whom, Asking(count, interval), Visit(timeout)))
    if is_json:
        rows = [document_of(each) for each in pinged]
        print(json.dumps({"actor": str(target), "wires": rows}, indent=2))
    else:
        rows_shown = [cells_of(each) for each in pinged]
        names = ("wire", "sent", "answered", "lost", "min", "median", "max", "resent", "trouble")
        console().print(table(str(target), names, rows_shown))
    if not any(each.seconds for each in pinged):
        raise next((each.error for each in pinged if each.error is not None), None) or (
            DeadlineError(f"{target} answered no question within {ANSWER_SECONDS:g} s")
        )


async def _ping(
    config: NodeConfig, whom: ActrId | ActrType, asking: Asking, visit: Visit
) -> tuple[ActrId, list[Pinged]]:
    target: ActrId | None = None
    pinged = []
    for kind in config.prefer:
        alone = Visit(visit.left())
        async with alone.running(replace(config, prefer=(kind,), relayed=False)) as node:
            target = target or await alone.find(node, whom)
            if await node.assembly.signaling.lookup(target) is None:
                raise UnreachableError(str(target), "no such actor is online")
            pinged.append(await _by(kind, node, target, asking, alone))
    assert target is not None
    return target, pinged


async def _by(kind: WireKind, node: Node, target: ActrId, asking: Asking, visit: Visit) -> Pinged:
    """Ask by the one kind of wire that ``node`` has."""
    found, caller = Pinged(kind), node.ref.to(target)
    try:  # what makes the wire is none of the questions
        await round_trip(caller, visit.left(CONNECT_SECONDS) or CONNECT_SECONDS)
    except PeerError as exc:
        found.error = exc
        return found
    for number in range(asking.count):
        if number:
            await asyncio.sleep(asking.interval)
        found.sent += 1
        try:
            patience = visit.left(ANSWER_SECONDS) or ANSWER_SECONDS
            found.seconds.append(await round_trip(caller, patience))
        except (BrokenError, DeadlineError, UnreachableError):
            continue  # lost
    link = node.view().link(target)
    if link is not None:
        found.resent = sum(lane.resent for _, lane in every_lane(link.lanes))
    return found


def document_of(pinged: Pinged) -> dict[str, object]:
    """One kind of wire as JSON has it."""
    least, median, most = pinged.times or (None, None, None)
    return {
        "wire": pinged.kind.value,
        "sent": pinged.sent,
        "answered": len(pinged.seconds),
        "loss": round(pinged.loss, 4),
        "min_ms": least,
        "median_ms": median,
        "max_ms": most,
        "resent": pinged.resent,
        "error": None if pinged.error is None else str(pinged.error),
    }


def cells_of(pinged: Pinged) -> tuple[object, ...]:
    """The same as a row."""
    times = ("", "", "") if pinged.times is None else (f"{each:.2f} ms" for each in pinged.times)
    lost = f"{pinged.loss:.0%}" if pinged.sent else ""
    trouble = "" if pinged.error is None else pinged.error
    answered = len(pinged.seconds)
    return (pinged.kind.value, pinged.sent, answered, lost, *times, pinged.resent, trouble)
