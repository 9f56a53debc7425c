"""Sans-I/O: of which web pages a browser may open a wire.

A browser names the page that asks in ``Origin`` (RFC 6454, section 7), and lets no script change
it; programs name none. It says who asks only where a browser sends it: it keeps a person's browser
from being used by a page that the operator does not know, and proves nothing of a program.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

ALL: Final = "*"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def read_origin(text: str) -> str:
    """Return an origin as browsers send it, of what people write.

    Raises:
        ValueError: If it is none; says what is.
    """
    if text == ALL:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username) if host else "-"
    if not host or not parts.scheme or not text.isascii() or ALL in host or any(rest):
        raise ValueError(
            "must be scheme://host or scheme://host:port, for example https://page.example, with "
            "no path and a host of other letters as xn--…; * is all"
        )
    shown = f"[{host}]" if ":" in host else host
    is_default = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{shown}" + ("" if is_default else f":{port}")


def is_allowed(origins: Sequence[str], allowed: Collection[str]) -> bool:
    """Whether who asks is a program, or a page of one of these origins.

    Args:
        origins: The values of ``Origin`` in the request.
        allowed: As :func:`read_origin` returns them.
    """
    if not origins:
        return True
    return len(origins) == 1 and (ALL in allowed or origins[0] in allowed)
