"""What two real actors export: by name as the page of the documentation has it, and with numbers
that are those of what they did."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import (
    FilePiece,
    KickRequest,
    PresenceRequest,
    SayReply,
    SayRequest,
)
from actr_peer import ActrId, Context, LinkEvent, Node, NodeConfig, System, WireKind
from actr_peer.errors import CallError, Code, PeerError
from actr_peer.node.process.metrics.families import FAMILIES
from actr_peer.node.process.metrics.page import MetricsPage
from lab.quiet import Quiet
from peer_kit.signaling import SignalingService
from tests.skips import lacking

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

ROOM = ActrId("acme", "room", "1")
GUEST = ActrId("acme", "guest", "1")
DOCUMENT = Path(__file__).resolve().parents[7] / "docs/metrics.md"
ROW = re.compile(r"^\| `(actr_\w+)` \| (\w+) \| (.*?) \| (\w*) ?\| (.+) \|$")
UNITS = ("seconds", "bytes")
PIECES = 200
"""Of an upload: more than a reader lets come at once."""


class Room(Quiet):
    """Refuses some of what is said, fails at some, and says some later."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        """A handler was cancelled."""

    async def say(self, request: SayRequest, ctx: Context) -> SayReply:
        match request.text:
            case "refuse":
                raise CallError(Code.PERMISSION_DENIED, "no")
            case "fail":
                raise ValueError("a bug")
            case "later":
                reply = ctx.defer()
                asyncio.get_running_loop().call_soon(reply.send, SayReply(number=2))
                return reply.later
            case "later, no":
                reply = ctx.defer()
                error = CallError(Code.ABORTED, "no")
                asyncio.get_running_loop().call_soon(reply.fail, error)
                return reply.later
            case "slow":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.stopped.set()
        return SayReply(number=1)


class Guest(Quiet):
    """Hears of the end of its link."""

    def __init__(self) -> None:
        self.alone = asyncio.Event()

    async def on_link(self, event: LinkEvent) -> None:
        self.alone.set()


def actor(who: ActrId, signaling: SignalingService) -> NodeConfig:
    return NodeConfig(id=who, signaling_url=signaling.url, prefer=(WireKind.WEBSOCKET,))


@dataclass(frozen=True)
class Both:
    room: Node
    guest: Node
    workload: Room
    caller: Guest


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    """The room, and a guest that can call it."""
    async with (
        SignalingService() as signaling,
        System(actor(ROOM, signaling)).attach(workload := Room()) as room,
        System(actor(GUEST, signaling)).attach(caller := Guest()) as guest,
    ):
        yield Both(room, guest, workload, caller)


async def scraped(node: Node) -> str:
    """What Prometheus reads."""

    def read(url: str) -> str:
        with urlopen(url, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    async with MetricsPage("127.0.0.1:0", node.view) as page:
        return await asyncio.to_thread(read, page.url)


def samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(text: str, name: str, **labels: str) -> float:
    """The value of the one series that has these labels."""
    (found,) = [
        sample.value
        for sample in samples(text)
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


async def exercise(guest: Node) -> None:
    """Calls of every kind, and every way in which they end."""
    room = ChatClient(guest.ref.to(ROOM))
    for _ in range(3):
        await room.say(SayRequest(text="hello"))
    await room.say(SayRequest(text="later"))
    for text in ("refuse", "fail", "later, no"):
        with pytest.raises(CallError):
            await room.say(SayRequest(text=text))
    await room.kick(KickRequest())
    assert [change async for change in room.presence(PresenceRequest())]

    async def pieces() -> AsyncIterator[FilePiece]:
        for _ in range(PIECES):
            yield FilePiece(data=b"x")

    assert (await room.upload(pieces())).size_bytes == PIECES


def rows() -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    found = {}
    section = DOCUMENT.read_text("utf-8").partition("## A peer\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if match := ROW.match(line):
            name, kind, labels, unit, meaning = match.groups()
            found[name] = (kind, tuple(re.findall(r"`(\w+)`", labels)), unit, meaning)
    return found


async def test_the_page_of_metrics_has_what_is_exported_and_nothing_else(
    both: Both,
) -> None:
    guest = both.guest
    await exercise(guest)
    text = await scraped(guest)
    documented = rows()
    kinds = dict(re.findall(r"^# TYPE (actr_\w+) (\w+)$", text, re.MULTILINE))
    meanings = dict(re.findall(r"^# HELP (actr_\w+) (.+)$", text, re.MULTILINE))
    assert kinds == {name: kind for name, (kind, *_) in documented.items()}
    assert meanings == {name: meaning for name, (*_, meaning) in documented.items()}
    assert {f.name: f.labels for f in FAMILIES} == {n: row[1] for n, row in documented.items()}
    for sample in samples(text):
        name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
        if name in documented:
            assert set(sample.labels) - {"le"} == set(documented[name][1]), sample
    for name, (_, _, unit, _) in documented.items():
        base = name.removesuffix("_total")
        assert unit == next((each for each in UNITS if base.endswith(each)), ""), name
    process = set(re.findall(r"^# TYPE (process_\w+)", text, re.MULTILINE))
    assert process == set(re.findall(r"`(process_\w+)`", DOCUMENT.read_text("utf-8")))


async def test_what_was_done_is_what_is_told(both: Both) -> None:
    room, guest = both.room, both.guest
    await exercise(guest)
    here, there = await scraped(guest), await scraped(room)
    count = "actr_call_duration_seconds_count"
    for text, side in ((here, "client"), (there, "server")):
        of = {"side": side, "method": "demo.Chat.Say"}
        assert value(text, count, **of, code="OK") == 4
        for code in ("PERMISSION_DENIED", "INTERNAL", "ABORTED"):
            assert value(text, count, **of, code=code) == 1
        for method in ("Kick", "Presence", "Upload"):
            method = f"demo.Chat.{method}"
            assert value(text, count, side=side, method=method, code="OK") == 1
    # What opens a stream is one of them, and a kick has a lane of its own.
    assert value(here, "actr_lane_messages_total", lane="RPC_SIGNAL", direction="sent") == 1
    assert value(here, "actr_lane_messages_total", lane="RPC_RELIABLE", direction="sent") == 9
    replies = {"lane": "RPC_RELIABLE_REPLY"}
    assert value(here, "actr_lane_messages_total", **replies, direction="received") == 8
    assert value(there, "actr_lane_messages_total", **replies, direction="sent") == 8
    stream = {"lane": "STREAM_RELIABLE", "direction": "sent"}
    assert value(here, "actr_lane_messages_total", **stream) > PIECES
    assert value(here, "actr_stream_credit_stalls_total") >= 1
    assert value(here, "actr_wires", kind="websocket", state="ready") == 1
    assert value(here, "actr_wires_active", kind="websocket") == 1
    assert 0 < value(here, "actr_wire_round_trip_seconds", kind="websocket") < 60
    assert value(there, "actr_mailbox_events_total", event="stored") == 8
    assert value(there, "actr_mailbox_wait_seconds_count") == 8
    assert value(there, "actr_mailbox_requests") == 0
    assert value(there, "actr_actor_signaling", state="registered") == 1
    assert abs(value(there, "actr_clock_timestamp_seconds") - time.time()) < 60
    refused = {"part": "webrtc", "event": "turn_failed"}
    assert value(there, "actr_part_events_total", **refused) == 0


async def test_a_call_that_is_given_up_is_told_at_both_sides(both: Both) -> None:
    room, guest = both.room, both.guest
    client = ChatClient(guest.ref.to(ROOM))
    await client.say(SayRequest(text="hello"))
    # The own clock, or the far side's word for it if that is the first.
    with pytest.raises(PeerError, match=r"no reply|ran out of time"):
        await client.say(SayRequest(text="slow"), timeout=0.3)
    await both.workload.stopped.wait()
    count, say = "actr_call_duration_seconds_count", {"method": "demo.Chat.Say"}
    late = value(await scraped(guest), count, side="client", code="DEADLINE_EXCEEDED", **say)
    # There it is the own clock or the caller's word, whichever is first.
    there = [s for s in samples(await scraped(room)) if s.name == count]
    codes = {s.labels["code"]: s.value for s in there if s.labels["method"] == say["method"]}
    assert late == 1
    assert codes in ({"OK": 1, code: 1} for code in ("DEADLINE_EXCEEDED", "CANCELLED"))
    assert value(await scraped(guest), "actr_calls_waiting") == 0


async def test_what_went_by_a_link_that_is_gone_stays_in_the_sums(both: Both) -> None:
    room, guest = both.room, both.guest
    await exercise(guest)
    before = value(
        await scraped(guest), "actr_lane_messages_total", lane="RPC_RELIABLE", direction="sent"
    )
    await room.close()
    await both.caller.alone.wait()
    text = await scraped(guest)
    assert value(text, "actr_lane_messages_total", lane="RPC_RELIABLE", direction="sent") == before
    assert value(text, "actr_links") == 0
    assert value(text, "actr_links_ended_total", cause="LeftError") == 1
    assert value(text, "actr_lane_held_bytes", lane="RPC_RELIABLE", direction="sent") == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason=lacking("promtool"))
async def test_promtool_finds_nothing_to_blame(both: Both) -> None:
    guest = both.guest
    await exercise(guest)
    text = await scraped(guest)
    found = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
