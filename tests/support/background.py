"""A real OTLP server in a thread of its own, for checks that bring their own event loop."""

from __future__ import annotations

import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc

from untrace_pipeline.api import Receiver
from untrace_pipeline.data import Batch

_METHOD = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
METHODS = {_METHOD.format(name.lower(), name) for name in ("Trace", "Metrics", "Logs")}


class _Export(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def service(self, details: Any) -> Any:
        if details.method not in METHODS:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Stay quiet."""


class BackgroundServer:
    """Accepts every OTLP request; ``kind`` is ``grpc`` or ``http``."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.address = ""

    def __enter__(self) -> Self:
        if self._kind == "grpc":
            self._grpc = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_Export()])
            self.address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
            self._grpc.start()
        else:
            self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
            self.address = f"127.0.0.1:{self._http.server_address[1]}"
            self._thread = threading.Thread(target=self._http.serve_forever)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kind == "grpc":
            self._grpc.stop(None).wait()
        else:
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()


async def post_ingest(receiver: Receiver, batch: Batch) -> bool:
    """Send a batch to a running ``untrace`` receiver; return whether it was acknowledged."""
    url = f"http://{receiver.endpoint}/api/v1/traces/ingest"  # type: ignore[attr-defined]
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, session.post(url, data=batch.to_json(), headers=headers) as answer:
        return answer.status == 200


async def post_otlp(receiver: Receiver, batch: Batch) -> bool:
    """Send a batch to a running ``otlp`` receiver over HTTP; return whether it was acknowledged."""
    url = f"http://{receiver.http.endpoint}/v1/{batch.signal}"  # type: ignore[attr-defined]
    headers = {"Content-Type": "application/x-protobuf"}
    async with aiohttp.ClientSession() as session, session.post(url, data=batch.to_otlp(), headers=headers) as answer:
        return answer.status == 200
