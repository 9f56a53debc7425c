"""When the far side of a path is asked whether it still wants our packets."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aioice import Candidate, Connection, ice, stun

from actr_peer.protocol.webrtc import checks
from actr_peer.wire.webrtc.aiortc.consent import ConsentedConnection
from actr_peer.wire.webrtc.aiortc.ice import GuardedStun, IceConnection
from actr_peer.wire.webrtc.engine import EngineOptions

NEVER = 3600.0


class Asking(ConsentedConnection):
    """Asks a far side that answers, or does not."""

    def __init__(self, options: EngineOptions, *, answers: bool) -> None:
        super().__init__(ice_controlling=True)
        self.adopt(options)
        self.remote_password = "secret"
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self._answers = answers
        pair: Any = SimpleNamespace(protocol=self, remote_addr=("192.0.2.1", 9))
        self._nominated[1] = pair

    def _attributes(self, pair: Any) -> bytes:
        return b""

    async def ask(self, *_: Any) -> bool:
        self.asked.put_nowait(None)
        return self._answers

    async def close(self) -> None:
        self.closed.set()


async def test_the_pace_is_that_of_the_rfc_unless_something_is_in_doubt() -> None:
    assert EngineOptions().consent_interval == 5.0
    agent = Asking(EngineOptions(consent_interval=NEVER, doubt_interval=0.0), answers=True)
    asking = asyncio.get_running_loop().create_task(agent.query_consent())
    for _ in range(2):
        await asyncio.sleep(0)
        assert agent.asked.empty()
        agent.doubt()
        await agent.asked.get()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    agent.doubt()  # nobody asks any longer


async def test_a_doubt_soon_after_a_question_asks_nothing() -> None:
    agent = Asking(EngineOptions(consent_interval=NEVER, doubt_interval=NEVER), answers=True)
    asking = asyncio.get_running_loop().create_task(agent.query_consent())
    await asyncio.sleep(0)
    agent.doubt()
    await agent.asked.get()
    await asyncio.sleep(0)
    agent.doubt()
    agent.doubt()
    await asyncio.sleep(0)
    assert agent.asked.empty()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_question_without_an_answer_is_asked_again_soon_until_the_path_is_dead() -> None:
    options = EngineOptions(consent_interval=NEVER, doubt_interval=0.0, consent_failures=4)
    agent = Asking(options, answers=False)
    asking = asyncio.get_running_loop().create_task(agent.query_consent())
    await asyncio.sleep(0)
    agent.doubt()
    await agent.closed.wait()
    await asking
    assert agent.asked.qsize() == 4


class Port:
    """Carries what is sent to the port at the other end, within the call."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.sent: list[bytes] = []
        self.far: GuardedStun | None = None

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sent.append(data)
        if self.far is not None:
            self.far.datagram_received(data, self.address)


class Side(IceConnection):
    """One agent with one path in use, whose requests that the library takes apart are counted."""

    def __init__(self, *, controlling: bool, address: tuple[str, int]) -> None:
        Connection.__init__(self, ice_controlling=controlling)
        self.adopt(EngineOptions(loopback=True))
        self.parsed = 0
        self._early_checks_done = True
        self.path = Port(address)
        self.port = GuardedStun(self)
        self.port.connection_made(self.path)  # type: ignore[arg-type]
        host, number = address
        self.port.local_candidate = Candidate("1", 1, "udp", 1, host, number, "host")

    def meet(self, far: Side) -> None:
        """Have this side's path to ``far``, and its words."""
        host, number = far.path.address
        candidate = Candidate("1", 1, "udp", 1, host, number, "host")
        self._remote_candidates.append(candidate)
        pair = ice.CandidatePair(self.port, candidate)
        pair.state = ice.CandidatePair.State.SUCCEEDED
        self._check_list.append(pair)
        self._nominated[1] = pair
        self.remote_username, self.remote_password = far.local_username, far.local_password
        self.path.far = far.port

    def request_received(self, message: stun.Message, *rest: Any) -> None:
        self.parsed += 1
        super().request_received(message, *rest)

    async def ask(self) -> bool:
        """Ask once, as it is asked every few seconds."""
        pair = self._nominated[1]
        key = (self.remote_password or "").encode()
        return await self.port.ask(self._attributes(pair), pair.remote_addr, key)


