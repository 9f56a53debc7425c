"""Durable calls on their way: sent in order, again after every loss, until answered.

The outbox keeps them; here they meet the links. Each new link to a remote first gets all calls
that the remote has not answered, in the order of their numbers, so that calls of one caller
keep their order across restarts of either side.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from actr_peer.errors import BusyError, CallError, Code, DeadlineError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES
from actr_peer.protocol.rpc.contracts.refusals import is_refusal
from actr_peer.protocol.rpc.envelopes import (
    NO_EXTRAS,
    Envelope,
    Extras,
    contract_of,
    decode_envelope,
    encode_error,
    encode_request,
    with_contract,
)
from actr_peer.protocol.wire.backoff import doubled
from actr_peer.rpc.calls import expire, new_request_id
from actr_peer.rpc.destinations.contracts import Contracts
from actr_peer.rpc.destinations.lateness import last_known
from actr_peer.service import CallOptions, Method, known_method
from actr_peer.state.outbox.call import DurableCall, Encode
from actr_peer.state.outbox.outbox import Outbox
from actr_peer.transport.link import Link
from actr_peer.transport.remote import RemoteTransport

log = logging.getLogger(__name__)


class _NotAccepted(Exception):  # noqa: N818 - not an error by itself
    """Time was up before the call was on disk: nothing is kept of it."""


FIRST_REDIAL = 0.5
LAST_REDIAL = 10.0
"""Seconds until a remote that is gone is dialled again for the calls it owes; doubled between."""


class DurableCalls:
    """All durable calls of a node; owned by the node, inside the outbox's block."""

    def __init__(self, outbox: Outbox, transport: RemoteTransport) -> None:
        self.outbox = outbox
        self.contracts = Contracts()
        self._transport = transport
        self._links: dict[ActrId, Link] = {}
        """The link on which all open calls of a remote are, for those that have one."""
        self._redials: dict[ActrId, asyncio.TimerHandle] = {}
        self._failures: dict[ActrId, int] = {}
        """Redials in a row, of those that are redialled."""
        self._causes: dict[ActrId, str] = {}
        """Why, of the same."""
        self._unwanted: set[str] = set()
        """Call keys whose reply nobody will take."""
        self._is_closed = False

    def start(self) -> None:
        """Send what an earlier start has left open."""
        # Who made a call without a key is gone with its process: nobody can ask for the reply.
        self._unwanted |= {
            call.call_key
            for call in self.outbox.open_calls()
            if call.is_tell or call.call_key == call.request_id
        }
        for remote in {call.remote for call in self.outbox.open_calls()}:
            self._send_all(ActrId.parse(remote))

    def close(self) -> None:
        """Dial no more; what is open stays in the outbox."""
        self._is_closed = True
        for timer in self._redials.values():
            timer.cancel()
        self._redials.clear()

    async def call(
        self,
        remote: ActrId,
        method: Method[Any, Any],
        payload: bytes,
        options: CallOptions,
        timeout: float,
        *,
        inherited: Extras = NO_EXTRAS,
    ) -> Envelope:
        """Accept a call and wait for its reply; a key that is known gives that call's reply.

        A timeout ends the waiting, not the call: it stays accepted, and the same key asks for its
        reply again. The reply of a call with a key stays until :meth:`forget`, so that a crash
        between taking it and acting on it loses nothing.

        Args:
            inherited: The trace context and the chain of calls that it is made in. They are kept
                with the call; of one that is known, those of the first time hold.

        Raises:
            DeadlineError: If there was no reply in time.
            CallError: RESOURCE_EXHAUSTED if the disk has no room for the call;
                FAILED_PRECONDITION if the remote has another contract of the method.
        """
        call, encode = self._make(remote, method, payload, options, inherited)
        wait = self._call_once if options.durable is True else self._call_by_key
        try:
            return await wait(remote, call, encode, timeout)
        except _NotAccepted as exc:
            raise DeadlineError(
                f"{method.route_key}: no durable call was accepted in {timeout:g} s: too many "
                "are open, or the disk is slow"
            ) from exc
        except TimeoutError as exc:
            raise DeadlineError(
                f"no reply to {method.route_key} from {remote} in {timeout:g} s"
                f"{self.why(remote)}; the call is kept and will be answered, unless "
                f"forget_call({call.call_key!r}) ends it"
            ) from exc

    def _make(
        self,
        remote: ActrId,
        method: Method[Any, Any],
        payload: bytes,
        options: CallOptions,
        inherited: Extras,
    ) -> tuple[DurableCall, Encode]:
        """A call for the outbox; without a key of the application's, its request id is the key.

        Raises:
            LimitError: If it is longer than any message may be.
            CallError: FAILED_PRECONDITION, if the remote is known to have another contract.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            raise LimitError("bytes of a message", limit=MAX_MESSAGE_BYTES, asked=len(payload))
        contract = self.contracts.agree(remote, method)
        request_id = new_request_id()
        call = DurableCall(
            call_key=options.durable if isinstance(options.durable, str) else request_id,
            remote=remote.text,
            request_id=request_id,
            payload_type=method.payload_type,
            route_key=method.route_key,
            size=len(payload),
            contract=contract,
        )

        def encode(number: int, low_water: int, store_id: int) -> bytes:
            extras = Extras(
                traceparent=inherited.traceparent,
                tracestate=inherited.tracestate,
                call_chain=inherited.call_chain,
                call_number=number,
                low_water=low_water,
                store_id=store_id,
            )
            # No deadline travels: what is accepted runs, whenever the callee is back.
            return encode_request(
                request_id,
                method.route_key,
                payload,
                metadata=options.metadata,
                contract=contract.number,
                extras=extras,
            )

        return call, encode

    async def _call_by_key(
        self, remote: ActrId, call: DurableCall, encode: Encode, timeout: float
    ) -> Envelope:
        is_accepted = False
        try:
            async with asyncio.timeout(timeout):
                with suppress(BusyError):  # the application asks again for a call that it made
                    await self.outbox.add(call, encode, partial(self._saved, remote, call))
                is_accepted = True
                return decode_envelope(await self.outbox.result(call.call_key))
        except TimeoutError as exc:
            if is_accepted or call.is_saved:
                raise
            raise _NotAccepted from exc

    async def _call_once(
        self, remote: ActrId, call: DurableCall, encode: Encode, timeout: float
    ) -> Envelope:
        """A call that nobody else can ask for: one future and one timer."""
        outbox = self.outbox
        loop = outbox.loop
        deadline = loop.time() + timeout
        while not outbox.has_room(call):
            try:
                async with asyncio.timeout_at(deadline):
                    await outbox.room(call)
            except TimeoutError as exc:
                raise _NotAccepted from exc
        outbox.put(call, encode, partial(self._saved, remote, call))
        future = outbox.expect(call.call_key)
        timer = loop.call_at(deadline, expire, future)
        try:
            reply = await future
            return call.decoded or decode_envelope(reply)
        except (TimeoutError, asyncio.CancelledError) as exc:
            if not call.is_saved:
                outbox.forget(call.call_key)
                if isinstance(exc, TimeoutError):
                    raise _NotAccepted from exc
            elif outbox.find(call.request_id) is call:
                self._unwanted.add(call.call_key)
            raise
        finally:
            timer.cancel()

    def _saved(self, remote: ActrId, call: DurableCall, error: CallError | None) -> None:
        """Calls go out in the turn of their commit, in their order."""
        if error is None and self.outbox.find(call.request_id) is call:
            self._send(remote, call)

    async def tell(
        self,
        remote: ActrId,
        method: Method[Any, Any],
        payload: bytes,
        options: CallOptions,
        *,
        inherited: Extras = NO_EXTRAS,
    ) -> None:
        """Accept a call whose reply nobody takes; returns when it is on disk."""
        call, encode = self._make(remote, method, payload, options, inherited)
        call.is_tell = True
        if call.call_key in self._unwanted:
            return  # the application has made it before
        self._unwanted.add(call.call_key)
        try:
            with suppress(BusyError):  # there is a call of that key, whose reply is wanted
                await self.outbox.add(call, encode, partial(self._saved, remote, call))
        finally:
            if not call.is_saved:
                self._unwanted.discard(call.call_key)

    def keys(self) -> list[str]:
        """Keys of all calls that are kept, oldest first: answered ones, then open ones."""
        return [*self.outbox.completed(), *(call.call_key for call in self.outbox.open_calls())]

    def forget(self, key: str) -> None:
        """The application has acted on the reply of ``key``; harmless if it is unknown."""
        self._unwanted.discard(key)
        self.outbox.forget(key)

    def resolve(self, remote: ActrId, reply: Envelope, message: bytes) -> bool:
        """Take a reply; False if it is not one of a durable call to ``remote``."""
        call = self.outbox.find(reply.request_id)
        if call is None or not call.is_saved or call.remote != remote.text:
            return False
        error = reply.error
        if error is not None and is_refusal(error):
            self._refused(remote, call, error)
            return True
        if error is not None and error.retryable:
            self._later(call, error.retry_after or FIRST_REDIAL)
            return True
        call.decoded = reply
        self._answer(call, message)
        self._failures.pop(remote, None)
        self._causes.pop(remote, None)
        return True

    def _refused(self, remote: ActrId, call: DurableCall, error: CallError) -> None:
        """The callee has another contract: the call goes out again with the number of that, or
        its caller hears that the two do not understand each other.

        Of an earlier start the method is found by its name; where no module that is imported has
        it, nothing is compared.
        """
        try:
            if call.contract is None and (method := known_method(call.route_key)) is not None:
                call.contract = self.contracts.agree(remote, method)
            number = call.contract.number if call.contract and call.contract.renew(error) else 0
            if not number and not contract_of(call.envelope):
                raise error  # it names no contract, and is refused all the same
        except CallError as exc:
            log.warning("a durable call was not taken: %s", exc)
            self._answer(call, encode_error(call.request_id, exc))
            return
        call.envelope = with_contract(call.envelope, number)
        self._send(remote, call)  # once more

    def _answer(self, call: DurableCall, reply: bytes) -> None:
        self.outbox.resolve(call.request_id, reply)
        if call.call_key in self._unwanted:
            self._unwanted.discard(call.call_key)
            self.outbox.forget(call.call_key)

    def remote_reset(self, remote: ActrId) -> None:
        """The far process restarted: it gets what it has not answered once more."""
        if self._links.pop(remote, None) is not None:
            self._send_all(remote)

    def link_gone(self, link: Link) -> None:
        """No wire is left: dial again after a while, for what the remote owes.

        What its successor has already been given stays there.
        """
        remote = link.remote
        if self._links.get(remote, link) is not link:
            return
        self._links.pop(remote, None)
        if self._owed(remote):
            self._redial_later(remote, link.view().trouble)

    def _send(self, remote: ActrId, call: DurableCall) -> None:
        link = self._link(remote)
        if link is None:
            return
        if self._links.get(remote) is not link:
            self._send_all(remote)
        else:
            self._post(link, call)

    def _post(self, link: Link, call: DurableCall) -> None:
        """Send one call; one that the far side would never take is answered here."""
        size = len(call.envelope)
        limit = link.max_message_bytes
        if size > limit:
            error = CallError(
                Code.RESOURCE_EXHAUSTED,
                f"{call.route_key}: {size} bytes; {call.remote} takes messages of {limit}",
            )
            log.warning("durable call is too long: %s", error)
            self._answer(call, encode_error(call.request_id, error))
            return
        try:
            link.lane(call.payload_type).post(call.envelope)
        except PeerError as exc:
            log.info("durable calls wait: remote=%s cause=%s", call.remote, exc)

    def _send_all(self, remote: ActrId) -> None:
        """Put all open calls of a remote on its present link, oldest first."""
        link = self._link(remote)
        if link is None:
            return
        self._links[remote] = link
        for call in self._owed(remote):
            self._post(link, call)

    def _owed(self, remote: ActrId) -> list[DurableCall]:
        """What is on disk for a remote, and not answered; the rest is sent as it is saved."""
        text = remote.text
        return [call for call in self.outbox.open_calls() if call.remote == text and call.is_saved]

    def _link(self, remote: ActrId) -> Link | None:
        if self._is_closed:
            return None
        try:
            return self._transport.link(remote)
        except PeerError as exc:
            log.info("durable calls wait: remote=%s cause=%s", remote, exc)
            self._redial_later(remote, str(exc))
            return None

    def why(self, remote: ActrId) -> str:
        """In brackets, why nothing goes out to ``remote``; empty: something may."""
        why = self._causes.get(remote, "")
        link = self._links.get(remote)
        if link is None:
            return f" ({why})" if why else ""
        return last_known(link, why)

    def _redial_later(self, remote: ActrId, why: str) -> None:
        self._causes[remote] = why
        if self._is_closed or remote in self._redials:
            return
        failures = self._failures[remote] = self._failures.get(remote, 0) + 1
        delay = doubled(FIRST_REDIAL, failures, LAST_REDIAL)
        loop = asyncio.get_running_loop()
        self._redials[remote] = loop.call_later(delay, self._redial, remote)

    def _redial(self, remote: ActrId) -> None:
        self._redials.pop(remote, None)
        if self._owed(remote):
            self._send_all(remote)

    def _later(self, call: DurableCall, delay: float) -> None:
        """The callee has no room for a call now: offer it again."""

        def again() -> None:
            if self.outbox.find(call.request_id) is not None:
                self._send(ActrId.parse(call.remote), call)

        asyncio.get_running_loop().call_later(delay, again)
