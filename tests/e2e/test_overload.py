"""More is offered than the destination takes: refusals that say when to come back, and nothing is lost.

The long edition, with memory and the Collector beside it: `python -m benchmarks --scenario overload`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.soak.arena import Arena, Setup
from tests.support.chaos import Sender, SenderConfig, SinkProcess, Weights

pytestmark = pytest.mark.e2e

SECONDS = 2.0
SMALL = {"queue_size": 20, "num_consumers": 2}
"""With a destination that takes a tenth of a second for each request: twenty requests per second."""


@pytest.mark.parametrize("queue", ["memory", "disk"])
async def test_overload_is_refused_and_nothing_is_lost(queue: Literal["memory", "disk"], tmp_path: Path) -> None:
    """Every refusal may be retried and says when; all that was acknowledged arrives, once; the ledger sums."""
    setup = Setup(queue=queue, sending_queue=SMALL)
    with SinkProcess(weights=Weights.parse("slow=1")) as sink:
        arena = Arena(tmp_path, setup, {"otlp_grpc": setup.exporter_config(sink.grpc)})
        async with arena.running():
            sender = Sender(SenderConfig(workers=64), grpc=arena.grpc, http=arena.http)
            await sender.run(SECONDS)
            sink.set_weights(Weights.calm())
            ledger = arena.drain()
        received = sink.received()
    assert sum(sender.refusals.values()) > 10
    assert not sender.without_delay
    assert not sender.permanent
    assert set(received.accepted) == sender.acknowledged
    assert received.duplicates == received.altered == 0
    assert ledger.balanced
    assert ledger.of("otlp_grpc", "accepted") == ledger.of("otlp_grpc", "delivered") == len(sender.acknowledged)
