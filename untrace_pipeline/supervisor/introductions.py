"""How workers get to know each other: the supervisor makes a socket pair for each two, and hands each its end.

So there is no path or address that anybody else could open, and a worker that is started again is introduced anew.
Descriptors travel as ancillary data (``SCM_RIGHTS``), each beside the number of the worker at the other end. The socket
is a stream of such pairs: the kernel bounds the number of datagrams that wait to ten.
"""

from __future__ import annotations

import logging
import socket
import struct

__all__ = ["introduce", "introduction_pair", "take_introduction"]

_INDEX = struct.Struct(">H")
_BUFFER_BYTES = 1024 * 1024
"""Holds more than a thousand introductions: a worker is introduced to all others at once."""

logger = logging.getLogger(__name__)


def introduction_pair() -> tuple[socket.socket, socket.socket]:
    """Return the supervisor's end and the worker's."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def introduce(to: socket.socket, index: int, end: socket.socket) -> None:
    """Hand one end of a connection to a worker; ``index`` is the worker at its other end.

    Nothing happens where the worker is gone. One that takes none is dead or stuck, and those that wait for it are told.
    """
    try:
        socket.send_fds(to, [_INDEX.pack(index)], [end.fileno()])
    except BlockingIOError:
        logger.error("a worker takes no connections to others: worker %d cannot send to it", index)  # noqa: TRY400
    except OSError as error:
        logger.debug("a worker that has ended is not introduced to worker %d: %s", index, error)


def take_introduction(end: socket.socket) -> tuple[int, socket.socket] | None:
    """Return the next introduction, ``None`` if there is none now. Raises ``EOFError`` when none will come any more."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, _INDEX.size, 1)
    except BlockingIOError:
        return None
    if len(data) != _INDEX.size or not descriptors:
        raise EOFError
    return _INDEX.unpack(data)[0], socket.socket(fileno=descriptors[0])
