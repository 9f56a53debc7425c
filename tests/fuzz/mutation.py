"""Inputs out of other inputs: bytes, and the forms in which bytes mean something.

A change of plain bytes mostly ends at the first gate: a length that is wrong, a text that is no
JSON. So what is known to be protobuf, JSON, lines of text or a series of messages is taken apart,
changed there and written again; plain changes come besides. All chance is the caller's: the same
dice give the same input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from random import Random
from typing import Any, ClassVar

MAX_FIELDS = 64
"""Of one message that is taken apart; more are left as they are."""
MAX_DEPTH = 8


class Form(Enum):
    """What an input is, besides bytes."""

    PROTOBUF = auto()
    JSON = auto()
    LINES = auto()
    """Lines with CRLF or LF, each maybe ``name: value`` or ``name=value``."""
    SERIES = auto()
    """Messages one after the other, each behind its length in two bytes (:func:`series`)."""
    TEXT = auto()
    """One word or address, of parts with marks between them."""


NUMBERS: tuple[int, ...] = (
    0,
    1,
    2,
    7,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    1023,
    4095,
    32767,
    32768,
    65535,
    65536,
)
NUMBERS += (2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS += (0x7F800000, 0xFF800000, 0x7FC00000)  # as 32 bits: infinities, and no number
TEXTS: tuple[str, ...] = (
    "",
    "*",
    "a" * 63,
    "a" * 64,
    "a" * 257,
    "0",
    "-1",
    "1e999",
    "\0",
    "\r\n",
    "\ud800",
    "ä",
)
TEXTS += ("９", "::", "@", "..", "acme:room@2", "\u2028", "\x1c", "%00", "[::1]", "255.255.255.255")
TREES: tuple[Any, ...] = (None, True, False, 0, -1, 2**53, 2**64, 1.5, float("nan"), float("inf"))
TREES += (*TEXTS, [], {}, [[]], [{}], {"": None}, "1" * 40)


def series(messages: Sequence[bytes]) -> bytes:
    """Several messages as one input."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in messages)


def apart(data: bytes) -> list[bytes]:
    """The messages of a series; the last one may be cut short."""
    found, at = [], 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return found


