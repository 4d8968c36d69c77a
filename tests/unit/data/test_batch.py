"""Handles, overlays and what they share."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.data import ATTRIBUTES, EMPTY_CONTEXT, Batch, Context, Field, Level, Signal, attribute
from untrace_pipeline.data.codec import Edits, Table
from untrace_pipeline.data.codecs.upb import UpbCodec
from untrace_pipeline.testing.generate import make_batch

pytestmark = pytest.mark.usefixtures("each_codec")

NAME = Field(Level.ITEM, "name")
MAP = Field(Level.ITEM, ATTRIBUTES)
SERVICE = attribute("service.name", Level.RESOURCE)


class CountingCodec(UpbCodec):
    """Counts how often something is decoded or rewritten."""

    def __init__(self) -> None:
        self.tables = self.rewrites = self.counts = 0

    def count(self, signal: Signal, data: bytes) -> int:
        self.counts += 1
        return super().count(signal, data)

    def table(self, signal: Signal, data: bytes) -> Any:
        self.tables += 1
        table: Any = super().table(signal, data)
        write = table.rewrite

        def rewrite(edits: Edits) -> bytes:
            self.rewrites += 1
            return write(edits)  # type: ignore[no-any-return]

        table.rewrite = rewrite
        return table


def counted(items: int = 4) -> tuple[Batch, CountingCodec]:
    codec = CountingCodec()
    return Batch(Signal.TRACES, make_batch(Signal.TRACES, items).to_otlp(), codec=codec), codec


def test_pass_through_is_the_same_bytes() -> None:
    """A batch that nobody edits sends the very object that came in, undecoded."""
    batch, codec = counted()
    payload = batch.to_otlp()
    assert batch.copy().to_otlp() is payload
    assert batch.item_count == 4
    assert (codec.tables, codec.counts) == (0, 1)


def test_what_is_known_of_bytes_is_not_found_out_again() -> None:
    """A receiver that has decoded a request hands over what it found."""
    made = make_batch(items=3)
    table = object()
    batch = Batch.decoded(Signal.TRACES, made.to_otlp(), Context(peer="a:1"), 3, table)  # type: ignore[arg-type]
    batch.validate()
    assert (batch.item_count, batch._table(), batch.context.peer) == (3, table, "a:1")
    later = Batch.decoded(Signal.TRACES, made.to_otlp(), EMPTY_CONTEXT, 3)
    assert later.column(NAME) == made.column(NAME)


def test_copies_share_decoding_and_rewriting() -> None:
    """What one handle decodes or writes, the others need not."""
    batch, codec = counted()
    copies = [batch.copy(), batch.copy()]
    batch.validate()
    for copy in copies:
        copy.column(NAME)
    assert codec.tables == 1
    batch.set(NAME, ["x"] * 4)
    branches = [batch.copy() for _ in range(3)]
    payloads = [branch.to_otlp() for branch in branches]
    assert codec.rewrites == 1
    assert payloads[0] is payloads[2]
    assert copies[0].column(NAME) != ["x"] * 4


def test_branches_edit_on_their_own() -> None:
    """Edits of one branch are not seen by another, nor by the batch that both came from."""
    batch = make_batch(Signal.TRACES, 4)
    batch.set(NAME, ["shared"] * 4)
    left, right = batch.copy(), batch.copy()
    left.set(NAME, ["left"] * 4)
    right.keep([True, False, False, False])
    assert left.column(NAME) == ["left"] * 4
    assert right.column(NAME) == ["shared"]
    assert batch.column(NAME) == ["shared"] * 4
    assert [b.item_count for b in (batch, left, right)] == [4, 4, 1]
    assert [Batch(Signal.TRACES, b.to_otlp()).item_count for b in (batch, left, right)] == [4, 4, 1]


def test_keep_then_set_and_set_then_keep() -> None:
    """Row numbers are those of the rows that are left."""
    batch = make_batch(Signal.TRACES, 4)
    batch.set(NAME, ["a", "b", "c", "d"])
    assert batch.keep([True, False, True, True]) == 1
    batch.set(NAME, ["C"], rows=[1])
    assert batch.column(NAME) == ["a", "C", "d"]
    assert batch.keep([False, True, True]) == 1
    batch.to_otlp()
    assert batch.column(NAME) == ["C", "d"]


def test_rows_may_be_in_any_order_and_repeat() -> None:
    """Columns of named rows come in the order of the names."""
    batch = make_batch(Signal.TRACES, 3)
    batch.set(NAME, ["a", "b", "c"])
    assert batch.columns([NAME], rows=[2, 0, 0]) == [["c", "a", "a"]]
    batch.to_otlp()
    assert batch.columns([NAME], rows=[2, 1, 0]) == [["c", "b", "a"]]


def test_whole_map_and_single_keys() -> None:
    """The later of a whole map and a single key wins, before and after the rewrite."""
    batch = make_batch(Signal.TRACES, 1)
    batch.set(attribute("a"), [1])
    batch.set(MAP, [{"b": 2, "empty": None}])
    batch.set(attribute("c"), [3])
    batch.remove(attribute("b"))
    for _ in range(2):
        assert batch.column(MAP) == [{"empty": None, "c": 3}]
        assert [batch.column(attribute(key))[0] for key in "abc"] == [None, None, 3]
        batch.to_otlp()
    batch.remove(MAP)
    assert batch.column(MAP) == [{}]
    batch.to_otlp()
    assert batch.column(MAP) == [{}]


def test_dropping_all_items_drops_their_containers() -> None:
    """A resource goes with its last item; one that was empty before stays."""
    empty = b"\x0a\x05\x1a\x03url"
    batch = Batch(Signal.TRACES, make_batch(Signal.TRACES, 2, resources=2).to_otlp() + empty)
    assert batch.row_count(Level.RESOURCE) == 3
    batch.keep([True, False])
    for _ in range(2):
        assert batch.row_count(Level.RESOURCE) == 2
        assert batch.column(Field(Level.RESOURCE, "schema_url")) == ["", "url"]
        batch.to_otlp()
    batch.keep([False])
    assert batch.to_otlp() == empty


@pytest.mark.parametrize(("level", "dropped"), [(Level.RESOURCE, 2), (Level.SCOPE, 2), (Level.METRIC, 1)])
def test_dropping_outer_rows_counts_items(level: Level, dropped: int) -> None:
    """Dropping a container drops its items, and answers how many they were."""
    batch = make_batch(Signal.METRICS, 4, resources=2)
    mask = [False] + [True] * (batch.row_count(level) - 1)
    assert batch.keep(mask, level) == dropped
    assert batch.item_count == 4 - dropped
    batch.to_otlp()
    assert batch.item_count == 4 - dropped


def test_dropping_events_leaves_spans() -> None:
    """Events are dropped alone; parents of the others follow."""
    batch = make_batch(Signal.TRACES, 3)
    assert batch.keep([False, True, True], Level.EVENT) == 0
    for _ in range(2):
        assert batch.item_count == 3
        assert batch.parents(Level.EVENT, Level.ITEM) == [1, 2]
        assert batch.column(attribute("index", Level.EVENT)) == [1, 2]
        batch.to_otlp()


def test_parents_after_drops() -> None:
    """Row numbers of both levels are those after the drops."""
    batch = make_batch(Signal.TRACES, 4, resources=4)
    batch.keep([False, True, False, True], Level.RESOURCE)
    assert batch.parents(Level.ITEM, Level.RESOURCE) == [0, 1]
    assert batch.columns([SERVICE], Level.ITEM) == [["service-1", "service-3"]]


def test_outer_fields_repeat_and_read_edits() -> None:
    """A resource attribute is read at item level with its pending edit."""
    batch = make_batch(Signal.TRACES, 3, resources=2)
    batch.set(SERVICE, ["x"], rows=[0])
    service, names = batch.columns([SERVICE, NAME])
    assert service == ["x", "x", "service-1"]
    assert len(names) == 3
    assert batch.columns([SERVICE], Level.ITEM, rows=[2]) == [["service-1"]]


def test_inner_fields_are_not_visible_from_outside() -> None:
    """A span has several events: reading them at span level is refused."""
    batch = make_batch(Signal.TRACES, 1)
    with pytest.raises(ValueError, match="not visible from level ITEM"):
        batch.columns([attribute("index", Level.EVENT)], Level.ITEM)
    with pytest.raises(ValueError, match="not visible from level LINK"):
        batch.columns([attribute("index", Level.EVENT)], Level.LINK)


@pytest.mark.parametrize("values", [[], ["a"], ["a", "b", "c"]])
def test_wrong_number_of_values(values: list[str]) -> None:
    """Values and masks must match the rows."""
    batch = make_batch(Signal.TRACES, 2)
    with pytest.raises(ValueError, match="values for 2 rows"):
        batch.set(NAME, values)
    with pytest.raises(ValueError, match="for 2 rows"):
        batch.keep([bool(value) for value in values])
    assert not batch.edited


def test_keep_all_is_no_edit() -> None:
    """A mask of all rows leaves the bytes alone."""
    batch = make_batch(Signal.TRACES, 2)
    assert batch.keep([True, True]) == 0
    assert not batch.edited


def test_select() -> None:
    """Select answers the reduced batch, or nothing."""
    batch = make_batch(Signal.TRACES, 2)
    assert batch.select([False, False]) is None
    assert batch.item_count == 2
    assert batch.select([False, True]) is batch
    assert batch.item_count == 1


@pytest.mark.parametrize("signal", list(Signal))
def test_empty_request(signal: Signal) -> None:
    """An empty request can do all that others can."""
    batch = Batch(signal, b"")
    assert (batch.item_count, batch.byte_size) == (0, 0)
    assert batch.columns([attribute("a"), SERVICE]) == [[], []]
    assert batch.keep([]) == 0
    assert batch.partition([]) == {}
    assert batch.split(1, 1) == [batch]
    assert list(batch.items()) == []
    batch.set(attribute("a"), [])
    assert batch.to_otlp() == b""


def test_partition_with_pending_edits() -> None:
    """Parts hold the edits, and the context."""
    context = Context(tenant="t")
    batch = make_batch(Signal.LOGS, 4, context=context)
    batch.keep([True, True, True, False])
    batch.set(attribute("n"), [0, 1, 2])
    parts = batch.partition(["odd" if n == 1 else "even" for n in range(3)])
    assert {key: part.column(attribute("n")) for key, part in parts.items()} == {"even": [0, 2], "odd": [1]}
    assert all(part.context is context for part in parts.values())


def test_partition_into_one_is_the_batch_itself() -> None:
    """Nothing is copied where there is nothing to divide."""
    batch = make_batch(Signal.LOGS, 2)
    assert batch.partition(["x", "x"]) == {"x": batch}


def test_merge() -> None:
    """Merged batches keep order, edits, and the context that they share."""
    context = Context(tenant="t")
    batches = [make_batch(Signal.TRACES, 2, context=context) for _ in range(2)]
    batches[1].set(NAME, ["x", "y"])
    batches[1].keep([True, False])
    merged = Batch.merge(batches)
    assert merged.item_count == 3
    assert merged.column(NAME)[2] == "x"
    assert merged.context is context
    assert Batch.merge([merged]) is merged
    assert Batch.merge([merged, make_batch(Signal.TRACES, 1)]).context is EMPTY_CONTEXT
    with pytest.raises(ValueError, match="different signals"):
        Batch.merge([merged, make_batch(Signal.LOGS, 1)])


def test_merge_counts_without_walking() -> None:
    """Where the counts are known, the merged batch knows its own."""
    one, codec = counted()
    two = Batch(Signal.TRACES, one.to_otlp(), codec=codec)
    assert one.item_count + two.item_count == Batch.merge([one, two]).item_count == 8
    assert codec.counts == 2


def test_split_under_the_limits_is_the_batch_itself() -> None:
    """A batch that fits is not taken apart."""
    batch = make_batch(Signal.TRACES, 4)
    assert batch.split(4, batch.byte_size) == [batch]
    assert [part.item_count for part in batch.split(3)] == [3, 1]
    assert [part.item_count for part in batch.split(0, 1)] == [1, 1, 1, 1]


def test_split_fills_to_the_byte() -> None:
    """The size of a part is computed exactly: one that fits to the byte is not split further."""
    batch = make_batch(Signal.METRICS, 10, resources=2)
    three = batch.copy().split(3)[0].to_otlp()
    assert batch.split(0, len(three))[0].to_otlp() == three
    assert batch.split(0, len(three) - 1)[0].item_count == 2


def test_items() -> None:
    """Rows read and write through the same overlay."""
    batch = make_batch(Signal.TRACES, 2, attributes={"gone": 1})
    for number, item in enumerate(batch.items()):
        assert item.get(SERVICE) == "service-0"
        item.set(NAME, f"item {number}")
        attributes = item.attributes
        attributes["n"] = number
        del attributes["gone"]
        assert "gone" not in attributes
        assert attributes.get("gone") is None
        assert dict(attributes)["n"] == number
        assert len(attributes) == len(list(attributes))
        with pytest.raises(KeyError):
            del attributes["gone"]
        with pytest.raises(ValueError, match="shared by several items"):
            item.set(SERVICE, "x")
    batch.to_otlp()
    assert batch.column(NAME) == ["item 0", "item 1"]
    assert batch.column(attribute("n")) == [0, 1]


def test_item_attributes_with_empty_values() -> None:
    """An attribute without a value is a key of the map."""
    batch = make_batch(Signal.TRACES, 1)
    batch.set(MAP, [{"empty": None}])
    assert dict(next(batch.items()).attributes) == {"empty": None}


def test_with_context() -> None:
    """The twin has the other context, the data are shared."""
    batch = make_batch(Signal.TRACES, 1)
    twin = batch.with_context(Context(tenant="t"))
    assert (batch.context.tenant, twin.context.tenant) == (None, "t")
    assert twin.to_otlp() is batch.to_otlp()


def test_codec_keeps_the_interface() -> None:
    """The codec in use is what the interface says."""
    table: Table = UpbCodec().table(Signal.TRACES, b"")
    assert table.row_count(Level.ITEM) == 0
