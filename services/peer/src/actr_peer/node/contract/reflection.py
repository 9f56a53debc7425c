"""The service ``actr.Reflection`` of every actor: its services and messages, told by itself.

It is made of the static tables and of the descriptors that the generated modules have loaded, so
that it always is what runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from google.protobuf.descriptor import FileDescriptor

from actr.services.reflection_actr import ReflectionService
from actr.services.reflection_pb2 import (
    DescribeRequest,
    Description,
    MethodDescription,
    ServiceDescription,
)
from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Method, Service

Rows = Sequence[Method[Any, Any]]


class Asked(Protocol):
    """What is read of the request's :class:`~actr_peer.Context`."""

    @property
    def self_id(self) -> ActrId: ...


class ReflectionHere(ReflectionService):
    """Tells of the services of one actor.

    Args:
        services: Of the actor, itself among them; read anew each time it is asked.
        is_on: Whether it tells anything.
    """

    def __init__(self, services: Sequence[type[Service]], *, is_on: bool) -> None:
        self._services = services
        self._is_on = is_on

    async def describe(self, request: DescribeRequest, ctx: Asked, /) -> AsyncIterator[Description]:
        if not self._is_on:
            raise CallError(
                Code.UNIMPLEMENTED, f"{ctx.self_id} does not tell its contract (actor.reflection)"
            )
        tables = _tables(self._services)
        missing = [name for name in request.services if name not in tables]
        if missing:
            raise CallError(
                Code.NOT_FOUND,
                f"{ctx.self_id} has no service {missing[0]!r}; it has {', '.join(tables)}",
            )
        wanted = {name: tables[name] for name in request.services or tables}
        for name, (fingerprint, rows) in wanted.items():
            service = ServiceDescription(name=name, fingerprint=fingerprint)
            service.methods.extend(_described(row) for row in rows)
            yield Description(service=service)
        for file in _files(wanted):
            yield Description(file=file.serialized_pb)


def _tables(services: Iterable[type[Service]]) -> Mapping[str, tuple[str, Rows]]:
    """Fingerprint and methods of each service, by its full name."""
    rows: dict[str, list[Method[Any, Any]]] = {}
    fingerprints: dict[str, str] = {}
    for service in services:
        fingerprints.update(service.fingerprints())
        for name in service.fingerprints():  # one without a method is one, too
            rows.setdefault(name, [])
        for route_key, method in service.method_table().items():
            rows.setdefault(route_key.rpartition(".")[0], []).append(method)
    return {name: (fingerprints.get(name, ""), methods) for name, methods in rows.items()}


def _described(method: Method[Any, Any]) -> MethodDescription:
    return MethodDescription(
        name=method.route_key.rpartition(".")[2],
        requests_stream=method.kind.requests_stream,
        replies_stream=method.kind.replies_stream,
        payload_type=method.payload_type,
        request=method.request.DESCRIPTOR.full_name,
        reply=method.reply.DESCRIPTOR.full_name,
        conflict_key=method.conflict_key or "",
        max_failures=method.max_failures,
        handler_timeout_ms=round((method.handler_timeout or 0) * 1000),
        is_idempotent=method.is_idempotent,
        requires=method.requires,
    )


def _files(wanted: Mapping[str, tuple[str, Rows]]) -> Iterable[FileDescriptor]:
    """The files of all messages and services, each behind those that it imports."""
    found: dict[str, FileDescriptor] = {}
    for name, (_, rows) in wanted.items():
        for method in rows:
            for message in (method.request, method.reply):
                file = message.DESCRIPTOR.file
                _collect(file, found)
                try:
                    _collect(file.pool.FindServiceByName(name).file, found)
                except KeyError:  # declared in a file of its own, which nobody has loaded
                    continue
    return found.values()


def _collect(file: FileDescriptor, found: dict[str, FileDescriptor]) -> None:
    if file.name in found:
        return
    for imported in file.dependencies:
        _collect(imported, found)
    found[file.name] = file
