"""A process to be killed: puts, runs and completes requests, and says what it was promised.

Run as ``python -m peer_kit.state.victim FILE ID...``. Each request writes its id with its
completion. It prints one line each: ``ack ID`` when a put is acknowledged, ``reply ID`` when a
reply goes out, ``start ID ATTEMPTS`` when a handler starts, ``dead ID`` for each dead letter at
the end, ``end`` when nothing is left to do. A request named in :data:`POISONS` kills the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from actr_peer.actor.scheduler import Outcome, Scheduler, Turn
from actr_peer.protocol.mailbox.requests import Put, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox

IN_FLIGHT = 64
ALONE = asyncio.Event()
"""One request is left, perhaps one that kills."""
TASKS: set[asyncio.Task[None]] = set()


POISONS: dict[str, Callable[[], None]] = {
    "kills": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(7),
    "segfaults": lambda: signal.raise_signal(signal.SIGSEGV),
    "aborts": os.abort,
}


def _apply_and_die(apply: Callable[[Any], None], connection: Any) -> None:
    """As a statement would that takes all memory there is."""
    apply(connection)
    os.kill(os.getpid(), signal.SIGKILL)


async def _die_alone() -> None:
    """Once no other request is left, so that no handler runs."""
    await ALONE.wait()
    os.kill(os.getpid(), signal.SIGKILL)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def handle(item: Request, turn: Turn) -> Outcome:
    say("start", item.request_id, item.attempts)
    if kill := POISONS.get(item.request_id):
        kill()
    if item.request_id == "kills-deferred":
        TASKS.add(asyncio.create_task(_die_alone()))
        return turn.defer()  # type: ignore[return-value]  # as a handler's runner does
    async with turn.transaction() as tx:
        await tx.execute("INSERT INTO effect(id) VALUES(?)", (item.request_id,))
    if item.request_id == "kills-in-commit":
        apply = tx.seal(validate=False)
        tx.seal = lambda *, validate: partial(_apply_and_die, apply)  # type: ignore[method-assign]
    return Outcome(item.request_id.encode())


class Victim:
    """Keeps :data:`IN_FLIGHT` requests on their way until all are answered and none is left."""

    def __init__(self, mailbox: Mailbox, names: list[str]) -> None:
        self.mailbox = mailbox
        self.names = iter(names)
        self.missing = set(names)
        self.finished = asyncio.Event()

    def next(self) -> None:
        name = next(self.names, None)
        if name is not None:
            envelope = name.encode() * 10
            item = Request("me", name, PayloadType.RPC_RELIABLE, False, "demo.X.Y", envelope)
            self.mailbox.put(item, partial(self.acknowledged, name))

    def acknowledged(self, name: str, result: Put) -> None:
        say("ack", name)
        if getattr(result, "reply", None) is not None:
            self.answered(name)

    def reply(self, item: Request, reply: bytes) -> None:
        say("reply", item.request_id)
        self.answered(item.request_id)

    def answered(self, name: str) -> None:
        self.missing.discard(name)
        self.next()
        self.look()

    def look(self) -> None:
        if len(self.missing) == 1:
            ALONE.set()
        if not self.missing and not self.mailbox.depth:
            self.finished.set()


async def main(path: str, names: list[str]) -> None:
    async with Mailbox(path) as mailbox:
        await mailbox.state_file.ask(
            lambda c: c.execute("CREATE TABLE IF NOT EXISTS effect(n INTEGER PRIMARY KEY, id)")
        )
        victim = Victim(mailbox, names)
        scheduler = Scheduler(
            mailbox,
            run=handle,
            reply=victim.reply,
            key_of=lambda item: None,
            error_reply=lambda item, error: str(error).encode(),
        )
        async with scheduler:
            for _ in range(IN_FLIGHT):
                victim.next()
            victim.look()
            await victim.finished.wait()
            for letter in await mailbox.letters.find():
                say("dead", letter.request_id, letter.crashes)
    say("end")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
