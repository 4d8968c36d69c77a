"""Failover over real exporters: what makes a level refuse, and where the data is in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.balancing import sent, trace_ids, traces, until
from tests.support.components import FACTORIES, make_spec, new_world
from tests.support.exporters import QUICK_RETRY
from tests.support.otlp_servers import Accept, GrpcServer, Refuse
from untrace_pipeline.api import Code, Kind
from untrace_pipeline.data import Batch
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_plugins.connectors.failover import FACTORY as FAILOVER
from untrace_plugins.exporters.otlp_grpc import FACTORY as OTLP

OFF = {"enabled": False}
WITHOUT_QUEUE = {"sending_queue": OFF, "retry_on_failure": OFF}
WITH_BREAKER = {
    "retry_on_failure": {**QUICK_RETRY, "max_elapsed_time": "0s"},
    "circuit_breaker": {"min_requests": 3, "open_duration": "50ms", "when_open": "refuse"},
}


@pytest.mark.parametrize("options", [WITHOUT_QUEUE, WITH_BREAKER], ids=["without a queue", "with a circuit breaker"])
async def test_there_and_back(options: dict[str, Any]) -> None:
    """While main is down its data goes to the spare, then it returns; each item is at one of them."""
    metrics, world, batches = Metrics(), new_world(), list[Batch]()
    async with GrpcServer() as main, GrpcServer() as spare:

        def exporter(server: GrpcServer) -> dict[str, Any]:
            return {"endpoint": server.address, "tls": {"insecure": True}, "compression": "none", **options}

        spec = make_spec(
            {
                "traces": (["fake/in"], [], ["failover"]),
                "traces/main": (["failover"], [], ["otlp_grpc/main"]),
                "traces/spare": (["failover"], [], ["otlp_grpc/spare"]),
            },
            {
                "connector failover": {
                    "priority_levels": [["traces/main"], ["traces/spare"]],
                    "retry_interval": "100ms",
                },
                "exporter otlp_grpc/main": exporter(main),
                "exporter otlp_grpc/spare": exporter(spare),
            },
            connectors=["failover"],
            factories={**FACTORIES, (Kind.CONNECTOR, "failover"): FAILOVER, (Kind.EXPORTER, "otlp_grpc"): OTLP},
        )
        graph = Builder(metrics, dict).build(spec)
        Wiring(graph, Bookkeeping(metrics)).apply(graph.units.values())
        await start_all(graph.units.values())

        async def send() -> None:
            batches.append(traces(5, 5, seed=len(batches)))
            await world.get("receiver fake/in").next.consume(batches[-1].copy())
            await asyncio.sleep(0.002)

        async def send_until(holds: Any) -> None:
            async with asyncio.timeout(20):
                while not holds():
                    await send()

        await send_until(lambda: main.item_count)
        main.forever = Refuse(Code.UNAVAILABLE)
        await send_until(lambda: spare.item_count >= 50)
        assert metrics.value("connector_failover_level", signal="traces") == 2
        main.forever = Accept()
        before = main.item_count
        await send_until(lambda: metrics.value("connector_failover_level", signal="traces") == 1)
        await send_until(lambda: main.item_count >= before + 50)
        await until(lambda: main.item_count + spare.item_count == 5 * len(batches))
        assert Counter(trace_ids(main)) + Counter(trace_ids(spare)) == sent(*batches)
        assert {account.component: account.balance for account in read_ledger(metrics.snapshot())} == dict.fromkeys(
            ("otlp_grpc/main", "otlp_grpc/spare", "failover"), 0
        )
        deadline = Deadline(5)
        await stop_all(list(graph.units.values()), {}, deadline)
        deadline.close()
    assert metrics.value("dropped_items") == 0
