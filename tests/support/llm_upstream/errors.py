"""What providers answer when they refuse, each in its own words."""

from __future__ import annotations

from typing import Any

from tests.support.llm_upstream.ask import Ask

__all__ = ["RETRY_AFTER_SECONDS", "error_body", "stream_error"]

RETRY_AFTER_SECONDS = "1"
_KINDS = {
    400: ("invalid_request_error", "INVALID_ARGUMENT", "Invalid value for 'temperature': expected a number up to 2."),
    401: ("authentication_error", "UNAUTHENTICATED", "Incorrect API key provided: {key}."),
    403: ("permission_error", "PERMISSION_DENIED", "You do not have access to this model."),
    404: ("not_found_error", "NOT_FOUND", "The model does not exist."),
    408: ("timeout_error", "DEADLINE_EXCEEDED", "The request took too long."),
    413: ("request_too_large", "INVALID_ARGUMENT", "The request is too large."),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED", "Rate limit reached for requests per minute. Try again in 1s."),
    500: ("api_error", "INTERNAL", "The server had an error while processing your request."),
    503: ("service_unavailable", "UNAVAILABLE", "The engine is currently overloaded."),
    529: ("overloaded_error", "UNAVAILABLE", "Overloaded"),
}
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error_body(ask: Ask, status: int, key: str = "", text: str = "") -> dict[str, Any]:
    """Return the body of an error; some quote the key that they were given."""
    kind, word, usual = _KINDS[status]
    text = text or usual.format(key=key)
    match ask.dialect:
        case "anthropic":
            error = {"type": kind, "message": text}
            return {"type": "error", "error": error, "request_id": f"req_{ask.digest[:20]}"}
        case "cohere":
            return {"message": text, "id": ask.digest[:20]}
        case "gemini":
            return {"error": {"code": status, "message": text, "status": word}}
        case _:
            code = _OPENAI_CODES.get(status)
            return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def stream_error(ask: Ask) -> dict[str, Any]:
    """Return the event that says, in a stream that began well, that it ends badly."""
    body = error_body(ask, 529 if ask.dialect == "anthropic" else 500)
    if ask.api == "openai.responses":
        return {"type": "error", "code": "server_error", "message": body["error"]["message"], "sequence_number": 99}
    return body
