"""What the bodies of a call say, in the canonical form; nothing that is wrong in them raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.providers.apis import READERS
from untrace_plugins.genai.providers.bodies import Content, read_answer, read_object
from untrace_plugins.genai.providers.errors import Failure, failure, failure_of_status
from untrace_plugins.genai.providers.estimate import estimated_tokens
from untrace_plugins.genai.providers.exchange import Api, Exchange
from untrace_plugins.genai.providers.reader import Json, Read
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import load

__all__ = ["CONTENT", "Account", "read_bodies"]

CONTENT: Final = (
    names.INPUT_MESSAGES,
    names.OUTPUT_MESSAGES,
    names.SYSTEM_INSTRUCTIONS,
    names.TOOL_DEFINITIONS,
    names.REQUEST_STOP_SEQUENCES,
)
"""Attributes that hold what was said, or words that the application expects to be said."""
FAILED: Final = 400
"""HTTP statuses from here on are errors."""

_MODEL = re.compile(r"/(?:models|tunedModels|deployments)/([^/:]+)")
"""The model where the path says it: Google's, and Azure's deployments."""


class Account:
    """What a call was, as its bodies tell."""

    __slots__ = ("failure", "first_content", "span", "unreadable")

    def __init__(self) -> None:
        self.span = Reading({}, {})
        self.failure: Failure | None = None
        self.first_content: int | None = None
        """When the first chunk with content had come, on the monotonic clock in nanoseconds."""
        self.unreadable: list[str] = []
        """Bodies that could not be read, or not all of them."""

    @property
    def values(self) -> dict[str, Value]:
        """Canonical attributes."""
        return self.span.values

    def take(self, body: str, read: Read, given: Json, content: bool) -> None:
        """Let a reader set what it finds."""
        try:
            read(self.span, given, content)
        except Exception:  # noqa: BLE001
            # Bodies are anybody's: of any shape, and cut anywhere. What a reader did not foresee must not cost the
            # span. What it had read counts, and the span says that there was more.
            self.mark(body)

    def mark(self, body: str) -> None:
        """Note that a body could not be read, or not all of it."""
        if body not in self.unreadable:
            self.unreadable.append(body)


def read_bodies(exchange: Exchange, *, content: bool, estimate: bool = False) -> Account:
    """Return what the bodies say; messages, instructions and definitions of tools only with ``content``."""
    account = Account()
    reader = READERS.get(exchange.api)
    if reader is None:
        _read_refusal(exchange, account)
        return account
    account.span.put(names.OPERATION, reader.operation.value)
    asked = _content("request", exchange, account)
    account.take("request", reader.request, asked.given, content or estimate)
    _from_path(exchange, account.span)
    answered = _content("response", exchange, account)
    account.first_content = answered.first_content
    account.failure = _failure(exchange, answered.given)
    account.take("response", reader.response, answered.given, content or estimate)
    if estimate and answered.given and account.failure is None:
        _estimate(account.values)
    if not content:
        for name in CONTENT:
            account.values.pop(name, None)
    return account


def _content(body: str, exchange: Exchange, account: Account) -> Content:
    try:
        found = (
            read_object(exchange.request)
            if body == "request"
            else read_answer(exchange.response, READERS[exchange.api])
        )
    except Exception:  # noqa: BLE001  as in Account.take
        found = Content({}, whole=False)
    cut = exchange.error is not None and body == "response"
    if not found.whole and not cut and not (exchange.request if body == "request" else exchange.response).truncated:
        account.mark(body)
    return found


def _read_refusal(exchange: Exchange, account: Account) -> None:
    """Read why an API that is not read otherwise has refused."""
    if exchange.status is not None and exchange.status >= FAILED:
        account.failure = failure_of_status(read_object(exchange.response).given)


def _failure(exchange: Exchange, given: Mapping[str, Any]) -> Failure | None:
    refused = exchange.status is not None and exchange.status >= FAILED
    return failure_of_status(given) if refused else failure(given)


def _from_path(exchange: Exchange, span: Reading) -> None:
    if (found := _MODEL.search(exchange.path)) is not None:
        span.put(names.REQUEST_MODEL, found[1])
    if exchange.api is Api.GEMINI_GENERATE_CONTENT and ":stream" in exchange.path:
        span.put(names.REQUEST_STREAM, True)


def _estimate(values: dict[str, Value]) -> None:
    """Guess the tokens that the provider did not report."""
    if not values.keys().isdisjoint((names.USAGE_INPUT, names.USAGE_OUTPUT)):
        return
    asked = (names.SYSTEM_INSTRUCTIONS, names.TOOL_DEFINITIONS, names.INPUT_MESSAGES)
    values[names.USAGE_INPUT] = sum(estimated_tokens(load(values.get(name))) for name in asked)
    values[names.USAGE_OUTPUT] = estimated_tokens(load(values.get(names.OUTPUT_MESSAGES)))
    values[names.USAGE_ESTIMATED] = True
