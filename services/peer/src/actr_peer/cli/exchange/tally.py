"""What was exchanged with each remote: counts that prove that nothing was lost.

Every line that a peer says carries its run (a name for one life of the process) and a number
that counts up. Who hears it keeps, for each author and run, what must be so: each number once,
in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actr_peer.protocol.payload import PayloadType


@dataclass(slots=True)
class Heard:
    """What one run of one author said to this peer."""

    author: str
    run: str
    last: int = 0
    heard: int = 0
    """Lines that came in order."""
    missing: int = 0
    """Numbers that were passed over."""
    repeated: int = 0
    """Lines that came twice, or after a later one."""

    def take(self, number: int) -> None:
        """Count one line."""
        if number <= self.last:
            self.repeated += 1
            return
        self.missing += number - self.last - 1
        self.heard += 1
        self.last = number


@dataclass(slots=True)
class Link:
    """What this run said to one remote, and what came of it."""

    remote: str
    rounds: int = 0
    failed: int = 0
    """Rounds in which a step failed; each failure has an error."""
    error: str = ""
    """The last one."""
    said: int = 0
    """Lines handed to the runtime, and so numbers used up."""
    answered: int = 0
    unanswered: int = 0
    """Lines whose call ended in an error: they may have arrived."""
    frames: int = 0
    """Media frames that came."""
    frames_since: int = 0
    """Those since the last round."""
    done: dict[PayloadType, int] = field(default_factory=lambda: dict.fromkeys(PayloadType, 0))
    wire_failures: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Round:
    """The outcome of one round with one remote."""

    number: int
    steps: dict[str, str] = field(default_factory=dict)
    """What each step exchanged, in order."""
    errors: dict[str, str] = field(default_factory=dict)

    def line(self, own_id: str, remote: str, *, wire: str, seconds: float) -> str:
        """One line for the log.

        ``round 12: acme:room@1:default → acme:room@2:default webrtc 0.6 ms | calls 4 | … | 0.11 s``
        """
        steps = [f"{name} {result}" for name, result in self.steps.items()]
        errors = [f"{name} FAILED: {error}" for name, error in self.errors.items()]
        told = " | ".join([*steps, *errors, f"{seconds:.2f} s"])
        return f"round {self.number}: {own_id} → {remote} {wire} | {told}"

    def row(self, own_id: str, remote: str, *, wire: str, seconds: float) -> dict[str, object]:
        """The same for programs."""
        return {
            "round": self.number,
            "actor": own_id,
            "remote": remote,
            "wire": wire,
            "steps": self.steps,
            "errors": self.errors,
            "seconds": round(seconds, 3),
        }
