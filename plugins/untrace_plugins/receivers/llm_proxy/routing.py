"""Which upstreams a request may go to, and in which order."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from untrace_pipeline.net.http_message import Request
from untrace_plugins.genai.providers.exchange import Api
from untrace_plugins.receivers.llm_proxy.config import LlmProxyConfig
from untrace_plugins.receivers.llm_proxy.paths import Named, api_of, kind_of, named_upstream, openai_path
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError
from untrace_plugins.receivers.llm_proxy.upstream import Upstream
from untrace_plugins.receivers.llm_proxy.upstream_config import RouteConfig, UpstreamKind

__all__ = ["Plan", "Router"]

_HINTS = (
    (b"anthropic-version", UpstreamKind.ANTHROPIC),
    (b"x-goog-api-key", UpstreamKind.GEMINI),
    (b"api-key", UpstreamKind.AZURE_OPENAI),
)
"""Headers that tell whose API a path belongs to that several have: ``/v1/models``."""
_SLASH = r"(?:[/\\]|%2f|%5c)"
_UPWARDS = re.compile(rf"{_SLASH}(?:\.|%2e){{2}}(?:{_SLASH}|;|$)", re.IGNORECASE)
"""What some server might take for a way out of the upstream's own path."""
_UNROUTED = RouteConfig(path="/*", upstreams=["-"])
"""What holds for a path without a route."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried for one request."""

    kind: UpstreamKind | None
    """Whose API the path belongs to."""
    api: Api
    path: str
    """Path in the form of that API."""
    upstreams: Sequence[Upstream]
    """In this order."""
    route: RouteConfig
    timeout: float
    """Seconds, for all attempts together."""


class Router:
    """Reads paths."""

    def __init__(self, config: LlmProxyConfig, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._timeout = config.timeout
        self._exact = {route.path: route for route in config.routes if not route.path.endswith("*")}
        prefixes = [route for route in config.routes if route.path.endswith("*")]
        self._prefixes = sorted(prefixes, key=lambda route: len(route.path), reverse=True)
        self._names = [*upstreams, *UpstreamKind]

    def plan(self, request: Request) -> Plan:
        """Return what to try. Raises :class:`ProxyError`: 404 where there is nothing, 400 for ``..``, 405 for TRACE.

        That would show a client the key that the daemon adds.
        """
        if request.method == "TRACE":
            raise ProxyError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "no TRACE through here")
        if _UPWARDS.search(request.path):
            raise ProxyError(HTTPStatus.BAD_REQUEST, "invalid_path", "a path must not have '..' as a segment")
        named = named_upstream(request.path, self._names)
        if named is None:
            path, kind = request.path, self._kind(request, request.path)
            route = self._route(path)
            upstreams = self._ordered(route) if route else [self._for_kind(kind, path)]
        else:
            upstream = self._named(named)
            path, kind = named.path, upstream.kind
            if kind is UpstreamKind.OPENAI and not named.only:
                path = openai_path(path)
            route = None if named.only else self._route(path)
            upstreams = _first(upstream, self._ordered(route) if route else [])
        settings = route or _UNROUTED
        timeout = self._timeout if settings.timeout is None else settings.timeout
        return Plan(kind, api_of(request.method, path), path, upstreams, settings, timeout)

    def _route(self, path: str) -> RouteConfig | None:
        found = self._exact.get(path)
        if found is None:
            found = next((route for route in self._prefixes if path.startswith(route.path[:-1])), None)
        return found

    def _ordered(self, route: RouteConfig) -> list[Upstream]:
        """Return the upstreams of a route, one of them first as the weights want it."""
        upstreams = [self._upstreams[name] for name in route.upstreams]
        if route.weights:
            weights = [route.weights.get(name, 0.0) for name in route.upstreams]
            return _first(random.choices(upstreams, weights)[0], upstreams)  # noqa: S311  no secret
        return upstreams

    def _kind(self, request: Request, path: str) -> UpstreamKind | None:
        kind = kind_of(path)
        if kind is None:
            kind = next((kind for name, kind in _HINTS if name in request.first), None)
        return kind

    def _for_kind(self, kind: UpstreamKind | None, path: str) -> Upstream:
        """Return the upstream for a path without a route."""
        there = list(self._upstreams.values())
        if len(there) == 1:
            return there[0]
        wanted = kind or UpstreamKind.OPENAI
        others = {UpstreamKind.OPENAI: UpstreamKind.AZURE_OPENAI, UpstreamKind.AZURE_OPENAI: UpstreamKind.OPENAI}
        for one in (wanted, others.get(wanted)):
            found = next((upstream for upstream in there if upstream.kind is one), None)
            if found is not None:
                return found
        msg = f"no upstream speaks the API of {path[:200]} ({wanted}); there: {', '.join(self._upstreams)}"
        raise ProxyError(HTTPStatus.NOT_FOUND, "no_upstream", msg)

    def _named(self, named: Named) -> Upstream:
        upstream = self._upstreams.get(named.upstream)
        if upstream is None:
            of_kind = (one for one in self._upstreams.values() if one.kind == named.upstream)
            upstream = next(of_kind, None)
        if upstream is None:
            msg = f"there is no upstream {named.upstream[:100]}; there: {', '.join(self._upstreams)}"
            raise ProxyError(HTTPStatus.NOT_FOUND, "no_upstream", msg)
        return upstream


def _first(upstream: Upstream, upstreams: Sequence[Upstream]) -> list[Upstream]:
    """Return upstreams with one of them, or another one, at the beginning."""
    return [upstream, *(one for one in upstreams if one is not upstream)]
