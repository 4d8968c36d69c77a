"""One proof: the daemon sends to a destination, which has to have it all, once, and equal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.support.peers import Daemon
from tests.support.proofs.gate import Gate
from tests.support.proofs.logs import LogRun
from tests.support.proofs.metrics import MetricRun
from tests.support.proofs.place import Place
from tests.support.proofs.run import Row, Run, configuration
from tests.support.proofs.spans import SpanRun
from tests.support.proofs.traffic import Traffic
from untrace_pipeline.data import Signal

__all__ = ["prove"]

_RUNS: dict[Signal, Callable[[Any, Row, Daemon], Run]] = {
    Signal.TRACES: SpanRun,
    Signal.LOGS: LogRun,
    Signal.METRICS: MetricRun,
}


def prove(place: Place, traffic: Traffic) -> Row:
    """Start the destination, send to it, and answer what it has. Raises `PeerUnavailable` where it cannot be had."""
    with ExitStack() as stack:
        stack.enter_context(place)
        row = Row(place.name, place.peer)
        gate = stack.enter_context(Gate(place.url, place.exports)) if place.url else None
        daemon = stack.enter_context(Daemon(configuration(place, gate.url if gate else "")))
        run = _RUNS[place.signal](place, row, daemon)
        run.whole_traffic(traffic)
        if gate is not None:
            run.was_retried(gate)
            run.large_requests(gate)
        run.account()
    return row
