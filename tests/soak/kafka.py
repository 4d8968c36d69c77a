"""`python -m tests.soak.kafka --spans 1000000`: two tiers with Kafka between them, while members and brokers go.

The shipped configurations run: an ingest daemon writes to a real broker, processing daemons read as one consumer group
and deliver to a sink. On the way a member joins, one is killed with SIGKILL, the broker is restarted, another member
joins, and one is stopped. Everything that was acknowledged must arrive; and whenever somebody looks, every message
below the committed offset of its partition must have been delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.procfs import RssSampler
from tests.soak.arena import working_directory
from tests.soak.kafka_ends import CommitWatch, Deliveries, Sink
from tests.soak.verdict import resent
from tests.support.chaos import Sender, SenderConfig
from tests.support.kafka_client import KafkaClient
from tests.support.peers import Daemon, KafkaBroker

ROOT = Path(__file__).resolve().parents[2]
GROUP, TOPIC = "untrace-process", "llm_spans"
COMMITTED_WITHIN_SECONDS = 20.0
"""How long after the last delivery the offsets may lag behind."""
AROUND_SECONDS = 3.0
"""An item that came twice was delivered first within so long of a kill or an outage: a commit is made every second."""


@dataclass(frozen=True)
class Plan:
    """What happens."""

    spans: int = 1_000_000
    partitions: int = 12
    items: tuple[int, int] = (50, 150)
    """Spans in a request, which is one message."""
    senders: int = 8
    rate: float = 0.0
    """Requests per second; 0 = as fast as they are acknowledged."""
    slowness: float = 0.0
    """Seconds that the sink takes for a request."""
    killed: tuple[str, ...] = ("first",)
    """Members that are killed at once."""
    queue: dict[str, Any] = field(default_factory=lambda: {"enabled": False})
    """Queue of the processing tier; the shipped configuration has none."""
    patience: float = 600.0
    """Longest wait, in seconds, for the next event and for the last span."""


@dataclass
class Report:
    """What came of it; empty ``faults`` is success."""

    acknowledged: int = 0
    missing: int = 0
    altered: int = 0
    twice: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    faults: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    seconds: float = 0.0
    messages: int = 0
    rss_mib: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        rows = {
            "spans acknowledged": f"{self.acknowledged:,} in {self.messages:,} messages",
            "missing": str(self.missing),
            "altered": str(self.altered),
            "came twice": ", ".join(f"{count} ({why})" for why, count in sorted(self.twice.items())) or "0",
            "looks at committed offsets": f"{self.looks}, none ahead of delivery"
            if not self.faults
            else str(self.looks),
            "time": f"{self.seconds:.0f} s, {self.acknowledged / max(self.seconds, 0.001):,.0f} spans/s",
            "peak memory": ", ".join(f"{name} {size} MiB" for name, size in self.rss_mib.items()),
        }
        table = "\n".join(f"{name:>28}  {value}" for name, value in rows.items())
        end = "PROVED" if not self.faults else "\n".join(["FAILED", *(f"  {fault}" for fault in self.faults)])
        return "\n".join([*self.events, table, end])


class Run:
    """One execution of a plan."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._directory = directory
        self._report = Report()
        self._deliveries = Deliveries()
        self._unsettled: list[tuple[float, float, str]] = []
        """When something happened that may bring messages twice: begin, end, what."""
        self._members: dict[str, Daemon] = {}
        self._samplers: dict[str, RssSampler] = {}
        self._began = time.time()

    async def run(self) -> Report:
        """Do what the plan says, and judge."""
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(KafkaBroker())
            await asyncio.to_thread(KafkaClient(broker.bootstrap).create, TOPIC, self._plan.partitions)
            sink = await stack.enter_async_context(Sink(self._deliveries, self._plan.slowness))
            ingest = self._daemon("ingest", ingest_config(broker.bootstrap))
            await stack.enter_async_context(ingest)
            self._watch("ingest", ingest, stack)
            for name in ("first", "second"):
                await self._join(name, broker, sink, stack)
            watch = CommitWatch(broker.bootstrap, GROUP, TOPIC, self._deliveries)
            watching = asyncio.create_task(watch.run())
            try:
                await self._play(ingest, broker, sink, stack)
            finally:
                watch.stop()
                await watching
            await self._judge_offsets(watch, broker)
        return self._report

    # ------------------------------------------------------------------- events

    async def _play(self, ingest: Daemon, broker: KafkaBroker, sink: Sink, stack: AsyncExitStack) -> None:
        events: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (0.15, lambda: self._join("third", broker, sink, stack)),
            (0.30, lambda: self._kill(*self._plan.killed)),
            (0.50, lambda: self._restart(broker)),
            (0.65, lambda: self._join("fourth", broker, sink, stack)),
            (0.80, lambda: self._stop("second")),
        ]
        sender = Sender(
            SenderConfig(workers=self._plan.senders, items=self._plan.items, rate=self._plan.rate, timeout=60.0),
            grpc=ingest.endpoint("GRPC_PORT"),
        )
        self._began = time.time()
        sending = asyncio.create_task(self._send(sender))
        for share, event in events:
            await self._until_seen(share * self._plan.spans)
            await event()
        await sending
        await self._until_delivered(sender)
        self._report.seconds = time.time() - self._began
        self._judge_items(sender)

    async def _send(self, sender: Sender) -> None:
        """Send as many spans as are wanted."""
        sending = asyncio.create_task(sender.run())
        while sender.accepted_items < self._plan.spans and not sending.done():
            await asyncio.sleep(0.01)
        sender.stop()
        await sending

    async def _until_seen(self, count: float) -> None:
        """Wait until so much was delivered, or nothing comes any more: then the verdict says what is missing."""
        deadline = time.monotonic() + self._plan.patience
        while len(self._deliveries.seen) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    async def _until_delivered(self, sender: Sender) -> None:
        """Wait for what was acknowledged, or until nothing comes any more: then the verdict says what is missing."""
        deadline = time.monotonic() + self._plan.patience
        wanted = sender.acknowledged
        while not wanted <= self._deliveries.seen.keys() and time.monotonic() < deadline:
            await asyncio.sleep(0.2)

    async def _join(self, name: str, broker: KafkaBroker, sink: Sink, stack: AsyncExitStack) -> None:
        daemon = self._daemon(name, process_config(broker.bootstrap, sink.endpoint, self._plan.queue))
        await stack.enter_async_context(daemon)
        self._members[name] = daemon
        self._watch(name, daemon, stack)
        self._event(f"member {name} joins")

    async def _kill(self, *names: str) -> None:
        begin = time.time()
        for name in names:
            self._event(f"member {name} is killed with SIGKILL")
            os.kill(self._members[name].pid, signal.SIGKILL)
        self._unsettled.append((begin, time.time(), "kill"))

    async def _stop(self, name: str) -> None:
        self._event(f"member {name} is stopped with SIGTERM")
        await asyncio.to_thread(self._members[name].stop)

    async def _restart(self, broker: KafkaBroker) -> None:
        self._event("the broker is restarted")
        begin = time.time()
        await asyncio.to_thread(broker.restart)
        self._event(f"the broker is back after {time.time() - begin:.1f} s")
        self._unsettled.append((begin, time.time(), "outage"))

    # ------------------------------------------------------------------ verdict

    def _judge_items(self, sender: Sender) -> None:
        report, wanted = self._report, sender.acknowledged
        report.acknowledged = len(wanted)
        report.missing = len(wanted - self._deliveries.seen.keys())
        report.altered = self._deliveries.altered
        report.messages = len(self._deliveries.places)
        again = resent(sender)
        for item, first in self._deliveries.twice.items():
            why = "sent again by the client" if item in again else self._cause(first)
            report.twice[why] = report.twice.get(why, 0) + 1
        if report.missing:
            report.faults.append(f"{report.missing} acknowledged spans are missing")
        if report.altered:
            report.faults.append(f"{report.altered} spans arrived altered")
        if sender.permanent:
            report.faults.append(f"well-formed data was refused for good: {dict(sender.permanent)}")

    def _cause(self, first: float) -> str:
        """Say why something came twice that was delivered first at that time."""
        for begin, end, what in self._unsettled:
            if begin - AROUND_SECONDS <= first <= end + AROUND_SECONDS:
                return what
        return "rebalance"

    async def _judge_offsets(self, watch: CommitWatch, broker: KafkaBroker) -> None:
        report, client = self._report, KafkaClient(broker.bootstrap)
        report.looks = watch.looks
        report.faults += watch.faults
        ends = await asyncio.to_thread(client.ends, TOPIC)
        committed: dict[int, int] = {}
        deadline = time.monotonic() + COMMITTED_WITHIN_SECONDS
        while committed != {number: end for number, end in ends.items() if end} and time.monotonic() < deadline:
            committed = await asyncio.to_thread(client.committed, GROUP, TOPIC)
        if any(ends[number] > committed.get(number, 0) for number in ends):
            report.faults.append(f"offsets {committed} were not committed up to the ends, {ends}")
        report.rss_mib = {name: sampler.peak() >> 20 for name, sampler in self._samplers.items()}

    # ------------------------------------------------------------------- details

    def _daemon(self, name: str, config: dict[str, Any]) -> Daemon:
        return Daemon(config, directory=self._directory / name, ready_timeout=60.0, stop_timeout=60.0)

    def _watch(self, name: str, daemon: Daemon, stack: AsyncExitStack) -> None:
        self._samplers[name] = stack.enter_context(RssSampler(daemon.pid))

    def _event(self, text: str) -> None:
        done = len(self._deliveries.seen)
        line = f"{time.time() - self._began:6.1f} s  {done:>9,} spans delivered: {text}"
        self._report.events.append(line)
        print(line, flush=True)


