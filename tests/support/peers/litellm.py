"""LiteLLM's proxy, to compare with: from PyPI, in an environment of its own, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import yaml

from tests.support.peers.cache import build_python_environment
from tests.support.peers.server import PeerServer

__all__ = ["LITELLM_REQUIREMENTS", "LiteLlm", "litellm_environment"]

LITELLM_REQUIREMENTS = Path(__file__).parent / "litellm" / "requirements.txt"


def litellm_environment(*, build: bool = True) -> Path:
    """Answer the environment with LiteLLM's proxy; `UNTRACE_PEER_LITELLM` names another one.

    Raises `PeerUnavailable` with the reason; with `build=False` also when it is not built yet.
    """
    return build_python_environment("litellm", LITELLM_REQUIREMENTS.parent, "UNTRACE_PEER_LITELLM", build=build)


class LiteLlm(PeerServer):
    """One worker with one model, that of an upstream that speaks as OpenAI does; no key asked, nothing recorded."""

    name: ClassVar[str] = "litellm"
    ready_path: ClassVar[str] = "/health/liveliness"

    def __init__(self, upstream: str, model: str) -> None:
        super().__init__()
        parameters = {"model": f"openai/{model}", "api_base": f"{upstream}/v1", "api_key": "sk-bench"}
        config = {
            "model_list": [{"model_name": model, "litellm_params": parameters}],
            "litellm_settings": {"telemetry": False, "num_retries": 0},
            "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
        }
        (self.directory / "config.yaml").write_text(yaml.safe_dump(config))
        self._python = litellm_environment() / "bin" / "python"

    def command(self) -> Sequence[str]:
        """Run its command by its module: the environment has moved since that was installed."""
        run = [str(self._python), "-c", "from litellm import run_server; run_server()"]
        return [*run, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1"]

    def environment(self) -> Mapping[str, str]:
        """What its documentation advises for production, and prices that are not looked up on the network."""
        return {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
