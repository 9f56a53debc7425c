"""Who chooses an actor for calls to a type, and what calls tell of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.doubts import Doubts
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.service import Caller


class Link(Protocol):
    """What is asked of a link."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def was_ready(self) -> bool: ...

    async def ready(self) -> None: ...


class Call(Protocol):
    """A call to the type, as who chooses for it sees it."""

    service: str
    """``package.Service`` of its method."""
    fingerprint: str
    """The service's, here; empty: unknown."""

    @property
    def left_out(self) -> set[ActrId]:
        """Who is not to be chosen."""


class Chooser(Protocol):
    """The gate whose call it is."""

    @property
    def waits(self) -> bool:
        """Whether calls wait for a link that is being mended."""

    @property
    def name(self) -> str:
        """Of the type."""

    async def choose(self, call: Call) -> ActrId | None:
        """Who is asked next; None: nobody is left."""

    def chosen(self, call: Call) -> ActrId | None:
        """Who is asked, as far as that is known without asking anybody."""

    def link(self, remote: ActrId) -> Link: ...

    def gate(self, remote: ActrId) -> Caller: ...

    def lost(self, call: Call, remote: ActrId) -> None:
        """It could not be reached, or is gone."""

    def unfit(self, call: Call, remote: ActrId) -> None:
        """Its contract is another one."""

    def slow(self, call: Call, remote: ActrId) -> None:
        """It did not answer in time."""


class Signaling(Protocol):
    """Who knows who is online."""

    def discover(
        self,
        actr_type: str = "",
        *,
        service: str = "",
        fingerprint: str = "",
        stickiness: str = "",
        limit: int = 0,
    ) -> Awaitable[list[Presence]]: ...

    def lookup(self, actr_id: ActrId) -> Awaitable[Presence | None]: ...


class Links(Protocol):
    """The way to others."""

    def link(self, remote: ActrId) -> Link: ...


class Asker(Protocol):
    """Who asks for the type."""

    @property
    def id(self) -> ActrId: ...

    @property
    def call_timeout(self) -> float:
        """Seconds of a unary call that says none."""

    @property
    def signaling(self) -> Signaling: ...

    @property
    def transport(self) -> Links: ...

    @property
    def doubts(self) -> Doubts: ...

    def caller_to(self, remote: ActrId, scope: Scope, *, wait_for_ready: bool = True) -> Caller: ...
