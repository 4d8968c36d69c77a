"""Reads calls from standard input, makes them with a real client, writes what the client saw; one JSON line each.

A call is `{"case", "url", "key", "headers"}`. The answer has `result`, or `error` with type, status, text and body; and
`http`: status, headers and body of each response, taken beneath the client: so much of it as it read.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["MESSAGES", "QUESTION", "TIMEOUT_SECONDS", "Call", "dump", "openai_tool", "serve"]

QUESTION = "Where is my parcel? 📦 It left Zürich."
SYSTEM = "You are a clerk of the post."
MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Call:
    """A call to make."""

    case: str
    url: str
    key: str
    headers: dict[str, str]


def openai_tool(name: str = "weather") -> dict[str, Any]:
    """Return a function in the form that OpenAI and Cohere share."""
    function = {"name": name, "description": "Weather of a city.", "parameters": PARAMETERS}
    return {"type": "function", "function": function}


def dump(value: Any) -> Any:
    """Return something of a client as JSON can hold it."""
    if isinstance(value, list):
        return [dump(one) for one in value]
    for method in ("model_dump", "dict"):
        if hasattr(value, method):
            return json.loads(json.dumps(getattr(value, method)(), default=str))
    return value


def serve(cases: dict[str, Callable[[Call], Any]]) -> None:
    """Make calls until there are no more."""
    responses: list[dict[str, Any]] = []
    _record(responses)
    with asyncio.Runner() as runner:  # one loop for all: some clients keep their connections between calls
        for line in sys.stdin:
            call = Call(**json.loads(line))
            responses.clear()
            answer = _make(cases[call.case], call, runner)
            print(json.dumps(answer | {"http": [_told(one) for one in responses]}, default=str), flush=True)


def _make(case: Callable[[Call], Any], call: Call, runner: asyncio.Runner) -> dict[str, Any]:
    try:
        found = case(call)
        return {"result": dump(runner.run(found) if inspect.iscoroutine(found) else found)}
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what it saw
        status = getattr(error, "status_code", getattr(error, "code", None))
        body = getattr(error, "body", getattr(error, "details", None))
        return {"error": {"type": type(error).__name__, "status": status, "text": str(error), "body": dump(body)}}


def _told(response: dict[str, Any]) -> dict[str, Any]:
    body = base64.b64encode(b"".join(response["chunks"])).decode()
    return {"status": response["status"], "headers": response["headers"], "body": body}


def _record(responses: list[dict[str, Any]]) -> None:
    """Keep what comes over the network, beneath every client that is built on httpx, whichever of the two."""
    for name in ("httpx", "httpx2"):
        try:
            library = __import__(name)
        except ImportError:
            continue
        _record_of(library, responses)


def _record_of(library: Any, responses: list[dict[str, Any]]) -> None:
    tee, async_tee = _sync_tee(library), _async_tee(library)
    send, send_async = library.HTTPTransport.handle_request, library.AsyncHTTPTransport.handle_async_request

    def keep(response: Any, kind: Any) -> Any:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
        kept: dict[str, Any] = {"status": response.status_code, "headers": headers, "chunks": []}
        responses.append(kept)
        response.stream = kind(response.stream, kept["chunks"])
        return response

    def handle_request(transport: Any, request: Any) -> Any:
        return keep(send(transport, request), tee)

    async def handle_async_request(transport: Any, request: Any) -> Any:
        return keep(await send_async(transport, request), async_tee)

    library.HTTPTransport.handle_request = handle_request
    library.AsyncHTTPTransport.handle_async_request = handle_async_request


def _sync_tee(library: Any) -> Any:
    class Tee(library.SyncByteStream):  # type: ignore[misc]  # a class of the library that is found at run time
        def __init__(self, stream: Any, chunks: list[bytes]) -> None:
            self._stream, self._chunks = stream, chunks

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk

        def close(self) -> None:
            self._stream.close()

    return Tee


def _async_tee(library: Any) -> Any:
    class Tee(library.AsyncByteStream):  # type: ignore[misc]  # as above
        def __init__(self, stream: Any, chunks: list[bytes]) -> None:
            self._stream, self._chunks = stream, chunks

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Tee
