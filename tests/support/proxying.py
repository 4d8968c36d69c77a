"""The ``llm_proxy`` receiver between a stand-in for providers and a raw client, so that bytes can be compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.llm_upstream import LlmUpstream
from tests.support.receivers import Receiving, receiving
from untrace_pipeline.data import Item, Signal
from untrace_plugins.receivers.llm_proxy import FACTORY

__all__ = ["Answer", "Proxying", "ask", "proxying", "read_answer", "request_bytes", "spans_of"]


@dataclass
class Answer:
    """An answer as it came over the wire."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    complete: bool = True
    """Whether it came to its end."""
    pieces: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    port: int,
    path: str,
    body: Mapping[str, Any] | bytes | None = None,
    *,
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request on a connection of its own and return the answer, read by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        writer.write(request_bytes(path, body, method=method, headers=headers))
        return await read_answer(reader, head_only=method == "HEAD")
    finally:
        writer.close()


def request_bytes(
    path: str,
    body: Mapping[str, Any] | bytes | None = None,
    *,
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a request for the wire."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "proxy", "Content-Length": str(len(data)), "Content-Type": "application/json", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + data


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> Answer:
    """Read an answer to its end, or to where it breaks off."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4].split("\r\n")
    _, code, reason = status.split(" ", 2)
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    answer = Answer(int(code), reason, headers, b"")
    length = answer.header("content-length")
    try:
        if head_only or answer.status in {204, 304}:
            return answer
        if answer.header("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                answer.pieces.append((await reader.readexactly(size + 2))[:-2])
            await reader.readuntil(b"\r\n")
        elif length is not None:
            answer.pieces.append(await reader.readexactly(int(length)))
        else:
            answer.pieces.append(await reader.read())
    except asyncio.IncompleteReadError as error:
        answer.complete = False
        answer.pieces.append(error.partial)
    except ConnectionError:
        answer.complete = False
    answer.body = b"".join(answer.pieces)
    return answer


class Proxying:
    """A running proxy."""

    def __init__(self, running: Receiving) -> None:
        self.running = running

    @property
    def port(self) -> int:
        return int(self.running.receiver.endpoint.port)

    async def ask(self, path: str, body: Mapping[str, Any] | bytes | None = None, **more: Any) -> Answer:
        return await ask(self.port, path, body, **more)

    async def spans(self, count: int) -> list[Item]:
        """Return the spans that came out, once there are so many."""
        await self.running.until(lambda: self.running.sink.item_count >= count)
        return spans_of(self.running)

    def count(self, name: str, **labels: str) -> float:
        return self.running.meter.value(name, **labels)


def spans_of(running: Receiving) -> list[Item]:
    """Return all spans that came out."""
    return [item for batch in running.sink.batches for item in batch.items()]


@asynccontextmanager
async def proxying(
    upstream: LlmUpstream | None = None,
    sink: Any = None,
    extensions: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Proxying]:
    """Run a proxy; all kinds lead to ``upstream`` unless ``upstreams`` says otherwise."""
    if upstream is not None and "upstreams" not in options:
        kinds = ("openai", "azure_openai", "anthropic", "cohere", "gemini")
        options["upstreams"] = {kind: {"base_url": upstream.url} for kind in kinds}
    queue = {"flush_interval": "10ms", **options.pop("capture_queue", {})}
    given = {"endpoint": "127.0.0.1:0", "capture_queue": queue, **options}
    async with receiving(FACTORY, given, signals=[Signal.TRACES], sink=sink, extensions=extensions) as running:
        yield Proxying(running)
