"""The ledger is computed from metrics alone: its sums, its words, and several processes."""

from __future__ import annotations

import asyncio

from untrace_pipeline.api import ComponentId, Kind, Settings
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DELIVERED, Delivery, DeliveryConfig, Outcome, Request
from untrace_pipeline.errors import PermanentError, QueueFullError, RetryableError
from untrace_pipeline.telemetry.ledger import left_behind, read_ledger
from untrace_pipeline.telemetry.logs import component_logger
from untrace_pipeline.telemetry.merge import merge, totals
from untrace_pipeline.telemetry.metrics import Metrics
from untrace_pipeline.testing import StubHost, make_batch, run_with_fake_clock


def metrics_of(kind: Kind, name: str, **states: int) -> Metrics:
    metrics = Metrics()
    meter = metrics.component_meter(ComponentId.parse(kind, name))
    for state, items in states.items():
        meter.counter("ledger_items", state=state).add(items)
    return metrics


def test_the_words_of_an_exporter() -> None:
    """The page has every state that an exporter can have, the line only those that have items."""
    metrics = metrics_of(
        Kind.EXPORTER, "otlp/a", accepted=100, unacknowledged=3, delivered=80, filtered=10, too_large=1, dead_lettered=2
    )
    metrics.meter(exporter="otlp/a").gauge("exporter_pending_items", state="queued").set(10)
    (account,) = read_ledger(metrics.snapshot())
    assert account.as_json() == {
        "kind": "exporter",
        "component": "otlp/a",
        "accepted": 100,
        "unacknowledged": 3,
        "delivered": 80,
        "rejected": 0,
        "filtered": 10,
        "sampled": 0,
        "expired": 0,
        "dead_lettered": 2,
        "dropped": {"too_large": 1},
        "queued": 10,
        "in_flight": 0,
        "undecided": 0,
        "balance": 0,
    }
    assert account.line() == (
        "exporter otlp/a: accepted 100 (and 3 unacknowledged) = 80 delivered + 10 filtered + 2 dead_lettered "
        "+ 1 dropped (too_large) + 10 queued"
    )


def test_what_does_not_add_up_is_said() -> None:
    """A missing item is named, in the page and in the line."""
    (account,) = read_ledger(metrics_of(Kind.EXPORTER, "otlp", accepted=10, delivered=9).snapshot())
    assert account.balance == 1
    assert account.line().endswith("= 9 delivered; 1 unaccounted for")


def test_a_connector_passes_on_or_drops() -> None:
    """What a connector dropped itself is no part of what it passed on."""
    metrics = metrics_of(Kind.CONNECTOR, "routing", accepted=10, passed=9, sampled=1)
    metrics.component_meter(ComponentId.parse(Kind.CONNECTOR, "routing")).counter(
        "dropped_items", signal="traces", reason="no_route"
    ).add(4)
    (account,) = read_ledger(metrics.snapshot())
    assert account.line() == "connector routing: accepted 10 = 5 passed + 1 sampled + 4 dropped (no_route)"


def test_processes_add_up() -> None:
    """The snapshots of several workers, merged, are one ledger; exporters come first."""
    one = metrics_of(Kind.EXPORTER, "otlp", accepted=10, delivered=10)
    two = metrics_of(Kind.EXPORTER, "otlp", accepted=5, delivered=4, expired=1)
    other = metrics_of(Kind.CONNECTOR, "forward", accepted=1, passed=1)
    accounts = read_ledger(merge(Metrics().snapshot(), [one.snapshot(), two.snapshot(), other.snapshot()]))
    assert [account.line() for account in accounts] == [
        "exporter otlp: accepted 15 = 14 delivered + 1 expired",
        "connector forward: accepted 1 = 1 passed",
    ]


class Sender:
    """Answers in turn with everything there is."""

    destination = "backend:4317"

    def __init__(self) -> None:
        self.number = 0

    async def send(self, request: Request) -> Outcome:
        await asyncio.sleep(0.5)
        self.number += 1
        match self.number % 5:
            case 0:
                return DELIVERED
            case 1:
                return Outcome(1, "one is bad")
            case 2:
                raise PermanentError("no")
            case 3:
                raise RetryableError("later")
        raise ConnectionResetError


def test_a_delivery_keeps_the_sum_at_every_moment() -> None:
    """accepted + unacknowledged is all states and all that is pending, whatever callers and destination do."""

    async def main() -> None:
        metrics = Metrics()
        exporter = ComponentId.parse(Kind.EXPORTER, "otlp/backend")
        settings = Settings(exporter, frozenset(Signal), metrics.component_meter(exporter), component_logger(exporter))
        accepted = settings.meter.counter("ledger_items", state="accepted")
        options = {
            "retry_on_failure": {"initial_interval": "1s", "max_elapsed_time": "30s"},
            "sending_queue": {"queue_size": 5, "num_consumers": 2, "wait_for_result": True},
        }
        delivery = Delivery(DeliveryConfig.model_validate(options), Sender(), settings)
        await delivery.start(StubHost())

        async def client(number: int) -> None:
            await asyncio.sleep(number * 0.7)
            batch = make_batch(items=4, seed=number)
            try:
                async with asyncio.timeout(8 if number % 3 else 1.2):
                    await delivery.consume(batch)
            except (TimeoutError, PermanentError, RetryableError, QueueFullError, ConnectionError):
                return
            accepted.add(4)

        async def watch() -> None:
            while True:
                (account,) = read_ledger(metrics.snapshot())
                assert account.balance == 0, account.as_json()
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*[client(number) for number in range(40)])
        await delivery.shutdown()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert watching.cancelled(), watching.exception()
        (account,) = read_ledger(metrics.snapshot())
        assert account.balance == 0
        assert account.states["delivered"] > 0
        assert account.states["unacknowledged"] > 0

    run_with_fake_clock(main())


def test_what_an_ended_process_left_behind() -> None:
    """Another process may find it on a disk and accept it again; so the sum of both still matches."""
    ended = totals(metrics_of(Kind.EXPORTER, "otlp", accepted=100, delivered=60).snapshot())
    successor = metrics_of(Kind.EXPORTER, "otlp", accepted=40, delivered=30)
    successor.meter(exporter="otlp").gauge("exporter_pending_items", state="queued").set(10)
    (account,) = read_ledger(merge(successor.snapshot(), [left_behind(ended)]))
    assert account.balance == 0
    assert account.as_json()["left_behind"] == 40
    assert account.line() == "exporter otlp: accepted 140 = 90 delivered + 40 left_behind + 10 queued"
    assert read_ledger(ended)[0].balance == 40
    assert left_behind([]) == []


def test_what_an_ended_process_had_not_answered() -> None:
    """Parts of a batch that were delivered before the process was killed: their sender sends all of it again."""
    ended = totals(metrics_of(Kind.EXPORTER, "otlp", accepted=10, unacknowledged=1, delivered=15).snapshot())
    (account,) = read_ledger(merge([], [left_behind(ended)]))
    assert account.balance == 0
    assert account.line() == "exporter otlp: accepted 10 (and 5 unacknowledged) = 15 delivered"
