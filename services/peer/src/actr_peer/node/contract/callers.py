"""What is known of whoever asks this actor, kept with its mailbox across restarts."""

from __future__ import annotations

from actr_peer.node.config import NodeConfig
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Identity
from actr_peer.protocol.rpc.access.principals import Principals, Trust
from actr_peer.state.mailbox.certificates import Certificates


class Callers:
    """Owned by the node.

    Attributes:
        who: By the text of an id.
    """

    def __init__(self, config: NodeConfig, kept: Certificates) -> None:
        trust = Trust.SECRET if config.realm_secret else Trust.DEVELOPMENT
        self.who = Principals(config.id, trust)
        self._is_required = config.identity is not None and config.identity.is_required
        self._kept = kept

    def shown(self, actor: ActrId, certificate: Certificate) -> None:
        """An actor has proved to have the key of a certificate that is believed."""
        if self.who.show(actor, certificate):
            self._kept.keep(actor.text, certificate.text)

    def begin(self, own: Identity | None) -> None:
        """The mailbox is open: its requests are of who sent them, as they were known then.

        Args:
            own: What this actor proves itself with; None: nothing.
        """
        if self._is_required:  # else anybody may be whoever had shown one then
            for text, certificate in self._kept.found:
                self.who.restore(text, certificate)
        if own is not None:
            self.who.follow(lambda: own.certificate)
