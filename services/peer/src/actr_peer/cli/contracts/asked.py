"""An actor's contract, as it tells it itself (docs/protocol/reflection.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import (
    DescribeRequest,
    Description,
    MethodDescription,
    ServiceDescription,
)
from actr_peer.cli.codegen.names import snake_case
from actr_peer.errors import CallError, Code, DeadlineError, LimitError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Caller, Method, MethodKind

MAX_WORDS: Final = 8 * 1024
"""Services and files together; who tells more is not believed."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of all of them together."""

Whom: TypeAlias = ActrId | ActrType

_KINDS: Final[Mapping[tuple[bool, bool], MethodKind]] = {
    (kind.requests_stream, kind.replies_stream): kind for kind in MethodKind
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Services with their methods, and the descriptors of their messages."""

    services: tuple[ServiceDescription, ...]
    methods: Mapping[str, Method[Any, Any]]
    """By route key, in the order in which they are declared."""
    pool: DescriptorPool


async def ask(
    caller: Caller, actor: Whom, timeout: float, services: Sequence[str] = ()
) -> Contract:
    """Ask ``actor`` for its contract, by ``caller``.

    Args:
        timeout: Seconds for all of it.
        services: Full names of those that are wanted; none: all.

    Raises:
        CallError: If it tells none: UNIMPLEMENTED with what to do instead; or NOT_FOUND.
        DeadlineError: If it does not answer in time.
        LimitError, RemoteProtocolError: If what it tells is too much, or is no contract.
    """
    told = ReflectionClient(caller).describe(DescribeRequest(services=services), timeout=timeout)
    try:
        async with asyncio.timeout(timeout):
            return await read(told, actor)
    except TimeoutError as exc:
        raise DeadlineError(f"{actor} did not tell its contract in {timeout:g} s") from exc
    except CallError as exc:
        if exc.code is not Code.UNIMPLEMENTED:
            raise
        text = f"{actor} tells no contract; name its generated module with --module"
        raise CallError(exc.code, text) from exc


async def read(told: AsyncIterator[Description], actor: Whom) -> Contract:
    """Make a contract of what an actor tells.

    Raises:
        LimitError, RemoteProtocolError: If it is too much, or is none.
    """
    services: list[ServiceDescription] = []
    pool = DescriptorPool()
    words = size = 0
    async for description in told:
        words, size = words + 1, size + description.ByteSize()
        if words > MAX_WORDS or size > MAX_BYTES:
            raise LimitError(f"bytes of the contract of {actor}", limit=MAX_BYTES, asked=size)
        if description.HasField("service"):
            services.append(description.service)
        elif description.HasField("file"):
            _add(pool, description.file, actor)
    methods: dict[str, Method[Any, Any]] = {}
    for service in services:
        for method in service.methods:
            row = _method(service, method, pool, actor)
            methods[row.route_key] = row
    return Contract(services=tuple(services), methods=methods, pool=pool)


def _add(pool: DescriptorPool, file: bytes, actor: Whom) -> None:
    try:
        pool.AddSerializedFile(file)
    except Exception as exc:  # the library's own words for what is no file, of several classes
        why = str(exc).partition("\n")[0]
        raise RemoteProtocolError(f"{actor} tells a file that cannot be read: {why}") from exc


def _method(
    service: ServiceDescription,
    told: MethodDescription,
    pool: DescriptorPool,
    actor: Whom,
) -> Method[Any, Any]:
    route_key = f"{service.name}.{told.name}"
    try:
        return Method(
            route_key=route_key,
            handler=snake_case(told.name),
            kind=_KINDS[told.requests_stream, told.replies_stream],
            payload_type=PayloadType(told.payload_type),
            request=_message(pool, told.request),
            reply=_message(pool, told.reply),
            conflict_key=told.conflict_key or None,
            max_failures=told.max_failures,
            handler_timeout=told.handler_timeout_ms / 1000 or None,
            is_idempotent=told.is_idempotent,
            requires=tuple(told.requires),
        )
    except (KeyError, ValueError) as exc:
        raise RemoteProtocolError(f"{actor} tells {route_key} as no method can be: {exc}") from exc


def _message(pool: DescriptorPool, name: str) -> type[Message]:
    found: type[Message] = GetMessageClass(pool.FindMessageTypeByName(name))
    return found
