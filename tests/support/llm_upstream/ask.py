"""What a client asked: the request as it came, and what it means to the API it was sent to."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["Ask", "Recorded", "ask_of"]

_AZURE = re.compile(r"^/openai/(?:deployments/(?P<deployment>[^/]+)|v1)/(?P<operation>.+)$")
_GEMINI = re.compile(r"^/v1(?:beta|alpha)?/models/(?P<model>[^:]+):(?P<method>\w+)$")
_APIS = {
    "/v1/chat/completions": "openai.chat",
    "/v1/completions": "openai.completions",
    "/v1/responses": "openai.responses",
    "/v1/embeddings": "openai.embeddings",
    "/v1/messages": "anthropic.messages",
    "/v2/chat": "cohere.chat",
}
_GEMINI_APIS = {
    "generateContent": "gemini.generate_content",
    "streamGenerateContent": "gemini.generate_content",
    "embedContent": "gemini.embed_content",
    "batchEmbedContents": "gemini.embed_content",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request, byte for byte: names and values of headers in their order and case, the body without framing."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """Number of the connection that it came by, from 0."""

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def path(self) -> str:
        """The path, without the query."""
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request means: an API of the capture table, or `other`."""

    api: str
    provider: str
    model: str
    body: dict[str, Any]
    stream: bool
    form: str
    """How a stream is written: `sse`, or `array` for Gemini without `alt=sse`."""
    digest: str
    """Depends on method, target and body alone: equal requests get equal answers."""
    size: int

    @property
    def dialect(self) -> str:
        """The family whose words errors are written in: `openai`, `anthropic`, `cohere`, `gemini`."""
        family = self.api.partition(".")[0]
        return family if family in {"anthropic", "cohere", "gemini"} else "openai"


def ask_of(request: Recorded) -> Ask:
    """Say what a request means."""
    parts = urlsplit(request.target)
    path, query = parts.path, parse_qs(parts.query)
    body = _json(request.body)
    provider, model, stream, form = "openai", str(body.get("model", "")), body.get("stream") is True, "sse"
    if azure := _AZURE.match(path):
        provider = "azure.ai.openai"
        model = model or unquote(azure["deployment"] or "")
        api = _APIS.get(f"/v1/{azure['operation']}", "other")
    elif gemini := _GEMINI.match(path):
        provider, model = "gcp.gemini", unquote(gemini["model"])
        api = _GEMINI_APIS.get(gemini["method"], "other")
        stream = gemini["method"] == "streamGenerateContent"
        form = "sse" if query.get("alt") == ["sse"] else "array"
    else:
        api = _APIS.get(path, "other") if request.method == "POST" else "other"
        provider = {"anthropic": "anthropic", "cohere": "cohere"}.get(api.partition(".")[0], "openai")
    seed = f"{request.method} {request.target} ".encode() + request.body
    digest = hashlib.sha256(seed).hexdigest()
    return Ask(api, provider, model, body, stream, form, digest, len(request.body))


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
