"""What the proxy itself answers, in the form of the API that was called: clients understand nothing else."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson

from untrace_pipeline.api import ConsumeError, RetryableError
from untrace_pipeline.net.http_message import HttpError, Request, Response
from untrace_pipeline.net.refusal import status_of
from untrace_plugins.receivers.llm_proxy.paths import kind_of
from untrace_plugins.receivers.llm_proxy.upstream_config import UpstreamKind

__all__ = ["ProxyError", "refused", "render"]

_OPENAI_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES: Final = {**_OPENAI_TYPES, 413: "request_too_large", 503: "overloaded_error", 504: "timeout_error"}
_GOOGLE_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ProxyError(HttpError):
    """An answer of our own; ``code`` is a word for programs, such as ``rate_limit_exceeded``."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status, message, headers)
        self.code = code


def refused(error: ConsumeError, challenge: str) -> ProxyError:
    """Return what to answer where an authenticator refused."""
    status = status_of(error.code, retryable=isinstance(error, RetryableError))
    headers = (("www-authenticate", challenge),) if status is HTTPStatus.UNAUTHORIZED else ()
    return ProxyError(status, "unauthenticated", str(error), headers)


def render(request: Request | None, error: HttpError) -> Response:
    """Return an error as the provider would write it; ``x-untrace-error`` tells that it is ours."""
    status = error.status.value
    code = error.code if isinstance(error, ProxyError) else error.status.phrase.lower().replace(" ", "_")
    kind = None if request is None else _kind(request)
    document = _document(kind, status, code, f"untrace-pipeline: {error}")
    headers = (*error.headers, ("x-untrace-error", code))
    return Response(error.status, orjson.dumps(document), "application/json", headers)


def _kind(request: Request) -> UpstreamKind | None:
    if b"anthropic-version" in request.first:
        return UpstreamKind.ANTHROPIC
    path = request.path
    for beginning in ("/v1/proxy/", "/passthrough/"):
        if path.startswith(beginning):
            path = "/" + path.removeprefix(beginning).partition("/")[2]
    return kind_of(path)


def _document(kind: UpstreamKind | None, status: int, code: str, message: str) -> dict[str, Any]:
    if kind is UpstreamKind.ANTHROPIC:
        return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}}
    if kind is UpstreamKind.GEMINI:
        word = _GOOGLE_STATUS.get(status, "INTERNAL")
        return {"error": {"code": status, "message": message, "status": word}}
    if kind is UpstreamKind.COHERE:
        return {"message": message}
    kind_of_error = _OPENAI_TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind_of_error, "param": None, "code": code}}
