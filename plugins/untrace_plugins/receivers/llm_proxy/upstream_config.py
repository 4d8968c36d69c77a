"""Options of upstreams and routes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Secret
from untrace_pipeline.delivery import CircuitConfig
from untrace_pipeline.net.http_client import check_url
from untrace_pipeline.net.tls import ClientTlsConfig

__all__ = ["RouteConfig", "UpstreamConfig", "UpstreamKind"]

RETRIED = [408, 429, 500, 502, 503, 504, 529]
"""529 is Anthropic's "overloaded"."""


class UpstreamKind(StrEnum):
    """Whose API an upstream speaks."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"
    ANTHROPIC = "anthropic"
    COHERE = "cohere"
    GEMINI = "gemini"


class UpstreamConfig(ConfigModel):
    """One entry of ``upstreams``."""

    base_url: str = Field(min_length=1)
    """URL without ``/v1``: the path of a request is put behind it. Example: ``https://api.openai.com``."""
    kind: UpstreamKind | None = None
    """``openai`` (and whatever is compatible), ``azure_openai``, ``anthropic``, ``cohere`` or ``gemini``; absent = what
    the name begins with, else what the host is known for, else ``openai``."""
    provider: str | None = None
    """``gen_ai.provider.name`` of its spans; absent = that of its host, else of its kind. Example: ``groq``."""
    api_key: Secret | None = None
    """Key that is sent instead of the client's, in the header that the kind wants. Absent = the client's key is passed
    on, if it belongs to the same kind of API. Example: ``${file:/run/secrets/openai}``."""
    headers: dict[str, Secret] = {}
    """Headers that are set on each request. Example: ``{OpenAI-Organization: org-1}``."""
    deployments: dict[str, str] = {}
    """Azure: deployments by the model that a request names; a model that is not there is its own deployment."""
    api_version: str = Field("2024-10-21", min_length=1)
    """Azure: ``api-version`` of requests that came in OpenAI's form."""
    connect_timeout: Duration = Field(10.0, gt=0)
    """Time for a connection."""
    first_byte_timeout: Duration = Field(0.0, ge=0)
    """Time from a request to the head of its answer, per attempt; 0 = as long as the call may take."""
    idle_timeout: Duration = Field(300.0, ge=0)
    """Longest silence in the middle of an answer; 0 = as long as the call may take."""
    idle_conn_timeout: Duration = Field(60.0, ge=0)
    """How long a connection is kept for the next call; 0 = not at all."""
    tls: ClientTlsConfig = ClientTlsConfig()
    """For ``https`` URLs."""
    proxy_url: str = ""
    """HTTP proxy; absent = what HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. Example: ``http://proxy:3128``."""
    circuit_breaker: CircuitConfig = CircuitConfig()
    """When it is left alone: calls then go to the next upstream; without one they are answered with 503 at once. What
    counts as failed are calls without an answer, and the statuses 500, 502, 503, 504 and 529."""

    @field_validator("base_url")
    @classmethod
    def _is_plain_url(cls, url: str) -> str:
        parts = urlsplit(check_url(url))
        if parts.query or parts.fragment or "@" in parts.netloc:
            msg = 'a URL without user, query and fragment, such as "https://api.openai.com"'
            raise ValueError(msg)
        return url

    @field_validator("proxy_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if urlsplit(check_url(url)).scheme not in {"", "http"}:
            msg = 'the URL of an HTTP proxy, such as "http://proxy:3128"'
            raise ValueError(msg)
        return url

    @field_validator("api_key")
    @classmethod
    def _is_one_word(cls, key: Secret | None) -> Secret | None:
        if key is None:
            return None
        stripped = key.reveal().strip()
        if not stripped or not stripped.isprintable() or " " in stripped:
            msg = "a key: one word, not empty"
            raise ValueError(msg)
        return Secret(stripped)


class RouteConfig(ConfigModel):
    """One entry of ``routes``."""

    path: str = Field(min_length=1)
    """A path, or with ``*`` at its end all that begin so; the longest that fits wins. Example: ``/v1/embeddings``."""
    upstreams: list[str] = Field(min_length=1)
    """Names of upstreams, tried in order until one answers."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    """Shares of the calls that each upstream gets first; the others follow in order. Absent = the first gets all.
    Example: ``{openai: 9, openai/eu: 1}``."""
    retries: int = Field(0, ge=0, le=10)
    """How often an upstream is tried again before the next one is."""
    retry_on: list[int] = RETRIED
    """Statuses that are tried again; so is a call without an answer. An answer that has begun is never repeated."""
    max_retry_delay: Duration = Field(5.0, ge=0)
    """Longest pause before an upstream is tried again. One that wishes for a longer one (``Retry-After``) is not tried
    again; the next one is."""
    timeout: Duration | None = None
    """Longest time of a call, all attempts together; absent = ``timeout`` of the receiver."""

    @field_validator("path")
    @classmethod
    def _begins_with_slash(cls, path: str) -> str:
        if not path.startswith("/") or "*" in path[:-1]:
            msg = 'a path such as "/v1/embeddings", or "/v1/*"'
            raise ValueError(msg)
        return path

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.upstreams)) < len(self.upstreams):
            msg = "each upstream once"
            raise ValueError(msg)
        if unknown := next((name for name in self.weights if name not in self.upstreams), None):
            msg = f"weights of upstreams of this route: {unknown} is none"
            raise ValueError(msg)
        if self.weights and not sum(self.weights.values()):
            msg = "weights that are not all 0"
            raise ValueError(msg)
        return self
