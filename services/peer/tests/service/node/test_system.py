"""Programs that only call: ``connect()``, with nothing configured but where signaling is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayRequest
from actr_peer import ConfigError, UnreachableError, connect
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    monkeypatch.chdir(tmp_path)
    with made.signaling() as url, made.room():
        monkeypatch.setenv("ACTR_SIGNALING__URL", url)
        yield made


async def test_a_program_that_only_calls_needs_no_service_no_id_and_leaves_nothing(
    place: Place,
) -> None:
    async with connect() as ref:
        reply = await ChatClient(ref.to(ROOM)).say(SayRequest(author="a"), timeout=20)
        (seen,) = await ref.discover("actr:caller")
    assert (reply.number, seen.id, seen.ws_address) == (1, ref.id, "")
    assert [path.name for path in place.folder.iterdir() if path.name.startswith(".actr")] == []


async def test_a_program_may_say_who_it_is_and_where_signaling_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = place.environment["ACTR_SIGNALING__URL"]
    monkeypatch.setenv("ACTR_SIGNALING__URL", "ws://127.0.0.1:1/v1/ws")
    async with connect(url, id="demo:guest@1:default") as ref:
        assert str(ref.id) == "demo:guest@1:default"


async def test_two_that_only_call_do_not_meet(place: Place) -> None:
    async with connect() as first, connect() as second:
        assert first.id != second.id


async def test_what_cannot_be_connected_is_a_typed_error(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"actor\.id = 'guest' in --id"):
        await connect(id="guest").__aenter__()
    with pytest.raises(ConfigError, match=r"signaling\.url = 'http://there'"):
        await connect("http://there").__aenter__()


async def test_metadata_and_visibility_reach_others(place: Place) -> None:
    shown = {"ACTR_ACTOR__METADATA": "zone=a", "ACTR_ACTOR__ID": "demo:room@2:default"}
    hidden = {"ACTR_ACTOR__VISIBILITY": "hidden", "ACTR_ACTOR__ID": "demo:room@3:default"}
    with place.process("actr_peer", "run", "workload:Room", **shown) as one:
        place.wait_until_ready(one)
        with place.process("actr_peer", "run", "workload:Room", **hidden) as other:
            place.wait_until_ready(other)
            async with connect() as ref:
                found = {
                    str(each.id): dict(each.metadata) for each in await ref.discover("demo:room")
                }
                hidden_room = ChatClient(ref.to("demo:room@3:default"))
                assert (await hidden_room.say(SayRequest(author="a"), timeout=20)).number == 1
    assert found == {ROOM: {}, "demo:room@2:default": {"zone": "a"}}


async def test_an_absent_signaling_service_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreachableError, match=r"ws://127\.0\.0\.1:1/v1/ws"):
        await connect("ws://127.0.0.1:1/v1/ws").__aenter__()
