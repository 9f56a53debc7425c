"""Everything that can be configured, with its default and what is allowed (docs/configuration.md).

The defaults are for a person at a machine: signaling and wires on the loopback, state under
``.actr`` in the current folder. Containers set their own. Every key ``[section] key`` is also
``ACTR_SECTION__KEY`` (:mod:`actr_peer.node.config.loading`). Secrets are files: a key that ends in
``_file`` holds a path, never the secret. No key chooses a lane: lanes follow from the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from actr_peer.errors import ConfigError
from actr_peer.node.config.metrics import Metrics
from actr_peer.node.config.section import Section, host_port
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import CAPACITY, MAX_ATTEMPTS, MAX_BYTES, REMEMBER
from actr_peer.protocol.rpc.access.patterns import ANY, Callers, Methods
from actr_peer.protocol.rpc.access.rules import MAX_RULES
from actr_peer.protocol.websocket.origins import read_origin
from actr_peer.protocol.websocket.upgrade import PATH
from actr_peer.state.storage.database import Durability
from actr_peer.state.storage.witness import AfterLoss

PREFIX: Final = "ACTR_"
DELIMITER: Final = "__"

MAY_BE_EMPTY: Final = (
    "wires.listen",
    "wires.advertise",
    "mailbox.path",
    "control.socket",
    "identity.key_file",
    "metrics.listen",
)
"""Keys for which an empty variable says none; for the others it is as if it was not there."""

AUTO: Final = "auto"
"""Instance that stands for the replica's index, else the host name."""


def _actor_id(text: str) -> str:
    try:
        ActrId.parse(text)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return text


def _signaling_url(text: str) -> str:
    if not text.startswith(("ws://", "wss://")):
        raise ValueError("must be a WebSocket address, for example ws://127.0.0.1:8080/v1/ws")
    return text


def wire_address(text: str) -> str:
    """``ws://host:port/v1/wire``, of what people write; empty as it is.

    Raises:
        ValueError: If it is no address of a listener; says what is.
    """
    address = text if not text or "://" in text else f"ws://{text}"
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not address:
        return address
    if not is_usable or parts.path not in ("", "/", PATH) or parts.query or parts.username:
        raise ValueError(f"must be host:port or ws://host:port, with no path but {PATH}")
    return f"{parts.scheme}://{parts.netloc}{PATH}"


def _pairs(value: object) -> object:
    """Metadata of the environment: ``zone=a,floor=2``."""
    if isinstance(value, list) and all(isinstance(part, str) and "=" in part for part in value):
        return dict(part.split("=", 1) for part in value)
    return value


def _callers(text: str) -> str:
    try:
        Callers.parse(text, realm=ANY)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return text


def _methods(text: str) -> str:
    try:
        Methods(text)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return text


def _ice_server(value: object) -> object:
    return {"urls": [value]} if isinstance(value, str) else value


class Actor(Section):
    """Who this process is."""

    id: Annotated[str, AfterValidator(_actor_id)] = "acme:room@auto:default"
    start_timeout_s: float = Field(default=10, gt=0)
    """Seconds in which it must be registered at signaling."""
    reflection: bool = True
    """Whether others may ask it for its services and messages, as ``actr describe`` does."""
    inspection: Literal["off", "look", "operate"] = "off"
    """Whether others may look how it stands; operate: and replay and drop its dead letters."""
    metadata: Annotated[Mapping[str, str], BeforeValidator(_pairs)] = Field(default={})
    """What others are told of it besides."""
    visibility: Literal["realm", "hidden"] = "realm"
    """hidden: reachable by who knows the id, and in no list."""
    allowed_realms: tuple[str, ...] = ()
    """Realms besides its own whose actors may see and reach it."""
    takes_over: bool = True
    """Whether it takes its identity from another process that has it; false: it does not start."""


class Realm(Section):
    """What proves membership of the realm."""

    secret_file: Path | None = None
    """A file with the realm's secret; without one the peer runs in development mode."""
    production: bool = False
    """Refuse to start without a secret or a certificate."""
    trust: Literal["auto", "development", "secret", "certificate"] = "auto"
    """What others must prove: auto: all that this actor can prove itself. secret beside a
    certificate: while a realm goes over."""


class Identity(Section):
    """What proves who this process is; without an issuer or a certificate: nothing does."""

    key_file: str = ".actr/{id}/identity.pem"
    """An Ed25519 key, PKCS#8 in PEM, for its user alone; made where there is none. ``{id}`` and
    ``{instance}`` as in ``mailbox.path``; empty: a new one in memory for each start."""
    issuer_url: str = ""
    """``https://host:port`` of the issuer that gives this actor its certificate."""
    certificate_file: str = ""
    """Where the certificate is kept, ``.actr/{id}/certificate.jwt`` if it is the issuer's; where
    somebody puts one, if there is no issuer to ask."""
    join_token_file: Path | None = None
    """A one-time token with which the key enrols; without one the realm's secret will do."""
    issuer_keys_file: Path | None = None
    """Public keys (JWK set) by which certificates are believed; without it, the issuer's word."""
    access: bool = False
    """Whether the issuer's access rules hold, beside the actor's own ``[[access]]``."""
    access_file: Path | None = None
    """The issuer's ``access.json``, and then they hold; without it, the issuer itself is asked."""
    revoked_file: Path | None = None
    """What the issuer has revoked, its ``revoked.json``; without it, the issuer itself is asked."""
    revoked_every_s: float = Field(default=15, ge=0.1, le=20)
    """Seconds between two looks at what is revoked, at most."""


