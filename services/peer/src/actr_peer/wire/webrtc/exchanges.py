"""One connection's descriptions and candidates, between signaling and the engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import assert_never

from actr_peer.errors import BrokenError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.candidates import MAX_TRICKLED, CandidateInbox, clean
from actr_peer.protocol.webrtc.negotiation import (
    Action,
    Answer,
    Body,
    Bye,
    Candidate,
    Input,
    Join,
    NegotiateMessage,
    Negotiation,
    Offer,
    RequestCause,
    RequestOffer,
    Role,
    State,
)
from actr_peer.wire.webrtc.engine import Engine

MAX_INPUTS = 128
ANSWER_TIMEOUT = 5.0
"""After which an exchange on an open connection is begun again: a message got lost."""

Relay = Callable[[ActrId, NegotiateMessage], Awaitable[None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """What the negotiation decides on: a message of the far side, or what happened here."""

    input: Input
    exchange: int = 0
    """Of an offer or an answer."""
    body: Offer | Answer | RequestOffer | None = None


@dataclass(frozen=True, slots=True)
class OwnCandidate:
    """A way to reach this side, for the far side."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class FarCandidate:
    """A way to reach the far side, for the engine."""

    candidate: Candidate


class Exchanges:
    """Feeds one ``Negotiation`` and does what it says; :meth:`run` is its only reader.

    Owned by a ``WebRtcWire``, which calls the synchronous methods and runs :meth:`run` as a
    task of its own.

    Args:
        relay: Brings a message to the far side by way of signaling, or raises ``PeerError``.
        failed: Called once when negotiation cannot go on; :meth:`run` ends with it.
    """

    def __init__(
        self,
        connection_id: str,
        *,
        remote: ActrId,
        role: Role,
        engine: Engine,
        relay: Relay,
        failed: Callable[[PeerError], None],
    ) -> None:
        self.connection_id = connection_id
        self.remote = remote
        self.is_open = False
        self.is_described = False
        """Whether a description of the far side was taken."""
        self._negotiation = Negotiation(role)
        self._engine = engine
        self._relay = relay
        self._failed = failed
        self._inbox = CandidateInbox(engine.address_rule)
        self._inputs: asyncio.Queue[Event | OwnCandidate | FarCandidate] = asyncio.Queue(MAX_INPUTS)
        self._is_repeating = False
        """What was said is to be said again, and no more than once."""
        self._said: list[NegotiateMessage] = []
        # Who waits for an exchange: before it began, and since.
        self._fresh: list[asyncio.Future[None]] = []
        self._waiting: list[asyncio.Future[None]] = []

    # Inputs: synchronous, from signaling, the owner and the engine

    def receive(self, message: NegotiateMessage) -> None:
        """Take one message of the far side."""
        match message.body:
            case Offer():
                self.is_described = True
                self._put(Event(Input.OFFER, message.exchange, message.body))
            case Answer():
                self.is_described = True
                self._put(Event(Input.ANSWER, message.exchange, message.body))
            case RequestOffer():
                self._put(Event(Input.REQUEST, body=message.body))
            case Candidate():
                self._put(FarCandidate(message.body))
            case Bye() | Join():
                raise AssertionError("the owner takes it")
            case _:
                assert_never(message.body)

    def opened(self) -> None:
        """The connection is open: from now on a relay that fails is tried again, not fatal."""
        self.is_open = True
        self._said.clear()

    def changed(self) -> None:
        """Make a new exchange: this side's tracks changed, or nothing was said yet."""
        self._put(Event(Input.CHANGED))

    async def settled(self) -> None:
        """Make a new exchange and wait until it, and what came meanwhile, is done.

        Raises:
            BrokenError: If the connection ends first.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fresh.append(done)
        self.changed()
        await done

    def end(self) -> None:
        """The connection is gone: nobody waits any longer."""
        self._waiting += self._fresh
        self._fresh.clear()
        self._settle(BrokenError(f"the WebRTC connection to {self.remote} is gone"))

    def _settle(self, error: PeerError | None) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            if done.done():  # cancelled
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def repeat(self) -> None:
        """Say again what was said; does nothing once a description of the far side is here."""
        if not self.is_described and not self._is_repeating:
            self._is_repeating = True
            self._put(Event(Input.OVERDUE))

    def candidate(self, candidate: Candidate) -> None:
        """Tell the far side of one more way to reach this one."""
        self._put(OwnCandidate(candidate))

    def _put(self, taken: Event | OwnCandidate | FarCandidate) -> None:
        try:
            self._inputs.put_nowait(taken)
        except asyncio.QueueFull:
            self._failed(LimitError("negotiation messages", limit=MAX_INPUTS, asked=MAX_INPUTS + 1))

    # The reader

    async def run(self) -> None:
        """Negotiate until cancelled, or until it cannot go on."""
        try:
            while True:
                match await self._next():
                    case Event() as event:
                        await self._decide(event)
                    case OwnCandidate(candidate):
                        await self._say(candidate)
                    case FarCandidate(candidate):
                        for tried in self._inbox.receive(candidate):
                            await self._engine.add_candidate(tried)
        except PeerError as error:
            self._failed(error)

    async def _next(self) -> Event | OwnCandidate | FarCandidate:
        is_waiting = self.is_open and self._negotiation.state is not State.STABLE
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT if is_waiting else None):
                return await self._inputs.get()
        except TimeoutError:
            return Event(Input.OVERDUE)

    async def _decide(self, event: Event) -> None:
        """Have the negotiation say what to do, and do it."""
        if event.input is Input.OVERDUE and not self.is_open:
            self._is_repeating = False
            await self._say_again()
            return
        if isinstance(event.body, RequestOffer) and self._engine.media is not None:
            self._engine.media.expect(event.body.tracks)
        if event.input is Input.CHANGED:
            self._waiting += self._fresh
            self._fresh.clear()
        for action in self._negotiation.handle(event.input, event.exchange):
            await self._perform(action, event.body)
        if self._negotiation.state is State.STABLE:
            self._settle(None)

    async def _perform(self, action: Action, body: Body | None) -> None:
        match action:
            case Action.SEND_OFFER:
                await self._say(await self._engine.offer())
            case Action.SEND_REQUEST:
                media = self._engine.media
                wanted = media.wanted() if media is not None else {}
                await self._say(RequestOffer(RequestCause.TRACKS, wanted))
            case Action.APPLY_AND_ANSWER:
                assert isinstance(body, Offer)
                offer = replace(body, sdp=clean(self._inbox.rule, body.sdp))
                await self._say(await self._engine.answer(offer))
                await self._described()
            case Action.APPLY_ANSWER:
                assert isinstance(body, Answer)
                answer = replace(body, sdp=clean(self._inbox.rule, body.sdp))
                await self._engine.accept(answer)
                await self._described()
            case Action.CLOSE_CONNECTION:
                raise AssertionError("the owner closes")
            case _:
                assert_never(action)

    async def _described(self) -> None:
        for candidate in self._inbox.described():
            await self._engine.add_candidate(candidate)

    async def _say(self, body: Body) -> None:
        message = NegotiateMessage(self.connection_id, self._negotiation.exchange, body)
        if not self.is_open and len(self._said) < MAX_TRICKLED:
            self._said.append(message)
        try:
            await self._relay(self.remote, message)
        except PeerError as error:
            if not self.is_open and not isinstance(body, Candidate):
                raise
            log.info("relay failed, tried again: remote=%s cause=%s", self.remote, error)

    async def _say_again(self) -> None:
        for message in tuple(self._said):
            await self._relay(self.remote, message)

    async def bye(self, reason: str) -> None:
        """Tell the far side that the connection is given up, if that can be told."""
        try:
            await self._relay(self.remote, NegotiateMessage(self.connection_id, 0, Bye(reason)))
        except PeerError as error:
            log.debug("bye not told: remote=%s cause=%s", self.remote, error)
