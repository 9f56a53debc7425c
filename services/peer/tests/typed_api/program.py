"""Never run: a program that has every public name, for type checkers alone."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, assert_type

import actr_peer as actr
from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import SayReply, SayRequest

OWN = actr.ActrId.parse("demo:program@1:default")
ROOM = "demo:room@1:default"


def seen(*_: object) -> None: ...


def configured() -> actr.NodeConfig:
    loaded = actr.NodeConfig.load("actr.toml", id=OWN)
    assert_type(loaded, actr.NodeConfig)
    return dataclasses.replace(
        loaded,
        identity=actr.IdentityConfig(issuer_url="https://issuer.example"),
        metadata={"zone": "a"},
        visibility=actr.Visibility.HIDDEN,
        prefer=(actr.WireKind.WEBSOCKET,),
        reach=actr.AddressRule(allow_loopback=True),
        access=[actr.AccessRule("allow", ["acme:*@*"], ["demo.Chat.*"])],
        ice_servers=(actr.IceServer(urls=("stun:localhost:3478",)),),
        mailbox_path=Path("mailbox.db"),
    )


class Watched(actr.Service, actr.Hooks):
    """Every hook that has something to read."""

    async def on_ready(self, ref: actr.ActrRef) -> None:
        assert_type(ref.node.view(), actr.NodeView)

    async def on_signaling(self, state: actr.SignalingState) -> None:
        seen(state is actr.SignalingState.REGISTERED)

    async def on_wire(self, event: actr.WireEvent) -> None:
        seen(event.remote, event.kind is actr.WireKind.WEBRTC, event.state is actr.WireState.READY)

    async def on_link(self, event: actr.LinkEvent) -> None:
        seen(event.remote, event.kind is actr.LinkEvent.Kind.GONE)

    async def on_refusal(self, event: actr.RefusalEvent) -> None:
        seen(event.remote, event.what, event.why)

    async def on_presence(self, event: actr.PresenceEvent) -> None:
        assert_type(event.presence, actr.Presence)
        seen(event.kind is actr.PresenceEvent.Kind.LEAVE, event.presence.metadata)

    async def on_pressure(self, pressure: actr.Pressure) -> None:
        seen(pressure)


async def calls(ref: actr.ActrRef) -> str:
    """Each error that a call may have."""
    client: actr.Client = ChatClient(ref.to(ROOM))
    nearest = ChatClient(ref.any("demo:room", key="kitchen"))
    assert_type(await nearest.say(SayRequest()), SayReply)
    await ref.call(ref.any("demo:room"), SayRequest(), method=ChatService.SAY)
    caller: actr.Caller = ref.to(ROOM)
    options = actr.CallOptions(timeout=5, metadata={"k": "v"})
    try:
        await client.tell(ChatService.SAY, SayRequest())
        await caller.unary(ChatService.SAY, SayRequest(), options)
    except actr.CallError as error:
        return actr.Code(error.code).name
    except (actr.UnreachableError, actr.DeadlineError, actr.LimitError) as error:
        return str(error)
    except actr.MayHaveRunError as error:
        return f"{error.route_key} {error.remote} {error.why}"
    except (actr.BrokenError, actr.ClosedError, actr.BusyError, actr.ConfigError) as error:
        return str(error)
    except actr.CertificateError as error:
        assert_type(error.fault, actr.CertificateFault)
    except (actr.LocalProtocolError, actr.RemoteProtocolError) as error:
        assert_type(error, actr.LocalProtocolError | actr.RemoteProtocolError)
        return str(error)
    except actr.ProtocolError as error:
        return str(error)
    except actr.PeerError as error:
        return str(error)
    return actr.PayloadType.RPC_RELIABLE.name


class Both(actr.ClientInterceptor, actr.HandlerInterceptor):
    """Sees calls and requests."""

    async def prepare(self, details: actr.CallDetails) -> actr.CallDetails:
        assert_type(details.payload_type, actr.PayloadType)
        seen(details.target, details.method.route_key, details.timeout, details.metadata)
        return details.but(metadata={"token": "t"}, timeout=5)

    async def admit(self, ctx: actr.Context) -> None:
        if not ctx.metadata:
            raise actr.CallError(actr.Code.UNAUTHENTICATED, ctx.method.route_key)


def intercepted(config: actr.NodeConfig) -> actr.Node:
    return actr.System(config).attach(Watched(), interceptors=[Both()])


async def streams(ref: actr.ActrRef) -> None:
    def ended(end: actr.StreamEnd, sender: actr.ActrId) -> None:
        seen(end, sender)

    def heard(chunk: actr.Chunk, sender: actr.ActrId) -> None:
        seen(chunk.data, sender)

    unregister = ref.register_stream("positions", heard, on_end=ended)
    writer = ref.open_stream(ROOM, "positions")
    assert_type(writer, actr.StreamWriter)
    await writer.send(b"item")
    ref.close_stream(writer)
    unregister()
    async with ref.incoming("feed") as incoming:
        assert_type(incoming, actr.IncomingStreams)
        async for stream in incoming:
            assert_type(stream, actr.IncomingStream)
            try:
                async for chunk in stream:
                    assert_type(chunk, actr.Chunk)
            except actr.StreamFailedError as error:
                seen(error.last_sequence, error.reason)


async def files(ref: actr.ActrRef) -> None:
    def allowed(sender: actr.ActrId, offer: actr.FileOffer) -> bool:
        return sender == OWN and bool(offer.name)

    def progress(told: actr.FileProgress) -> None:
        seen(told.done_bytes)

    def received(told: actr.ReceivedFile) -> None:
        seen(told.path)

    rules = actr.FileRules(
        allow=allowed,
        quota=actr.FileQuota(size_bytes=1 << 30),
        existing=actr.ExistingFile.NUMBER,
        on_received=received,
    )
    async with ref.receive_files("inbox", rules) as receiving:
        assert_type(receiving, actr.Receiving)
    assert_type(await ref.send_file("film.mp4", ROOM, progress=progress), actr.SentFile)


class Camera:
    """A source of one's own."""

    track_id, codec = "camera", "VP8"
    kind: Literal["video"] = "video"

    async def read(self) -> actr.Sample | None:
        return None

    def request_keyframe(self) -> None: ...


