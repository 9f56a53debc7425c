"""What a node has heard of contracts that are not its own: of which method of whom.

A call carries the number of its method's contract. A callee that has another one refuses it before
it is kept or run, and tells its own: then it is decided here, once for each method and remote,
whether the two understand each other. They nearly always do, for most changes add something; then
the call is made again with no number, and so are all later ones.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.contracts.refusals import is_refusal, why_not
from actr_peer.service import Method

MAX_HELD: Final = 4096
"""Methods of remotes that are remembered; the oldest is found out anew."""


class Contracts:
    """Methods of remotes whose contract is another one than here; owned by the node."""

    def __init__(self) -> None:
        self._other: OrderedDict[tuple[ActrId, int], CallError | None] = OrderedDict()
        """Why a method with this number of its contract cannot be called; None: it can."""

    def __len__(self) -> int:
        return len(self._other)

    def number(self, remote: ActrId, method: Method[Any, Any]) -> int:
        """What a call of ``method`` carries; 0: both sides are known to understand each other.

        Raises:
            CallError: FAILED_PRECONDITION, if they are known not to.
        """
        number = method.contract
        if not self._other or (remote, number) not in self._other:  # nearly always
            return number
        known = self._other[remote, number]
        if known is not None:
            raise _again(known)
        return 0

    def check(self, remote: ActrId, method: Method[Any, Any]) -> None:
        """Refuse what is sent without being compared, if both sides are known to differ.

        Raises:
            CallError: FAILED_PRECONDITION.
        """
        if self._other:
            self.number(remote, method)

    def settle(
        self, remote: ActrId, method: Method[Any, Any], number: int, error: CallError
    ) -> bool:
        """Decide about an error of a call that carried ``number``.

        Returns:
            Whether the call is to be made again, without a number; False: it is another error.

        Raises:
            CallError: FAILED_PRECONDITION, if the two sides do not understand each other.
        """
        if not number or not is_refusal(error):
            return False
        why = why_not(method.form, error)
        found = None if why is None else _differs(remote, method.route_key, why)
        self._other[remote, number] = found
        if len(self._other) > MAX_HELD:
            self._other.popitem(last=False)
        if found is not None:
            raise found from error
        return True

    def forget(self, remote: ActrId) -> None:
        """Another process may be there, with another contract."""
        for key in [key for key in self._other if key[0] == remote]:
            del self._other[key]


def _differs(remote: ActrId, route_key: str, why: str) -> CallError:
    return CallError(
        Code.FAILED_PRECONDITION,
        f"{route_key} has another contract at {remote}: {why}; generate both sides from one .proto "
        "(actr describe, actr proto check)",
    )


def _again(error: CallError) -> CallError:
    """Each call has an error of its own: a traceback grows with each time that it is raised."""
    return CallError(error.code, error.message)
