"""Many datagrams in one system call, where the kernel cuts them itself (UDP_SEGMENT of Linux).

A frame of video is dozens of packets of one size, and a call for each is a third of what sending
them costs.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from asyncio import DatagramTransport
from collections.abc import Iterator, Sequence
from typing import Any, Final

UDP_SEGMENT: Final = 103
"""Of linux/udp.h; Python has no name for it."""
MAX_SEGMENTS: Final = 48
"""Of 1,300 bytes: together they fit the largest datagram there is, and the kernel's 64."""
_REFUSED: Final = frozenset({errno.EINVAL, errno.EMSGSIZE, errno.EIO, errno.ENOPROTOOPT})
"""What a kernel, or a path with a small MTU, says to datagrams in one piece."""
_SIZE: Final = struct.Struct("=H")

is_here: Final = sys.platform == "linux"
"""Whether the kernel can be asked."""


def send_together(
    transport: DatagramTransport, datagrams: Sequence[bytes], address: tuple[Any, ...]
) -> bool:
    """Send ``datagrams`` of up to 1,350 bytes in their order, now or when the socket has room.

    Returns:
        False where the kernel does not do it: they were sent one by one, and should be henceforth.
    """
    own = transport.get_extra_info("socket")
    if own is None or transport.is_closing():
        _one_by_one(transport, datagrams, address)
        return True
    works = True
    for group in _groups(datagrams):
        if len(group) == 1 or not works:
            _one_by_one(transport, group, address)
            continue
        borrowed = socket.socket(own.family, own.type, own.proto, fileno=own.fileno())
        try:
            size = _SIZE.pack(len(group[0]))
            borrowed.sendmsg(group, [(socket.IPPROTO_UDP, UDP_SEGMENT, size)], 0, address)
        except OSError as exc:
            # No room, or an error of the path: the transport knows what to do with either.
            _one_by_one(transport, group, address)
            works = exc.errno not in _REFUSED
        finally:
            borrowed.detach()  # the transport's own
    return works


def _one_by_one(
    transport: DatagramTransport, datagrams: Sequence[bytes], address: tuple[Any, ...]
) -> None:
    for datagram in datagrams:
        transport.sendto(datagram, address)


def _groups(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Runs of one size, of which the last may be shorter: that is how the kernel cuts."""
    start, count = 0, len(datagrams)
    while start < count:
        size, end = len(datagrams[start]), start + 1
        most = min(count, start + MAX_SEGMENTS)
        while end < most and len(datagrams[end]) == size:
            end += 1
        if end < most and len(datagrams[end]) < size:
            end += 1
        yield datagrams[start:end]
        start = end
