"""``actr call``: any method of any actor, JSON in and JSON out."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from google.protobuf import json_format
from google.protobuf.message import Message

from actr_peer import ActrId, Service, System
from actr_peer.cli.callers import caller_config
from actr_peer.cli.workloads import find_method, parse_request
from actr_peer.node.config import NodeConfig
from actr_peer.node.process import settings
from actr_peer.node.process.startup import configure_logs, run_loop
from actr_peer.service import Method, MethodKind, call_options

STDIN: Final = "-"

app = typer.Typer()


@app.command()
def call(
    actor: Annotated[str, typer.Argument(help="Whom to call, as acme:room@2:default.")],
    method: Annotated[str, typer.Argument(help="package.Service.Method, or a unique end of it.")],
    request: Annotated[
        str, typer.Argument(help="The request as JSON; - reads one request a line from stdin.")
    ] = "{}",
    *,
    module: Annotated[str, typer.Option("--module", "-m", help="Module that 'actr gen' wrote.")],
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds for all of it.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Read this file, not ./actr.toml or what ACTR_CONFIG names.")
    ] = None,
) -> None:
    """Call a method and print each reply as a line of JSON.

    A method that takes a stream takes one request a line; one that answers with a stream
    prints its items as they come.
    """
    loaded = settings.load(config).settings
    configure_logs(loaded.log.model_copy(update={"level": "warning"}))
    target = ActrId.read(actor)
    row = find_method(module, method)
    if row.kind.requests_stream:
        requests: AsyncIterator[Message] | Message = _requests(row, request)
    else:
        requests = parse_request(row, sys.stdin.read() if request == STDIN else request)
    run_loop(_call(caller_config(loaded, target, "call"), target, row, requests, timeout))


async def _requests(method: Method[Any, Any], request: str) -> AsyncIterator[Message]:
    """The requests of a stream: the one that was given, or one a line from standard input."""
    if request != STDIN:
        yield parse_request(method, request)
        return
    async for line in _stdin_lines():
        if line.strip():
            yield parse_request(method, line)


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


async def _call(
    config: NodeConfig,
    target: ActrId,
    method: Method[Any, Any],
    requests: Any,
    timeout: float | None,
) -> None:
    options = call_options(timeout, None)
    async with System(config).attach(Service()) as node:
        caller = node.ref.to(target)
        match method.kind:
            case MethodKind.UNARY:
                _print(await caller.unary(method, requests, options))
            case MethodKind.CLIENT_STREAM:
                _print(await caller.client_stream(method, requests, options))
            case MethodKind.SERVER_STREAM:
                await _print_all(caller.server_stream(method, requests, options))
            case MethodKind.BIDI_STREAM:
                await _print_all(caller.bidi_stream(method, requests, options))


async def _print_all(replies: AsyncIterator[Message]) -> None:
    async for reply in replies:
        _print(reply)


def _print(reply: Message) -> None:
    shown = json_format.MessageToDict(reply, always_print_fields_with_no_presence=True)
    print(json.dumps(shown), flush=True)
