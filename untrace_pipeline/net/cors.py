"""Cross-origin requests: which web pages may send (WHATWG Fetch, "CORS protocol")."""

from __future__ import annotations

import re
from http import HTTPStatus

from untrace_pipeline.net.http_message import Request, Response
from untrace_pipeline.net.http_settings import CorsConfig

__all__ = ["Cors"]

_ALWAYS_ALLOWED = ("accept", "content-type", "x-requested-with")
_NOT_ALLOWED: tuple[tuple[str, str], ...] = (("vary", "origin"),)


class Cors:
    """Answers preflight requests and says what headers go onto other answers."""

    def __init__(self, config: CorsConfig) -> None:
        self._any = "*" in config.allowed_origins
        patterns = [".*".join(re.escape(part) for part in origin.split("*")) for origin in config.allowed_origins]
        self._origins = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
        self._any_header = "*" in config.allowed_headers
        self._allowed_headers = {*_ALWAYS_ALLOWED, *(name.lower() for name in config.allowed_headers)}
        self._exposed = ", ".join(config.exposed_headers)
        self._max_age = config.max_age

    def preflight(self, request: Request, methods: str) -> Response | None:
        """Return the answer to a preflight request, or ``None`` if this is none; :meth:`headers` are not in it yet."""
        if request.method != "OPTIONS" or not request.header("access-control-request-method"):
            return None
        if self._origin_headers(request.header("origin")) is None:
            return Response(HTTPStatus.FORBIDDEN, b"this origin is not in cors.allowed_origins\n")
        headers: tuple[tuple[str, str], ...] = (("access-control-allow-methods", methods),)
        if asked := self._granted(request.header("access-control-request-headers")):
            headers += (("access-control-allow-headers", asked),)
        if self._max_age:
            headers += (("access-control-max-age", str(self._max_age)),)
        return Response(headers=headers)

    def headers(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return the headers for an answer to this request."""
        origin = request.header("origin")
        if not origin:
            return ()
        headers = self._origin_headers(origin)
        if headers is None:
            return _NOT_ALLOWED
        return (*headers, ("access-control-expose-headers", self._exposed)) if self._exposed else headers

    def _origin_headers(self, origin: str) -> tuple[tuple[str, str], ...] | None:
        if self._any:
            return (("access-control-allow-origin", "*"),)
        if not self._origins.fullmatch(origin):
            return None
        return (
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("vary", "origin"),
        )

    def _granted(self, asked: str) -> str:
        names = [name.strip().lower() for name in asked.split(",") if name.strip()]
        return ", ".join(name for name in names if self._any_header or name in self._allowed_headers)
