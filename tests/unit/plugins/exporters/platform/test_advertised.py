"""Limits that a platform tells itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.destinations.native import records
from tests.support.destinations.platforms import PLATFORMS
from tests.support.destinations.server import ContractServer
from tests.support.exporters import QUICK_RETRY, running
from untrace_pipeline.api import ExporterFactory, Kind
from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.registry import Registry

PLATFORM = PLATFORMS["langsmith_runs"]
FOUND = Registry().load(Kind.EXPORTER, "langsmith_runs")
assert isinstance(FOUND, ExporterFactory)
FACTORY: ExporterFactory[Any] = FOUND


def server(said: Any) -> ContractServer:
    """Return a server that says this of its limits; ``None`` = it has no such page."""
    data = said if isinstance(said, bytes) else json.dumps({"batch_ingest_config": said}).encode()
    told = {"probes": {}} if said is None else {"told": {"/info": data}}
    return ContractServer(replace(PLATFORM.rules, **told))  # type: ignore[arg-type]


async def sent(there: ContractServer, **options: Any) -> list[int]:
    """Return how many runs each request has that the example makes."""
    own = {"endpoint": there.url, "retry_on_failure": QUICK_RETRY, **PLATFORM.options, **options}
    async with running(FACTORY, own, signals=FACTORY.signals) as r:
        await r.consume(example_trace())
        await r.until_idle()
        assert r.dropped == {}
    return [one.batch.item_count for one in there.received]


async def test_runs_per_request() -> None:
    """Requests are split to what the server takes now; runs of a trace know their path all the same."""
    async with server({"size_limit": 2}) as there:
        assert await sent(there) == [2, 2, 1]
        runs = records([one.batch for one in there.received])
        assert {len(run["dotted_order"].split(".")) for run in runs[1:]} == {2}


async def test_bytes_per_request() -> None:
    """What is larger once it is written is cut in halves before it is sent."""
    async with server({"size_limit_bytes": 4000}) as there:
        counts = await sent(there)
        assert sum(counts) == 5
        assert len(counts) > 1
        assert there.refused == []


@pytest.mark.parametrize(
    "said", [None, {}, {"size_limit": "many", "size_limit_bytes": -1}, {"size_limit": True}, b"no"]
)
async def test_without_limits_the_known_ones_are_kept(said: Any) -> None:
    """A server that says nothing, or nonsense, gets requests all the same."""
    async with server(said) as there:
        assert await sent(there) == [5]


async def test_zstd_as_the_sdk_sends_it() -> None:
    """The whole form, packed."""
    async with server({}) as there:
        assert await sent(there, compression="zstd") == [5]
        assert there.received[0].headers["content-encoding"] == "zstd"
