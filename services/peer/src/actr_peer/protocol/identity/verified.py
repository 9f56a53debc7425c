"""Sans-I/O: certificates whose signature has been checked: once is enough, for it does not change.

What does change is looked at each time: the time, the issuer keys that are believed, and what was
revoked. Nothing is remembered that was refused: a stranger can fill nothing here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from actr_peer.protocol.identity.certificates import Certificate, check_signature, hold_to_time
from actr_peer.protocol.identity.revoked import Revoked

MAX_REMEMBERED_BYTES = 4 * 1024 * 1024
"""Of the texts of certificates: some 6,000 of the usual length. The one that was asked for the
longest ago is forgotten first."""


class _Checked(NamedTuple):
    certificate: Certificate
    name: str
    """Of the issuer key that has signed it."""
    public: bytes
    """That key."""


class Verified:
    """Believes certificates, and remembers whose signature was good.

    Args:
        most: Bytes of certificates that are remembered.
    """

    def __init__(self, most: int = MAX_REMEMBERED_BYTES) -> None:
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()
        self._most, self._bytes = most, 0

    def __len__(self) -> int:
        return len(self._checked)

    def verify(
        self, data: bytes, keys: Mapping[str, bytes], revoked: Revoked, *, now: float
    ) -> Certificate:
        """Check a certificate that came from elsewhere.

        Args:
            data: Its text, as ASCII.
            keys: Raw public keys of the issuers that are believed, by their names.
            now: Unix seconds.

        Raises:
            CertificateError: With what is wrong; nothing else.
        """
        found = self._checked.get(data)
        if found is None or keys.get(found.name) != found.public:
            certificate, name = check_signature(data, keys)
            self._remember(data, _Checked(certificate, name, keys[name]))
        else:
            certificate = found.certificate
            self._checked.move_to_end(data)
        hold_to_time(certificate, now)
        revoked.refuse(certificate)
        return certificate

    def _remember(self, data: bytes, checked: _Checked) -> None:
        # It is not there: of one text with one key's name no second key's signature is good.
        self._bytes += len(data)
        self._checked[data] = checked
        while self._bytes > self._most:
            oldest, _ = self._checked.popitem(last=False)
            self._bytes -= len(oldest)
