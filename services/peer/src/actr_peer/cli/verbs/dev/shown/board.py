"""What ``actr dev`` shows at one moment: its actors, their wires, and who else is online."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from actr_peer.cli.verbs.dev.named import Named
from actr_peer.cli.verbs.dev.running.life import State
from actr_peer.errors import RemoteProtocolError

Report: TypeAlias = Mapping[str, Any]
"""One that a workload's process tells (:mod:`actr_peer.cli.verbs.dev.running.actor`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that ``actr dev`` itself has to say."""

    event: str
    """For programs: ``ready``, ``state``, ``wire``, ``presence``, ``changed``, ``generated``…"""
    text: str
    who: str = "dev"
    """The label that its line bears."""
    level: str = "info"
    data: Mapping[str, Any] = field(default_factory=dict)
    """For programs besides."""
    is_in_table: bool = False
    """Where there is a table, it says this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """All wires to one remote."""

    remote: str
    active: str
    """The kind in use; empty: none is."""
    rtt_ms: float | None
    others: tuple[str, ...]
    """Kinds that are up besides."""

    @property
    def text(self) -> str:
        rtt = "" if self.rtt_ms is None else f" {self.rtt_ms:.1f} ms"
        besides = "".join(f" + {kind}" for kind in self.others)
        return f"{self.active or 'no wire'}{rtt}{besides}"


class Row:
    """One workload."""

    def __init__(self, named: Named) -> None:
        self.named = named
        self.state = State.STARTING
        self.pid: int | None = None
        self.why = ""
        """Why there is no process."""
        self.waiting = 0
        self.dead = 0
        self.wires: Mapping[str, Wires] = {}
        self.files: frozenset[str] | None = None
        """Modules of the folder that its process has loaded; None: it does not say yet."""

    def take(self, report: Report) -> None:
        """Take what its process says of itself.

        Raises:
            RemoteProtocolError: If that is no report.
        """
        try:
            self.waiting, self.dead = int(report["waiting"]), int(report["dead"])
            self.files = frozenset(map(str, report["files"]))
            self.wires = _wires(report["wires"])
        except (LookupError, TypeError, ValueError) as exc:
            raise RemoteProtocolError(f"{self.named.label} tells {report!r}") from exc

    def clear(self) -> None:
        """Its process has ended."""
        self.pid, self.files, self.wires, self.waiting = None, None, {}, 0


class Board:
    """All rows."""

    def __init__(self, workloads: tuple[Named, ...]) -> None:
        self.rows = [Row(named) for named in workloads]
        self.signaling = ""
        """Its URL; empty: it does not run."""
        self.visitors: set[str] = set()
        """Ids of others that are online."""


def _wires(rows: list[Mapping[str, Any]]) -> dict[str, Wires]:
    by_remote: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_remote.setdefault(str(row["remote"]), []).append(row)
    return {remote: _of(remote, found) for remote, found in by_remote.items()}


def _of(remote: str, rows: list[Mapping[str, Any]]) -> Wires:
    active = next((row for row in rows if row["active"]), None)
    up = [str(row["kind"]) for row in rows if row["state"] == "ready" and row is not active]
    rtt = None if active is None else active["rtt_ms"]
    return Wires(
        remote=remote,
        active="" if active is None else str(active["kind"]),
        rtt_ms=None if rtt is None else float(rtt),
        others=tuple(up),
    )
