"""``actr ps``: what a running peer says of actors, wires, lanes and mailbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from actr_peer.cli.options import AsJson, ConfigFile, IdFlag
from actr_peer.cli.tables import console, table
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.node.config.loading import Loaded, load
from actr_peer.node.config.reading import control_path, own_id, there_of
from actr_peer.node.process.probe import ask


def ps(
    *,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Ask a running peer, through its control socket: the one of this configuration, or of --id.

    Where that does not run and no id is configured, it is the only one that runs in this folder.
    """
    status = _ask(load(config, {} if own is None else {"actor.id": own}))
    if is_json:
        print(json.dumps(status, indent=2))
        return
    if status.get("trust") == "development":
        print("DEVELOPMENT MODE: nobody proves who it is", file=sys.stderr)
    for shown in tables(status):
        console().print(shown)


def _ask(loaded: Loaded) -> Any:
    path = control_path(loaded.settings)
    if path is None:
        raise ConfigError("control.socket is empty: a peer without one cannot be asked")
    if not path.exists() and loaded.origin("actor.id") == "default":
        path = _only_one(loaded.settings.control.socket) or path
    try:
        return ask(str(path), "status")
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        own = own_id(loaded.settings.actor.id)
        raise UnreachableError(
            "the peer on this machine",
            f"{own} does not run here ({path}: {why}); start it with 'actr run', or name another "
            "with --id",
        ) from exc


def _only_one(pattern: str) -> Path | None:
    """The socket of the one peer that runs here; None: none does.

    Raises:
        ConfigError: If several do.
    """
    found = {}
    for path in there_of(pattern).values():
        with suppress(OSError, ValueError, LookupError):
            found[ask(str(path), "health")["id"]] = path
    if len(found) > 1:
        raise ConfigError(f"{', '.join(found)} run here: say which with --id")
    return next(iter(found.values()), None)


def tables(status: Mapping[str, Any]) -> list[RenderableType]:
    """The status document as tables."""
    found = [
        table(f"identity of {status['id']}", ("proved by", "what"), [_proved(status["identity"])]),
        table(
            f"actors (this one is {status['id']}, signaling {status['signaling']})",
            ("actor", "type", "address", "waiting"),
            [
                (actor["id"], actor["type"], actor["ws_address"], actor["waiting"])
                for actor in status["actors"]
            ],
        ),
        table(
            f"{len(status['wires'])} wires",
            ("remote", "wire", "state", "rtt", "relayed", "in use", "proved by", "what"),
            [
                (
                    wire["remote"],
                    wire["kind"],
                    wire["state"],
                    "" if wire["rtt_ms"] is None else f"{wire['rtt_ms']:.1f} ms",
                    _mark(wire["relayed"]),
                    _mark(wire["active"]),
                    *_proved(wire["identity"]),
                )
                for wire in status["wires"]
            ],
        ),
        table(
            f"{len(status['lanes'])} lanes",
            ("remote", "lane", *_COUNTS),
            [
                (lane["remote"], lane["lane"], *(lane[count] for count in _COUNTS))
                for lane in status["lanes"]
            ],
        ),
        table("streams", ("", ""), list(status["streams"].items())),
        table("mailbox", ("", ""), list(status["mailbox"].items())),
    ]
    if "exchange" in status:
        found.append(_exchange(status["exchange"]))
    return found


_COUNTS = ("sent", "received", "resent", "duplicates", "dropped", "queued")


def _exchange(links: Sequence[Mapping[str, Any]]) -> RenderableType:
    names = ("remote", "rounds", "failed", "said", "answered", "heard", "missing", "repeated")
    return table("exchange", names, [tuple(link[name] for name in names) for link in links])


def _proved(identity: Mapping[str, Any] | None) -> tuple[str, str]:
    """How somebody has proved who it is: in a word, and by which key until when."""
    if identity is None:
        return "", ""
    if "name" not in identity:
        return identity["by"], ""
    until = datetime.fromtimestamp(identity["expires_at"], UTC).isoformat(" ", "seconds")
    return identity["by"], f"{identity['subject']} key {identity['name']} until {until}"


def _mark(is_so: bool) -> str:  # noqa: FBT001  # a cell's text
    return "yes" if is_so else ""
