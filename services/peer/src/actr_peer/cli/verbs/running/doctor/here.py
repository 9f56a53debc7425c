"""Steps of this machine alone: its configuration, its port, what proves who its actor is."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

from actr_peer.cli.verbs.running.doctor.case import START_SECONDS, Case
from actr_peer.cli.verbs.running.doctor.steps import FaultError, SkippedError
from actr_peer.errors import BusyError, PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.reading import control_path, own_id
from actr_peer.node.process.probe import ask
from actr_peer.wire import tcp
from actr_peer.wire.issuer.clock import WRONG_BY

CONFIGURATION: Final = "configuration"
PORT: Final = "port"
CERTIFICATE: Final = "certificate"

QUICK: Final = 3.0
"""Seconds for what nobody far away has part in."""


class Here:
    """Args:
    case: What is known, and is made known here.
    """

    def __init__(self, case: Case) -> None:
        self._case = case

    async def run(self) -> None:
        """Configuration and port."""
        step = self._case.checkup.step
        await step(
            CONFIGURATION,
            self._configuration,
            seconds=QUICK,
            advice="mend what is named; 'actr config show' tells each value and where it is from",
        )
        await step(
            PORT,
            self._port,
            seconds=QUICK,
            advice="set wires.listen to an address of this machine and a port that is free",
            needs=(CONFIGURATION,),
        )

    async def prove(self) -> None:
        """Certificate."""
        await self._case.checkup.step(
            CERTIFICATE,
            self._certificate,
            seconds=START_SECONDS + 1,
            advice="look at identity.issuer_url and identity.join_token_file, and at the issuer's "
            "log; 'actr identity show' tells what this actor has",
            needs=(CONFIGURATION,),
        )

    async def _configuration(self) -> str:
        case = self._case
        case.loaded = settings = case.flags.settings()
        config = NodeConfig.from_settings(settings)
        case.loaded_own = case.flags.caller("doctor", case.whom)
        return (
            f"{config.id} in {_trust(config)}, signaling {config.signaling_url}, wires "
            f"{' and '.join(kind.value for kind in config.prefer)}"
        )

    async def _port(self) -> str:
        listen = self._case.settings.wires.listen
        if not listen:
            raise SkippedError("wires.listen is empty: no WebSocket comes in")
        host, port = tcp.parse_listen(listen)
        try:
            (await tcp.listen(host, port)).close()
        except BusyError as exc:
            own = await asyncio.to_thread(self._own_port)
            if own != port:
                raise FaultError(
                    f"wires.listen is {listen}, and another program has that port",
                    f"end who has it ('ss -ltnp sport = :{port}' tells), or set wires.listen "
                    f"(--listen) to another port; {host}:0 takes a free one",
                ) from exc
            return f"{listen} is the port of {own_id(self._case.settings.actor.id)}, which runs"
        return f"{listen} can be listened on" if port else f"{host} can be listened on"

    def _own_port(self) -> int | None:
        """Where the actor of this configuration listens, if it runs."""
        path = control_path(self._case.settings)
        status: Any = {}
        if path is not None:
            with suppress(OSError, ValueError):
                status = ask(str(path), "status", timeout=1.0)
        own = (actor for actor in status.get("actors", ()) if actor["id"] == status["id"])
        address = next((actor["ws_address"] for actor in own), "")
        with suppress(ValueError):
            return int(address.rpartition(":")[2].partition("/")[0])
        return None

    async def _certificate(self) -> str:
        from actr_peer.wire.issuer.credentials import Credentials

        own = self._case.own
        if own.identity is None:
            what = "the realm's secret proves" if own.realm_secret else "nothing is asked to prove"
            raise SkippedError(f"no certificate is configured: {what} who an actor is")
        if own.identity.key is None:  # one in memory: the issuer gives an id to one such key
            own = self._case.another()
        assert own.identity is not None
        failed: list[PeerError] = []
        credentials = Credentials(
            own.id,
            own.identity,
            secret=own.realm_secret,
            failed=failed.append,
            start_timeout=START_SECONDS,
        )
        async with credentials:
            certificate, ahead = credentials.own, -credentials.clock.offset
            now = credentials.clock.now()
        if certificate is None:
            raise FaultError(str(failed[-1]) if failed else "there is no certificate")
        left = certificate.expires_at - now
        if left <= 0:
            raise FaultError(f"it has ended {-left:.0f} s ago", "get another from the issuer")
        if abs(ahead) > WRONG_BY:
            raise FaultError(*wrong_clock(ahead, "the issuer's"))
        return f"of {certificate.subject}, good for another {left:.0f} s"


def wrong_clock(ahead: float, whose: str) -> tuple[str, str]:
    """What is found, and advised, where this machine's clock differs from that of others."""
    side = "ahead of" if ahead > 0 else "behind"
    return (
        f"the clock of this machine is {abs(ahead):.0f} s {side} {whose} "
        f"(here it is {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC)",
        "set the clock that is wrong, and keep it right with NTP: 'timedatectl set-ntp true'",
    )


def _trust(config: NodeConfig) -> str:
    if config.identity is not None:
        return "a realm of certificates"
    return "a realm with a secret" if config.realm_secret else "development mode (no secret)"
