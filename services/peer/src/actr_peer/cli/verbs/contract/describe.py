"""``actr describe``: what an actor serves, told by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from actr.services.reflection_pb2 import ServiceDescription
from actr_peer import ActrId
from actr_peer.cli.callers import Visit, read_destination
from actr_peer.cli.contracts.asked import Contract, ask
from actr_peer.cli.contracts.methods import near_end
from actr_peer.cli.contracts.shown import (
    document_of,
    enum_lines,
    message_lines,
    method_line,
    text_of,
)
from actr_peer.cli.exits import printable
from actr_peer.cli.options import ActorArgument, AsJson, Flags, ShowAll, Timeout, with_flags
from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrType

RUNTIME = "actr."
"""How services begin that every actor has."""


@with_flags
def describe(
    actor: ActorArgument,
    name: Annotated[
        str | None, typer.Argument(help="One service, method, message or enum; all without.")
    ] = None,
    *,
    is_all: ShowAll = False,
    timeout: Timeout = None,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Print the services of an actor, their methods with payload types, and their messages."""
    log_warnings(flags.settings().log)
    whom = read_destination(actor)
    own = flags.caller("describe", whom)
    found: list[tuple[ActrId, Contract]] = []
    run_loop(_ask(own, whom, Visit(timeout), found))
    target, contract = found[0]
    services = [
        service
        for service in contract.services
        if is_all or name is not None or not service.name.startswith(RUNTIME)
    ]
    if name is not None and not is_json:
        print(printable(_one(name, services, contract, actor)))
        return
    if name is not None:
        services = [_service(name, services, contract, actor)]
    if is_json:
        print(json.dumps({"actor": str(target), **document_of(services, contract)}, indent=2))
    elif not services:
        print(f"{target} serves nothing of its own; --all shows what every actor has")
    else:
        print(printable("\n\n".join(text_of(services, contract))))


async def _ask(
    config: NodeConfig,
    whom: ActrId | ActrType,
    visit: Visit,
    found: list[tuple[ActrId, Contract]],
) -> None:
    async with visit.running(config) as node:
        target = await visit.find(node, whom)
        async with visit.reaching(node, target):
            patience = visit.left(config.call_timeout) or config.call_timeout
            found.append((target, await ask(node.ref.to(target), target, patience)))


def _one(name: str, services: Sequence[ServiceDescription], contract: Contract, actor: str) -> str:
    """What has this name, a method's with the messages that it takes and gives."""
    wanted = name.replace("/", ".")
    if any(service.name == wanted for service in services):
        chosen = [service for service in services if service.name == wanted]
        return "\n\n".join(text_of(chosen, contract))
    if wanted in contract.methods:
        method = contract.methods[wanted]
        shown = {m.DESCRIPTOR.full_name: m.DESCRIPTOR for m in (method.request, method.reply)}
        blocks = ["\n".join(message_lines(message)) for message in shown.values()]
        return "\n\n".join([method_line(method), *blocks])
    with suppress(KeyError):
        return "\n".join(message_lines(contract.pool.FindMessageTypeByName(wanted)))
    with suppress(KeyError):
        return "\n".join(enum_lines(contract.pool.FindEnumTypeByName(wanted)))
    known = [service.name for service in services] + list(contract.methods)
    raise ConfigError(f"{actor} has no {name!r}{near_end(wanted, known)}")


def _service(
    name: str, services: Sequence[ServiceDescription], contract: Contract, actor: str
) -> ServiceDescription:
    """The service of this name, or the one whose method it is."""
    wanted = name.replace("/", ".")
    for service in services:
        if wanted == service.name or wanted.rpartition(".")[0] == service.name:
            return service
    known = [service.name for service in services]
    raise ConfigError(f"{actor} has no service {name!r}{near_end(wanted, known)}")
