"""The receiving side: who may send, what is there already, blocks as they come, and the name.

One :class:`Receiving` is one folder, with the transfers that go on into it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Self, TypeVar

from actr_peer.actor.files.came import Came
from actr_peer.actor.files.folder import Folder
from actr_peer.actor.files.partial import Partial, heard_of
from actr_peer.actor.files.rules import FileRules
from actr_peer.actor.files.told import FileProgress, ReceivedFile
from actr_peer.actor.files.transfer import FAREWELL_SECONDS, Transfer, Words
from actr_peer.errors import CallError, Code, RemoteProtocolError
from actr_peer.protocol.files import bounds, messages
from actr_peer.protocol.files.manifest import Listing, Manifest
from actr_peer.protocol.files.messages import FilesReply
from actr_peer.protocol.identity import ActrId

log = logging.getLogger(__name__)
T = TypeVar("T")


class Receiving:
    """A folder that takes files, until it is closed; ``async with`` closes it, and waits until
    nothing of it goes on.

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
        """By key, from when their entries have come until their files are closed."""
        self._closing: set[Transfer] = set()

    def close(self) -> None:
        """Take nothing more; what goes on ends, and may go on later. Harmless when closed.

        The folder is free for another receiver once this is :meth:`idle`.
        """
        if not self._is_closed:
            self._is_closed = True
            self._over(self)
            for transfer in self._here:
                transfer.end("files are not taken any more")
            self._check_idle()

    async def idle(self) -> None:
        """Wait until no transfer goes on, and their senders know how they ended."""
        await self._is_idle.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self.idle()
        for each in tuple(self._here):
            await each.drop()
        await self.idle()

    async def take(self, words: Words, sender: ActrId) -> AsyncGenerator[FilesReply, None]:
        """Take one transfer, from its offer to its end."""
        transfer = Transfer(words, sender)
        transfer.replies = self._take(transfer)
        try:
            async with aclosing(transfer.replies) as replies:
                async for reply in replies:
                    yield reply
        except (RemoteProtocolError, CallError, OSError) as exc:
            self.refused += 1
            told = heard_of(exc)
            log.info("transfer ended: sender=%s cause=%s", sender, told)
            raise told from exc

    async def _take(self, transfer: Transfer) -> AsyncGenerator[FilesReply, None]:
        sender = transfer.sender
        offer = transfer.offer = messages.offer_of(await transfer.next())
        listing = Listing(offer, hidden=self.rules.hidden)
        if not self.rules.allow(sender, offer):
            raise CallError(Code.PERMISSION_DENIED, f"{sender} may not send {offer.name!r} here")
        if self._is_closed:
            raise CallError(Code.UNAVAILABLE, "files are not taken any more", retryable=True)
        for each in tuple(self._here):
            if transfer.touched - each.touched > bounds.IDLE_SECONDS:
                await each.drop()
        mine = sum(each.sender == sender for each in self._here)
        bounds.check_places(mine, len(self._here), closing=len(self._closing))
        self._here.append(transfer)
        self._is_idle.clear()
        key = ""
        try:
            while not listing.is_whole:
                listing.add(messages.entries_of(await transfer.next()))
            transfer.listed()
            manifest = await transfer.run(listing.manifest)
            key = await transfer.run(manifest.key, sender)
            await self._enter(key, transfer)
            async with aclosing(self._receive(transfer, key, manifest)) as replies:
                async for reply in replies:
                    yield reply
            await transfer.farewell()
        finally:
            self._leave(key, transfer)

    async def _enter(self, key: str, transfer: Transfer) -> None:
        """Have the one place of a key, or not at all."""
        old = self._active.get(key)
        if old is not None:
            silent = asyncio.get_running_loop().time() - old.touched
            if old in self._here and not bounds.may_take_over(silent_seconds=silent):
                raise bounds.in_progress(transfer.offer.name)
            old.end("another try goes on")
        self._active[key] = transfer
        if old is not None:
            await transfer.follow(old)

    def _leave(self, key: str, transfer: Transfer) -> None:
        self._here.remove(transfer)
        self._closing.add(transfer)

        def gone(_: object) -> None:
            if self._active.get(key) is transfer:
                del self._active[key]
            self._closing.discard(transfer)
            self._check_idle()

        transfer.close().add_done_callback(gone)

    def _check_idle(self) -> None:
        if not self._here and not self._closing:
            self._is_idle.set()
            if self._is_closed:
                self.folder.close()

    async def _receive(
        self, transfer: Transfer, key: str, manifest: Manifest
    ) -> AsyncGenerator[FilesReply, None]:
        run = transfer.run
        partial = Partial(self.folder, key, manifest)
        transfer.closing(partial.close)
        came = await run(self.folder.came, key, manifest)
        async for reply in _read_over(came, transfer, manifest):
            yield reply
        if came is not None and not came.is_as_it_was:
            came = None
        kept, root = manifest.blocks, came.root if came is not None else b""
        if came is None:
            await self._check_room(key, transfer)
            kept = 0
            await run(partial.open)
            while kept < len(partial.digests):  # a block that does not count ends it
                kept = await run(partial.check, kept)
                transfer.touch()
                yield messages.verified(kept)
            root = partial.digests.root(kept)
        yield messages.kept(kept)
        is_proven = (await transfer.next(bounds.PROOF_SECONDS)).proof.digest == root
        if came is not None and not is_proven:  # another content, by the same name and time
            await self._check_room(key, transfer)
            await run(partial.open)
            came = None
        start = kept if is_proven else 0
        if came is None:
            await run(partial.begin, start)
        yield messages.begin(start)
        if came is None:
            async for reply in self._blocks(transfer, partial, manifest, start):
                yield reply
        else:
            said = await transfer.next()
            if not transfer.is_at_end or said.end.digest != root:
                raise CallError(Code.INVALID_ARGUMENT, "pieces of what is here whole")
            await run(self.folder.forget, key)
            yield self._done(transfer, manifest, came.name, root, was_there=True)

    async def _blocks(
        self, transfer: Transfer, partial: Partial, manifest: Manifest, start: int
    ) -> AsyncGenerator[FilesReply, None]:
        """Blocks from one on, each written while the next one comes; then the end."""
        pieces = messages.Pieces(manifest, start)
        run = transfer.run
        writing: asyncio.Future[int] | None = None
        while True:
            word = await transfer.next()
            if transfer.is_at_end:
                break
            block = pieces.take(word)
            if block is None:
                continue
            if writing is not None:
                yield self._verified(transfer, manifest, await writing, start)
            writing = run(partial.write, *block)
            writing.add_done_callback(_heard)
        if writing is not None:
            yield self._verified(transfer, manifest, await writing, start)
        root = word.end.digest
        name = await run(partial.finish, root, self.rules.existing)
        yield self._done(transfer, manifest, name, root, was_there=False)

    async def _check_room(self, key: str, transfer: Transfer) -> None:
        """Whether name and quota let it in, with what goes on and came before it."""
        rules, folder = self.rules, self.folder
        run = transfer.run
        now = time.time()
        await run(folder.clean, set(self._active), now=now, keep_seconds=rules.keep_seconds)
        await run(folder.check, transfer.offer.name, rules.existing)
        used = bounds.Usage()
        if rules.quota.is_bounded:
            used = await run(folder.usage, set(self._active))
        for other in self._here[: self._here.index(transfer)]:
            if not other.is_over:
                used += other.asked
        free = await run(folder.free_bytes) + await run(folder.held_bytes, key)
        rules.quota.check(used, transfer.asked, free_bytes=free)

    def _verified(
        self, transfer: Transfer, manifest: Manifest, blocks: int, start: int
    ) -> FilesReply:
        progress = FileProgress(
            name=transfer.offer.name,
            done_bytes=manifest.bytes_of(blocks),
            total_bytes=transfer.offer.size_bytes,
            resumed_bytes=manifest.bytes_of(start),
        )
        _tell(self.rules.on_progress, progress)
        return messages.verified(blocks)

    def _done(
        self, transfer: Transfer, manifest: Manifest, name: str, root: bytes, *, was_there: bool
    ) -> FilesReply:
        self.received += 1
        received = ReceivedFile(
            sender=transfer.sender,
            path=str(self.folder.root / name),
            is_directory=transfer.offer.is_directory,
            size_bytes=transfer.offer.size_bytes,
            files=manifest.files,
            digest=root.hex(),
            was_there=was_there,
        )
        _tell(self.rules.on_received, received)
        return messages.done(name, was_there=was_there)


async def _read_over(
    came: Came | None, transfer: Transfer, manifest: Manifest
) -> AsyncGenerator[FilesReply, None]:
    """Read what is there over, and say so."""
    if came is None:
        return
    transfer.closing(came.close)
    while len(came.digests) < manifest.blocks:
        try:
            blocks = await transfer.run(came.read)
        except OSError:
            return
        transfer.touch()
        yield messages.verified(blocks)


def _tell(tell: Callable[[T], None] | None, what: T) -> None:
    """A callback that fails ends no transfer: what is written is written."""
    if tell is not None:
        try:
            tell(what)
        except Exception:
            log.exception("a callback of a receiver of files failed")


def _heard(writing: asyncio.Future[int]) -> None:
    """A block that is written while a transfer ends is nobody's; its error neither."""
    if not writing.cancelled():
        writing.exception()
