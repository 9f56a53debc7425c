"""Shell: a running issuer without its web: what each request does, and what goes on beside them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.keys import KeyFiles, make_home
from actr_signaling.issuer.metrics import Metrics
from actr_signaling.issuer.protocol import proofs, requests
from actr_signaling.issuer.protocol.actors import Way
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey, signers
from actr_signaling.issuer.protocol.nonces import RANDOM_BYTES, Nonces
from actr_signaling.issuer.protocol.rates import Rate, Rates
from actr_signaling.issuer.protocol.rules import Taken, default_rules
from actr_signaling.issuer.register import access, upkeep
from actr_signaling.issuer.register.administration import Administration
from actr_signaling.issuer.register.database import Database
from actr_signaling.issuer.register.enrolments import Enrolments
from actr_signaling.issuer.register.recent import Recent
from actr_signaling.issuer.register.refusals import Refusals
from actr_signaling.issuer.register.upkeep import Limits
from actr_signaling.issuer.settings import KEYS_FOLDER, PREFIX, REGISTER_FILE, Settings
from actr_signaling.issuer.signing import Signer
from actr_signaling.issuer.watched import (
    ACCESS_FILE,
    KEYS_FILE,
    REVOKED_FILE,
    PublicFiles,
    RulesFile,
)
from actr_signaling.protocol.identity.keys import encode
from actr_signaling.secret_files import secret_lookup
from actr_signaling.tasks import Tasks

log = structlog.get_logger()

PUBLISH_SECONDS = 1.0
"""Between looks at what others have changed in the register, for the public files."""
PRUNE_SECONDS = 600.0
BEAT_SECONDS = 2.0
"""For which the register counts as writable after it was written."""


class Office:
    """An issuer; an async context manager.

    Args:
        clock: Unix seconds.
        steady: Seconds that only go on, for rates and nonces: setting the clock back must not
            keep everybody out.

    Raises:
        ConfigError: If a secret, the rules or the folder of keys cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._clock, self._steady = clock, steady
        self._secret_of = secret_lookup(
            settings.realm_secret_file, settings.realm_secrets_dir, prefix=PREFIX
        )
        default = default_rules(life=settings.life, taken=Taken(settings.taken))
        self._rules = RulesFile(settings.rules_file, life=settings.life, default=default)
        make_home(settings.home)
        self._database = Database(settings.home / REGISTER_FILE)
        self._keys = KeyFiles(settings.home / KEYS_FOLDER)
        self._signer = Signer(self._keys, settings.name)
        self._public = PublicFiles(settings.public)
        self._enrolments = Enrolments(
            self._database, self._signer.sign, max_actors=settings.max_actors, clock=clock
        )
        self._nonces = Nonces(secrets.token_bytes(32))
        self._rates = Rates(
            Rate(settings.requests_per_second, settings.requests_burst),
            Rate(settings.all_requests_per_second, settings.all_requests_burst),
        )
        self._read_rates = Rates(
            Rate(settings.reads_per_second, settings.reads_burst),
            Rate(settings.all_reads_per_second, settings.all_reads_burst),
        )
        self._refusals = Refusals(self._database, clock, steady)
        self._revocations = Recent(
            lambda: upkeep.revocations(self._database, clock()),
            steady,
            lambda: upkeep.revocations_version(self._database),
        )
        self._counts = Recent(lambda: upkeep.counts(self._database, clock()), steady)
        self._written_at = 0.0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._database)
            administration = Administration(
                self._database, self._keys, clock=self._clock, by="first start"
            )
            await administration.ensure_key()
            for key in signers(await administration.issuer_keys(), self._clock()):
                self._keys.load(key.kid)  # a key that others may read is said at once
            await self.publish()
            tasks = await stack.enter_async_context(Tasks("issuer"))
            tasks.start("publish", self._go_on_publishing())
            tasks.start("prune", self._go_on_pruning())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    def admit(self, address: str, *, reads: bool) -> None:
        """Count a request in.

        Args:
            reads: It only asks for what is public: that takes no certificate from anybody who
                shares its address, however many look there, and however often.

        Raises:
            RefusalError: If it is one too many.
        """
        (self._read_rates if reads else self._rates).take(address, self._steady())

    def nonce(self) -> tuple[bytes, float]:
        """A new nonce, and the time here."""
        nonce = self._nonces.make(secrets.token_bytes(RANDOM_BYTES), self._steady())
        return nonce, self._clock()

    async def enrol(self, body: bytes, address: str) -> str:
        """A certificate for a new key, or for one that asks again.

        Raises:
            RefusalError: With the cause.
        """
        request = requests.enrol(body)
        self._nonces.take(request.nonce, self._steady())
        proofs.check_enrol(request)
        who = f"{request.subject} in realm {request.realm}"
        try:
            if request.token is None:
                secret = self._secret_of and self._secret_of(request.realm)
                proofs.check_mac(request, secret)
            signed = await self._enrolments.enrol(request, self._rules.current(), address)
        except RefusalError as exc:
            await self._refusals.note(exc, f"enrol {who}", request.key, address)
            raise
        self.metrics.enrolled(Way.SECRET if request.token is None else Way.TOKEN)
        log.info("enrolled", subject=str(request.subject), realm=request.realm, kid=signed.kid)
        return signed.text

    async def renew(self, body: bytes, address: str) -> str:
        """Another certificate for an enrolled key.

        Raises:
            RefusalError: Likewise.
        """
        request = requests.renew(body)
        self._nonces.take(request.nonce, self._steady())
        proofs.check_renew(request)
        try:
            signed = await self._enrolments.renew(request, self._rules.current(), address)
        except RefusalError as exc:
            await self._refusals.note(exc, "renew", request.key, address)
            raise
        self.metrics.renewed()
        return signed.text

    async def rotate(self, body: bytes, address: str) -> str:
        """A certificate for a new key in the place of an enrolled one.

        Raises:
            RefusalError: Likewise.
        """
        request = requests.rotate(body)
        self._nonces.take(request.nonce, self._steady())
        proofs.check_rotate(request)
        try:
            signed = await self._enrolments.rotate(request, self._rules.current(), address)
        except RefusalError as exc:
            await self._refusals.note(exc, "rotate", request.key, address)
            raise
        self.metrics.enrolled(Way.KEY)
        log.info("rotated", key=encode(request.key), new=encode(request.new_key))
        return signed.text

    async def public_keys(self) -> dict[str, object]:
        return await upkeep.public_keys(self._database, self._clock())

    async def revocations(self) -> dict[str, object]:
        return await self._revocations.get()

    async def access(self) -> dict[str, object]:
        """The access rules of now, signed.

        Raises:
            RefusalError: If there is no key to sign with.
        """
        now, kept = self._clock(), await access.kept(self._database)
        return {"access": self._signer.access(kept, await self._signers(now), now)}

    async def counted(self) -> bytes:
        """The metrics' page."""
        return self.metrics.show(await self._counts.get())

    async def check(self) -> None:
        """See that a certificate could be given now.

        Raises:
            RefusalError: If the register cannot be written, or there is no key to sign with.
        """
        now = self._clock()
        if not 0 <= now - self._written_at < BEAT_SECONDS:
            await upkeep.beat(self._database, now)
            self._written_at = now
        self._signer.key(await self._signers(now))

    async def publish(self) -> None:
        """Write the public files, where they are not as the register says.

        Raises:
            ConfigError: If they cannot be written.
            RefusalError: If the register cannot be read.
        """
        self._public.write(KEYS_FILE, await self.public_keys())
        self._public.write(REVOKED_FILE, await self.revocations())
        self._public.write(ACCESS_FILE, await self.access())

    async def _signers(self, now: float) -> list[IssuerKey]:
        administration = Administration(self._database, self._keys, clock=self._clock)
        return signers(await administration.issuer_keys(), now)

    async def _go_on_publishing(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            try:
                await self.publish()
            except (ConfigError, RefusalError) as exc:
                log.error("public files are behind", cause=str(exc))

    async def _go_on_pruning(self) -> None:
        settings = self.settings
        limits = Limits(
            forget_days=settings.forget_days,
            audit_days=settings.audit_days,
            audit_rows=settings.audit_rows,
        )
        while True:
            try:
                await upkeep.prune(self._database, self._keys, limits, self._clock())
            except RefusalError as exc:
                log.error("register not pruned", cause=str(exc))
            await asyncio.sleep(PRUNE_SECONDS)
