"""Where Redis is, as whom this service comes to it, and whose certificate it takes there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLCertVerificationError, SSLError
from typing import Any

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import AuthenticationError, NoPermissionError

from actr_signaling.errors import ConfigError

CONNECT = 2.0
"""Seconds for a connection."""


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis and how to come in.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``.
        user: Of Redis' access list; empty: the one in ``url``, or ``default``.
        password: Empty: the one in ``url``, or none.
        ca_file: Who signs the certificate of Redis; None: whom this machine trusts.
    """

    url: str = field(repr=False)  # a password may be in it
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None

    def check(self) -> None:
        """See whether it can be used at all; nothing is connected.

        Raises:
            ConfigError: If the URL or the file of the authority cannot be read.
        """
        try:
            self.connection()
        except (ValueError, TypeError) as exc:
            # Not what the library says: it quotes the URL, and so the password.
            raise ConfigError(
                "the Redis URL cannot be read: write redis://[user:password@]host:port/number, "
                "with characters such as / and @ of a password as %2F and %40"
            ) from exc
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except OSError as exc:  # an SSLError is one
                why = "no certificate in PEM form" if isinstance(exc, SSLError) else exc.strerror
                name = f"ACTR_SIGNALING__REDIS_CA_FILE={str(self.ca_file)!r}"
                raise ConfigError(f"{name}: {why}") from exc

    def connection(self) -> Any:
        """A ``Connection`` of redis-py, not yet connected, which never mends itself."""
        options: dict[str, Any] = dict(parse_url(self.url))
        kind = options.pop("connection_class", Connection)
        if self.user:
            options["username"] = self.user
        if self.password:
            options["password"] = self.password
        if self.ca_file is not None:
            options["ssl_ca_certs"] = str(self.ca_file)
        # Without a time-out of its own: redis-py writes under asyncio.wait_for, which loses a
        # cancellation in Python 3.11 (cpython#86296), and a task that cannot be ended.
        options |= {"socket_timeout": None, "socket_connect_timeout": CONNECT}
        # It says nothing of itself: that would be one command more to be allowed.
        return kind(**options, protocol=2, driver_info=None)

    def refusal(self, error: BaseException) -> str | None:
        """What to do about an error that trying again does not mend, in one sentence; else None."""
        who = f"the user {self.user!r}" if self.user else "this service"
        for one in _with_causes(error):
            if isinstance(one, NoPermissionError):
                return f"Redis does not allow {who} what it needs (docs/signaling.md): {one}"
            if isinstance(one, AuthenticationError):
                return (
                    f"Redis does not let {who} in: ACTR_SIGNALING__REDIS_USER and "
                    "ACTR_SIGNALING__REDIS_PASSWORD_FILE must be those of its access list"
                )
            if isinstance(one, SSLCertVerificationError):
                return (
                    f"the certificate of Redis is not trusted ({one.verify_message}): "
                    "ACTR_SIGNALING__REDIS_CA_FILE names the authority that signed it"
                )
        return None


def _with_causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
