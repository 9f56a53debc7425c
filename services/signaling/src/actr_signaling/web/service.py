"""What pages and new sockets need: the hub, its store, whom it believes, and the terms."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uuid_utils

from actr_signaling.errors import Close
from actr_signaling.hub.durations import Durations
from actr_signaling.hub.hub import Hub
from actr_signaling.hub.ice import IceServers
from actr_signaling.hub.wires import WireBounds
from actr_signaling.ledger.memory import MemoryLedger
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.messages import MAX_MESSAGE_BYTES
from actr_signaling.protocol.client.proofs import NONCE_BYTES
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Trust
from actr_signaling.protocol.loopback import is_name_of_here
from actr_signaling.protocol.websocket.upgrade import Upgrade
from actr_signaling.secret_files import read_secret, secret_lookup
from actr_signaling.settings import Settings
from actr_signaling.trust.keeper import Keeper
from actr_signaling.web.connection import Connection
from actr_signaling.web.door.joined import JoinedSocket
from actr_signaling.web.metrics.lag import Lag
from actr_signaling.web.websocket import Socket

if TYPE_CHECKING:
    from actr_signaling.ledger.redis.ledger import RedisLedger

JITTER = 0.2
"""Of the heartbeat interval, each way: peers that came together do not beat together."""
DEVELOPMENT = "DEVELOPMENT MODE: no realm secret and no issuer, anyone may register as any actor"


class Service:
    """What the routes need: the hub, and the terms of new sessions."""

    def __init__(self, settings: Settings, *, server_id: str) -> None:
        self.settings = settings
        self.server_id = server_id
        self.trust = Trust(
            secret_of=secret_lookup(settings.realm_secret_file, settings.realm_secrets_dir),
            issuer_keys={} if settings.believed_keys else None,
            accepts_secrets=settings.accept_secrets,
        )
        self.terms = Terms(
            authenticate=settings.authenticate,
            lease=settings.lease,
            heartbeat=settings.heartbeat,
            messages_per_second=settings.messages_per_second,
            messages_burst=settings.messages_burst,
            bytes_per_second=settings.bytes_per_second,
            bytes_burst=settings.bytes_burst,
        )
        secret = b""
        if settings.turn_secret_file is not None:
            secret = read_secret(settings.turn_secret_file, "TURN_SECRET_FILE")
        ice = IceServers(settings.turn_urls, secret=secret, ttl=settings.turn_ttl)
        self.hub = Hub(
            server_id=server_id,
            ice=ice,
            heartbeat=self._heartbeat,
            grace=settings.grace,
            relayed_wires=WireBounds(
                most=settings.relayed_wires, bytes_per_second=settings.relayed_bytes_per_second
            ),
        )
        self.hub.meetings.follow(self.trust)
        self.store, self.lag = Durations(), Lag()
        self.ledger = self._make_ledger()
        self.hub.attach(self.ledger)
        self.keeper = Keeper(
            self.trust,
            keys=settings.believed_keys,
            revoked=settings.believed_revoked,
            is_there=settings.issuer_home is None,
            access=settings.access,
            interval=settings.trust_interval,
            changed=self.hub.examine_again,
        )

    def _make_ledger(self) -> MemoryLedger | RedisLedger:
        settings = self.settings
        if not settings.redis_url:
            return MemoryLedger(self.hub, wall_clock=lambda: time.time_ns() // 1000)
        from actr_signaling.web.store import redis_ledger  # a tenth of all imports

        return redis_ledger(settings, self.hub, replica=self.server_id, took=self.store.add)

    @property
    def warning(self) -> str | None:
        return DEVELOPMENT if self.trust.is_development else None

    def challenge(self) -> Challenge:
        return Challenge(
            server_id=self.server_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            trust=self.trust,
        )

    def _heartbeat(self) -> float:
        return self.settings.heartbeat * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    def greet(self, socket: Socket, upgrade: Upgrade) -> None:
        """Give a new socket its session, and tell it hello; or say why it gets none."""
        refusal = self._refusal(upgrade)
        if refusal is not None:
            code, why = refusal
            data = replies.error(0, code, why)
            if not upgrade.is_wire:
                socket.send_message(json_form.to_json(data) if upgrade.is_json else data)
            socket.finish(code, why)
            return
        if isinstance(socket, JoinedSocket):
            end = self.hub.wires.take(socket)
            if end is not None:
                socket.attach(end)
            return
        challenge = self.challenge()
        session = Session(challenge, self.terms, asyncio.get_running_loop().time())
        connection = Connection(
            self.hub,
            socket,
            session,
            session_id=uuid_utils.uuid7().hex,
            is_json=upgrade.is_json,
        )
        hello = replies.hello(
            nonce=challenge.nonce,
            server_id=challenge.server_id,
            proof_required=self.trust.secret_required,
            certificate_required=self.trust.certificate_required,
            max_message_bytes=MAX_MESSAGE_BYTES,
            unix=time.time(),
        )
        connection.begin(hello)

    def _refusal(self, upgrade: Upgrade) -> tuple[Close, str] | None:
        if self.hub.is_draining:
            return Close.RESTART, "this replica goes away"
        origin = upgrade.origin
        if origin is not None and not is_allowed(
            origin,
            upgrade.host,
            self.settings.allowed_origins,
            # Where nobody proves anything, a site whose name is made to lead here (DNS rebinding)
            # would be this service's own, and anybody.
            is_own=is_name_of_here if self.trust.is_development else bool,
        ):
            return Close.FORBIDDEN, "this origin is not allowed"
        return None


def is_allowed(
    origin: str, host: str, allowed: tuple[str, ...], *, is_own: Callable[[str], bool] = bool
) -> bool:
    """Programs send no origin; a page must be this service's own or a listed one.

    Args:
        is_own: Whether a host is one that this service may have.
    """
    if "*" in allowed or origin in allowed:
        return True
    try:
        return origin != "null" and urlsplit(origin).netloc == host and is_own(host)
    except ValueError:
        return False
