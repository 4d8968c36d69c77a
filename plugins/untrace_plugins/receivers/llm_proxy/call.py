"""One call through the proxy, from its head to the span that tells of it, on every way that it may end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from untrace_pipeline.api import Credentials
from untrace_pipeline.net.http_message import ClientGoneError, HttpError, Request
from untrace_pipeline.net.http_origin_connection import Failure
from untrace_pipeline.net.http_streaming import BodyWriter, StreamedResponse
from untrace_plugins.genai.providers.exchange import Api, Body, Capture, Exchange
from untrace_plugins.receivers.llm_proxy.config import OnDisconnect
from untrace_plugins.receivers.llm_proxy.headers import (
    attribution,
    kept_request,
    kept_response,
    response_lines,
    secrets,
)
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError
from untrace_plugins.receivers.llm_proxy.routing import Plan
from untrace_plugins.receivers.llm_proxy.sending import Sending
from untrace_plugins.receivers.llm_proxy.stream_ends import LOOKED_AT_BYTES, has_ended
from untrace_plugins.receivers.llm_proxy.tee import whole
from untrace_plugins.receivers.llm_proxy.trace_context import trace_of
from untrace_plugins.receivers.llm_proxy.upstream_call import UpstreamCall
from untrace_plugins.receivers.llm_proxy.usage_option import UsageStripper, with_usage

if TYPE_CHECKING:
    from untrace_plugins.receivers.llm_proxy.receiver import LlmProxyReceiver

__all__ = ["Call"]

OBJECT_BYTES: Final = 8000
"""About what a call takes besides its bodies."""
CANCELLED: Final = "cancelled"
"""The daemon had to stop before the call had ended."""
DISCONNECTED: Final = "client_disconnect"
INTERNAL: Final = "internal_error"
"""A fault of ours; the log has it."""
REFUSED: Final = "refused"
"""Refused before any upstream was asked; there is no span."""


class Call:
    """Handles one request. What it was is asked of it later, off the path: :meth:`exchange`."""

    __slots__ = (
        "_asked",
        "_body",
        "_ended",
        "_error",
        "_gone",
        "_left",
        "_plan",
        "_proxy",
        "_request",
        "_sending",
        "_started",
        "_stripper",
        "_task",
        "_trace",
        "_unix",
        "_waited",
        "key",
        "who",
    )

    def __init__(self, proxy: LlmProxyReceiver, request: Request) -> None:
        self._proxy = proxy
        self._request = request
        self._started = monotonic_ns()
        self._unix = time.time_ns()
        self._ended = 0
        self._waited = 0  # nanoseconds until the client had sent its body
        self._trace = trace_of(request.first)
        self._body = b""
        self._asked = Body()
        self._plan: Plan | None = None
        self._sending: Sending | None = None
        self._stripper: UsageStripper | None = None
        self._task: asyncio.Task[object] | None = None
        self._gone = False
        self._left: str | None = DISCONNECTED  # how the call ended for a client that went; well, if it had heard all
        self._error: str | None = None
        self.who = Credentials()
        """Who called, where the server has ``auth``."""
        self.key = ""
        """What the limits count under; empty without limits."""

    # ------------------------------------------------------------------ answer

    async def answer(self) -> StreamedResponse:
        """Return the answer as soon as its head is known. Raises :class:`HttpError` and :class:`ClientGoneError`."""
        self._proxy.meters.begun()
        try:
            return self._response(await self._ask())
        except HttpError as error:
            self._end(error.code if isinstance(error, ProxyError) and self._sending else REFUSED)
            raise
        except ClientGoneError:
            self._end(DISCONNECTED)
            raise
        except asyncio.CancelledError:
            self._cancelled()
            raise
        except Exception:
            self._end(INTERNAL)
            raise

    async def _ask(self) -> UpstreamCall:
        proxy, request = self._proxy, self._request
        self.who = await proxy.authenticate(request)
        plan = self._plan = proxy.router.plan(request)
        self._body = await self._read()
        self.key = proxy.limits.admit(request, self.who)
        body = self._body
        config = proxy.config
        if config.inject_usage and plan.api is Api.OPENAI_CHAT and (asking := with_usage(body)) is not None:
            body, self._stripper = asking, UsageStripper()
        sending = self._sending = Sending(
            request,
            body,
            plan,
            self._trace if config.propagate_trace else None,
            proxy.meters,
            passes_keys=config.passes_client_keys,
            tee_bytes=config.max_capture_bytes if self._is_kept else 0,
            unencoded=self._stripper is not None,
        )
        self._task = asyncio.current_task()
        request.on_gone(self._client_gone)
        call = await sending.run()
        if self._gone:  # and the call is to be read to its end all the same
            call.release()
            await call.finished()
            raise ClientGoneError
        return call

    async def _read(self) -> bytes:
        if self._request.complete:
            return await self._request.read()
        begun = monotonic_ns()
        try:
            return await self._request.read()
        finally:
            self._waited = monotonic_ns() - begun

    def _response(self, call: UpstreamCall) -> StreamedResponse:
        sending = self._sending
        assert sending is not None
        head = call.head
        if head is None:
            assert call.error is not None
            failure = call.error.failure
            status = HTTPStatus.GATEWAY_TIMEOUT if failure is Failure.TIMEOUT else HTTPStatus.BAD_GATEWAY
            raise ProxyError(status, failure.value, f"upstream {sending.upstream.name}: {call.error}")
        lines, length = response_lines(head.headers, with_length=self._stripper is None)
        overhead = (monotonic_ns() - self._started - self._waited - sending.waited) * 1e-9
        self._proxy.meters.overhead.record(overhead)
        lines += b"x-untrace-overhead-ms: %.3f\r\n" % (overhead * 1000)
        return StreamedResponse(head.status, head.reason, lines, length, self._produce)

    # -------------------------------------------------------------------- body

    async def _produce(self, body: BodyWriter) -> None:
        """Pass the body on, and end the call."""
        assert self._sending is not None
        call = self._sending.call
        assert call is not None
        try:
            if not call.ended:
                body.pause, body.resume = call.pause, call.resume
            if not self._gone:
                call.pass_on(self._sink(body))
            await call.finished()
            if call.error is None and not self._gone:
                body.write(self._stripper.rest() if self._stripper is not None else b"")
                body.finish()
        except asyncio.CancelledError:
            call.abort()
            self._cancelled()
            raise
        except Exception:
            call.abort()
            self._end(INTERNAL)
            raise
        broken = None if call.error is None else call.error.failure.value
        self._end(self._left if self._gone else broken)

    def _sink(self, body: BodyWriter) -> Callable[[bytes], None]:
        if (stripper := self._stripper) is None:
            return body.write

        def write(piece: bytes) -> None:
            body.write(stripper.feed(piece))

        return write

    # --------------------------------------------------------------------- end

    def _client_gone(self) -> None:
        if self._ended:
            return
        self._gone = True
        call = None if self._sending is None else self._sending.call
        heard = call.tee.end(LOOKED_AT_BYTES) if call is not None and call.tee is not None else b""
        self._left = None if has_ended(heard) else DISCONNECTED
        if call is not None:
            call.release()
        if self._proxy.config.on_client_disconnect is OnDisconnect.CANCEL:
            assert self._task is not None
            self._task.cancel()
        elif call is not None:
            call.resume()

    def _cancelled(self) -> None:
        """End the call where its task was cancelled. Raises :class:`ClientGoneError` if that was for the client."""
        if not self._gone:
            self._end(CANCELLED)
            return
        assert self._task is not None
        self._task.uncancel()
        self._end(self._left)
        raise ClientGoneError

    def _end(self, error: str | None) -> None:
        """Count the call, and hand it over; ``error`` is how it ended, if not by an answer."""
        self._ended = monotonic_ns()
        self._error = error
        sending = self._sending
        call = None if sending is None else sending.call
        status = call.head.status if call is not None and call.head is not None else None
        self._proxy.meters.ended(sending.upstream.name if sending else "", status, error)
        self._let_go()
        if self._plan is not None and error != REFUSED:
            self._proxy.capture.put(self)

    def _let_go(self) -> None:
        """Keep of the request what its span needs: the call may wait for a while."""
        config, encoding = self._proxy.config, self._request.header("content-encoding")
        self._asked = (
            whole(self._body, self._started, config.max_capture_bytes, encoding)
            if self._is_kept
            else Body(size=len(self._body))
        )
        self._body = b""
        self._task = None
        self._request.release()
        if self._sending is not None:
            self._sending.release()

    @property
    def _is_kept(self) -> bool:
        """Whether its bodies are of use: for the span, or for what the key may still spend."""
        wanted = self._proxy.config.capture is not Capture.NONE or self._proxy.limits.needs_usage
        return wanted and self._plan is not None and self._plan.api is not Api.OTHER

    @property
    def byte_size(self) -> int:
        """About how much memory the call takes until :meth:`exchange` was read."""
        call = None if self._sending is None else self._sending.call
        kept = call.tee.kept if call is not None and call.tee is not None else 0
        return sum(map(len, self._asked.chunks)) + kept + OBJECT_BYTES

    def exchange(self) -> Exchange:
        """Return what the call was. Once it has ended."""
        plan, sending, request = self._plan, self._sending, self._request
        assert plan is not None
        upstream = plan.upstreams[0] if sending is None else sending.upstream
        call = None if sending is None else sending.call
        head = None if call is None else call.head
        exchange = Exchange(
            api=plan.api,
            provider=upstream.provider,
            upstream=upstream.name,
            server_address=upstream.origin.host,
            server_port=upstream.origin.port,
            method=request.method,
            path=plan.path if sending is None else sending.path,
            trace=self._trace,
            start_unix_nano=self._unix,
            started=self._started,
            ended=self._ended,
            request=self._asked,
            request_headers=kept_request(request.first),
            error=self._error,
            attempts=() if sending is None else sending.attempts,
            attribution=attribution(request.headers),
            secrets=[*secrets(request.headers, request.query), *upstream.secrets],
        )
        if head is not None:
            exchange.status = head.status
            exchange.response_headers = kept_response(head.headers)
        if call is not None and call.tee is not None:
            exchange.response = call.tee.body(_encoding(head.headers) if head else "")
        return exchange


def _encoding(headers: list[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-encoding"), "")
