"""The sending side: one transfer, over as many tries as links and receivers need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from os import PathLike
from pathlib import Path

from actr.services.files_actr import FilesClient
from actr_peer.actor.files.source import Source
from actr_peer.actor.files.told import FileProgress, SentFile
from actr_peer.errors import DeadlineError, PeerError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.files import messages
from actr_peer.protocol.files.messages import FilesReply, FilesWord
from actr_peer.protocol.files.order import Event, next_try
from actr_peer.protocol.files.replies import Replies
from actr_peer.service import Caller
from actr_peer.state.worker import Worker

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds without any progress after which a transfer is given up."""
LEARNT_EACH = 16
"""Blocks that are read in one go for their digests."""

Tell = Callable[[FileProgress], None]


async def send_file(
    caller: Caller,
    path: str | PathLike[str],
    *,
    progress: Tell | None,
    name: str | None,
    timeout: float | None,
    patience: float,
) -> SentFile:
    """Send a file or a directory; see :meth:`~actr_peer.actor.reach.Reach.send_file`."""
    worker = Worker()
    source: Source | None = None
    try:
        source = await worker.run(Source, Path(path), name)
        sending = Sending(caller, source, worker, progress)
        return await sending.run(timeout, patience)
    finally:
        worker.close(source.close if source is not None else _nothing)


