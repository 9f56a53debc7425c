"""What a node needs to know, as plain values; :meth:`NodeConfig.load` reads them.

No key chooses a lane: lanes follow from the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self

from actr_peer.errors import ConfigError
from actr_peer.node.config.identity import identity_config
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import (
    ice_server,
    metrics_address,
    own_id,
    path_for,
    realm_secret,
)
from actr_peer.node.config.settings import Settings, wire_address
from actr_peer.protocol.identity import PART, ActrId
from actr_peer.protocol.mailbox.requests import CAPACITY, MAX_ATTEMPTS, MAX_BYTES, REMEMBER
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc.access.rules import MAX_RULES, AccessRule
from actr_peer.protocol.signaling.presence import Visibility
from actr_peer.protocol.webrtc.candidates import DEFAULT_RULE, AddressRule
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.protocol.websocket.origins import read_origin
from actr_peer.state.storage.database import Durability
from actr_peer.state.storage.witness import AfterLoss
from actr_peer.wire.issuer.credentials import IdentityConfig

MAX_METADATA: Final = 16
MAX_METADATA_BYTES: Final = 256
"""Of one key and its value."""
MAX_ALLOWED_REALMS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One actor's configuration.

    Raises:
        ConfigError: If the id, the address that is advertised or an origin is none, or metadata or
            realms are more than the signaling service takes.
    """

    id: ActrId
    """Its text or URI is taken too, as people write it."""
    signaling_url: str
    """``ws://host:port/v1/ws`` of a signaling service, or of the name of several."""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What others are told of it besides, in ``Presence.metadata``: at most 16 entries of 256
    bytes."""
    visibility: Visibility = Visibility.REALM
    """``HIDDEN``: reachable by who knows the id, and in no list."""
    allowed_realms: tuple[str, ...] = ()
    """Realms besides its own whose actors may see and reach it; at most 16."""
    takes_over: bool = True
    """Whether it takes its identity from another process that holds it, which ends then; False: the
    start is a ``BusyError``."""
    realm_secret: bytes | None = field(default=None, repr=False)
    """Proves membership of the realm; None is development mode."""
    identity: IdentityConfig | None = None
    """What proves who it is; None: nothing does."""
    prefer: Sequence[WireKind] = (WireKind.WEBRTC, WireKind.WEBSOCKET)
    """Kinds of wire to use, best first; all that are listed are raced."""
    relayed: bool = True
    """Whether signaling may relay a wire, sealed from end to end, where no other comes about."""
    listen: str | None = "127.0.0.1:0"
    """``host:port`` of the WebSocket listener; port 0 takes a free one; None: no listener."""
    advertise: str | None = None
    """Address that others dial, ``host:port`` or ``ws://host:port``; None: derived from
    ``listen``."""
    allowed_origins: tuple[str, ...] = ()
    """Of web pages that may open a WebSocket here, as ``https://page.example``; ``*`` is all."""
    reach: AddressRule = DEFAULT_RULE
    """Which addresses of other actors are tried, of either kind of wire. The loopback is one,
    whatever this says, while this actor is known by it or reaches signaling over it."""
    ice_servers: tuple[IceServer, ...] = ()
    """Besides those that signaling hands out; never a third party by default."""
    ice_policy: Literal["all", "relay"] = "all"
    health_interval: float = 10.0
    """Seconds between health rounds of the links."""
    mailbox_path: Path | None = None
    """SQLite file; None keeps the mailbox in memory whatever ``durability`` says."""
    mailbox_capacity: int = CAPACITY
    """Messages that may wait."""
    mailbox_max_bytes: int = MAX_BYTES
    """Of the file; half of what the volume has, where that is less."""
    remember: float = REMEMBER
    """Seconds for which a repeated call that is not durable gets the first one's reply."""
    max_attempts: int = MAX_ATTEMPTS
    """Starts of one message before it becomes a dead letter."""
    durability: Durability = "power"
    after_loss: AfterLoss = "refuse"
    """What a start does with a mailbox or outbox that has lost what was promised."""
    start_timeout: float = 10.0
    """Seconds in which it must be registered at signaling."""
    absent_timeout: float | None = None
    """The same while nobody listens at signaling's address; None: as ``start_timeout``."""
    reflection: bool = True
    """Whether ``actr describe`` and ``actr call`` may ask it for its services and messages."""
    inspection: Literal["off", "look", "operate"] = "off"
    """Whether others may look how it stands, and replay and drop its dead letters besides
    (docs/protocol/inspection.md)."""
    access: Sequence[AccessRule] = ()
    """Who may ask what of it; without a rule everybody may who can reach it."""
    call_timeout: float = 30.0
    """Seconds a unary call may take where the caller gives no timeout."""
    close_timeout: float = 8.0
    """Seconds that closing may take, all phases together; compose kills after ten."""
    metrics: str = ""
    """Where a process that :func:`actr_peer.run` runs tells its metrics, ``host:port`` or ``unix:``
    and a path; empty: nowhere."""
    control_socket: Path | None = None
    """Where a process that :func:`actr_peer.run` runs answers ``actr ps``; None: nowhere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", _id_of(self.id))
        if self.identity is not None and not self.identity.is_required and not self.realm_secret:
            raise ConfigError(
                "identity: is_required is False, and there is no realm_secret that others could "
                "prove in place of a certificate: anybody would be believed"
            )
        _check_metadata(self.metadata)
        _check_access(self.access, self.id.realm)
        try:
            object.__setattr__(self, "advertise", wire_address(self.advertise or "") or None)
        except ValueError as exc:
            raise ConfigError(f"wires.advertise = {self.advertise!r}: {exc}") from exc
        try:
            origins = tuple(map(read_origin, self.allowed_origins))
        except ValueError as exc:
            raise ConfigError(f"wires.allowed_origins = {self.allowed_origins!r}: {exc}") from exc
        object.__setattr__(self, "allowed_origins", origins)
        strange = [realm for realm in self.allowed_realms if not PART.fullmatch(realm)]
        if strange or len(self.allowed_realms) > MAX_ALLOWED_REALMS:
            raise ConfigError(
                f"actor.allowed_realms = {list(self.allowed_realms)!r}: write at most "
                f"{MAX_ALLOWED_REALMS} realms, each of letters, digits, '.', '-' or '_'"
            )

    @property
    def trust(self) -> Literal["certificate", "secret", "development"]:
        """What others have to prove to this actor, on every wire, as ``realm.trust`` has it:
        ``development`` is nothing."""
        if self.identity is not None and self.identity.is_required:
            return "certificate"
        return "secret" if self.realm_secret else "development"

    @property
    def takes_access(self) -> bool:
        """Whether the issuer's access rules hold, too."""
        return self.identity is not None and self.identity.takes_access

    @classmethod
    def load(cls, file: Path | str | None = None, *, id: ActrId | str | None = None) -> Self:
        """Read ``actr.toml`` and the environment, as ``actr run`` does (docs/configuration.md).

        Args:
            file: Read this file; None: what ``ACTR_CONFIG`` names, else ``actr.toml`` of the
                current folder, if there is one.
            id: Who this is, whatever they say; files of its state are named by it.

        Raises:
            ConfigError: Naming each key that cannot be used, where it is from, and what to write.
        """
        flags = {} if id is None else {"actor.id": str(id)}
        return cls.from_settings(load(None if file is None else Path(file), flags).settings)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Turn settings into what a node takes: identity found, secrets read, paths filled in.

        Raises:
            ConfigError: If a file cannot be read, or production is asked for without a secret.
        """
        actor = own_id(settings.actor.id)
        wires, mailbox = settings.wires, settings.mailbox
        return cls(
            id=actor,
            signaling_url=settings.signaling.url,
            metadata=settings.actor.metadata,
            visibility=Visibility(settings.actor.visibility),
            allowed_realms=settings.actor.allowed_realms,
            takes_over=settings.actor.takes_over,
            realm_secret=realm_secret(settings),
            identity=identity_config(settings),
            prefer=tuple(WireKind(kind) for kind in wires.prefer),
            relayed=wires.relayed,
            listen=wires.listen or None,
            advertise=wires.advertise or None,
            allowed_origins=wires.allowed_origins,
            reach=AddressRule(
                allow_private="private" in wires.reach,
                allow_loopback="loopback" in wires.reach,
                allow_link_local="link-local" in wires.reach,
            ),
            ice_servers=tuple(ice_server(server) for server in wires.ice_servers),
            ice_policy=wires.ice_policy,
            health_interval=wires.health_interval_s,
            mailbox_path=path_for(mailbox.path, actor),
            mailbox_capacity=mailbox.capacity,
            mailbox_max_bytes=mailbox.max_bytes,
            remember=mailbox.remember_s,
            max_attempts=mailbox.max_attempts,
            durability=mailbox.durability,
            after_loss=mailbox.after_loss,
            start_timeout=settings.actor.start_timeout_s,
            reflection=settings.actor.reflection,
            inspection=settings.actor.inspection,
            access=tuple(AccessRule(**entry.model_dump()) for entry in settings.access),
            call_timeout=settings.calls.timeout_s,
            metrics=metrics_address(settings, actor),
            control_socket=path_for(settings.control.socket, actor),
        )


def _id_of(given: object) -> ActrId:
    if isinstance(given, ActrId):
        return given
    if isinstance(given, str):
        return ActrId.read(given)
    raise ConfigError(f"id = {given!r}: must be an ActrId, or text as acme:room@2:default")


def _check_access(rules: Sequence[AccessRule], realm: str) -> None:
    if len(rules) > MAX_RULES:
        raise ConfigError(f"access: {len(rules)} rules; write at most {MAX_RULES}")
    for number, rule in enumerate(rules, 1):
        try:
            rule.read(realm)
        except ConfigError as exc:
            raise ConfigError(f"access, rule {number}: {exc}") from exc


def _check_metadata(metadata: Mapping[str, str]) -> None:
    longest = max((len(f"{key}{value}".encode()) for key, value in metadata.items()), default=0)
    if len(metadata) > MAX_METADATA or longest > MAX_METADATA_BYTES:
        raise ConfigError(
            f"actor.metadata: {len(metadata)} entries, the longest of {longest} bytes: write at "
            f"most {MAX_METADATA} of {MAX_METADATA_BYTES} bytes, key and value together"
        )
