"""When the far side of a path is asked whether it still wants our packets."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aioice import stun

from actr_peer.wire.webrtc.aiortc.consent import ConsentedConnection
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

    def build_request(self, pair: Any, nominate: bool) -> Any:
        return None

    async def request(self, *_: Any, **__: Any) -> None:
        self.asked.put_nowait(None)
        if not self._answers:
            raise stun.TransactionTimeout

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
