"""One stream to every destination at once, of which one refuses, one hangs and one is busy.

Nobody waits for them, and the ledger adds up for each.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from tests.support.exporters import QUICK_RETRY
from tests.support.peers import free_port
from untrace_pipeline.api import Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.data.compose import NewSpan, Scope, compose_spans
from untrace_pipeline.engine.service import Service
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry.ledger import Account, read_ledger

REFUSING, HANGING, BUSY = (f"otel_collector/{name}" for name in ("refusing", "hanging", "busy"))
STORES = ("file", "object_store")
REQUESTS = 4
REGISTRY = Registry()
TAKERS = [name for name in PLATFORMS if Signal.TRACES in REGISTRY.load(Kind.EXPORTER, name).signals]


class Hanging(ContractServer):
    """Takes requests and does not answer, until it is let go; then it says that it cannot."""

    def __init__(self) -> None:
        super().__init__(PLATFORMS["otel_collector"].rules)
        self.waiting = 0
        self.let_go = asyncio.Event()

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.waiting += 1
        try:
            await self.let_go.wait()
        finally:
            self.waiting -= 1
        return web.Response(status=503)


def configuration(port: int, servers: dict[str, ContractServer], directory: Path) -> str:
    """Return a configuration that sends all traces to all of them, and to stores."""
    exporters: dict[str, dict[str, Any]] = {
        "file": {"path": str(directory / "spans.jsonl")},
        "object_store": {
            "url": f"file://{directory}/objects",
            "sending_queue": {"batch": {"flush_timeout": "100ms"}},
        },
    }
    for name, server in servers.items():
        platform = PLATFORMS[name.partition("/")[0]]
        exporters[name] = {**platform.options, "endpoint": server.url + platform.base}
    exporters[REFUSING]["dead_letter_queue"] = {"storage": "file_storage"}
    exporters[HANGING]["retry_on_failure"] = {"enabled": False}
    exporters[BUSY]["retry_on_failure"] = {**QUICK_RETRY, "max_elapsed_time": "0s"}
    exporters[BUSY]["circuit_breaker"] = {"enabled": False}
    return yaml.safe_dump(
        {
            "extensions": {"file_storage": {"directory": str(directory / "letters"), "create_directory": True}},
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "processors": {"genai_normalizer": {}, "llm_cost": {}},
            "exporters": exporters,
            "service": {
                "extensions": ["file_storage"],
                "pipelines": {
                    "traces": {
                        "receivers": ["otlp"],
                        "processors": ["genai_normalizer", "llm_cost"],
                        "exporters": list(exporters),
                    }
                },
                "telemetry": {"metrics": {"level": "none"}},
            },
        }
    )


def plain_spans(count: int) -> Batch:
    """Return spans that call no model, of just now: Datadog takes nothing that is a day old."""
    now = time.time_ns()
    spans = [NewSpan(secrets.token_bytes(16), secrets.token_bytes(8), "GET /", now - 1000, now) for _ in range(count)]
    return Batch(Signal.TRACES, compose_spans({"service.name": "shop"}, Scope("tests"), spans))


async def send(port: int, batch: Batch) -> None:
    """Send a request as an SDK does; it must be accepted."""
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"http://127.0.0.1:{port}/v1/traces"
    async with aiohttp.ClientSession() as session, session.post(url, data=batch.to_otlp(), headers=headers) as answer:
        assert answer.status == 200


def never() -> Loaded:
    raise AssertionError("nobody asked for a reload")


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def test_every_destination_at_once(tmp_path: Path) -> None:
    """All healthy ones have everything while one hangs and one is busy; each has an account of its own that sums."""
    port = free_port()
    plain = plain_spans(3)
    items = REQUESTS * 5 + plain.item_count
    rules = PLATFORMS["otel_collector"].rules
    hanging, busy = Hanging(), ContractServer(replace(rules, success=Judgement(429)))
    async with AsyncExitStack() as stack:
        servers = {name: ContractServer(PLATFORMS[name].rules) for name in TAKERS}
        healthy = dict(servers)
        servers |= {REFUSING: ContractServer(replace(rules, success=Judgement(400))), HANGING: hanging, BUSY: busy}
        for server in servers.values():
            await stack.enter_async_context(server)
        service = Service(load([f"yaml:{configuration(port, servers, tmp_path)}"]), never)
        running = asyncio.create_task(service.run())

        def account(name: str) -> Account:
            return next(one for one in read_ledger(service.metrics.snapshot()) if one.component == name)

        def has_all(name: str) -> bool:
            states = account(name).states
            return states["delivered"] + states["filtered"] == items

        async with asyncio.timeout(60):
            await until(service.is_ready)
            for batch in (*(example_trace() for _ in range(REQUESTS)), plain):
                await send(port, batch)
            await until(lambda: all(map(has_all, (*healthy, *STORES))))
            await until(lambda: bool(hanging.waiting and 429 in busy.refused))
            assert account(HANGING).pending["in_flight"] == items
            assert account(BUSY).states["delivered"] == 0
            hanging.let_go.set()
            busy.rules = rules
            await until(lambda: has_all(BUSY))
            service.request_stop("the test")
            assert await running == 0
    accounts = {one.component: one for one in read_ledger(service.metrics.snapshot()) if one.kind == "exporter"}
    assert accounts.keys() == {*servers, *STORES}
    ends = {REFUSING: "dead_lettered", HANGING: "expired"}
    for name, one in accounts.items():
        assert one.balance == 0
        assert one.states["accepted"] == items
        assert one.states[ends.get(name, "delivered")] == items - one.states["filtered"]
    refused = {name: set(server.refused) for name, server in servers.items() if server.refused}
    assert refused == {REFUSING: {400}, BUSY: {429}}
    for name, server in healthy.items():
        assert server.item_count == items - accounts[name].states["filtered"], name