class Signaling(Section):
    """The signaling service."""

    url: Annotated[str, AfterValidator(_signaling_url)] = "ws://127.0.0.1:8080/v1/ws"


class IceServerEntry(Section):
    """A STUN or TURN server as it is written down, its credential in a file; a bare URL in the
    list is one without a user."""

    urls: tuple[str, ...]
    username: str = ""
    credential_file: Path | None = None


class Wires(Section):
    """How bytes reach other peers."""

    prefer: tuple[Literal["webrtc", "websocket"], ...] = Field(
        default=("webrtc", "websocket"), min_length=1
    )
    """All that are listed are raced; this is the order of use."""
    relayed: bool = True
    """Whether signaling may relay a wire, sealed from end to end, where no other comes about."""
    listen: Annotated[str, AfterValidator(host_port)] = "127.0.0.1:0"
    """Where the WebSockets of others come in; port 0 takes a free one; empty: no listener."""
    advertise: Annotated[str, AfterValidator(wire_address)] = ""
    """That others dial, ``wss://host:port`` of a proxy; empty: of where signaling is reached."""
    allowed_origins: tuple[Annotated[str, AfterValidator(read_origin)], ...] = ()
    """Of web pages that may open a WebSocket here, ``https://page.example``; ``*`` is all."""
    reach: tuple[Literal["private", "loopback", "link-local"], ...] = ("private",)
    """Addresses of other actors that are tried besides public ones, of either kind of wire."""
    ice_servers: tuple[Annotated[IceServerEntry, BeforeValidator(_ice_server)], ...] = ()
    """Never a third party by default."""
    ice_policy: Literal["all", "relay"] = "all"
    health_interval_s: float = Field(default=10, gt=0)


class Mailbox(Section):
    """Where requests wait, durably."""

    path: str = ".actr/{id}/mailbox.db"
    """``{id}`` stands for the actor's id, ``{instance}`` for its last part but one; empty: kept in
    memory."""
    capacity: int = Field(default=CAPACITY, ge=1)
    """Messages that may wait."""
    max_bytes: int = Field(default=MAX_BYTES, ge=4 * 1024 * 1024)
    """Of the file, beside a log of up to 2 MiB; half of what the volume has, where that is less."""
    max_attempts: int = Field(default=MAX_ATTEMPTS, ge=1)
    """Starts of one message before it is a dead letter."""
    remember_s: float = Field(default=REMEMBER, gt=0)
    """Seconds for which a repeated call that is not durable gets the first one's reply."""
    durability: Durability = "power"
    """power: fsync before acknowledging; process: survives kill -9 only."""
    after_loss: AfterLoss = "refuse"
    """What a start does with a file that has lost what was promised; go-on is for one start."""


class Calls(Section):
    """Calls to other actors."""

    timeout_s: float = Field(default=30, gt=0)
    """Seconds a unary call may take where the caller gives no timeout."""


class Control(Section):
    """Where ``actr ps`` and ``actr health`` ask a running peer."""

    socket: str = ".actr/{id}/control.sock"
    """A Unix socket; ``{id}`` and ``{instance}`` as in ``mailbox.path``; empty: none."""


class Log(Section):
    """What the process says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""


class AccessEntry(Section):
    """One ``[[access]]`` table: what it says of whom (docs/access.md)."""

    effect: Literal["allow", "deny"]
    callers: tuple[Annotated[str, AfterValidator(_callers)], ...] = Field(min_length=1)
    methods: tuple[Annotated[str, AfterValidator(_methods)], ...] = Field(
        default=("*",), min_length=1
    )
    claims: tuple[str, ...] = ()


class Settings(BaseSettings):
    """Everything that can be configured; read once, then frozen."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter=DELIMITER
    )

    actor: Actor = Actor()
    realm: Realm = Realm()
    identity: Identity = Identity()
    signaling: Signaling = Signaling()
    wires: Wires = Wires()
    mailbox: Mailbox = Mailbox()
    calls: Calls = Calls()
    control: Control = Control()
    log: Log = Log()
    metrics: Metrics = Metrics()
    access: tuple[AccessEntry, ...] = Field(default=(), max_length=MAX_RULES)
    """Who may ask what; without an entry everybody may who can reach the actor."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what it is given: :func:`~actr_peer.node.config.loading.load` has put file,
        environment and flags together."""
        return (init_settings,)
