"""OTLP clients that say what became of one attempt: taken, refused, or lost without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import grpc
import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
RETRYABLE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
RETRYABLE_HTTP = {429, 502, 503, 504}


@dataclass(frozen=True)
class Result:
    """What became of one attempt. An empty code is success."""

    code: str = ""
    retryable: bool = True
    delay: float | None = None
    """When to come back, in the words of the server."""
    answered: bool = True
    """Without an answer nobody knows whether the request was taken."""
    rejected: int = 0
    message: str = ""


class Client(Protocol):
    """Makes attempts, many at once."""

    name: str

    async def attempt(self, body: bytes) -> Result: ...

    async def close(self) -> None: ...


def _rejected(answer: bytes) -> int:
    return ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans


class GrpcClient:
    """One connection; it comes again soon after the server does."""

    name = "grpc"

    def __init__(self, target: str, timeout: float) -> None:
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._export = self._channel.unary_unary(METHOD, None, None)
        self._timeout = timeout

    async def attempt(self, body: bytes) -> Result:
        """Send once."""
        try:
            return Result(rejected=_rejected(await self._export(body, timeout=self._timeout)))
        except grpc.aio.AioRpcError as error:
            return _grpc_result(error)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)


def _grpc_result(error: grpc.aio.AioRpcError) -> Result:
    delay = _retry_delay(error)
    code = error.code()
    retryable = code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay is not None)
    # The library says UNAVAILABLE too when there was no answer; our receivers always say when to come back.
    answered = code not in RETRYABLE or delay is not None
    return Result(code.name, retryable, delay, answered, message=error.details() or "")


def _retry_delay(error: grpc.aio.AioRpcError) -> float | None:
    trailers: Any = error.trailing_metadata() or ()
    packed = next((value for key, value in trailers if key == "grpc-status-details-bin"), b"")
    for detail in Status.FromString(packed).details:
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


class HttpClient:
    """As many connections as there are attempts under way."""

    name = "http"

    def __init__(self, target: str, timeout: float) -> None:
        self._url = f"http://{target}/v1/traces"
        self._timeout = aiohttp.ClientTimeout(timeout)
        self._session: aiohttp.ClientSession | None = None

    async def attempt(self, body: bytes) -> Result:
        """Send once."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=self._timeout)
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                return _http_result(answer.status, answer.headers.get("Retry-After"), await answer.read())
        except aiohttp.ClientConnectorError:
            return Result("connect")
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            return Result("connection", answered=False, message=repr(error))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _http_result(status: int, retry_after: str | None, body: bytes) -> Result:
    if status == 200:
        return Result(rejected=_rejected(body))
    delay = float(retry_after) if retry_after else None
    return Result(str(status), status in RETRYABLE_HTTP, delay, message=body[:200].decode(errors="replace"))
