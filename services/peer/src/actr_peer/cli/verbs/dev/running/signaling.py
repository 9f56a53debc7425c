"""The signaling service of ``actr dev``: on memory, on the loopback, for as long as that runs."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Final

from actr_peer.cli.demo.children import Child, bare_environment
from actr_peer.cli.verbs.dev.running.process import process
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.errors import BrokenError, ConfigError, PeerError
from actr_peer.protocol.wire.backoff import doubled

PROGRAM: Final = (sys.executable, "-m", "actr_signaling", "--ready-fd", "{}")
HOST: Final = "127.0.0.1"
USUAL_PORT: Final = 8080
"""Where all look for it who are told nothing."""
START_TIMEOUT: Final = 30.0
MOST_REST: Final = 30.0


def check_installed() -> None:
    """Raises:
    ConfigError: If there is no signaling service to start.
    """
    if find_spec("actr_signaling") is None:
        raise ConfigError(
            "the signaling service is not installed: pip install actr-signaling, or name one that "
            "runs with --signaling ws://…"
        )


def free_port(usual: int = USUAL_PORT) -> int:
    """The usual port if nobody has it, else another that is free."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return 0


class Signaling:
    """The service as a process, which starts anew on its port should it end.

    Args:
        settings: Its environment besides: whom it believes; none: development mode.
        show: Takes each line of its output.
        lost: Hears how a process ended that should go on, and in how many seconds the next starts.
        back: Hears the URL when that one is ready.
    """

    def __init__(
        self,
        port: int,
        settings: Mapping[str, str],
        show: Callable[[Line], None],
        lost: Callable[[str, float], None],
        back: Callable[[str], None],
    ) -> None:
        self._port = port
        self._settings = settings
        self._show = show
        self._lost, self._back = lost, back

    async def run(self, ready: asyncio.Future[str]) -> None:
        """Serve until this is cancelled.

        Args:
            ready: Gets its URL, or why the first start failed.
        """
        failures = 0
        while True:
            try:
                async with self.started() as (service, url):
                    if not ready.done():
                        ready.set_result(url)
                    elif failures:
                        self._back(url)
                    failures = 0
                    how = await service.ended()
            except (BrokenError, ConfigError) as exc:
                if not ready.done():
                    if self._has_moved():
                        continue
                    ready.set_exception(exc)
                    return
                how = str(exc)
            failures += 1
            rest = doubled(1.0, failures, MOST_REST)
            self._lost(how, rest)
            await asyncio.sleep(rest)

    def _has_moved(self) -> bool:
        """Take another port, once: somebody may have taken the usual one meanwhile."""
        if self._port != USUAL_PORT:
            return False
        self._port = free_port(0)
        return True

    @asynccontextmanager
    async def started(self) -> AsyncIterator[tuple[Child, str]]:
        """One process of it, and its URL.

        Raises:
            ConfigError: If it ends before it is ready; with its last words.
            BrokenError: If it is not ready in time.
        """
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        last: list[str] = []

        def show(line: Line) -> None:
            last[:] = [line.text]
            if heard.done():  # else it is what the error says
                self._show(line)

        def told(line: bytes) -> None:
            if not heard.done():  # b"": it has ended without a word
                heard.set_result(_url_in(line))

        failure: PeerError | None = None
        async with process("signaling", PROGRAM, self._environment(), show, told) as service:
            url = ""
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    url = await heard
                how = "" if url else await service.ended()
            except TimeoutError:
                failure = BrokenError(f"signaling is not ready after {START_TIMEOUT:g} s")
            if url:
                yield service, url
                return
        # Outside of the block: what it raises comes in a group, and now all of its words are here.
        said = "".join(last) or "no word"
        raise failure or ConfigError(f"the signaling service {how} at its start: {said}")

    def _environment(self) -> Mapping[str, str]:
        own = {
            "ACTR_SIGNALING__LISTEN": f"{HOST}:{self._port}",
            "ACTR_SIGNALING__DRAIN": "0",
            "ACTR_SIGNALING__CONSOLE": "here",
            "ACTR_SIGNALING__LOG_FORMAT": "json",
        }
        return {**bare_environment(), **own, **self._settings}


def _url_in(line: bytes) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        return ""
    return str(found.get("url", "")) if isinstance(found, dict) else ""
