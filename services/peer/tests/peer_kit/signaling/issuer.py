"""An issuer for tests, over real HTTP: it believes whom it is told to, and can be away."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_peer.protocol.identity.keys import decode, encode, key_id, to_jwk, write_keys
from actr_peer.protocol.identity.signatures import ENROL, RENEW, ROTATE, signed_text, verify
from peer_kit.signaling.servers import serving

TOKEN = "actr-join-token"
SECRET = b"the secret of the realm"


def certify(
    issuer: Ed25519PrivateKey, public: bytes, subject: str = "acme:room@1", **changed: Any
) -> str:
    """A certificate for a quarter of an hour; ``changed`` are members of its payload."""
    now = int(changed.pop("now", time.time()))
    payload = {
        "iss": "tests",
        "sub": subject,
        "realm": "default",
        "cnf": {"jwk": to_jwk(public)},
        "claims": {},
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": secrets.token_hex(8),
        **changed,
    }
    header = {"typ": "actr+jwt", "kid": key_id(issuer.public_key().public_bytes_raw())}
    return PyJWS().encode(json.dumps(payload).encode(), issuer, "EdDSA", headers=header)


class FakeIssuer:
    """Serves while its block runs.

    Attributes:
        asked: Path of each request, in order.
        away: Answers nothing, and ends each connection, while it is true.
        refusal: Status and cause that every question for a certificate gets; None: none does.
        known: Raw public keys that may renew.
        revoked: Raw public keys that are revoked.
        changed: Members of each certificate's payload that are as somebody wants them.
        clock: Unix seconds there, less those here.
    """

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.asked: list[str] = []
        self.away = False
        self.refusal: tuple[int, str] | None = None
        self.known: set[bytes] = set()
        self.revoked: set[bytes] = set()
        self.changed: dict[str, Any] = {}
        self.clock = 0.0
        self._nonces: set[bytes] = set()

    async def __aenter__(self) -> Self:
        self._serving = serving(self._serve)
        self.port = await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.__aexit__(None, None, None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/issuer"

    @property
    def keys(self) -> str:
        return write_keys([self.key.public_key().public_bytes_raw()])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.lower().split("\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        path = head.split(" ")[1].removeprefix("/issuer")
        self.asked.append(path)
        if not self.away:
            status, answer = self._answer(path, body)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            tag = f'"{hashlib.sha256(data).hexdigest()}"'
            is_known = f"if-none-match: {tag}" in lines
            shown = f"Content-Length: {len(data)}\r\nETag: {tag}"
            status = 304 if is_known else status
            answered = f"HTTP/1.1 {status} \r\n{shown}\r\n\r\n".encode()
            writer.write(answered if is_known else answered + data)

    def _answer(self, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/v1/nonce":
            nonce = secrets.token_bytes(32)
            self._nonces.add(nonce)
            return 200, {"nonce": encode(nonce), "time": time.time() + self.clock}
        if path == "/v1/keys":
            return 200, self.keys.encode()
        if path == "/v1/revoked":
            return 200, {"revoked": [{"key": encode(key), "at": 1} for key in sorted(self.revoked)]}
        if self.refusal is not None:
            status, cause = self.refusal
            return status, {"cause": cause, "detail": f"it is {cause}"}
        said = json.loads(body)
        key, nonce, proof = (decode(said[name]) for name in ("key", "nonce", "proof"))
        self._nonces.remove(nonce)
        if path == "/v1/enrol":
            parts = nonce, said["id"].encode(), said["realm"].encode(), key
            mac = hmac.digest(SECRET, signed_text(ENROL, *parts), hashlib.sha256)
            assert verify(key, proof, ENROL, *parts)
            if said.get("token") != TOKEN and said.get("mac") != encode(mac):
                return 403, {"cause": "token-unknown", "detail": "no such token"}
            self.known.add(key)
            return 201, {"certificate": self._certify(key, said["id"])}
        if key not in self.known:
            return 404, {"cause": "unknown-key", "detail": "nobody has enrolled this key"}
        if path == "/v1/renew":
            assert verify(key, proof, RENEW, nonce, key)
            return 200, {"certificate": self._certify(key)}
        assert path == "/v1/rotate"
        new, parts = decode(said["new_key"]), (nonce, key, decode(said["new_key"]))
        assert verify(key, proof, ROTATE, *parts)
        assert verify(new, decode(said["new_proof"]), ROTATE, *parts)
        self.known = self.known - {key} | {new}
        return 201, {"certificate": self._certify(new)}

    def _certify(self, public: bytes, subject: str = "acme:room@1") -> str:
        now = time.time() + self.clock
        return certify(self.key, public, **{"subject": subject, "now": now, **self.changed})
