"""Dead letters as a store lists them, and how some of them are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from untrace_pipeline.data import Context, Signal

__all__ = ["Amount", "FiledLetter", "LetterFilter"]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much there is."""

    letters: int = 0
    items: int = 0
    bytes: int = 0
    """Of the requests as they were, not as they are stored."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.letters + other.letters, self.items + other.items, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledLetter:
    """A dead letter without its payload. Fields as in :class:`~untrace_pipeline.delivery.storage.DeadLetter`."""

    id: int
    exporter: str
    destination: str
    reason: str
    code: str
    message: str
    attempts: int
    failed_at: float
    received_at: float
    signal: Signal
    items: int
    bytes: int
    """Size of the payload."""
    tenant: str | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Request headers, without those that carry credentials."""
    key: str = ""
    replayed_at: float | None = None
    """When a replay last tried it in vain, seconds since the Unix epoch."""

    @property
    def context(self) -> Context:
        """Who sent it: what a batch made of it carries."""
        return Context(metadata=self.metadata, tenant=self.tenant, received_at=self.received_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which letters: those that fit every condition; an empty one fits all."""

    ids: Sequence[int] = ()
    exporters: Sequence[str] = ()
    """Ids of exporters, or patterns of the shell: ``otlp_http/*``."""
    reasons: Sequence[str] = ()
    codes: Sequence[str] = ()
    signals: Sequence[Signal] = ()
    tenants: Sequence[str] = ()
    since: float | None = None
    """Given up then or later, seconds since the Unix epoch."""
    until: float | None = None
    """Given up before."""

    def __bool__(self) -> bool:
        return any(True for _ in self._conditions())

    def where(self) -> tuple[str, list[object]]:
        """Return the condition of an SQL statement over ``letters``, and its parameters."""
        found = list(self._conditions())
        condition = " AND ".join(text for text, _ in found) or "TRUE"
        return condition, [value for _, values in found for value in values]

    def _conditions(self) -> Iterator[tuple[str, Sequence[object]]]:
        lists = (
            ("id", self.ids),
            ("reason", self.reasons),
            ("code", self.codes),
            ("signal", self.signals),
            ("tenant", self.tenants),
        )
        for column, values in lists:
            if values:
                yield f"{column} IN ({', '.join('?' * len(values))})", [_plain(value) for value in values]
        if self.exporters:
            yield f"({' OR '.join(['exporter GLOB ?'] * len(self.exporters))})", self.exporters
        if self.since is not None:
            yield "failed_at >= ?", (self.since,)
        if self.until is not None:
            yield "failed_at < ?", (self.until,)


def _plain(value: object) -> object:
    """Return a value as SQLite takes it: of an enumeration its text."""
    return value if isinstance(value, int) else str(value)
