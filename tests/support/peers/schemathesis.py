"""Schemathesis: sends what an OpenAPI document allows and forbids, and judges the answers by the document."""

from __future__ import annotations

from pathlib import Path

from tests.support.peers.cache import build_python_environment

__all__ = ["schemathesis_command", "schemathesis_environment"]


def schemathesis_environment(*, build: bool = True) -> Path:
    """Answer the virtual environment; `UNTRACE_PEER_SCHEMATHESIS` names another one. Raises `PeerUnavailable`."""
    recipe = Path(__file__).parent / "schemathesis"
    return build_python_environment("schemathesis", recipe, "UNTRACE_PEER_SCHEMATHESIS", build=build)


def schemathesis_command() -> list[str]:
    """Answer how to run it. Raises `PeerUnavailable` where it is not built."""
    programs = schemathesis_environment(build=False) / "bin"
    return [str(programs / "python"), str(programs / "st")]
