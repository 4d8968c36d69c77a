"""Alternatives: groups of pipelines of which one takes a batch, what the levels of ``failover`` and fallbacks are.

A group takes a batch when all of its pipelines do. If one refuses, the whole batch goes to the next group at once, so
it is accepted by exactly one group, or by none and the caller still has it. Pipelines of a group that had accepted
before another one refused keep what they have: at least once, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from untrace_pipeline.api import Code, ConsumeError, Consumer, RetryableError, consume_all, worst
from untrace_pipeline.data import Batch

__all__ = ["Group", "Refusal", "first_to_accept"]

_OUT_OF_ORDER = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED, Code.NOT_FOUND})
"""Permanent refusals that say nothing about the batch: whatever is sent there is refused until somebody acts."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Pipelines that take a batch together."""

    name: str
    """For people: ``traces/a, traces/b``."""
    consumers: Sequence[Consumer]

    async def consume(self, batch: Batch) -> None:
        """Give the batch to every pipeline at the same time. Raises :class:`ConsumeError` if one refuses.

        A full queue is a refusal here, whatever the other pipelines say: there may be another group for the batch.
        """
        await consume_all([(consumer, batch.copy()) for consumer in self.consumers], None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A group that did not take a batch."""

    group: Group
    error: ConsumeError

    @property
    def lasting(self) -> bool:
        """Whether the next batch would probably be refused too. Otherwise it was about this one."""
        return isinstance(self.error, RetryableError) or self.error.code in _OUT_OF_ORDER

    def __str__(self) -> str:
        return f"{self.group.name} refused ({self.error.code.name}: {self.error})"


async def first_to_accept(groups: Sequence[Group], batch: Batch) -> tuple[Group, list[Refusal]]:
    """Offer a batch to groups in order; return the one that took it, and those that had refused before.

    Raises the worst of all refusals if nobody takes it.
    """
    if batch.edited:
        batch.to_otlp()  # once, for all handles
    refusals: list[Refusal] = []
    for group in groups:
        try:
            await group.consume(batch)
        except ConsumeError as error:
            refusals.append(Refusal(group, error))
        else:
            return group, refusals
    errors = [refusal.error for refusal in refusals]
    speaking = worst(errors)
    speaking.partly_accepted |= any(error.partly_accepted for error in errors)
    raise speaking
