"""The engine of all connections of a process, imported when the first of them needs it.

The library takes half a second to import and 35 MB to hold, of which an actor without WebRTC
traffic has no use. It is imported in a thread: the loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from actr_peer.errors import ConfigError
from actr_peer.wire.webrtc.engine import EngineFactory

log = logging.getLogger(__name__)


def load_aiortc() -> EngineFactory:
    """The engine on aiortc.

    Raises:
        ImportError: If aiortc, or what it needs, is not there in the version that is wanted.
    """
    from actr_peer.wire.webrtc.aiortc.engine import AiortcEngine

    return AiortcEngine


class LateEngine:
    """Makes engines, once what makes them is loaded; on one event loop.

    Args:
        load: Called once, in a thread.
        settled: Called on the loop when it has returned or failed.
        make: What it would return, where that is there already.

    Attributes:
        make: Makes an engine; None: it is not loaded.
        error: Why it cannot be loaded, for good.
    """

    def __init__(
        self,
        load: Callable[[], EngineFactory],
        settled: Callable[[], None],
        make: EngineFactory | None = None,
    ) -> None:
        self.make = make
        self.error: ConfigError | None = None
        self._load, self._settled = load, settled
        self._loading: asyncio.Future[EngineFactory] | None = None

    def begin(self) -> None:
        """Have it loaded, once; returns at once."""
        if self.make is None and self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
            self._loading.add_done_callback(self._loaded)

    async def ready(self) -> None:
        """Wait until it is loaded. Cancelling loses nothing: it goes on being loaded.

        Raises:
            ConfigError: If it cannot be loaded.
        """
        self.begin()
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if self.error is not None:
            raise self.error

    def _loaded(self, loading: asyncio.Future[EngineFactory]) -> None:
        if loading.cancelled():  # the loop ends
            return
        exc = loading.exception()
        if exc is None:
            self.make = loading.result()
        else:
            self.error = ConfigError(f"no WebRTC: {exc}")
            self.error.__cause__ = exc
            log.error("WebRTC engine not loaded: cause=%s", exc, exc_info=exc)
        self._settled()
