"""One process under ``actr dev``: started, read to its end, and stopped with all of its group."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO, Final, Self

from actr_peer.cli.demo.children import Child, child
from actr_peer.cli.verbs.dev.shown.lines import Line, Splitter, read_line
from actr_peer.tasks import Tasks

READ_BYTES: Final = 64 * 1024
REPORT_BYTES: Final = 4 * 1024 * 1024
"""Of one report of a process about itself."""

LAST_WORDS: Final = 1.0
"""Seconds in which the rest of its output is read, when it has ended."""

Show = Callable[[Line], None]


@asynccontextmanager
async def process(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    show: Show,
    told: Callable[[bytes], None],
) -> AsyncIterator[Child]:
    """Run ``command``, with the number of a descriptor in place of ``{}``, while the block runs.

    At its end all that the process wrote has been shown.

    Args:
        show: Takes each line of its output.
        told: Takes each line that it writes to the descriptor, and b"" when it has closed that.
    """
    async with Tasks(name) as tasks:
        with _Pipe() as output, _Pipe() as reports:
            filled = [str(reports.writing) if part == "{}" else part for part in command]
            running = child(
                name,
                filled,
                environment=environment,
                log=output.writing,
                pass_fds=(reports.writing,),
            )
            async with running as started:
                reading = (
                    tasks.start("output", _read(output.take(), show)),
                    tasks.start("reports", _read_reports(reports.take(), told)),
                )
                yield started
            with suppress(TimeoutError):  # one that left its group may hold them for ever
                async with asyncio.timeout(LAST_WORDS):
                    await asyncio.gather(*reading)


class _Pipe:
    """A pipe whose both ends are closed with the block, if they are not before."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()

    def take(self) -> BinaryIO:
        """The end to read from, when the other one is the process's alone."""
        os.close(self.writing)
        self.writing = -1
        found, self._reading = os.fdopen(self._reading, "rb"), -1
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._reading, self.writing):
            if descriptor >= 0:
                os.close(descriptor)


async def _read(pipe: BinaryIO, show: Show) -> None:
    lines = Splitter()
    async with _reader(pipe) as stream:
        while data := await stream.read(READ_BYTES):
            for text in lines.feed(data):
                show(read_line(text))
    for text in lines.end():
        show(read_line(text))


async def _read_reports(pipe: BinaryIO, told: Callable[[bytes], None]) -> None:
    async with _reader(pipe) as stream:
        while line := await stream.readline():
            told(line)
    told(b"")


@asynccontextmanager
async def _reader(pipe: BinaryIO) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader(limit=REPORT_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        yield reader
    finally:
        transport.close()
