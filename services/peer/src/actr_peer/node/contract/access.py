"""The access rules of an actor and the claims that its methods need, asked when something comes and
again before a handler runs."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Final, TypeAlias

from actr_peer.actor.context import Context
from actr_peer.errors import CallError, Code
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract.interceptors import HandlerInterceptor
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.access.patterns import MEDIA, STREAMS
from actr_peer.protocol.rpc.access.principals import Principals
from actr_peer.protocol.rpc.access.published import Published
from actr_peer.protocol.rpc.access.requirements import missing, requirements, sentence
from actr_peer.protocol.rpc.access.rules import Decision, Rule, decide
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.protocol.wire.lines import Lines
from actr_peer.service import Service
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader

MAX_KNOWN: Final = 4096
"""Pairs of caller and method of which the decision is kept, for rules never change."""
MAX_TOLD: Final = 256
"""Refused pairs of caller and method of which the log tells once; then of old ones again."""

_Open: TypeAlias = Callable[[Link, PayloadType, Chunk], StreamReader | None]
_Receive: TypeAlias = Callable[[ActrId, MediaFrame], None]
_Described: TypeAlias = Callable[[ActrId, int, Mapping[str, TrackKind] | None], None]

log = logging.getLogger(__name__)


class AccessRules:
    """Whom rules and contract let ask for what; owned by the node. Without either nothing is asked.

    Args:
        config: Has the actor's own rules, and whether those of the issuer come besides: before
            they are known, nobody may ask.
        services: Whose methods may need claims of their callers.
        who: What is known of callers.

    Attributes:
        refused: How often a caller was refused.
        unheard: Frames that came on tracks of those who may not publish.
        interceptors: To be outermost of the node's: what has waited in the mailbox while the
            rules were others is looked at again.
        of_requests: :meth:`refusal`; None without rules, where no method needs a claim.
    """

    def __init__(
        self,
        config: NodeConfig,
        services: Sequence[Service],
        who: Principals,
    ) -> None:
        own, rules, takes = config.id, config.access, config.takes_access
        self.refused = 0
        self.unheard = 0
        self._who = who
        self._needed = {
            method.route_key: requirements(method.requires)
            for service in services
            for method in type(service).method_table().values()
            if method.requires
        }
        is_asked = bool(rules or self._needed or takes)
        self.interceptors = (_Admission(self),) if is_asked else ()
        self.of_requests = self.refusal if is_asked else None
        self._own = own
        self._rules = [rule.read(own.realm) for rule in rules]
        self._issuers: Sequence[Rule] | None = None
        self._is_waiting = takes
        self._is_bounded = bool(rules or takes)
        self._decide = lru_cache(MAX_KNOWN)(self._decided)
        self._told: OrderedDict[tuple[ActrId, str], None] = OrderedDict()
        self._lines = Lines()

    def take(self, published: Published) -> None:
        """Have these rules of the issuer from now on, beside the own ones.

        Raises:
            ConfigError: If one of them is none: those of before stay.
        """
        self._issuers = published.rules_for(self._own)
        self._is_waiting = False
        self._decide.cache_clear()

    def _decided(self, caller: ActrId, shown_at: int, method: str) -> Decision:
        """What the rules say; ``shown_at`` tells one certificate of a caller from the next."""
        del shown_at
        if self._is_waiting:
            why = "the access rules of the issuer are not known yet"
            return Decision(is_allowed=False, rule=None, why=why)
        rules = [*self._rules, *(self._issuers or ())]
        if not rules and self._issuers is not None:
            return Decision(is_allowed=False, rule=None, why="no rule of the issuer is about it")
        return decide(rules, caller, method, self._who.of(caller).claims)

    def _decision(self, caller: ActrId, method: str) -> Decision:
        return self._decide(caller, self._who.of(caller).issued_at, method)

    def refusal(self, caller: ActrId, method: str) -> CallError | None:
        """Why ``caller`` may not ask for ``method``, counted and logged; None: it may.

        The caller is not told which rule it is: that is for who may read this actor's log.

        Args:
            method: A route key, or ``streams`` or ``media``
                (:mod:`actr_peer.protocol.rpc.access.patterns`).
        """
        if caller == self._own:
            return None
        decision = self._decision(caller, method)
        if decision.is_allowed:
            return self._lack(caller, method) if method in self._needed else None
        self._note(caller, method, decision.why)
        return CallError(Code.PERMISSION_DENIED, f"{caller} may not ask {self._own} for {method}")

    def _lack(self, caller: ActrId, method: str) -> CallError | None:
        """Why the claims of a caller do not let it, whom the rules do; None: they do.

        Which claim it is stands in the contract: the caller is told.
        """
        principal = self._who.of(caller)
        need = missing(self._needed[method], principal.claims)
        if need is None:
            return None
        why = sentence(need, principal)
        self._note(caller, method, f"it needs {why}")
        text = f"{caller} may not ask {self._own} for {method}: it needs {why}"
        return CallError(Code.PERMISSION_DENIED, text)

    def _note(self, caller: ActrId, method: str, why: str) -> None:
        self.refused += 1
        told = caller, method
        if told not in self._told:
            self._told[told] = None
            if len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
            left_out = self._lines.take(monotonic())  # callers make up methods without end
            if left_out is not None:
                text = "refused: caller=%s method=%s cause=%s left_out=%d"
                log.warning(text, caller, method, why, left_out)

    def of_channels(self, open_channel: _Open) -> _Open:
        """``open_channel`` for those who may open channels; nobody takes those of others."""
        if not self._is_bounded:
            return open_channel

        def allowed(link: Link, payload_type: PayloadType, chunk: Chunk) -> StreamReader | None:
            if self.refusal(link.remote, STREAMS) is not None:
                return None
            return open_channel(link, payload_type, chunk)

        return allowed

    def of_tracks(self, described: _Described) -> _Described:
        """``described`` for the tracks of those who may publish; others have none."""
        if not self._is_bounded:
            return described

        def allowed(remote: ActrId, wire: int, tracks: Mapping[str, TrackKind] | None) -> None:
            if tracks and self.refusal(remote, MEDIA) is not None:
                tracks = {}
            described(remote, wire, tracks)

        return allowed

    def of_frames(self, receive: _Receive) -> _Receive:
        """``receive`` for the frames of those who may publish."""
        if not self._is_bounded:
            return receive

        def allowed(remote: ActrId, frame: MediaFrame) -> None:
            if self._decision(remote, MEDIA).is_allowed:
                receive(remote, frame)
            else:
                self.unheard += 1

        return allowed


class _Admission(HandlerInterceptor):
    """Asks rules and contract before each handler."""

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules

    async def admit(self, ctx: Context) -> None:
        """Let through whom the rules allow.

        Raises:
            CallError: PERMISSION_DENIED.
        """
        error = self._rules.refusal(ctx.caller, ctx.method.route_key)
        if error is not None:
            raise error
