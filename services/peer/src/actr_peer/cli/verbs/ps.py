"""``actr ps``: what a running peer says of actors, wires, lanes and mailbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from actr_peer.cli.tables import console, table
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.node.process.probe import ask
from actr_peer.node.process.settings import load
from actr_peer.node.process.startup import control_path


def ps(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Ask the running peer of this configuration, through its control socket."""
    path = control_path(load().settings)
    if path is None:
        raise ConfigError("control.socket is empty: a peer without one cannot be asked")
    try:
        status = ask(str(path), "status")
    except (OSError, ValueError) as exc:
        raise UnreachableError("the peer on this machine", f"{path}: {exc}") from exc
    if as_json:
        print(json.dumps(status, indent=2))
        return
    for shown in tables(status):
        console().print(shown)


def tables(status: Mapping[str, Any]) -> list[Table]:
    """The status document as tables."""
    found = [
        table(
            f"actors (this one is {status['id']}, signaling {status['signaling']})",
            ("actor", "type", "address", "waiting"),
            [
                (actor["id"], actor["type"], actor["ws_address"], actor["waiting"])
                for actor in status["actors"]
            ],
        ),
        table(
            "wires",
            ("remote", "wire", "state", "rtt", "relayed", "in use"),
            [
                (
                    wire["remote"],
                    wire["kind"],
                    wire["state"],
                    "" if wire["rtt_ms"] is None else f"{wire['rtt_ms']:.1f} ms",
                    _mark(wire["relayed"]),
                    _mark(wire["active"]),
                )
                for wire in status["wires"]
            ],
        ),
        table(
            "lanes",
            ("remote", "lane", *_COUNTS),
            [
                (lane["remote"], lane["lane"], *(lane[count] for count in _COUNTS))
                for lane in status["lanes"]
            ],
        ),
        table("mailbox", ("", ""), list(status["mailbox"].items())),
    ]
    if "exchange" in status:
        found.append(_exchange(status["exchange"]))
    return found


_COUNTS = ("sent", "received", "resent", "duplicates", "dropped", "queued")


def _exchange(links: Sequence[Mapping[str, Any]]) -> Table:
    names = ("remote", "rounds", "failed", "said", "answered", "heard", "missing", "repeated")
    return table("exchange", names, [tuple(link[name] for name in names) for link in links])


def _mark(is_so: bool) -> str:  # noqa: FBT001  # a cell's text
    return "yes" if is_so else ""