@pytest.fixture
async def sides() -> tuple[Side, Side]:
    near = Side(controlling=True, address=("192.0.2.1", 40001))
    far = Side(controlling=False, address=("192.0.2.2", 40002))
    near.meet(far)
    far.meet(near)
    return near, far


async def test_only_the_first_of_equal_questions_is_taken_apart(sides: tuple[Side, Side]) -> None:
    near, far = sides
    for _ in range(3):
        assert await near.ask()
        assert await far.ask()
    assert (near.parsed, far.parsed) == (1, 1)
    assert not near.port.transactions


async def test_a_question_is_the_library_s_own_byte_by_byte(sides: tuple[Side, Side]) -> None:
    near, far = sides
    assert await near.ask()
    request = stun.parse_message(near.path.sent[0])
    wanted = near.build_request(near._nominated[1], nominate=False)
    assert request.attributes.items() >= wanted.attributes.items()
    assert await near.ask()
    slow, fast = (stun.parse_message(answer) for answer in far.path.sent)
    assert slow.attributes["XOR-MAPPED-ADDRESS"] == fast.attributes["XOR-MAPPED-ADDRESS"]
    assert fast.check_message_integrity(far.local_password.encode())


def _other_path(far: Side) -> None:
    far._nominated.clear()


def _closing(far: Side) -> None:
    far._closing = True


def _other_role(far: Side) -> None:
    far.ice_controlling = True


def _other_password(far: Side) -> None:
    far.port._known = None
    far._local_password = "x" * 22


@pytest.mark.parametrize(
    ("change", "parsed"),
    [(_other_path, 2), (_closing, 2), (_other_role, 2), (_other_password, 2)],
)
async def test_what_is_not_as_before_is_judged_anew(
    sides: tuple[Side, Side], change: Any, parsed: int
) -> None:
    near, far = sides
    assert await near.ask()
    change(far)
    near.path.far = None
    asking = asyncio.get_running_loop().create_task(near.ask())
    await asyncio.sleep(0)
    far.port.datagram_received(near.path.sent[-1], near.path.address)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert far.parsed == parsed


async def test_an_answer_that_is_not_proved_is_none(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _ = sides
    near.path.far = None
    monkeypatch.setattr(stun, "RETRY_RTO", 0.01)
    asking = asyncio.get_running_loop().create_task(near.ask())
    await asyncio.sleep(0)
    transaction = near.path.sent[0][checks.TRANSACTION]
    forged = checks.sealed(checks.ANSWER, transaction, b"", b"another password")
    near.port.datagram_received(forged, ("192.0.2.2", 40002))
    assert not await asking


@pytest.mark.parametrize("kind", ["refusal", "answer"])
async def test_an_answer_in_another_form_counts_and_a_refusal_does_not(
    sides: tuple[Side, Side], kind: str
) -> None:
    near, far = sides
    near.path.far = None
    asking = asyncio.get_running_loop().create_task(near.ask())
    await asyncio.sleep(0)
    message = stun.Message(
        stun.Method.BINDING,
        stun.Class.ERROR if kind == "refusal" else stun.Class.RESPONSE,
        near.path.sent[0][checks.TRANSACTION],
        {"SOFTWARE": "another"},
    )
    key = far.local_password.encode()
    message._integrity_data = bytes(message)
    message.attributes["MESSAGE-INTEGRITY"] = stun.message_integrity(message._integrity_data, key)
    if kind == "refusal":
        message.add_fingerprint()
    near.port.datagram_received(bytes(message), ("192.0.2.2", 40002))
    near.port.datagram_received(bytes(message), ("192.0.2.2", 40002))
    assert await asking is (kind == "answer")


async def test_what_is_no_stun_goes_to_the_connection(sides: tuple[Side, Side]) -> None:
    near, _ = sides
    near.port.datagram_received(b"\x80" + bytes(20), ("192.0.2.2", 40002))
    assert near._queue.get_nowait() == (b"\x80" + bytes(20), 1)
    near.port.datagram_received(b"", ("192.0.2.2", 40002))
    assert near._queue.empty()


async def test_of_ipv6_each_answer_is_made_anew() -> None:
    near = Side(controlling=True, address=("2001:db8::1", 40001))
    far = Side(controlling=False, address=("2001:db8::2", 40002))
    near.meet(far)
    far.meet(near)
    for _ in range(2):
        assert await near.ask()
    assert far.parsed == 2
