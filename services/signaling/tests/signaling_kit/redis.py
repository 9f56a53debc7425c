"""A real redis-server as a child process, ready when its own log says so; also as deployed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[4]
READY = b"eady to accept connections"


class RedisProcess:
    """A context manager: running inside, gone after. It listens on a Unix socket.

    Args:
        directory: For its socket and its data.
        saves: Whether it keeps its data over a clean stop.
    """

    def __init__(self, directory: Path, *, saves: bool = False) -> None:
        self._directory = directory
        self._socket = directory / "redis.sock"
        self._saves = saves
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and return when it accepts connections."""
        process = subprocess.Popen(
            ["redis-server", *self._arguments()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._process = process
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if READY in line:
                return
        raise RuntimeError(b"".join(said).decode())

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator does; with ``saves`` its data is written first."""
        self._end(signal.SIGTERM)

    def ask(self, *command: str) -> str:
        """Run one command with redis-cli."""
        return self._cli("-s", str(self._socket), *command)

    def _arguments(self) -> list[str]:
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--daemonize", "no"]
        arguments += ["--dir", str(self._directory), "--appendonly", "no"]
        return [*arguments, "--save", "3600 1" if self._saves else ""]

    def _cli(self, *arguments: str, password: str = "") -> str:
        environment = {**os.environ, "REDISCLI_AUTH": password} if password else None
        done = subprocess.run(
            ["redis-cli", *arguments], check=True, capture_output=True, text=True, env=environment
        )
        return done.stdout.strip()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
        self._socket.unlink(missing_ok=True)


class SecureRedis(RedisProcess):
    """As ``deploy/`` has it: its redis.conf, its users, TLS with what make-secrets makes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.secrets = directory / "secrets"
        self._port = _free_port()

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self._port}/0"

    @property
    def settings(self) -> dict[str, object]:
        """Of a signaling service that may come in."""
        return {
            "redis_url": self.url,
            "redis_user": "signaling",
            "redis_password_file": self.secrets / "store/password",
            "redis_ca_file": self.secrets / "store/ca.pem",
        }

    def start(self) -> None:
        self.make_secrets()
        super().start()

    def make_secrets(self) -> str:
        """Make what is missing; returns what was said."""
        for name in ("realm", "turn", "redis", "store"):
            (self.secrets / name).mkdir(parents=True, exist_ok=True)
        command = ["sh", "deploy/secrets/make-secrets", str(self.secrets), "deploy/redis/users.acl"]
        return subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def ask(self, *command: str) -> str:
        """Run one command as the operator."""
        return self.ask_as("operator", (self.secrets / "redis/operator").read_text(), *command)

    def ask_as(self, user: str, password: str, *command: str) -> str:
        """Run one command as somebody; what is refused is in the answer."""
        arguments = ["-p", str(self._port), "--tls", "--cacert", str(self.secrets / "store/ca.pem")]
        return self._cli(*arguments, "--user", user, *command, password=password)

    def _arguments(self) -> list[str]:
        arguments = [str(ROOT / "deploy/redis/redis.conf"), "--dir", str(self.secrets.parent)]
        for option, name in {
            "--tls-cert-file": "server.pem",
            "--tls-key-file": "server.key",
            "--tls-ca-cert-file": "ca.pem",
            "--aclfile": "users.acl",
        }.items():
            arguments += [option, str(self.secrets / "redis" / name)]
        return [*arguments, "--bind", "127.0.0.1", "--tls-port", str(self._port)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