def _example(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs" / name).read_text(encoding="utf-8"))
    config["extensions"]["health_check"]["endpoint"] = "127.0.0.1:${env:HEALTH_PORT}"
    config["service"]["telemetry"] = {"metrics": {"level": "none"}}
    return config


def ingest_config(brokers: str) -> dict[str, Any]:
    """Return the shipped first tier, on other ports, with whole requests as messages: items of chaos have no traces."""
    config = _example("kafka-ingest.yaml")
    config["receivers"]["otlp"]["protocols"] = {"grpc": {"endpoint": "127.0.0.1:${env:GRPC_PORT}"}}
    exporter = config["exporters"]["kafka"]
    exporter["brokers"] = brokers
    del exporter["message_key"]
    return config


def process_config(brokers: str, backend: str, queue: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped second tier; each resource says which message it came from."""
    config = _example("kafka-process.yaml")
    config["receivers"]["kafka"] |= {
        "brokers": brokers,
        "session_timeout": "6s",
        "heartbeat_interval": "1s",
    }
    config["exporters"]["otlp_grpc"] |= {"endpoint": backend, "sending_queue": queue}
    config["processors"]["resource/place"] = {
        "attributes": [
            {"key": f"kafka.{what}", "from_context": f"metadata.kafka.{what}", "action": "upsert"}
            for what in ("partition", "offset")
        ]
    }
    config["service"]["pipelines"]["traces"]["processors"].append("resource/place")
    return config


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kafka", description=__doc__)
    parser.add_argument("--spans", type=int, default=Plan.spans)
    parser.add_argument("--partitions", type=int, default=Plan.partitions)
    parser.add_argument("--directory", type=Path, help="keep all logs there")
    arguments = parser.parse_args()
    with working_directory(arguments.directory) as directory:
        report = asyncio.run(Run(Plan(arguments.spans, arguments.partitions), directory).run())
    print("\n".join(str(report).splitlines()[len(report.events) :]))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
