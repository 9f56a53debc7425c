"""The compose system from outside: what an operator can do, and what a peer says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")

ROOT = Path(__file__).resolve().parents[2]
PROBE_PATH = "/opt/actr/lib/python3.13/site-packages/actr_peer/cli/probe.py"
CONTROL = "/tmp/actr.sock"
PAYLOAD_TYPES = (
    "RPC_RELIABLE",
    "RPC_SIGNAL",
    "STREAM_RELIABLE",
    "STREAM_LATENCY_FIRST",
    "MEDIA_RTP",
)


class DockerError(Exception):
    """A docker command failed; the text is what it said."""


def docker(
    *arguments: str, timeout: float = 300, environment: Mapping[str, str] | None = None
) -> str:
    """Run ``docker`` and return its output.

    Args:
        environment: Added to that of the tests.

    Raises:
        DockerError: If it fails.
    """
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise DockerError(f"docker {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def logs(container: str) -> str:
    """All that a container wrote, on standard output and standard error."""
    command = ["docker", "logs", container]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return done.stdout.decode()


def eventually(claim: str, check: Callable[[], Found], *, within: float) -> Found:
    """Return the first true result of ``check``.

    Containers tell an outsider nothing by themselves, so this asks again and again: the only
    loop of its kind in these tests.

    Args:
        claim: A sentence that says what must become true; it heads the failure.
        within: Seconds.
    """
    end = time.monotonic() + within
    trouble: object = None
    while True:
        try:
            result = check()
        except (DockerError, KeyError, ValueError, AssertionError) as exc:
            trouble = exc
        else:
            if result:
                return result
            trouble = f"last: {result!r}"
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {claim} ({trouble})")
        time.sleep(0.3)


def each_eventually(
    subjects: Iterable[Found], claim: str, check: Callable[[Found], object], *, within: float
) -> None:
    """:func:`eventually` for one subject after the other: ``claim`` goes on from its name."""
    for subject in subjects:
        eventually(f"{subject} {claim}", partial(check, subject), within=within)


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
        running = {name: len(self.containers(name)) for name in ("redis", "signaling", "peer")}
        return running == {"redis": 1, "signaling": 2, "peer": 3} and all(
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

    def rounds(self) -> dict[tuple[str, str], int]:
        """Rounds finished so far, for every ordered pair of running peers."""
        return {
            (peer.id, remote): link["rounds"]
            for peer in self.peers()
            for remote, link in peer.exchange().items()
            if remote in self.others(peer)
        }

    def wire_failures(self) -> dict[tuple[str, str], int]:
        """Wires of any kind that failed so far, for every ordered pair of running peers."""
        return {
            (peer.id, remote): sum(link["wire_failures"].values())
            for peer in self.peers()
            for remote, link in peer.exchange().items()
            if remote in self.others(peer)
        }

    def has_gone_on(self, before: Mapping[tuple[str, str], int], rounds: int) -> bool:
        """Whether every pair has finished this many rounds more."""
        now = self.rounds()
        return all(now.get(pair, 0) >= count + rounds for pair, count in before.items())


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


def assert_nothing_lost(pairs: Iterable[Pair]) -> None:
    """What each sender holds for delivered was taken by the receiver's handler once, in order."""
    for pair in pairs:
        sent, taken = pair.sent(), pair.taken()  # in this order: traffic goes on
        assert taken["run"] == sent["own_run"], f"{pair}: the counts are of two different runs"
        assert taken["heard"] >= sent["answered"], f"{pair}: answered more than was heard: {sent}"
        assert taken["missing"] == 0, f"{pair}: {taken['missing']} messages never came"
        assert taken["repeated"] == 0, f"{pair}: {taken['repeated']} messages ran twice"
        assert sent["failed"] == 0, f"{pair}: {sent['failed']} rounds failed, last {sent['error']}"
