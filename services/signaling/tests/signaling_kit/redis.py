"""A real redis-server as a child process, ready when its own log says so."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

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
        arguments = ["redis-server", "--port", "0", "--unixsocket", str(self._socket)]
        arguments += ["--dir", str(self._directory), "--daemonize", "no", "--appendonly", "no"]
        arguments += ["--save", "3600 1" if self._saves else ""]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
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
        done = subprocess.run(
            ["redis-cli", "-s", str(self._socket), *command],
            check=True,
            capture_output=True,
            text=True,
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
