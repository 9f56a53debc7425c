"""What a stranger writes into the head of a request to a gateway: path, headers, token."""

from __future__ import annotations

from collections.abc import Iterable

from actr_peer.errors import CallError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.connect.codes import HTTP_STATUS, said
from actr_peer.protocol.rpc.connect.pages import Pages
from actr_peer.protocol.rpc.connect.refusals import content_type_of, refusal
from actr_peer.protocol.rpc.connect.routes import read_metadata, read_route, read_timeout
from actr_peer.protocol.rpc.connect.rules import ANONYMOUS, GatewayRules
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form

RULES = GatewayRules.read(
    {
        "caller": [
            {
                "name": "web",
                "sha256": "9f1d3f6a9ff6c7a4de6f5a8e33ea2a51c0c8e3a4b1f3a7d6f0d0d7a8a1b2c3d4",
            }
        ],
        "access": [
            {"effect": "allow", "callers": ["*"], "actors": ["*:*@*"], "methods": ["chat.*"]}
        ],
    },
    "default",
)
PAGES = Pages(("https://app.example",))


def head(data: bytes) -> None:
    """Lines as ``name: value``, the first one the path, as a gateway reads them all."""
    first, *lines = data.decode("latin-1").split("\n")
    pairs = [(name.lower(), value) for name, _, value in (each.partition(": ") for each in lines)]
    headers = dict(pairs)
    content_type = content_type_of(headers.get("content-type", ""))
    PAGES.refuses(headers)
    PAGES.preflight(headers)
    try:
        caller = RULES.caller_of(headers.get("authorization"))
        assert caller == ANONYMOUS
        read_timeout(headers.get("connect-timeout-ms"))
        read_metadata(pairs, caller)
        route = read_route(first, headers.get("actr-to"))
    except CallError as exc:
        _is_told(exc, content_type)
        raise
    assert isinstance(route.to, ActrId | ActrType | None)
    assert not route.service.startswith("actr.")
    assert route.to is None or not RULES.allows(caller, route.to, route.key)


def _is_told(exc: CallError, content_type: str) -> None:
    assert refusal(said(exc), content_type).status in (200, *HTTP_STATUS.values())


def _heads() -> Iterable[bytes]:
    yield (
        b"/acme:room@1:default/chat.Room/Say\nhost: 127.0.0.1:8088\norigin: https://app.example\n"
        b"content-type: application/connect+json\nconnect-timeout-ms: 1500\nactr-metadata-a: b"
    )
    yield b"/chat.Room/Say\nactr-to: acme:room\nhost: [::1]:1\nauthorization: Bearer 0b1c"
    yield b"/chat.Room/Say\naccess-control-request-headers: content-type, actr-metadata-color"
    yield b"/actr%3A%2F%2Fdefault%2Facme%3Aroom%401/chat.Room/Say\nsec-fetch-site: none"


TARGETS = (
    Target(
        name="peer.gateway",
        run=head,
        seeds=_heads,
        allowed=(CallError,),
        forms=(Form.LINES, Form.TEXT),
        tokens=(b"%2F", b"%00", b"actr://", b"actr-metadata-", b"self", b"[::", b"\xff"),
    ),
)