class Mutator:
    """Makes inputs.

    Args:
        dice: All of its chance.
        forms: Of the inputs, the outer one first; within a series the others are each message's.
        tokens: Words of the format that chance would not find.
        most: Bytes of an input.
    """

    def __init__(
        self,
        dice: Random,
        forms: Sequence[Form] = (),
        tokens: Sequence[bytes] = (),
        most: int = 4096,
    ) -> None:
        self._dice = dice
        self._forms = tuple(forms)
        self._tokens = tuple(tokens) or (b"\0", b"\xff" * 8)
        self._most = most

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """An input like ``data``, with one to four changes, some of them out of ``other``."""
        dice = self._dice
        for _ in range(dice.choice((1, 1, 1, 2, 2, 4))):
            data = self._once(data, other, self._forms)
        return data[: self._most]

    def _once(self, data: bytes, other: bytes, forms: tuple[Form, ...]) -> bytes:
        if forms and self._dice.random() < 0.7:
            form = forms[0] if forms[0] is Form.SERIES else self._dice.choice(forms)
            changed = self._FORMS[form](self, data, other)
            if changed is not None:
                return changed
        return self._bytes(data, other)

    # Plain bytes

    def _bytes(self, data: bytes, other: bytes) -> bytes:
        dice = self._dice
        at = dice.randrange(len(data) + 1)
        if dice.random() < 0.4:
            return self._known_bytes(data, other, at)
        until = min(len(data), at + dice.choice((1, 1, 2, 4, 8, 32)))
        match dice.randrange(6):
            case 0:
                return data[:at] + data[until:]
            case 1:
                return data[:at] + dice.randbytes(until - at or 1) + data[until:]
            case 2:
                return data[:at] + dice.randbytes(dice.choice((1, 2, 8))) + data[at:]
            case 3:
                return data[:until] + data[at:until] * dice.choice((1, 2, 16, 200)) + data[until:]
            case 4:
                return data[:at]
            case _:
                changed = bytes([data[at] ^ 1 << dice.randrange(8)]) if at < len(data) else b"\0"
                return data[:at] + changed + data[at + 1 :]

    def _known_bytes(self, data: bytes, other: bytes, at: int) -> bytes:
        """Words of the format, numbers on whose edge something ends, parts of another input."""
        dice = self._dice
        match dice.randrange(4):
            case 0:
                token = dice.choice(self._tokens)
                return data[:at] + token + data[at + len(token) :]
            case 1:
                return data[:at] + dice.choice(self._tokens) + data[at:]
            case 2:
                width = dice.choice((1, 2, 4, 8))
                number = dice.choice(NUMBERS) & (1 << 8 * width) - 1
                return data[:at] + number.to_bytes(width, "big") + data[at + width :]
            case _:
                start = dice.randrange(len(other) + 1)
                piece = other[start : start + dice.choice((4, 32, 512))]
                return data[:at] + piece + data[at + dice.choice((0, len(piece))) :]

    # Protobuf

    def _protobuf(self, data: bytes, other: bytes) -> bytes | None:
        return self._message(data, other, 0)

    def _message(self, data: bytes, other: bytes, depth: int) -> bytes | None:
        fields = read_fields(data)
        if fields is None:
            return None
        dice = self._dice
        if not fields or dice.random() < 0.1:
            fields.insert(dice.randrange(len(fields) + 1), self._field())
            return write_fields(fields)
        at = dice.randrange(len(fields))
        number, kind, value = fields[at]
        match dice.randrange(8):
            case 0:
                del fields[at]
            case 1:
                fields[at:at] = [fields[at]] * dice.choice((1, 2, 65))
            case 2:
                fields.append(fields.pop(at))
            case 3:
                fields[at] = (dice.choice((number + 1, dice.randrange(1, 20))), kind, value)
            case 4 if (theirs := read_fields(other)) is not None and theirs:
                fields[at] = dice.choice(theirs)
            case _:
                fields[at] = (number, kind, self._value(kind, value, other, depth))
        return write_fields(fields)

    def _field(self) -> tuple[int, int, int | bytes]:
        number, kind = self._dice.randrange(1, 20), self._dice.choice((0, 1, 2, 5))
        return number, kind, self._value(kind, b"" if kind == 2 else 0, b"", MAX_DEPTH)

    def _value(self, kind: int, value: int | bytes, other: bytes, depth: int) -> int | bytes:
        dice = self._dice
        if isinstance(value, int):
            if dice.random() < 0.5:
                return value ^ 1 << dice.randrange(64)
            return dice.choice(NUMBERS) if kind else dice.choice(NUMBERS) % 2**64
        if depth < MAX_DEPTH and value and dice.random() < 0.6:
            changed = self._message(value, other, depth + 1)
            if changed is not None:
                return changed
        if dice.random() < 0.4:
            return dice.choice(TEXTS).encode(errors="surrogatepass")
        return self._bytes(value, other)

    # JSON

    def _json(self, data: bytes, other: bytes) -> bytes | None:
        try:
            tree = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if self._dice.random() < 0.03:
            return b"[" * 3000 + data
        try:
            changed = self._tree(tree, 0)
            return json.dumps(changed, separators=(",", ":")).encode()
        except (ValueError, RecursionError):
            return None

    def _tree(self, tree: Any, depth: int) -> Any:
        dice = self._dice
        if depth < MAX_DEPTH and tree and isinstance(tree, dict | list) and dice.random() < 0.85:
            if isinstance(tree, list):
                return self._list(tree, depth)
            name = dice.choice(list(tree))
            match dice.randrange(6):
                case 0:
                    return {key: value for key, value in tree.items() if key != name}
                case 1:
                    return {**tree, dice.choice(TEXTS): tree[name]}
                case _:
                    return {**tree, name: self._tree(tree[name], depth + 1)}
        if isinstance(tree, str) and dice.random() < 0.5:
            return self._bytes(tree.encode(errors="replace"), b"").decode(errors="replace")
        if isinstance(tree, int) and dice.random() < 0.5:
            return dice.choice(NUMBERS) * dice.choice((1, -1))
        return dice.choice(TREES)

    def _list(self, tree: list[Any], depth: int) -> list[Any]:
        dice = self._dice
        at = dice.randrange(len(tree))
        match dice.randrange(4):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[:at] + [tree[at]] * dice.choice((2, 40)) + tree[at + 1 :]
            case _:
                return [*tree[:at], self._tree(tree[at], depth + 1), *tree[at + 1 :]]

    # Lines

    def _lines(self, data: bytes, other: bytes) -> bytes | None:
        end = b"\r\n" if b"\r\n" in data else b"\n"
        lines, theirs = data.split(end), other.split(end)
        dice = self._dice
        at = dice.randrange(len(lines))
        match dice.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines[at:at] = [lines[at]] * dice.choice((1, 1, 2, 17, 120))
            case 2:
                lines.append(lines.pop(at))
            case 3:
                lines[at:at] = [dice.choice(theirs)]
            case 4:
                lines[at:at] = [dice.choice(self._tokens)]
            case _:
                lines[at] = self._line(lines[at], other)
        return end.join(lines)

    def _line(self, line: bytes, other: bytes) -> bytes:
        dice = self._dice
        mark = b" " if dice.random() < 0.5 else b":"
        parts = line.split(mark)
        if dice.random() < 0.3:
            return self._bytes(line, other)
        parts[dice.randrange(len(parts))] = self._word()
        return mark.join(parts)

    def _text(self, data: bytes, other: bytes) -> bytes | None:
        mark = self._dice.choice((b":", b"@", b"/", b".", b"[", b" "))
        return self._line(data.replace(mark, b":"), other).replace(b":", mark)

    def _word(self) -> bytes:
        dice = self._dice
        match dice.randrange(3):
            case 0:
                return dice.choice(self._tokens)
            case 1:
                return str(dice.choice(NUMBERS)).encode()
            case _:
                return dice.choice(TEXTS).encode(errors="surrogatepass")

    # Series

    def _series(self, data: bytes, other: bytes) -> bytes | None:
        dice = self._dice
        messages, theirs = apart(data), apart(other)
        if not messages:
            return None
        at = dice.randrange(len(messages))
        match dice.randrange(8):
            case 0:
                del messages[at]
            case 1:
                messages[at:at] = [messages[at]] * dice.choice((1, 1, 40))
            case 2:
                messages.append(messages.pop(at))
            case 3 if theirs:
                messages[at:at] = [dice.choice(theirs)]
            case _:
                within = dice.choice(theirs) if theirs else b""
                changed = self._once(messages[at], within, self._forms[1:])
                messages[at] = changed[: 2**16 - 1]
        return series(messages)

    _FORMS: ClassVar[Mapping[Form, Callable[[Mutator, bytes, bytes], bytes | None]]] = {
        Form.PROTOBUF: _protobuf,
        Form.JSON: _json,
        Form.LINES: _lines,
        Form.SERIES: _series,
        Form.TEXT: _text,
    }


def read_fields(data: bytes) -> list[tuple[int, int, int | bytes]] | None:
    """Number, kind and value of each field of a message; None: it is none, or a long one."""
    found: list[tuple[int, int, int | bytes]] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            value: int | bytes
            match tag & 7:
                case 0:
                    value, at = _varint(data, at)
                case 1 | 5 as kind:
                    size = 8 if kind == 1 else 4
                    value, at = int.from_bytes(data[at : at + size], "little"), at + size
                case 2:
                    size, at = _varint(data, at)
                    value, at = data[at : at + size], at + size
                case _:
                    return None
            if not tag >> 3 or at > len(data) or len(found) >= MAX_FIELDS:
                return None
            found.append((tag >> 3, tag & 7, value))
    except IndexError:
        return None
    return found


def write_fields(fields: Sequence[tuple[int, int, int | bytes]]) -> bytes:
    """The message of these fields."""
    written = bytearray()
    for number, kind, value in fields:
        written += _packed(number << 3 | kind)
        if isinstance(value, bytes):
            written += _packed(len(value)) + value
        elif kind == 0:
            written += _packed(value)
        else:
            size = 8 if kind == 1 else 4
            written += (value % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(written)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError("a varint of over ten bytes")


def _packed(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
