"""Another actor looks in over the network: wires that die and return, and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayReply, SayRequest
from actr.services.inspection_actr import InspectionClient
from actr.services.inspection_pb2 import (
    ActorView,
    FindLettersRequest,
    LetterNumbers,
    TrackView,
    WatchRequest,
)
from actr_peer import (
    AccessRule,
    ActrId,
    Context,
    Node,
    NodeConfig,
    System,
    TestPattern,
    WireKind,
)
from actr_peer.errors import CallError, Code
from actr_peer.node.observe.inspection import MAX_ENVELOPES, MAX_OF_ONE
from actr_peer.protocol.mailbox.requests import STORED, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import encode_request
from lab.quiet import Quiet
from peer_kit.signaling import SignalingService
from peer_kit.state.requests import put

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

ROOM = ActrId("acme", "room", "1")
GUEST = ActrId("acme", "guest", "1")
SOON = WatchRequest(interval_ms=500)


class Room(Quiet):
    """Fails what it is told to fail, and holds its turn while it is told to wait."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.holds = asyncio.Event()

    async def say(self, request: SayRequest, ctx: Context) -> SayReply:
        if request.text == "wait":
            self.holds.set()
            await self.goes_on.wait()
        return SayReply()


@pytest.fixture
async def signaling() -> AsyncIterator[SignalingService]:
    async with SignalingService() as running:
        yield running


def config(
    signaling: SignalingService,
    who: ActrId,
    allowed: Literal["off", "look", "operate"] = "off",
    *rules: AccessRule,
    mailbox: Path | None = None,
) -> NodeConfig:
    return NodeConfig(
        id=who,
        signaling_url=signaling.url,
        prefer=(WireKind.WEBSOCKET,),
        inspection=allowed,
        access=rules,
        mailbox_path=mailbox,
    )


def asking(node: Node) -> InspectionClient:
    return InspectionClient(node.ref.to(ROOM))


def wire_of(view: ActorView) -> str:
    return next((link.wires[0].state for link in view.links), "")


async def test_a_planted_cut_and_its_repair_are_told_as_they_happen(
    signaling: SignalingService,
) -> None:
    room, guest = config(signaling, ROOM, "look"), config(signaling, GUEST)
    async with (
        System(room).attach(Room()) as here,
        System(guest).attach(Quiet()) as there,
        asyncio.timeout(60),
        aclosing(asking(there).watch(SOON)) as views,
    ):
        first = await anext(views)
        assert (first.id, wire_of(first)) == (str(ROOM), "ready")
        assert [change.state for change in first.changes][-1] == "ready"
        assert first.started_at_ms <= first.now_ms
        assert first.version
        link = here.assembly.transport.find(GUEST)
        assert link is not None
        wire = link.wire(WireKind.WEBSOCKET)
        assert wire is not None
        wire.abort()
        states: list[str] = []
        async for view in views:
            states += [change.state for change in view.changes]
            if "failed" in states and states[-1] == "ready":
                break
        assert wire_of(view) == "ready"


async def test_an_actor_that_a_handler_holds_is_looked_at_too(signaling: SignalingService) -> None:
    room, workload = config(signaling, ROOM, "look"), Room()
    async with (
        System(room).attach(workload),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
        asyncio.timeout(60),
        asyncio.TaskGroup() as tasks,
    ):
        waits = SayRequest(text="wait")
        held = tasks.create_task(ChatClient(there.ref.to(ROOM)).say(waits))
        await workload.holds.wait()
        async with aclosing(asking(there).watch(SOON)) as views:
            view = await anext(views)
        assert view.mailbox.depth == 1
        workload.goes_on.set()
        await held


async def test_open_streams_are_told_with_the_method_and_what_has_gone(
    signaling: SignalingService,
) -> None:
    async with (
        System(config(signaling, ROOM, "look")).attach(Room()),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
        asyncio.timeout(60),
        aclosing(asking(there).watch(SOON)) as views,
    ):
        first = await anext(views)
        (half,) = first.streams.halves  # by which it is told
        assert (half.remote, half.route_key) == (str(GUEST), "actr.Inspection.Watch")
        assert (half.lane, half.is_outbound, half.items) == ("STREAM_RELIABLE", True, 0)
        assert (first.streams.open, first.allowed) == (1, "look")
        async for view in views:
            if view.streams.halves[0].items:
                break


async def test_a_track_is_told_with_its_codec_at_both_ends(signaling: SignalingService) -> None:
    webrtc = (WireKind.WEBRTC,)
    room = replace(config(signaling, ROOM, "look"), prefer=webrtc)
    guest = replace(config(signaling, GUEST, "look"), prefer=webrtc)
    async with (
        System(room).attach(Room()) as here,
        System(guest).attach(Quiet()) as there,
        asyncio.timeout(100),
    ):
        there.ref.register_media(None, lambda frame, sender: None)
        publication = await here.ref.publish(GUEST, TestPattern(track_id="pattern"))
        sent = await _track(InspectionClient(there.ref.to(ROOM)))
        assert (sent.remote, sent.track_id, sent.is_outbound) == (str(GUEST), "pattern", True)
        come = await _track(InspectionClient(here.ref.to(GUEST)))
        assert (come.remote, come.track_id, come.is_outbound) == (str(ROOM), "pattern", False)
        for track in (sent, come):
            assert (track.kind, track.codec) == ("video", "VP8")
            assert track.bytes > track.frames
        await publication.stop()


