"""SDKs of LLM platforms, of today and of before, each in an environment of its own: none of them is a dependency."""

from __future__ import annotations

from pathlib import Path

from tests.support.peers.cache import build_python_environment

__all__ = ["vendor_sdks", "vendor_sdks_old"]

_HERE = Path(__file__).parent


def vendor_sdks(*, build: bool = True) -> Path:
    """Answer the environment with the SDKs of today; `UNTRACE_PEER_VENDOR_SDKS` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when it is not built yet.
    """
    return build_python_environment("vendor-sdks", _HERE / "vendor_sdks", "UNTRACE_PEER_VENDOR_SDKS", build=build)


def vendor_sdks_old(*, build: bool = True) -> Path:
    """Answer the environment with Langfuse's SDK of version 2; `UNTRACE_PEER_VENDOR_SDKS_OLD` names another one."""
    recipe = _HERE / "vendor_sdks_old"
    return build_python_environment("vendor-sdks-old", recipe, "UNTRACE_PEER_VENDOR_SDKS_OLD", build=build)
