"""Whether peers built from an older and a newer contract understand each other.

Both directions count: old and new peers run side by side while replicas are replaced. A change
is *breaking* when one side cannot read the other, or puts a method on another lane; it is a
*note* when both run on but something differs: values cut, JSON names, order, tries.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from actr_peer.cli.codegen.compatibility.changes import Change, Changes, Rule, Severity
from actr_peer.cli.codegen.compatibility.shapes import Shapes
from actr_peer.cli.codegen.model import RpcMethod, RpcService, read
from actr_peer.errors import ConfigError


def compare(old: CodeGeneratorRequest, new: CodeGeneratorRequest) -> list[Change]:
    """List the changes from ``old`` to ``new``, breaking ones first, then by place.

    Compared are the services of the wanted files with every message and enum that they reach,
    and the messages and enums that both sides declare in those files under one name. What
    travels inside ``bytes`` or ``google.protobuf.Any``, and extensions, are not followed.

    Raises:
        ConfigError: If one of the contracts is one that protoc-gen-actr refuses.
    """
    changes = _Comparison(_Side(old), _Side(new)).run()
    return sorted(changes, key=lambda c: (c.severity is Severity.NOTE, c.where, c.rule.value))


class _Side:
    """One of the two contracts."""

    def __init__(self, request: CodeGeneratorRequest) -> None:
        wanted = frozenset(request.file_to_generate)
        contract = read(request.proto_file, wanted)
        if contract.problems:
            raise ConfigError("\n".join(map(str, contract.problems)))
        self.services = {
            service.full_name: service for file in contract.files for service in file.services
        }
        self.pool = DescriptorPool()
        self.messages: dict[str, Descriptor] = {}
        self.enums: dict[str, EnumDescriptor] = {}
        for file in request.proto_file:
            self.pool.AddSerializedFile(file.SerializeToString())
            if file.name in wanted:
                declared = self.pool.FindFileByName(file.name)
                self.enums |= {e.full_name: e for e in declared.enum_types_by_name.values()}
                self._declare(declared.message_types_by_name.values())

    def _declare(self, messages: Iterable[Descriptor]) -> None:
        for message in messages:
            self.messages[message.full_name] = message
            self.enums |= {enum.full_name: enum for enum in message.enum_types}
            self._declare(message.nested_types)


class _Comparison:
    def __init__(self, old: _Side, new: _Side) -> None:
        self._changes = Changes()
        self._shapes = Shapes(self._changes)
        self._old = old
        self._new = new

    def run(self) -> Changes:
        for name, service in self._old.services.items():
            if name not in self._new.services:
                self._changes.add_breaking(
                    Rule.SERVICE_REMOVED, name, "its callers get UNIMPLEMENTED"
                )
            else:
                self._service(service, self._new.services[name])
        for name in self._new.services.keys() - self._old.services.keys():
            self._changes.add_note(Rule.ADDED, name, "new service")
        for name in self._old.messages.keys() & self._new.messages.keys():
            self._shapes.compare_messages(self._old.messages[name], self._new.messages[name])
        for name in self._old.enums.keys() & self._new.enums.keys():
            self._shapes.compare_enums(self._old.enums[name], self._new.enums[name])
        return self._changes

    def _service(self, old: RpcService, new: RpcService) -> None:
        methods = {method.name: method for method in new.methods}
        for method in old.methods:
            successor = methods.pop(method.name, None)
            if successor is None:
                text = "its callers get UNIMPLEMENTED"
                self._changes.add_breaking(Rule.METHOD_REMOVED, method.route_key, text)
            else:
                self._method(method, successor)
        for method in methods.values():
            self._changes.add_note(
                Rule.ADDED, method.route_key, "new method; peers before it refuse it"
            )

    def _method(self, old: RpcMethod, new: RpcMethod) -> None:
        where = old.route_key
        if old.kind is not new.kind:
            text = f"{old.kind.value} became {new.kind.value}"
            self._changes.add_breaking(Rule.METHOD_KIND, where, text)
        elif old.payload_type is not new.payload_type:
            text = f"{old.payload_type.name} became {new.payload_type.name}"
            self._changes.add_breaking(Rule.LANE, where, text)
        self._options(old, new)
        for before, after in ((old.request, new.request), (old.reply, new.reply)):
            if before.full_name != after.full_name:
                text = f"{before.full_name} became {after.full_name}: names do not travel"
                self._changes.add_note(Rule.TYPE_NAME, where, text)
            self._shapes.compare_messages(
                self._old.pool.FindMessageTypeByName(before.full_name),
                self._new.pool.FindMessageTypeByName(after.full_name),
            )

    def _options(self, old: RpcMethod, new: RpcMethod) -> None:
        """What peers of both contracts run on with."""
        where = old.route_key
        if old.conflict_key != new.conflict_key:
            text = f"conflict_key {_quoted(old.conflict_key)} became {_quoted(new.conflict_key)}"
            self._changes.add_note(
                Rule.ORDER, where, f"{text}: another set of requests keeps its order"
            )
        if old.max_failures != new.max_failures:
            text = f"max_failures {old.max_failures} became {new.max_failures}"
            self._changes.add_note(Rule.FAILURES, where, text)
        if old.handler_timeout != new.handler_timeout:
            text = f"{_seconds(old.handler_timeout)} became {_seconds(new.handler_timeout)}"
            self._changes.add_note(Rule.TIMEOUT, where, f"a handler may run {text}")
        if old.is_idempotent != new.is_idempotent:
            text = "it may run twice now"
            if old.is_idempotent:
                text = "it must not run twice now, and callers before it may still have it do so"
            self._changes.add_note(Rule.IDEMPOTENCY, where, text)
        if set(old.requires) != set(new.requires):
            text = f"{_listed(old.requires)} became {_listed(new.requires)}"
            self._changes.add_note(
                Rule.CLAIMS, where, f"requires {text}: who lacks a claim gets PERMISSION_DENIED"
            )


def _quoted(key: str | None) -> str:
    return "absent" if key is None else f'"{key}"'


def _listed(claims: Iterable[str]) -> str:
    return ", ".join(sorted(claims)) or "nothing"


def _seconds(timeout: float | None) -> str:
    return "without bound" if timeout is None else f"{timeout:g} s"
