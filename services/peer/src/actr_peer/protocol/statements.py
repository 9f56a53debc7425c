"""Sans-I/O: which SQL a handler's transaction may hold.

The workload's tables live in the mailbox's file, so that an effect and the completion of its
request are one transaction. The mailbox's own tables, and the transaction itself, are not the
workload's to touch.
"""

from __future__ import annotations

import re

from actr_peer.errors import LocalProtocolError

ALLOWED = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES", "CREATE", "DROP", "ALTER"}
)
"""First words of statements."""
_FIRST = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
# OR ROLLBACK and RAISE(ROLLBACK) would end the transaction that others share.
_FORBIDDEN = re.compile(r"\bactr_|\brollback\b", re.IGNORECASE)
_checked: set[str] = set()
_MAX_CHECKED = 1024


def check_statement(sql: str) -> None:
    """Refuse what does not belong into a handler's transaction.

    Values belong into parameters: a literal that looks like one of the forbidden words is
    refused too.

    Raises:
        LocalProtocolError: If ``sql`` starts with another word than those of :data:`ALLOWED`,
            names a table that starts with ``actr_``, or rolls back.
    """
    if sql in _checked:
        return
    first = _FIRST.match(sql)
    word = first[1].upper() if first else ""
    if word not in ALLOWED:
        raise LocalProtocolError(
            f"a transaction takes no {word or 'empty'} statement; it takes "
            f"{', '.join(sorted(ALLOWED))}"
        )
    if found := _FORBIDDEN.search(sql):
        raise LocalProtocolError(
            f"{found[0]!r} is not allowed in a transaction's SQL: actr_ tables are the "
            "mailbox's own, and others share the transaction; pass values as parameters"
        )
    if len(_checked) >= _MAX_CHECKED:
        _checked.clear()
    _checked.add(sql)
