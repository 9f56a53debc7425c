"""Stored requests as JSON: by a generated module, or as the running actor tells its contract."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from actr_peer.cli.callers import Visit
from actr_peer.cli.contracts.asked import ask
from actr_peer.cli.contracts.methods import methods_of
from actr_peer.errors import DeadlineError, PeerError, UnreachableError
from actr_peer.node.config.callers import caller_config
from actr_peer.node.config.settings import Settings
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import State
from actr_peer.protocol.rpc.envelopes import RESPONSE, Envelope, decode_envelope
from actr_peer.service import Method
from actr_peer.state.file_lock import LOCK_SUFFIX, owner_of_lock
from actr_peer.state.mailbox.dead_letters import Letter
from actr_peer.state.mailbox.letterbox import is_answered

PATIENCE: Final = 5.0
"""Seconds that an actor has to tell its contract."""
NO_CONTRACT: Final = "name its generated module with --module to read it"


class Known:
    """The methods by which stored messages are read, once one is.

    Args:
        module: A generated module; None: the actor that has the mailbox is asked, if it runs.
        file: The mailbox's.
        settings: How the actor is reached.
    """

    def __init__(self, module: str | None, file: Path, settings: Settings) -> None:
        self._methods: Mapping[str, Method[Any, Any]] = methods_of(module) if module else {}
        self._pool: DescriptorPool | None = None
        self._why = f"{module} has no such method"
        if module is None:
            self._ask(file, settings)

    def message(self, route_key: str, envelope: Envelope) -> tuple[object, str]:
        """What an envelope holds, as JSON has it, and why it cannot be read; empty: it can."""
        method = self._methods.get(route_key)
        if method is None:
            return None, self._why
        kind = method.reply if envelope.direction == RESPONSE else method.request
        try:
            message = kind.FromString(envelope.payload)
            return (
                json_format.MessageToDict(
                    message,
                    always_print_fields_with_no_presence=True,
                    descriptor_pool=self._pool,
                ),
                "",
            )
        except (DecodeError, TypeError, ValueError) as exc:
            return None, f"it is no {kind.DESCRIPTOR.full_name}: {exc}"

    def _ask(self, file: Path, settings: Settings) -> None:
        owner = owner_of_lock(f"{file.resolve()}{LOCK_SUFFIX}")
        try:
            if not is_answered(f"{file.resolve()}-letters"):
                raise UnreachableError(owner or str(file), "it does not run")
            self._methods, self._pool = run_loop(_told(ActrId.read(owner), settings))
            self._why = f"{owner} has no such method any more"
        except PeerError as exc:
            self._why = f"{exc}; {NO_CONTRACT}"


async def _told(
    owner: ActrId, settings: Settings
) -> tuple[Mapping[str, Method[Any, Any]], DescriptorPool]:
    configure_logs(settings.log.model_copy(update={"level": "error"}))
    visit = Visit(PATIENCE)
    config = caller_config(settings, "mailbox", realm=owner.realm)
    try:
        async with asyncio.timeout(PATIENCE), visit.running(config) as node:
            async with visit.reaching(node, owner):
                contract = await ask(node.ref.to(owner), owner, visit.left(PATIENCE) or PATIENCE)
            return contract.methods, contract.pool
    except TimeoutError as exc:
        raise DeadlineError(f"{owner} did not tell its contract in {PATIENCE:g} s") from exc


def row_of(letter: Letter) -> dict[str, Any]:
    """A letter as JSON has it, without its envelope."""
    row = asdict(letter) | {
        "state": letter.state.name.lower(),
        "payload_type": letter.payload_type.name,
        "died_at": time_of(letter.died_at),
    }
    del row["envelope"]
    return row


def body_of(letter: Letter) -> tuple[dict[str, Any], Envelope | None]:
    """The envelope's fields, and itself; or its bytes where it does not decode."""
    data = letter.envelope or b""
    try:
        envelope = decode_envelope(data)
    except PeerError as exc:
        return {"undecodable": str(exc), "base64": _base64(data)}, None
    error = envelope.error
    body = {
        "request_id": envelope.request_id,
        "metadata": dict(envelope.metadata),
        "timeout_s": envelope.timeout,
        "error": str(error) if error is not None else None,
        "payload_base64": _base64(envelope.payload),
    }
    return body, envelope


def shown_of(letter: Letter, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a person is shown of a letter, in rows; what it does not have is left out."""
    rows = {
        "number": str(letter.sequence),
        "state": letter.state.name.lower(),
        "method": letter.route_key,
        "caller": letter.sender,
        "request id": letter.request_id,
        "kind": f"{'tell' if letter.is_tell else 'call'}, {letter.payload_type.name}",
        "tries": tries_of(letter),
        "reason": letter.reason,
        "last error": letter.last_error,
        "died": time_of(letter.died_at),
        "metadata": "\n".join(f"{key}={value}" for key, value in body.get("metadata", {}).items()),
        "reply" if letter.state is State.DONE else "request": body.get("error") or _text_of(body),
    }
    return ((key, value) for key, value in rows.items() if value)


def _text_of(body: Mapping[str, Any]) -> str:
    """The message; or its bytes, and why it is not read."""
    if body.get("message") is not None:
        return json.dumps(body["message"], indent=2, ensure_ascii=False)
    data = body.get("payload_base64") or body.get("base64") or ""
    why = body.get("unread") or body.get("undecodable")
    return f"{data}\n({why})" if data else f"({why})"


def tries_of(letter: Letter) -> str:
    """How often it was begun, and how that ended."""
    return f"{letter.attempts} ({letter.crashes} crashed, {letter.failures} failed)"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def time_of(seconds: float) -> str:
    """A time of the wall clock for people; 0 is none."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""
