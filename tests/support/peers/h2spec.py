"""h2spec, the conformance tests of HTTP/2 servers, built from the Go modules pinned in `h2spec/go.mod`."""

from __future__ import annotations

from pathlib import Path

from tests.support.peers.cache import build_go_program

H2SPEC_RECIPE = Path(__file__).parent / "h2spec"
H2SPEC_OVERRIDE = "UNTRACE_PEER_H2SPEC"


def h2spec_binary(*, build: bool = True) -> Path:
    """Answer the binary of `h2spec/main.go`, built if need be; `UNTRACE_PEER_H2SPEC` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when it is not built yet.
    """
    return build_go_program("h2spec", H2SPEC_RECIPE, H2SPEC_OVERRIDE, build=build)
