"""Reads the configuration: defaults, then ``actr.toml``, then the environment, then flags.

Where none of them names a signaling service, it is that of the ``actr dev`` of this folder, if one
runs; and so is the issuer, where none of them says how this actor proves who it is.

The file is ``actr.toml`` in the current directory where there is one, or what ``ACTR_CONFIG``
names. Lists in the environment are JSON or parts joined by commas. The keys are those of
:mod:`actr_peer.node.config.settings`.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from actr_peer.errors import ConfigError
from actr_peer.node.config.development import IDENTITY, SIGNALING, settings_of_dev
from actr_peer.node.config.section import Section
from actr_peer.node.config.settings import (
    DELIMITER,
    MAY_BE_EMPTY,
    PREFIX,
    Settings,
    Signaling,
)

DEFAULT_FILE: Final = Path("actr.toml")
FILE_VARIABLE: Final = "ACTR_CONFIG"
FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "actor.id": "--id",
        "signaling.url": "--signaling",
        "mailbox.path": "--mailbox",
        "wires.listen": "--listen",
    }
)
"""Keys that a command line may give, and how."""
PROOFS: Final = (
    "identity.issuer_url",
    "identity.certificate_file",
    "identity.issuer_keys_file",
    "identity.join_token_file",
    "realm.trust",
)
"""Who says one of these has said how this actor proves who it is."""
_SIMILAR: Final = 0.6  # difflib's ratio above which another key is worth naming


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One configured value and where it came from."""

    key: str
    """``section.key``."""
    value: object
    """As JSON shows it."""
    origin: str
    """``default``, ``actr dev``, the file's path, the variable's name, or the flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings with the origin of each value."""

    settings: Settings
    entries: tuple[Entry, ...]

    def origin(self, key: str) -> str:
        """Where the value of ``section.key`` came from."""
        return next(entry.origin for entry in self.entries if entry.key == key)


def known_keys() -> Iterator[str]:
    """Every known ``section.key``, in the order of the classes above, and lists of tables."""
    for section, field in Settings.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, Section):
            yield from (f"{section}.{key}" for key in table.model_fields)
        else:
            yield section


def variable(key: str) -> str:
    """Name of ``section.key`` in the environment."""
    return PREFIX + key.replace(".", DELIMITER).upper()


def load(file: Path | None = None, flags: Mapping[str, str] | None = None) -> Loaded:
    """Read file and environment.

    Args:
        file: Read this file; None: what ``ACTR_CONFIG`` names, else ``actr.toml`` if there.
        flags: Values by the keys of :data:`FLAGS`, from the command line: they win over both.

    Raises:
        ConfigError: Naming every key that cannot be used, its value, and what is allowed.
    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    from_file = _read(path) if path else {}
    _refuse_unknown_variables()
    origins = _Origins(path, from_file, flags or {})
    below: dict[str, Any] = {}
    if origins.of(SIGNALING) == "default" and (found := _of_dev(origins)):
        below = _tables(found)
        origins = replace(origins, from_dev=frozenset(found))
    above = (from_file, _Environment(Settings)(), _tables(flags or {}))
    try:
        settings = Settings(**_merged(below, *above))
    except ValidationError as exc:
        # An item that is refused leaves its list too short: one fault, told once.
        errors = [error for error in exc.errors() if error["type"] != "too_short"] or exc.errors()
        raise ConfigError("; ".join(_explain(e["loc"], e, origins) for e in errors)) from exc
    return Loaded(settings=settings, entries=tuple(_entries(settings, origins)))


def _of_dev(origins: _Origins) -> Mapping[str, str]:
    """What an ``actr dev`` of this folder gives, but for what is said already."""
    found = {key: text for key, text in settings_of_dev().items() if origins.of(key) == "default"}
    if any(origins.of(key) != "default" for key in PROOFS):
        found = {key: text for key, text in found.items() if key not in IDENTITY}
    return found


def _tables(flags: Mapping[str, str]) -> dict[str, Any]:
    """Flags as a file would have them."""
    tables: dict[str, Any] = {}
    for name, value in flags.items():
        section, key = name.split(".")
        tables.setdefault(section, {})[key] = value
    return tables


def with_keys(settings: Settings, keys: Mapping[str, str]) -> Settings:
    """The same with other values by ``section.key``, which must be good ones."""
    return Settings(**_merged(settings.model_dump(), _tables(keys)))


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of tables; what a later one has wins, key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            below = merged.get(section)
            both = isinstance(values, dict) and isinstance(below, dict)
            merged[section] = {**below, **values} if both and below is not None else values
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            f"cannot read {path}: {exc.strerror}; name another file in {FILE_VARIABLE}"
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


_SERVICES = (f"{PREFIX}SIGNALING{DELIMITER}", f"{PREFIX}ISSUER{DELIMITER}")
"""Variables of the services, which may run in the same environment."""


def _refuse_unknown_variables() -> None:
    """Refuse variables that look like keys and are none: a silent typo is worse than a stop."""
    known = [variable(key) for key in known_keys()]
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name.upper() in (*known, FILE_VARIABLE):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.9)
        is_service = name.upper().startswith(_SERVICES)
        if near or (DELIMITER in name and not is_service):
            raise ConfigError(f"unknown variable {name}{_nearest(name.upper(), known)}")


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class _Origins:
    """Where the value of each key is from."""

    path: Path | None
    from_file: Mapping[str, Any]
    flags: Mapping[str, str]
    from_dev: frozenset[str] = frozenset()
    """Keys that an ``actr dev`` has answered."""

    def of(self, key: str) -> str:
        if key in self.from_dev:
            return "actr dev"
        if key in self.flags:
            return FLAGS[key]
        section, _, name = key.partition(".")
        table = self.from_file.get(section, {})
        in_file = not isinstance(table, dict) or name in table
        return _variable_of(key) or (str(self.path) if in_file else "default")


def _explain(loc: tuple[int | str, ...], error: Mapping[str, Any], origins: _Origins) -> str:
    """One clause for one refused value."""
    key = ".".join(str(part) for part in loc[:2])
    origin = origins.of(key)
    if error["type"] == "extra_forbidden":
        name = ".".join(str(part) for part in loc)
        known = [*Settings.model_fields, *known_keys()]
        return f"unknown key {name} in {origin}{_nearest(name, known)}"
    allowed = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key} = {error['input']!r} in {origin}: {allowed}"


def _variable_of(key: str) -> str | None:
    """The variable of the environment that has a value for ``key``."""
    wanted = variable(key)
    may_be_empty = key in MAY_BE_EMPTY
    for name, value in os.environ.items():
        if name.upper() == wanted and (value or may_be_empty):
            return name
    return None


def _entries(settings: Settings, origins: _Origins) -> Iterator[Entry]:
    shown = settings.model_dump(mode="json")
    for name in known_keys():
        section, _, key = name.partition(".")
        value = shown[section][key] if key else shown[section]
        yield Entry(key=name, value=value, origin=origins.of(name))