async def _track(client: InspectionClient) -> TrackView:
    """The one track of an actor, once something of it has gone."""
    async with aclosing(client.watch(SOON)) as views:
        async for view in views:
            if view.tracks and view.tracks[0].frames:
                return view.tracks[0]
    raise AssertionError


async def test_nobody_looks_into_an_actor_that_does_not_say_so(
    signaling: SignalingService,
) -> None:
    async with (
        System(config(signaling, ROOM)).attach(Room()),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
    ):
        for stream in (
            asking(there).watch(SOON),
            asking(there).find_letters(FindLettersRequest()),
            asking(there).drop_letters(LetterNumbers(numbers=[1])),
        ):
            with pytest.raises(CallError, match=r"actor\.inspection") as refused:
                async with asyncio.timeout(60):
                    await anext(stream)
            assert refused.value.code is Code.UNIMPLEMENTED


async def test_who_may_look_may_change_nothing(signaling: SignalingService) -> None:
    async with (
        System(config(signaling, ROOM, "look")).attach(Room()),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
    ):
        numbers = LetterNumbers(numbers=[1])
        for stream in (asking(there).replay_letters(numbers), asking(there).drop_letters(numbers)):
            with pytest.raises(CallError, match="change nothing") as refused:
                async with asyncio.timeout(60):
                    await anext(stream)
            assert refused.value.code is Code.PERMISSION_DENIED


async def test_access_rules_say_who_looks(signaling: SignalingService) -> None:
    other = AccessRule("allow", ["acme:console@*"], ["actr.Inspection.*"])
    async with (
        System(config(signaling, ROOM, "operate", other)).attach(Room()),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
    ):
        with pytest.raises(CallError) as refused:
            async with asyncio.timeout(60):
                await anext(asking(there).watch(SOON))
        assert refused.value.code is Code.PERMISSION_DENIED


async def test_one_caller_looks_no_more_than_so_often_at_once(signaling: SignalingService) -> None:
    async with (
        System(config(signaling, ROOM, "look")).attach(Room()),
        System(config(signaling, GUEST)).attach(Quiet()) as there,
        asyncio.timeout(60),
    ):
        looking = [asking(there).watch(WatchRequest()) for _ in range(MAX_OF_ONE)]
        for views in looking:
            await anext(views)
        with pytest.raises(CallError) as refused:
            await anext(asking(there).watch(WatchRequest()))
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
        await looking.pop().aclose()
        while True:  # the room hears of that when it has come there
            try:
                await anext(asking(there).watch(WatchRequest()))
            except CallError:
                continue
            break
        for views in looking:
            await views.aclose()


async def buried(node: Node, count: int) -> None:
    """So many requests of the guest that were given up."""
    mailbox = node.assembly.mailbox
    said = SayRequest(text="now").SerializeToString()
    for number in range(count):
        name = f"r{number}"
        given_up = Request(
            sender=str(GUEST),
            request_id=name,
            payload_type=PayloadType.RPC_RELIABLE,
            is_tell=True,
            route_key="demo.Chat.Say",
            envelope=encode_request(name, "demo.Chat.Say", said, is_tell=True),
        )
        given_up.dead = "hopeless"
        assert await put(mailbox, given_up) == STORED


async def test_dead_letters_are_found_shown_replayed_and_dropped(
    signaling: SignalingService, tmp_path: Path
) -> None:
    room = config(signaling, ROOM, "operate", mailbox=tmp_path / "box.db")
    async with (
        System(room).attach(Room()) as here,
        System(config(signaling, GUEST)).attach(Quiet()) as there,
        asyncio.timeout(60),
    ):
        await buried(here, 3)
        client = asking(there)
        found = [letter async for letter in client.find_letters(FindLettersRequest(reason="hope"))]
        assert [letter.reason for letter in found] == ["hopeless"] * 3
        assert [letter.envelope for letter in found] == [b""] * 3
        one = FindLettersRequest(numbers=[found[0].number], with_envelopes=True)
        (shown,) = [letter async for letter in client.find_letters(one)]
        assert len(shown.envelope) == shown.bytes > 0
        after = FindLettersRequest(after=found[1].number)
        assert [letter.number async for letter in client.find_letters(after)] == [found[2].number]
        done = await anext(client.replay_letters(LetterNumbers(numbers=[found[0].number])))
        assert list(done.numbers) == [found[0].number]
        gone = await anext(client.drop_letters(LetterNumbers(numbers=[found[1].number, 1 << 40])))
        assert list(gone.numbers) == [found[1].number]
        left = [letter.number async for letter in client.find_letters(FindLettersRequest())]
        assert left == [found[2].number]


async def test_of_letters_with_their_envelopes_only_so_many_are_told_at_once(
    signaling: SignalingService, tmp_path: Path
) -> None:
    room = config(signaling, ROOM, "look", mailbox=tmp_path / "box.db")
    async with (
        System(room).attach(Room()) as here,
        System(config(signaling, GUEST)).attach(Quiet()) as there,
        asyncio.timeout(60),
    ):
        await buried(here, MAX_ENVELOPES + 2)
        all_of = FindLettersRequest(limit=1000, with_envelopes=True)
        assert len([one async for one in asking(there).find_letters(all_of)]) == MAX_ENVELOPES
        too_many = FindLettersRequest(numbers=range(1001))
        with pytest.raises(CallError) as refused:
            await anext(asking(there).find_letters(too_many))
        assert refused.value.code is Code.INVALID_ARGUMENT
