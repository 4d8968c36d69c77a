"""What is known of the partitions that this member has: which messages wait, and how far it got. Pure: no I/O.

The one rule: ``position`` moves behind a message when the message was dealt with, and offsets are committed from
``position`` alone. So what is committed is never ahead of what was delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

__all__ = ["Key", "Partition", "Partitions", "Record", "State"]

Key = tuple[str, int]
"""Topic and number of a partition."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it came."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: float = 0.0
    """When it was produced, seconds since the Unix epoch; 0 if unknown."""

    @property
    def key(self) -> Key:
        """The partition that it came from."""
        return self.topic, self.partition


class State(Enum):
    """What a partition does."""

    FLOWING = auto()
    WAITING = auto()
    """Its next message is refused for now."""
    STOPPED = auto()
    """Its next message can never be accepted, and must not be skipped."""
    GONE = auto()
    """It belongs to another member now."""


class Partition:
    """One partition while it is ours."""

    def __init__(self, key: Key, start: int | None = None) -> None:
        """``start`` is where reading begins, if that is not committed yet."""
        self.key = key
        self.state = State.FLOWING
        self.records: deque[Record] = deque()
        self.position = start
        """Offset behind the last message that was dealt with; ``None`` before the first."""
        self.committed: int | None = None
        """Position that was committed last by us."""
        self.rewinding = False
        """Messages behind the first were let go of, and are fetched again: what still comes of them is dropped."""
        self._next = start
        self._end = 0

    @property
    def next_offset(self) -> int:
        """Offset of the first message that was not dealt with, as far as is known."""
        return self._next or 0

    @property
    def lag(self) -> int:
        """How many messages of the partition were not dealt with, by the last that is known of its end."""
        return 0 if self._next is None else max(0, self._end - self._next)

    def add(self, records: Iterable[Record]) -> None:
        """Let messages wait behind those that are there."""
        self.records.extend(records)
        if self._next is None and self.records:
            self._next = self.records[0].offset

    def saw_end(self, end: int) -> None:
        """Know that the partition has messages up to that offset."""
        self._end = max(self._end, end)

    def mark(self, record: Record) -> None:
        """Count a message as dealt with."""
        self.position = self._next = record.offset + 1


class Partitions:
    """All partitions that this member has."""

    def __init__(self, give_back: Callable[[int], None]) -> None:
        """``give_back`` is told the bytes of messages that wait no longer."""
        self._give_back = give_back
        self._partitions: dict[Key, Partition] = {}

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions.values())

    def assign(self, starts: Mapping[Key, int | None]) -> list[Partition]:
        """Get partitions; return those that are new. A start that is given is committed with the next positions."""
        fresh = {key: Partition(key, start) for key, start in starts.items() if key not in self._partitions}
        self._partitions |= fresh
        return list(fresh.values())

    def arrive(self, records: Iterable[Record]) -> list[Partition]:
        """Let messages wait in their partitions; return those that got some.

        Messages of partitions that were given up, stopped or rewound while they were on their way to us are dropped.
        """
        touched: dict[Key, Partition] = {}
        for key, group in groupby(records, lambda record: record.key):
            partition, run = self._partitions.get(key), list(group)
            if partition is None or partition.state is State.STOPPED or partition.rewinding:
                self._give_back(sum(len(record.value) for record in run))
            else:
                partition.add(run)
                touched[key] = partition
            if partition is not None:
                partition.saw_end(run[-1].offset + 1)
        return list(touched.values())

    def finish(self, partition: Partition) -> None:
        """Let go of the first message of a partition."""
        self._give_back(len(partition.records.popleft().value))

    def forget(self, partition: Partition) -> None:
        """Let go of all messages of a partition."""
        while partition.records:
            self.finish(partition)

    def rewind(self, partition: Partition) -> None:
        """Let go of all messages of a partition but the first, which is under way, until :meth:`rewound`."""
        head = partition.records.popleft()
        self.forget(partition)
        partition.records.append(head)
        partition.rewinding = True

    def rewound(self, key: Key) -> None:
        """From now on, what comes of a partition are the messages behind its first."""
        if key in self._partitions:
            self._partitions[key].rewinding = False

    def release(self, partition: Partition) -> None:
        """Give a partition up, with the messages that wait in it."""
        del self._partitions[partition.key]
        partition.state = State.GONE
        self.forget(partition)

    def commits(self) -> dict[Key, int]:
        """Return the positions that changed since the last call, and take them for committed."""
        found: dict[Key, int] = {}
        for partition in self._partitions.values():
            if partition.position is not None and partition.position != partition.committed:
                found[partition.key] = partition.committed = partition.position
        return found

    def commit_failed(self, keys: Iterable[Key]) -> None:
        """Let positions be committed again."""
        for key in keys:
            if key in self._partitions:
                self._partitions[key].committed = None

    def saw_ends(self, ends: Mapping[Key, int]) -> None:
        """Know how far partitions reach."""
        for key, end in ends.items():
            if key in self._partitions:
                self._partitions[key].saw_end(end)
