"""What a call inherits from where it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Scope:
    """What a call inherits from the handler that makes it; empty for the shell's calls."""

    traceparent: str = ""
    tracestate: str = ""
    call_chain: tuple[str, ...] = ()
    """Request ids of the handlers that wait for this call, oldest first."""
    remaining: Callable[[], float | None] = field(default=lambda: None)
    """Seconds left of the handler's own deadline; None: it has none."""

    def within(self, timeout: float | None, default: float | None) -> float | None:
        """Seconds that a call may take: what its caller says, or ``default``, and no more than
        its handler has left."""
        if timeout is None:
            timeout = default
        left = self.remaining()
        if left is None:
            return timeout
        return left if timeout is None else min(left, timeout)


ROOT = Scope()
