"""The tests' side: a client as a process that makes one call after the other."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.peers import llm_clients, llm_clients_node

__all__ = ["CASES", "ClientProcess", "Seen"]

_ROOT = Path(__file__).resolve().parents[3]
_HERE = Path(__file__).parent
_LANGCHAIN = ("plain", "stream", "tools", "stream_tools", "async", "async_stream")
CASES: Mapping[str, tuple[str, ...]] = {
    "openai": (
        "plain",
        "stream",
        "stream_uncounted",
        "tools",
        "stream_tools",
        "stream_helper",
        "async",
        "async_stream",
        "choices",
        "cut",
        "reasoning",
        "long",
        "responses",
        "responses_stream",
        "responses_tools",
        "responses_reasoning",
        "embeddings",
        "completions",
        "models",
        "azure",
        "azure_stream",
    ),
    "anthropic": (
        "plain",
        "stream",
        "tools",
        "stream_tools",
        "stream_helper",
        "async",
        "async_stream",
        "reasoning",
        "stream_reasoning",
        "count_tokens",
    ),
    "cohere": ("plain", "stream", "tools", "stream_tools", "async", "async_stream", "reasoning"),
    "gemini": (
        "plain",
        "stream",
        "tools",
        "stream_tools",
        "async",
        "async_stream",
        "reasoning",
        "stream_reasoning",
        "embeddings",
    ),
    "langchain": tuple(f"{model}_{case}" for model in ("openai", "anthropic") for case in _LANGCHAIN),
    "node": ("plain", "stream", "tools", "stream_tools", "responses_stream", "embeddings"),
}
"""The calls that each client makes."""


@dataclass(frozen=True)
class Seen:
    """What a client saw of a call."""

    result: Any
    error: dict[str, Any] | None
    responses: list[tuple[int, bytes]]
    """Status and body of each response, as it came over the wire, to where the client stopped reading."""
    headers: list[list[tuple[str, str]]]
    """Headers of each response."""


class ClientProcess:
    """One client: `with ClientProcess("openai") as client: client.call("plain", upstream.url)`.

    Raises `PeerUnavailable` where the environment of the clients is not built.
    """

    def __init__(self, name: str) -> None:
        self._command, self._env = _command(name)

    def call(self, case: str, url: str, *, key: str = "sk-test", headers: Mapping[str, str] | None = None) -> Seen:
        """Make a call; `url` is without a path."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"case": case, "url": url, "key": key, "headers": dict(headers or {})})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or "{}")
        assert "http" in answer, f"the client ended with {self._process.poll()}"
        return Seen(
            answer.get("result"),
            answer.get("error"),
            [(one["status"], base64.b64decode(one["body"])) for one in answer["http"]],
            [[(name, value) for name, value in one["headers"]] for one in answer["http"]],
        )

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=os.environ | self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=20)  # the end of its input is the end of it


def _command(name: str) -> tuple[list[str], dict[str, str]]:
    if name == "node":
        return ["node", str(_HERE / "openai_client.mjs")], {"LLM_CLIENTS": str(llm_clients_node(build=False))}
    python = llm_clients(build=False) / "bin" / "python"
    return [str(python), "-m", f"tests.support.llm_clients.{name}_client"], {
        "NO_PROXY": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
