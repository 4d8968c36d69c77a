"""An OTLP/HTTP destination in threads of its own, for tests that run commands: it refuses, is mended, and remembers."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from untrace_pipeline.data import Batch, Field, Level, Signal

__all__ = ["Destination"]

_SPAN_ID = Field(Level.ITEM, "span_id")


class Destination:
    """Answers every request with ``status`` and ``body``; what it takes (2xx) is counted by span id.

    ``status`` may be changed at any time; ``max_bytes`` refuses larger requests with 413.
    """

    def __init__(self, status: int = 200, body: str = "", *, delay: float = 0.0, max_bytes: int = 0) -> None:
        self.status = status
        self.body = body
        self.delay = delay
        self.max_bytes = max_bytes
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.taken: Counter[object] = Counter()
        """How often each span was taken, by its id."""
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, signal: Signal, data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Judge a request."""
        time.sleep(self.delay)
        with self._lock:
            self.requests += 1
            if self.max_bytes and len(data) > self.max_bytes:
                return 413, b"too large"
            if self.status == 200:
                self.headers.append(headers)
                ids = Batch(signal, data).column(_SPAN_ID) if signal is Signal.TRACES else []
                self.taken.update(bytes(one) if isinstance(one, bytes) else one for one in ids)
            return self.status, self.body.encode()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"destination": self})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    destination: Destination

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, body = self.destination.answer(Signal(self.path.removeprefix("/v1/")), data, headers)
        head = f"HTTP/1.1 {status} x\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *_arguments: Any) -> None:
        """Stay quiet."""
