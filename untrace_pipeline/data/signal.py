"""The three OTLP signals and who sent them."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["DRY_RUN_HEADER", "EMPTY_CONTEXT", "Context", "Signal"]


class Signal(enum.StrEnum):
    """A kind of telemetry; the value is the word used in pipeline ids and OTLP/HTTP paths."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"

    @property
    def item(self) -> str:
        """What one item is called in metric names and messages: ``spans``, ``metric_points``, ``log_records``."""
        return _ITEMS[self]

    def counted(self, number: int) -> str:
        """Return a number of items in words: ``1 span``, ``12 log records``."""
        words = self.item.replace("_", " ")
        return f"{number} {words.removesuffix('s') if number == 1 else words}"


_ITEMS = {Signal.TRACES: "spans", Signal.METRICS: "metric_points", Signal.LOGS: "log_records"}
_NO_METADATA: Mapping[str, tuple[str, ...]] = MappingProxyType({})
DRY_RUN_HEADER = "x-untrace-dry-run"
_NO = frozenset({"0", "false", "no", "off"})
_NO_AUTH: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about the request that carried a batch; never changed, shared by every branch."""

    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_METADATA)
    """Client headers or gRPC metadata, lower-case names; empty unless the receiver has ``include_metadata: true``."""
    auth: Mapping[str, object] = field(default_factory=lambda: _NO_AUTH)
    """Attributes that the server authenticator attached, for example ``subject``; never the credential itself."""
    tenant: str | None = None
    peer: str = ""
    """Address of the client, ``host:port`` or ``unix``; port 0 where requests of several connections were merged."""
    transport: str = ""
    """How it came: ``grpc``, ``http``, ``file`` …; a label of the receiver's metrics."""
    received_at: float = field(default_factory=time.time)
    """Arrival, seconds since the Unix epoch."""
    requests: int = field(default=1, compare=False)
    """How many requests the receiver merged into the batch; they are counted as that many. What is refused for good is
    not counted if it was merged, because the receiver then tries each request by itself."""

    remarks: list[str] = field(default_factory=list, compare=False, repr=False)
    """What a dry run found out, for whoever asked; shared by all branches."""

    @property
    def dry_run(self) -> bool:
        """Whether the sender asked what would happen, by ``X-Untrace-Dry-Run``: nothing may be sent."""
        values = self.metadata.get(DRY_RUN_HEADER)
        return values is not None and values[0].strip().lower() not in _NO

    def first(self, name: str) -> str | None:
        """Return the first value of a metadata header, or ``None``; ``name`` in any case."""
        values = self.metadata.get(name.lower())
        return values[0] if values else None


EMPTY_CONTEXT = Context(received_at=0.0)
