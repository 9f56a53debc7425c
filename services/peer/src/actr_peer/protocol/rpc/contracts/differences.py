"""Whether two forms of one method understand each other, and if not, in what they differ.

The rules are protobuf's own ("Updating A Message Type"): fields are known by their numbers, names
do not travel, and what one side does not know it passes over. So what was added on either side is
fine; a difference is one where a side would read something else than the other wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from actr_peer.protocol.rpc.contracts.fields import share_form

MAX_FIELDS: Final = 96 * 1024
"""Fields that are looked at, over all pairs of messages, so that no far side can make this take
long: about as many as two forms of the greatest length have."""

Form = Mapping[str, Any]
"""The canonical form of a service with one method, read as JSON."""


class _Method(NamedTuple):
    name: str
    kind: str
    payload_type: str
    request: str
    reply: str


class _Field(NamedTuple):
    number: int
    name: str
    cardinality: str
    type: str
    oneof: str | None

    @property
    def message(self) -> str:
        """The full name of the message that it holds; empty: it holds none."""
        return self.type.partition(" ")[2] if self.form in ("message", "group") else ""

    @property
    def form(self) -> str:
        """Its type without the name of what it holds."""
        return self.type.partition(" ")[0]


def difference(own: Form, theirs: Form) -> str | None:
    """What keeps a caller of ``own`` from being understood by ``theirs``; None: nothing does.

    Raises:
        LookupError, TypeError, ValueError: If one is no form of one method, or they are of two.
    """
    (here,), (there,) = own["methods"], theirs["methods"]
    if (own["service"], here[0]) != (theirs["service"], there[0]):
        raise ValueError("of another method")
    ours, others = _Method(*here), _Method(*there)
    for mine, other in ((ours.kind, others.kind), (ours.payload_type, others.payload_type)):
        if mine != other:
            return f"it is {other} there and {mine} here"
    asked = _between(own, ours.request, theirs, others.request)
    answered = _between(theirs, others.reply, own, ours.reply)
    return next(asked, None) or next(answered, None)


def _between(writing: Form, written: str, reading: Form, read: str) -> Iterator[str]:
    """What the reader of a message does not read as it was written, at any depth."""
    seen = {(written, read)}
    waiting = [(written, read)]
    looked_at = 0
    while waiting:
        name, other = waiting.pop()
        looked_at += len(writing["messages"][name]) + len(reading["messages"][other]) + 1
        if looked_at > MAX_FIELDS:
            raise ValueError("more fields than a method can have")
        ours, others = _fields(writing, name), _fields(reading, other)
        for number, field in others.items():
            if field.cardinality == "required" and number not in ours:
                yield f"{other}.{field.name} is required by one side and unknown to the other"
        common = ours.keys() & others.keys()
        for number in sorted(common):
            field, counterpart = ours[number], others[number]
            if (found := _unlike(name, field, counterpart)) is not None:
                yield found
            pair = field.message, counterpart.message
            if all(pair) and pair not in seen:
                seen.add(pair)
                waiting.append(pair)
        mates, counterparts = _mates(ours, common), _mates(others, common)
        for number in sorted(common):
            if mates.get(number) != counterparts.get(number):
                yield f"{name}.{ours[number].name} shares a oneof with others on one side only"


def _unlike(message: str, one: _Field, other: _Field) -> str | None:
    """Why one side would not read this field as the other wrote it."""
    where = f"field {one.number} of {message}"
    is_one = (one.cardinality == "repeated") == (other.cardinality == "repeated")
    if is_one and share_form(one.form, other.form):
        return None
    return f"{where} is {_said(one)} on one side and {_said(other)} on the other"


def _said(field: _Field) -> str:
    prefix = "" if field.cardinality == "single" else f"{field.cardinality} "
    return f"{prefix}{field.type} {field.name}"


def _fields(form: Form, message: str) -> dict[int, _Field]:
    return {number: _Field(number, *rest) for number, *rest in form["messages"][message]}


def _mates(fields: Mapping[int, _Field], common: set[int]) -> dict[int, int]:
    """Of each field of ``common`` that shares a oneof with another of them, the first that does."""
    first: dict[str, int] = {}
    found: dict[int, int] = {}
    for number in sorted(common):
        oneof = fields[number].oneof
        if oneof is None:
            continue
        if oneof in first:
            found[number] = found[first[oneof]] = first[oneof]
        else:
            first[oneof] = number
    return found
