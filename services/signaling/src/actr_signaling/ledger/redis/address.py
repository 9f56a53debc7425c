"""Where Redis is, as whom this service comes to it, and whose certificate it takes there.

Where it is several servers, the URL names who is asked for the one to write to: Sentinels, or nodes
of a Cluster (:mod:`actr_signaling.ledger.redis.places`).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from ssl import SSLCertVerificationError, SSLError
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import AuthenticationError, NoPermissionError

from actr_signaling.errors import ConfigError

CONNECT = 2.0
"""Seconds for a connection."""


class Form(Enum):
    """What answers for the store."""

    SINGLE = auto()
    SENTINEL = auto()
    CLUSTER = auto()


_SEVERAL = {"+sentinel": (Form.SENTINEL, 26379), "+cluster": (Form.CLUSTER, 6379)}
"""By the end of a scheme: what it is, and its usual port."""
_SHAPES = {
    Form.SINGLE: "redis://[user:password@]host:port/number",
    Form.SENTINEL: "redis+sentinel://[user:password@]host:port,host:port/NAME, the name that the "
    "Sentinels know the primary by",
    Form.CLUSTER: "redis+cluster://[user:password@]host:port,host:port",
}
MAX_NODES = 64
"""In one URL."""


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis and how to come in.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``; several servers have ``+sentinel`` or
            ``+cluster`` in the scheme and commas between them.
        user: Of Redis' access list; empty: the one in ``url``, or ``default``.
        password: Empty: the one in ``url``, or none.
        ca_file: Who signs the certificate of Redis; None: whom this machine trusts.
        sentinel_user: Of the Sentinels' own access list.
        sentinel_password: Of the Sentinels; empty: none.
        server: Host and port in place of those in ``url``.
        is_sentinel: Whether a Sentinel is there.
    """

    url: str = field(repr=False)  # a password may be in it
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)
    server: tuple[str, int] | None = None
    is_sentinel: bool = False

    @property
    def form(self) -> Form:
        return self._several[0]

    @property
    def name(self) -> str:
        """By which Sentinels know the primary."""
        return self._after_hosts.partition("/")[0]

    @property
    def asked(self) -> tuple[Address, ...]:
        """Who is asked for the server to write to: each Sentinel, or each node that is named.

        Raises:
            ValueError: If the URL names none, or one that cannot be read.
        """
        hosts = self._authority.rpartition("@")[2].split(",")
        if len(hosts) > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} servers")
        servers = [_server(host, self._several[1]) for host in hosts]
        if self.form is Form.CLUSTER:
            return tuple(self.at(*server) for server in servers)
        sentinel = Address(
            f"{self._scheme}://sentinel",
            self.sentinel_user,
            self.sentinel_password,
            self.ca_file,
            is_sentinel=True,
        )
        return tuple(replace(sentinel, server=server) for server in servers)

    def at(self, host: str, port: int) -> Address:
        """One server of several, with the same user, password, database and authority."""
        userinfo, at_sign, _ = self._authority.rpartition("@")
        number = "0" if self.form is Form.CLUSTER else self._after_hosts.partition("/")[2]
        return Address(
            f"{self._scheme}://{userinfo}{at_sign}server/{number}",
            self.user,
            self.password,
            self.ca_file,
            server=(host, port),
        )

    def tagged(self, prefix: str) -> str:
        """The prefix of keys and channels: in a Cluster a hash tag, so that all are in one slot."""
        return f"{{{prefix}}}" if self.form is Form.CLUSTER else prefix

    @property
    def _several(self) -> tuple[Form, int]:
        scheme = self.url.partition("://")[0]
        for end, several in _SEVERAL.items():
            if scheme.endswith(end):
                return several
        return Form.SINGLE, 6379

    @property
    def _scheme(self) -> str:
        return self.url.partition("+")[0]

    @property
    def _authority(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def _after_hosts(self) -> str:
        return self.url.partition("://")[2].partition("/")[2]

    def check(self) -> None:
        """See whether it can be used at all; nothing is connected.

        Raises:
            ConfigError: If the URL or the file of the authority cannot be read.
        """
        try:
            self._try()
        except (ValueError, TypeError) as exc:
            # Not what the library says: it quotes the URL, and so the password.
            raise ConfigError(
                f"the Redis URL cannot be read: write {_SHAPES[self.form]}, "
                "with characters such as / and @ of a password as %2F and %40"
            ) from exc
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=self.ca_file)
            except OSError as exc:  # an SSLError is one
                why = "no certificate in PEM form" if isinstance(exc, SSLError) else exc.strerror
                name = f"ACTR_SIGNALING__REDIS_CA_FILE={str(self.ca_file)!r}"
                raise ConfigError(f"{name}: {why}") from exc

    def _try(self) -> None:
        if self.form is Form.SINGLE:
            self.connection()
            return
        for server in (*self.asked, self.at("server", 6379)):
            server.connection()
        name, _, number = self._after_hosts.partition("/")
        if self.form is Form.SENTINEL and not (name and (number or "0").isdecimal()):
            raise ValueError("no name, or no number after it")
        if self.form is Form.CLUSTER and self._after_hosts not in ("", "0"):
            raise ValueError("a Cluster has no databases with numbers")

    def connection(self) -> Any:
        """A ``Connection`` of redis-py, not yet connected, which never mends itself."""
        options: dict[str, Any] = dict(parse_url(self.url))
        kind = options.pop("connection_class", Connection)
        if self.server is not None:
            options["host"], options["port"] = self.server
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
        what, variables = (
            ("Redis", "REDIS") if not self.is_sentinel else ("Sentinel", "REDIS_SENTINEL")
        )
        for one in _with_causes(error):
            if isinstance(one, NoPermissionError):
                return f"{what} does not allow {who} what it needs (docs/signaling.md): {one}"
            if isinstance(one, AuthenticationError):
                return (
                    f"{what} does not let {who} in: ACTR_SIGNALING__{variables}_USER and "
                    f"ACTR_SIGNALING__{variables}_PASSWORD_FILE must be those of its access list"
                )
            if isinstance(one, SSLCertVerificationError):
                return (
                    f"the certificate of {what} is not trusted ({one.verify_message}): "
                    "ACTR_SIGNALING__REDIS_CA_FILE names the authority that signed it"
                )
        return None


def _server(text: str, usual_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError("no host")
    return parts.hostname, parts.port or usual_port


def _with_causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
