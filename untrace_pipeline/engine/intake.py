"""The intake: the entry of all pipelines of one receiver, with admission and the receiver's counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from untrace_pipeline.api.component import Admission
from untrace_pipeline.api.consumer import Consumer
from untrace_pipeline.api.telemetry import Counter, Meter
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.engine.link import Faults
from untrace_pipeline.errors import Code, ConsumeError, InternalError, PermanentError, RetryableError

__all__ = ["Gate", "Intake"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Who is asked before a request is read."""

    limiters: Sequence[Admission] = ()
    """Processors of the receiver's pipelines: each of them may refuse."""
    queues: Sequence[Admission] = ()
    """All exporters that can be reached: the request is refused if every one of them refuses.

    Empty if one of them has no say, since that one might take it.
    """

    def check(self, byte_size: int) -> None:
        """Raise :class:`RetryableError` if a request of that size would be refused."""
        for limiter in self.limiters:
            limiter.admit(byte_size)
        refusal: RetryableError | None = None
        for queue in self.queues:
            try:
                queue.admit(byte_size)
            except RetryableError as error:
                refusal = refusal or error
            else:
                return
        if refusal is not None:
            raise refusal


@dataclass(frozen=True, slots=True)
class _Counters:
    accepted: Counter
    refused: Counter
    failed: Counter
    succeeded_requests: Counter
    refused_requests: Counter
    failed_requests: Counter


class Intake:
    """What a receiver is given as ``next``; where it leads can be switched while batches flow."""

    def __init__(self, meter: Meter, faults: Faults) -> None:
        self._meter = meter
        self._faults = faults
        self._not_admitted = meter.counter("receiver_not_admitted_requests")
        self._latency = meter.histogram("processing_latency_seconds", stage="receiver")
        self._counters: dict[tuple[Signal, str], _Counters] = {}
        self._targets: Mapping[Signal, Consumer] = {}
        self._gate = Gate()

    def switch(self, targets: Mapping[Signal, Consumer], gate: Gate) -> None:
        """Lead to other pipelines from now on."""
        self._targets = dict(targets)
        self._gate = gate

    def admit(self, byte_size: int) -> None:
        """Ask the memory limiters and queues behind. Raises :class:`ConsumeError`."""
        try:
            self._gate.check(byte_size)
        except ConsumeError:
            self._not_admitted.add()
            raise
        except Exception as error:
            self._not_admitted.add()
            raise self._faults.wrap(error) from error

    async def consume(self, batch: Batch) -> None:
        """Hand the batch to every pipeline of its signal. Raises :class:`ConsumeError`."""
        counters = self._of(batch)
        items, requests = batch.item_count, batch.context.requests
        started = perf_counter()
        try:
            await self._target(batch).consume(batch)
        except InternalError:
            if requests == 1:  # whoever merged several tries each by itself now
                counters.failed.add(items)
                counters.failed_requests.add()
            raise
        except PermanentError:
            if requests == 1:
                counters.refused.add(items)
                counters.refused_requests.add()
            raise
        except BaseException:
            counters.refused.add(items)
            counters.refused_requests.add(requests)
            raise
        counters.accepted.add(items)
        counters.succeeded_requests.add(requests)
        self._latency.record(perf_counter() - started)

    def _target(self, batch: Batch) -> Consumer:
        target = self._targets.get(batch.signal)
        if target is None:
            msg = f"no pipeline takes {batch.signal} from this receiver"
            raise PermanentError(msg, code=Code.UNIMPLEMENTED)
        return target

    def _of(self, batch: Batch) -> _Counters:
        key = (batch.signal, batch.context.transport)
        counters = self._counters.get(key)
        if counters is None:
            counters = self._counters[key] = self._make(*key)
        return counters

    def _make(self, signal: Signal, transport: str) -> _Counters:
        def items(outcome: str) -> Counter:
            return self._meter.counter(f"receiver_{outcome}_{signal.item}", transport=transport)

        def requests(outcome: str) -> Counter:
            return self._meter.counter("receiver_requests", transport=transport, outcome=outcome)

        return _Counters(
            items("accepted"),
            items("refused"),
            items("failed"),
            requests("success"),
            requests("refused"),
            requests("failure"),
        )
