"""Which messages wait, and how far each partition got."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from untrace_plugins.receivers.kafka.partition import Key, Partitions, Record, State

A: Key = ("spans", 0)
B: Key = ("spans", 1)


def record(key: Key, offset: int, size: int = 10) -> Record:
    return Record(*key, offset, b"x" * size)


class Held:
    """Partitions, and the room that their messages take."""

    def __init__(self, *keys: Key) -> None:
        self.used = 0
        self.all = Partitions(self._give_back)
        self.by_key = {one.key: one for one in self.all.assign(dict.fromkeys(keys))}

    def _give_back(self, size: int) -> None:
        self.used -= size

    def arrive(self, *records: Record) -> set[Key]:
        self.used += sum(len(one.value) for one in records)
        return {one.key for one in self.all.arrive(records)}

    def deal_with(self, key: Key) -> None:
        partition = self.by_key[key]
        partition.mark(partition.records[0])
        self.all.finish(partition)


def test_nothing_is_committed_before_something_was_dealt_with() -> None:
    """Messages that merely arrived move nothing."""
    held = Held(A)
    held.arrive(record(A, 5))
    assert held.all.commits() == {}
    held.deal_with(A)
    assert held.all.commits() == {A: 6}


def test_a_position_is_committed_once() -> None:
    """Until it moves on, or the commit fails."""
    held = Held(A)
    held.arrive(record(A, 5), record(A, 6))
    held.deal_with(A)
    assert held.all.commits() == {A: 6}
    assert held.all.commits() == {}
    held.all.commit_failed([A, B])
    assert held.all.commits() == {A: 6}
    held.deal_with(A)
    assert held.all.commits() == {A: 7}


def test_gaps_in_offsets() -> None:
    """Compaction and transactions leave gaps; the position is behind the last message."""
    held = Held(A)
    held.arrive(record(A, 5), record(A, 90))
    held.deal_with(A)
    held.deal_with(A)
    assert held.all.commits() == {A: 91}


def test_where_reading_begins_is_committed() -> None:
    """A group that begins at the end writes it down, so that the end does not move while nothing comes."""
    partitions = Partitions(lambda _size: None)
    partitions.assign({A: 17, B: None})
    assert partitions.commits() == {A: 17}


def test_messages_of_partitions_that_went_are_dropped() -> None:
    """They belong to another member now; their room is free again."""
    held = Held(A)
    assert held.arrive(record(A, 1), record(B, 1), record(A, 2)) == {A}
    assert held.used == 20


def test_a_partition_that_goes_frees_its_room() -> None:
    """With what waits in it; it is forgotten."""
    held = Held(A, B)
    held.arrive(record(A, 1), record(B, 1))
    held.all.release(held.by_key[A])
    assert (held.used, held.by_key[A].state, [one.key for one in held.all]) == (10, State.GONE, [B])
    held.deal_with(B)
    assert held.all.commits() == {B: 2}
    assert held.used == 0


def test_a_partition_that_comes_back_starts_anew() -> None:
    """What was known before it went does not count any more."""
    held = Held(A)
    held.arrive(record(A, 1))
    held.all.release(held.by_key[A])
    (fresh,) = held.all.assign({A: None})
    assert (fresh.position, fresh.lag) == (None, 0)


def test_a_stopped_partition_takes_nothing() -> None:
    """What was on its way when it stopped is read again later."""
    held = Held(A)
    held.by_key[A].state = State.STOPPED
    assert held.arrive(record(A, 1)) == set()
    assert held.used == 0


def test_a_partition_that_is_rewound_keeps_its_first_message() -> None:
    """Those behind it are fetched again; until then what still comes is dropped, but tells how far it reaches."""
    held = Held(A)
    partition = held.by_key[A]
    held.arrive(record(A, 1), record(A, 2), record(A, 3))
    held.all.rewind(partition)
    assert ([one.offset for one in partition.records], held.used) == ([1], 10)
    assert held.arrive(record(A, 4)) == set()
    assert (held.used, partition.lag) == (10, 4)
    held.deal_with(A)
    held.all.rewound(A)
    held.all.rewound(B)
    held.arrive(record(A, 2))
    assert held.all.commits() == {A: 2}
    assert partition.lag == 3


def test_lag() -> None:
    """Counted from the first message that was not dealt with to the end that is known."""
    held = Held(A)
    partition = held.by_key[A]
    assert partition.lag == 0
    held.all.saw_ends({A: 100, B: 7})
    assert partition.lag == 0  # nothing is known of where we are
    held.arrive(record(A, 40), record(A, 41))
    assert (partition.lag, partition.next_offset) == (60, 40)
    held.deal_with(A)
    assert (partition.lag, partition.next_offset) == (59, 41)
    held.all.saw_ends({A: 90})  # an older answer
    assert partition.lag == 59
    held.arrive(record(A, 120))
    assert partition.lag == 80


@given(
    st.lists(st.sampled_from(["arrive A", "arrive B", "deal A", "deal B", "commit", "fail", "release A", "assign A"]))
)
def test_offsets_are_never_ahead_of_delivery(steps: list[str]) -> None:
    """Whatever happens in whatever order: what is committed lies behind messages that were dealt with, all of them."""
    held = Held(A, B)
    offsets = {A: 0, B: 0}
    dealt: dict[Key, int] = {A: 0, B: 0}
    committed: dict[Key, int] = {A: 0, B: 0}
    for step in steps:
        action, _, name = step.partition(" ")
        key = {"A": A, "B": B}.get(name, A)
        partition = next((one for one in held.all if one.key == key), None)
        if action == "arrive":
            held.arrive(record(key, offsets[key]))
            offsets[key] += 1
        elif action == "deal" and partition and partition.records:
            held.by_key[key] = partition
            dealt[key] = partition.records[0].offset + 1
            held.deal_with(key)
        elif action == "commit":
            committed |= held.all.commits()
        elif action == "fail":
            held.all.commit_failed([A, B])
        elif action == "release" and partition:
            held.all.release(partition)
            offsets[key] = dealt[key]  # whoever has it next begins at what was dealt with
        elif action == "assign":
            held.all.assign({key: None})
        assert all(committed[one] <= dealt[one] for one in (A, B))
        assert held.used == sum(len(r.value) for one in held.all for r in one.records)
