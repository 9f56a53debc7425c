"""Steps to the signaling service: from its name to a registration there."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Final
from urllib.parse import urlsplit

from actr_peer.cli.verbs.running.doctor.case import START_SECONDS, Case
from actr_peer.cli.verbs.running.doctor.here import CERTIFICATE, CONFIGURATION, wrong_clock
from actr_peer.cli.verbs.running.doctor.steps import FaultError, Result, SkippedError
from actr_peer.errors import BusyError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity.asking import Answer, Issuer, read_answer, write_request
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.wire.addresses import SIGNALING_PATH, site_of
from actr_peer.wire import tcp
from actr_peer.wire.issuer.client import exchange
from actr_peer.wire.issuer.clock import WRONG_BY

NAME: Final = "signaling name"
TCP: Final = "signaling TCP"
UPGRADE: Final = "signaling upgrade"
CLOCK: Final = "clock"
REDIS: Final = "Redis"
PROOF: Final = "signaling proof"

SECONDS: Final = 5.0
MAX_PAGE_BYTES: Final = 64 * 1024
_WHERE: Final = "signaling.url (--signaling, ACTR_SIGNALING__URL)"
_BY_THE_REALM: Final = (
    "give both sides the same realm secret: realm.secret_file (ACTR_REALM__SECRET_FILE) here, "
    "ACTR_SIGNALING__REALM_SECRET_FILE there"
)
_BY_THE_ISSUER: Final = (
    "let the service believe the issuer of this actor's certificate (ACTR_SIGNALING__ISSUER_KEYS), "
    "and look at its rules and its log"
)
_STORE_AWAY: Final = "store away"


class Signaling:
    """Args:
    case: What is known, and is made known here.
    """

    def __init__(self, case: Case) -> None:
        self._case = case

    async def reach(self) -> None:
        """Name, TCP, upgrade, clock, Redis."""
        step = self._case.checkup.step
        await step(
            NAME,
            self._name,
            seconds=SECONDS,
            advice=f"correct the host in {_WHERE}, or the name service of this machine "
            "(/etc/hosts, /etc/resolv.conf)",
            needs=(CONFIGURATION,),
        )
        await step(
            TCP,
            self._tcp,
            seconds=SECONDS,
            advice="start 'actr dev' or 'actr-signaling' there, let TCP to that port through, or "
            f"name another in {_WHERE}",
            needs=(NAME,),
        )
        await step(
            UPGRADE,
            self._upgrade,
            seconds=SECONDS,
            advice=f"name a signaling service in {_WHERE}, as ws://host:8080{SIGNALING_PATH}; a "
            "proxy in front of it must let WebSockets through",
            needs=(TCP,),
        )
        await step(CLOCK, self._clock, seconds=1.0, advice="", needs=(UPGRADE,))
        await step(
            REDIS,
            self._redis,
            seconds=SECONDS,
            advice="look at the log of the signaling service",
            needs=(UPGRADE,),
        )

    async def register(self) -> None:
        """Proof: the doctor's own actor starts."""
        checkup = self._case.checkup
        certificate = (row for row in checkup.rows if row.step == CERTIFICATE)
        is_without = all(row.result is Result.SKIPPED for row in certificate)
        advice = _BY_THE_REALM if is_without else _BY_THE_ISSUER
        await checkup.step(
            PROOF,
            self._proof,
            seconds=START_SECONDS + 2,
            advice=advice,
            needs=(UPGRADE,) if is_without else (UPGRADE, CERTIFICATE),
        )

    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self._case.settings.signaling.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)

    async def _name(self) -> str:
        host, port = self._address()
        try:
            found = await tcp.resolve(host, port)
        except OSError as exc:
            raise FaultError(f"{host} is not found: {exc.strerror or exc}") from exc
        addresses = sorted({str(address[4][0]) for address in found})
        return f"{host} is {', '.join(addresses[:4])}{' …' if addresses[4:] else ''}"

    async def _tcp(self) -> str:
        host, port = self._address()
        try:
            sock = await tcp.connect(host, port)
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc) or "no answer"
            raise FaultError(f"nobody can be reached at {host}:{port}: {why}") from exc
        sock.close()
        return f"somebody listens at {host}:{port}"

    async def _upgrade(self) -> str:
        from actr_peer.wire.signaling.greeting import greeting

        began = time.time()
        try:
            hello = await greeting(self._case.settings.signaling.url)
        except UnreachableError as exc:
            raise FaultError(exc.why) from exc
        self._case.hello = hello
        self._case.hello_age = (began + time.time()) / 2 - hello.time
        wanted = "nothing (development mode)"
        if hello.certificate_required:
            wanted = "a certificate"
        elif hello.proof_required:
            wanted = "the realm's secret"
        return f"{hello.server_id[:64]} greets and asks for {wanted}"

    async def _clock(self) -> str:
        hello, ahead = self._case.hello, self._case.hello_age
        if hello is None or not hello.time:
            raise SkippedError("this signaling service does not say what time it has")
        if abs(ahead) > WRONG_BY:
            raise FaultError(*wrong_clock(ahead, "signaling's"))
        return f"{abs(ahead):.1f} s from signaling's"

    async def _redis(self) -> str:
        ready, version = await self._page("/readyz"), await self._page("/version")
        status, form = _word(ready, "status"), _word(version, "form")
        if ready.status not in (200, 503) or not status:
            raise SkippedError(f"no word of its health at /readyz: status {ready.status}")
        if ready.status == 200:
            if form == "memory":
                raise SkippedError("this signaling service is one process, without Redis")
            return "the service reaches it"
        if status == _STORE_AWAY:
            raise FaultError(
                "the signaling service does not reach its Redis",
                "start Redis, or correct ACTR_SIGNALING__REDIS_URL of the service",
            )
        raise FaultError(f"the signaling service is not ready: {status}")

    async def _page(self, path: str) -> Answer:
        """What the service says over HTTP, beside its socket."""
        site = Issuer.parse(site_of(self._case.settings.signaling.url))
        try:
            return read_answer(await exchange(site, write_request(site, path), MAX_PAGE_BYTES))
        except RemoteProtocolError as exc:
            raise SkippedError(f"what answers at {path} is no HTTP") from exc

    async def _proof(self) -> str:
        case = self._case
        kind = WireKind.WEBRTC if WireKind.WEBRTC in case.own.prefer else WireKind.WEBSOCKET
        try:
            case.node = await case.start(case.own, kind)
        except BusyError as exc:
            raise FaultError(str(exc), "leave --id out, or give another") from exc
        return f"registered as {case.node.id}"


def _word(answer: Answer, key: str) -> str:
    """A word of a page; empty: it has none."""
    try:
        page: Any = json.loads(answer.body)
    except ValueError:
        return ""
    found = page.get(key, "") if isinstance(page, dict) else ""
    return found[:64] if isinstance(found, str) else ""
