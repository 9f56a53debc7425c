"""Shell: files that may change while the issuer runs, and those that it writes for others."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import structlog

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.protocol import rules
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.rules import Rule

log = structlog.get_logger()

KEYS_FILE = "keys.json"
REVOKED_FILE = "revoked.json"
ACCESS_FILE = "access.json"
_MAX_RULES_BYTES = 1024 * 1024


class RulesFile:
    """The rules as the file has them now; a mistake in it changes nothing, and is said.

    Args:
        path: None: there is no file, and ``default`` holds.
        life: Of certificates, where a rule says none.

    Raises:
        ConfigError: If the file cannot be used at first.
    """

    def __init__(self, path: Path | None, *, life: int, default: tuple[Rule, ...]) -> None:
        self._path = path
        self._life = life
        self._rules = default
        self._seen: tuple[int, int, int] | None = None
        if path is not None:
            self._seen = self._stamp(path)
            self._rules = read_rules(path, life=life)

    def current(self) -> tuple[Rule, ...]:
        """Read it again if it has changed."""
        if self._path is None:
            return self._rules
        stamp = self._stamp(self._path)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._rules = read_rules(self._path, life=self._life)
            except ConfigError as exc:
                log.error("rules not read: those of before hold", cause=str(exc))
            else:
                log.info("rules read", count=len(self._rules))
        return self._rules

    def _stamp(self, path: Path) -> tuple[int, int, int] | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def read_rules(path: Path, *, life: int) -> tuple[Rule, ...]:
    """Read a file of rules, TOML.

    Raises:
        ConfigError: With the first mistake.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_RULES_BYTES + 1)
        if len(text) > _MAX_RULES_BYTES:
            raise ConfigError(f"{path}: rules have at most {_MAX_RULES_BYTES} bytes")
        return rules.parse(tomllib.loads(text.decode()), life=life)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; the rules are to be there") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: that is no TOML: {exc}") from exc
    except RefusalError as exc:
        raise ConfigError(f"{path}: {exc.message}") from exc


class PublicFiles:
    """Documents for readers on this machine, who need no network to the issuer for them.

    Args:
        folder: Made where it is not there; everybody may read what is in it.

    Raises:
        ConfigError: If it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoded: dict[str, tuple[Mapping[str, object], bytes]] = {}
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"{folder}: {exc.strerror}; public keys are written there") from exc

    def write(self, name: str, document: Mapping[str, object]) -> None:
        """Put a document there, whole, if it is another than what is there.

        Raises:
            ConfigError: If it cannot be written.
        """
        path = self._folder / name
        known, data = self._encoded.get(name, ({}, b""))
        if known is not document:  # looked at each second: a long one is encoded once
            data = (json.dumps(document, indent=1) + "\n").encode()
            self._encoded[name] = document, data
        try:
            if path.exists() and path.read_bytes() == data:
                return
            draft = path.with_name(f".{name}.{os.getpid()}.new")
            draft.write_bytes(data)
            draft.chmod(0o644)
            draft.replace(path)
        except OSError as exc:
            raise ConfigError(f"{path}: {exc.strerror}; public keys are written there") from exc
