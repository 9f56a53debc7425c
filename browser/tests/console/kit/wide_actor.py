"""An actor with each kind of method and of field, and with dead letters where one asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.any_pb2 import Any
from wide_actr import WideService
from wide_pb2 import CountReply, CountRequest, Everything, FailRequest, HoldRequest

from actr_peer import CallError, Code, Context, TestPattern


class Wide(WideService):
    def __init__(self) -> None:
        self._begun = self._cancelled = self._buried = 0
        self._changed = asyncio.Condition()
        self._is_mended = False

    async def echo(self, request: Everything, ctx: Context, /) -> Everything:
        return request

    async def count(self, request: CountRequest, ctx: Context, /) -> AsyncIterator[CountReply]:
        for number in range(1, request.times + 1):
            yield CountReply(number=number, text="x" * request.letters)
            await asyncio.sleep(request.interval_ms / 1000)

    async def sum(self, requests: AsyncIterator[CountReply], ctx: Context, /) -> CountReply:
        return CountReply(number=sum([request.number async for request in requests]))

    async def twice(
        self, requests: AsyncIterator[CountReply], ctx: Context, /
    ) -> AsyncIterator[CountReply]:
        async for request in requests:
            yield CountReply(number=2 * request.number, text=request.text)

    async def fail(self, request: FailRequest, ctx: Context, /) -> CountReply:
        detail = Any()
        detail.Pack(request)
        details = (detail.SerializeToString(),)
        raise CallError(Code(request.code), request.text, domain="wide", details=details)

    async def hold(self, request: HoldRequest, ctx: Context, /) -> CountReply:
        await self._count(begun=1)
        try:
            await asyncio.Event().wait()
        finally:
            await self._count(cancelled=1)
        raise AssertionError

    async def _count(self, begun: int = 0, cancelled: int = 0) -> None:
        async with self._changed:
            self._begun += begun
            self._cancelled += cancelled
            self._changed.notify_all()

    async def held(self, request: HoldRequest, ctx: Context, /) -> CountReply:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._begun >= request.begun and self._cancelled >= request.cancelled
            )
        return CountReply(number=self._cancelled)

    async def bury(self, request: FailRequest, ctx: Context, /) -> CountReply:
        if not self._is_mended:
            raise RuntimeError(request.text)
        self._buried += 1
        return CountReply(number=self._buried)

    async def mend(self, request: CountRequest, ctx: Context, /) -> CountReply:
        self._is_mended = True
        return CountReply(number=self._buried)

    async def show(self, request: CountRequest, ctx: Context, /) -> CountReply:
        await ctx.publish(str(ctx.caller), TestPattern(track_id="pattern", frames=request.times))
        return CountReply(number=1)
