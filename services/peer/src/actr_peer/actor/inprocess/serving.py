"""Both receiving ends inside the process: the workload's and the shell's.

Calls to the workload take their turn in the scheduler with those from the mailbox, under the same
conflict keys. Calls to the shell run one at a time, signal first; a shell that serves nothing
answers UNIMPLEMENTED. Streams begin in their turn, and flow beside the calls.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from actr_peer.actor.context import Asked
from actr_peer.actor.handlers import Handlers
from actr_peer.actor.inprocess.bodies import LocalBodies
from actr_peer.actor.reach import Actor
from actr_peer.actor.scheduler import Job, Scheduler
from actr_peer.errors import CallError, Code
from actr_peer.protocol.rpc.call_errors import call_cycle, no_method, no_request, wrong_kind
from actr_peer.protocol.rpc.contracts.refusals import compared
from actr_peer.rpc.destinations.contracts import differs
from actr_peer.service import Method, MethodKind
from actr_peer.tasks import Start
from actr_peer.transport.local.calls import LocalCall, LocalEnd


class Half:
    """One half of a process, as the other half calls it; owned by the node.

    Args:
        name: For the texts of errors.
    """

    def __init__(
        self, name: str, end: LocalEnd, actor: Actor, handlers: Handlers, start: Start
    ) -> None:
        self.end = end
        self.bodies = LocalBodies(actor, handlers, start)
        self._name = name
        self._start = start
        self._actor = actor
        self._handlers = handlers

    async def serve_workload(self, scheduler: Scheduler) -> None:
        """Give each call of the shell its turn; runs until cancelled."""
        while True:
            call = await self.end.receive()
            if not self._is_for(call):
                continue
            if call.method.route_key in self._handlers.waits_for_no_turn:
                self.bodies.open(call)
                self.end.ended(call)
                continue
            key = self._handlers.key_of_call(call, self._actor.id)
            if any(scheduler.would_wait_for(waiting, key) for waiting in call.call_chain):
                self._refuse(call, call_cycle(call.method.route_key))
            else:
                scheduler.submit(self._job(scheduler, call, key))

    async def serve_shell(self) -> None:
        """Run each call of the workload; runs until cancelled."""
        while True:
            call = await self.end.receive()
            if not self._is_for(call):
                continue
            self.end.running = call.request_id
            try:
                # In a task of its own: what the handler does to it, and to its context, ends there.
                failed = partial(self._failed, call)
                await asyncio.wait({self._start("shell/call", self._run(call), failed=failed)})
                if not call.future.done() and call.method.kind is MethodKind.UNARY:
                    failed(asyncio.CancelledError())
            finally:
                self.end.running = None

    def _is_for(self, call: LocalCall) -> bool:
        """Whether somebody waits for the call, and there is a handler that can take it."""
        if call.future.done():
            self.end.ended(call)
            return False
        error = self._why_not(call)
        if error is not None:
            self._refuse(call, error)
        return error is None

    def _why_not(self, call: LocalCall) -> CallError | None:
        route_key = call.method.route_key
        if not self._handlers.knows(route_key):
            return CallError(Code.UNIMPLEMENTED, self._no_method(route_key))
        method = self._handlers.method(route_key)
        if method is call.method:  # nearly always: both halves have loaded one module
            return None
        refusal = self._handlers.refusal(route_key, call.method.contract)
        why = None if refusal is None else compared(call.method.form, refusal).why
        if why is not None:
            return differs(self._actor.id, route_key, why)
        if method.kind is not call.method.kind:
            return CallError(Code.INVALID_ARGUMENT, wrong_kind(route_key, method.kind.value))
        if not method.kind.requests_stream:
            return self._read(call, method)
        return None

    def _no_method(self, route_key: str) -> str:
        if self._name == "workload":
            return no_method(route_key)
        return f"the {self._name} has no {route_key!r}; serve an object that has it (ref.serve)"

    @staticmethod
    def _read(call: LocalCall, method: Method[Any, Any]) -> CallError | None:
        """Have the request of another module's type be one of the handler's, as over a wire."""
        if isinstance(call.request, method.request):
            return None
        try:
            call.request = method.request.FromString(call.request.SerializeToString())
        except DecodeError:
            return no_request(method.route_key, method.request.__name__)
        return None

    def _failed(self, call: LocalCall, exc: BaseException) -> None:
        """The handler has ended its task, and not its call; or nobody foresaw how it fails."""
        call.fail(self._handlers.error_of(call.method, exc, Asked.by(self._actor.id, call)))

    def _refuse(self, call: LocalCall, error: CallError) -> None:
        call.fail(error)
        self.end.ended(call)

    def _job(self, scheduler: Scheduler, call: LocalCall, key: str | None) -> Job:
        async def turn() -> None:
            try:
                await self._run(call)
            except asyncio.CancelledError as exc:
                # A handler that has cancelled its own task: the end of the actor is not its.
                if not (scheduler.is_closing or call.future.done()):
                    self._failed(call, exc)
                raise

        return Job(turn, call.method.payload_type, key, request_id=call.request_id)

    async def _run(self, call: LocalCall) -> None:
        """Run one call, unless nobody waits for it any more; cancelling it ends its handler."""
        task = asyncio.current_task()
        assert task is not None
        is_waited_for = True

        def stop(future: asyncio.Future[object]) -> None:
            if is_waited_for and call.is_given_up:
                task.cancel()

        try:
            if call.future.done():
                pass
            elif call.method.kind is not MethodKind.UNARY:
                self.bodies.open(call)
            else:
                call.future.add_done_callback(stop)
                await self._handlers.run_local(self._actor, call)
        except asyncio.CancelledError:
            if not call.is_given_up or task.uncancel() > 0:
                raise
            # The caller gave up, not the owner of this task.
        finally:
            is_waited_for = False
            self.end.ended(call)
