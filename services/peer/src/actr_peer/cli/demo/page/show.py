"""The parent of the page: its processes, from the first to Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from actr_peer.cli.demo.children import Child, child
from actr_peer.cli.demo.page.site import SECRET
from actr_peer.cli.demo.stage import (
    ISSUER,
    Show,
    environment,
    peer_settings,
    signaling_service,
    started,
)
from actr_peer.cli.verbs.dev.running.identities import issuer_of
from actr_peer.errors import BrokenError
from actr_peer.tasks import Tasks, first_cause

STAGE_ID: Final = "demo:stage@1:default"
HERE: Final = "127.0.0.1"
"""The page is nobody else's: what it may do is this user's. Other users of this machine reach
loopback too, so its address ends in a secret."""


async def show_page(folder: Path, show: Show, ready: Callable[[str], None]) -> None:
    """Serve the page until cancelled; when it returns, or fails, no process is left.

    Args:
        folder: Scratch files: keys, logs, the realm's secret of this run.
        show: Called with the name of a process and its events.
        ready: Called once, with the page's address, whose fragment lets whoever has it join.

    Raises:
        BrokenError: If one of the processes ends by itself; it says which.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HERE, 0)))
        address = f"http://{HERE}:{listener.getsockname()[1]}"
        secret = folder / "realm"
        secret.write_text(secrets.token_hex(32), encoding="utf-8")
        signaling, url = await stack.enter_async_context(
            signaling_service(folder, secret, show=show, origin=address)
        )
        stage = await stack.enter_async_context(_stage(folder, secret, url, show))
        leave = secrets.token_urlsafe(24)
        site = await stack.enter_async_context(_site(folder, listener, url, leave, show))
        try:
            async with Tasks("page") as tasks:
                for running in (signaling, stage, site):
                    tasks.start(running.name, _until_ended(running))
                ready(f"{address}/#{leave}")
                await asyncio.Event().wait()  # nobody sets it: a process that ends, or a signal
        except BaseExceptionGroup as group:
            raise first_cause(group) from None


async def _until_ended(running: Child) -> None:
    """Follow a process that should go on."""
    how = await running.ended()
    raise BrokenError(f"the {running.title} {how}: {running.last_lines().rpartition(chr(10))[2]}")


@asynccontextmanager
async def _stage(folder: Path, secret: Path, url: str, show: Show) -> AsyncIterator[Child]:
    async with child(
        "stage",
        (sys.executable, "-m", "actr_peer.cli.demo.page.actor"),
        environment=peer_settings(folder, "stage", STAGE_ID, url, secret=secret, kinds="webrtc"),
        log=folder / "stage.log",
    ) as running:
        await started(running, show)
        yield running


@asynccontextmanager
async def _site(
    folder: Path, listener: socket.socket, url: str, leave: str, show: Show
) -> AsyncIterator[Child]:
    settings = {"signaling": url, "issuer": issuer_of(url), "stage": STAGE_ID}
    number = listener.fileno()
    async with child(
        "site",
        (sys.executable, "-m", "actr_peer.cli.demo.page.site", str(number), json.dumps(settings)),
        environment=environment() | {"ACTR_ISSUER__HOME": str(folder / ISSUER), SECRET: leave},
        log=folder / "site.log",
        pass_fds=(number,),
    ) as running:
        await started(running, show)
        yield running


def open_page(address: str) -> bool:
    """Open it in the user's browser; returns whether there is one to see it in.

    Without a screen a browser of the terminal would take it over, and none of those has WebRTC.
    """
    has_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return has_screen and webbrowser.open(address)
