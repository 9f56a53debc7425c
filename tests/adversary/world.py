"""What all attacks share: a real issuer, real signaling, a real Redis, and an honest pair."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from actr_peer import ActrId
from lab.processes import Child, child
from tests.adversary.attack import PATIENCE
from tests.adversary.people import Authority
from tests.adversary.recorder import TcpRecorder

SECRET = b"the secret of the realm, of tests"


class World:
    """A block; inside it everything runs.

    Attributes:
        signaling: Addresses of two replicas, on a Redis where there is one, else of one.
        store: In front of Redis, for the first replica; None: there is no Redis here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = SECRET
        self.issuer_url = ""
        self.signaling: tuple[str, str] = ("", "")
        self.store: TcpRecorder | None = None
        self.redis_socket = folder / "redis.sock"
        self.logs: list[Path] = []
        self._issuer_env: dict[str, str] = {}
        self._honest: Child | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            (self.folder / "keys").mkdir()
            secret = self.folder / "realm.secret"
            secret.write_bytes(SECRET)
            await self._start_issuer(stack, secret)
            await self._start_signaling(stack)
            place = {
                "signaling": self.signaling,
                "issuer": self.issuer_url,
                "secret": SECRET.decode(),
            }
            pair = child(["tests.adversary.honest", json.dumps(place)])
            self._honest = await stack.enter_async_context(pair)
            await self._honest.line(timeout=PATIENCE)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.__aexit__(None, None, None)

    async def _start_issuer(self, stack: AsyncExitStack, secret: Path) -> None:
        self._issuer_env = {
            "ACTR_ISSUER__LISTEN": "127.0.0.1:0",
            "ACTR_ISSUER__HOME": str(self.folder / "issuer"),
            "ACTR_ISSUER__REALM_SECRET_FILE": str(secret),
            "ACTR_ISSUER__LOG_LEVEL": "error",
        }
        started = child(["actr_signaling.issuer", "serve"], env=self._issuer_env)
        issuer = await stack.enter_async_context(started)
        self.issuer_url = (await issuer.line(timeout=PATIENCE))["url"]

    async def _start_signaling(self, stack: AsyncExitStack) -> None:
        public = self.folder / "issuer/public"
        env = {
            "LISTEN": "127.0.0.1:0",
            "ISSUER_KEYS": f"{self.issuer_url}/v1/keys",
            "REVOKED": f"{self.issuer_url}/v1/revoked",
            "TRUST_INTERVAL": "0.2",
            "PRODUCTION": "true",
            "LOG_LEVEL": "error",
        }
        assert public.exists()
        stores = ["", ""]
        if shutil.which("redis-server") is not None:
            await stack.enter_async_context(redis(self.folder, self.redis_socket))
            self.store = await stack.enter_async_context(TcpRecorder(str(self.redis_socket)))
            stores = [f"redis://127.0.0.1:{self.store.port}", f"unix://{self.redis_socket}"]
        urls = []
        for store in stores if self.store is not None else stores[:1]:
            own = {f"ACTR_SIGNALING__{name}": value for name, value in env.items()}
            own["ACTR_SIGNALING__REDIS_URL"] = store
            replica = await stack.enter_async_context(child(["actr_signaling"], env=own))
            urls.append((await replica.line(timeout=PATIENCE))["url"])
        self.signaling = urls[0], urls[-1]

    @property
    def authority(self) -> Authority:
        """The issuer's own key."""
        (path,) = (self.folder / "issuer/keys").glob("*.pem")
        key = load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return Authority(key)

    @property
    def stranger(self) -> Authority:
        """An issuer that nobody believes."""
        return Authority(Ed25519PrivateKey.from_private_bytes(b"s" * 32))

    def key_file(self, who: ActrId) -> Path:
        """Of an actor's private key."""
        return self.folder / "keys" / f"{who.name}.pem"

    async def issuer(self, *arguments: str) -> Any:
        """A verb of the issuer's operator, beside it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actr_signaling.issuer",
            *arguments,
            "--json",
            stdout=subprocess.PIPE,
            env={**os.environ, **self._issuer_env},
        )
        out, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"actr-issuer {' '.join(arguments)}: {process.returncode}")
        return json.loads(out)

    async def refused_at_signaling(self, replica: int = 0) -> dict[str, int]:
        """How many proofs the service refused, by cause."""
        base = self.signaling[replica].replace("ws://", "http://").removesuffix("/v1/ws")

        def read() -> str:
            with urlopen(f"{base}/metrics", timeout=PATIENCE) as answer:
                return str(answer.read().decode())

        lines = (await asyncio.to_thread(read)).splitlines()
        counts = [line for line in lines if line.startswith("actr_signaling_refused_total{")]
        return {line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in counts}

    async def beside(self) -> dict[str, Any]:
        """What the honest pair did since this was asked last, and what failed."""
        assert self._honest is not None
        await self._honest.tell()
        return await self._honest.line(timeout=PATIENCE)


@asynccontextmanager
async def redis(folder: Path, path: Path) -> AsyncIterator[None]:
    """A Redis that nobody else uses."""
    arguments = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = await asyncio.create_subprocess_exec(
        "redis-server", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        while b"eady to accept" not in (line := await process.stdout.readline()):
            if not line:
                raise RuntimeError("redis-server ends at its start")
        yield
    finally:
        process.terminate()
        await process.communicate()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """One that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
