"""What the exporter asks of whoever knows what a platform reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from untrace_pipeline.data import Batch
from untrace_pipeline.delivery import Outcome
from untrace_pipeline.net.http_answer import Answer

__all__ = ["Body", "Encoder"]


class Body(NamedTuple):
    """What goes over the wire, not compressed."""

    data: bytes
    content_type: str
    path: str = ""
    """What is added to the address."""


class Encoder(Protocol):
    """Made once per exporter; may run many times at once, in threads."""

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Look at a whole request, of which ``rows`` are sent, before it is split: spans must know their ancestors."""

    def encode(self, batch: Batch) -> Body:
        """Return the body of a request, which may be a part of what was learnt. Leaves the batch as it is."""

    def read(self, batch: Batch, answer: Answer) -> Outcome:
        """Return what an answer of success says. Raises :class:`ConsumeError` where it is none."""
