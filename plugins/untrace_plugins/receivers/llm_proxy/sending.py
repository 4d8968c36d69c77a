"""Sends a request to one upstream after the other, until one answers."""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from time import monotonic_ns
from typing import Final

import orjson

from untrace_pipeline.net.http_message import Request
from untrace_pipeline.net.http_origin_connection import CallError, Failure, OriginConnection
from untrace_plugins.genai.providers.exchange import Attempt, TraceContext
from untrace_plugins.receivers.llm_proxy.meters import Meters
from untrace_plugins.receivers.llm_proxy.refusals import ProxyError
from untrace_plugins.receivers.llm_proxy.retrying import delay_before, is_failure, may_retry, wish_of
from untrace_plugins.receivers.llm_proxy.routing import Plan
from untrace_plugins.receivers.llm_proxy.tee import Tee
from untrace_plugins.receivers.llm_proxy.upstream import Upstream
from untrace_plugins.receivers.llm_proxy.upstream_call import UpstreamCall

__all__ = ["Sending"]

LONGEST_WISH_SECONDS: Final = 60.0
"""An upstream that wants to be left alone for longer is asked again all the same."""
STALE_SECONDS: Final = 1.0
"""A kept connection that the server had closed says so within a round trip; one that ends later had taken the call."""
_UNENCODED: Final = frozenset({b"accept-encoding"})
_AS_IT_IS: Final = frozenset[bytes]()


