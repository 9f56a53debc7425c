"""``python -m actr_signaling``, ``actr-signaling``: settings from the environment, one replica.

Exit status: 0 stopped by a signal, after a clean drain · 2 a setting or an argument that cannot
be used (one sentence on standard error) · 1 anything else, with a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence

import actr_signaling
from actr_signaling.errors import ConfigError
from actr_signaling.logs import set_up
from actr_signaling.program import EXIT_CONFIG, Parser, add_announcing, announcer, loop_factory
from actr_signaling.settings import Settings, load
from actr_signaling.web.app import Mounted
from actr_signaling.web.server import Replica, run

GC_THRESHOLD = 10_000, 20, 20
"""Of Python's collector. What a connection leaves is no circle, and is freed without it; each look
for circles stops all, with thousands of connections for tenths of a second."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one replica until a signal; return the exit status."""
    options = _arguments(arguments)
    try:
        settings = load()
        set_up(settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings, announcer(options)))
    except ConfigError as exc:
        print(f"actr-signaling: {exc}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    return 0


async def _serve(settings: Settings, announce: Callable[[str], None]) -> None:
    replica = Replica(settings, announce, _issuer(settings))
    # Modules and routes stay for good: a collection that looks at them again stops all for 60 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    await run(replica)


def _issuer(settings: Settings) -> Mounted | None:
    """An issuer in this process, where one is wanted; else not even its modules are loaded."""
    if settings.issuer_home is None:
        return None
    from actr_signaling.issuer.web.embedded import Embedded

    return Embedded(
        settings.issuer_home,
        realm_secret_file=settings.realm_secret_file,
        realm_secrets_dir=settings.realm_secrets_dir,
        taken=settings.issuer_taken,
        allowed_origins=settings.allowed_origins,
    )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="actr-signaling",
        description="Introduces actr peers to each other. Settings: ACTR_SIGNALING__… "
        "environment variables (docs/signaling.md).",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {actr_signaling.__version__}"
    )
    add_announcing(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
