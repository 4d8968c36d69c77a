"""From a call that a proxy saw to its span, and to what it used of a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from untrace_pipeline.data.compose import NewEvent, NewSpan
from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects import OTEL_GENAI
from untrace_plugins.genai.pricing import Request, Usage
from untrace_plugins.genai.providers.account import FAILED, Account, read_bodies
from untrace_plugins.genai.providers.apis import READERS
from untrace_plugins.genai.providers.errors import without
from untrace_plugins.genai.providers.exchange import Capture, Exchange
from untrace_plugins.genai.values import dump, load

__all__ = ["ATTEMPT_EVENT", "Spent", "to_span", "usage_of"]

ATTEMPT_EVENT: Final = "untrace.proxy.attempt"
"""Event for each request before the last, of a call that took more than one."""

_CLIENT, _ERROR = 3, 2
_NANOSECONDS: Final = 1_000_000_000
_STEPS: Final = 3
"""Parts of a path that its span is named for: the empty one before the first slash, the version, the resource."""


class Spent(NamedTuple):
    """What a call used of a budget."""

    request: Request
    """Whose prices apply."""
    usage: Usage | None
    """Tokens; ``None`` if the provider reported none."""


def to_span(exchange: Exchange, capture: Capture, *, estimate: bool = False) -> NewSpan:
    """Return the span of a call. Never raises: what cannot be read is left out, and the span says so.

    ``estimate`` sets tokens that the provider did not report to a guess, marked ``untrace.usage.estimated``.
    """
    account = _account(exchange, capture, estimate)
    attributes = {**account.values, **_facts(exchange, account)}
    _attribute(attributes, exchange)
    error = _error(exchange, account)
    if error:
        attributes[names.ERROR_TYPE] = error
    message = ""
    if account.failure is not None and capture is Capture.FULL:
        message = without(account.failure.message, exchange.secrets)
    trace, start = exchange.trace, exchange.start_unix_nano
    return NewSpan(
        trace.trace_id,
        trace.span_id,
        _name(exchange, attributes),
        start,
        start + max(exchange.ended - exchange.started, 0),
        _CLIENT,
        trace.parent_span_id,
        attributes,
        events=list(_attempts(exchange)),
        status_code=_ERROR if error else 0,
        status_message=(message or error) if error else "",
        trace_state=trace.trace_state,
        flags=trace.flags,
    )


def usage_of(exchange: Exchange, known: Mapping[str, Value] | None = None) -> Spent:
    """Return the model and the tokens of a call, without a look at what was said. Never raises.

    ``known`` are the attributes of its span, if there is one that has them: the bodies need not be read again.
    """
    values = read_bodies(exchange, content=False).values if known is None else known
    request = Request(
        exchange.provider,
        _text(values.get(names.RESPONSE_MODEL)),
        _text(values.get(names.REQUEST_MODEL)),
        _text(values.get(names.OPENAI_RESPONSE_SERVICE_TIER)),
        exchange.server_address,
    )
    counts = [values.get(name) for name in names.USAGE]
    if counts[0] is None and counts[1] is None:
        return Spent(request, None)
    return Spent(request, Usage(*[count if isinstance(count, int) else 0 for count in counts]))


def _account(exchange: Exchange, capture: Capture, estimate: bool) -> Account:
    if capture is not Capture.NONE:
        return read_bodies(exchange, content=capture is Capture.FULL, estimate=estimate)
    account = Account()
    if (reader := READERS.get(exchange.api)) is not None:
        account.span.put(names.OPERATION, reader.operation.value)
    return account


def _facts(exchange: Exchange, account: Account) -> dict[str, Value]:
    """Return what is known without the bodies, and how well those could be read."""
    facts: dict[str, Value] = {
        names.PROVIDER: exchange.provider,
        names.SERVER_ADDRESS: exchange.server_address,
        names.SERVER_PORT: exchange.server_port,
        names.HTTP_METHOD: exchange.method,
        names.URL_PATH: exchange.path,
        names.PROXY_UPSTREAM: exchange.upstream,
        names.PROXY_ATTEMPTS: len(exchange.attempts),
    }
    if exchange.status is not None:
        facts[names.HTTP_STATUS] = exchange.status
    for name, value in exchange.response_headers.items():
        if name != "content-type":
            facts[names.HTTP_RESPONSE_HEADER + name] = [value]
    if account.first_content is not None:
        facts[names.RESPONSE_TIME_TO_FIRST_CHUNK] = (account.first_content - exchange.started) / _NANOSECONDS
    if exchange.request.truncated or exchange.response.truncated:
        facts[names.CAPTURE_TRUNCATED] = True
    if account.unreadable:
        facts[names.CAPTURE_UNREADABLE] = [*account.unreadable]
    if exchange.api in READERS:
        facts[names.DIALECT] = OTEL_GENAI.name
    return facts


def _attribute(attributes: dict[str, Value], exchange: Exchange) -> None:
    """Set whose call it was; headers win over what the body says."""
    given = exchange.attribution
    if given.session_id:
        attributes[names.SESSION_ID] = given.session_id
    if given.user_id:
        attributes[names.USER_ID] = given.user_id
    if given.tags:
        attributes[names.TAGS] = [*given.tags]
    if given.metadata:
        attached = load(attributes.get(names.METADATA))
        attributes[names.METADATA] = dump({**(attached if isinstance(attached, dict) else {}), **given.metadata})


def _error(exchange: Exchange, account: Account) -> str:
    """Return ``error.type``: of how the call ended, else the provider's word or the status; empty if well."""
    if exchange.error is not None:
        return exchange.error
    refused = exchange.status is not None and exchange.status >= FAILED
    if account.failure is None:
        return str(exchange.status) if refused else ""
    return account.failure.type or (str(exchange.status) if refused else "_OTHER")


def _name(exchange: Exchange, attributes: dict[str, Value]) -> str:
    operation = _text(attributes.get(names.OPERATION))
    if operation is None:
        return f"{exchange.method} {'/'.join(exchange.path.split('/')[:_STEPS])}"
    model = _text(attributes.get(names.REQUEST_MODEL))
    return f"{operation} {model}" if model else operation


def _attempts(exchange: Exchange) -> Iterator[NewEvent]:
    for attempt in exchange.attempts[:-1]:
        attributes: dict[str, Value] = {
            names.PROXY_UPSTREAM: attempt.upstream,
            "duration": (attempt.ended - attempt.started) / _NANOSECONDS,
        }
        if attempt.status is not None:
            attributes[names.HTTP_STATUS] = attempt.status
        if attempt.error is not None or attempt.status is not None:
            attributes[names.ERROR_TYPE] = attempt.error or str(attempt.status)
        yield NewEvent(ATTEMPT_EVENT, exchange.start_unix_nano + attempt.ended - exchange.started, attributes)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
