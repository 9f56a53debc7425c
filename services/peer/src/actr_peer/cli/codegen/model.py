"""Descriptors to services and methods with resolved payload types; pure (docs/codegen.md).

A fault in the contract is a :class:`Problem` with file, line, service and method, and what is
allowed there. All problems are found in one pass, so that one run of the compiler shows them all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodOptions, SourceCodeInfo
from google.protobuf.descriptor_pool import DescriptorPool

from actr_peer.cli.codegen import names, rules
from actr_peer.cli.codegen.schemas import schema_name
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.fingerprint import (
    Signature,
    canonical,
    fingerprint,
    number_of,
)
from actr_peer.service import MethodKind

# Field numbers in descriptor.proto: the path to a declaration in SourceCodeInfo.
_SYNTAX, _EDITION, _PACKAGE, _SERVICE, _METHOD = 12, 14, 2, 6, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault in a .proto file."""

    file: str
    line: int
    """From 1; 0 when the compiler gave no positions."""
    where: str
    """``service Chat, method Kick``."""
    text: str
    """What is wrong and what is allowed."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageName:
    """A message type as generated code finds it."""

    full_name: str
    path: str
    """Of its .proto file."""
    module: str
    """``demo.chat_pb2``."""
    attribute: str
    """``Outer.Inner`` for a nested message."""
    schema: str
    """``Outer_InnerSchema``, as protobuf-es has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcMethod:
    """One method, with everything that its options leave to a default filled in."""

    name: str
    handler: str
    route_key: str
    kind: MethodKind
    payload_type: PayloadType
    request: MessageName
    reply: MessageName
    contract: int
    """What travels with each call: the number of the service's form with this method alone."""
    conflict_key: str | None
    max_failures: int
    handler_timeout: float | None
    """Seconds."""
    requires: tuple[str, ...]
    is_idempotent: bool
    comment: str
    is_deprecated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcService:
    """One service."""

    full_name: str
    stem: str
    """``Chat`` for the classes ``ChatService`` and ``ChatClient``."""
    fingerprint: str
    form: str
    """The canonical form, of which the fingerprint is the sum."""
    methods: tuple[RpcMethod, ...]
    comment: str
    is_deprecated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoFile:
    """One .proto file that has services."""

    path: str
    comment: str
    services: tuple[RpcService, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What the compiler gave; ``files`` is complete only when there are no problems."""

    files: tuple[ProtoFile, ...]
    problems: tuple[Problem, ...]


def read(
    files: Iterable[FileDescriptorProto],
    wanted: Collection[str],
    language: names.Language = names.Language.PYTHON,
) -> Contract:
    """Read the services of the wanted files.

    Args:
        files: The wanted files and all that they import, imports first. Parsed while
            ``actr.options_pb2`` is loaded, else their options are unknown fields.
        wanted: Paths, as the compiler knows them.
        language: What is refused for Python is refused for all, so that a contract that one side
            has can be had by the other; TypeScript refuses a few names more.
    """
    pool = DescriptorPool()
    problems: list[Problem] = []
    found: list[ProtoFile] = []
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
        if file.name in wanted and file.service:
            found.append(_FileReader(file, pool, problems, language).read())
    return Contract(files=tuple(found), problems=tuple(problems))


class _FileReader:
    """Reads one file; appends what is wrong with it to a list shared by all files."""

    def __init__(
        self,
        file: FileDescriptorProto,
        pool: DescriptorPool,
        problems: list[Problem],
        language: names.Language,
    ) -> None:
        self._file = file
        self._is_typescript = language is names.Language.TYPESCRIPT
        self._pool = pool
        self._problems = problems
        self._locations = {tuple(at.path): at for at in file.source_code_info.location}

    def read(self) -> ProtoFile:
        refuse = self._refuser((), "file name")
        self._check_module(self._file.name, refuse)
        comments = (self._comment((part,)) for part in (_SYNTAX, _EDITION, _PACKAGE))
        taken: dict[str, str] = {}
        return ProtoFile(
            path=self._file.name,
            comment=next(filter(None, comments), ""),
            services=tuple(self._service(index, taken) for index in range(len(self._file.service))),
        )

    def _service(self, index: int, taken: dict[str, str]) -> RpcService:
        service = self._file.service[index]
        path = (_SERVICE, index)
        full_name = ".".join(filter(None, (self._file.package, service.name)))
        refuse = self._refuser(path, f"service {full_name}")
        stem = names.class_stem(service.name)
        if stem in taken:
            refuse(f"its class would be {stem}Service, as that of {taken[stem]}; rename one")
        taken[stem] = service.name
        default = rules.default_payload_type(service.options, refuse)
        handlers: dict[str, str] = {}
        methods = [
            self._method((*path, _METHOD, number), full_name, default, handlers)
            for number in range(len(service.method))
        ]
        signatures = [self._signature(method) for method in methods]
        return RpcService(
            full_name=full_name,
            stem=stem,
            fingerprint=fingerprint(full_name, signatures),
            form=canonical(full_name, signatures),
            methods=tuple(methods),
            comment=self._comment(path),
            is_deprecated=service.options.deprecated,
        )

    def _method(
        self,
        path: tuple[int, ...],
        service: str,
        default: PayloadType | None,
        taken: dict[str, str],
    ) -> RpcMethod:
        method = self._file.service[path[1]].method[path[3]]
        refuse = self._refuser(path, f"service {service}, method {method.name}")
        handler = names.snake_case(method.name)
        if fault := names.handler_fault(handler):
            refuse(f"its name in Python: {fault}; rename the method")
        if handler in taken:
            refuse(f"its name in Python is {handler!r}, as that of {taken[handler]}; rename one")
        taken[handler] = method.name
        if self._is_typescript:
            _check_typescript(method.name, taken, refuse)
        kind = rules.kind_of(
            requests_stream=method.client_streaming, replies_stream=method.server_streaming
        )
        options = method.options
        lane = rules.payload_type(options, default, kind, refuse)
        request = self._pool.FindMessageTypeByName(method.input_type.lstrip("."))
        reply = self._pool.FindMessageTypeByName(method.output_type.lstrip("."))
        return RpcMethod(
            name=method.name,
            handler=handler,
            route_key=f"{service}.{method.name}",
            kind=kind,
            payload_type=lane,
            request=self._message_name(request, refuse),
            reply=self._message_name(reply, refuse),
            contract=number_of(
                canonical(service, [Signature(method.name, kind.value, lane, request, reply)])
            ),
            conflict_key=rules.conflict_key(options, kind, request, refuse),
            max_failures=rules.max_failures(options, kind, refuse),
            handler_timeout=rules.handler_timeout(options, refuse),
            requires=rules.requires(options, refuse),
            is_idempotent=options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN,
            comment=self._comment(path),
            is_deprecated=options.deprecated,
        )

    def _signature(self, method: RpcMethod) -> Signature:
        return Signature(
            method.name,
            method.kind.value,
            method.payload_type,
            self._pool.FindMessageTypeByName(method.request.full_name),
            self._pool.FindMessageTypeByName(method.reply.full_name),
        )

    def _message_name(self, message: Descriptor, refuse: rules.Refuse) -> MessageName:
        self._check_module(message.file.name, refuse)
        parts = [message.name]
        outer = message.containing_type
        while outer is not None:
            parts.insert(0, outer.name)
            outer = outer.containing_type
        attribute = ".".join(parts)
        if not names.is_importable(attribute):
            refuse(f"message {message.full_name}: its name is a Python keyword; rename it")
        module = names.pb2_module(message.file.name)
        path: str = message.file.name
        return MessageName(
            full_name=message.full_name,
            path=path,
            module=module,
            attribute=attribute,
            schema=schema_name(message),
        )

    def _check_module(self, path: str, refuse: rules.Refuse) -> None:
        if not names.is_importable(module := names.pb2_module(path)):
            refuse(
                f"Python cannot import {module!r}, made from {path}; allowed between slashes: "
                "letters, digits, '_' and '-', not a digit first, not a Python keyword"
            )

    def _refuser(self, path: tuple[int, ...], where: str) -> rules.Refuse:
        """Make the function that notes a problem at this place."""
        at = self._locations.get(path) if path else None
        line = at.span[0] + 1 if at else 0

        def refuse(text: str) -> None:
            problem = Problem(file=self._file.name, line=line, where=where, text=text)
            self._problems.append(problem)

        return refuse

    def _comment(self, path: tuple[int, ...]) -> str:
        at = self._locations.get(path, SourceCodeInfo.Location())
        text = at.leading_comments or at.trailing_comments
        return "\n".join(line.removeprefix(" ").rstrip() for line in text.splitlines()).strip()


def _check_typescript(method: str, taken: dict[str, str], refuse: rules.Refuse) -> None:
    if fault := names.typescript_fault(method):
        refuse(f"its name in TypeScript: {fault}; rename the method")
    member = names.member(method)
    key = f"TypeScript {member}"  # beside the names in Python
    if key in taken:
        refuse(f"its name in TypeScript is {member!r}, as that of {taken[key]}; rename one")
    taken[key] = method
