"""The books of an exporter whose backends come and go."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.support.balancing import Directory, traces
from tests.support.components import FACTORIES, make_spec, new_world
from tests.support.exporters import QUICK_RETRY
from tests.support.otlp_servers import GrpcServer, Refuse
from untrace_pipeline.api import Code, Kind, RetryableError
from untrace_pipeline.engine.bookkeeping import Bookkeeping
from untrace_pipeline.engine.build import Builder
from untrace_pipeline.engine.lifecycle import Deadline, start_all, stop_all
from untrace_pipeline.engine.wiring import Wiring
from untrace_pipeline.telemetry.ledger import read_ledger
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_plugins.exporters.load_balancing import FACTORY, balancing


@pytest.mark.parametrize("before_ring", [False, True])
async def test_the_ledger_sums(monkeypatch: pytest.MonkeyPatch, before_ring: bool) -> None:
    """In a real graph: refusals, a backend that goes, full queues, and the end; each item is in one place."""
    metrics, world = Metrics(), new_world()
    refusing = Refuse(Code.UNAVAILABLE)
    async with GrpcServer() as one, GrpcServer(forever=refusing) as going, GrpcServer(forever=refusing) as dead:
        directory = Directory([one.address, going.address, dead.address])
        monkeypatch.setattr(balancing, "make_resolver", lambda _config: directory)
        otlp = {"tls": {"insecure": True}, "retry_on_failure": QUICK_RETRY, "sending_queue": {"queue_size": 3}}
        above = {"sending_queue": {"queue_size": 3}, "retry_on_failure": QUICK_RETRY} if before_ring else {}
        options = {"resolver": {"static": {"hostnames": ["replaced"]}}, "protocol": {"otlp": otlp}, **above}
        spec = make_spec(
            {"traces": (["fake/in"], [], ["load_balancing"])},
            {"exporter load_balancing": options},
            factories={**FACTORIES, (Kind.EXPORTER, "load_balancing"): FACTORY},
        )
        graph = Builder(metrics, dict).build(spec)
        Wiring(graph, Bookkeeping(metrics)).apply(graph.units.values())
        await start_all(graph.units.values())
        accepted = 0
        for seed in range(6):
            with suppress(RetryableError):
                await world.get("receiver fake/in").next.consume(traces(30, 30, seed))
                accepted += 30
        await going.wait_for_attempts(1)
        await directory.change(one, dead)
        await one.wait_for_items(1)
        (account,) = [entry for entry in read_ledger(metrics.snapshot()) if entry.component == "load_balancing"]
        assert (account.states["accepted"], account.balance) == (accepted, 0)
        deadline = Deadline(0.3)
        await stop_all(list(graph.units.values()), {}, deadline)
        deadline.close()
        (account,) = [entry for entry in read_ledger(metrics.snapshot()) if entry.component == "load_balancing"]
    assert account.balance == 0
    assert account.states["delivered"] == one.item_count
    lost = account.states["queue_full"] + account.states["shutdown"]
    assert accepted == one.item_count + lost
    assert metrics.value("dropped_items", kind="exporter", component="load_balancing") == lost
