"""``actr-issuer audit`` and ``health``: what was done, and whether it goes on."""

from __future__ import annotations

import argparse
import http.client
from dataclasses import asdict

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.cli.answers import Answer, opened, table, when
from actr_signaling.issuer.register import audit
from actr_signaling.issuer.settings import Settings

TIMEOUT = 10.0
"""Seconds; a busy machine is not an unhealthy issuer."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


async def log(options: argparse.Namespace, settings: Settings) -> Answer:
    async with opened(settings) as at:
        entries = await audit.last(at.database, options.last)
    head = ("AT", "EVENT", "ID", "REALM", "KEY", "ADDRESS", "DETAIL")
    body = [
        (when(one.at), one.event, one.subject, one.realm, one.key, one.address, one.detail)
        for one in entries
    ]
    return Answer(document={"entries": [asdict(one) for one in entries]}, lines=table(head, body))


async def health(options: argparse.Namespace, settings: Settings) -> Answer:
    del options
    host = _LOOPBACK.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(4096).decode(errors="replace")
    except OSError as exc:
        raise ConfigError(f"no issuer answers at {host}:{settings.port}: {exc}") from exc
    finally:
        connection.close()
    if answer.status != 200:
        raise ConfigError(f"the issuer is not ready: {body}")
    return Answer(document={"status": "ready"}, lines=["ready"])
