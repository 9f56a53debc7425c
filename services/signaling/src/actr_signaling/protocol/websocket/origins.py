"""Sans-I/O: how a browser names the site of a page, ``Origin`` (RFC 6454, section 6.2)."""

from __future__ import annotations

import re
from typing import Final

ALL: Final = "*"
_HOST: Final = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]"
_ORIGIN: Final = re.compile(rf"([a-z][a-z0-9+.-]*)://(?:{_HOST})(?::([1-9][0-9]{{0,4}}))?")
_MAX_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check_origin(text: str) -> str:
    """Return what a browser may send so, or ``*``: another spelling would be no page's.

    Raises:
        ValueError: If it is none; says what is.
    """
    found = _ORIGIN.fullmatch(text)
    port = 0 if found is None else int(found[2] or 0)
    is_default = found is not None and port == _DEFAULT_PORTS.get(found[1])
    if text != ALL and (found is None or is_default or port > _MAX_PORT):
        raise ValueError(
            f"{text!r} is no origin as browsers send it: write scheme://host or scheme://host:port "
            "in lower case, without the scheme's own port, a path or a slash at the end, for "
            "example https://page.example; * is all"
        )
    return text
