"""The page's site: its files on loopback, and the join token that stands for a login.

    ACTR_DEMO_SECRET=… python -m actr_peer.cli.demo.page.site DESCRIPTOR '{"signaling": …}'

A process of its own with the standard library's server: it is for one user of this machine, for as
long as a demo runs. Others may ask on loopback too, so a token is for who knows the secret: it is
in the fragment of the page's address, which a browser sends nowhere by itself. It comes in the
environment, which, unlike arguments, other users do not see.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from secrets import compare_digest
from threading import Lock
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from actr_peer.cli.demo.report import Ready, tell
from actr_peer.errors import BrokenError, ConfigError

SUBJECT: Final = "demo-page:*@*"
"""Whom tokens are for. Each browser puts a name of its own for the first ``*``, since a second key
for one subject takes the place of the first; what is left is for its tabs. The manufacturer is
another than the stage's: no page can have a certificate in its name."""
FILES: Final = MappingProxyType(
    {
        "/": ("index.html", "text/html; charset=utf-8"),
        "/page.js": ("page.js", "text/javascript; charset=utf-8"),
        "/page.css": ("page.css", "text/css; charset=utf-8"),
        "/icon.svg": ("icon.svg", "image/svg+xml"),
    }
)
SETTINGS: Final = "/settings.json"
TOKEN: Final = "/token"  # noqa: S105 - a path
SECRET: Final = "ACTR_DEMO_SECRET"  # noqa: S105 - a name
SECRET_HEADER: Final = "x-actr-demo"  # noqa: S105 - a name
PATIENCE: Final = 10.0
"""Seconds that a browser may take for one request."""
NO_SECRET: Final = b"open the whole address that `actr demo` has printed, with what is after its #"
TOKEN_PATIENCE: Final = 60.0
"""The issuer's verb is a process: a busy machine takes its time."""


KEPT: Final = 50 * 60.0
"""Seconds that a token is kept; the issuer makes them for 60 minutes."""


def since_boot() -> float:
    """Seconds by a clock that never goes back, and on Linux goes on while the machine sleeps."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Tokens:
    """Join tokens, of which the next is made before it is asked for: a page waits some seconds
    for its certificate, and no longer.

    Args:
        now: The time, by a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = since_boot) -> None:
        self._now = now
        self._threads = ThreadPoolExecutor(1)
        self._lock = Lock()
        self._next = self._begin()

    def take(self) -> str:
        """One that nobody else has, and that is good for ten minutes at least.

        Raises:
            BrokenError: If the issuer's verb makes none.
        """
        while True:
            with self._lock:  # each request has its thread
                if self._next.done() and self._next.exception() is not None:
                    self._next = self._begin()  # what failed then may do now
                made, self._next = self._next, self._begin()
            token, at = made.result()
            if self._now() - at < KEPT:
                return token

    def close(self) -> None:
        """Make no more, once the one that is being made is."""
        self._threads.shutdown(cancel_futures=True)

    def _begin(self) -> Future[tuple[str, float]]:
        return self._threads.submit(self._make)

    def _make(self) -> tuple[str, float]:
        at = self._now()
        return new_token(), at


def new_token() -> str:
    """A join token of the issuer whose home the environment names.

    Raises:
        BrokenError: If its verb fails.
    """
    verb = ("-m", "actr_signaling.issuer", "token", "new", SUBJECT, "--patterns")
    try:
        made = subprocess.run(  # noqa: S603 - our own program, and nothing of a request
            (sys.executable, *verb),
            capture_output=True,
            timeout=TOKEN_PATIENCE,
            check=True,
            text=True,
        )
    except (subprocess.SubprocessError, OSError) as exc:
        raise BrokenError(f"the issuer makes no join token: {exc}") from exc
    return made.stdout.strip()


def policy(signaling: str) -> str:
    """What the page may load: this site's files, and connections to the demo's signaling service.

    Args:
        signaling: Its URL, ``ws://…``.
    """
    host = urlsplit(signaling).netloc
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self' ws://{host} http://{host}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


class Pages(BaseHTTPRequestHandler):
    """One connection of a browser.

    Args:
        settings: What the page is told: signaling, issuer, the actor that it talks to.
        tokens: What its certificate is had for.
        secret: What it must know to have one.
    """

    timeout = PATIENCE
    server_version, sys_version = "actr-demo", ""

    def __init__(self, settings: dict[str, str], tokens: Tokens, secret: str, *given: Any) -> None:
        self._settings, self._tokens, self._secret = settings, tokens, secret
        super().__init__(*given)

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        if self.path == SETTINGS:
            body = json.dumps(self._settings | {"subject": SUBJECT}).encode()
            self._answer(HTTPStatus.OK, "application/json", body)
        elif found := FILES.get(self.path):
            name, media_type = found
            body = files(__package__).joinpath("built", name).read_bytes()
            self._answer(HTTPStatus.OK, media_type, body)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not here")

    def do_POST(self) -> None:
        """A join token, once more for each browser: an application has people log in for it."""
        if not self._is_for_us():
            return
        if self.path != TOKEN or self.headers.get("sec-fetch-site") != "same-origin":
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"for this site's page alone")
            return
        if not self._knows_secret():
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", NO_SECRET)
            return
        try:
            token = self._tokens.take()
        except BrokenError as exc:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", str(exc).encode())
        else:
            self._answer(HTTPStatus.OK, "text/plain", token.encode())

    def _knows_secret(self) -> bool:
        given = self.headers.get(SECRET_HEADER, "")
        return compare_digest(given.encode(), self._secret.encode())

    def _is_for_us(self) -> bool:
        """Refuse what a page of elsewhere sends by a name of its own that leads here."""
        host = f"127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        if self.headers.get("host") == host:
            return True
        self._answer(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"this is " + host.encode())
        return False

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {
            "content-type": media_type,
            "content-length": str(len(body)),
            "content-security-policy": policy(self._settings["signaling"]),
            "permissions-policy": "camera=(self), microphone=()",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what happens is to be seen in the page."""


class Site(ThreadingHTTPServer):
    """A site on a socket that listens already.

    Args:
        listener: On loopback.
        settings: As of :class:`Pages`.
        secret: As of :class:`Pages`; an empty one would be anybody's.
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, settings: dict[str, str], secret: str) -> None:
        if not secret:
            raise ConfigError(f"{SECRET} is empty: who asks for a token must know it")
        self._tokens = Tokens()
        handler = partial(Pages, settings, self._tokens, secret)
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_port = listener.getsockname()[1]

    def server_close(self) -> None:
        """Give the port back, and make no more tokens."""
        super().server_close()
        self._tokens.close()


def main() -> None:
    """Serve until a signal ends the process."""
    descriptor, settings = int(sys.argv[1]), json.loads(sys.argv[2])
    with Site(socket.socket(fileno=descriptor), settings, os.environ.pop(SECRET, "")) as site:
        tell(Ready(url=f"http://127.0.0.1:{site.server_port}/"))
        site.serve_forever()


if __name__ == "__main__":
    main()
