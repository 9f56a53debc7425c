"""The wire contract of actr: generated from the .proto files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("actr-proto")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
