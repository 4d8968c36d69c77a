"""One upstream: where it is, whose API it speaks, what key it gets, and whether it is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from untrace_pipeline.delivery import Breaker, Circuit
from untrace_pipeline.net.http_client import environment_proxy
from untrace_pipeline.net.http_message import Request
from untrace_pipeline.net.http_origin import Origin
from untrace_plugins.genai.providers.exchange import TraceContext
from untrace_plugins.receivers.llm_proxy.headers import CREDENTIALS, TRACE, request_lines
from untrace_plugins.receivers.llm_proxy.paths import azure_path, openai_path
from untrace_plugins.receivers.llm_proxy.trace_context import traceparent
from untrace_plugins.receivers.llm_proxy.upstream_config import UpstreamConfig, UpstreamKind

__all__ = ["Upstream"]

AZURE, OPENAI = UpstreamKind.AZURE_OPENAI, UpstreamKind.OPENAI

_KEY_LINES: Final = {
    UpstreamKind.OPENAI: b"authorization: Bearer %b\r\n",
    UpstreamKind.AZURE_OPENAI: b"api-key: %b\r\n",
    UpstreamKind.ANTHROPIC: b"x-api-key: %b\r\n",
    UpstreamKind.COHERE: b"authorization: Bearer %b\r\n",
    UpstreamKind.GEMINI: b"x-goog-api-key: %b\r\n",
}
_PROVIDERS: Final = {
    UpstreamKind.OPENAI: "openai",
    UpstreamKind.AZURE_OPENAI: "azure.ai.openai",
    UpstreamKind.ANTHROPIC: "anthropic",
    UpstreamKind.COHERE: "cohere",
    UpstreamKind.GEMINI: "gcp.gemini",
}
_HOSTS: Final = (
    ("openai.azure.com", AZURE, "azure.ai.openai"),
    ("api.anthropic.com", UpstreamKind.ANTHROPIC, "anthropic"),
    ("api.cohere.com", UpstreamKind.COHERE, "cohere"),
    ("api.cohere.ai", UpstreamKind.COHERE, "cohere"),
    ("generativelanguage.googleapis.com", UpstreamKind.GEMINI, "gcp.gemini"),
    ("aiplatform.googleapis.com", UpstreamKind.GEMINI, "gcp.vertex_ai"),
    ("api.groq.com", OPENAI, "groq"),
    ("api.deepseek.com", OPENAI, "deepseek"),
    ("api.mistral.ai", OPENAI, "mistral_ai"),
    ("api.perplexity.ai", OPENAI, "perplexity"),
    ("api.x.ai", OPENAI, "x_ai"),
)
"""What hosts are known for, by their end; the names of providers are those of the semantic conventions."""
_BODIED: Final = {"POST", "PUT", "PATCH"}


class Upstream:
    """An upstream as configured; :meth:`start` opens no connection yet."""

    def __init__(
        self, name: str, config: UpstreamConfig, logger: logging.Logger, changed: Callable[[Circuit], None]
    ) -> None:
        parts = urlsplit(config.base_url)
        host = parts.hostname or ""
        kind, provider = next(((kind, name) for end, kind, name in _HOSTS if host.endswith(end)), (None, None))
        self.name = name
        self.kind = config.kind or _kind_in(name) or kind or OPENAI
        self.provider = config.provider or provider or _PROVIDERS[self.kind]
        self.config = config
        proxy = config.proxy_url or environment_proxy(config.base_url)
        if proxy and not proxy.startswith("http://"):
            logger.warning("upstream %s: the proxy that the environment names is no HTTP proxy, and is not used", name)
            proxy = None
        self.origin = Origin(
            config.base_url,
            config.tls,
            logger,
            connect_timeout=config.connect_timeout,
            keep_idle=config.idle_conn_timeout,
            proxy_url=proxy,
        )
        self.breaker = Breaker(config.circuit_breaker, self._on_circuit)
        self._logger = logger
        self._changed = changed
        self._base = parts.path.rstrip("/")
        self._host_line = b"host: %b\r\n" % self.origin.authority.encode("idna" if not host.isascii() else "ascii")
        own = {
            name.lower().encode("latin-1"): value.reveal().encode("latin-1") for name, value in config.headers.items()
        }
        self._own_names = frozenset(own)
        self._own_lines = b"".join(b"%b: %b\r\n" % pair for pair in own.items())
        if proof := self.origin.proxy_authorization:
            self._own_lines += b"proxy-authorization: %b\r\n" % proof.encode("latin-1")
        key = config.api_key
        self._key_line = _KEY_LINES[self.kind] % key.reveal().encode("latin-1") if key else b""
        self.secrets = [one.reveal() for one in (key, *config.headers.values()) if one is not None]
        """Keys that it is sent whoever calls."""

    def _on_circuit(self, state: Circuit, why: str) -> None:
        self._logger.warning("upstream %s: circuit is %s: %s", self.name, state.name.lower().replace("_", "-"), why)
        self._changed(state)

    def target(self, kind: UpstreamKind | None, path: str, model: Callable[[], str]) -> tuple[str, str]:
        """Return path and ``api-version`` for a path of the API ``kind``; OpenAI's and Azure's become each other's."""
        version = ""
        if kind is OPENAI and self.kind is AZURE:
            named = model()
            path, takes_version = azure_path(path, self.config.deployments.get(named, named))
            version = self.config.api_version if takes_version else ""
        elif kind is AZURE and self.kind is OPENAI:
            path = openai_path(path)
        if self._base.endswith("/v1") and path.startswith("/v1/"):
            path = path.removeprefix("/v1")
        return f"{self._base}{path}", version

    def head(
        self,
        request: Request,
        target: tuple[str, str],
        trace: TraceContext | None,
        length: int,
        *,
        with_keys: bool,
        without: frozenset[bytes] = frozenset(),
    ) -> bytes:
        """Return the head of the request that is sent.

        ``trace`` is ``None`` where the caller's headers go on as they are; ``with_keys`` tells whether the client's
        keys may go on; ``without`` names headers that must not.
        """
        dropped = self._own_names | without
        keeps_keys = with_keys and not self._key_line
        if not keeps_keys:
            dropped |= CREDENTIALS
        if trace is not None:
            dropped |= TRACE
        path, version = target
        query = request.query if keeps_keys else _without_key(request.query)
        if version:
            query = "&".join(filter(None, (query, f"api-version={version}")))
        line = f"{request.method} {self.origin.target_prefix}{path}{'?' if query else ''}{query} HTTP/1.1\r\n"
        return b"".join(
            (
                line.encode("latin-1"),
                self._host_line,
                *request_lines(request.headers, dropped),
                b"content-length: %d\r\n" % length if length or request.method in _BODIED else b"",
                self._key_line,
                self._own_lines,
                _trace_lines(trace) if trace is not None else b"",
                b"\r\n",
            )
        )


def _trace_lines(trace: TraceContext) -> bytes:
    state = f"tracestate: {trace.trace_state}\r\n".encode("latin-1") if trace.trace_state else b""
    return traceparent(trace) + state


def _kind_in(name: str) -> UpstreamKind | None:
    """Return the kind that a name begins with."""
    word = name.partition("/")[0]
    return UpstreamKind(word) if word in set(UpstreamKind) else None


def _without_key(query: str) -> str:
    """Take Google's ``key`` out of a query, and leave the rest as it was written."""
    if "key=" not in query:
        return query
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != "key")
