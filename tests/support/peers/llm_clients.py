"""Real clients of LLM providers, in environments of their own: none of them is a dependency.

`llm_clients/requirements.txt` and `llm_clients_node/package-lock.json` pin everything.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.peers.cache import build_node_program, build_python_environment

__all__ = ["llm_clients", "llm_clients_node"]

_HERE = Path(__file__).parent


def llm_clients(*, build: bool = True) -> Path:
    """Answer the environment with the Python clients; `UNTRACE_PEER_LLM_CLIENTS` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when it is not built yet.
    """
    return build_python_environment("llm-clients", _HERE / "llm_clients", "UNTRACE_PEER_LLM_CLIENTS", build=build)


def llm_clients_node(*, build: bool = True) -> Path:
    """Answer the directory with the Node clients; `UNTRACE_PEER_LLM_CLIENTS_NODE` names another one."""
    return build_node_program(
        "llm-clients-node", _HERE / "llm_clients_node", "UNTRACE_PEER_LLM_CLIENTS_NODE", build=build
    )
