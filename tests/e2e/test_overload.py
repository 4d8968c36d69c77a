"""More is offered than the destination takes: refusals that say when to come back, and nothing is lost.

The long edition, with memory and the Collector beside it: `python -m benchmarks --scenario overload`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from tests.soak.arena import Arena, Ledger, Setup
from tests.soak.letters import dead_letters
from tests.support.chaos import Received, Sender, SenderConfig, SinkProcess, Weights

pytestmark = pytest.mark.e2e

SECONDS = 1.0
EXPORTER = "otlp_grpc/slow"
SMALL = {"queue_size": 20, "num_consumers": 2}
"""With a destination that takes a tenth of a second for each request: twenty requests per second."""

Queue = Literal["memory", "disk"]


class Overloaded:
    """A daemon that was offered too much, and then given time to deliver what it had taken."""

    def __init__(self, directory: Path, queue: Queue, overflow: str) -> None:
        options = SMALL | {"overflow": overflow}
        self.setup = Setup(queue=queue, dead_letters=overflow == "dead_letter", sending_queue=options)
        self.sender: Sender
        self.received: Received
        self.ledger: Ledger
        self._directory = directory

    async def run(self) -> Arena:
        """Offer, let through, compare later."""
        with SinkProcess(weights=Weights.parse("slow=1")) as sink:
            arena = Arena(self._directory, self.setup, {EXPORTER: self.setup.exporter_config(sink.grpc)})
            async with arena.running():
                self.sender = Sender(SenderConfig(workers=40), grpc=arena.grpc, http=arena.http)
                await self.sender.run(SECONDS)
                sink.set_weights(Weights.calm())
                self.ledger = arena.drain()
            self.received = sink.received()
        return arena

    def check(self) -> None:
        """What holds whatever the policy: it sums, nothing came twice or altered, and nobody was refused for good."""
        assert not self.sender.permanent
        assert not self.sender.without_delay
        assert self.received.duplicates == self.received.altered == 0
        assert self.ledger.balanced
        assert self.ledger.of(EXPORTER, "accepted") == len(self.sender.acknowledged)
        assert self.ledger.of(EXPORTER, "delivered") == len(self.received.accepted)

    @property
    def missing(self) -> set[int]:
        """Acknowledged and not delivered."""
        return self.sender.acknowledged - self.received.accepted.keys()


@pytest.mark.parametrize("queue", ["memory", "disk"])
async def test_overload_is_refused_and_nothing_is_lost(queue: Queue, tmp_path: Path) -> None:
    """Every refusal may be retried and says when; all that was acknowledged arrives, once; the ledger sums."""
    overloaded = Overloaded(tmp_path, queue, "refuse")
    await overloaded.run()
    overloaded.check()
    assert sum(overloaded.sender.refusals.values()) > 10
    assert not overloaded.missing


async def test_overload_blocks_and_nothing_is_lost(tmp_path: Path) -> None:
    """With ``block`` senders wait instead, and nothing is lost either."""
    overloaded = Overloaded(tmp_path, "disk", "block")
    await overloaded.run()
    overloaded.check()
    assert not overloaded.missing


async def test_what_overload_drops_is_counted(tmp_path: Path) -> None:
    """With ``drop_oldest`` the ledger has every item that was acknowledged and had to make room."""
    overloaded = Overloaded(tmp_path, "disk", "drop_oldest")
    await overloaded.run()
    overloaded.check()
    assert len(overloaded.missing) == overloaded.ledger.of(EXPORTER, "dropped") > 0


async def test_what_overflows_lies_in_the_dead_letters(tmp_path: Path) -> None:
    """With ``dead_letter`` what was acknowledged and does not fit lies in the dead letters, each item once."""
    overloaded = Overloaded(tmp_path, "disk", "dead_letter")
    arena = await overloaded.run()
    overloaded.check()
    letters = dead_letters(arena, EXPORTER)
    assert set(letters) == overloaded.missing
    assert letters.total() == len(letters) == overloaded.ledger.of(EXPORTER, "dead_lettered") > 0
