"""``python -m actr_signaling.issuer``, ``actr-issuer``: the issuer, and the verbs of its operator.

Exit status: 0 done, or stopped by a signal · 1 refused: what was asked cannot be done · 2 a setting
or an argument that cannot be used. Each error is one sentence on standard error; with ``--json`` a
document on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.cli.answers import Answer
from actr_signaling.issuer.cli.parser import arguments, keys_last
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.settings import Settings, load
from actr_signaling.logs import set_up
from actr_signaling.program import EXIT_CONFIG, announcer, loop_factory

EXIT_REFUSED = 1


def main(given: Sequence[str] | None = None) -> int:
    """Do one verb; return the exit status."""
    options = arguments().parse_args(keys_last(sys.argv[1:] if given is None else given))
    try:
        settings = load()
        set_up(settings.log_level if options.verb is None else "error", settings.log_format)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            answer = runner.run(_run(options, settings))
    except RefusalError as exc:
        status = EXIT_CONFIG if exc.cause is Cause.MALFORMED else EXIT_REFUSED
        return _failed(options, exc.message, status)
    except ConfigError as exc:
        return _failed(options, str(exc), EXIT_CONFIG)
    if answer is not None:
        _tell(options, answer)
    return 0


async def _run(options: argparse.Namespace, settings: Settings) -> Answer | None:
    if options.verb is None:
        from actr_signaling.issuer.web.server import serve  # the verbs need no web framework

        await serve(settings, announcer(options))
        return None
    answer: Answer = await options.verb(options, settings)
    return answer


def _tell(options: argparse.Namespace, answer: Answer) -> None:
    for note in answer.notes:
        print(f"actr-issuer: {note}", file=sys.stderr)  # noqa: T201
    text = json.dumps(answer.document) if options.json else "\n".join(answer.lines)
    print(text)  # noqa: T201


def _failed(options: argparse.Namespace, text: str, status: int) -> int:
    if options.json:
        print(json.dumps({"error": {"text": text, "exit": status}}))  # noqa: T201
    else:
        print(f"actr-issuer: {text}", file=sys.stderr)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
