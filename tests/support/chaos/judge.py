"""Decides about requests by a schedule, and records what became of them. Knows no protocol."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from tests.support.chaos.faults import Fault, Schedule, Step
from tests.support.chaos.items import find_items
from tests.support.chaos.record import Record, runs_of

CODES = {
    Fault.UNAVAILABLE: UNAVAILABLE,
    Fault.THROTTLE: RESOURCE_EXHAUSTED,
    Fault.TOO_LARGE: RESOURCE_EXHAUSTED,
    Fault.BAD_REQUEST: INVALID_ARGUMENT,
    Fault.SERVER_ERROR: INTERNAL,
}
HTTP_STATUS = {
    Fault.UNAVAILABLE: 503,
    Fault.THROTTLE: 429,
    Fault.TOO_LARGE: 413,
    Fault.BAD_REQUEST: 400,
    Fault.SERVER_ERROR: 500,
}


@dataclass(frozen=True)
class Answer:
    """What a server is to say; without it, the connection is cut."""

    fault: Fault
    took: Sequence[int] = ()
    refused: int = 0
    retry_after: float | None = None

    @property
    def refusal(self) -> Status | None:
        """The status of a request that was not taken."""
        code = CODES.get(self.fault)
        if code is None:
            return None
        status = Status(code=code, message=f"chaos: {self.fault}")
        if self.retry_after is not None:
            packed = ProtoAny()
            packed.Pack(RetryInfo(retry_delay=Duration(nanos=int(self.retry_after * 1e9))))
            status.details.append(packed)
        return status

    @property
    def body(self) -> bytes:
        """The serialized response to a request that was taken."""
        if not self.refused:
            return b""
        partial = ExportTracePartialSuccess(rejected_spans=self.refused, error_message="chaos: rejected by name")
        return ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    @property
    def http_status(self) -> int:
        """The status code over HTTP."""
        return HTTP_STATUS.get(self.fault, 200)

    @property
    def http_headers(self) -> dict[str, str]:
        """Retry-After counts whole seconds."""
        return {} if self.retry_after is None else {"Retry-After": str(math.ceil(self.retry_after))}


@dataclass(frozen=True)
class Cut:
    """The connection is to be cut, in the middle of an answer or before one."""

    midway: bool


class Judge:
    """Decides about each request, and records what became of it."""

    def __init__(self, schedule: Schedule, record: Record | None = None) -> None:
        self.schedule = schedule
        self.steps: Counter[Fault] = Counter()
        self.accepted = 0
        self._record = record

    async def judge(self, via: str, data: bytes) -> Answer | Cut:
        """Do the next step; cancelled while it waits, it has taken nothing."""
        step = self.schedule.next()
        self.steps[step.fault] += 1
        match step.fault:
            case Fault.HANG:
                await asyncio.Event().wait()
            case Fault.SLOW:
                await asyncio.sleep(step.seconds)
        found = list(find_items(data))
        items = [item for item, _, _ in found]
        took, refused = _split(step, items)
        altered = sum(not intact for _, intact, _ in found)
        lost, large = took if step.fault is Fault.LOST_ANSWER else [], items if step.fault is Fault.TOO_LARGE else []
        self._write(step.fault, via=via, took=took, refused=refused, lost=lost, large=large, altered=altered)
        self.accepted += len(took)
        if step.fault in {Fault.RESET, Fault.LOST_ANSWER}:
            return Cut(midway=step.share > 0.5)
        retry_after = step.seconds if step.fault is Fault.THROTTLE else None
        return Answer(step.fault, took, len(refused), retry_after)

    def cut(self, items: Sequence[int]) -> None:
        """Note that the answers for some items may have been lost with a connection."""
        if items:
            self._write("cut", lost=items)

    def _write(self, step: str, *, via: str = "", altered: int = 0, **items: Sequence[int]) -> None:
        if self._record is not None:
            runs = {name: runs_of(items.get(name, ())) for name in ("took", "refused", "lost", "large")}
            self._record.write({"step": step, "at": time.time(), "via": via, "altered": altered} | runs)


def _split(step: Step, items: list[int]) -> tuple[list[int], list[int]]:
    """Return the items that are taken, and those that are refused for good."""
    match step.fault:
        case Fault.ACCEPT | Fault.SLOW | Fault.LOST_ANSWER:
            return items, []
        case Fault.PARTIAL:
            count = round(step.share * len(items))
            return items[count:], items[:count]
        case Fault.BAD_REQUEST | Fault.SERVER_ERROR:
            return [], items
        case Fault.TOO_LARGE if len(items) == 1:
            return [], items
    return [], []
