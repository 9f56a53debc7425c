"""Both receiving ends inside the process: the workload's and the shell's.

Calls to the workload take their turn in the scheduler with those from the mailbox. Calls to the
shell run one at a time, signal first; a shell that serves nothing answers UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio

from actr_peer.actor.handlers import Handlers
from actr_peer.actor.reach import Actor
from actr_peer.actor.scheduler import Job, Scheduler
from actr_peer.errors import CallError, Code
from actr_peer.transport.local import LocalCall, LocalEnd


async def serve_workload(
    end: LocalEnd, actor: Actor, handlers: Handlers, scheduler: Scheduler
) -> None:
    """Give each call of the shell its turn; runs until cancelled."""
    while True:
        call = await end.receive()
        if any(scheduler.would_wait_for(waiting, None) for waiting in call.call_chain):
            text = f"call cycle: a handler waits for this call of {call.method.route_key}"
            _refuse(end, call, CallError(Code.FAILED_PRECONDITION, text))
        elif _is_for(end, call, handlers, "workload"):
            scheduler.submit(_job(end, actor, handlers, scheduler, call))


async def serve_shell(end: LocalEnd, actor: Actor, handlers: Handlers) -> None:
    """Run each call of the workload; runs until cancelled."""
    while True:
        call = await end.receive()
        if _is_for(end, call, handlers, "shell"):
            await _run(end, actor, handlers, call)


def _is_for(end: LocalEnd, call: LocalCall, handlers: Handlers, who: str) -> bool:
    """Whether somebody waits for the call, and there is a handler for it."""
    if call.future.done():
        end.ended(call)
        return False
    if not handlers.knows(call.method.route_key):
        text = f"the {who} has no {call.method.route_key!r}; attach or serve an object that has it"
        _refuse(end, call, CallError(Code.UNIMPLEMENTED, text))
        return False
    return True


def _refuse(end: LocalEnd, call: LocalCall, error: CallError) -> None:
    if not call.future.done():
        call.future.set_exception(error)
    end.ended(call)


def _job(
    end: LocalEnd, actor: Actor, handlers: Handlers, scheduler: Scheduler, call: LocalCall
) -> Job:
    async def turn() -> None:
        try:
            await _run(end, actor, handlers, call)
        except asyncio.CancelledError as exc:
            # A handler that has cancelled its own task: the end of the actor is not its.
            if not (scheduler.is_closing or call.future.done()):
                method = handlers.method(call.method.route_key)
                call.future.set_exception(handlers.error_of(method, exc))
            raise

    return Job(turn, call.method.payload_type, request_id=call.request_id)


async def _run(end: LocalEnd, actor: Actor, handlers: Handlers, call: LocalCall) -> None:
    """Run one call, unless nobody waits for it any more; cancelling it ends its handler."""
    task = asyncio.current_task()
    assert task is not None
    is_waited_for = True

    def stop(future: asyncio.Future[object]) -> None:
        if future.cancelled() and is_waited_for:
            task.cancel()

    try:
        if not call.future.done():
            call.future.add_done_callback(stop)
            await handlers.run_local(actor, call)
    except asyncio.CancelledError:
        if not call.future.cancelled() or task.uncancel() > 0:
            raise
        # The caller gave up, not the owner of this task.
    finally:
        is_waited_for = False
        end.ended(call)
