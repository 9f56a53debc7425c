"""What becomes of a request that has run: a reply, a commit, another try, a dead letter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from actr_peer.actor.turn import Outcome, Stopped, Turn
from actr_peer.errors import CallError, Code
from actr_peer.protocol.mailbox.requests import RETRY_AFTER, Request
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import ConflictError, Transaction
from actr_peer.state.storage.database import is_full, is_locked
from actr_peer.tasks import note_failure

log = logging.getLogger(__name__)

MAX_CONFLICTS = 10
"""Runs of one request whose reads no longer held at the commit; then it is ABORTED."""

FIRST_BACKOFF = 0.05
LAST_BACKOFF = 1.0
"""Seconds until a failed request runs again; doubled for each further failure."""

ErrorReply = Callable[[Request, CallError], bytes | None]


class Endings:
    """Part of the scheduler; see there for ``reply`` and ``error_reply``.

    Args:
        release: Lets others have their turn; harmless when they have it.
        again: Runs a request once more, after so many seconds.
        failed: Ends a turn of which nothing else has become, because of a bug.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        reply: Callable[[Request, bytes], None],
        error_reply: ErrorReply,
        release: Callable[[Turn], None],
        again: Callable[[Turn, Request, float], None],
        failed: Callable[[Turn, BaseException], None],
    ) -> None:
        self._mailbox = mailbox
        self._reply = reply
        self._error_reply = error_reply
        self._release = release
        self._again = again
        self._failed = failed

    def conclude(self, turn: Turn, request: Request, outcome: Outcome) -> None:
        """Decide what becomes of a request that has run."""
        if outcome.reply is not None and len(outcome.reply) > MAX_MESSAGE_BYTES:
            outcome = self._too_long(request, len(outcome.reply))
        effects = None if outcome.failed or outcome.dead else turn.effects
        if outcome.dead:
            self.give_up(request, outcome.dead, outcome.reply)
        elif outcome.failed and outcome.max_failures:
            if self._count_failure(turn, request, outcome):
                return
        elif effects is not None and not effects.is_empty:
            self._commit(turn, request, outcome, effects)
            return
        else:
            self._mailbox.complete(request, outcome.reply)
            self._send(request, outcome.reply)
        self._release(turn)

    def of_failure(self, turn: Turn, exc: BaseException) -> Outcome:
        """The outcome of a run that raised."""
        if turn.stopped is not None:
            return self.of_stop(turn)
        if turn.request is None:
            log.error("job failed", exc_info=exc)
            return Outcome()
        log.error("run failed: route=%s", turn.request.route_key, exc_info=exc)
        text = f"{turn.request.route_key} failed with {type(exc).__name__}"
        return Outcome(self.error(turn.request, Code.INTERNAL, text), failed=True)

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
        try:
            reply = self.error(request, Code.INTERNAL, why)
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

    def _count_failure(self, turn: Turn, request: Request, outcome: Outcome) -> bool:
        """Whether the request runs again; it keeps its place, so that order holds."""
        request.failures += 1
        request.attempts += 1
        if request.failures >= outcome.max_failures:
            self.give_up(request, f"failed {request.failures} times", outcome.reply)
            return False
        self._mailbox.note_failure(request)
        backoff = FIRST_BACKOFF * 2.0 ** min(request.failures - 1, 10)
        self._again(turn, request, min(backoff, LAST_BACKOFF))
        return True

    def _commit(self, turn: Turn, request: Request, outcome: Outcome, effects: Transaction) -> None:
        """Write effects and completion; the reply waits for them.

        A turn that runs alone gives way at once: what runs next reads after this commit.
        Beside others, the key is kept until the reads are known to have held.
        """
        runs_alone = turn.conflict_key is None and not turn.is_released
        if runs_alone:
            self._release(turn)
        self._mailbox.complete(
            request,
            outcome.reply,
            effects=effects,
            validate=not runs_alone,
            done=partial(self._settled, turn, request, outcome),
        )

    def _settled(
        self, turn: Turn, request: Request, outcome: Outcome, error: Exception | None
    ) -> None:
        """The effects are committed, or could not be."""
        if error is None:
            self._send(request, outcome.reply)
        elif isinstance(error, ConflictError) and turn.conflicts < MAX_CONFLICTS:
            turn.conflicts += 1
            self._again(turn, request, 0.0)  # alone, where others have won too often
            return
        else:
            try:
                self._uncommitted(request, error)
            except Exception as exc:  # noqa: BLE001 - in a callback that others share
                note_failure("scheduler", f"turn/{request.route_key}", exc)
                self._failed(turn, exc)
        self._release(turn)

    def _uncommitted(self, request: Request, error: Exception) -> None:
        """Answer a request whose effects were not applied."""
        if isinstance(error, ConflictError) or is_full(error) or is_locked(error):
            code = Code.RESOURCE_EXHAUSTED if is_full(error) else Code.UNAVAILABLE
            if isinstance(error, ConflictError):
                code = Code.ABORTED
            text = f"{request.route_key}: nothing was written: {error}"
            reply = self.error(request, code, text, retryable=True, retry_after=RETRY_AFTER)
            self._mailbox.withdraw(request)  # so that a retry runs
        else:
            log.error("effects failed: route=%s", request.route_key, exc_info=error)
            text = f"{request.route_key}: its transaction failed with {type(error).__name__}"
            reply = self.error(request, Code.INTERNAL, text)
            self._mailbox.complete(request, reply)
        self._send(request, reply)

    def error(self, request: Request, code: Code, text: str, **more: Any) -> bytes | None:
        """An error as a reply."""
        return self._error_reply(request, CallError(code, text, **more))
