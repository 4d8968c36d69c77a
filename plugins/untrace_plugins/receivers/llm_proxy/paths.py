"""What a path says: whose API it belongs to, how its bodies are read, and which upstream it names.

Besides the providers' own paths there are ``/v1/proxy/<upstream>/…`` and ``/passthrough/<upstream>/…``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from untrace_plugins.genai.providers.exchange import Api
from untrace_plugins.receivers.llm_proxy.upstream_config import UpstreamKind

__all__ = ["Named", "api_of", "azure_path", "kind_of", "named_upstream", "openai_path"]

_APIS: Final = (
    ("/chat/completions", Api.OPENAI_CHAT),
    ("/completions", Api.OPENAI_COMPLETIONS),
    ("/responses", Api.OPENAI_RESPONSES),
    ("/embeddings", Api.OPENAI_EMBEDDINGS),
    ("/v1/messages", Api.ANTHROPIC_MESSAGES),
    ("/v2/chat", Api.COHERE_CHAT),
    ("/v2/embed", Api.COHERE_EMBED),
    (":generateContent", Api.GEMINI_GENERATE_CONTENT),
    (":streamGenerateContent", Api.GEMINI_GENERATE_CONTENT),
    (":embedContent", Api.GEMINI_EMBED_CONTENT),
    (":batchEmbedContents", Api.GEMINI_EMBED_CONTENT),
)
"""By the end of the path: what stands before it is the upstream's own."""

_KINDS: Final = (
    ("/openai/", UpstreamKind.AZURE_OPENAI),
    ("/v1/messages", UpstreamKind.ANTHROPIC),
    ("/v1/complete/", UpstreamKind.ANTHROPIC),
    ("/v2/", UpstreamKind.COHERE),
    ("/v1beta/", UpstreamKind.GEMINI),
    ("/v1alpha/", UpstreamKind.GEMINI),
)
"""By its beginning."""
_GEMINI_METHOD: Final = re.compile(r"/[^/:]+:[A-Za-z]+$")

_DEPLOYED: Final = ("chat/completions", "completions", "embeddings", "audio/", "images/")
"""Operations of Azure that belong to a deployment; the others are under ``/openai/v1/``."""
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/[^/]+/(.+)")


@lru_cache(maxsize=4096)
def api_of(method: str, path: str) -> Api:
    """Return how the bodies of a request are read."""
    if method != "POST":
        return Api.OTHER
    return next((api for end, api in _APIS if path.endswith(end)), Api.OTHER)


@lru_cache(maxsize=4096)
def kind_of(path: str) -> UpstreamKind | None:
    """Return whose API a path belongs to; ``None`` where several have it, or none is known for it."""
    for beginning, kind in _KINDS:
        if path.startswith(beginning) or path == beginning.rstrip("/"):
            return kind
    if _GEMINI_METHOD.search(path):
        return UpstreamKind.GEMINI
    return None if api_of("POST", path) is Api.OTHER else UpstreamKind.OPENAI


@dataclass(frozen=True, slots=True)
class Named:
    """A request whose path names its upstream."""

    upstream: str
    path: str
    """What is left for the upstream."""
    only: bool
    """Whether no other upstream may answer."""


def named_upstream(path: str, names: Sequence[str]) -> Named | None:
    """Return the upstream that a path names, ``None`` if it is of another form.

    ``names`` are those of the upstreams and of their kinds. An unknown name is returned as it stands there.
    """
    for beginning, only in (("/v1/proxy/", False), ("/passthrough/", True)):
        if path.startswith(beginning):
            segments = path.removeprefix(beginning).split("/")
            count = _named_segments(segments, names)
            return Named(unquote("/".join(segments[:count])), f"/{'/'.join(segments[count:])}", only)
    return None


def _named_segments(segments: Sequence[str], names: Sequence[str]) -> int:
    """Return how many segments name an upstream; a slash in its name may be written as ``%2F``."""
    longest = 1 + max(name.count("/") for name in names)
    counts = range(longest, 1, -1)
    return next((count for count in counts if unquote("/".join(segments[:count])) in names), 1)


def openai_path(path: str) -> str:
    """Return a path of OpenAI's API for one of Azure's, or for one without ``/v1``."""
    if (deployed := _DEPLOYMENT.fullmatch(path)) is not None:
        return f"/v1/{deployed[1]}"
    if path.startswith("/openai/"):
        path = path.removeprefix("/openai")
    return path if path == "/v1" or path.startswith("/v1/") else f"/v1{path}"


def azure_path(path: str, deployment: str) -> tuple[str, bool]:
    """Return the path of Azure's API for one of OpenAI's, and whether it takes an ``api-version``."""
    operation = path.removeprefix("/v1/")
    if deployment and operation.startswith(_DEPLOYED):
        return f"/openai/deployments/{deployment}/{operation}", True
    return f"/openai/v1/{operation}", False
