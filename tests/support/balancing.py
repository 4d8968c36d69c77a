"""A running ``load_balancing`` exporter whose backends the test names, and may change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.exporters import Running, running
from tests.support.otlp_servers import GrpcServer
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.testing import make_request
from untrace_plugins.exporters.load_balancing import FACTORY, balancing
from untrace_plugins.exporters.load_balancing.resolvers import Report

__all__ = ["Directory", "balanced", "sent", "trace_ids", "traces", "until"]

TRACE_ID = Field(Level.ITEM, "trace_id")


class Directory:
    """Stands for a resolver."""

    kind = "static"

    def __init__(self, endpoints: Iterable[str]) -> None:
        self._endpoints = list(endpoints)
        self._report: Report | None = None

    async def run(self, report: Report) -> None:
        """Tell the first backends."""
        self._report = report
        await report.found(self._endpoints)

    async def change(self, *servers: GrpcServer | str) -> None:
        """Have these backends from now on."""
        assert self._report is not None
        await self._report.found([one if isinstance(one, str) else one.address for one in servers])

    def fail(self, why: str) -> None:
        """Know nothing."""
        assert self._report is not None
        self._report.failed(why)


@asynccontextmanager
async def balanced(
    monkeypatch: pytest.MonkeyPatch,
    servers: Sequence[GrpcServer | str],
    *,
    otlp: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Running, Directory]]:
    """Run an exporter, and stop it at the end."""
    directory = Directory([one if isinstance(one, str) else one.address for one in servers])
    monkeypatch.setattr(balancing, "make_resolver", lambda _config: directory)
    plain = {"tls": {"insecure": True}, "compression": "none", **(otlp or {})}
    static = {"static": {"hostnames": ["replaced:4317"]}}
    async with running(FACTORY, {"resolver": static, "protocol": {"otlp": plain}, **options}) as made:
        yield made, directory


def trace_ids(server: GrpcServer) -> list[Any]:
    """Return the trace ids of the spans that a server has, in order."""
    return [one for received in server.accepted for one in received.batch.column(TRACE_ID)]


async def until(holds: Any, timeout: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.002)


def sent(*batches: Batch) -> Counter[Any]:
    """Return how often each trace id is in some batches."""
    return Counter(one for batch in batches for one in batch.column(TRACE_ID))


def traces(items: int, traces: int, seed: int = 0) -> Batch:
    """Return a batch of spans of so many traces, dealt round."""
    request: Any = make_request(Signal.TRACES, items, resources=3, seed=seed)
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    for number, span in enumerate(spans):
        span.trace_id = (seed * 1000 + number % traces).to_bytes(16, "big")
    return Batch(Signal.TRACES, request.SerializeToString())
