"""Every operation of batches and codec against a slow and obvious model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.otlp_model import Model, levels_of
from tests.support.otlp_strategies import KEYS, any_signal_requests, keys, set_values
from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal, Value, attribute
from untrace_pipeline.data.codecs.upb_schema import REQUESTS

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("each_codec")]

relaxed = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
Request = tuple[Signal, Message]


def wire(message: Any) -> bytes:
    """Return a form of a message that tells equality, NaN and unknown fields included."""
    return message.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def copy_of(message: Any) -> Any:
    """Return a message that can be changed."""
    twin = type(message)()
    twin.CopyFrom(message)
    return twin


def settled(message: Any) -> Any:
    """Return an edited message without what edits may leave this way or that.

    The order in which new keys were added, and a resource or scope that was only made for an attribute that is gone.
    """
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        children = value if isinstance(value, Sequence) else [value]
        for child in children:
            settled(child)
        if field.message_type.name == "KeyValue":
            value.sort(key=lambda pair: pair.key)
        elif field.name in {"resource", "scope"} and not value.ByteSize():
            message.ClearField(field.name)
    return message


def cells(columns: Sequence[Sequence[Value]], *, in_order: bool) -> str:
    """Return a form of columns that tells equality; the keys of maps in their order or not."""
    if in_order:
        return repr(columns)
    return repr([[sorted(cell.items()) if isinstance(cell, dict) else cell for cell in column] for column in columns])


def assert_same(batch: Batch, model: Model, *, in_order: bool = True) -> None:
    """Every column of the batch is the model's."""
    assert batch.item_count == len(model.messages(Level.ITEM))
    for level in levels_of(model.signal):
        rows = model.rows(level)
        assert batch.row_count(level) == len(rows)
        fields = [attribute(key, level) for key in KEYS] + [Field(level, ATTRIBUTES)]
        expected = [model.column(field) for field in fields]
        assert cells(batch.columns(fields), in_order=in_order) == cells(expected, in_order=in_order)
        for ancestor in levels_of(model.signal):
            if ancestor < level and ancestor <= Level.ITEM:
                assert batch.parents(level, ancestor) == [ancestors[ancestor] for _, ancestors in rows]


@relaxed
@given(any_signal_requests())
def test_columns_are_what_the_messages_hold(request: Request) -> None:
    """Counts, parents and attribute columns of every level are those of the parsed messages."""
    signal, message = request
    payload = message.SerializeToString()
    assert Batch(signal, payload).item_count == len(Model(signal, payload).messages(Level.ITEM))
    assert_same(Batch(signal, payload), Model(signal, payload))


@relaxed
@given(any_signal_requests())
def test_ranges_are_the_items(request: Request) -> None:
    """The bytes of each range parse to that item."""
    signal, message = request
    batch = Batch(signal, message.SerializeToString())
    starts, ends = batch.ranges()
    items = Model(signal, batch.to_otlp()).messages(Level.ITEM)
    found = [type(item).FromString(batch.to_otlp()[a:b]) for item, a, b in zip(items, starts, ends, strict=True)]
    assert [wire(item) for item in found] == [wire(item) for item in items]


Step = Callable[[Batch, Model, st.DataObject], Batch]


