"""Shell: who may meet whom on this service, by the access rules of the issuer.

An actor is shown to those whom a rule lets ask it for anything, and relays go between two of whom
one may ask the other. Which method it is only the actor that is asked sees, and decides by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from actr_signaling.errors import CertificateError
from actr_signaling.hub.peers import Peer
from actr_signaling.protocol.access.rules import Claims, Rule, lets
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.certificates import Certificate, verify_certificate
from actr_signaling.protocol.presence.records import Entry

if TYPE_CHECKING:
    from actr_signaling.protocol.client.trust import Trust

MAX_KNOWN = 65_536
"""Pairs of which the answer is kept; all are forgotten with each other set of rules."""
MAX_READ = 4096
"""Certificates of actors on other replicas that are kept as they were read."""
_NO_CLAIMS: Claims = {}


class Meetings:
    """Owned by the hub. Without rules everybody may meet everybody.

    Args:
        clock: Unix seconds.

    Attributes:
        refused: What was not shown or not relayed, by ``discovery`` and ``relay``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.refused: Counter[str] = Counter()
        self._clock = clock
        self._trust: Trust | None = None
        self._rules: tuple[Rule, ...] | None = None
        self._known: dict[tuple[ActrId, str, ActrId], bool] = {}
        self._read: dict[bytes, Certificate | None] = {}

    def follow(self, trust: Trust) -> None:
        """Go by the rules that ``trust`` has, whichever they are at the time."""
        self._trust = trust

    @property
    def are_bounded(self) -> bool:
        """Whether there are rules."""
        return self._trust is not None and self._trust.access_rules is not None

    def sees(self, peer: Peer, entry: Entry) -> bool:
        """Whether an actor is shown to a connection."""
        if not self.are_bounded:
            return True
        who, certificate = peer.session.id, peer.session.certificate
        return who is not None and self._lets(who, certificate, entry.registration.id)

    def seen(self, peer: Peer, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Those that are shown to a connection; others are counted."""
        if not self.are_bounded:
            return entries
        shown = []
        for entry in entries:
            if self.sees(peer, entry):
                shown.append(entry)
            else:
                self.refused["discovery"] += 1
        return shown

    def may_relay(self, peer: Peer, to: ActrId, entry: Entry | None) -> bool:
        """Whether a connection may send something to ``to``: either may ask the other.

        Args:
            entry: What is known of ``to``; None: nothing is.
        """
        if not self.are_bounded:
            return True
        who, certificate = peer.session.id, peer.session.certificate
        assert who is not None
        if self._lets(who, certificate, to) or (
            entry is not None and self._lets(to, self._certificate(entry), who)
        ):
            return True
        self.refused["relay"] += 1
        return False

    def _lets(self, who: ActrId, certificate: Certificate | None, whom: ActrId) -> bool:
        assert self._trust is not None
        rules = self._trust.access_rules
        if rules is not self._rules or len(self._known) >= MAX_KNOWN:
            self._rules = rules
            self._known.clear()
        key = who, "" if certificate is None else certificate.serial, whom
        known = self._known.get(key)
        if known is None:
            claims = _NO_CLAIMS if certificate is None else certificate.claims
            known = self._known[key] = lets(rules or (), who, claims, whom)
        return known

    def _certificate(self, entry: Entry) -> Certificate | None:
        """Of an actor that may be on another replica: the store's word for it is checked."""
        signed = entry.registration.signed
        if signed is None or self._trust is None or not self._trust.issuer_keys:
            return None
        if signed.certificate not in self._read:
            if len(self._read) >= MAX_READ:
                self._read.clear()
            try:
                read = verify_certificate(
                    signed.certificate, self._trust.issuer_keys, now=self._clock()
                )
            except CertificateError:
                read = None
            self._read[signed.certificate] = read
        found = self._read[signed.certificate]
        is_its_own = found is not None and found.covers(entry.registration.id)
        return found if is_its_own else None