class Sending:
    """The attempts of one call.

    ``trace`` is ``None`` where the caller's headers go on as they are; ``tee_bytes`` is how much of an answer is
    copied, 0 = nothing; ``unencoded`` asks for an answer without compression.
    """

    __slots__ = (
        "_body",
        "_deadline",
        "_loop",
        "_meters",
        "_passes_keys",
        "_plan",
        "_request",
        "_tee_bytes",
        "_trace",
        "_without",
        "attempts",
        "call",
        "path",
        "upstream",
        "waited",
    )

    def __init__(
        self,
        request: Request,
        body: bytes,
        plan: Plan,
        trace: TraceContext | None,
        meters: Meters,
        *,
        passes_keys: bool,
        tee_bytes: int,
        unencoded: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._body = body
        self._plan = plan
        self._trace = trace
        self._meters = meters
        self._passes_keys = passes_keys
        self._tee_bytes = tee_bytes
        self._without = _UNENCODED if unencoded else _AS_IT_IS
        self._deadline = self._loop.time() + plan.timeout
        self.upstream = plan.upstreams[0]
        """The one that was tried last."""
        self.path = plan.path
        """Where the request went there."""
        self.attempts: list[Attempt] = []
        self.call: UpstreamCall | None = None
        """The last attempt."""
        self.waited = 0
        """Nanoseconds that upstreams took, and pauses between attempts."""

    async def run(self) -> UpstreamCall:
        """Return the first answer that stands, or the last failure. Raises :class:`ProxyError` if nobody was asked."""
        retries = self._plan.route.retries
        for upstream in self._plan.upstreams:
            if upstream.breaker.spares():
                continue
            for number in range(retries + 1):
                if number and not await self._pause(number):
                    break
                if self.call is not None:
                    self.call.abort()
                self.call = call = await self._try(upstream)
                if not may_retry(call, self._plan.route) or self._loop.time() >= self._deadline:
                    return call
        if self.call is None:
            raise self._nobody()
        return self.call

    def release(self) -> None:
        """Let go of what only a call under way needs: bodies are large, and cycles of references cost time."""
        self._body = b""
        if self.call is not None:
            self.call.release()

    async def _pause(self, number: int) -> bool:
        """Wait before an upstream is tried again; false if it wants to be left alone for too long."""
        assert self.call is not None
        delay = delay_before(self.call, number)
        if delay > self._plan.route.max_retry_delay or self._loop.time() + delay >= self._deadline:
            return False
        begun = monotonic_ns()
        await asyncio.sleep(delay)
        self.waited += monotonic_ns() - begun
        return True

    def _nobody(self) -> ProxyError:
        """Say when the first circuit is tried again."""
        upstreams = self._plan.upstreams
        seconds = max(0.0, min(one.breaker.opens_at for one in upstreams) - self._loop.time())
        names = ", ".join(one.name for one in upstreams)
        wait = (("retry-after", str(max(1, math.ceil(seconds)))),)
        message = f"no upstream takes calls at present, because most of them failed: {names}"
        return ProxyError(HTTPStatus.SERVICE_UNAVAILABLE, "circuit_open", message, wait)

    # ------------------------------------------------------------ one attempt

    async def _try(self, upstream: Upstream) -> UpstreamCall:
        self.upstream = upstream
        probe = await upstream.breaker.permit()
        begun = monotonic_ns()
        call: UpstreamCall | None = None
        try:
            data = self._data(upstream)
            call = await self._send_on_kept(upstream, data) or await self._send_on_new(upstream, data)
        finally:
            failed = None if call is None else is_failure(call)
            wish = min(wish_of(call) or 0.0, LONGEST_WISH_SECONDS) if call is not None and failed else 0.0
            upstream.breaker.record(self._loop.time(), failed=failed, probe=probe, wish=wish)
            self._note(upstream, call, begun)
        return call

    def _note(self, upstream: Upstream, call: UpstreamCall | None, begun: int) -> None:
        """Remember how an attempt went; without a call it was given up."""
        status = call.head.status if call is not None and call.head is not None else None
        error = call.error.failure.value if call is not None and call.error is not None else None
        if call is None:
            error = "cancelled"
        self.attempts.append(Attempt(upstream.name, begun, monotonic_ns(), status, error))
        self._meters.attempted(upstream.name, status, error)

    async def _send_on_kept(self, upstream: Upstream, data: tuple[bytes, bytes]) -> UpstreamCall | None:
        """Return the attempt on a kept connection; ``None`` if there is none, or the server had closed it."""
        connection = upstream.origin.kept()
        if connection is None:
            return None
        begun = self._loop.time()
        call = await self._send(upstream, connection, data)
        lost = call.error is not None and call.error.failure is Failure.RESET and connection.is_fresh
        return None if lost and self._loop.time() - begun < STALE_SECONDS else call

    async def _send_on_new(self, upstream: Upstream, data: tuple[bytes, bytes]) -> UpstreamCall:
        begun = monotonic_ns()
        try:
            async with asyncio.timeout_at(self._deadline):
                connection = await upstream.origin.connect()
        except (CallError, TimeoutError) as error:
            call = self._listener(upstream)
            late = CallError(Failure.TIMEOUT, "no connection in time")
            call.on_failure(error if isinstance(error, CallError) else late)
            return call
        finally:
            self.waited += monotonic_ns() - begun
        return await self._send(upstream, connection, data)

    async def _send(self, upstream: Upstream, connection: OriginConnection, data: tuple[bytes, bytes]) -> UpstreamCall:
        call = self._listener(upstream)
        begun = monotonic_ns()
        first_byte = upstream.config.first_byte_timeout
        try:
            await call.send(connection, data, first_byte, head_only=self._request.method == "HEAD")
        except BaseException:
            call.abort()
            raise
        self.waited += (call.answered or monotonic_ns()) - begun
        return call

    def _listener(self, upstream: Upstream) -> UpstreamCall:
        tee = Tee(self._tee_bytes) if self._tee_bytes else None
        return UpstreamCall(tee, self._deadline, upstream.config.idle_timeout)

    def _data(self, upstream: Upstream) -> tuple[bytes, bytes]:
        """Return head and body of the request for an upstream."""
        plan = self._plan
        self.path, version = upstream.target(plan.kind, plan.path, self._model)
        is_its_key = plan.kind in (None, upstream.kind) or len(plan.upstreams) == 1
        head = upstream.head(
            self._request,
            (self.path, version),
            self._trace,
            len(self._body),
            with_keys=self._passes_keys and is_its_key,
            without=self._without,
        )
        return head, self._body

    def _model(self) -> str:
        """Return the model that the body names; empty if it is no JSON."""
        try:
            document = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            return ""
        model = document.get("model") if isinstance(document, dict) else None
        return model if isinstance(model, str) else ""
