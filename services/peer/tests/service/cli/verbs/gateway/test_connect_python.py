"""connect-python's own client calls an actor through the gateway, by both codecs and both HTTPs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from connectrpc.client import ConnectClient
from connectrpc.code import Code as ConnectCode
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from pyqwest import Client, HTTPTransport, HTTPVersion

from actr_peer.errors import Code
from actr_peer.protocol.rpc.connect.codes import code_of
from peer_kit.contracts import compiled
from peer_kit.gateway import CONTRACT, PROBE, Served, gateway, heard, probe, probe_place
from peer_kit.place import Place

pytestmark = [pytest.mark.service, pytest.mark.slow]

POOL = DescriptorPool()
for file in compiled({"probe.proto": CONTRACT}).proto_file:
    POOL.AddSerializedFile(file.SerializeToString())
ASK: Any = GetMessageClass(POOL.FindMessageTypeByName("probe.Ask"))
ANSWER: Any = GetMessageClass(POOL.FindMessageTypeByName("probe.Answer"))


def method(name: str, kind: StreamType = StreamType.UNARY) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=name,
        service_name="probe.Probe",
        input=ASK,
        output=ANSWER,
        idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS
        if name == "Look"
        else IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Any]]:
    place = Place(tmp_path_factory.mktemp("python"))
    probe_place(place)
    with place.signaling(), probe(place) as actor, gateway(place) as served:
        yield served, actor


@pytest.fixture(
    params=[
        (google_protobuf_binary_codec, HTTPVersion.HTTP1),
        (google_protobuf_json_codec, HTTPVersion.HTTP1),
        (google_protobuf_binary_codec, HTTPVersion.HTTP2),
        (google_protobuf_json_codec, HTTPVersion.HTTP2),
    ],
    ids=["proto-1.1", "json-1.1", "proto-2", "json-2"],
)
async def client(
    request: pytest.FixtureRequest, stage: tuple[Served, Any]
) -> AsyncIterator[ConnectClient]:
    codec, version = request.param
    served, _ = stage
    async with HTTPTransport(http_version=version) as transport:
        address = f"{served.url}/{PROBE}"
        yield ConnectClient(address, codec=codec(), http_client=Client(transport))


async def test_a_unary_call_by_post_and_by_get(client: ConnectClient) -> None:
    for use_get in (False, True):
        reply = await client.execute_unary(
            request=ASK(number=7),
            method=method("Look"),
            use_get=use_get,
            headers={"actr-metadata-color": "red"},
            timeout_ms=20_000,
        )
        seen = json.loads(reply.text)
        assert (reply.number, seen["metadata"]) == (7, {"color": "red"})
        assert 0 < seen["left"] <= 20


async def test_a_server_stream(client: ConnectClient) -> None:
    replies = client.execute_server_stream(
        request=ASK(number=300), method=method("Count", StreamType.SERVER_STREAM)
    )
    assert [reply.number async for reply in replies] == list(range(300))


async def test_a_client_stream(client: ConnectClient) -> None:
    async def asks() -> AsyncIterator[Any]:
        for number in (1, 2, 3):
            yield ASK(number=number)

    reply = await client.execute_client_stream(
        request=asks(), method=method("Sum", StreamType.CLIENT_STREAM)
    )
    assert reply.number == 6


@pytest.mark.parametrize("code", Code)
async def test_each_code_that_an_actor_raises_is_the_clients(
    client: ConnectClient, code: Code
) -> None:
    with pytest.raises(ConnectError) as caught:
        await client.execute_unary(request=ASK(number=int(code), text="why"), method=method("Fail"))
    assert code_of(caught.value.code.value) is code
    assert caught.value.message == "why"
    (detail,) = caught.value.details
    assert (detail.type_name, detail.message_bytes) == ("probe.Ask", b"\x12\x06detail")


def test_both_sides_know_the_same_codes() -> None:
    assert {code_of(each.value) for each in ConnectCode} == set(Code)


async def test_a_deadline_ends_the_call_on_both_sides(
    client: ConnectClient, stage: tuple[Served, Any]
) -> None:
    _, actor = stage
    with pytest.raises(ConnectError) as caught:
        await client.execute_unary(request=ASK(number=600), method=method("Wait"), timeout_ms=1000)
    assert caught.value.code is ConnectCode.DEADLINE_EXCEEDED
    heard(actor, "cancelled")


async def test_a_reader_that_stops_ends_the_stream(
    client: ConnectClient, stage: tuple[Served, Any]
) -> None:
    _, actor = stage
    replies: Any = client.execute_server_stream(
        request=ASK(number=1_000_000), method=method("Count", StreamType.SERVER_STREAM)
    )
    async for _ in replies:
        break
    await replies.aclose()
    heard(actor, "stopped")
