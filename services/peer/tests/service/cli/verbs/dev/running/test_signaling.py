"""The signaling service of ``actr dev``, as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actr_peer.cli.verbs.dev.running import signaling
from actr_peer.cli.verbs.dev.running.signaling import Signaling, free_port
from actr_peer.errors import ConfigError
from actr_peer.tasks import Tasks

pytestmark = pytest.mark.service


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The usual port, on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(signaling, "USUAL_PORT", port)
        yield port


class Heard:
    """What becomes of one."""

    def __init__(self, port: int, settings: Mapping[str, str] | None = None) -> None:
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.back: asyncio.Queue[str] = asyncio.Queue()
        self.service = Signaling(
            port,
            settings or {},
            lambda _: None,
            lambda how, _: self.lost.put_nowait(how),
            self.back.put_nowait,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with Tasks("test") as tasks:
            tasks.start("service", self.service.run(ready))
            yield await ready


def port_of(url: str) -> int:
    return int(url.partition("127.0.0.1:")[2].partition("/")[0])


def test_a_port_that_somebody_has_is_not_chosen(taken: int) -> None:
    assert free_port(taken) not in (0, taken)


async def test_it_moves_where_its_port_was_taken_meanwhile(taken: int) -> None:
    async with Heard(taken).running() as url:
        assert port_of(url) not in (0, taken)


async def test_it_does_not_move_for_what_another_port_does_not_mend(tmp_path: Path) -> None:
    missing = {"ACTR_SIGNALING__REALM_SECRET_FILE": str(tmp_path / "none")}
    with pytest.raises(BaseExceptionGroup) as raised:
        async with Heard(free_port(), missing).running():
            pass
    (cause,) = raised.value.exceptions
    assert isinstance(cause, ConfigError)
    assert "ended with status 2 at its start" in str(cause)


async def test_one_that_is_killed_starts_again_on_its_port() -> None:
    heard = Heard(free_port(0))
    async with heard.running() as url:
        os.kill(process_of_signaling(), signal.SIGKILL)
        assert await heard.lost.get() == "was killed by SIGKILL"
        assert await heard.back.get() == url


def process_of_signaling() -> int:
    """The one that this process has started."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text("ascii").split()
    (found,) = [
        int(pid)
        for pid in children
        if b"actr_signaling" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return found
