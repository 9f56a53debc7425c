"""``actr call``: any method of any actor, JSON in and JSON out."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from actr_peer import ActrId
from actr_peer.cli.callers import Visit, durable_config, read_destination
from actr_peer.cli.contracts.asked import ask
from actr_peer.cli.contracts.methods import find_method, methods_of, reply_text
from actr_peer.cli.contracts.requests import Requests, read_metadata
from actr_peer.cli.exits import ToldError, failure_of, printable
from actr_peer.cli.options import ActorArgument, AsJson, Flags, Timeout, with_flags
from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrType
from actr_peer.service import Caller, CallOptions, Method, MethodKind, call_options
from actr_peer.tasks import first_cause

if TYPE_CHECKING:
    from actr_peer.node.node import Node

MethodArgument: TypeAlias = Annotated[
    str, typer.Argument(help="package.Service/Method, or a unique end of it, as Say.")
]
RequestArguments: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JSON",
        help="The request; several for a method that takes a stream. @FILE: those of a file; "
        "-: one a line from standard input.",
    ),
]
Module: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--module", "-m", help="A module that 'actr gen' wrote: take the contract from it."
    ),
]
Metadata: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="Sent along; repeatable.")
]
Durable: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Keep the call below .actr/calls until it is answered: the same KEY again asks for "
        "the same call's reply, and runs nothing twice.",
    ),
]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say wire and times on standard error.")
]

KEPT_ON: Final = "; the call is kept, and --durable with the same KEY asks for its reply"

app = typer.Typer()


@app.command()
@with_flags
def call(
    actor: ActorArgument,
    method: MethodArgument,
    requests: RequestArguments = None,
    *,
    module: Module = None,
    timeout: Timeout = None,
    metadata: Metadata = None,
    durable: Durable = None,
    is_verbose: Verbose = False,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Call a method and print each reply as a line of JSON.

    The actor is asked what its methods and messages are. A method that takes
    a stream takes each JSON as it comes; one that answers with a stream prints
    its items as they come.
    """
    log_warnings(flags.settings().log)
    whom = read_destination(actor)
    options = call_options(None, read_metadata(metadata or ()), durable=durable or False)
    own = flags.caller("call", whom)
    if durable is not None:
        if not isinstance(whom, ActrId):
            raise ConfigError(f"--durable: {whom} may be another actor the next time; name one")
        own = durable_config(own, durable, keeps_id=flags.id is not None)
    row = find_method(methods_of(module), method, module) if module else None
    order = Order(whom=whom, name=method, row=row, requests=Requests(requests or ()))
    printer = _Document(actor) if is_json else _Lines()
    visit = Visit(timeout)
    try:
        run_loop(_call(own, order, options, visit, printer))
    except BaseException as exc:
        if not printer.failed(exc):
            raise
        raise ToldError from exc
    if is_verbose:
        _tell(order, visit, printer)


@dataclass(slots=True, kw_only=True)
class Order:
    """What is to be called."""

    whom: ActrId | ActrType
    name: str
    row: Method[Any, Any] | None
    """The method; None: the actor is asked for it."""
    requests: Requests
    target: ActrId | None = None
    """The actor that it is, once it is found."""
    pool: DescriptorPool | None = None


async def _call(
    config: NodeConfig, order: Order, options: CallOptions, visit: Visit, printer: _Lines
) -> None:
    if order.row is not None:
        _check(order, order.row, options)
    async with visit.running(config) as node:
        order.target = target = await visit.find(node, order.whom)
        is_kept = bool(options.durable)
        async with visit.reaching(node, target, lambda: KEPT_ON if is_kept and order.row else ""):
            caller = node.ref.to(target)
            row = order.row or await _asked(caller, order, options, visit, config.call_timeout)
            printer.pool = order.pool
            printer.began = visit.seconds
            spoken = call_options(visit.left(), options.metadata, durable=options.durable)
            replies = _replies(caller, row, order, spoken)
            async with aclosing(replies):
                async for reply in replies:
                    printer.reply(reply)
            printer.done(node, order, visit)


