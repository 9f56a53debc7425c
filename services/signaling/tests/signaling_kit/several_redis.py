"""Several redis-servers as one store: a primary with replicas and Sentinels, or a Cluster.

They listen on free ports of the loopback, and know each other when the block begins.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60.0


class Servers:
    """A context manager of redis-server processes, by port.

    Args:
        directory: For what they write.
        password: Of the user ``default`` and of each other; empty: none.
    """

    def __init__(self, directory: Path, *, password: str = "") -> None:
        self.directory = directory
        self.password = password
        self.servers: list[int] = []
        self.frozen = 0
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self._end_all()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_all()

    def ask(self, port: int, *command: str) -> str:
        """Run one command with redis-cli; what is refused is in the answer."""
        done = subprocess.run(
            ["redis-cli", "-p", str(port), *command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, **({"REDISCLI_AUTH": self.password} if self.password else {})},
        )
        return done.stdout.strip()

    def kill(self, port: int) -> None:
        """End one at once, as a crash does."""
        process = self._processes.pop(port)
        process.kill()
        process.wait(10)

    def writable(self) -> set[int]:
        """The ports of those that take what signaling writes: one, but while it is replaced."""
        answers = {port: self.ask(port, "SET", "{actr}:probe", "1") for port in self._answering()}
        return {port for port, answer in answers.items() if answer == "OK"}

    def _answering(self) -> list[int]:
        return [port for port in self.servers if port in self._processes and port != self.frozen]

    def freeze(self, port: int) -> None:
        self.frozen = port
        self._processes[port].send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._processes[self.frozen].send_signal(signal.SIGCONT)
        self.frozen = 0

    def _start_all(self) -> None:
        raise NotImplementedError

    def _start(self, port: int, *arguments: str) -> None:
        log = self.directory / f"{port}.log"
        self._processes[port] = subprocess.Popen(
            ["redis-server", *arguments, "--logfile", str(log), "--daemonize", "no"]
        )
        until(lambda: self._answers(port))

    def _answers(self, port: int) -> bool:
        assert self._processes[port].poll() is None, "redis-server has ended"
        return self.ask(port, "PING") == "PONG"

    def _end_all(self) -> None:
        for port in tuple(self._processes):
            self.kill(port)

    def _server(self, port: int, *more: str) -> None:
        folder = self.directory / str(port)
        folder.mkdir(exist_ok=True)
        auth = ["--requirepass", self.password, "--masterauth", self.password]
        self._start(
            port,
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
            *(auth if self.password else []),
            *more,
        )


class SentinelServers(Servers):
    """Three servers and three Sentinels, which replace a primary that is silent for a second."""

    def _start_all(self) -> None:
        ports = free_ports(6)
        self.servers, self.sentinels = ports[:3], ports[3:]
        first, *others = self.servers
        self._server(first)
        for port in others:
            self._server(port, "--replicaof", "127.0.0.1", str(first))
        until(lambda: "connected_slaves:2" in self.ask(first, "INFO", "replication"))
        for port in self.sentinels:
            self._sentinel(port, first)
        until(lambda: all(map(self._knows_all, self.sentinels)))

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{p}' for p in self.sentinels)}/actr"

    def fail_over(self) -> None:
        """Have a healthy primary replaced; it does not know at once."""
        assert self.ask(self.sentinels[0], "SENTINEL", "FAILOVER", "actr") == "OK"

    def named(self) -> set[int]:
        """The ports of the primaries that the Sentinels name: one, when a fail-over is over."""
        return {int(self._told(port)["port"]) for port in self.sentinels}

    def _sentinel(self, port: int, primary: int) -> None:
        file = self.directory / f"sentinel-{port}.conf"
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {self.directory}",
            f"sentinel monitor actr 127.0.0.1 {primary} 2",
            "sentinel down-after-milliseconds actr 1000",
            "sentinel failover-timeout actr 3000",
        ]
        if self.password:
            lines += [f"sentinel auth-pass actr {self.password}", f"requirepass {self.password}"]
        file.write_text("\n".join(lines) + "\n")
        self._start(port, str(file), "--sentinel")

    def _knows_all(self, port: int) -> bool:
        told = self._told(port)
        return (told.get("num-slaves"), told.get("num-other-sentinels")) == ("2", "2")

    def _told(self, port: int) -> dict[str, str]:
        rows = self.ask(port, "SENTINEL", "MASTER", "actr").splitlines()
        return dict(zip(rows[::2], rows[1::2], strict=False))


class ClusterServers(Servers):
    """Three primaries with a replica each, which replace one that is silent for a second."""

    def _start_all(self) -> None:
        ports = free_ports(12)
        self.servers, self.primaries = ports[:6], ports[:3]
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]
        for port, bus in zip(self.servers, ports[6:], strict=True):
            self._server(port, *options, "--cluster-port", str(bus))
        nodes = [f"127.0.0.1:{port}" for port in self.servers]
        options = ["--cluster-replicas", "1", "--cluster-yes"]
        said = self.ask(self.servers[0], "--cluster", "create", *nodes, *options)
        assert "All 16384 slots covered" in said, said
        for port in self.servers:
            until(partial(self._is_whole, port))

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{port}' for port in self.servers)}"

    def _is_whole(self, port: int) -> bool:
        said = self.ask(port, "CLUSTER", "INFO") + self.ask(port, "INFO", "replication")
        has_other = "_status:up" in said or "connected_slaves:1" in said
        return has_other and "cluster_state:ok" in said

    def move_slot(self) -> None:
        """Give the slot of signaling's keys to another primary, as an operator does."""
        (old,) = self.writable()
        slot = self.ask(old, "CLUSTER", "KEYSLOT", "{actr}")
        new = next(port for port in self.primaries if port != old)
        old_id, new_id = (self.ask(port, "CLUSTER", "MYID") for port in (old, new))
        self.ask(new, "CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
        self.ask(old, "CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
        while keys := self.ask(old, "CLUSTER", "GETKEYSINSLOT", slot, "100").split():
            auth = ["AUTH", self.password] if self.password else []
            move = ["127.0.0.1", str(new), "", "0", "5000", "REPLACE", *auth, "KEYS", *keys]
            self.ask(old, "MIGRATE", *move)
        for port in (new, old):
            self.ask(port, "CLUSTER", "SETSLOT", slot, "NODE", new_id)


def until(holds: Callable[[], bool]) -> None:
    """Return when it holds: servers tell nobody when they are ready."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "the servers did not come to it in time"
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
