"""What becomes of a request that has run: a reply, a commit, another try, a dead letter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from actr_peer.actor.turn import Outcome, Stopped, Turn
from actr_peer.errors import CallError, Code
from actr_peer.protocol.mailbox import turn as on
from actr_peer.protocol.mailbox.requests import RETRY_AFTER, Request
from actr_peer.protocol.mailbox.turn import Row, State
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES
from actr_peer.protocol.rpc.call_errors import described, internal
from actr_peer.protocol.wire.backoff import doubled
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import ConflictError
from actr_peer.state.storage.database import is_full, is_locked
from actr_peer.tasks import note_failure

log = logging.getLogger(__name__)

MAX_CONFLICTS = 10
"""Runs of one request whose reads no longer held at the commit; then it is ABORTED."""

MAX_HINDRANCES = 10
"""Runs of one tell that a full or locked file has kept from reading or writing, five seconds long;
then it is a dead letter."""

FIRST_BACKOFF = 0.05
LAST_BACKOFF = 1.0
"""Seconds until a failed request runs again; doubled for each further failure."""

_CONCLUDING = int(State.CONCLUDING)

ErrorReply = Callable[[Request, CallError], bytes | None]


class Outcomes:
    """Part of the scheduler; see there for ``reply`` and ``error_reply``.

    What it decides it says as the event that comes of it.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        reply: Callable[[Request, bytes], None],
        error_reply: ErrorReply,
    ) -> None:
        self._mailbox = mailbox
        self._reply = reply
        self._error_reply = error_reply

    def conclude(self, turn: Turn, request: Request, outcome: Outcome) -> Row:
        """Decide what becomes of a request that has run.

        Returns:
            ``END``; ``AGAIN``, after ``turn.pause``; or ``WRITE`` or ``WRITE_ALONE``: effects and
            completion are to be written, and then :meth:`settle` is to be asked.
        """
        if outcome.reply is not None and len(outcome.reply) > MAX_MESSAGE_BYTES:
            outcome = self._too_long(request, len(outcome.reply))
        if not outcome.failed and not outcome.dead:
            if turn.effects is not None and not turn.effects.is_empty:
                runs_alone = turn.conflict_key is None and turn.state == _CONCLUDING
                return on.WRITE_ALONE if runs_alone else on.WRITE
            self._mailbox.complete(request, outcome.reply)
            self._send(request, outcome.reply)
            return on.END
        return self._conclude_failed(turn, request, outcome)

    def _conclude_failed(self, turn: Turn, request: Request, outcome: Outcome) -> Row:
        if outcome.hindrance is not None:
            return self._uncommitted(turn, request, outcome.hindrance)
        request.last_error = outcome.error or request.last_error
        if outcome.dead:
            self.give_up(request, outcome.dead, outcome.reply)
        elif outcome.max_failures:
            return self._count_failure(turn, request, outcome)
        else:
            self._mailbox.complete(request, outcome.reply)
            self._send(request, outcome.reply)
        return on.END

    def settle(self, turn: Turn, outcome: Outcome, error: Exception | None) -> Row:
        """The effects are committed, or could not be; returns ``END`` or ``AGAIN``."""
        request = turn.request
        assert request is not None
        if error is None:
            self._send(request, outcome.reply)
        elif isinstance(error, ConflictError) and turn.conflicts < MAX_CONFLICTS:
            turn.conflicts += 1
            turn.pause = 0.0
            return on.AGAIN
        else:
            return self._uncommitted(turn, request, error)
        return on.END

    def of_failure(self, turn: Turn, exc: BaseException) -> Outcome:
        """The outcome of a run that raised."""
        if turn.stopped is not None:
            return self.of_stop(turn)
        if turn.is_hindrance(exc) and isinstance(exc, Exception):
            return Outcome(failed=True, hindrance=exc)
        if turn.request is None:
            log.error("job failed", exc_info=exc)
            return Outcome()
        request = turn.request
        log.error("run failed: %s", _named(request), exc_info=exc)
        error = internal(request.route_key, exc, request.request_id)
        return Outcome(self._error_reply(request, error), failed=True, error=described(exc))

    def of_stop(self, turn: Turn) -> Outcome:
        """The outcome of a run that was cancelled."""
        if turn.stopped is Stopped.CALLER or turn.request is None:
            return Outcome(None, failed=True)
        text = f"{turn.request.route_key} ran out of time"
        return Outcome(self.error(turn.request, Code.DEADLINE_EXCEEDED, text), failed=True)

    def abandon(self, request: Request, exc: BaseException) -> None:
        """Nothing has become of a request, because of a bug: it is a dead letter, and its caller
        hears of it."""
        why = f"{request.route_key} ended with {type(exc).__name__}"
        request.last_error = described(exc)
        try:
            log.error("given up: %s", _named(request))
            reply = self._error_reply(request, internal(request.route_key, exc, request.request_id))
            self.give_up(request, f"a failure of the runtime: {why}", reply)
        except Exception as another:  # noqa: BLE001 - what is left is to let others run
            note_failure("scheduler", f"turn/{request.route_key}", another)

    def give_up_all(self, poisoned: Iterable[tuple[Request, str]]) -> None:
        """Make dead letters of what the start has given up, each with why."""
        for request, why in poisoned:
            reply = self.error(request, Code.ABORTED, f"given up: {why}")
            self.give_up(request, why, reply)

    def _too_long(self, request: Request, size: int) -> Outcome:
        """No message can carry the reply: the handler has failed."""
        log.error("reply too long: route=%s bytes=%d", request.route_key, size)
        text = f"{request.route_key}: a reply of {size} bytes; a message has {MAX_MESSAGE_BYTES}"
        return Outcome(self.error(request, Code.RESOURCE_EXHAUSTED, text), failed=True)

    def _send(self, request: Request, reply: bytes | None) -> None:
        if reply is None or request.is_tell:
            return
        try:
            self._reply(request, reply)
        except Exception as exc:  # noqa: BLE001 - the request is done, whatever becomes of this
            note_failure("scheduler", f"reply/{request.route_key}", exc)

    def give_up(self, request: Request, why: str, reply: bytes | None) -> None:
        self._mailbox.bury(request, why, reply)
        self._send(request, reply)

    def _count_failure(self, turn: Turn, request: Request, outcome: Outcome) -> Row:
        """A request runs again in its place, so that order holds, or is a dead letter."""
        request.failures += 1
        request.attempts += 1
        if request.failures >= outcome.max_failures:
            why = f"failed {request.failures} times"
            if outcome.hindrance is not None:
                request.last_error = described(outcome.hindrance)
                why = f"{why}, the last time by no fault of its own: {outcome.hindrance}"
            self.give_up(request, why, outcome.reply)
            return on.END
        self._mailbox.note_failure(request)
        turn.pause = doubled(FIRST_BACKOFF, request.failures, LAST_BACKOFF)
        return on.AGAIN

    def _uncommitted(self, turn: Turn, request: Request, error: Exception) -> Row:
        """Answer a request whose effects were not applied; of a tell, try it again here."""
        if isinstance(error, ConflictError) or is_full(error) or is_locked(error):
            if request.is_tell:  # its caller hears of nothing, and would not try it again
                log.warning("tell runs again: route=%s: %s", request.route_key, error)
                again = Outcome(failed=True, max_failures=MAX_HINDRANCES, hindrance=error)
                return self._count_failure(turn, request, again)
            code = Code.RESOURCE_EXHAUSTED if is_full(error) else Code.UNAVAILABLE
            if isinstance(error, ConflictError):
                code = Code.ABORTED
            text = f"{request.route_key}: nothing was written: {error}"
            reply = self.error(request, code, text, retryable=True, retry_after=RETRY_AFTER)
            self._mailbox.withdraw(request)  # so that a retry runs
        else:
            log.error("effects failed: %s", _named(request), exc_info=error)
            told = internal(request.route_key, error, request.request_id, "its transaction")
            reply = self._error_reply(request, told)
            self._mailbox.complete(request, reply)
        self._send(request, reply)
        return on.END

    def error(self, request: Request, code: Code, text: str, **more: Any) -> bytes | None:
        """An error as a reply."""
        return self._error_reply(request, CallError(code, text, **more))


def _named(request: Request) -> str:
    """Whose request it was, as the log has it."""
    return (
        f"method={request.route_key} caller={request.sender} request={request.request_id} "
        f"try={request.attempts + 1}"
    )
