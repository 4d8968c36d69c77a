"""Endpoints of backends: ``host``, ``host:port``, ``[address]:port``."""

from __future__ import annotations

from untrace_pipeline.net.endpoint import Endpoint

__all__ = ["DEFAULT_PORT", "check_endpoint", "dialled", "joined"]

DEFAULT_PORT = 4317


def joined(address: str, port: int | None) -> str:
    """Return an address of a resolver with its port, or alone where the default port is meant.

    The ring hashes this text, and the Collector's has no port where none was configured.
    """
    host = f"[{address}]" if ":" in address else address
    return host if port is None else f"{host}:{port}"


def dialled(endpoint: str) -> str:
    """Return where to connect to: with the default port if none is there."""
    has_port = ":" in endpoint.rpartition("]")[2]
    return endpoint if has_port else f"{endpoint}:{DEFAULT_PORT}"


def check_endpoint(text: str) -> None:
    """Raise ``ValueError`` unless the text is an endpoint of a backend."""
    if not Endpoint.parse(dialled(text)).host:
        msg = f"a host, such as backend:4317, not {text!r}"
        raise ValueError(msg)
