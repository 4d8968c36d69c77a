"""What the proxy counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from untrace_pipeline.api import Meter
from untrace_pipeline.delivery import Circuit

__all__ = ["Meters"]

_SUCCESS_BELOW, _SERVER_FROM = 400, 500


class Meters:
    """Metrics of one receiver, asked for once per combination of labels."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls = cache(
            lambda upstream, outcome: meter.counter("llm_proxy_calls", upstream=upstream, outcome=outcome)
        )
        self._attempts = cache(
            lambda upstream, outcome: meter.counter("llm_proxy_attempts", upstream=upstream, outcome=outcome)
        )
        self._in_flight = 0
        self.overhead = meter.histogram("llm_proxy_overhead_seconds")
        """Seconds that the proxy itself took until the head of an answer went out."""
        meter.gauge("llm_proxy_in_flight").observe_with(lambda: self._in_flight)

    def watch_queue(self, size: Callable[[], float], byte_size: Callable[[], float], capacity: int) -> None:
        """Show how full the queue of calls is."""
        self._meter.gauge("llm_proxy_capture_queue_size").observe_with(size)
        self._meter.gauge("llm_proxy_capture_queue_bytes").observe_with(byte_size)
        self._meter.gauge("llm_proxy_capture_queue_capacity").set(capacity)

    def begun(self) -> None:
        """A call begins."""
        self._in_flight += 1

    def ended(self, upstream: str, status: int | None, error: str | None) -> None:
        """A call has ended; ``error`` is how, if not by an answer."""
        self._in_flight -= 1
        self._calls(upstream, error or _outcome(status)).add()

    def attempted(self, upstream: str, status: int | None, error: str | None) -> None:
        """An upstream was asked."""
        self._attempts(upstream, error or _outcome(status)).add()

    def circuit(self, upstream: str, state: Circuit) -> None:
        """A circuit changed."""
        self._meter.gauge("llm_proxy_circuit_state", upstream=upstream).set(state.value)

    def lost(self, reason: str, calls: int) -> None:
        """Calls have no span."""
        self._meter.counter("llm_proxy_lost_spans", reason=reason).add(calls)


def _outcome(status: int | None) -> str:
    if status is None or status < _SUCCESS_BELOW:
        return "success"
    return "client_error" if status < _SERVER_FROM else "server_error"
