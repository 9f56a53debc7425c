"""``actr ps``: what a running peer says of actors, wires, lanes and mailbox; or who runs here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.console import RenderableType

from actr_peer.cli.options import AsJson, ConfigFile, IdFlag
from actr_peer.cli.tables import console, table
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.node.config.loading import Loaded, load
from actr_peer.node.config.reading import control_path, own_id, there_of
from actr_peer.node.process.announcing import announced_sockets
from actr_peer.node.process.probe import ask

LIST_SECONDS: Final = 2.0
"""For asking one of many."""
ASKED_AT_ONCE: Final = 8
"""One that hangs holds up no other."""
EveryActor: TypeAlias = Annotated[
    bool, typer.Option("--all", help="List all actors that this user runs on this machine.")
]


def ps(
    *,
    own: IdFlag = None,
    config: ConfigFile = None,
    every: EveryActor = False,
    is_json: AsJson = False,
) -> None:
    """Ask a running peer, through its control socket: the one of this configuration, or of --id.

    Where no id is configured, it is the only one that runs in this folder; if there is none, or
    more than one, or with --all, all actors are listed that this user runs on this machine.
    """
    loaded = load(config, {} if own is None else {"actor.id": own})
    path = None if every else _one(loaded)
    if path is None:
        _list(loaded, is_json=is_json)
        return
    status = _ask(loaded, path)
    if is_json:
        print(json.dumps(status, indent=2))
        return
    if status.get("trust") == "development":
        print("DEVELOPMENT MODE: nobody proves who it is", file=sys.stderr)
    for shown in tables(status):
        console().print(shown)


def _one(loaded: Loaded) -> Path | None:
    """The socket of the one peer that is meant; None: no one is."""
    path = control_path(loaded.settings)
    if path is None:
        raise ConfigError("control.socket is empty: a peer without one cannot be asked")
    if path.exists() or loaded.origin("control.socket") != "default":
        return path
    if loaded.origin("actor.id") != "default":
        return _elsewhere(str(own_id(loaded.settings.actor.id))) or path
    found = _running(there_of(loaded.settings.control.socket).values())
    return next(iter(found.values())) if len(found) == 1 else None


def _elsewhere(actor: str) -> Path | None:
    """The socket of an actor that runs in another folder of this machine; None: it does not."""
    return _running(announced_sockets()).get(actor)


def _running(paths: Iterable[Path]) -> dict[str, Path]:
    """By id: those that answer."""
    found = {}
    for path in paths:
        with suppress(OSError, ValueError, LookupError, TypeError):
            found[ask(str(path), "health", timeout=LIST_SECONDS)["id"]] = path
    return found


def _ask(loaded: Loaded, path: Path) -> Any:
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


def statuses(loaded: Loaded) -> list[Mapping[str, Any]]:
    """What this user's actors say that answer, in this folder and announced on this machine."""
    here = there_of(loaded.settings.control.socket).values()
    paths = dict.fromkeys(path.absolute() for path in (*here, *announced_sockets()))
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return [status for status in pool.map(_status, paths) if status is not None]


def _status(path: Path) -> Mapping[str, Any] | None:
    """None: nobody answers there, or not as an actor does."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        status = {"socket": str(path), **ask(str(path), "status", timeout=LIST_SECONDS)}
        _cells(status)
        return status
    return None


def _list(loaded: Loaded, *, is_json: bool) -> None:
    """Who runs on this machine, in a line each."""
    running = statuses(loaded)
    if is_json:
        print(json.dumps({"running": running}, indent=2))
        return
    if not running:
        own = own_id(loaded.settings.actor.id)
        raise UnreachableError(
            "the peer on this machine",
            f"{own} does not run here, and nobody else does; start it with 'actr run'",
        )
    console().print(_actors(running))


def _actors(running: Sequence[Mapping[str, Any]]) -> RenderableType:
    names = ("actor", "pid", "signaling", "links", "waiting", "dead", "socket")
    rows = [_cells(status) for status in running]
    return table(f"{len(running)} actors run here; --id shows one of them", names, rows)


def _cells(status: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        status["id"],
        status["pid"],
        status["signaling"],
        len({wire["remote"] for wire in status["wires"] if wire["state"] == "ready"}),
        status["mailbox"]["depth"],
        status["mailbox"]["dead"],
        _short(status["socket"]),
    )


def _short(path: str) -> str:
    """Seen from this folder, where it is below it."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


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
