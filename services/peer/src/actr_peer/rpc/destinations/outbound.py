"""What all gates to other actors share: links, calls that wait, contracts, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from actr_peer.errors import BrokenError, ConfigError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.envelopes import Envelope
from actr_peer.rpc.calls import PendingCalls
from actr_peer.rpc.destinations.contracts import Contracts
from actr_peer.rpc.destinations.tells import Tells
from actr_peer.rpc.durable import DurableCalls
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.remote import RemoteTransport


@dataclass(slots=True, kw_only=True)
class Outbound:
    """Owned by the node."""

    transport: RemoteTransport
    calls: PendingCalls
    streams: Streams
    durable: DurableCalls
    default_timeout: float
    start: Start
    """Starts a feeder in the node's task block."""
    keeps_calls: bool = True
    """Whether durable calls are on a disk."""
    trouble: Callable[[], str] = str
    """Why signaling is away; empty: it is there."""

    failed: Callable[[PeerError], None] = lambda error: None
    """Told why a tell was not taken."""
    tells: Tells = field(init=False)

    def __post_init__(self) -> None:
        self.tells = Tells(self.transport, self.contracts, self.failed)

    @property
    def contracts(self) -> Contracts:
        """What is known of those of remotes."""
        return self.durable.contracts

    def resolve(self, remote: ActrId, reply: Envelope, message: bytes) -> None:
        """A reply has come: to a call, to a durable one, or of a tell that was refused."""
        if self.calls.resolve(remote, reply) or self.durable.resolve(remote, reply, message):
            return
        if not self.tells.resolve(remote, reply):
            self.calls.unmatched += 1

    def check_durable(self, route_key: str) -> None:
        """Refuse a durable call that would be kept nowhere.

        Raises:
            ConfigError: If there is no file for it.
        """
        if not self.keeps_calls:
            raise ConfigError(
                f"{route_key}: a durable call is kept in a file, and this actor has none: name one "
                "in mailbox.path (--mailbox FILE, NodeConfig(mailbox_path=...)), and let "
                "mailbox.durability be power or process"
            )

    def resend(self, remote: ActrId) -> None:
        """The far process has restarted: it is asked again for what it has not answered."""
        link = self.transport.link(remote)
        for call in self.calls.sent_to(remote):
            if call.message:
                link.lane(call.payload_type).post(call.message)
            else:  # a stream of requests, of which the new process knows nothing
                call.future.set_exception(BrokenError(f"{remote} restarted"))
