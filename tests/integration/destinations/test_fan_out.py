"""One stream to every destination at once, one of which fails: nobody waits for it, and the ledger adds up for each."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import yaml

from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer, Judgement
from tests.support.exporters import QUICK_RETRY
from tests.support.peers import free_port
from untrace_pipeline.api import Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.config.loader import Loaded, load
from untrace_pipeline.data import Batch, Field, Level, Signal
from untrace_pipeline.engine.service import Service
from untrace_pipeline.registry import Registry
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.testing import make_batch

BUSY = "otel_collector/busy"
REQUESTS = 4
REGISTRY = Registry()
TAKERS = [name for name in PLATFORMS if Signal.TRACES in REGISTRY.load(Kind.EXPORTER, name).signals]


def configuration(port: int, servers: dict[str, ContractServer]) -> str:
    """Return a configuration that sends all traces to all of them."""
    exporters = {}
    for name, server in servers.items():
        platform = PLATFORMS[name.partition("/")[0]]
        exporters[name] = {**platform.options, "endpoint": server.url + platform.base}
    exporters[BUSY]["retry_on_failure"] = {**QUICK_RETRY, "max_elapsed_time": "300ms"}
    return yaml.safe_dump(
        {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "processors": {"genai_normalizer": {}, "llm_cost": {}},
            "exporters": exporters,
            "service": {
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


async def send(port: int, batch: Batch) -> None:
    """Send a request as an SDK does; it must be accepted."""
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"http://127.0.0.1:{port}/v1/traces"
    async with aiohttp.ClientSession() as session, session.post(url, data=batch.to_otlp(), headers=headers) as answer:
        assert answer.status == 200


def never() -> Loaded:
    raise AssertionError("nobody asked for a reload")


async def test_every_destination_at_once() -> None:
    """Each gets all of it in its own form; what the busy one did not take is expired there, and nowhere else."""
    port = free_port()
    plain = make_batch(items=3)
    plain.set(Field(Level.ITEM, "end_time_unix_nano"), [time.time_ns()] * 3)  # some take nothing that is old
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(ContractServer(PLATFORMS[name].rules)) for name in TAKERS}
        busy = replace(PLATFORMS["otel_collector"].rules, success=Judgement(503))
        servers[BUSY] = await stack.enter_async_context(ContractServer(busy))
        service = Service(load([f"yaml:{configuration(port, servers)}"]), never)
        running = asyncio.create_task(service.run())
        async with asyncio.timeout(60):
            while not service.is_ready():
                await asyncio.sleep(0.01)
            for _ in range(REQUESTS):
                await send(port, example_trace())
            await send(port, plain)
            service.request_stop("the test")
            assert await running == 0
    items = REQUESTS * 5 + plain.item_count
    accounts = {one.component: one for one in read_ledger(service.metrics.snapshot()) if one.kind == "exporter"}
    assert accounts.keys() == servers.keys()
    for name, account in accounts.items():
        assert account.balance == 0
        assert account.states["accepted"] == items
        assert account.states["expired" if name == BUSY else "delivered"] == items - account.states["filtered"]
    assert {name: server.refused for name, server in servers.items() if server.refused} == {BUSY: servers[BUSY].refused}
    for name in servers.keys() - {BUSY}:
        assert servers[name].item_count == items - accounts[name].states["filtered"], name
