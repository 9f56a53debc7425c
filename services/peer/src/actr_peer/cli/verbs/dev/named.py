"""Which workloads ``actr dev`` runs, and who they are; pure."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import PART, ActrId, ActrType, parse_destination

MAKER: Final = "dev"
"""The manufacturer of an actor that nobody has named."""
MAX_WORKLOADS: Final = 64
PROJECT: Final = Path("pyproject.toml")
_SPEC: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_HOW: Final = "write module:name, as room:Room; room:Room=acme:room@1:default; or room:Room=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One process to be."""

    spec: str
    """``module:name``."""
    id: ActrId
    label: str
    """How its lines begin: as short as tells it from the others."""


def read_workloads(texts: Sequence[str], realm: str) -> tuple[Named, ...]:
    """Read what a person wrote: ``room:Room``, with ``=`` and an id, a type, or a number of
    instances behind it where that is wanted.

    An actor that is not named is ``dev:<name>@<n>``, by the name of the class; instances of a type
    are counted.

    Raises:
        ConfigError: If one cannot be read, an id is there twice, or there are too many.
    """
    wanted = [each for text in texts for each in _wanted(text)]
    if len(wanted) > MAX_WORKLOADS:
        raise ConfigError(f"{len(wanted)} actors are too many: name at most {MAX_WORKLOADS}")
    named = {who for _, who in wanted if isinstance(who, ActrId)}
    ids: list[ActrId] = []
    for _, who in wanted:
        found = who if isinstance(who, ActrId) else _next(who, realm, named.union(ids))
        if found in ids:
            raise ConfigError(f"{found} is named twice: one actor is one process")
        ids.append(found)
    labels = _labels(ids)
    return tuple(
        Named(spec=spec, id=own, label=label)
        for (spec, _), own, label in zip(wanted, ids, labels, strict=True)
    )


def configured(file: Path = PROJECT) -> list[str]:
    """What ``[tool.actr] dev`` of the project lists, in the same words.

    Raises:
        ConfigError: If it lists none, or is no list of texts.
    """
    found: Any = {}
    if file.is_file():
        try:
            found = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{file} is not TOML: {exc}") from exc
    for key in ("tool", "actr", "dev"):
        found = found.get(key, {}) if isinstance(found, dict) else {}
    texts = [found] if isinstance(found, str) else found
    if texts and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise ConfigError(f'{file}: [tool.actr] dev is a list of workloads, as ["room:Room"]')
    if not texts:
        raise ConfigError(
            "which workload? name it, as `actr dev room:Room`, or list it in pyproject.toml under "
            '[tool.actr] as dev = ["room:Room"]; `actr new NAME` makes a project that has one'
        )
    return list(texts)


def _wanted(text: str) -> Iterator[tuple[str, ActrId | ActrType]]:
    """Each process of one text, with its id, or the type whose next one it is."""
    spec, equals, who = text.partition("=")
    if not _SPEC.fullmatch(spec) or (equals and not who):
        raise ConfigError(f"workload {text!r}: {_HOW}")
    derived = ActrType(f"{MAKER}:{_plain(spec.partition(':')[2])}")
    if who.isdecimal():
        if not 1 <= int(who) <= MAX_WORKLOADS:
            raise ConfigError(f"workload {text!r}: from 1 to {MAX_WORKLOADS} instances")
        yield from [(spec, derived)] * int(who)
    elif not who:
        yield spec, derived
    else:
        yield spec, _read(who, text)


def _read(who: str, text: str) -> ActrId | ActrType:
    try:
        if who.count(":") == 1 and "@" not in who:
            found = parse_destination(who)
            if isinstance(found, ActrType):
                return found
        return ActrId.read(who)
    except ConfigError as exc:
        raise ConfigError(f"workload {text!r}: {exc}") from exc


def _plain(name: str) -> str:
    """``ChatRoom`` as ``chat-room``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower().strip("_")
    return parted if PART.fullmatch(parted) else "actor"


def _next(kind: ActrType, realm: str, taken: Iterable[ActrId]) -> ActrId:
    texts = {each.text for each in taken}
    manufacturer, _, name = kind.text.partition(":")
    numbered = (
        ActrId(manufacturer, name, str(number), realm) for number in range(1, len(texts) + 2)
    )
    return next(each for each in numbered if each.text not in texts)


def _labels(ids: Sequence[ActrId]) -> list[str]:
    for label in (
        lambda own: own.name,
        lambda own: f"{own.name}@{own.instance}",
        lambda own: f"{own.actr_type}@{own.instance}",
    ):
        labels = [label(own) for own in ids]
        if max(Counter([*labels, "dev", "signaling"]).values()) == 1:
            return labels
    return [own.text for own in ids]
