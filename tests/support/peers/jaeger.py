"""Jaeger, all in one, built from the Go module pinned in `jaeger/go.mod`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.peers.cache import build_go_programs
from tests.support.peers.process import free_port
from tests.support.peers.server import PeerServer

__all__ = ["JAEGER_RECIPE", "Jaeger", "jaeger_binary"]

JAEGER_RECIPE = Path(__file__).parent / "jaeger"
PACKAGE = "github.com/jaegertracing/jaeger/cmd/all-in-one"
OTHER_LISTENERS = (
    "collector.otlp.grpc.host-port",
    "query.grpc-server.host-port",
    "admin.http.host-port",
    "collector.grpc-server.host-port",
    "collector.http-server.host-port",
    "http-server.host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.zipkin-compact.server-host-port",
)
"""Each one that is left out would listen on all interfaces."""


def jaeger_binary(*, build: bool = True) -> Path:
    """Answer the program, built if need be; `UNTRACE_PEER_JAEGER` names another one."""
    return build_go_programs("jaeger", JAEGER_RECIPE, (PACKAGE,), "UNTRACE_PEER_JAEGER", build=build)


class Jaeger(PeerServer):
    """Keeps traces in memory; `url` has its API, `otlp_url` takes OTLP."""

    name: ClassVar[str] = "jaeger"

    def __init__(self) -> None:
        super().__init__()
        self._otlp_port = 0

    @property
    def otlp_url(self) -> str:
        """Where it takes OTLP over HTTP."""
        return f"http://127.0.0.1:{self._otlp_port}"

    def command(self) -> Sequence[str]:
        """Run it, with every listener on loopback."""
        self._otlp_port = free_port()
        ports = {"query.http-server.host-port": self.port, "collector.otlp.http.host-port": self._otlp_port}
        ports |= {name: free_port() for name in OTHER_LISTENERS}
        places = [f"--{name}=127.0.0.1:{port}" for name, port in ports.items()]
        return [str(jaeger_binary(build=False)), "--memory.max-traces=10000", *places]
