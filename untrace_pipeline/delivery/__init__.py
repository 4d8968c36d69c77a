"""What every exporter shares: bounded queue, batching by bytes, retry, splitting, accounting. Knows no protocol.

An exporter has a configuration class that extends :class:`DeliveryConfig`, implements :class:`Sender`, and holds a
:class:`Delivery` that it forwards ``start``, ``consume``, ``admit`` and ``shutdown`` to::

    consume ─► Queue ─► Batcher ─► Sending: breaker ─► attempt ─► classify ─┬► wait, again    (RetryableError, OSError)
                 │                                                          ├► make smaller   (OversizeError)
                 │                                                          └► give up        (PermanentError)
                 └── done, once every item has one end ◄── Ending ◄── Burial: dead letters ◄──┘

A queue is in memory, or on a disk through an extension that keeps a :class:`Journal`; so are the dead letters.
:class:`Accounting` knows where every item is, and is what the ledger shows.
"""

from untrace_pipeline.delivery.accounting import Accounting
from untrace_pipeline.delivery.breaker import Breaker, Circuit
from untrace_pipeline.delivery.config import (
    BatchConfig,
    BatchSizer,
    BreakerConfig,
    CircuitConfig,
    DeadLetterConfig,
    DeliveryConfig,
    Overflow,
    Oversize,
    PartitionConfig,
    QueueConfig,
    QueueSizer,
    RetryConfig,
    RetryPreset,
    WhenOpen,
)
from untrace_pipeline.delivery.delivery import Delivery
from untrace_pipeline.delivery.queue import MemoryQueue, PersistentQueue, Queue
from untrace_pipeline.delivery.request import (
    DELIVERED,
    Entry,
    Failure,
    Outcome,
    Paced,
    Prepared,
    Preparing,
    Reason,
    Refused,
    Request,
    Result,
    Sender,
    State,
    Verdict,
    classify,
)
from untrace_pipeline.delivery.storage import (
    DeadLetter,
    DeadLetters,
    DeadLetterStorage,
    Journal,
    QueueStorage,
    Record,
    Recovery,
    Totals,
)

__all__ = [
    "DELIVERED",
    "Accounting",
    "BatchConfig",
    "BatchSizer",
    "Breaker",
    "BreakerConfig",
    "Circuit",
    "CircuitConfig",
    "DeadLetter",
    "DeadLetterConfig",
    "DeadLetterStorage",
    "DeadLetters",
    "Delivery",
    "DeliveryConfig",
    "Entry",
    "Failure",
    "Journal",
    "MemoryQueue",
    "Outcome",
    "Overflow",
    "Oversize",
    "Paced",
    "PartitionConfig",
    "PersistentQueue",
    "Prepared",
    "Preparing",
    "Queue",
    "QueueConfig",
    "QueueSizer",
    "QueueStorage",
    "Reason",
    "Record",
    "Recovery",
    "Refused",
    "Request",
    "Result",
    "RetryConfig",
    "RetryPreset",
    "Sender",
    "State",
    "Totals",
    "Verdict",
    "WhenOpen",
    "classify",
]
