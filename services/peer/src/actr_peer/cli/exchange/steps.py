"""What is exchanged with one remote in each round, one payload type after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import (
    FileHeader,
    FilePiece,
    HistoryRequest,
    KickRequest,
    MessagesRequest,
    SayRequest,
)
from actr_peer import ActrId, ActrRef, PayloadType, PeerError
from actr_peer.cli.exchange.burst import Burst
from actr_peer.cli.exchange.tally import Link, Round
from actr_peer.errors import CallError, Code

CALL_TIMEOUT: Final = 20.0
SAID: Final = 3
UPLOAD_BYTES: Final = 32 * 1024
PIECE_BYTES: Final = 8 * 1024
LINES: Final = 20
LINE_BYTES: Final = 100
LINE_INTERVAL_US: Final = 2_000


class Steps:
    """What is exchanged with one remote in each round, one payload type after the other."""

    def __init__(self, ref: ActrRef, remote: ActrId, link: Link, *, run: str, burst: Burst) -> None:
        self._ref = ref
        self._remote = remote
        self._link = link
        self._run = run
        self._client = ChatClient(ref.to(remote))
        self._burst = burst

    async def round(self) -> Round:
        """Take every step, and count; a step that fails does not keep the others back."""
        link = self._link
        done = Round(link.rounds + link.failed + 1)
        steps: dict[str, tuple[PayloadType, Callable[[], Awaitable[str]]]] = {
            "calls": (PayloadType.RPC_RELIABLE, self._calls),
            "urgent": (PayloadType.RPC_SIGNAL, self._kick),
            "upload": (PayloadType.STREAM_RELIABLE, self._upload),
            "lines": (PayloadType.STREAM_LATENCY_FIRST, self._lines),
            "media": (PayloadType.MEDIA_RTP, self._media),
        }
        for name, (payload_type, step) in steps.items():
            try:
                done.steps[name] = await step()
                link.done[payload_type] += 1
            except PeerError as exc:
                done.errors[name] = link.error = f"{type(exc).__name__}: {exc}"
        if done.errors:
            link.failed += 1
        else:
            link.rounds += 1
        return done

    async def _calls(self) -> str:
        """Say numbered lines, then read the last ones back."""
        for _ in range(SAID):
            await self.say(timeout=CALL_TIMEOUT)
        history = await self._client.history(HistoryRequest(limit=SAID), timeout=CALL_TIMEOUT)
        if len(history.messages) != SAID:
            raise CallError(Code.DATA_LOSS, f"the history has {len(history.messages)} lines")
        return str(SAID + 1)

    async def say(self, *, timeout: float) -> None:
        """Say one numbered line, durably: it is heard even if either side is killed meanwhile.

        Raises:
            DeadlineError: If there was no answer in time; the line stays accepted.
        """
        link = self._link
        link.said += 1
        request = SayRequest(author=str(self._ref.id), text=f"{self._run} {link.said}")
        try:
            await self._client.say(request, timeout=timeout, durable=True)
        except BaseException:
            link.unanswered += 1
            raise
        link.answered += 1

    async def _kick(self) -> str:
        await self._client.kick(KickRequest(who="nobody"), timeout=CALL_TIMEOUT)
        return "1"

    async def _upload(self) -> str:
        """Send random bytes; the remote's SHA-256 is that of what was sent."""
        data = os.urandom(UPLOAD_BYTES)

        async def pieces() -> AsyncIterator[FilePiece]:
            yield FilePiece(header=FileHeader(name="random", size_bytes=len(data)))
            for start in range(0, len(data), PIECE_BYTES):
                yield FilePiece(data=data[start : start + PIECE_BYTES])

        reply = await self._client.upload(pieces(), timeout=CALL_TIMEOUT)
        if reply.sha256 != hashlib.sha256(data).hexdigest():
            raise CallError(Code.DATA_LOSS, "the remote has other bytes than were sent")
        return f"{UPLOAD_BYTES // 1024} KiB"

    async def _lines(self) -> str:
        request = MessagesRequest(
            test_lines=LINES, text_bytes=LINE_BYTES, interval_us=LINE_INTERVAL_US
        )
        numbers = [
            line.number async for line in self._client.messages(request, timeout=CALL_TIMEOUT)
        ]
        if len(set(numbers)) != len(numbers):
            raise CallError(Code.DATA_LOSS, "a line of a stream came twice")
        if not numbers:
            raise CallError(Code.DATA_LOSS, "no line of a stream came in time")
        return f"{len(numbers)}/{LINES}"

    async def _media(self) -> str:
        """Send a burst of frames; tell how many of the remote's came since the round before."""
        sent = await self._burst.send()
        came, self._link.frames_since = self._link.frames_since, 0
        return f"{sent} out {came} in"
