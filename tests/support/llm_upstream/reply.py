"""An answer as it goes over the wire: status, headers, and the pieces of the body in their times."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import zstandard

from tests.support.llm_upstream import anthropic, cohere, gemini, openai
from tests.support.llm_upstream.ask import Ask, Recorded
from tests.support.llm_upstream.errors import RETRY_AFTER_SECONDS, error_body, stream_error
from tests.support.llm_upstream.faults import Fault
from tests.support.llm_upstream.pieces import event
from tests.support.llm_upstream.truth import Truth, truth_of

__all__ = ["Reply", "reply_to"]

Plain = Callable[[Ask, Truth], dict[str, Any]]
Stream = Callable[[Ask, Truth], Iterator[bytes]]
_ANSWERS: dict[str, tuple[Plain, Stream | None]] = {
    "openai.chat": (openai.chat, openai.chat_stream),
    "openai.completions": (openai.completion, openai.completion_stream),
    "openai.responses": (openai.response, openai.response_stream),
    "openai.embeddings": (openai.embeddings, None),
    "anthropic.messages": (anthropic.message, anthropic.message_stream),
    "cohere.chat": (cohere.chat, cohere.chat_stream),
    "gemini.generate_content": (gemini.generate, gemini.generate_stream),
    "gemini.embed_content": (gemini.embed, None),
}
_REQUEST_IDS = {"anthropic": "request-id", "cohere": "x-debug-trace-id", "gemini": "x-goog-request-id"}
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "authorization")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `chunked` bodies are sent piece by piece, others with their length."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Sequence[bytes]
    chunked: bool

    @property
    def body(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


def reply_to(request: Recorded, ask: Ask, fault: Fault) -> Reply:
    """Return the answer to a request, with those faults that lie in what is said, not in how it is sent."""
    key = next((value for name in _KEY_HEADERS if (value := request.header(name))), "").removeprefix("Bearer ")
    if fault.name == "status" or "invalid" in key:
        status = fault.number if fault.name == "status" else 401
        return _error(ask, status, error_body(ask, status, key))
    if fault.name == "quotes":
        return _error(ask, 403, error_body(ask, 403, text=f"Team 7 does not allow {key} for this model."))
    if fault.name == "html":
        page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
        return Reply(502, (("Content-Type", "text/html"), ("Server", "nginx")), [page], chunked=False)
    return _FAULTY.get(fault.name, _unchanged)(_answer(request, ask), ask, fault)


def _answer(request: Recorded, ask: Ask) -> Reply:
    truth = truth_of(ask)
    plain, stream = _ANSWERS.get(ask.api, (None, None))
    if ask.stream and stream:
        pieces = list(stream(ask, truth))
        kind = "application/json" if ask.form == "array" else "text/event-stream; charset=utf-8"
        return Reply(200, _headers(ask, kind), pieces, chunked=True)
    body = plain(ask, truth) if plain else _other(request, ask)
    text = json.dumps(body, ensure_ascii=False, indent=2).encode()
    return Reply(200, _headers(ask, "application/json"), [text], chunked=False)


def _other(request: Recorded, ask: Ask) -> dict[str, Any]:
    if request.path.endswith("/models") and request.method == "GET":
        return openai.models()
    if request.path.endswith("/files") and request.method == "POST":
        return openai.file(ask)
    if request.path.endswith("/messages/count_tokens"):
        return {"input_tokens": ask.size // 4}
    return {"object": "echo", "method": request.method, "target": request.target, "bytes": len(request.body)}


def _headers(ask: Ask, kind: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Date", "Sat, 29 Nov 2025 07:06:40 GMT"),
        ("Content-Type", kind),
        (_REQUEST_IDS.get(ask.dialect, "x-request-id"), f"req_{ask.digest[24:44]}"),
        ("openai-processing-ms", "412"),
        ("X-RateLimit-Remaining-Requests", "4999"),
        ("Set-Cookie", f"__cf_bm={ask.digest[:16]}; path=/; HttpOnly; Secure"),
        ("Set-Cookie", f"_cfuvid={ask.digest[16:32]}; path=/; HttpOnly"),
        ("CF-RAY", "94f1a2b3c4d5e6f7-ZRH"),
    )


def _error(ask: Ask, status: int, body: dict[str, Any]) -> Reply:
    text = json.dumps(body, indent=2).encode()
    headers = _headers(ask, "application/json")
    if status in {429, 503}:
        headers += (("Retry-After", RETRY_AFTER_SECONDS), ("x-should-retry", "true"))
    return Reply(status, headers, [text], chunked=False)


def _unchanged(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    return reply


def _invalid(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    if not reply.chunked:
        return replace(reply, pieces=[reply.body[:-20] + b"\n<oops"])
    return replace(reply, pieces=[piece.replace(b'":', b'"=', 1) for piece in reply.pieces])


def _huge(reply: Reply, _ask: Ask, fault: Fault) -> Reply:
    """Blow up one text of the answer, and leave the rest as it is."""
    filling = b"wait " * (fault.number * 200_000)
    if reply.chunked:
        grown = [piece.replace(b"parcel", b"parcel" + filling, 1) for piece in reply.pieces]
        return replace(reply, pieces=grown)
    return replace(reply, pieces=[reply.body.replace(b"parcel", b"parcel " + filling, 1)])


def _compressed(reply: Reply, _ask: Ask, fault: Fault) -> Reply:
    headers = (*reply.headers, ("Content-Encoding", fault.name), ("Vary", "Accept-Encoding"))
    if not reply.chunked:
        whole: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "zstd": _zstd, "deflate": zlib.compress}
        return replace(reply, headers=headers, pieces=[whole[fault.name](reply.body)])
    coder = _coders()[fault.name]
    return replace(reply, headers=headers, pieces=list(coder(reply.pieces)))


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _coders() -> dict[str, Callable[[Sequence[bytes]], Iterator[bytes]]]:
    def zlib_stream(bits: int) -> Callable[[Sequence[bytes]], Iterator[bytes]]:
        def code(pieces: Sequence[bytes]) -> Iterator[bytes]:
            coder = zlib.compressobj(wbits=bits)
            for piece in pieces:
                yield coder.compress(piece) + coder.flush(zlib.Z_SYNC_FLUSH)
            yield coder.flush()

        return code

    def zstd_stream(pieces: Sequence[bytes]) -> Iterator[bytes]:
        coder = zstandard.ZstdCompressor().compressobj()
        for piece in pieces:
            yield coder.compress(piece) + coder.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        yield coder.flush()

    return {"gzip": zlib_stream(31), "deflate": zlib_stream(15), "zstd": zstd_stream}


def _cut(reply: Reply, _ask: Ask, fault: Fault) -> Reply:
    body = reply.body
    pieces = [body[place : place + fault.number] for place in range(0, len(body), fault.number)]
    return replace(reply, pieces=pieces, chunked=True)


def _crlf(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    if not reply.chunked:
        return reply
    plain = [piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for piece in reply.pieces]
    return replace(reply, pieces=[plain[0], b": keep-alive\r\n\r\n", *plain[1:]])


def _stream_error(reply: Reply, ask: Ask, _fault: Fault) -> Reply:
    if not reply.chunked:
        return reply
    name = "error" if ask.dialect == "anthropic" or ask.api == "openai.responses" else ""
    return replace(reply, pieces=[*reply.pieces[: len(reply.pieces) // 2], event(stream_error(ask), name)])


def _no_done(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    return replace(reply, pieces=reply.pieces[:-1]) if reply.chunked else reply


def _big_header(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    return replace(reply, headers=(*reply.headers, ("x-policy", "p" * 12_000)))


def _empty(reply: Reply, _ask: Ask, _fault: Fault) -> Reply:
    return replace(reply, pieces=[b""], chunked=False)


_FAULTY: dict[str, Callable[[Reply, Ask, Fault], Reply]] = {
    "invalid_json": _invalid,
    "huge": _huge,
    "gzip": _compressed,
    "zstd": _compressed,
    "deflate": _compressed,
    "pieces": _cut,
    "crlf": _crlf,
    "stream_error": _stream_error,
    "no_done": _no_done,
    "big_header": _big_header,
    "empty": _empty,
}