class Sending:
    """One transfer until it has ended, well or for good.

    Attributes:
        tries: How often it was begun.
        sent_bytes: Bytes of files that left, over all tries.
    """

    def __init__(
        self, caller: Caller, source: Source, worker: Worker, progress: Tell | None
    ) -> None:
        self.tries = 0
        self.sent_bytes = 0
        self._client = FilesClient(caller)
        self._source = source
        self._run = worker.run
        self._progress = progress
        self._failures = 0
        self._was_accepted = False
        self._last: PeerError | None = None
        """What ended the last try."""
        self._moved_at = 0.0
        """When something went on last, at either side, by the loop's clock."""

    async def run(self, timeout: float | None, patience: float) -> SentFile:
        """Try until it is done.

        Raises:
            DeadlineError: If there was no progress for ``patience`` seconds, or no end in all.
            UnreachableError: The same, where the receiver was never there.
            PeerError: What ended the last try, if another would not do better.
        """
        loop = asyncio.get_running_loop()
        self._moved_at = began = loop.time()
        while True:
            self.tries += 1
            try:
                async with asyncio.timeout_at(None) as limit:

                    def move(limit: asyncio.Timeout = limit) -> None:
                        self._moved_at = loop.time()
                        limit.reschedule(self._end(began, timeout, patience))

                    limit.reschedule(self._end(began, timeout, patience))
                    return await self._try(move)
            except TimeoutError as exc:
                if not limit.expired():
                    raise
                raise self._given_up(loop.time() - self._moved_at) from exc
            except PeerError as error:
                self._last = error
                self._failures += 1
                delay = next_try(
                    error,
                    was_accepted=self._was_accepted,
                    failures=self._failures,
                    left_seconds=self._end(began, timeout, patience) - loop.time(),
                )
                if delay is None:
                    raise
                log.info("transfer goes on soon: seconds=%g cause=%s", delay, error)
                await asyncio.sleep(delay)

    def _given_up(self, seconds: float) -> PeerError:
        if isinstance(self._last, UnreachableError) and not self._was_accepted:
            return self._last
        last = f"; the last try: {self._last}" if self._last is not None else ""
        return DeadlineError(
            f"{self._source.manifest.offer.name!r} was not sent: no progress for {seconds:.0f} s "
            f"after {self.tries} tries; what arrived is kept, send it again to go on{last}"
        )

    def _end(self, began: float, timeout: float | None, patience: float) -> float:
        end = self._moved_at + patience
        return end if timeout is None else min(end, began + timeout)

    async def _try(self, move: Callable[[], None]) -> SentFile:
        talk = _Talk(Replies(self._source.manifest.blocks), move)
        found: SentFile | None = None
        try:
            async with aclosing(self._replies(talk)) as replies:
                async for reply in replies:
                    event, is_progress = talk.replies.hear(reply)
                    if is_progress:
                        move()
                    found = self._hear(event, reply, talk)
        except PeerError:
            if found is None:
                raise
        finally:
            talk.is_over = True
        if found is None:
            raise RemoteProtocolError("a transfer of files: it ended before it was done")
        return found

    async def _replies(self, talk: _Talk) -> AsyncGenerator[FilesReply, None]:
        replies = self._client.send(self._words(talk))
        try:
            async for reply in replies:
                yield reply
        finally:
            close = getattr(replies, "aclose", None)
            if close is not None:
                await close()

    def _hear(self, event: Event, reply: FilesReply, talk: _Talk) -> SentFile | None:
        manifest = self._source.manifest
        match event:
            case Event.KEPT:
                self._was_accepted = True
                talk.kept.set_result(reply.kept.blocks)
            case Event.BEGIN:
                talk.begin.set_result(reply.begin.block)
                self._tell(reply.begin.block, talk)
            case Event.VERIFIED if talk.replies.is_moving:
                self._failures = 0
                self._tell(reply.verified.blocks, talk)
            case Event.DONE:
                talk.is_done.set()
                return SentFile(
                    name=reply.done.name,
                    size_bytes=manifest.offer.size_bytes,
                    files=manifest.files,
                    digest=self._source.digests.root(manifest.blocks).hex(),
                    was_there=reply.done.was_there,
                    sent_bytes=self.sent_bytes,
                    tries=self.tries,
                )
            case _:  # it reads over what it has
                pass
        return None

    def _tell(self, blocks: int, talk: _Talk) -> None:
        if self._progress is not None:
            manifest = self._source.manifest
            self._progress(
                FileProgress(
                    name=manifest.offer.name,
                    done_bytes=manifest.bytes_of(blocks),
                    total_bytes=manifest.offer.size_bytes,
                    resumed_bytes=manifest.bytes_of(talk.begin.result()),
                )
            )

    async def _words(self, talk: _Talk) -> AsyncIterator[FilesWord]:
        """What this side says; the next block is read while one goes out."""
        source, manifest = self._source, self._source.manifest
        for word in messages.opening(manifest):
            yield word
        kept = await talk.kept
        for first in range(len(source.digests), kept, LEARNT_EACH):
            await self._run(source.learn, first, min(first + LEARNT_EACH, kept))
            talk.go_on()  # long files are read over for longer than anybody has patience
        yield messages.proof(source.digests.root(kept))
        number = await talk.begin
        ahead = self._read(number)
        while ahead is not None:
            data, digest = await ahead
            number += 1
            ahead = self._read(number)
            talk.replies.sent = number
            for word in messages.pieces(data, digest):
                yield word
            self.sent_bytes += len(data)
        talk.replies.is_said = True
        yield messages.end(source.digests.root(manifest.blocks))
        await talk.is_done.wait()  # the end of this half tells the receiver that its word was heard

    def _read(self, number: int) -> asyncio.Future[tuple[bytes, bytes]] | None:
        if number >= self._source.manifest.blocks:
            return None
        ahead = self._run(self._source.block, number)
        ahead.add_done_callback(_heard)
        return ahead


class _Talk:
    """What one try has said and heard.

    Args:
        move: Told when this side goes on.
    """

    def __init__(self, replies: Replies, move: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.replies = replies
        self.kept: asyncio.Future[int] = loop.create_future()
        self.begin: asyncio.Future[int] = loop.create_future()
        self.is_done = asyncio.Event()
        self.is_over = False
        self._move = move

    def go_on(self) -> None:
        """Something is done that the receiver waits for."""
        if not self.is_over:
            self._move()


def _heard(ahead: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """A block that is read ahead of a try that ends is nobody's; its error neither."""
    if not ahead.cancelled():
        ahead.exception()


def _nothing() -> None:
    """There is nothing to close."""
