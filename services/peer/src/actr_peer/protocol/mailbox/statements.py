"""Sans-I/O: which SQL a handler's transaction may hold.

The workload's tables live in the mailbox's file, so that an effect and the completion of its
request are one transaction. The mailbox's own tables, and the transaction itself, are not the
workload's to touch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from actr_peer.errors import LimitError, LocalProtocolError

ALLOWED = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES", "CREATE", "DROP", "ALTER"}
)
"""First words of statements."""
_FIRST = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
# OR ROLLBACK and RAISE(ROLLBACK) would end the transaction that others share.
_FORBIDDEN = re.compile(r"\bactr_|\brollback\b", re.IGNORECASE)
MAX_PARAMETERS = 32_766
"""Of one statement (sqlite.org/limits.html)."""
MAX_VALUE_BYTES = 1_000_000_000
"""Of one text or blob (sqlite.org/limits.html)."""
PLAIN = frozenset({int, float, str, bytes, type(None), bool})
"""Types whose values SQLite takes as they are."""
_checked: set[str] = set()
_MAX_CHECKED = 1024


def check_statement(sql: str) -> None:
    """Refuse what does not belong into a handler's transaction.

    Values belong into parameters: a literal that looks like one of the forbidden words is
    refused too.

    Raises:
        LocalProtocolError: If ``sql`` starts with another word than those of :data:`ALLOWED`,
            names a table that starts with ``actr_``, rolls back, or is no text for SQLite.
    """
    if sql in _checked:
        return
    if "\0" in sql or not _is_unicode(sql):
        raise LocalProtocolError("a statement has a NUL or half of a surrogate pair in it")
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


def check_parameters(parameters: Sequence[Any]) -> None:
    """Refuse what SQLite could not take, of values whose types are in :data:`PLAIN`.

    A field of a request may hold any of it: a ``uint64`` above 2⁶³−1, for one.

    Raises:
        LocalProtocolError: If a number has more than 64 bits with its sign, a text is no
            Unicode, or a value has a type that is not plain.
        LimitError: If there are too many, or one is too long.
    """
    if len(parameters) > MAX_PARAMETERS:
        raise LimitError("parameters of a statement", limit=MAX_PARAMETERS, asked=len(parameters))
    for index, value in enumerate(parameters, 1):
        kind = type(value)
        if kind is int:
            if not -(1 << 63) <= value < 1 << 63:
                raise LocalProtocolError(
                    f"parameter {index}: a number of {value.bit_length()} bits; SQLite's have 63 "
                    "and a sign: store it as text, as a blob, or modulo 2**64"
                )
        elif kind is str:
            if not value.isascii() and not _is_unicode(value):
                raise LocalProtocolError(f"parameter {index}: half of a surrogate pair")
            _check_length(len(value))
        elif kind is bytes:
            _check_length(len(value))
        elif kind not in PLAIN:
            raise LocalProtocolError(
                f"parameter {index}: SQLite takes numbers, texts, bytes and None, "
                f"not {kind.__name__}"
            )


def _check_length(length: int) -> None:
    if length > MAX_VALUE_BYTES:
        raise LimitError("bytes of a parameter", limit=MAX_VALUE_BYTES, asked=length)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
