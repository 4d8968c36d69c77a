"""Errors as the API says them: ``{"error": {"code", "message", "details"}}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import orjson
from pydantic import BaseModel, Field

from untrace_pipeline.net.http_message import HttpError, Request, Response
from untrace_plugins.core_trace.checking import FieldError, InvalidError

__all__ = ["JSON", "ErrorBody", "InvalidRequestError", "render"]

JSON = "application/json"
_CODES = {
    HTTPStatus.UNAUTHORIZED: "INVALID_API_KEY",
    HTTPStatus.FORBIDDEN: "FORBIDDEN",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.CONFLICT: "CONFLICT",
    HTTPStatus.TOO_MANY_REQUESTS: "RATE_LIMIT_EXCEEDED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
    HTTPStatus.SERVICE_UNAVAILABLE: "DESTINATION_ERROR",
}
_OTHERWISE = "INVALID_REQUEST"


class FieldBody(BaseModel):
    """A field that is wrong."""

    field: str
    """Its path. Example: ``traces[3].request.messages[0].role``."""
    message: str
    """What is wrong with it."""


class ErrorDetail(BaseModel):
    """Why a request failed."""

    code: Annotated[str, Field(examples=[*_CODES.values(), _OTHERWISE])]
    """A word for programs."""
    message: str
    """A sentence for people."""
    details: list[FieldBody]
    """The fields that are wrong, if it is about fields."""


class ErrorBody(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


class InvalidRequestError(HttpError):
    """The body, or a header, is not what it should be."""

    def __init__(self, error: InvalidError) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, str(error))
        self.fields = error.fields


def render(_request: Request | None, error: HttpError) -> Response:
    """Return the answer for an error."""
    fields: tuple[FieldError, ...] = getattr(error, "fields", ())
    said = {"code": _CODES.get(error.status, _OTHERWISE), "message": str(error), "details": fields}
    return Response(error.status, orjson.dumps({"error": said}), JSON, error.headers)
