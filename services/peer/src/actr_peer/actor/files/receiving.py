"""The receiving side: who may send, what is there already, blocks as they come, and the name.

One :class:`Receiving` is one folder, with the transfers that go on into it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Self

from actr_peer.actor.files.folder import Folder
from actr_peer.actor.files.partial import Partial, Transfer
from actr_peer.actor.files.rules import FileRules
from actr_peer.actor.files.told import FileProgress, ReceivedFile
from actr_peer.errors import CallError, Code, PeerError, RemoteProtocolError
from actr_peer.protocol.files import bounds, messages
from actr_peer.protocol.files.manifest import Listing, Manifest
from actr_peer.protocol.files.messages import FilesReply, FilesWord
from actr_peer.protocol.files.order import RECEIVING, Event, Order, State
from actr_peer.protocol.identity import ActrId

log = logging.getLogger(__name__)

Words = AsyncIterator[FilesWord]
FAREWELL_SECONDS = 5.0


class Receiving:
    """A folder that takes files, until it is closed; ``async with`` closes it.

    Attributes:
        received: Transfers that ended well.
        refused: Those that were refused, or ended with an error.
    """

    def __init__(
        self, folder: Folder, rules: FileRules, *, over: Callable[[Receiving], None]
    ) -> None:
        self.folder = folder
        self.rules = rules
        self.received = 0
        self.refused = 0
        self._over = over
        self._is_closed = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._here: list[Transfer] = []
        """In the order in which they came."""
        self._active: dict[str, Transfer] = {}
        """By key, from when their entries have come."""

    def close(self) -> None:
        """Take nothing more; what goes on ends, and may go on later. Harmless when closed."""
        if not self._is_closed:
            self._is_closed = True
            self._over(self)

    async def idle(self) -> None:
        """Wait until no transfer goes on, and their senders know how they ended."""
        await self._is_idle.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def take(self, words: Words, sender: ActrId) -> AsyncGenerator[FilesReply, None]:
        """Take one transfer, from its offer to its end."""
        try:
            async with aclosing(self._take(words, sender)) as replies:
                async for reply in replies:
                    yield reply
        except RemoteProtocolError as exc:
            self.refused += 1
            raise CallError(Code.INVALID_ARGUMENT, str(exc)) from exc
        except CallError as exc:
            self.refused += 1
            log.info("transfer ended: sender=%s cause=%s", sender, exc)
            raise

    async def _take(self, words: Words, sender: ActrId) -> AsyncGenerator[FilesReply, None]:
        order = Order(RECEIVING)
        word = await _next(words, order, bounds.IDLE_SECONDS)
        offer = messages.offer_of(word)
        listing = Listing(offer, hidden=self.rules.hidden)
        if not self.rules.allow(sender, offer):
            raise CallError(Code.PERMISSION_DENIED, f"{sender} may not send {offer.name!r} here")
        mine = sum(each.sender == sender for each in self._here)
        bounds.check_places(mine, len(self._here))
        transfer = Transfer(sender, offer, asyncio.get_running_loop().time())
        self._here.append(transfer)
        self._is_idle.clear()
        key = ""
        try:
            while not listing.is_whole:
                listing.add(messages.entries_of(await self._next(words, order, transfer)))
            order.hear(Event.LISTED)
            manifest = listing.manifest()
            key = manifest.key(sender)
            await self._enter(key, transfer)
            async for reply in self._receive(words, order, transfer, (key, manifest)):
                yield reply
            await _farewell(words)
        finally:
            self._leave(key, transfer)

    async def _enter(self, key: str, transfer: Transfer) -> None:
        """Have the one place of a key, or not at all."""
        old = self._active.get(key)
        if old is not None:
            silent = asyncio.get_running_loop().time() - old.touched
            if old in self._here and not bounds.may_take_over(silent_seconds=silent):
                raise bounds.in_progress(transfer.offer.name)
            old.is_over = True
            self._active[key] = transfer
            await asyncio.shield(old.close())
        self._active[key] = transfer

    def _leave(self, key: str, transfer: Transfer) -> None:
        self._here.remove(transfer)
        if not self._here:
            self._is_idle.set()

        def gone(_: object) -> None:
            if self._active.get(key) is transfer:
                del self._active[key]

        transfer.close().add_done_callback(gone)

    async def _receive(
        self, words: Words, order: Order, transfer: Transfer, what: tuple[str, Manifest]
    ) -> AsyncGenerator[FilesReply, None]:
        key, manifest = what
        run = transfer.worker.run
        came = await run(self.folder.came, key, manifest)
        kept, root = manifest.blocks, b""
        partial = transfer.partial = Partial(self.folder, key, manifest)
        if came is None:
            await self._check_room(key, transfer)
            kept = 0
            await run(partial.open)
            while kept < len(partial.digests):  # a block that does not count ends it
                kept = await run(partial.check, kept)
                transfer.touched = asyncio.get_running_loop().time()
                yield messages.verified(kept)
            root = partial.digests.root(kept)
        else:
            name, root = came
        yield messages.kept(kept)
        said = await self._next(words, order, transfer, bounds.PROOF_SECONDS)
        is_proven = said.proof.digest == root
        if came is not None and not is_proven:  # another content, by the same name and time
            await self._check_room(key, transfer)
            await run(partial.open)
            came = None
        start = kept if is_proven else 0
        if came is None:
            await run(partial.begin, start)
        yield messages.begin(start)
        if came is not None:
            said = await self._next(words, order, transfer)
            if order.state is not State.OVER or said.end.digest != root:
                raise CallError(Code.INVALID_ARGUMENT, "pieces of what is here whole")
            yield self._done(transfer, manifest, name, root, was_there=True)
            return
        async for reply in self._blocks(words, order, transfer, (manifest, start)):
            yield reply

    async def _blocks(
        self, words: Words, order: Order, transfer: Transfer, what: tuple[Manifest, int]
    ) -> AsyncGenerator[FilesReply, None]:
        """Blocks from one on, each written while the next one comes; then the end."""
        manifest, start = what
        pieces = messages.Pieces(manifest, start)
        partial, run = transfer.partial, transfer.worker.run
        assert partial is not None, "blocks without a place to write them"
        writing: asyncio.Future[int] | None = None
        while True:
            word = await self._next(words, order, transfer)
            if order.state is State.OVER:
                break
            block = pieces.take(word)
            if block is None:
                continue
            if writing is not None:
                yield self._verified(transfer, manifest, await writing, start)
            writing = run(partial.write, *block)
        if writing is not None:
            yield self._verified(transfer, manifest, await writing, start)
        root = word.end.digest
        name = await run(partial.finish, root, self.rules.existing)
        yield self._done(transfer, manifest, name, root, was_there=False)

    async def _check_room(self, key: str, transfer: Transfer) -> None:
        """Whether name and quota let it in, with what goes on and came before it."""
        rules, folder = self.rules, self.folder
        run = transfer.worker.run
        now = time.time()
        await run(folder.clean, set(self._active), now=now, keep_seconds=rules.keep_seconds)
        await run(folder.check, transfer.offer.name, rules.existing)
        used = await run(folder.usage, set(self._active))
        for other in self._here[: self._here.index(transfer)]:
            if not other.is_over:
                used += other.asked
        free = await run(folder.free_bytes) + await run(folder.held_bytes, key)
        rules.quota.check(used, transfer.asked, free_bytes=free)

    def _verified(
        self, transfer: Transfer, manifest: Manifest, blocks: int, start: int
    ) -> FilesReply:
        if self.rules.on_progress is not None:
            progress = FileProgress(
                name=transfer.offer.name,
                done_bytes=manifest.bytes_of(blocks),
                total_bytes=transfer.offer.size_bytes,
                resumed_bytes=manifest.bytes_of(start),
            )
            self.rules.on_progress(progress)
        return messages.verified(blocks)

    def _done(
        self, transfer: Transfer, manifest: Manifest, name: str, root: bytes, *, was_there: bool
    ) -> FilesReply:
        self.received += 1
        if self.rules.on_received is not None:
            received = ReceivedFile(
                sender=transfer.sender,
                path=str(self.folder.root / name),
                is_directory=transfer.offer.is_directory,
                size_bytes=transfer.offer.size_bytes,
                files=manifest.files,
                digest=root.hex(),
                was_there=was_there,
            )
            self.rules.on_received(received)
        return messages.done(name, was_there=was_there)

    async def _next(
        self,
        words: Words,
        order: Order,
        transfer: Transfer,
        seconds: float = bounds.IDLE_SECONDS,
    ) -> FilesWord:
        word = await _next(words, order, seconds)
        if self._is_closed or transfer.is_over:
            text = "another try goes on" if transfer.is_over else "files are not taken any more"
            raise CallError(Code.UNAVAILABLE, text, retryable=True)
        transfer.touched = asyncio.get_running_loop().time()
        return word


async def _next(words: Words, order: Order, seconds: float) -> FilesWord:
    """The next word, where it may come."""
    try:
        async with asyncio.timeout(seconds):
            word = await anext(words)
    except StopAsyncIteration:
        raise CallError(Code.ABORTED, "the sender left before the end", retryable=True) from None
    except TimeoutError as exc:
        raise bounds.idle() from exc
    order.hear(messages.event_of(word))
    return word


async def _farewell(words: Words) -> None:
    """Wait until the sender has heard that all is done, so that this side may go."""
    with suppress(StopAsyncIteration, TimeoutError, PeerError):
        async with asyncio.timeout(FAREWELL_SECONDS):
            await anext(words)
