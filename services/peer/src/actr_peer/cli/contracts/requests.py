"""The requests of one call, as they stand on the command line, in files, or on standard input."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from actr_peer.cli.contracts.methods import parse_request, read_requests
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
    """What is to be sent.

    Args:
        arguments: JSON objects, ``@path`` for those of a file, ``-`` for standard input.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)

    def one(self, method: Method[Any, Any], pool: DescriptorPool | None) -> Message:
        """The one request of a method that takes one; none is an empty one.

        Raises:
            ConfigError: If there are more, or it is no request of the method.
        """
        texts: list[str] = []
        for argument in self._arguments or ("{}",):
            texts += [sys.stdin.read()] if argument == STDIN else read_requests(argument)
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
        for argument in self._arguments:
            if argument != STDIN:
                for text in read_requests(argument):
                    yield parse_request(method, text, pool)
                continue
            async for line in _stdin_lines():
                if line.strip():
                    yield parse_request(method, line, pool)

    def check(self, method: Method[Any, Any], pool: DescriptorPool | None) -> None:
        """Look at what does not come from standard input before anything is sent.

        Raises:
            ConfigError: If one is no request of the method.
        """
        for argument in self._arguments:
            if argument != STDIN:
                for text in read_requests(argument):
                    parse_request(method, text, pool)


async def _stdin_lines() -> AsyncIterator[str]:
    """Lines as they come, with the loop running on; a file is read as it is."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
        for line in sys.stdin:
            yield line
        return
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    async for data in reader:
        yield data.decode(errors="replace")
