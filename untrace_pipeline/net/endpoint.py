"""Endpoints that servers listen on: ``host:port``, ``[::1]:port``, ``:port``, ``unix:///path``."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from untrace_pipeline.errors import StartError

__all__ = ["Endpoint", "close_listeners", "open_listeners", "share_ports"]

BACKLOG = 1024
"""Connections that wait for being accepted; the kernel caps it at net.core.somaxconn."""
MAX_PORT = 65535
_ABSENT_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR)]
"""Set on every TCP listener of the process."""


def share_ports() -> None:
    """From now on, let other processes of the same user listen on the same TCP ports: the workers of one service.

    The kernel spreads connections over all that listen (``SO_REUSEPORT``). For the whole process, because a worker of
    several shares all its ports or cannot run at all.
    """
    if (option := (socket.SOL_SOCKET, socket.SO_REUSEPORT)) not in _options:
        _options.append(option)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed endpoint: a host and a port, or the path of a unix socket."""

    host: str = ""
    """Empty for every interface."""
    port: int = 0
    """0 lets the system choose."""
    path: str = ""

    @classmethod
    def parse(cls, text: str, *, unix: bool = False) -> Self:
        """Read an endpoint; with ``unix`` the text is a path. Raises ``ValueError`` that says what was expected."""
        if unix or text.startswith("unix:"):
            path = text.removeprefix("unix:").removeprefix("//")
            if not path:
                msg = "a path after unix://, such as unix:///run/untrace.sock"
                raise ValueError(msg)
            return cls(path=path)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT or "/" in host:
            msg = f"host:port, such as localhost:4317, not {text!r}"
            raise ValueError(msg)
        if ":" in host and not bracketed:
            msg = f"brackets around an IPv6 address, such as [::1]:4317, not {text!r}"
            raise ValueError(msg)
        return cls(host=host.strip("[]"), port=int(port))

    def addresses(self) -> list[str]:
        """Return the hosts to bind, the first of which must work.

        ``localhost`` is both loopback addresses, because some clients try one of them only. Differs from the
        Collector, which binds one.
        """
        if self.host == "localhost":
            return ["127.0.0.1", "::1"]
        return [self.host or "::"]

    @property
    def unshared(self) -> str:
        """Why several worker processes cannot listen here together; empty where they can."""
        if self.path:
            return "a unix socket belongs to one process"
        return "" if self.port else "the system would choose another port for each worker"

    def at(self, port: int) -> Self:
        """Return the same endpoint with the port that the system chose."""
        return type(self)(self.host, port, self.path)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def open_listeners(endpoint: Endpoint) -> tuple[list[socket.socket], Endpoint]:
    """Bind and listen; return the sockets, and the endpoint with the port that was chosen.

    Raises :class:`StartError` naming the endpoint and the cause.
    """
    if endpoint.path:
        return [_explained(endpoint, lambda: _listen_unix(endpoint.path))], endpoint
    first, *others = endpoint.addresses()
    sockets = [_explained(endpoint, lambda: _listen_tcp(first, endpoint.port))]
    bound = endpoint.at(sockets[0].getsockname()[1])
    for address in others:
        try:
            sockets.append(_listen_tcp(address, bound.port))
        except OSError as error:
            if error.errno not in _ABSENT_FAMILY:
                close_listeners(sockets, endpoint)
                raise _refused(endpoint, error) from error
    return sockets, bound


def close_listeners(sockets: list[socket.socket], endpoint: Endpoint) -> None:
    """Close the sockets, and remove the file of a unix socket."""
    for one in sockets:
        one.close()
    if endpoint.path:
        remove_socket_file(endpoint.path)


def remove_socket_file(path: str) -> None:
    """Remove a unix socket's file if it is there."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def make_room_for_socket(path: str) -> None:
    """Remove a socket file that nobody listens on any more. Raises ``OSError`` if somebody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            remove_socket_file(path)
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _explained(endpoint: Endpoint, bind: Callable[[], socket.socket]) -> socket.socket:
    try:
        return bind()
    except (OSError, UnicodeError) as error:
        raise _refused(endpoint, error) from error


def _refused(endpoint: Endpoint, error: Exception) -> StartError:
    reason = getattr(error, "strerror", None) or str(error)
    advice = ""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        advice = "; another process has it: stop that one, or choose another endpoint"
    return StartError(f"cannot listen on {endpoint}: {reason}{advice}")


def _listen_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        for level, option in _options:
            listener.setsockopt(level, option, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind(address)
        return _listening(listener)
    except BaseException:
        listener.close()
        raise


def _listen_unix(path: str) -> socket.socket:
    make_room_for_socket(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        return _listening(listener)
    except BaseException:
        listener.close()
        raise


def _listening(listener: socket.socket) -> socket.socket:
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
