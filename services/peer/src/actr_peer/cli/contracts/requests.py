"""The requests of one call, as they stand on the command line, in files, or on standard input."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from actr_peer.cli.contracts.methods import (
    CHUNK_BYTES,
    MAX_TEXT_BYTES,
    parse_request,
    read_requests,
)
from actr_peer.errors import ConfigError
from actr_peer.service import Method

STDIN: Final = "-"


def read_metadata(pairs: Sequence[str]) -> Mapping[str, str]:
    """``key=value`` of each.

    Raises:
        ConfigError: If one is none, or a key stands twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ConfigError(f"--metadata {pair!r}: write key=value")
        if key in found:
            raise ConfigError(f"--metadata {pair!r}: {key!r} is given twice")
        found[key] = value
    return found


class Requests:
    """What is to be sent. A file is read once: it may be a pipe, which has its text once.

    Args:
        arguments: JSON objects, ``@path`` for those of a file, ``-`` for standard input.

    Raises:
        ConfigError: If standard input is to be read twice.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        if self._arguments.count(STDIN) > 1:
            raise ConfigError(f"{STDIN!r} stands twice, and standard input can be read once")
        self._texts: dict[int, list[str]] = {}
        """What the arguments at these places hold."""

    async def one(self, method: Method[Any, Any], pool: DescriptorPool | None) -> Message:
        """The one request of a method that takes one; none is an empty one.

        Raises:
            ConfigError: If there are more, or it is no request of the method.
        """
        texts: list[str] = [] if self._arguments else ["{}"]
        for place, argument in enumerate(self._arguments):
            texts += [await _stdin_text()] if argument == STDIN else self._texts_of(place)
        if len(texts) != 1:
            raise ConfigError(f"{method.route_key} takes one request, not {len(texts)}")
        return parse_request(method, texts[0], pool)

    async def all(
        self, method: Method[Any, Any], pool: DescriptorPool | None
    ) -> AsyncIterator[Message]:
        """The requests of a method that takes a stream: as they come where they come from
        standard input, one a line; none without arguments.

        Raises:
            ConfigError: If one is no request of the method.
        """
        for place, argument in enumerate(self._arguments):
            if argument != STDIN:
                for text in self._texts_of(place):
                    yield parse_request(method, text, pool)
                continue
            async with aclosing(_stdin_lines()) as lines:
                async for line in lines:
                    if line.strip():
                        yield parse_request(method, line, pool)

    def check(self, method: Method[Any, Any], pool: DescriptorPool | None) -> None:
        """Look at what does not come from standard input before anything is sent.

        Raises:
            ConfigError: If one is no request of the method.
        """
        for place, argument in enumerate(self._arguments):
            if argument != STDIN:
                for text in self._texts_of(place):
                    parse_request(method, text, pool)

    def _texts_of(self, place: int) -> list[str]:
        if place not in self._texts:
            self._texts[place] = list(read_requests(self._arguments[place]))
        return self._texts[place]


async def _stdin_text() -> str:
    """All of standard input."""
    data = bytearray()
    async with aclosing(_stdin()) as chunks:
        async for chunk in chunks:
            data += chunk
            _bound(data)
    return _decoded(data, "standard input")


async def _stdin_lines() -> AsyncGenerator[str, None]:
    """Lines as they come."""
    begun, number = bytearray(), 1
    async with aclosing(_stdin()) as chunks:
        async for chunk in chunks:
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                begun += end
                yield _decoded(begun, f"line {number} of standard input")
                begun.clear()
                number += 1
            begun += rest
            _bound(begun)
    yield _decoded(begun, f"line {number} of standard input")


def _bound(data: bytearray) -> None:
    if len(data) > MAX_TEXT_BYTES:
        raise ConfigError(f"standard input: a request of over {MAX_TEXT_BYTES >> 20} MiB")


def _decoded(data: bytearray, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{where} is not UTF-8: {exc.reason} at byte {exc.start}") from exc


async def _stdin() -> AsyncGenerator[bytes, None]:
    """What comes by standard input, with the loop running on; a file is read as it is. It is
    closed after that, for it is read once."""
    if sys.stdin is None:  # started with it closed
        raise ConfigError(f"{STDIN!r}: standard input is closed")
    source = sys.stdin.buffer
    mode = os.fstat(source.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty()):
        while data := source.read(CHUNK_BYTES):
            yield data
        return
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), source
    )
    try:
        while data := await reader.read(CHUNK_BYTES):
            yield data
    finally:
        transport.close()
