"""What every exporter shares: bounded queue, batching by bytes, retry, splitting, accounting. Knows no protocol.

An exporter has a configuration class that extends :class:`DeliveryConfig`, implements :class:`Sender`, and holds a
:class:`Delivery` that it forwards ``start``, ``consume``, ``admit`` and ``shutdown`` to::

    consume ─► Queue ─► Batcher ─► Sending: attempt ─► classify ─┬► wait, again    (RetryableError, OSError)
                 │                                               ├► halves         (OversizeError)
                 └── done, once every item has one outcome ◄─────┴► give up        (PermanentError)

The seams of what is to come: a queue on disk is another :class:`Queue`; a breaker stands before the attempt; a
:class:`Failure` is what a dead-letter queue takes; :class:`Accounting` is what a ledger shows.
"""

from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.config import (
    BatchConfig,
    BatchSizer,
    DeliveryConfig,
    Overflow,
    PartitionConfig,
    QueueConfig,
    QueueSizer,
    RetryConfig,
)
from untrace_pipeline.delivery.delivery import Delivery
from untrace_pipeline.delivery.queue import MemoryQueue, Queue
from untrace_pipeline.delivery.request import (
    DELIVERED,
    Entry,
    Failure,
    Outcome,
    Reason,
    Request,
    Sender,
    Verdict,
    classify,
)

__all__ = [
    "DELIVERED",
    "Accounting",
    "BatchConfig",
    "BatchSizer",
    "Delivery",
    "DeliveryConfig",
    "Entry",
    "Failure",
    "MemoryQueue",
    "Outcome",
    "Overflow",
    "PartitionConfig",
    "Queue",
    "QueueConfig",
    "QueueSizer",
    "Reason",
    "Request",
    "RetryConfig",
    "Sender",
    "Verdict",
    "classify",
]
