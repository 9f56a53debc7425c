"""The compose system from outside: what an operator can do, and what a peer says of itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration_kit.engine import docker

ROOT = Path(__file__).resolve().parents[3]
PROBE_PATH = "/opt/actr/lib/python3.13/site-packages/actr_peer/node/process/probe.py"
CONTROL = "/tmp/actr.sock"
PAYLOAD_TYPES = (
    "RPC_RELIABLE",
    "RPC_SIGNAL",
    "STREAM_RELIABLE",
    "STREAM_LATENCY_FIRST",
    "MEDIA_RTP",
)


@dataclass(frozen=True)
class Peer:
    """One container that runs ``actr exchange``."""

    container: str
    index: str

    @property
    def id(self) -> str:
        """The id its index stands for."""
        return f"acme:room@{self.index}:default"

    def __str__(self) -> str:
        return self.id

    def status(self) -> dict[str, Any]:
        """What ``actr ps --json`` prints, without the start-up time of the command."""
        output = docker(
            "exec", self.container, "python3", "-I", "-S", PROBE_PATH, CONTROL, "status", timeout=30
        )
        status: dict[str, Any] = json.loads(output)
        return status

    def exchange(self) -> dict[str, dict[str, Any]]:
        """Remote id to what was exchanged with it."""
        return {link["remote"]: link for link in self.status()["exchange"]}

    def actors(self) -> set[str]:
        """Who is online, as this peer sees it."""
        return {actor["id"] for actor in self.status()["actors"]}

    def wires(self, kind: str, *, state: str = "ready") -> set[str]:
        """Remotes that a wire of this kind is up to."""
        return {
            wire["remote"]
            for wire in self.status()["wires"]
            if wire["kind"] == kind and wire["state"] == state
        }

    def in_use(self, remote: Peer) -> str | None:
        """The kind of wire that carries the traffic to ``remote``."""
        for wire in self.status()["wires"]:
            if wire["remote"] == remote.id and wire["active"]:
                return str(wire["kind"])
        return None

    def is_registered_at(self, server_id: str = "") -> bool:
        """Whether it is registered, at this signaling service or (when empty) at any."""
        status = self.status()
        return status["signaling"] == "registered" and server_id in ("", status["server_id"])

    @property
    def address(self) -> str:
        """IPv4 address on the compose network."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, self.container)

    @property
    def pid(self) -> int:
        """Process id of the container's first process, on the host."""
        return int(docker("inspect", "--format", "{{.State.Pid}}", self.container))

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        docker("kill", "--signal", "KILL", self.container)

    def start(self) -> None:
        docker("start", self.container)


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What one peer says of its traffic to another, and what that one says of it."""

    rounds: int
    failed: int
    error: str
    answered: int
    run: str
    heard_run: str
    heard: int
    missing: int
    repeated: int
    wire_failures: int


Counts = Mapping[tuple[str, str], Exchanged]
"""By the ids of sender and receiver."""


@dataclass(frozen=True)
class Pair:
    """Two peers, in the direction of the traffic."""

    sender: Peer
    receiver: Peer

    def __str__(self) -> str:
        return f"{self.sender} to {self.receiver}"

    def sent(self) -> dict[str, Any]:
        """What the sender says of its rounds with the receiver."""
        return self.sender.exchange()[self.receiver.id]

    def taken(self) -> dict[str, Any]:
        """What the receiver says of its rounds with the sender."""
        return self.receiver.exchange()[self.sender.id]


class Composed:
    """The system under test.

    Args:
        project: Name of the compose project.
    """

    def __init__(self, project: str) -> None:
        self.project = project

    def compose(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run ``docker compose`` on this project, with these variables."""
        files = ("-f", str(ROOT / "compose.yaml"), "-p", self.project)
        return docker("compose", *files, *arguments, environment=environment)

    def up(
        self,
        *,
        peers: int = 3,
        profile: str = "none",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Bring everything up and wait until it is healthy."""
        self.compose(
            *("--profile", profile, "up", "--detach", "--wait", "--scale", f"peer={peers}"),
            environment=environment,
        )

    def is_whole(self) -> bool:
        """Whether just what ``compose.yaml`` starts by itself is running."""
        running = {
            name: len(self.containers(name)) for name in ("redis", "issuer", "signaling", "peer")
        }
        return running == {"redis": 1, "issuer": 1, "signaling": 2, "peer": 3} and all(
            docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy"
            for service in running
            for name in self.containers(service)
        )

    def containers(self, service: str, *, running: bool = True) -> list[str]:
        """Names of a service's containers, by index; one-off ones (``compose run``) are not."""
        names = docker(
            "ps",
            *([] if running else ["--all"]),
            *("--filter", f"label=com.docker.compose.project={self.project}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
            *("--filter", "label=com.docker.compose.oneoff=False"),
            *("--format", "{{.Names}}"),
        )
        return sorted(names.split(), key=lambda name: int(name.rpartition("-")[2]))

    def peers(self) -> list[Peer]:
        """The running peers, by index."""
        return [Peer(name, name.rpartition("-")[2]) for name in self.containers("peer")]

    def pairs(self) -> list[Pair]:
        """Every ordered pair of peers."""
        peers = self.peers()
        return [Pair(one, other) for one in peers for other in peers if one != other]

    def others(self, peer: Peer) -> set[str]:
        """Ids of all running peers but this one."""
        return {other.id for other in self.peers()} - {peer.id}

    def server_id(self, signaling: str) -> str:
        """What a signaling container calls itself to peers."""
        script = (
            "import urllib.request as r; "
            "print(r.urlopen('http://127.0.0.1:8080/version', timeout=5).read().decode())"
        )
        version = json.loads(docker("exec", signaling, "python3", "-I", "-S", "-c", script))
        return str(version["server_id"])

    def counts(self) -> Counts:
        """The exchange between every ordered pair of running peers, now."""
        peers = {peer.id: peer for peer in self.peers()}
        sent = {name: peer.exchange() for name, peer in peers.items()}
        taken = {name: peer.exchange() for name, peer in peers.items()}  # after: traffic goes on
        return {
            (one, other): Exchanged(
                rounds=sent[one][other]["rounds"],
                failed=sent[one][other]["failed"],
                error=sent[one][other]["error"],
                answered=sent[one][other]["answered"],
                run=sent[one][other]["own_run"],
                heard_run=taken[other][one]["run"],
                heard=taken[other][one]["heard"],
                missing=taken[other][one]["missing"],
                repeated=taken[other][one]["repeated"],
                wire_failures=sum(sent[one][other]["wire_failures"].values()),
            )
            for one in peers
            for other in peers
            if one != other
        }

    def has_gone_on(self, before: Counts, rounds: int) -> bool:
        """Whether every pair has finished this many rounds more."""
        now = self.counts()
        return all(now[pair].rounds >= old.rounds + rounds for pair, old in before.items())

    def assert_no_wire_dropped(self, before: Counts) -> None:
        """No wire of any kind, between any two peers that were there, has failed since."""
        now = self.counts()
        dropped = [
            pair for pair, old in before.items() if now[pair].wire_failures != old.wire_failures
        ]
        assert not dropped, f"wires dropped between {dropped}"

    def assert_nothing_lost(self, before: Counts) -> None:
        """What senders hold for delivered was taken by the receivers' handlers once, in order."""
        now = self.counts()
        for pair, old in before.items():
            new, names = now[pair], " to ".join(pair)
            assert new.run == old.run, f"{names}: the sender was restarted"
            assert new.heard_run == new.run, f"{names}: the receiver hears another run"
            assert new.heard >= new.answered, f"{names}: more was answered than heard: {new}"
            assert new.missing == old.missing, f"{names}: messages never came: {old} then {new}"
            assert new.repeated == old.repeated, f"{names}: messages ran twice: {old} then {new}"
            assert new.failed == old.failed, f"{names}: rounds failed, the last: {new.error}"


@contextmanager
def udp_dropped(one: Peer, other: Peer) -> Iterator[None]:
    """Drop UDP between two peers where it arrives, in their own network namespaces.

    Not where it leaves: there a dropped packet is an error for the sender.
    """
    rules = [(one, other.address), (other, one.address)]

    def apply(action: str) -> None:
        for peer, source in rules:
            rule = ["INPUT", "--protocol", "udp", "--source", source, "--jump", "DROP"]
            command = ["nsenter", "--target", str(peer.pid), "--net", "iptables", action, *rule]
            subprocess.run(command, check=True, capture_output=True)

    apply("--insert")
    try:
        yield
    finally:
        apply("--delete")


def inspect(container: str) -> dict[str, dict[str, Any]]:
    """What the engine knows of a container."""
    document: dict[str, dict[str, Any]] = json.loads(docker("inspect", container))[0]
    return document


def assert_hardened(container: str) -> None:
    """It has no more rights than it needs, as the engine sees it."""
    document = inspect(container)
    host = document["HostConfig"]
    assert document["Config"]["User"] == "10001:10001", f"{container} runs as root"
    assert host["ReadonlyRootfs"] is True, f"{container} can write its root file system"
    assert host["CapDrop"] == ["ALL"], f"{container} keeps capabilities"
    assert not host["CapAdd"], f"{container} adds capabilities"
    assert host["Privileged"] is False, f"{container} is privileged"
    assert host["SecurityOpt"] == ["no-new-privileges:true"], f"{container} may gain rights"
    assert host["Init"] is True, f"{container} has no init"
    assert host["Memory"], f"{container} may use all memory"
    assert host["PidsLimit"], f"{container} may start any number of processes"
    assert host["NetworkMode"] != "host", f"{container} uses the host's network"
