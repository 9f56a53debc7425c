"""An issuer in this process and as one of its own, and actors that enrol with it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_signaling.issuer.office import Office
from actr_signaling.issuer.protocol.proofs import ROTATE
from actr_signaling.issuer.settings import Settings
from actr_signaling.protocol.identity.certificates import Certificate, verify_certificate
from actr_signaling.protocol.identity.keys import decode, encode, read_keys
from actr_signaling.protocol.identity.signatures import ENROL, RENEW, sign, signed_text
from signaling_kit.client import PATIENCE

SECRET = b"the secret of all realms"


class Holder:
    """An actor's key; bodies of its requests."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def enrol(
        self,
        nonce: bytes,
        id: str = "acme:room@1",
        *,
        realm: str = "default",
        token: str | None = None,
        secret: bytes = SECRET,
    ) -> dict[str, str]:
        parts = (nonce, id.encode(), realm.encode(), self.public)
        body = {
            "id": id,
            "realm": realm,
            "key": encode(self.public),
            "nonce": encode(nonce),
            "proof": encode(sign(self._key, ENROL, *parts)),
        }
        if token is not None:
            return {**body, "token": token}
        mac = hmac.digest(secret, signed_text(ENROL, *parts), hashlib.sha256)
        return {**body, "mac": encode(mac)}

    def renew(self, nonce: bytes) -> dict[str, str]:
        return {
            "key": encode(self.public),
            "nonce": encode(nonce),
            "proof": encode(sign(self._key, RENEW, nonce, self.public)),
        }

    def rotate(self, nonce: bytes, new: Holder) -> dict[str, str]:
        parts = (nonce, self.public, new.public)
        return {
            "key": encode(self.public),
            "nonce": encode(nonce),
            "proof": encode(sign(self._key, ROTATE, *parts)),
            "new_key": encode(new.public),
            "new_proof": encode(sign(new._key, ROTATE, *parts)),
        }


class Clock:
    """Unix seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def settings(folder: Path, **values: Any) -> Settings:
    """Of an issuer with a secret for all realms."""
    secret = folder / "realm.secret"
    secret.write_bytes(SECRET)
    values = {"home": folder / "issuer", "realm_secret_file": secret, **values}
    return Settings.model_validate(values)


@asynccontextmanager
async def opened(folder: Path, clock: Clock, **values: Any) -> AsyncIterator[Office]:
    async with Office(settings(folder, **values), clock=clock, steady=clock) as office:
        yield office


async def enrol(office: Office, holder: Holder, id: str = "acme:room@1", **how: Any) -> str:
    """The certificate's text."""
    body = holder.enrol(office.nonce()[0], id, **how)
    return await office.enrol(json.dumps(body).encode(), "192.0.2.1")


async def renew(office: Office, holder: Holder) -> str:
    body = holder.renew(office.nonce()[0])
    return await office.renew(json.dumps(body).encode(), "192.0.2.1")


async def rotate(office: Office, holder: Holder, new: Holder) -> str:
    body = holder.rotate(office.nonce()[0], new)
    return await office.rotate(json.dumps(body).encode(), "192.0.2.1")


async def verified(office: Office, text: str, now: float) -> Certificate:
    """A certificate as a reader of the issuer's public keys sees it."""
    keys = read_keys(json.dumps(await office.public_keys()))
    return verify_certificate(text.encode(), keys, now=now)


class Patient(httpx.AsyncHTTPTransport):
    """Asks again where a busy machine was too slow to send a request in the time it has."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        while True:
            answer = await super().handle_async_request(request)
            if answer.status_code != 408:
                return answer
            await answer.aclose()


class IssuerProcess:
    """``python -m actr_signaling.issuer serve``: ready inside, gone after."""

    def __init__(self, folder: Path, **values: object) -> None:
        secret = folder / "realm.secret"
        secret.write_bytes(SECRET)
        named = {"listen": "127.0.0.1:0", "home": folder / "issuer", "realm_secret_file": secret}
        self.env = {
            **os.environ,
            **{f"ACTR_ISSUER__{k.upper()}": str(v) for k, v in {**named, **values}.items()},
        }
        self.http = httpx.AsyncClient()
        self.log = ""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actr_signaling.issuer",
            "serve",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(6 * PATIENCE):
            line = await self._process.stdout.readline()
        assert line, (await self._process.communicate())[1].decode()
        self.http = httpx.AsyncClient(
            base_url=json.loads(line)["url"],
            timeout=6 * PATIENCE,
            transport=Patient(limits=httpx.Limits(max_connections=32, max_keepalive_connections=0)),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.kill()
        _, errors = await self.process.communicate()
        self.log = errors.decode()

    async def verb(self, *arguments: str) -> Any:
        """A verb of its operator, beside it; what it answers, as JSON."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "actr_signaling.issuer",
            *arguments,
            "--json",
            stdout=asyncio.subprocess.PIPE,
            env=self.env,
        )
        out, _ = await process.communicate()
        return json.loads(out)

    async def nonce(self) -> bytes:
        answer = await self.http.get("/v1/nonce")
        return decode(answer.raise_for_status().json()["nonce"])

    async def enrol(self, holder: Holder, id: str = "acme:room@1", **how: Any) -> httpx.Response:
        """Enrol; again where it took longer than a nonce lasts."""
        while True:
            body = holder.enrol(await self.nonce(), id, **how)
            answer = await self.http.post("/v1/enrol", json=body)
            if "too old" not in answer.text:
                return answer

    async def renew(self, holder: Holder) -> httpx.Response:
        return await self.http.post("/v1/renew", json=holder.renew(await self.nonce()))
