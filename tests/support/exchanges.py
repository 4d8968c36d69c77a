"""Calls as a proxy would have seen them, without a proxy: from bodies, and from the stand-in of all providers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.llm_upstream import Ask, Fault, Recorded, Reply, ask_of, reply_to
from untrace_plugins.genai.providers.exchange import (
    RESPONSE_HEADERS,
    Api,
    Attempt,
    Body,
    Exchange,
    TraceContext,
)

__all__ = ["MILLISECOND", "PATHS", "asked", "exchange", "seen"]

MILLISECOND = 1_000_000
START = 1_764_400_000 * 1000 * MILLISECOND
PATHS: Mapping[Api, str] = {
    Api.OPENAI_CHAT: "/v1/chat/completions",
    Api.OPENAI_COMPLETIONS: "/v1/completions",
    Api.OPENAI_RESPONSES: "/v1/responses",
    Api.OPENAI_EMBEDDINGS: "/v1/embeddings",
    Api.ANTHROPIC_MESSAGES: "/v1/messages",
    Api.COHERE_CHAT: "/v2/chat",
    Api.COHERE_EMBED: "/v2/embed",
    Api.GEMINI_GENERATE_CONTENT: "/v1beta/models/gemini-2.5-flash:generateContent",
    Api.GEMINI_EMBED_CONTENT: "/v1beta/models/gemini-embedding-001:embedContent",
    Api.OTHER: "/v1/models",
}
_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "cohere": "cohere", "gemini": "gcp.gemini"}


def exchange(
    api: Api,
    request: Any = None,
    response: Any = None,
    *,
    status: int | None = 200,
    path: str = "",
    encoding: str = "",
    **more: Any,
) -> Exchange:
    """Return a call; bodies are bytes, chunks of bytes that come every millisecond, or what becomes JSON."""
    sent, came = _chunks(request), _chunks(response)
    provider = _PROVIDERS.get(api.partition(".")[0], "openai")
    started = 5_000 * MILLISECOND
    facts: dict[str, Any] = {
        "provider": provider,
        "upstream": provider,
        "server_address": "api.example.com",
        "server_port": 443,
        "method": "POST",
        "trace": TraceContext(b"t" * 16, b"s" * 8, b"p" * 8, "vendor=1"),
        "start_unix_nano": START,
        "started": started,
        "ended": started + 1000 * MILLISECOND,
        "attempts": [Attempt(provider, started, started + 900 * MILLISECOND, status)],
    }
    return Exchange(
        api=api,
        path=path or PATHS[api],
        request=Body(sent, [started] * len(sent), sum(map(len, sent))),
        response=Body(
            came, [started + (n + 1) * MILLISECOND for n in range(len(came))], sum(map(len, came)), encoding=encoding
        ),
        status=status,
        **{**facts, **more},
    )


def asked(target: str, body: Mapping[str, Any], key: str = "sk-test") -> tuple[Recorded, Ask]:
    """Return a request as the stand-in would get it."""
    text = json.dumps(body, ensure_ascii=False).encode()
    recorded = Recorded("POST", target, (("Authorization", f"Bearer {key}"),), text, 0)
    return recorded, ask_of(recorded)


def seen(recorded: Recorded, ask: Ask, fault: str = "", **more: Any) -> Exchange:
    """Return a call of the stand-in."""
    reply = reply_to(recorded, ask, Fault.parse(fault) if fault else Fault())
    headers = {name.lower(): value for name, value in reply.headers}
    return exchange(
        Api(ask.api),
        recorded.body,
        list(reply.pieces),
        status=reply.status,
        path=recorded.path,
        encoding=headers.get("content-encoding", ""),
        provider=ask.provider,
        response_headers=_kept(reply),
        **more,
    )


def _kept(reply: Reply) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers if name.lower().startswith(RESPONSE_HEADERS)}


def _chunks(given: Any) -> list[bytes]:
    if given is None:
        return []
    if isinstance(given, bytes):
        return [given]
    if isinstance(given, Sequence) and all(isinstance(one, bytes) for one in given):
        return list(given)
    return [json.dumps(given, ensure_ascii=False).encode()]
