"""What a node has heard of contracts that are not its own: of which method of whom.

A call carries the number of its method's contract. A callee that has another one refuses it before
it is kept or run, and tells its own: then it is decided here, once for each method and remote,
whether the two understand each other. They nearly always do, for most changes add something; then
the call is made again with the callee's number, and so are all later ones. So a callee that comes
back with yet another contract refuses those too, also the ones that were on their way.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.contracts.refusals import compared, is_refusal
from actr_peer.service import Method

MAX_HELD: Final = 4096
"""Methods of remotes that are remembered; the oldest is found out anew."""
MAX_REFUSALS: Final = 4
"""Of one call; a callee may come back with another contract meanwhile, but not for ever."""


class DiffersError(CallError):
    """The two sides do not understand each other: the call was neither kept nor run."""


class Contracts:
    """Methods of remotes whose contract is another one than here; owned by the node."""

    def __init__(self) -> None:
        self._other: OrderedDict[tuple[ActrId, int], int | str] = OrderedDict()
        """The remote's own number of a method that has this number here; or why it cannot be
        called. No error is kept, for one keeps the frames in which it was raised."""

    def __len__(self) -> int:
        return len(self._other)

    def number(self, remote: ActrId, method: Method[Any, Any]) -> int:
        """What a call of ``method`` carries.

        Raises:
            CallError: FAILED_PRECONDITION, if the two are known not to understand each other.
        """
        number = method.contract
        if not self._other or (remote, number) not in self._other:  # nearly always
            return number
        known = self._other[remote, number]
        if isinstance(known, str):
            raise differs(remote, method.route_key, known)
        return known

    def agree(self, remote: ActrId, method: Method[Any, Any]) -> Agreement:
        """The contract of one call that is made now.

        Raises:
            CallError: As :meth:`number`.
        """
        return Agreement(self, remote, method, self.number(remote, method))

    def learn(self, remote: ActrId, method: Method[Any, Any], error: CallError) -> int:
        """Take a refusal; return the number with which to call.

        Raises:
            CallError: FAILED_PRECONDITION, if the two sides do not understand each other.
        """
        number, why = compared(method.form, error)
        self._other[remote, method.contract] = number if why is None else why
        if len(self._other) > MAX_HELD:
            self._other.popitem(last=False)
        if why is not None:
            raise differs(remote, method.route_key, why) from error
        return number

    def forget(self, remote: ActrId) -> None:
        """Another process may be there, with another contract."""
        for key in [key for key in self._other if key[0] == remote]:
            del self._other[key]


class Agreement:
    """What one call says of its contract, and what becomes of a refusal.

    Attributes:
        number: What the call carries.
        is_taken: The callee has taken the call: whatever ends it now is no refusal.
    """

    __slots__ = ("_contracts", "_method", "_refusals", "_remote", "is_taken", "number")

    def __init__(
        self, contracts: Contracts, remote: ActrId, method: Method[Any, Any], number: int
    ) -> None:
        self.number = number
        self.is_taken = False
        self._contracts = contracts
        self._remote = remote
        self._method = method
        self._refusals = 0

    def renew(self, error: CallError) -> bool:
        """Whether the call is to be made again, for another contract was all that was wrong.

        Raises:
            CallError: FAILED_PRECONDITION, if the two sides do not understand each other.
        """
        if self.is_taken or not is_refusal(error):
            return False
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            why = "it refuses also the one that it tells"
            raise differs(self._remote, self._method.route_key, why) from error
        self.number = self._contracts.learn(self._remote, self._method, error)
        return True


def differs(remote: ActrId, route_key: str, why: str) -> DiffersError:
    return DiffersError(
        Code.FAILED_PRECONDITION,
        f"{route_key} has another contract at {remote}: {why}; generate both sides from one .proto "
        "(actr describe, actr proto check)",
    )
