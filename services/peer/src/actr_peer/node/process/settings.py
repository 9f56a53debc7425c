"""Configuration: defaults, then ``actr.toml``, then the environment (README.md).

Every key ``[section] key`` is also ``ACTR_SECTION__KEY``. The file is ``actr.toml`` in the
current directory where there is one, or what ``ACTR_CONFIG`` names. Secrets are files: a key
that ends in ``_file`` holds a path, never the secret. Lists in the environment are JSON or
parts joined by commas. No key chooses a lane: lanes follow from the contract.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import CAPACITY, MAX_ATTEMPTS, MAX_BYTES, REMEMBER
from actr_peer.protocol.websocket.upgrade import PATH
from actr_peer.state.storage.database import Durability
from actr_peer.state.storage.witness import AfterLoss

DEFAULT_FILE: Final = Path("actr.toml")
FILE_VARIABLE: Final = "ACTR_CONFIG"
PREFIX: Final = "ACTR_"
DELIMITER: Final = "__"
_SIMILAR: Final = 0.6  # difflib's ratio above which another key is worth naming

MAY_BE_EMPTY: Final = ("wires.listen", "wires.advertise", "mailbox.path", "control.socket")
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
        raise ValueError("must be a WebSocket address, for example ws://signaling:8080/v1/ws")
    return text


def _host_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError("must be host:port, for example 0.0.0.0:9100; empty: no listener")
    return text


def _advertised(text: str) -> str:
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


def _ice_server(value: object) -> object:
    return {"urls": [value]} if isinstance(value, str) else value


class Section(BaseModel):
    """A table of ``actr.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Actor(Section):
    """Who this process is."""

    id: Annotated[str, AfterValidator(_actor_id)] = "acme:room@auto:default"
    reflection: bool = True
    """Whether others may ask it for its services and messages, as ``actr describe`` does."""


class Realm(Section):
    """What proves membership of the realm."""

    secret_file: Path | None = None
    """A file with the realm's secret; without one the peer runs in development mode."""
    production: bool = False
    """Refuse to start without a secret."""


class Signaling(Section):
    """The signaling service."""

    url: Annotated[str, AfterValidator(_signaling_url)] = "ws://signaling:8080/v1/ws"


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
    listen: Annotated[str, AfterValidator(_host_port)] = "0.0.0.0:9100"
    advertise: Annotated[str, AfterValidator(_advertised)] = ""
    """Address that others dial, ``ws://host:port`` or ``host:port``; empty: derived from
    ``listen`` and the interface that reaches signaling."""
    reach: tuple[Literal["private", "loopback", "link-local"], ...] = ("private",)
    """Addresses of other actors that are tried besides public ones, of either kind of wire."""
    ice_servers: tuple[Annotated[IceServerEntry, BeforeValidator(_ice_server)], ...] = ()
    """Never a third party by default."""
    ice_policy: Literal["all", "relay"] = "all"
    health_interval_s: float = Field(default=10, gt=0)


class Mailbox(Section):
    """Where requests wait, durably."""

    path: str = "/data/{instance}.db"
    """``{instance}`` stands for the actor's instance; empty: kept in memory."""
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

    socket: str = "/tmp/actr-{instance}.sock"  # noqa: S108  # made with mode 0600, never followed
    """A Unix socket; ``{instance}`` stands for the actor's instance; empty: none."""


class Log(Section):
    """What the process says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: readable on a terminal, JSON elsewhere."""


