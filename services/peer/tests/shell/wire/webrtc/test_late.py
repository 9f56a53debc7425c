"""The library of WebRTC is loaded once, beside the loop, when a connection is first wanted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.negotiation import (
    Bye,
    Candidate,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
)
from actr_peer.wire.webrtc.aiortc.engine import AiortcEngine
from actr_peer.wire.webrtc.engine import EngineFactory
from actr_peer.wire.webrtc.late import load_aiortc
from actr_peer.wire.webrtc.wires import MAX_CONNECTIONS_PER_REMOTE, WebRtcWires
from peer_kit.fakes import ALICE, BOB, turns
from peer_kit.webrtc.sides import Side

REQUEST = NegotiateMessage("", 0, RequestOffer(RequestCause.CONNECT))


class Library:
    """What is loaded, in a thread that waits until it may go on."""

    def __init__(self, side: Side) -> None:
        self.go = threading.Event()
        self.count = 0
        self.failure: Exception | None = None
        self._side = side

    def __call__(self) -> EngineFactory:
        assert threading.current_thread() is not threading.main_thread()
        self.count += 1
        self.go.wait(60)
        if self.failure is not None:
            raise self.failure
        return self._side.make  # type: ignore[return-value]


@asynccontextmanager
async def late(self_id: ActrId = ALICE) -> AsyncIterator[tuple[Side, Library]]:
    here = Side()
    library = Library(here)
    async with (
        asyncio.timeout(60),
        WebRtcWires(
            self_id=self_id,
            relay=here.relay,
            ice_servers=tuple,
            on_wire=here.arrived.append,
            load_engine=library,
        ) as here.wires,
    ):
        try:
            yield here, library
        finally:
            library.go.set()


async def loaded(here: Side, library: Library) -> None:
    library.go.set()
    await here.wires._engine.ready()
    await turns()


async def test_nothing_is_loaded_until_a_connection_is_wanted() -> None:
    async with late() as (here, library):
        here.wires.receive(BOB, NegotiateMessage("c", 0, Candidate("candidate:1", "0", 0)))
        await turns()
        assert library.count == 0


async def test_dials_wait_for_one_loading_and_the_loop_goes_on() -> None:
    async with late() as (here, library):
        dial = asyncio.gather(here.wires.dial(BOB))
        await turns()
        assert (library.count, here.engines) == (1, [])
        await loaded(here, library)
        here.engines[0].sink.opened()
        (wire,) = await dial
        assert wire.remote == BOB
        assert library.count == 1


async def test_who_answers_asks_for_an_offer_while_it_loads() -> None:
    async with late(BOB) as (here, library):
        dial = asyncio.gather(here.wires.dial(ALICE))
        await turns()
        assert isinstance(here.said[0].body, RequestOffer)
        here.wires.receive(ALICE, NegotiateMessage("c", 0, Offer("v=0\r\n")))
        assert here.wires.knows(ALICE, "c")
        await loaded(here, library)
        here.engines[0].sink.opened()
        assert (await dial)[0].connection_id == "c"


async def test_what_comes_meanwhile_is_taken_in_its_order_and_once() -> None:
    async with late(BOB) as (here, library):
        for connection in ("first", "second", "first"):
            here.wires.receive(ALICE, NegotiateMessage(connection, 0, Offer("v=0\r\n")))
        here.wires.receive(ALICE, NegotiateMessage("second", 1, Bye("no")))
        await loaded(here, library)
        assert [wire.connection_id for wire in here.wires.wires()] == ["first"]
        assert here.wires.dropped == 0


async def test_a_request_that_comes_meanwhile_gets_its_offer() -> None:
    async with late() as (here, library):
        here.wires.receive(BOB, REQUEST)
        await loaded(here, library)
        assert [wire.remote for wire in here.wires.wires()] == [BOB]


async def test_one_remote_holds_no_more_than_it_may_have_connections() -> None:
    async with late(BOB) as (here, library):
        for number in range(10):
            here.wires.receive(ALICE, NegotiateMessage(f"{number}", 0, Offer("v=0\r\n")))
        assert here.wires.dropped == 10 - MAX_CONNECTIONS_PER_REMOTE
        await loaded(here, library)
        assert [wire.connection_id for wire in here.wires.wires()] == ["6", "7", "8", "9"]


async def test_all_remotes_hold_no_more_than_may_be_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actr_peer.wire.webrtc.wires.MAX_CONNECTING", 2)
    async with late(ActrId("z", "z", "z")) as (here, _):
        for remote in (ALICE, BOB, ActrId("actr", "other", "1")):
            here.wires.receive(remote, NegotiateMessage("c", 0, Offer("v=0\r\n")))
        assert not here.wires.knows(ALICE, "c")
        assert here.wires.knows(BOB, "c")
        assert here.wires.dropped == 1


async def test_a_library_that_cannot_be_loaded_is_told_to_who_dials_and_ends_nothing() -> None:
    async with late() as (here, library):
        library.failure = ImportError("aiortc 1.2 is installed and 1.16.* is wanted")
        here.wires.receive(BOB, REQUEST)
        library.go.set()
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"no WebRTC: aiortc 1\.2"):
                await here.wires.dial(BOB)
        here.wires.receive(BOB, REQUEST)
        assert here.wires.dropped == 2
        assert library.count == 1


async def test_a_block_that_ends_while_it_loads_waits_for_nobody() -> None:
    async with late() as (here, _):
        dial = asyncio.get_running_loop().create_task(here.wires.dial(BOB))
        here.wires.receive(BOB, REQUEST)
        await turns()
        dial.cancel()
        await asyncio.wait([dial])
        wires = here.wires
    assert dial.cancelled()
    await wires._engine.ready()
    assert (wires.wires(), here.engines) == ([], [])


def test_without_more_it_is_aiortc() -> None:
    assert load_aiortc() is AiortcEngine


HEAVY = "aiortc aioice av numpy OpenSSL pylibsrtp cryptography dns"


@pytest.mark.parametrize(
    "code",
    [
        "import actr_peer",
        "from actr_peer import ActrRef, NodeConfig, Service, System, connect",
        "from actr_peer.cli.main import app; app(['--help'], standalone_mode=False)",
        "from actr_peer.cli.main import app; app(['call', '--help'], standalone_mode=False)",
        "from actr_peer.cli.main import app; app(['run', '--help'], standalone_mode=False)",
    ],
    ids=["the package", "an actor's names", "help", "help of call", "help of run"],
)
def test_what_only_webrtc_needs_is_imported_with_it(code: str) -> None:
    shown = f"{code}\nimport sys; print({set(HEAVY.split())} & sys.modules.keys())"
    ended = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.endswith("set()\n")
