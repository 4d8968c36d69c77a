"""`python -m tests.soak.dead_destination --minutes 10`: one of three destinations is dead; the others must not feel it.

Three OTLP destinations with queues on disk, steady load. After a while the third goes down (or hangs, or refuses), and
comes back after so many minutes. Latencies of acknowledgement and of delivery at the other two are compared before,
during and after; everything must arrive at the third in the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.procfs import RssSampler
from tests.soak.arena import Arena, Setup, wait_for, working_directory
from tests.soak.verdict import Verdict, count
from tests.support.chaos import SinkProcess, Weights
from tests.support.chaos.latency import Phase, Timed, phase, until_acknowledged, until_taken
from tests.support.chaos.process import ROOT
from tests.support.chaos.record import expand
from tests.support.chaos.sender import acknowledged_in

How = Literal["down", "hang", "refuse"]
WARM_UP_SECONDS = 1.0
NOISE, NOISE_MS = 1.25, 2.0
"""A p99 is unchanged if it is at most the largest of a window before, times this, and so many milliseconds."""


@dataclass(frozen=True)
class Plan:
    """What happens. Times are in seconds."""

    dead: float
    before: float
    how: How = "down"
    rate: float = 100.0
    window: float = 10.0
    setup: Setup = field(default_factory=Setup)
    judge_times: bool = True


@dataclass
class Times:
    """When what happened, seconds since the Unix epoch."""

    begin: float = 0.0
    death: float = 0.0
    birth: float = 0.0
    arrived: float = 0.0
    end: float = 0.0

    def phases(self, timed: Timed, window: float) -> tuple[Phase, Phase, Phase]:
        """Return latencies before, during and after."""
        spans = ((self.begin, self.death), (self.death, self.birth), (self.birth, self.end))
        before, during, after = (phase(timed, begin, end, window) for begin, end in spans)
        return before, during, after


class DeadDestination:
    """One proof."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.verdict = Verdict()
        self.times = Times()
        self.lines: list[str] = []
        self._directory = directory
        self._sent = directory / "sender.jsonl"
        self._sinks = [SinkProcess(record=directory / f"sink-{number}.jsonl") for number in (1, 2, 3)]

    def run(self) -> Verdict:
        """Let it die and come back."""
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.enter_context(sink)
            names = [f"otlp_grpc/{number}" for number in (1, 2, 3)]
            exporters = {
                name: self.plan.setup.exporter_config(sink.grpc) for name, sink in zip(names, self._sinks, strict=True)
            }
            arena = Arena(self._directory, self.plan.setup, exporters)
            arena.start()
            stack.callback(arena.stop)
            memory = stack.enter_context(RssSampler(arena.daemon.pid))
            pipe = subprocess.PIPE
            sender = subprocess.Popen(self._sender(arena), cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
            stack.callback(sender.kill)
            self._life_and_death(arena)
            report = json.loads(sender.communicate()[0])
            self.verdict.check(not report["permanent"], f"well-formed data was refused for good: {report}")
            self.verdict.ledger(arena.drain(), "at the end")
            self.lines.append(f"largest memory: {memory.peak() / 1e6:.0f} MB")
        self._compare(names)
        if self.plan.judge_times:
            self._judge_times()
        return self.verdict

    def _sender(self, arena: Arena) -> list[str]:
        command = [sys.executable, "-m", "tests.support.chaos", "send", "--grpc", arena.grpc, "--items", "10", "10"]
        return [*command, "--rate", str(self.plan.rate), "--seconds", "0", "--record", str(self._sent)]

    def _life_and_death(self, arena: Arena) -> None:
        times, third = self.times, self._sinks[2]
        time.sleep(WARM_UP_SECONDS)
        times.begin = time.time()
        time.sleep(self.plan.before)
        times.death = time.time()
        self._let_die(third)
        time.sleep(self.plan.dead)
        ledger = arena.ledger()
        self.verdict.ledger(ledger, "while it is dead")
        waiting = [ledger.of(name, "queued") + ledger.of(name, "in_flight") for name in ledger.exporters]
        self.lines.append(f"queued before it comes back: {waiting}")
        times.birth = time.time()
        self._revive(third)
        name, backlog = list(ledger.exporters)[2], ledger.of(list(ledger.exporters)[2], "accepted")
        wait_for(lambda: arena.ledger().of(name, "delivered") >= backlog, "the backlog arrives", 60 + self.plan.dead)
        times.arrived = time.time()
        time.sleep(self.plan.before)
        times.end = time.time()

    def _let_die(self, sink: SinkProcess) -> None:
        if self.plan.how == "down":
            sink.stop()
        else:
            sink.set_weights(Weights.parse("hang=1" if self.plan.how == "hang" else "unavailable=1"))

    def _revive(self, sink: SinkProcess) -> None:
        if self.plan.how == "down":
            sink.start()
        else:
            sink.set_weights(Weights.calm())

    def _compare(self, names: list[str]) -> None:
        acknowledged = set(expand(acknowledged_in([self._sent])))
        for name, sink in zip(names, self._sinks, strict=True):
            self.verdict.add(count(name, acknowledged, sink.record))
        seconds, dead = self.times.arrived - self.times.birth, self.times.birth - self.times.death
        self.lines.append(f"dead for {dead:.0f} s; everything had arrived {seconds:.1f} s after it came back")

    def _judge_times(self) -> None:
        """Compare latencies before and during, with what they vary by themselves as the measure."""
        timed = {"acknowledged": until_acknowledged(self._sent)}
        timed |= {f"at {number}": until_taken(self._sent, self._sinks[number - 1].record) for number in (1, 2)}
        for what, each in timed.items():
            before, during, after = self.times.phases(each, self.plan.window)
            cells = (f"p50 {one.p50:.1f}, p99 {one.p99:.1f} ({one.typical_p99:.1f})" for one in (before, during, after))
            self.lines.append(f"ms until {what}: {' | '.join(cells)}")
            noise = NOISE * max(before.windows) + NOISE_MS
            fault = f"until {what}: p99 is {during.typical_p99:.1f} ms, and {noise:.1f} would be noise"
            self.verdict.check(during.typical_p99 <= noise, fault)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.dead_destination", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it is dead")
    parser.add_argument("--before", type=float, default=60.0, help="seconds that are measured before and after")
    parser.add_argument("--how", choices=["down", "hang", "refuse"], default="down")
    parser.add_argument("--rate", type=float, default=100.0, help="requests of ten spans per second")
    parser.add_argument("--queue", choices=["disk", "memory"], default="disk")
    parser.add_argument("--directory", type=Path, help="new or empty; keeps logs, queues and records")
    return parser.parse_args()


def main() -> int:
    """Return 0 when it is proved."""
    arguments = _arguments()
    queue = {"sizer": "bytes", "queue_size": "3GiB"}
    setup = Setup(queue=arguments.queue, sending_queue=queue, timeout=5.0 if arguments.how == "hang" else 30.0)
    plan = Plan(60 * arguments.minutes, arguments.before, arguments.how, arguments.rate, setup=setup)
    with working_directory(arguments.directory) as directory:
        proof = DeadDestination(plan, directory)
        verdict = proof.run()
    print("before | during | after; p99 in brackets: the median of windows of ten seconds", *proof.lines, sep="\n")
    print(verdict)
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