class _Environment(EnvSettingsSource):
    """The environment, with lists as JSON or as parts joined by commas."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if not value:
            return value
        try:
            return json.loads(value)
        except ValueError:
            return [part.strip() for part in str(value).split(",")]

    def __call__(self) -> dict[str, Any]:
        """Leave out what is empty and may not be, and what is the signaling service's.

        An empty variable is how compose passes on one that is not set.
        """
        found = super().__call__()
        for section, values in found.items():
            if isinstance(values, dict):
                kept = {
                    k: v for k, v in values.items() if v != "" or f"{section}.{k}" in MAY_BE_EMPTY
                }
                if section == "signaling":
                    kept = {k: v for k, v in kept.items() if k in Signaling.model_fields}
                found[section] = kept
        return found


class Settings(BaseSettings):
    """Everything that can be configured; read once, by :func:`load`, then frozen."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )

    actor: Actor = Actor()
    realm: Realm = Realm()
    signaling: Signaling = Signaling()
    wires: Wires = Wires()
    mailbox: Mailbox = Mailbox()
    calls: Calls = Calls()
    control: Control = Control()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment above the values given, which are those of the file."""
        return _Environment(settings_cls), init_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One configured value and where it came from."""

    key: str
    """``section.key``."""
    value: object
    """As JSON shows it."""
    origin: str
    """``default``, the file's path, or the variable's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings with the origin of each value."""

    settings: Settings
    entries: tuple[Entry, ...]


def known_keys() -> Iterator[str]:
    """Every known ``section.key``, in the order of the classes above."""
    for section, field in Settings.model_fields.items():
        table = field.annotation
        assert isinstance(table, type)
        assert issubclass(table, Section)
        for key in table.model_fields:
            yield f"{section}.{key}"


def variable(key: str) -> str:
    """Name of ``section.key`` in the environment."""
    return PREFIX + key.replace(".", DELIMITER).upper()


def load(file: Path | None = None) -> Loaded:
    """Read file and environment.

    Args:
        file: Read this file; None: what ``ACTR_CONFIG`` names, else ``actr.toml`` if there.

    Raises:
        ConfigError: Naming every key that cannot be used, its value, and what is allowed.
    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    from_file = _read(path) if path else {}
    _refuse_unknown_variables()
    try:
        settings = Settings(**from_file)
    except ValidationError as exc:
        # An item that is refused leaves its list too short: one fault, told once.
        errors = [error for error in exc.errors() if error["type"] != "too_short"] or exc.errors()
        told = "; ".join(_explain(error["loc"], error, path) for error in errors)
        raise ConfigError(told) from exc
    return Loaded(settings=settings, entries=tuple(_entries(settings, from_file, path)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            f"cannot read {path}: {exc.strerror}; name another file in {FILE_VARIABLE}"
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


def _refuse_unknown_variables() -> None:
    """Refuse variables that look like keys and are none: a silent typo is worse than a stop."""
    known = [variable(key) for key in known_keys()]
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name.upper() in (*known, FILE_VARIABLE):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.9)
        is_service = name.upper().startswith(variable("signaling."))
        if near or (DELIMITER in name and not is_service):
            raise ConfigError(f"unknown variable {name}{_nearest(name.upper(), known)}")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _explain(loc: tuple[int | str, ...], error: Mapping[str, Any], path: Path | None) -> str:
    """One clause for one refused value."""
    key = ".".join(str(part) for part in loc[:2])
    origin = _origin_in_environment(key) or str(path)
    if error["type"] == "extra_forbidden":
        name = ".".join(str(part) for part in loc)
        known = [*Settings.model_fields, *known_keys()]
        return f"unknown key {name} in {origin}{_nearest(name, known)}"
    allowed = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key} = {error['input']!r} in {origin}: {allowed}"


def _origin_in_environment(key: str) -> str | None:
    wanted = variable(key)
    may_be_empty = key in MAY_BE_EMPTY
    for name, value in os.environ.items():
        if name.upper() == wanted and (value or may_be_empty):
            return name
    return None


def _entries(
    settings: Settings, from_file: Mapping[str, Any], path: Path | None
) -> Iterator[Entry]:
    shown = settings.model_dump(mode="json")
    for name in known_keys():
        section, key = name.split(".")
        in_file = str(path) if key in from_file.get(section, {}) else "default"
        origin = _origin_in_environment(name) or in_file
        yield Entry(key=name, value=shown[section][key], origin=origin)
