"""Reading endpoints, and opening their sockets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from untrace_pipeline.errors import StartError
from untrace_pipeline.net import endpoint
from untrace_pipeline.net.endpoint import Endpoint, close_listeners, open_listeners, share_ports


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:4317", Endpoint("localhost", 4317)),
        ("0.0.0.0:0", Endpoint("0.0.0.0", 0)),
        (":4317", Endpoint("", 4317)),
        ("[::1]:4317", Endpoint("::1", 4317)),
        ("unix:///run/x.sock", Endpoint(path="/run/x.sock")),
        ("unix:/run/x.sock", Endpoint(path="/run/x.sock")),
        ("unix:x.sock", Endpoint(path="x.sock")),
    ],
)
def test_forms(text: str, expected: Endpoint) -> None:
    """Every documented form is read."""
    assert Endpoint.parse(text) == expected


def test_path_of_transport_unix() -> None:
    """With ``transport: unix`` the endpoint is a path."""
    assert Endpoint.parse("/run/x.sock", unix=True) == Endpoint(path="/run/x.sock")


@pytest.mark.parametrize("text", ["", "local", "local:", "local:x", "a:70000", "::1:80", "http://a:80", "unix:"])
def test_what_is_no_endpoint(text: str) -> None:
    """Anything else is refused with the form that was expected."""
    with pytest.raises(ValueError, match=r"such as"):
        Endpoint.parse(text)


@pytest.mark.parametrize("text", ["localhost:4317", "[::1]:4317", "unix:///run/x.sock"])
def test_text_is_what_users_write(text: str) -> None:
    """``str`` gives the endpoint back."""
    assert str(Endpoint.parse(text)) == text


def test_every_interface_takes_both_families() -> None:
    """``:port`` is reached over IPv4 and IPv6."""
    sockets, bound = open_listeners(Endpoint("", 0))
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, bound.port)).close()
    close_listeners(sockets, bound)


def test_long_path_is_a_start_error(tmp_path: Path) -> None:
    """A path that the kernel does not take is named."""
    with pytest.raises(StartError, match="cannot listen on unix://"):
        open_listeners(Endpoint(path=str(tmp_path / ("x" * 200))))


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A regular file in the place of the socket is an error and stays."""
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(StartError):
        open_listeners(Endpoint(path=str(path)))
    assert path.read_text() == "data"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_workers_listen_together(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once ports are shared, a second process, here the same one, listens beside the first; before, it cannot."""
    monkeypatch.setattr(endpoint, "_options", [*endpoint._options])
    alone, bound = open_listeners(Endpoint(host, 0))
    with pytest.raises(StartError, match="Address already in use"):
        open_listeners(bound)
    close_listeners(alone, bound)
    share_ports()
    share_ports()
    first, _ = open_listeners(bound)
    second, _ = open_listeners(bound)
    close_listeners([*first, *second], bound)
    assert len(endpoint._options) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:4317", ""),
        ("unix:///run/x.sock", "a unix socket belongs to one process"),
        ("localhost:0", "the system would choose another port for each worker"),
    ],
)
def test_what_workers_cannot_share(text: str, reason: str) -> None:
    """A port is shared; a unix socket and a port that the system chooses are not."""
    assert Endpoint.parse(text).unshared == reason
