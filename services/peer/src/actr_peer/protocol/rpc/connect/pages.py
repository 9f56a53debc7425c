"""Sans-I/O: which web pages may use a gateway (the Fetch standard's CORS), and by which name it is
asked.

Without rules a gateway believes who is on its machine. A page in that machine's browser is not, so
it must be listed; and a name that somebody else's DNS gives to the loopback is not this gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actr_peer.protocol.rpc.connect.refusals import Reply
from actr_peer.protocol.rpc.connect.routes import METADATA, TO
from actr_peer.protocol.websocket.origins import ALL, is_allowed
from actr_peer.protocol.wire.addresses import is_loopback_name

PREFLIGHT_SECONDS: Final = 7200
"""What browsers keep at most; Chromium's own bound."""
_TAKEN: Final = frozenset(
    {
        "authorization",
        "connect-accept-encoding",
        "connect-content-encoding",
        "connect-protocol-version",
        "connect-timeout-ms",
        "content-encoding",
        "content-type",
        TO,
        "x-user-agent",
    }
)
"""Headers that a page may send, besides metadata."""
_SHOWN: Final = "connect-content-encoding, content-encoding, retry-after"
"""Headers that a page may read, besides those that it always may."""
_MAX_ASKED: Final = 64


@dataclass(frozen=True, slots=True)
class Pages:
    """Whom a gateway lets in from a browser.

    Args:
        allowed: Origins as ``https://app.example``; ``*`` is all.
        is_local: Whether it is asked by names of the loopback only.
    """

    allowed: tuple[str, ...] = ()
    is_local: bool = True

    def refuses(self, headers: Mapping[str, str]) -> str:
        """Why a request is not let in, by its headers; empty: it is."""
        if self.is_local and not is_loopback_name(headers.get("host", "")):
            return "without rules it answers to names of this machine only: see --rules"
        origin = headers.get("origin")
        if origin is not None:
            is_listed = is_allowed((origin,), self.allowed)
            return "" if is_listed else "this origin is not allowed: see --allowed-origin"
        site = headers.get("sec-fetch-site", "none")  # a GET of another page's image has no origin
        if site == "none" or ALL in self.allowed:
            return ""
        host = headers.get("host", "")
        if site == "same-origin" and any(each.endswith(f"://{host}") for each in self.allowed):
            return ""  # of a listed page that a proxy serves by the same name
        return "a page asks without saying which: see --allowed-origin"

    def shown_to(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Headers by which the browser of a page that was let in hands it the reply."""
        origin = headers.get("origin")
        if origin is None:
            return ()
        return (
            ("access-control-allow-origin", ALL if ALL in self.allowed else origin),
            ("access-control-expose-headers", _SHOWN),
            ("vary", "Origin"),
        )

    def preflight(self, headers: Mapping[str, str]) -> Reply:
        """The answer to a browser that asks before it asks."""
        asked = headers.get("access-control-request-headers", "").lower().split(",")[:_MAX_ASKED]
        names = {each.strip() for each in asked}
        taken = sorted(
            name
            for name in names
            if name in _TAKEN or (name.startswith(METADATA) and is_token(name))
        )
        return Reply(
            204,
            (
                ("access-control-allow-methods", "GET, POST"),
                ("access-control-allow-headers", ", ".join(taken)),
                ("access-control-max-age", str(PREFLIGHT_SECONDS)),
            ),
        )


def is_token(name: str) -> bool:
    """Whether it can be the name of a header."""
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum()
