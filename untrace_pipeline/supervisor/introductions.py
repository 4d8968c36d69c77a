"""How workers get to know each other: the supervisor makes a socket pair for each two, and hands each its end.

So there is no path or address that anybody else could open, and a worker that is started again is introduced anew.
Descriptors travel as ancillary data (``SCM_RIGHTS``), beside the number of the worker at the other end.
"""

from __future__ import annotations

import contextlib
import socket
import struct

__all__ = ["introduce", "introduction_pair", "take_introduction"]

_INDEX = struct.Struct(">H")


def introduction_pair() -> tuple[socket.socket, socket.socket]:
    """Return the supervisor's end and the worker's: datagrams, so that each introduction is one message."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def introduce(to: socket.socket, index: int, end: socket.socket) -> None:
    """Hand one end of a connection to a worker; ``index`` is the worker at its other end.

    Nothing happens where the worker is gone, or so stuck that it has not taken earlier ones.
    """
    with contextlib.suppress(OSError):
        socket.send_fds(to, [_INDEX.pack(index)], [end.fileno()])


def take_introduction(end: socket.socket) -> tuple[int, socket.socket] | None:
    """Return the next introduction, ``None`` if there is none now. Raises ``OSError`` for a socket that is broken."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, _INDEX.size, 1)
    except BlockingIOError:
        return None
    if len(data) != _INDEX.size or not descriptors:
        return None
    return _INDEX.unpack(data)[0], socket.socket(fileno=descriptors[0])
