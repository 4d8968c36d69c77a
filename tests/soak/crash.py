"""`python -m tests.soak.crash --kills 50`: kill -9 the daemon at random moments under load; nothing may be missing.

A sender keeps sending over both protocols and knows what was acknowledged. Two sinks, one per protocol, write down what
they took; with ``--faults`` they misbehave. At the end everything is let through, and both sides are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.arena import Arena, Ledger, Setup, Victim, working_directory
from tests.soak.damage import KINDS, Kind, Vandal
from tests.soak.letters import dead_letters, replay
from tests.soak.verdict import Count, Explained, Verdict, count, resent
from tests.support.chaos import Received, Sender, SenderConfig, SinkProcess, Weights
from tests.support.peers import PeerProcessError

EXPORTERS = ("otlp_grpc/sink", "otlp_http/sink")
EARLY = 0.15
"""How many of the kills come before the daemon is ready."""
TERMS = 0.1
"""How many lives end by SIGTERM, with little time to drain."""
SINGLES = 0.5
"""With several workers: how many kills hit one process alone."""
RELOADS = 0.2
"""How many lives see a reload that changes every exporter."""
UNAVAILABLE = Weights.parse("unavailable=1")


@dataclass(frozen=True)
class Plan:
    """What happens. Equal seeds give equal kills and faults, but for the moments that the machine decides."""

    kills: int = 50
    seed: int = 1
    longest_run: float = 2.0
    """Seconds that a run lasts at most, once the daemon is ready."""
    last_life: float = 1.0
    """Seconds until what goes wrong stops, in the life that is not ended by a kill."""
    rate: float = 300.0
    """Requests per second that are offered."""
    faults: Weights = field(default_factory=Weights.calm)
    damage: tuple[Kind, ...] = ()
    """What is done to files of the queues between two lives."""
    damages: float = 0.5
    """How often that happens."""
    stalls: float = 0.2
    """How many of the lives find the destinations unavailable, so that something waits on the disk at the kill."""
    changing_workers: bool = False
    """Each life has another number of workers, up to that of the setup: queues of workers that are gone are adopted."""
    setup: Setup = field(default_factory=Setup)
    patience: float = 120.0
    """Seconds for everything to arrive in the end."""


class Crash:
    """One proof."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self.plan = plan
        self.verdict = Verdict()
        self._random = random.Random(plan.seed)
        self._kills: list[tuple[float, float]] = []
        self.vandal = Vandal(plan.seed, plan.damage)
        self._directory = directory
        self._sinks = [
            SinkProcess(seed=plan.seed + place, weights=plan.faults, record=directory / f"sink-{place}.jsonl")
            for place in range(len(EXPORTERS))
        ]

    async def run(self) -> Verdict:
        """Kill, and compare."""
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.enter_context(sink)
            endpoints = (self._sinks[0].grpc, f"http://{self._sinks[1].http}")
            exporters = {
                name: self.plan.setup.exporter_config(endpoint)
                for name, endpoint in zip(EXPORTERS, endpoints, strict=True)
            }
            arena = Arena(self._directory, self.plan.setup, exporters)
            stack.callback(arena.stop)
            try:
                await self._attack(arena)
            except (PeerProcessError, TimeoutError) as error:
                self.verdict.check(False, f"{error}\n{arena.daemon.log[-3000:]}")
        return self.verdict

    async def _attack(self, arena: Arena) -> None:
        sender = Sender(SenderConfig(rate=self.plan.rate), grpc=arena.grpc, http=arena.http)
        sending = asyncio.create_task(sender.run())
        try:
            for number in range(self.plan.kills):
                await self._one_life(arena, sender, number)
            self._let_sinks(self.plan.faults)
            await asyncio.to_thread(arena.start)
            await asyncio.sleep(self.plan.last_life)
            self._let_sinks(Weights.calm())
            sender.stop()
            async with asyncio.timeout(self.plan.patience):
                await sending
            ledger = await asyncio.to_thread(arena.drain, self.plan.patience)
            self._final(arena, sender, ledger)
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _one_life(self, arena: Arena, sender: Sender, number: int) -> None:
        self._let_sinks(UNAVAILABLE if self._happens(self.plan.stalls) else self.plan.faults)
        if self.plan.changing_workers:
            arena.change_workers(self._random.randint(1, self.plan.setup.workers))
        acknowledged, began = sender.accepted_items, time.monotonic()
        arena.launch()
        if early := self._happens(EARLY):
            await asyncio.sleep(self._random.uniform(0.0, 0.5))
        else:
            await asyncio.to_thread(arena.daemon.wait_ready)
            self._compare_early(await asyncio.to_thread(arena.ledger), acknowledged, number)
            if self._happens(RELOADS):
                await asyncio.sleep(self._random.uniform(0.0, 0.3))
                arena.reload()
            await asyncio.sleep(self._random.uniform(0.0, self.plan.longest_run))
        ending = time.time()
        said = await asyncio.to_thread(self._end, arena, early)
        self._kills.append((ending, time.time()))
        sent_again = sum(count for _, count in sender.unanswered)
        stats = [sink.stats()["accepted"] for sink in self._sinks]
        lines = [f"life {number + 1}: {said} at {ending:.3f} after {time.monotonic() - began:.2f} s"]
        lines += [f"acknowledged {sender.accepted_items}, sent again {sent_again}, taken {stats}"]
        if self.plan.damage and self._happens(self.plan.damages):
            lines += self.vandal.visit(arena.queues)
        print(*lines, sep="; ", file=sys.stderr)

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def _end(self, arena: Arena, early: bool) -> str:
        """End a life, mostly by a kill; say how."""
        if not early and self._happens(TERMS):
            code = arena.stop()
            self.verdict.check(code == 0, f"SIGTERM ended with code {code}")
            return "SIGTERM"
        if self.plan.setup.workers > 1 and self._happens(SINGLES):
            victim: Victim = self._random.choice(("supervisor", "worker"))
            arena.kill(victim)
            if victim == "supervisor":
                return "kill of the supervisor"
            time.sleep(self._random.uniform(0.0, self.plan.longest_run))
        arena.kill()
        return "kill"

    def _let_sinks(self, weights: Weights) -> None:
        for sink in self._sinks:
            sink.set_weights(weights)

    def _final(self, arena: Arena, sender: Sender, ledger: Ledger) -> None:
        verdict, hit = self.verdict, self.vandal.hit
        code = arena.stop()
        verdict.check(code == 0, f"SIGTERM ended with code {code}")
        verdict.sender(sender)
        verdict.ledger(ledger, "at the end")
        again = resent(sender)
        explained = Explained(self._kills, again, hit.repeated, hit.items)
        letters = {name: dead_letters(arena, name) for name in EXPORTERS if self.plan.setup.dead_letters}
        for name, sink in zip(EXPORTERS, self._sinks, strict=True):
            verdict.add(count(name, sender.acknowledged, sink.record, explained=explained, letters=letters.get(name)))
            if not hit.sums:
                self._compare_sums(name, ledger, sender.accepted_items, len(again))
                self._compare_ends(name, ledger, verdict.counts[-1], sink.received())
        if letters:
            self._replay(arena, letters, sender, explained)

    def _replay(self, arena: Arena, letters: Mapping[str, Counter[int]], sender: Sender, explained: Explained) -> None:
        """Send the dead letters again: then everything is there but what was rejected by name."""
        before = [sink.received().accepted for sink in self._sinks]
        replay(arena)
        self.verdict.check(not dead_letters(arena, "*"), "letters are left after the replay")
        for name, sink, had in zip(EXPORTERS, self._sinks, before, strict=True):
            once = sink.received().accepted - had == letters[name]
            self.verdict.check(once, f"{name}: the replay did not send each letter once")
            self.verdict.add(count(f"{name} replayed", sender.acknowledged, sink.record, explained=explained))

    def _compare_early(self, ledger: Ledger, acknowledged: int, number: int) -> None:
        """Check the sums right after a start: what was acknowledged before is known."""
        self.verdict.ledger(ledger, f"after start {number}")
        known = acknowledged - len(self.vandal.hit.items)
        for name in EXPORTERS if self.plan.setup.queue == "disk" and not self.vandal.hit.sums else ():
            accepted = ledger.of(name, "accepted")
            self.verdict.check(accepted >= known, f"{name}: {accepted} of {known} accepted items after start {number}")

    def _compare_sums(self, name: str, ledger: Ledger, acknowledged: int, unanswered: int) -> None:
        """Check what the ledger has accepted, over all lives, against what the sender knows."""
        accepted = ledger.of(name, "accepted")
        low, high = acknowledged - len(self.vandal.hit.items), acknowledged + unanswered
        fault = f"{name}: the ledger has {accepted} accepted items, the sender {low} to {high}"
        self.verdict.check(low <= accepted <= high, fault)

    def _compare_ends(self, name: str, ledger: Ledger, count: Count, received: Received) -> None:
        """Check what the ledger says became of the items against what the sink has written down."""
        delivered, twice = ledger.of(name, "delivered"), count.causes.total()
        low, high = len(received.accepted) - twice, received.accepted.total()
        fault = f"{name}: the ledger has {delivered} delivered items, the sink {low} to {high}"
        self.verdict.check(low <= delivered <= high, fault)
        given_up = sum(ledger.of(name, state) for state in ("rejected", "dropped", "expired", "dead_lettered"))
        refused = received.rejected.total() + received.refused.total() + len(self.vandal.hit.items)
        self.verdict.check(given_up <= refused, f"{name}: {given_up} items were given up, {refused} were refused")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--faults", nargs="?", const="wild", default="calm", help="wild, retryable, or accept=60,hang=1"
    )
    parser.add_argument("--queue", choices=["disk", "memory"], default="disk", help="memory: to see it fail")
    parser.add_argument("--damage", nargs="?", const="all", choices=["all", *KINDS], help="of the files, between runs")
    parser.add_argument("--batch", action="store_true", help="the queues merge what they send")
    parser.add_argument("--batch-processor", action="store_true", help="a processor merges in front of the queues")
    parser.add_argument("--encrypt", action="store_true", help="what is stored is encrypted; not with --damage")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--changing-workers", action="store_true", help="another number in each life, up to --workers")
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second")
    parser.add_argument("--last-life", type=float, default=1.0, help="seconds after the last kill")
    parser.add_argument("--directory", type=Path, help="new or empty; keeps logs, queues and records")
    return parser.parse_args()


def _setup(arguments: argparse.Namespace) -> Setup:
    return Setup(
        queue=arguments.queue,
        workers=arguments.workers,
        batch=arguments.batch,
        dead_letters=arguments.faults != "calm",
        processors={"batch": {"send_batch_size": 500, "timeout": "50ms"}} if arguments.batch_processor else {},
        storage={"encryption": {"key": secrets.token_hex(32)}} if arguments.encrypt else {},
        shutdown_timeout="1s",
    )


def main() -> int:
    """Return 0 when it is proved."""
    arguments = _arguments()
    damage = KINDS if arguments.damage == "all" else (arguments.damage,) if arguments.damage else ()
    plan = Plan(
        arguments.kills,
        arguments.seed,
        last_life=arguments.last_life,
        rate=arguments.rate,
        faults=Weights.parse(arguments.faults),
        damage=damage,
        stalls=0.6 if damage else 0.2,
        changing_workers=arguments.changing_workers,
        setup=_setup(arguments),
    )
    with working_directory(arguments.directory) as directory:
        verdict = asyncio.run(Crash(plan, directory).run())
    print(verdict)
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