async def media(ref: actr.ActrRef) -> None:
    sources: list[actr.MediaSource] = [
        actr.TestPattern(),
        actr.Tone(),
        actr.SampleTrack("camera"),
        actr.VideoTrack("screen"),
        actr.AudioTrack("voice"),
        Camera(),
        *(await actr.open_media("film.mp4")),
    ]
    publication = await ref.publish(ROOM, sources[0])
    assert_type(publication, actr.Publication)
    assert_type(publication.stats(), actr.TrackStats | None)
    track = ref.track(ROOM, "camera")
    assert_type(track, actr.RemoteTrack)
    assert_type(await track.stats(), actr.RemoteTrackStats)
    async for frame in track:
        assert_type(frame, actr.MediaFrame)
    async for event in track.events():
        assert_type(event, actr.TrackEvent)
        seen(event.kind is actr.TrackEvent.Kind.ENDED, track.state is actr.TrackState.LIVE)
    async with actr.Recording("film.webm") as recording:
        recording.add(track)
    assert_type(recording.report, actr.RecordingReport)


def kept(ctx: actr.Context) -> actr.DeferredReply:
    assert_type(ctx.transaction(), actr.Transaction)
    return ctx.defer()


async def items(ctx: actr.Context) -> AsyncIterator[actr.ActrId]:
    assert_type(ctx.caller, actr.Principal)
    seen(ctx.caller.trust is actr.Trust.CERTIFICATE, ctx.caller.is_verified)
    yield ctx.caller


async def alone() -> int:
    async with actr.connect("ws://127.0.0.1:8080/v1/ws", id=OWN) as ref:
        assert_type(ref, actr.ActrRef)
        await calls(ref)
    return 3


async def tested() -> None:
    async with actr.sandbox(Watched()) as actor:
        assert_type(actor, actr.Caller)


async def beside(ref: actr.ActrRef) -> str:
    return await calls(ref)


async def by_hand() -> None:
    node = actr.System(configured()).attach(Watched())
    assert_type(node, actr.Node)
    async with node:
        await node.ref


def main() -> None:
    actr.run(Watched)
    actr.run(Watched(), config=configured())
    actr.run([Watched(), actr.Service()])
    assert_type(actr.run(alone), int)
    assert_type(actr.run(beside), str)
    assert_type(actr.run(beside, Watched(), config=configured()), str)
