"""What of picows this folder relies on beyond its interface.

``framing.py`` makes the library's protocol itself and feeds it, which the library has for its own
use: its constructor, and what the loop calls.
"""

from __future__ import annotations

from collections.abc import Mapping

from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its types

WANTED: Mapping[str, str] = {"picows": "2.3"}
METHODS: Mapping[type, list[str]] = {
    WSProtocol: [
        "buffer_updated",
        "connection_lost",
        "connection_made",
        "eof_received",
        "get_buffer",
        "pause_writing",
        "resume_writing",
    ],
}