async def _asked(
    caller: Caller, order: Order, options: CallOptions, visit: Visit, patience: float
) -> Method[Any, Any]:
    """The method as the actor tells it."""
    assert order.target is not None
    contract = await ask(caller, order.target, visit.left(patience) or patience)
    order.row = find_method(contract.methods, order.name, str(order.target))
    order.pool = contract.pool
    _check(order, order.row, options)
    return order.row


def _check(order: Order, row: Method[Any, Any], options: CallOptions) -> None:
    """Tell what is wrong before anything is sent."""
    if options.durable and row.kind is not MethodKind.UNARY:
        raise ConfigError(f"--durable: {row.route_key} is a stream, and only calls are kept")
    if row.kind.requests_stream:
        order.requests.check(row, order.pool)


async def _replies(
    caller: Caller, row: Method[Any, Any], order: Order, options: CallOptions
) -> AsyncGenerator[Message, None]:
    """The replies, one or many."""
    requests, pool = order.requests, order.pool
    match row.kind:
        case MethodKind.UNARY:
            yield await caller.unary(row, await requests.one(row, pool), options)
        case MethodKind.CLIENT_STREAM:
            yield await caller.client_stream(row, requests.all(row, pool), options)
        case MethodKind.SERVER_STREAM:
            request = await requests.one(row, pool)
            async for reply in caller.server_stream(row, request, options):
                yield reply
        case MethodKind.BIDI_STREAM:
            async for reply in caller.bidi_stream(row, requests.all(row, pool), options):
                yield reply


class _Lines:
    """Each reply as a line of JSON."""

    def __init__(self) -> None:
        self.pool: DescriptorPool | None = None
        self.began = 0.0
        """When the call began, in seconds of the visit."""
        self.count = 0
        self.wire = ""
        """What the replies came by."""
        self.seconds = 0.0
        """That the call took, without connecting."""

    def reply(self, reply: Message) -> None:
        self.count += 1
        self._print(reply_text(reply, self.pool))

    def _print(self, text: str) -> None:
        print(text, flush=True)

    def done(self, node: Node, order: Order, visit: Visit) -> None:
        """All replies have come."""
        assert order.target is not None
        link = node.view().link(order.target)
        self.wire = link.active.value if link is not None and link.active is not None else ""
        self.seconds = visit.seconds - max(self.began, visit.connected or 0.0)

    def failed(self, exc: BaseException) -> bool:
        """It came to nothing, or was interrupted; whether it is told already."""
        return False


class _Document(_Lines):
    """One JSON document, written as the replies come, so that an endless stream does not grow."""

    def __init__(self, actor: str) -> None:
        super().__init__()
        self._is_ended = False
        print(f'{{"asked": {json.dumps(actor)}, "replies": [', end="", flush=True)

    def _print(self, text: str) -> None:
        print(f"{', ' if self.count > 1 else ''}{text}", end="", flush=True)

    def done(self, node: Node, order: Order, visit: Visit) -> None:
        super().done(node, order, visit)
        assert order.row is not None
        self._end(
            {
                "actor": str(order.target),
                "method": order.row.route_key,
                "wire": self.wire,
                "start_ms": _ms(visit.started),
                "connect_ms": _ms(max(0.0, (visit.connected or visit.started) - visit.started)),
                "call_ms": _ms(self.seconds),
                "error": None,
            }
        )

    def failed(self, exc: BaseException) -> bool:
        self._end({"error": failure_of(first_cause(exc)).document})
        return True

    def _end(self, rest: Mapping[str, object]) -> None:
        if not self._is_ended:
            self._is_ended = True
            print("], " + json.dumps(rest)[1:], flush=True)


def _tell(order: Order, visit: Visit, printer: _Lines) -> None:
    """Say on standard error what it took."""
    row = order.row
    assert row is not None
    connect = (visit.connected or visit.started) - visit.started
    for line in (
        f"{row.route_key}: {row.kind.value}, {row.payload_type.name}, to {order.target}",
        f"registered in {_ms(visit.started)} ms, connected in {_ms(max(0.0, connect))} ms",
        f"replies: {printer.count} in {_ms(printer.seconds)} ms by {printer.wire or 'no wire'}",
    ):
        print(f"actr: {printable(line)}", file=sys.stderr)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