def set_key(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    level = data.draw(st.sampled_from(levels_of(model.signal)))
    field = attribute(data.draw(keys), level)
    count = batch.row_count(level)
    values = data.draw(st.lists(st.one_of(st.none(), set_values), min_size=count, max_size=count))
    batch.set(field, values)
    model.set(field, values)
    return batch


def set_some(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    field = attribute(data.draw(keys))
    chosen = [row for row in range(batch.item_count) if data.draw(st.booleans())]
    values = data.draw(st.lists(set_values, min_size=len(chosen), max_size=len(chosen)))
    batch.set(field, values, rows=chosen)
    model.set(field, values, chosen)
    return batch


def set_map(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    level = data.draw(st.sampled_from(levels_of(model.signal)))
    field = Field(level, ATTRIBUTES)
    count = batch.row_count(level)
    maps = st.dictionaries(keys, st.one_of(st.none(), set_values), max_size=3)
    values = data.draw(st.lists(maps, min_size=count, max_size=count))
    batch.set(field, values)
    model.set(field, values)
    return batch


def keep(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    level = data.draw(st.sampled_from(levels_of(model.signal)))
    count = batch.row_count(level)
    mask = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    before = len(model.messages(Level.ITEM))
    model.keep(mask, level)
    assert batch.keep(mask, level) == before - len(model.messages(Level.ITEM))
    return batch


def write(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    batch.to_otlp()
    return batch


def copy(batch: Batch, model: Model, data: st.DataObject) -> Batch:
    """Go on with a copy; edits of the handle left behind must not reach it."""
    twin = batch.copy()
    if batch.item_count:
        batch.set(attribute("a"), ["left behind"] * batch.item_count)
        batch.keep([False] * batch.item_count)
    return twin


@relaxed
@given(
    any_signal_requests(),
    st.lists(st.sampled_from([set_key, set_some, set_map, keep, write, copy]), max_size=5),
    st.data(),
)
def test_edits_read_the_same_before_and_after_the_rewrite(
    request: Request, steps: list[Step], data: st.DataObject
) -> None:
    """Any sequence of edits gives the columns of the model through the overlay, and its bytes after the rewrite."""
    signal, message = request
    batch, model = Batch(signal, message.SerializeToString()), Model(signal, message.SerializeToString())
    for step in steps:
        batch = step(batch, model, data)
    assert_same(batch, model, in_order=False)
    sent = REQUESTS[signal].FromString(batch.to_otlp())
    assert wire(settled(sent)) == wire(settled(copy_of(model.request)))
    assert_same(batch, model, in_order=False)


@relaxed
@given(any_signal_requests(), st.data())
def test_partition_gives_each_part_its_items(request: Request, data: st.DataObject) -> None:
    """A part holds exactly the items of its key, in order, with their containers; ``None`` goes nowhere."""
    signal, message = request
    payload = message.SerializeToString()
    batch = Batch(signal, payload)
    names = data.draw(st.lists(st.sampled_from(["x", "y", None]), min_size=batch.item_count, max_size=batch.item_count))
    parts = batch.partition(names)
    assert list(parts) == [name for name in dict.fromkeys(names) if name is not None]
    for name, part in parts.items():
        assert items_with_headers(part) == items_with_headers(Batch(signal, payload), [n == name for n in names])


def items_with_headers(batch: Batch, mask: list[bool] | None = None) -> list[tuple[bytes, ...]]:
    """Return each item with what its containers hold beside children."""
    model = Model(batch.signal, batch.to_otlp())
    chain = [level for level in levels_of(batch.signal) if level < Level.ITEM]
    rows = model.rows(Level.ITEM)
    outside = {level: model.messages(level) for level in chain}
    found = []
    for number, (item, ancestors) in enumerate(rows):
        if mask is None or mask[number]:
            headers = [header(outside[level][ancestors[level]]) for level in chain]
            found.append((*headers, wire(item)))
    return found


def header(message: Any) -> bytes:
    bare = type(message)()
    bare.CopyFrom(message)
    for name in ("scope_spans", "scope_logs", "scope_metrics", "spans", "log_records", "metrics"):
        if name in bare.DESCRIPTOR.fields_by_name:
            bare.ClearField(name)
    if "gauge" in bare.DESCRIPTOR.fields_by_name and bare.WhichOneof("data"):
        getattr(bare, bare.WhichOneof("data")).ClearField("data_points")
    return wire(bare)


@relaxed
@given(any_signal_requests(), st.integers(0, 4), st.sampled_from([0, 20, 60, 100, 200, 400, 1000]))
def test_split_keeps_its_limits_and_every_item(request: Request, max_items: int, max_bytes: int) -> None:
    """Parts keep both limits unless one item alone breaks them, are as full as can be, and together are the request."""
    signal, message = request
    payload = message.SerializeToString()
    parts = Batch(signal, payload).split(max_items, max_bytes)
    for part in parts:
        assert not max_items or part.item_count <= max_items
        assert not max_bytes or len(part.to_otlp()) <= max_bytes or part.item_count <= 1
    joined = [item for part in parts for item in items_with_headers(part)]
    assert joined == items_with_headers(Batch(signal, payload))
    for part, following in pairwise(parts):
        wider = len(part.to_otlp()) + len(following.to_otlp())
        assert part.item_count == max_items or (max_bytes and wider > max_bytes)


@relaxed
@given(any_signal_requests(), st.integers(1, 3))
def test_merge_undoes_split(request: Request, max_items: int) -> None:
    """The parts of a split, merged, hold the items of the request under the same headers."""
    signal, message = request
    payload = message.SerializeToString()
    merged = Batch.merge(Batch(signal, payload).split(max_items))
    assert items_with_headers(merged) == items_with_headers(Batch(signal, payload))


@relaxed
@given(any_signal_requests(unknown=False))
def test_json_says_everything(request: Request) -> None:
    """JSON and back loses nothing but unknown fields and the presence of empty messages."""
    signal, message = request
    batch = Batch(signal, message.SerializeToString())
    back = Batch.from_json(signal, batch.to_json())
    assert back.to_json() == batch.to_json()
    model, returned = Model(signal, batch.to_otlp()), Model(signal, back.to_otlp())
    for level in levels_of(signal):
        fields = [Field(level, ATTRIBUTES)]
        assert repr(back.columns(fields)) == repr(batch.columns(fields))
        assert len(model.messages(level)) == len(returned.messages(level))
    for item, other in zip(model.messages(Level.ITEM), returned.messages(Level.ITEM), strict=True):
        fill_empty(item)
        fill_empty(other)
        assert wire(item) == wire(other)


def fill_empty(message: Any) -> None:
    """Make present what JSON always writes, in all messages below too."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            continue
        if field.is_repeated:
            for inner in getattr(message, field.name):
                fill_empty(inner)
        elif field.containing_oneof is None or message.HasField(field.name):
            getattr(message, field.name).SetInParent()
            fill_empty(getattr(message, field.name))
