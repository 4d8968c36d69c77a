"""Headers: which go on to the provider and back to the client, which are ours, which may be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

import orjson

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai.providers.exchange import REQUEST_HEADERS, RESPONSE_HEADERS, Attribution

__all__ = [
    "CREDENTIALS",
    "attribution",
    "kept_request",
    "kept_response",
    "request_lines",
    "response_lines",
    "secrets",
]

Header = tuple[bytes, bytes]

_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Of one connection only (RFC 9110, 7.6.1)."""
_REQUEST_OWN: Final = _CONNECTION | {b"host", b"content-length", b"expect"}
"""What each request to a provider gets anew."""
_ANSWER_OWN: Final = _CONNECTION | {b"x-untrace-overhead-ms"}
"""What each answer gets anew; another daemon's time is not ours."""
TRACE: Final = frozenset({b"traceparent", b"tracestate"})
CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Where the providers look for a key."""
_SECRETS: Final = frozenset(
    {
        *CREDENTIALS,
        b"proxy-authorization",
        b"ocp-apim-subscription-key",
        b"x-amz-security-token",
        b"cookie",
        b"x-untrace-key",
        b"helicone-auth",
        b"x-portkey-api-key",
        b"x-portkey-virtual-key",
        b"cf-aig-authorization",
        b"x-litellm-api-key",
        b"x-auth-token",
    }
)
"""Where gateways look for one, too."""
_SECRET_PARAMETERS: Final = frozenset({"key", "api_key", "access_token", "sig", "X-Amz-Signature", "X-Amz-Credential"})
_CONTROL: Final = (b"x-untrace-", b"helicone-")
"""How headers begin that speak to a proxy; no provider gets them."""

_HELICONE: Final = {"helicone-session-id": "session", "helicone-user-id": "user"}
_TEXT_LIMIT: Final = 1024
"""Characters of an id or tag."""
_METADATA_LIMIT: Final = 64
"""Entries of metadata, and tags."""


def request_lines(headers: Iterable[Header], dropped: frozenset[bytes]) -> list[bytes]:
    """Return the lines that go on to a provider, in order; ``dropped`` are names that do not, besides our own."""
    named = _named_by_connection(headers)
    return [
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if name not in _REQUEST_OWN
        and name not in dropped
        and not name.startswith(_CONTROL)
        and (not named or name not in named)
    ]


def response_lines(headers: Iterable[Header], *, with_length: bool = True) -> tuple[bytes, int | None]:
    """Return the lines that go back to the client, as they came, and the length of the body if it is told."""
    lines = []
    length = None
    named = _named_by_connection(headers)
    for name, value in headers:
        lower = name.lower()
        if lower in _ANSWER_OWN or (named and lower in named):
            continue
        if lower == b"content-length":
            if not with_length:
                continue
            length = int(value)
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines), length


def _named_by_connection(headers: Iterable[Header]) -> set[bytes]:
    """Return the names that ``Connection`` adds to those of one connection."""
    found: set[bytes] = set()
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"connection" and value.lower() not in {b"keep-alive", b"close"}:  # noqa: PLR2004
            found.update(one.strip() for one in value.lower().split(b","))
    return found


def kept_request(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return what may be kept of a request's headers."""
    return {name: headers[raw].decode("latin-1") for name, raw in _KEPT_REQUEST if raw in headers}


_KEPT_REQUEST: Final = [(name, name.encode()) for name in REQUEST_HEADERS]


def kept_response(headers: Iterable[Header]) -> dict[str, str]:
    """Return what may be kept of a response's headers."""
    return {kept: value.decode("latin-1") for name, value in headers if (kept := _kept_name(name))}


@lru_cache(maxsize=1024)
def _kept_name(raw: bytes) -> str:
    """Return the name under which a header of a response is kept; empty if it is not."""
    name = raw.lower().decode("latin-1")
    return name if name.startswith(RESPONSE_HEADERS) else ""


def attribution(headers: Iterable[Header]) -> Attribution:
    """Return what ``X-Untrace-*``, or else ``Helicone-*``, say of a call: session, user, tags, metadata."""
    said: dict[str, str] = {}
    metadata: dict[str, Value] = {}
    for raw, value in headers:
        if not raw.startswith(_CONTROL):
            continue
        name, text = raw.decode("latin-1"), _decoded(value)
        if name in _HELICONE:
            said.setdefault(_HELICONE[name], text)
        elif name.startswith("helicone-property-"):
            _put(metadata, name.removeprefix("helicone-property-"), text)
        elif name.startswith("x-untrace-metadata-"):
            _put(metadata, name.removeprefix("x-untrace-metadata-"), text)
        elif name.startswith("x-untrace-"):
            said[name.removeprefix("x-untrace-").removesuffix("-id")] = text
    if not said and not metadata:
        return _NOTHING
    _put_all(metadata, said.get("metadata", ""))
    tags = [tag.strip()[:_TEXT_LIMIT] for tag in said.get("tags", "").split(",") if tag.strip()]
    return Attribution(
        said.get("session", "")[:_TEXT_LIMIT], said.get("user", "")[:_TEXT_LIMIT], tags[:_METADATA_LIMIT], metadata
    )


_NOTHING: Final = Attribution()


def _decoded(value: bytes) -> str:
    """Headers are Latin-1 by the book; many clients write UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _put(metadata: dict[str, Value], name: str, value: Value) -> None:
    if name and len(metadata) < _METADATA_LIMIT:
        metadata[name[:_TEXT_LIMIT]] = value[:_TEXT_LIMIT] if isinstance(value, str) else value


def _put_all(metadata: dict[str, Value], text: str) -> None:
    """Read a JSON object; anything else is left out, because a call must not fail over a label."""
    if not text:
        return
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    if isinstance(found, dict):
        for name, value in found.items():
            plain = isinstance(value, str | int | float | bool)
            _put(metadata, name, value if plain else orjson.dumps(value).decode())


def secrets(headers: Iterable[Header], query: str) -> list[str]:
    """Return the keys that a request brings, as they stand there."""
    found = [value.decode("latin-1").rpartition(" ")[2] for name, value in headers if name in _SECRETS]
    if query:
        found += [value for name, value in parse_qsl(query) if name in _SECRET_PARAMETERS]
    return found
