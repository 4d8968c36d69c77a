"""A server before a server: answers some requests itself, as a bad day would, and passes on the others."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["Fault", "FaultyServer", "Seen", "aws_error", "s3_error"]


@dataclass
class Fault:
    """What happens to one request."""

    status: int = 0
    """Of our own answer; 0 = the connection is closed without one."""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """Whether the request is passed on all the same: the work is done, and nobody hears of it."""


@dataclass
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


def s3_error(status: int, code: str, message: str = "no", **headers: str) -> Fault:
    """Answer as S3 does."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Fault(status, body.encode(), {"Content-Type": "application/xml"} | headers)


def aws_error(status: int, code: str, message: str = "no") -> Fault:
    """Answer as services with JSON do."""
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": message})
    return Fault(status, body.encode(), {"Content-Type": "application/x-amz-json-1.1"})


class FaultyServer:
    """Passes requests on to ``upstream``; without one, PutRecords and everything else succeed."""

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.faults: deque[Fault | None] = deque()
        """For the next requests, in order; ``None`` lets one pass."""
        self.seen: list[Seen] = []
        self.url = ""

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Return what a request gets."""
        self.seen.append(seen)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and not fault.after:
            return fault.status, fault.headers, fault.body
        passed = self._pass_on(seen) if self.upstream else (200, {}, _taken(seen))
        return passed if fault is None else (fault.status, fault.headers, fault.body)

    def _pass_on(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        data = seen.body if seen.body or seen.method in {"PUT", "POST"} else None
        headers = {
            name: value for name, value in seen.headers.items() if name not in {"host", "connection", "content-length"}
        }
        request = urllib.request.Request(self.upstream + seen.path, data=data, method=seen.method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as found:
                return found.status, dict(found.headers.items()), found.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read()

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, given, data = outer.answer(Seen(self.command, self.path, headers, body))
                if not status:
                    self.close_connection = True
                    return
                self.send_response_only(status)
                for name, value in given.items():
                    if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815  the names that the library asks for

            def log_message(self, *_arguments: Any) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _taken(seen: Seen) -> bytes:
    if not seen.headers.get("x-amz-target", "").endswith("PutRecords"):
        return b""
    rows = [{"ShardId": "0", "SequenceNumber": "1"} for _ in json.loads(seen.body)["Records"]]
    return json.dumps({"FailedRecordCount": 0, "Records": rows}).encode()
