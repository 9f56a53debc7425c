"""``actr receive FOLDER``: an actor that takes files, until it is asked to stop."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actr_peer.cli.options import AsLines, Flags, with_flags
from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.settings import Mailbox
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
from actr_peer.service import Service
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.actor.files.receiving import Receiving
    from actr_peer.actor.files.rules import FileRules
    from actr_peer.actor.files.told import ReceivedFile
    from actr_peer.protocol.files.manifest import FileOffer
    from actr_peer.protocol.identity import ActrId

_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)(i?B)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

app = typer.Typer()


@app.command()
@with_flags
def receive(
    folder: Annotated[Path, typer.Argument(help="Where it goes; made if it is not there.")],
    *,
    once: Annotated[bool, typer.Option("--once", help="End after one transfer.")] = False,
    quota: Annotated[
        str, typer.Option(help="The most that the folder may hold, as 500M or 20G.")
    ] = "",
    max_files: Annotated[int | None, typer.Option(min=1, help="The most files likewise.")] = None,
    existing: Annotated[
        ExistingFile, typer.Option(help="What becomes of a name that is there already.")
    ] = ExistingFile.NUMBER,
    sender: Annotated[
        list[str] | None, typer.Option("--from", help="Only this actor, or type of actor.")
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Take names that begin with a dot, too.")
    ] = False,
    is_json: AsLines = False,
    flags: Flags,
) -> None:
    """Receive files and directories, and print what came.

    The actor is the one of the configuration, without a mailbox unless --mailbox names one.
    SIGTERM or Ctrl-C ends it; what was under way goes on when both are started again.
    """
    from actr_peer.actor.files.rules import FileRules  # by what help and completion do without

    loaded = flags.settings()
    configure_logs(loaded.log)
    senders = tuple(sender or ())
    size = size_of(quota) if quota else None
    ended = asyncio.Event()

    def came(received: ReceivedFile) -> None:
        _print(received, as_json=is_json)
        if once:
            ended.set()

    rules = FileRules(
        allow=lambda who, offer: not senders or _is_one(who, offer, senders),
        quota=FileQuota(size, max_files),
        existing=existing,
        hidden=hidden,
        on_received=came,
    )
    if flags.mailbox is None:
        loaded = loaded.model_copy(update={"mailbox": Mailbox(path="")})
    run_loop(_receive(NodeConfig.from_settings(loaded), folder, rules, ended))


def size_of(text: str) -> int:
    """Bytes, from ``500M`` and the like; K, M, G and T are powers of 1024.

    Raises:
        ConfigError: If it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"quota {text!r}: write bytes, or a number with K, M, G or T, as 500M")
    return int(match[1]) * _UNITS[match[2].upper()]


def _is_one(who: ActrId, _: FileOffer, senders: tuple[str, ...]) -> bool:
    return str(who) in senders or who.actr_type in senders


async def _receive(config: NodeConfig, folder: Path, rules: FileRules, once: asyncio.Event) -> None:
    from actr_peer.node.process.serving import serve
    from actr_peer.node.system import System

    async with (
        System(config).attach(Service()) as node,
        node.ref.receive_files(folder, rules) as receiving,
        Tasks("receive") as tasks,
    ):
        serving = tasks.start("serving", serve(node))
        one = tasks.start("once", _after(once, receiving))
        await asyncio.wait({serving, one}, return_when=asyncio.FIRST_COMPLETED)


async def _after(once: asyncio.Event, receiving: Receiving) -> None:
    """Wait for one transfer, and until its sender knows."""
    await once.wait()
    await receiving.idle()


def _print(received: ReceivedFile, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(received) | {"sender": str(received.sender)}), flush=True)
    else:
        what = "was there already" if received.was_there else f"{received.size_bytes} bytes"
        print(f"{received.path}: {what}, from {received.sender}", flush=True)
